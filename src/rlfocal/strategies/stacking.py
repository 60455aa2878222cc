"""Supervised fusion of all answers: a conditional logit over candidates, shared by all candidates.

The logit of a candidate is a weighted sum of its supports, so an option's index has no meaning.
`likelihood` holds the arithmetic; this file says what is fitted and chooses how free it is.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray, ResponseTable
from rlfocal.strategies.inner import inner_folds
from rlfocal.strategies.likelihood import (
    PENALTIES,
    WeightModel,
    choices_of,
    cross_fit,
    evidence,
    log_odds,
)
from rlfocal.strategies.single import sound_accuracy, task_accuracy

__all__ = ["Stacking"]

_N_FOLDS = 3
_MIN_TUNING_ROWS = 30
"""With fewer training queries the first penalties are kept: too few to judge the others by."""


class Stacking(Base):
    """Asks all members and fuses them by a conditional logit fitted on training queries.

    The logit of candidate c is the sum over members n of w[t, n] · support, plus
    v[t, n] · log(1 + support / 0.01) where supports are graded (option scores, several samples).
    For open queries, "none of these" competes with a bias of its own for each task, so that
    confidence stays honest where no member is right. Where nobody answered, there is no answer.

    The weights start from log-odds of accuracy (weighted vote with fitted scale and number of
    alternatives, the latter two free) and deviate per member and per (task, member) under ridge
    penalties, whose strength inner cross-validation chooses by likelihood. The problem is convex.

    On queries of which only scores are known, candidates share no support: the fit then tends to
    the best member of each task, paid for by asking everybody. So answers are needed.

    Args:
        penalties: (per member, per task and member) ridge penalties to choose from, positive; the
            strongest first.

    Raises:
        ValueError: empty or non-positive `penalties`.
    """

    name = "stacking"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})

    def __init__(
        self,
        *,
        penalties: tuple[tuple[float, float], ...] = PENALTIES,
    ) -> None:
        if not penalties or min(min(pair) for pair in penalties) <= 0:
            raise ValueError(f"penalties must hold pairs of positive numbers, got {penalties}")
        self.penalties = penalties

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Choose the penalties, then fit on everything."""
        self.graded_ = table.has_graded_support
        choices = choices_of(table, graded=self.graded_)
        self.penalty_ = self.penalties[0]
        if len(self.penalties) > 1 and table.n_queries >= _MIN_TUNING_ROWS:
            fold = inner_folds(table, _N_FOLDS)
            models = [self._model(table.take(fold != k)) for k in range(_N_FOLDS)]
            self.penalty_ = self.penalties[cross_fit(choices, fold, models, self.penalties)[0]]
        model = self._model(table)
        theta = model.fit(choices, *self.penalty_)
        self.weight_, self.none_bias_, _ = model.weights(theta)
        return self

    def next_members(self, view: View) -> BoolArray:
        """Ask everybody, once."""
        return np.asarray(np.broadcast_to((view.n_rounds == 0)[:, None], view.asked.shape))

    def fuse(self, view: View) -> FloatArray:
        """Probability of each candidate; what is missing to 1 is "none of these"."""
        signal = evidence(view.support, graded=self.graded_)
        logit = np.matmul(self.weight_[view.task][:, None, :], signal)[:, 0]
        logit = np.where(view.available, logit, -np.inf)
        none = np.where(view.is_open, self.none_bias_[view.task], -np.inf)
        top = np.maximum(np.maximum(logit.max(axis=1), none), -1e9)[:, None]
        power = np.exp(logit - top)
        total = power.sum(axis=1) + np.exp(none - top[:, 0])
        heard = view.answered.any(axis=1, keepdims=True)
        chance = power / np.where(heard, total[:, None], 1)
        return np.asarray(np.where(heard, chance, 0), dtype=np.float32)

    def _model(self, table: ResponseTable) -> WeightModel:
        member = log_odds(sound_accuracy(table))
        task = log_odds(task_accuracy(table))
        return WeightModel.from_log_odds(member, task, graded=self.graded_)
