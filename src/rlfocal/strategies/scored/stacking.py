"""Stacking that reads replies: the conditional logit of `stacking`, with one signal more.

Axes: B queries, Q training queries, N members, C candidate slots, T tasks, F folds, S signals (see
`stacking.likelihood`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.errors import CheckpointError
from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.scored.scored import Scored
from rlfocal.strategies.stacking.likelihood import Weights, choices_of, evidence
from rlfocal.strategies.stacking.strategy import MIN_TUNING_ROWS, choice_probability, model_of
from rlfocal.strategies.stacking.weights import PENALTIES, WeightModel, cross_fit

__all__ = ["CrossFitted", "EvidenceFit", "EvidenceStacking", "FusesEvidence", "signals_of"]


class CrossFitted(NamedTuple):
    """A fitted conditional logit, and the same without each fold."""

    weight: Float64Array
    """float64[T, S]."""
    none_bias: Float64Array
    """float64[T]."""
    apart: list[Weights]
    """Of F fits, the k-th without fold k."""


class EvidenceFit:
    """Fits conditional logits of supports and of what replies add to log-odds.

    Args:
        table: labelled training queries.
        fold: int64[Q].
        shift: float32[Q, N], found without each query's fold.
    """

    def __init__(self, table: ResponseTable, fold: IntArray, shift: FloatArray) -> None:
        self.table, self.fold, self.shift = table, fold, shift
        self.graded = table.has_graded_support
        self._model = self._model_of(table)
        self._apart = [self._model_of(table.take(fold != k)) for k in range(int(fold.max()) + 1)]
        few = table.n_queries < MIN_TUNING_ROWS
        self._penalties: Sequence[tuple[float, float]] = PENALTIES[:1] if few else PENALTIES

    def _model_of(self, table: ResponseTable) -> WeightModel:
        return model_of(table, graded=self.graded, with_shift=True)

    def fit(self, asked: BoolArray | None = None) -> CrossFitted:
        """Fit on everything; the penalties are chosen by the first fit, and stay.

        Args:
            asked: bool[Q, N], the members whose answers are known; None for all.
        """
        choices = choices_of(self.table, graded=self.graded, asked=asked, shift=self.shift)
        best, thetas = cross_fit(choices, self.fold, self._apart, self._penalties)
        self._penalties = self._penalties[best : best + 1]
        theta = self._model.fit(choices, *self._penalties[0])
        weight, none_bias, *_ = self._model.weights(theta)
        apart = [model.weights(theta) for model, theta in zip(self._apart, thetas, strict=True)]
        return CrossFitted(weight, none_bias, apart)


def signals_of(view: View, shift: FloatArray, *, graded: bool) -> FloatArray:
    """float32[B, S, C]: supports, and what their replies add together.

    Args:
        view: what is known.
        shift: float32[B, N], 0 where a member has not answered.
        graded: whether logarithms of supports are signals, too.
    """
    moved = np.einsum("bn,bnc->bc", shift, view.support)
    return np.concatenate([evidence(view.support, graded=graded), moved[:, None]], axis=1)


class FusesEvidence(Scored):
    """Has weights of a conditional logit over supports and what replies add to log-odds."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS, Need.REPLIES})
    fitted: ClassVar[Mapping[str, Row]] = {**Scored.fitted, "graded": Row("bool", "")}
    weight_: Float64Array
    """float64[..., T, S]."""
    graded_: bool
    """Whether logarithms of supports are signals, too."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`.

        Raises:
            CheckpointError: weights for another number of signals.
        """
        super().restore(state)
        wanted = (1 + self.graded_) * len(self.base_) + 1
        if self.weight_.shape[-1] != wanted:
            raise CheckpointError(
                f"the array 'weight' is for {self.weight_.shape[-1]} signals; as 'graded' is "
                f"{self.graded_}, it should be for {wanted}"
            )
        return self


class EvidenceStacking(FusesEvidence, OneRound):
    """Asks all members and fuses answers and replies by a conditional logit.

    As `stacking`, with what each reply adds to its member's log-odds, summed over those who back a
    candidate, as one more signal; it counts as log-odds do, and deviates under the same penalties.
    """

    name = "evidence-stacking"
    fitted: ClassVar[Mapping[str, Row]] = {
        **FusesEvidence.fitted,
        "weight": Row("float64", "TS"),
        "none_bias": Row("float64", "T"),
    }

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Learn the score, then the weights, by what scores say out of fold."""
        fold, found = self.learn(table, rng=rng)
        fit = EvidenceFit(table, fold, found.shift)
        self.graded_ = fit.graded
        self.weight_, self.none_bias_, _ = fit.fit()
        return self

    def fuse(self, view: View) -> FloatArray:
        """Probability of each candidate; what is missing to 1 is "none of these"."""
        signal = signals_of(view, self.shift(view), graded=self.graded_)
        return choice_probability(view, signal, self.weight_[view.task], self.none_bias_[view.task])
