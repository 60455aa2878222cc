"""Strategies over pools whose members read one another: whose answers count, and what is called.

Whoever asks a reader pays for those it reads and sees their answers, too. A strategy that follows
one member, or a fixed few, counts the answers of these alone.

Axes: B queries of one batch, Q queries, N members, C candidate slots.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.replay import stages
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["Calls", "calls_for", "in_turn", "voters"]


def voters(view: View, mask: BoolArray) -> View:
    """The same view as if those outside of a mask had not answered.

    Args:
        view: what is known; where nobody reads, it is returned as it is.
        mask: bool[N] or, by query, bool[B, N]. A query of which none of these was asked keeps all
            its answers: then others stood in for them.
    """
    if view.ready is None:
        return view
    stood_in = ~(view.asked & mask).any(axis=1, keepdims=True)
    counts = mask | stood_in
    support = view.support * counts[:, :, None].astype(np.float32)
    given = (support > 0).any(axis=1)
    return replace(
        view,
        answered=view.answered & counts,
        answer=np.where(counts, view.answer, np.int16(-1)),
        support=support,
        available=np.where(view.is_open[:, None], given, view.available),
    )


def in_turn(table: ResponseTable, order: IntArray) -> IntArray:
    """int64[N] or int64[T, N]: an order of all members in which nobody stands before whom it reads.

    Whoever asks in this order, one by one, calls one member a time.
    """
    if table.reads is None:
        return order
    rows = [table.reads.in_turn(row) for row in order.reshape(-1, order.shape[-1])]
    return np.stack(rows).reshape(order.shape)


class Calls(NamedTuple):
    """What asking some members at once comes to, whom they read included."""

    asked: BoolArray
    """bool[Q, N]: the members called."""
    asked_in: NDArray[np.int16]
    """int16[Q, N]: the round, from 1, in which each was called; 0 where it was not."""
    n_rounds: IntArray
    """int64[Q]."""
    cost: FloatArray
    """float32[Q], in the table's unit."""
    latency_s: FloatArray
    """float32[Q]: the slowest of each round, summed; NaN where unknown."""


def calls_for(table: ResponseTable, wanted: BoolArray) -> Calls:
    """The calls of references, which know whom to ask before anything is said.

    Args:
        table: recorded answers; where a member has no record, it is not called.
        wanted: bool[Q, N].
    """
    seen, asked_in = np.zeros_like(wanted), np.zeros(wanted.shape, dtype=np.int16)
    n_rounds = np.zeros(len(wanted), dtype=np.int64)
    latency_s = np.zeros(len(wanted), dtype=np.float32)
    for now in stages(table.reads, wanted, seen):
        seen = seen | now
        called = now & table.recorded
        n_rounds += called.any(axis=1)
        asked_in += np.where(called, n_rounds[:, None], 0).astype(np.int16)
        if table.latency_s is not None:
            slowest = np.where(called, table.latency_s, -np.inf).max(axis=1, initial=-np.inf)
            latency_s += np.where(called.any(axis=1), slowest, 0).astype(np.float32)
    asked = seen & table.recorded
    return Calls(
        asked=asked,
        asked_in=asked_in,
        n_rounds=n_rounds,
        cost=(table.cost * asked).sum(axis=1, dtype=np.float32),
        latency_s=latency_s if table.latency_s is not None else np.full_like(latency_s, np.nan),
    )
