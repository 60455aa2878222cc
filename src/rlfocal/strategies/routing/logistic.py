"""A router that predicts each member's score by a ridge logistic regression on the query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from rlfocal.deliberation.state import Row
from rlfocal.extras import need
from rlfocal.numbers import Float64Array, log_odds, sigmoid
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.routing.router import Router, best_setting, routed_score
from rlfocal.strategies.single import expected_score, task_accuracy

__all__ = ["LogisticRouter", "ridge_logistic"]

_N_FOLDS = 3
_MIN_TUNING_ROWS = 30
"""With fewer training queries the strongest penalty is kept: too few to judge the others by."""


class LogisticRouter(Router):
    """Predicts P(right) = sigmoid(log-odds of the accuracy on the task + weights · features).

    The accuracy on the task (drawn towards the member's mean) is an offset and not a one-hot
    feature, so with much regularisation this is the best member of each task, and without features
    exactly that. One ridge penalty serves all members; it is chosen by inner cross-validation, and
    "no weights at all" is among the choices. Scores may be fractions.

    Args:
        cost_weight: price of a call, see `Router`.
        penalties: ridge penalties to choose from, positive; infinity means no weights.

    Raises:
        ValueError: empty or non-positive `penalties`.
    """

    name = "logistic-router"
    packages = ("scipy",)
    fitted: ClassVar[Mapping[str, Row]] = {
        **Router.fitted,
        "penalty": Row("float64", "", 0, finite=False),
        "offset": Row("float32", "TN"),
        "centre": Row("float32", "D"),
        "weight": Row("float32", "DN"),
    }

    def __init__(
        self,
        *,
        cost_weight: float = 0.0,
        penalties: tuple[float, ...] = (np.inf, 300.0, 100.0, 30.0, 10.0),
    ) -> None:
        super().__init__(cost_weight=cost_weight)
        if not penalties or not all(penalty > 0 for penalty in penalties):
            raise ValueError(f"penalties must hold positive numbers, got {penalties}")
        self.penalties = tuple(sorted(penalties, reverse=True))

    def _fit_predictor(self, table: ResponseTable, rng: np.random.Generator) -> None:
        penalties = self.penalties if table.features.shape[1] else (np.inf,)
        best = 0
        is_enough = table.n_queries >= _MIN_TUNING_ROWS and len(np.unique(table.group)) > 1
        if len(penalties) > 1 and is_enough:
            best = best_setting(self._routed(table, penalties))
        self.penalty_ = float(penalties[best])
        self.offset_ = _offsets(table)
        # Centred, because the offset already says how often a member is right on average.
        self.centre_ = table.features.mean(axis=0)
        # The same path of warm starts as in the inner folds.
        path = penalties[: best + 1]
        self.weight_ = _path(table, path, self.centre_)[-1]

    def predict(self, task: IntArray, features: FloatArray) -> FloatArray:
        """float32[B, N]: probability that each member is right."""
        return sigmoid(self.offset_[task] + (features - self.centre_) @ self.weight_)

    def _routed(self, table: ResponseTable, penalties: tuple[float, ...]) -> FloatArray:
        """float32[S, Q]: what each query earns under each penalty, by inner cross-validation."""
        fold, expected = inner_folds(table, _N_FOLDS), expected_score(table)
        routed = np.empty((len(penalties), table.n_queries), dtype=np.float32)
        for i in range(_N_FOLDS):
            out = fold == i
            rest, score = table.take(~out), expected[out]
            centre = rest.features.mean(axis=0)
            offset, inputs = _offsets(rest)[table.task[out]], table.features[out] - centre
            for j, weight in enumerate(_path(rest, penalties, centre)):
                routed[j, out] = routed_score(offset + inputs @ weight, score)
        return routed


def _offsets(table: ResponseTable) -> FloatArray:
    """float32[T, N]: log-odds of each member on each task."""
    return log_odds(task_accuracy(table), least=0.01, dtype=np.float32)


def _path(
    table: ResponseTable, penalties: tuple[float, ...], centre: FloatArray
) -> list[FloatArray]:
    """Weights float32[D, N] for each of the descending penalties, each started at the last."""
    inputs = table.features - centre
    offset, score = _offsets(table)[table.task], expected_score(table)
    weight = np.zeros((inputs.shape[1], table.n_members), dtype=np.float32)
    found = []
    for penalty in penalties:
        if np.isfinite(penalty):
            weight = ridge_logistic(inputs, score, offset, penalty=penalty, start=weight)
        found.append(weight)
    return found


def ridge_logistic(
    inputs: FloatArray, score: FloatArray, offset: FloatArray, *, penalty: float, start: FloatArray
) -> FloatArray:
    """Maximise the penalised likelihood of all members' logistic regressions at once.

    Args:
        inputs: float32[Q, D].
        score: float32[Q, N] in [0, 1].
        offset: float32[Q, N], log-odds before the inputs are looked at.
        penalty: half of it times the squared weights is added to the negative log-likelihood.
        start: float32[D, N].

    Returns:
        float32[D, N].
    """
    optimize = need("scipy.optimize", "logistic regression")

    def loss(flat: Float64Array) -> tuple[float, Float64Array]:
        weight = flat.reshape(start.shape)
        logit = offset + inputs @ weight.astype(np.float32)
        value = np.logaddexp(0, logit).sum(dtype=np.float64) - (score * logit).sum(dtype=np.float64)
        slope = inputs.T @ (sigmoid(logit) - score) + penalty * weight
        return float(value + penalty / 2 * (weight**2).sum()), slope.reshape(-1)

    # The members' problems share nothing but the matrix product, which is what takes the time.
    result = optimize.minimize(
        loss,
        start.astype(np.float64).reshape(-1),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 50, "ftol": 1e-7},
    )
    return np.asarray(result.x.reshape(start.shape), dtype=np.float32)
