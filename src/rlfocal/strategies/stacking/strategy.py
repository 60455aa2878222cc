"""Supervised fusion of all answers: a conditional logit over candidates, shared by all candidates.

The logit of a candidate is a weighted sum of its supports, so an option's index has no meaning.
`likelihood` holds the arithmetic; this file says what is fitted, and how freely.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.errors import CheckpointError
from rlfocal.numbers import log_odds
from rlfocal.records import FloatArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.amounts import checked_amount
from rlfocal.strategies.single import sound_accuracy, task_accuracy
from rlfocal.strategies.stacking.likelihood import choices_of, evidence
from rlfocal.strategies.stacking.weights import LEAST, PENALTIES, WeightModel, cross_fit

__all__ = ["MIN_TUNING_ROWS", "Stacking", "choice_probability", "model_of"]

_N_FOLDS = 3
MIN_TUNING_ROWS = 30
"""With fewer training queries the first penalties are kept: too few to judge the others by."""


class Stacking(OneRound):
    """Asks all members and fuses them by a conditional logit fitted on training queries.

    The logit of candidate c is the sum over members n of w[t, n] · support, plus
    v[t, n] · log(1 + support / 0.01) where supports are graded (option scores, several samples).
    For open queries, "none of these" competes with a bias of its own for each task, so that
    confidence stays honest where no member is right. Where no member answered, there is no answer.

    The weights start from log-odds of accuracy (weighted vote with fitted scale and number of
    alternatives, the latter two free) and deviate per member and per (task, member) under ridge
    penalties, whose strength inner cross-validation chooses by likelihood. The problem is convex.

    On queries of which only scores are known, candidates share no support: the fit then tends to
    the best member of each task, paid for by asking all. So answers are needed.

    Args:
        penalties: (per member, per task and member) ridge penalties to choose from, positive; the
            strongest first.

    Raises:
        ValueError: no `penalties`, or one that is not finite or not positive.
    """

    name = "stacking"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    packages = ("scipy",)
    fitted: ClassVar[Mapping[str, Row]] = {
        "graded": Row("bool", ""),
        "penalty": Row("float64", "2", 0),
        "weight": Row("float64", "TGN"),
        "none_bias": Row("float64", "T"),
    }

    def __init__(
        self,
        *,
        penalties: tuple[tuple[float, float], ...] = PENALTIES,
    ) -> None:
        if not penalties:
            raise ValueError("penalties must hold a pair of numbers at least")
        for penalty in chain.from_iterable(penalties):
            checked_amount(penalty, "each of the penalties")
        self.penalties = penalties

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Choose the penalties, then fit on everything."""
        self.graded_ = table.has_graded_support
        choices = choices_of(table, graded=self.graded_)
        penalty = self.penalties[0]
        if len(self.penalties) > 1 and table.n_queries >= MIN_TUNING_ROWS:
            fold = inner_folds(table, _N_FOLDS)
            models = [self._model(table.take(fold != k)) for k in range(_N_FOLDS)]
            penalty = self.penalties[cross_fit(choices, fold, models, self.penalties)[0]]
        self.penalty_ = float(penalty[0]), float(penalty[1])
        model = self._model(table)
        theta = model.fit(choices, *self.penalty_)
        weight, self.none_bias_, *_ = model.weights(theta)
        # [T, K] -> [T, G, N]: supports first, then their logarithms where there are any.
        self.weight_ = weight.reshape(len(weight), -1, table.n_members)
        return self

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`.

        Raises:
            CheckpointError: weights for another number of signals a member.
        """
        super().restore(state)
        n_signals, wanted = self.weight_.shape[1], 1 + self.graded_
        if n_signals != wanted:
            raise CheckpointError(
                f"the array 'weight' is for {n_signals} signals a member; as 'graded' is "
                f"{self.graded_}, it should be for {wanted}"
            )
        return self

    def fuse(self, view: View) -> FloatArray:
        """Probability of each candidate; what is missing to 1 is "none of these"."""
        signal = evidence(view.support, graded=self.graded_)
        return choice_probability(view, signal, self.weight_[view.task], self.none_bias_[view.task])

    @property
    def votes_only_help(self) -> bool:
        """Whether all weights are above 0; not of graded supports, which back several answers."""
        return not self.graded_ and bool((self.weight_ > 0).all())

    def _model(self, table: ResponseTable) -> WeightModel:
        return model_of(table, graded=self.graded_)


def model_of(table: ResponseTable, *, graded: bool, with_shift: bool = False) -> WeightModel:
    """Weights that start from log-odds of accuracy on a table of labelled queries."""
    member = log_odds(sound_accuracy(table), least=LEAST)
    task = log_odds(task_accuracy(table), least=LEAST)
    return WeightModel.from_log_odds(member, task, graded=graded, with_shift=with_shift)


def choice_probability(
    view: View, signal: FloatArray, weight: NDArray[np.float64], none_bias: NDArray[np.float64]
) -> FloatArray:
    """Probability of each candidate; what is missing to 1 is "none of these".

    Args:
        view: what is known.
        signal: float32[B, K, C].
        weight: float64[B, ...], K numbers a query.
        none_bias: float64[B], logit of "none of these" where a query is open.

    Returns:
        float32[B, C]; a row of zeros where nobody answered.
    """
    logit = np.matmul(weight.reshape(len(view), 1, -1), signal)[:, 0]
    logit = np.where(view.available, logit, -np.inf)
    none = np.where(view.is_open, none_bias, -np.inf)
    top = np.maximum(np.maximum(logit.max(axis=1), none), -1e9)[:, None]
    power = np.exp(logit - top)
    total = power.sum(axis=1) + np.exp(none - top[:, 0])
    voted = view.answered.any(axis=1, keepdims=True)
    chance = power / np.where(voted, total[:, None], 1)
    return np.asarray(np.where(voted, chance, 0), dtype=np.float32)
