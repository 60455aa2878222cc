"""What all routers share: ask the member with the best prediction, less the price of its call.

Knows nothing of how scores are predicted; each router does that in its own file.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.numbers import shrunk_mean
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.strategies.amounts import checked_amount
from rlfocal.strategies.single import OneMember

__all__ = ["DIALS", "Router", "best_setting", "routed_score"]

DIALS = (100.0, 30.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.0)
"""Prices worth showing, the same for every training table, so that folds can be averaged by dial.

Predictions and relative costs differ by at most 1, so 0.005 is as good as free; the high end orders
members that cost a hundredth of the dearest.
"""


class Router(OneMember):
    """Asks one member: the arg max of predicted score - cost_weight * relative cost.

    The relative cost of a member is its mean training cost on the query's task (drawn towards its
    mean over all tasks by 20 pseudo-counts) divided by the mean cost of the dearest member; that of
    a member which reads others includes their calls. So a weight of 0.1 gives up at most 0.1 of
    expected score to save the price of the dearest member's call. Ties go to the cheaper member,
    then to the first.

    Args:
        cost_weight: price of the dearest member's call, in score, >= 0.

    Raises:
        ValueError: a negative or non-finite weight.
    """

    dial: ClassVar[str] = "cost_weight"
    fitted: ClassVar[Mapping[str, Row]] = {
        "relative_cost": Row("float32", "TN", 0),
        "dearest": Row("float64", "", 0),
    }

    _foreseen: FloatArray | None = None
    """float32[Q, N]: predictions for queries that it will meet, by `View.position`."""

    def __init__(self, *, cost_weight: float = 0.0) -> None:
        self.cost_weight = checked_amount(cost_weight, "cost_weight", may_be_zero=True)

    @property
    def dials(self) -> tuple[float, ...]:
        """Settings worth showing, cheapest first; only 0 where every call costs the same."""
        cost = self.relative_cost_
        return (0.0,) if np.allclose(cost, cost[:, :1], rtol=1e-6) else DIALS

    def with_dial(self, value: float) -> Self:
        """Return the same fitted router at another price of the dearest member's call.

        Raises:
            ValueError: a negative or non-finite price.
        """
        return super().with_dial(checked_amount(value, "cost_weight", may_be_zero=True))

    def setting_at(self, price: float) -> float:
        """The same price in the unit of `cost_weight`: nothing has to be measured.

        Raises:
            ValueError: an earlier version trained it, without the unit.
        """
        return price * self.dearest_

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Learn to predict scores, and what each member costs on each task."""
        mean = table.mean_full_cost
        prior = np.tile(mean.astype(np.float32), (len(table.tasks), 1))
        full, known = table.full_cost, table.recorded
        cost = shrunk_mean(full, table.task, prior, pseudo_counts=20.0, known=known)
        self.relative_cost_ = cost / np.float32(mean.max())
        self.dearest_ = float(mean.max() / table.call_cost())  # its cost in average calls
        self._fit_predictor(table, rng)
        return self

    @abstractmethod
    def _fit_predictor(self, table: ResponseTable, rng: np.random.Generator) -> None:
        """Learn what `predict` needs."""

    @abstractmethod
    def predict(self, task: IntArray, features: FloatArray) -> FloatArray:
        """Predict every member's score.

        Args:
            task: int64[B].
            features: float32[B, D].

        Returns:
            float32[B, N] in [0, 1].
        """

    @property
    def least_chance(self) -> FloatArray:
        """float32[N], or one for all members: less than that it predicts for no query."""
        return np.zeros(1, dtype=np.float32)

    def foreseeing(self, task: IntArray, features: FloatArray) -> Self:
        """With predictions for these queries."""
        return self._with(_foreseen=self.predict(task, features))

    def predict_for(self, view: View) -> FloatArray:
        """What `predict` says of the queries of a view."""
        if self._foreseen is not None:
            return self._foreseen[view.position]
        return self.predict(view.task, view.features)

    def member(self, view: View) -> IntArray:
        """The best member."""
        cost = self.relative_cost_[view.task]
        utility = self.predict_for(view) - self.cost_weight * cost
        best = utility == utility.max(axis=1, keepdims=True)
        return np.asarray(np.where(best, cost, np.inf).argmin(axis=1), dtype=np.int64)


def routed_score(predicted: FloatArray, score: FloatArray) -> FloatArray:
    """float32[Q]: the score of the member with the highest prediction (both float[Q, N]).

    >>> routed_score(np.array([[0.9, 0.7]]), np.array([[0.2, 0.0]], dtype=np.float32)).tolist()
    [0.20000000298023224]
    """
    return np.asarray(score[np.arange(len(score)), predicted.argmax(axis=1)], dtype=np.float32)


def best_setting(routed: FloatArray) -> int:
    """Choose a setting by what it would have earned, preferring the smoother one in doubt.

    Args:
        routed: float[S, Q], what each training query earned under each setting, judged out of
            sample; settings from the smoothest to the most flexible.

    Returns:
        The setting with the highest mean, if that beats the smoothest one by more than a standard
        error of the paired difference; else the smoothest. Text says little about who is right, and
        the best of several noisy settings is often only the luckiest.

    >>> best_setting(np.array([[1.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]]))
    1
    >>> best_setting(np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]]))
    0
    """
    best = int(routed.mean(axis=1).argmax())
    gain = np.asarray(routed[best] - routed[0], dtype=np.float64)
    return best if bool(gain.mean() > gain.std() / np.sqrt(len(gain))) else 0
