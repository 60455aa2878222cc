"""What is known of a pool beforehand: accuracies, prices, competence.

Everything comes from labelled training queries. Where an agent trains on a query, the competence
predicted for that query comes from a model that never saw it (out of fold).

Axes: Q queries, N members, T tasks, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from rlfocal.extras import need
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.single import expected_score, sound_accuracy, task_accuracy

__all__ = ["Competence", "PoolStatistics"]

_RIDGE = np.logspace(0, 4, 9)
"""Penalties tried; the largest leaves next to nothing of the query text."""


@dataclass(frozen=True, eq=False)
class PoolStatistics:
    """Statistics of a pool's members on labelled queries."""

    accuracy: FloatArray
    """float32[N] in [0, 1]; as far as records carry it, see `sound_accuracy`."""
    task_accuracy: FloatArray
    """float32[T + 1, N]: drawn towards `accuracy`; the last row stands for an unknown task."""
    relative_cost: FloatArray
    """float32[N]: mean cost of a call, in units of `unit_cost`."""
    unit_cost: float
    """Mean cost of a call over members and queries, in the table's unit."""

    @classmethod
    def of(cls, table: ResponseTable) -> Self:
        """Measure a table of labelled queries."""
        whole = table.is_complete
        accuracy = table.member_score.mean(axis=0) if whole else sound_accuracy(table)
        unit_cost = table.call_cost(dtype=np.float32)
        return cls(
            accuracy=accuracy.astype(np.float32),
            task_accuracy=np.vstack([task_accuracy(table), accuracy]).astype(np.float32),
            relative_cost=(table.member_mean(table.cost, dtype=np.float32) / unit_cost).astype(
                np.float32
            ),
            unit_cost=unit_cost,
        )

    @property
    def ranking(self) -> IntArray:
        """int64[N]: the members, the most accurate first."""
        return np.argsort(-self.accuracy, kind="stable")


@dataclass(frozen=True, eq=False)
class Competence:
    """How well each member should do on a query, judged by its text: ridge regressions per member.

    One predicts the difference from the member's accuracy on the task, so that a heavy penalty
    leaves the task accuracy, not zero. The other is for queries whose task is not told, as most
    that are served: it predicts the difference from the accuracy on all tasks.
    """

    weight: FloatArray
    """float32[2, D, N]: where the task is known, and where it is not."""
    intercept: FloatArray
    """float32[2, N]."""

    @classmethod
    def fit(cls, table: ResponseTable, statistics: PoolStatistics) -> Self:
        """Fit on labelled queries; the penalties are picked by leave-one-out error."""
        n_features = table.features.shape[1]
        if n_features == 0:
            zeros = np.zeros((2, 0, table.n_members), dtype=np.float32)
            return cls(zeros, np.zeros((2, table.n_members), dtype=np.float32))
        linear_model = need("sklearn.linear_model", "judging members by a query's text")
        score, fitted = expected_score(table), []
        untold = np.full_like(table.task, len(statistics.task_accuracy) - 1)
        for task in (table.task, untold) if len(table.tasks) > 1 else (untold,):
            gap = score - statistics.task_accuracy[task]
            fitted.append(linear_model.RidgeCV(alphas=_RIDGE).fit(table.features, gap))
        models = (fitted[0], fitted[-1])
        return cls(
            np.stack([np.asarray(model.coef_, dtype=np.float32).T for model in models]),
            np.stack([np.asarray(model.intercept_, dtype=np.float32) for model in models]),
        )

    def predict(self, features: FloatArray, untold: BoolArray) -> FloatArray:
        """float32[B, N]: expected gain over the member's accuracy on the task.

        Args:
            features: float32[B, D].
            untold: bool[B], where the task is unknown and the accuracy is that on all tasks.
        """
        found = np.empty((len(features), self.weight.shape[2]), dtype=np.float32)
        for place, rows in enumerate((~untold, untold)):
            if rows.any():
                found[rows] = features[rows] @ self.weight[place] + self.intercept[place]
        return found

    @classmethod
    def out_of_fold(cls, table: ResponseTable, fold: IntArray) -> FloatArray:
        """float32[2, Q, N]: predictions for training queries, each from the other folds alone.

        First with the tasks known, then without.
        """
        out = np.zeros((2, table.n_queries, table.n_members), dtype=np.float32)
        for k in np.unique(fold):
            rest, here = table.take(fold != k), fold == k
            fitted = cls.fit(rest, PoolStatistics.of(rest))
            for place in (0, 1):
                untold = np.full(int(here.sum()), bool(place))
                out[place, here] = fitted.predict(table.features[here], untold)
        return out
