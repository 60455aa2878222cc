"""Simulated pools whose replies carry signals of known worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import ResponseTable, build_table
from rlfocal.records.signals import Replies, ReplyStore, SeenReply
from rlfocal.records.synthetic import PoolModel, simulate

ACCURACY = (0.8, 0.7, 0.65, 0.6)


class Told(NamedTuple):
    """A pool of four, and what the signal of each reply truly says."""

    table: ResponseTable
    truth: NDArray[np.float64]
    """float64[Q, N]: by how much the reply moves its member's log-odds of being right."""


def told_pool(
    n_queries: int, strength: Sequence[float], *, rng: np.random.Generator, n_useless: int = 5
) -> Told:
    """Signals "telling", normal with spread 1 and a mean higher by `strength` where right.

    Args:
        n_queries: Q.
        strength: of each of the four members; 0 for a signal that says nothing.
        rng: source of all randomness.
        n_useless: further signals that say nothing.
    """
    model = PoolModel(accuracy=[ACCURACY], correlation=0.3, shared_distractor=0.4, n_options=6)
    table = build_table(simulate(model, n_queries, rng=rng))
    right = table.member_score > 0.5
    signal = rng.standard_normal(right.shape) + right * np.array(strength)
    useless = rng.standard_normal((*right.shape, n_useless))
    names = ("telling", *(f"useless{i}" for i in range(n_useless)))
    values = np.concatenate([signal[:, :, None], useless], axis=2).reshape(right.size, -1)
    seen = [
        SeenReply(text=None, given=dict(zip(names, row, strict=True))) for row in values.tolist()
    ]
    replies = Replies(ReplyStore(seen, names), np.arange(right.size).reshape(right.shape))
    # Two normals that differ by s in their mean have the log-likelihood ratio s·x - s²/2.
    truth = np.array(strength) * signal - np.array(strength) ** 2 / 2
    return Told(replace(table, replies=replies), truth)
