"""What is known of the members: figures over what is recorded, never over what is missing.

The one place that says how a missing response enters a mean: not at all. Knows the arrays of a
`ResponseTable`, which inherits all this, and nothing of where they come from.

Axes: Q queries, N members, T tasks.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlfocal.readers import Reads

__all__ = ["Known"]


class Known:
    """Figures of a table's members, each over the responses whose worth is known.

    On complete data they are the plain means, to the last bit.
    """

    tasks: tuple[str, ...]
    task: NDArray[np.int64]
    cost: NDArray[np.float32]
    recorded: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    reads: Reads | None

    @cached_property
    def member_score(self) -> NDArray[np.float32]:
        """float32[Q, N] in [0, 1]."""
        raise NotImplementedError

    @cached_property
    def scored(self) -> NDArray[np.bool_]:
        """bool[Q, N]: True where a response of member n is there and its worth is known."""
        return np.asarray(self.recorded & self.judged[:, None])

    @property
    def complete(self) -> NDArray[np.bool_]:
        """bool[Q]: True where the worth of every member's response is known."""
        return np.asarray(self.scored.all(axis=1))

    @cached_property
    def is_recorded(self) -> bool:
        """True when every member has a response to every query."""
        return bool(self.recorded.all())

    @cached_property
    def is_complete(self) -> bool:
        """True when nothing is missing."""
        return bool(self.scored.all())

    @property
    def coverage(self) -> NDArray[np.float64]:
        """float64[N] in [0, 1]: on what share of the judged queries a member's worth is known.

        1 where there are no judged queries.
        """
        n_judged = int(self.judged.sum())
        known = self.scored.sum(axis=0)
        return np.asarray(known / n_judged if n_judged else np.ones(self.recorded.shape[1]))

    @cached_property
    def member_accuracy(self) -> NDArray[np.float64]:
        """float64[N] in [0, 1]: mean score of each member over what is recorded of it.

        Never NaN: a member of which nothing is recorded gets the mean of all that is, 0.5 where
        nothing is at all.
        """
        return self.member_mean(self.member_score)

    @cached_property
    def mean_cost(self) -> NDArray[np.float64]:
        """float64[N], positive: mean price of the recorded calls of each member."""
        return self.member_mean(self.cost)

    @cached_property
    def full_cost(self) -> NDArray[np.float32]:
        """float32[Q, N]: price of asking member n where nobody was asked before.

        `cost` itself but for members that read others: whom they read is paid, too.
        """
        if self.reads is None:
            return self.cost
        return self.cost @ self.reads.with_read.T.astype(np.float32) * self.recorded

    @cached_property
    def mean_full_cost(self) -> NDArray[np.float64]:
        """float64[N], positive: the mean of `full_cost` over the recorded calls of each member."""
        return self.mean_cost if self.reads is None else self.member_mean(self.full_cost)

    def called_for(self, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """bool[B, N]: members wanted, bool[B, N], and all whom they read."""
        if self.reads is None:
            return wanted
        return self.reads.expanded(wanted, np.zeros_like(wanted))

    def call_cost(self, *, dtype: type[np.floating] = np.float64) -> float:
        """Mean price of a recorded call, whoever is called; 1 where nothing is recorded."""
        asked = self.cost if self.is_complete else self.cost[self.recorded]
        return float(asked.mean(dtype=dtype)) if asked.size else 1.0

    def member_mean(
        self, values: NDArray[np.floating], *, dtype: type[np.floating] = np.float64
    ) -> NDArray[Any]:
        """Mean of each member over the responses whose worth is known.

        Args:
            values: float[Q, N]; what stands where nothing is known is not read.
            dtype: of the sums.

        Returns:
            dtype[N]; a member without any gets the mean over all members' responses, 0.5 where
            there is none at all.
        """
        if self.is_complete and len(values):
            return np.asarray(values.mean(axis=0, dtype=dtype))
        known = self.scored
        total = np.where(known, values, 0).sum(axis=0, dtype=dtype)
        count = known.sum(axis=0)
        everybody = total.sum() / count.sum() if count.any() else 0.5
        return np.where(count > 0, total / np.maximum(count, 1), everybody).astype(dtype)

    @property
    def member_task_accuracy(self) -> NDArray[np.float64]:
        """float64[N, T]: mean score of each member on each task; NaN where nothing is recorded."""
        total, count = self.sum_by_task(self.member_score)
        with np.errstate(invalid="ignore"):
            return np.asarray((total / count).T)

    def sum_by_task(
        self, values: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sums of float[Q, N] over what is known, and how many that is: float64[T, N] both."""
        n_tasks, known = len(self.tasks), self.scored
        total, count = np.zeros((2, n_tasks, self.recorded.shape[1]))
        if self.is_complete:
            np.add.at(total, self.task, values)
            return total, count + np.bincount(self.task, minlength=n_tasks)[:, None]
        np.add.at(total, self.task, np.where(known, values, 0))
        np.add.at(count, self.task, known)
        return total, count
