"""One member, one round: the best single member, the best per task, and a random one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.numbers import shrunk
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.reading import voters

__all__ = [
    "BestAlone",
    "BestSingle",
    "BestSinglePerTask",
    "OneMember",
    "RandomMember",
    "expected_score",
    "sound_accuracy",
    "task_accuracy",
]

_POOL_WORTH = 20.0
"""Where responses are missing: how many queries the pool's mean is worth to a member's accuracy."""


def sound_accuracy(table: ResponseTable) -> NDArray[np.float64]:
    """Accuracy of each member, as far as its records carry: what to rank members by.

    Args:
        table: labelled training queries.

    Returns:
        float64[N] in [0, 1]. Where everything is recorded, the plain means. Else each over what is
        recorded of the member, drawn to the pool's mean by 20 pseudo-counts: otherwise a member
        that was right three times out of three would be the best there is. Without queries .5.
    """
    if table.is_complete and table.n_queries:
        return table.member_accuracy
    known = table.scored
    total = np.where(known, table.member_score, 0).sum(axis=0, dtype=np.float64)
    count = known.sum(axis=0)
    pool = total.sum() / count.sum() if count.any() else 0.5
    return np.asarray(shrunk(total, count, towards=pool, worth=_POOL_WORTH))


def expected_score(table: ResponseTable) -> FloatArray:
    """float32[Q, N]: each member's score; its accuracy on the task where nothing is recorded.

    So a missing response moves no prediction: it says what was to be expected anyway.
    """
    if table.is_complete:
        return table.member_score
    return np.where(table.scored, table.member_score, task_accuracy(table)[table.task])


def task_accuracy(table: ResponseTable, *, pseudo_counts: float = 20.0) -> FloatArray:
    """Accuracy of each member on each task, drawn towards the member's mean.

    Args:
        table: labelled training queries.
        pseudo_counts: how many queries the member's overall mean is worth; keeps a task of few
            queries from naming a lucky member.

    Returns:
        float32[T, N] in [0, 1]. Where responses are missing, over what is recorded, and drawn
        towards `sound_accuracy`.
    """
    total, count = table.sum_by_task(table.member_score)
    whole = table.is_complete and table.n_queries
    mean = table.member_score.mean(axis=0) if whole else sound_accuracy(table)
    return np.asarray(shrunk(total, count, towards=mean, worth=pseudo_counts), dtype=np.float32)


class OneMember(OneRound, ABC):
    """Asks one member, whose support is the answer: a subclass writes `member` in place of both."""

    @abstractmethod
    def member(self, view: View) -> IntArray:
        """int64[B]: whom to ask."""

    def first(self, view: View) -> BoolArray:
        """That member alone."""
        return np.asarray(self.member(view)[:, None] == np.arange(view.asked.shape[1]))

    def fuse(self, view: View) -> FloatArray:
        """Its support is the answer; what those said whom it read was paid, and does not count."""
        if view.ready is not None:
            view = voters(view, self.first(view))
        return np.asarray(view.support.sum(axis=1), dtype=np.float32)


class BestSingle(OneMember):
    """Always the member that was most accurate on the training queries."""

    name = "best-single"
    fits_on_window: ClassVar[bool] = True
    fitted: ClassVar[Mapping[str, Row]] = {"member": Row("int64", "", 0, "N")}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Pick the member; ties go to the cheaper one, then to the first."""
        self.member_ = int(np.lexsort((table.mean_full_cost, -sound_accuracy(table)))[0])
        return self

    def member(self, view: View) -> IntArray:
        """The same for every query."""
        return np.full(view.task.shape, self.member_, dtype=np.int64)


class BestAlone(BestSingle):
    """Of the members that read no other, the one that was most accurate on the training queries.

    What one model gives: beside it a judge, a second turn or an aggregator has to earn its price.
    Where nobody reads it is `BestSingle`.
    """

    name = "best-alone"

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Pick the member; ties go to the cheaper one, then to the first."""
        accuracy = sound_accuracy(table)
        if table.reads is not None:
            accuracy = np.where(table.reads.is_reader, -1.0, accuracy)
        self.member_ = int(np.lexsort((table.mean_cost, -accuracy))[0])
        return self


class BestSinglePerTask(OneMember):
    """For each task, the member that was most accurate there on the training queries."""

    name = "best-single-per-task"
    fitted: ClassVar[Mapping[str, Row]] = {"member_of_task": Row("int64", "T", 0, "N")}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Pick one member a task."""
        self.member_of_task_ = task_accuracy(table).argmax(axis=1)
        return self

    def member(self, view: View) -> IntArray:
        """The task's member."""
        return np.asarray(self.member_of_task_[view.task])


class RandomMember(OneMember):
    """A member drawn uniformly for each query: what choosing without knowing anything gives."""

    name = "random"
    stochastic: ClassVar[bool] = True
    fitted: ClassVar[Mapping[str, Row]] = {"key": Row("int64", "", 0)}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Draw a key; the choice then depends on the query's place in the stream alone."""
        self.key_ = int(rng.integers(2**63))
        return self

    def member(self, view: View) -> IntArray:
        """The member drawn."""
        return np.asarray(_hash(view.position, self.key_) % view.asked.shape[1])


def _hash(position: IntArray, key: int) -> IntArray:
    """int64[B], non-negative: a draw for each place in the stream, however the stream is batched.

    Source: the SplitMix64 finaliser (Steele et al. 2014, "Fast splittable pseudorandom numbers").
    """
    with np.errstate(over="ignore"):
        z = position.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(key)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(1)).astype(np.int64)
