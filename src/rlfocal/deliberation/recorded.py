"""Recorded answers as a source: the views that a strategy gets of them as it asks members.

`reveal` is the only function that turns recorded answers into a `View`, so it is the place where a
leak would be.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.view import View
from rlfocal.readers import Reads
from rlfocal.records import BoolArray, CandidateKind, FloatArray, IntArray, ResponseTable
from rlfocal.records.signals import Replies

__all__ = ["Recorded", "candidates_of", "reveal", "worth_of"]


class Recorded(Protocol):
    """Answers that can be revealed again: a `ResponseTable`, or logged requests."""

    @property
    def task(self) -> IntArray: ...  # noqa: D102
    @property
    def features(self) -> FloatArray: ...  # noqa: D102
    @property
    def kind(self) -> NDArray[np.int8]: ...  # noqa: D102
    @property
    def exists(self) -> BoolArray: ...  # noqa: D102
    @property
    def answer(self) -> NDArray[np.int16]: ...  # noqa: D102
    @property
    def support(self) -> FloatArray: ...  # noqa: D102
    @property
    def cost(self) -> FloatArray: ...  # noqa: D102
    @property
    def is_recorded(self) -> bool: ...  # noqa: D102
    @property
    def recorded(self) -> BoolArray: ...  # noqa: D102
    @property
    def reads(self) -> Reads | None: ...  # noqa: D102
    @property
    def replies(self) -> Replies | None: ...  # noqa: D102


def reveal(
    table: Recorded,
    rows: IntArray,
    asked: BoolArray,
    *,
    n_rounds: IntArray | None = None,
    budget: float = np.inf,
) -> View:
    """Make the views of queries from the answers of the members asked so far.

    The candidates of an open query are numbered among those revealed: an answer of members not
    asked leaves no gap, since even a gap would leak it. `candidates_of` translates back.

    Args:
        table: the recorded answers.
        rows: int64[B], the queries.
        asked: bool[B, N], the members asked so far.
        n_rounds: int64[B], rounds so far; None for none.
        budget: most that each query may cost, in the table's unit.
    """
    answer = table.answer[rows]
    answered = asked & (answer >= 0)
    answer = np.where(answered, answer, np.int16(-1))
    support = table.support[rows] * answered.astype(np.float32)[:, :, None]
    is_open = table.kind[rows] != CandidateKind.OPTIONS
    available = table.exists[rows]
    if is_open.any():
        available = np.where(is_open[:, None], _given(support, answered), available)
        slot, place = _slots(available)
        answer = np.where(answered, np.take_along_axis(place, np.maximum(answer, 0), axis=1), -1)
        support = np.take_along_axis(support, slot[:, None, :], axis=2)
        available = np.take_along_axis(available, slot, axis=1)
    # Without a record it can only fail: who reads it is told so, and need not wait.
    gone = asked if table.is_recorded else asked | ~table.recorded[rows]
    return View(
        position=rows,
        task=table.task[rows],
        features=table.features[rows],
        is_open=is_open,
        asked=asked,
        answered=answered,
        answer=answer.astype(np.int16),
        support=support,
        available=available,
        spent=(table.cost[rows] * asked).sum(axis=1, dtype=np.float32),
        budget=np.full(len(rows), budget, dtype=np.float32),
        n_rounds=np.zeros(len(rows), dtype=np.int64) if n_rounds is None else n_rounds,
        closed=None if table.is_recorded else ~table.recorded[rows],
        ready=None if table.reads is None else table.reads.ready(gone),
        replies=None if table.replies is None else table.replies[rows].where(asked),
    )


def _slots(available: BoolArray) -> tuple[IntArray, IntArray]:
    """Available candidates first, each part in its own (alphabetical) order.

    Returns:
        int64[B, C], the table's candidate at each place of the view; and the way back, the place of
        each of the table's candidates.
    """
    rank, n_slots = np.cumsum(available, axis=1), available.shape[1]
    place = np.where(available, rank, rank[:, -1:] + np.arange(1, n_slots + 1) - rank) - 1
    slot = np.empty_like(place)
    np.put_along_axis(slot, place, np.arange(n_slots)[None], axis=1)
    return slot, place


def _available(table: Recorded, rows: IntArray, asked: BoolArray) -> tuple[BoolArray, bool]:
    """bool[B, C], in the table's numbers: all options, or the answers given so far.

    Returns:
        What is available; and whether the view numbers it otherwise than the table does.
    """
    exists, is_open = table.exists[rows], table.kind[rows] != CandidateKind.OPTIONS
    if not is_open.any():
        return exists, False
    return np.where(is_open[:, None], _given(table.support[rows], asked), exists), True


def _given(support: FloatArray, asked: BoolArray) -> BoolArray:
    """bool[B, C]: given by a member asked. A matrix product is ten times as fast as `any`."""
    return np.asarray((asked.astype(np.float32)[:, None] @ support)[:, 0] > 0)


def candidates_of(table: Recorded, rows: IntArray, asked: BoolArray, place: np.ndarray) -> IntArray:
    """Translate a view's candidate numbers into the table's.

    Args:
        table: the recorded answers.
        rows: int64[B], the queries.
        asked: bool[B, N], the members asked.
        place: int[B] or int[B, L], candidates as the view of these numbers them; -1 for none.

    Returns:
        int64 of the same shape; -1 stays.
    """
    return _named(_available(table, rows, asked), place).reshape(place.shape)


def _named(seen: tuple[BoolArray, bool], place: np.ndarray) -> IntArray:
    """int64[B, L], the table's candidates at places int[B, L] or int[B]; -1 stays."""
    available, renumbered = seen
    place = place if place.ndim == 2 else place[:, None]
    if not renumbered:
        return place.astype(np.int64)
    taken = np.maximum(place, 0).astype(np.int64)
    found = np.take_along_axis(_slots(available)[0], taken, axis=1)
    return np.where(place >= 0, found, -1)


def worth_of(
    table: ResponseTable, rows: IntArray, asked: BoolArray, place: np.ndarray
) -> FloatArray:
    """Scores of candidates of a view: float32 of the shape of `place`.

    Zero for -1, and for a candidate that no member asked has given.

    Args: as of `candidates_of`.
    """
    seen = _available(table, rows, asked)
    wide = _named(seen, place)
    taken = np.maximum(wide, 0)
    score = table.candidate_score[rows[:, None], taken]
    given = np.take_along_axis(seen[0], taken, axis=1)
    return np.where((wide >= 0) & given, score, 0).astype(np.float32).reshape(place.shape)
