"""Option scores of unknown scale become calibrated supports.

Log-likelihoods, logits, probabilities and min-max scaled scores all rank the options, but none says
how sure a member is, and members have habits: one says "yes" too often, one prefers the first
option. A temperature and a bias per option, for each task and member, undo both. Recorded answers
stay as they are; supports may come to favour another option, and are more often right.

Fitted on labelled training queries only; a checkpoint carries it. What learns from supports must
not meet supports that were calibrated on the same labels: `calibrate` gives it out-of-fold ones.

Axes: Q queries, N members, C options, T tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from rlfocal.numbers import softmax
from rlfocal.records.tables.folds import inner_folds
from rlfocal.records.tables.table import (
    BoolArray,
    CandidateKind,
    FloatArray,
    IntArray,
    ResponseTable,
)

__all__ = ["Calibration", "calibrate"]

_PRIOR_SD = 1.0
"""Spread of a task's log temperature around its member's: what keeps small tasks in check."""
_BIAS_SD = 1.0
"""Spread of a bias, in units of log-probability: the prior of having no habits."""
_N_STEPS = 40
_N_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Calibration:
    """support = softmax(beta[task, member] · score + bias[task, member, option]).

    `beta` float32[T + 1, N], positive; `bias` float32[T + 1, N, C]. The last row serves an unknown
    task: the member's overall temperature, no bias, since habits differ by task; of data of a
    single task, what was found of that one. `log_scale` bool[N]: members whose scores look
    like probabilities, which enter by their logarithm. Without option scores nothing is changed.
    """

    beta: FloatArray
    bias: FloatArray
    log_scale: BoolArray

    @classmethod
    def fit(cls, table: ResponseTable) -> Self:
        """Fit by penalised maximum likelihood of the right option.

        Each member's overall temperature comes first; each (task, member) is then drawn towards it,
        and its biases towards zero.
        """
        n_tasks, n_members = len(table.tasks), table.n_members
        log_scale = _looks_like_probability(table)
        if table.option_scores is None:
            shape = (n_tasks + 1, n_members)
            ones, zeros = np.ones(shape), np.zeros((*shape, table.n_candidates))
            return cls(ones.astype(np.float32), zeros.astype(np.float32), log_scale)
        score, known = _scores(table, log_scale)
        right = table.candidate_score * table.exists
        labelled = known & (right.sum(axis=1) > 0)[:, None]
        right = right / np.maximum(right.sum(axis=1, keepdims=True), 1e-9)
        spread = np.where(known[:, :, None] & table.exists[:, None, :], score, np.nan)
        with np.errstate(invalid="ignore"):
            scale = np.array([_std(spread[:, n]) for n in range(n_members)])
        start = -np.log(scale)
        everything = np.zeros_like(table.task)
        member = _newton(
            start[None, :], start[None, :], score, right, labelled, table.exists, everything, sd=5.0
        )
        theta = np.vstack([np.repeat(member, n_tasks, axis=0), member])
        bias = np.zeros((n_tasks + 1, n_members, table.n_candidates))
        for t in np.unique(table.task).tolist():
            rows = table.task == t
            theta[t], bias[t] = _with_bias(
                member[0], score[rows], right[rows], labelled[rows], table.exists[rows]
            )
        if n_tasks == 1:  # who names no task means that one
            theta[1], bias[1] = theta[0], bias[0]
        return cls(np.exp(theta).astype(np.float32), bias.astype(np.float32), log_scale)

    def apply(self, table: ResponseTable) -> ResponseTable:
        """Return the table with calibrated supports wherever option scores are known."""
        if table.option_scores is None:
            return table
        support, known = self.support(table.option_scores, table.task, table.exists)
        known &= (table.kind == CandidateKind.OPTIONS)[:, None]
        use = known & table.answered
        return table.with_support(np.where(use[:, :, None], support, table.support))

    def support(
        self, scores: FloatArray, task: IntArray, exists: BoolArray
    ) -> tuple[FloatArray, BoolArray]:
        """From option scores to calibrated supports.

        Args:
            scores: float32[Q, N, C], raw, NaN where there are none.
            task: int64[Q] in 0..T; T for an unknown task.
            exists: bool[Q, C]: which slots hold an option.

        Returns:
            float32[Q, N, C], rows that sum to 1; and bool[Q, N], where every option has a score:
            the others mean nothing.
        """
        score, known = _on_one_scale(scores, exists, self.log_scale)
        # Options beyond those seen in training have no bias.
        n_slots = min(exists.shape[1], self.bias.shape[2])
        logit = self.beta[task][:, :, None] * score
        logit[:, :, :n_slots] += self.bias[task][:, :, :n_slots]
        return softmax(logit, exists[:, None, :]).astype(np.float32), known


def calibrate(table: ResponseTable) -> tuple[Calibration, ResponseTable]:
    """Calibrate a training table.

    Returns:
        The calibration fitted on all its queries, for other tables; and the table itself, where
        every support comes from a calibration that did not see the query's label.
    """
    calibration = Calibration.fit(table)
    if table.option_scores is None:
        return calibration, table
    fold = inner_folds(table, _N_FOLDS)
    support = table.support.copy()
    for k in range(_N_FOLDS):
        if (fold == k).any() and (fold != k).any():
            fitted = Calibration.fit(table.take(fold != k))
            support[fold == k] = fitted.apply(table.take(fold == k)).support
    return calibration, table.with_support(support)


def _std(values: np.ndarray) -> float:
    """Spread of one member's scores within queries (float[Q, C] with NaN), never below 1e-3."""
    rows = values[np.isfinite(values).any(axis=1)]
    if not len(rows):
        return 1.0
    return float(max(np.nanmean(np.nanstd(rows, axis=1)), 1e-3))


def _looks_like_probability(table: ResponseTable) -> BoolArray:
    """bool[N]: scores lie in [0, 1] and sum to 1 over the options."""
    if table.option_scores is None:
        return np.zeros(table.n_members, dtype=bool)
    known = np.isfinite(table.option_scores).any(axis=2)
    total = np.nansum(table.option_scores, axis=2)
    positive = np.nan_to_num(table.option_scores, nan=0.0).min(axis=2) >= 0
    fine = np.isclose(total, 1, atol=1e-3) & positive
    return np.asarray((fine | ~known).all(axis=0) & known.any(axis=0))


def _scores(table: ResponseTable, log_scale: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Scores float32[Q, N, C], 0 where unknown, and which (query, member) have a full set."""
    assert table.option_scores is not None
    score, known = _on_one_scale(table.option_scores, table.exists, log_scale)
    known &= (table.kind == CandidateKind.OPTIONS)[:, None]
    return np.where(known[:, :, None], score, np.float32(0)), known


def _on_one_scale(
    raw: FloatArray, exists: BoolArray, log_scale: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Scores float32[Q, N, C] with probabilities as logarithms, and where all are known."""
    known = np.asarray((np.isfinite(raw) | ~exists[:, None, :]).all(axis=2))
    score = np.where(known[:, :, None], np.nan_to_num(raw, nan=0.0), 0.0)
    logged = np.log(np.maximum(score, 1e-6))
    return np.where(log_scale[None, :, None], logged, score).astype(np.float32), known


def _newton(
    theta: np.ndarray,
    prior: np.ndarray,
    score: FloatArray,
    right: FloatArray,
    labelled: BoolArray,
    exists: BoolArray,
    cell: np.ndarray,
    *,
    sd: float,
) -> np.ndarray:
    """Maximise the penalised likelihood over theta = log beta, float[cells, N], all cells at once.

    The likelihood is concave in beta; the Gauss-Newton curvature in theta is never negative, and
    steps are cut to one unit, so this settles without a line search.
    """
    theta = theta.astype(np.float64).copy()
    for _ in range(_N_STEPS):
        beta = np.exp(theta)
        chance = softmax(beta[cell][:, :, None] * score, exists[:, None, :]).astype(np.float32)
        mean = (chance * score).sum(axis=2)
        variance = (chance * score**2).sum(axis=2) - mean**2
        gap = np.where(labelled, np.einsum("qnc,qc->qn", score, right) - mean, 0)
        gradient, curvature = np.zeros_like(theta), np.zeros_like(theta)
        np.add.at(gradient, cell, gap)
        np.add.at(curvature, cell, np.where(labelled, np.maximum(variance, 0), 0))
        step = (beta * gradient - (theta - prior) / sd**2) / (beta**2 * curvature + 1 / sd**2)
        theta += np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-5:
            break
    return theta


def _with_bias(
    prior: np.ndarray, score: FloatArray, right: FloatArray, labelled: BoolArray, exists: BoolArray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one task by penalised likelihood: theta = log beta float64[N], bias float64[N, C].

    Args:
        prior: float64[N], the members' overall theta.
        score: float32[Q, N, C].
        right: float32[Q, C], each row's share of the label.
        labelled: bool[Q, N].
        exists: bool[Q, C].
    """
    score, counts = score.swapaxes(0, 1).astype(np.float64), labelled.T[:, :, None]
    start = np.zeros((len(score), 1 + score.shape[2]))  # [N, 1 + C]: theta, then biases
    start[:, 0] = prior
    precision = np.full(start.shape[1], 1 / _BIAS_SD**2)
    precision[0] = 1 / _PRIOR_SD**2

    def loss(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each member, float64[N]; and chances float64[N, Q, C]."""
        logit = np.exp(found[:, :1, None]) * score + found[:, None, 1:]
        chance = softmax(logit, exists)
        missed = -(right * np.log(np.maximum(chance, 1e-300)) * counts).sum(axis=(1, 2))
        return missed + (precision * (found - start) ** 2).sum(axis=1) / 2, chance

    found, (value, chance) = start, loss(start)
    for _ in range(_N_STEPS):
        beta, chance = np.exp(found[:, 0]), chance * counts
        gap = chance - right * counts
        mean = (chance * score).sum(axis=2, keepdims=True)
        above = chance * (score - mean)
        slope = np.empty_like(start)
        slope[:, 0], slope[:, 1:] = beta * (gap * score).sum(axis=(1, 2)), gap.sum(axis=1)
        curvature = np.empty((*start.shape, start.shape[1]))
        # Gauss-Newton, never negative, and what theta adds to it where that is not negative.
        curvature[:, 0, 0] = beta**2 * (above * score).sum(axis=(1, 2)) + slope[:, 0].clip(min=0)
        curvature[:, 0, 1:] = curvature[:, 1:, 0] = beta[:, None] * above.sum(axis=1)
        curvature[:, 1:, 1:] = -chance.swapaxes(1, 2) @ chance
        curvature[:, 1:, 1:] += chance.sum(axis=1)[:, :, None] * np.eye(score.shape[2])
        slope += precision * (found - start)
        curvature += np.diag(precision)
        step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
        if np.abs(step).max() < 1e-5:
            break
        for _ in range(20):
            tried = found - step
            new, chance = loss(tried)
            if not (worse := new > value + 1e-9 * np.abs(value)).any():
                break
            step[worse] /= 2
        found, value = tried, new
    return found[:, 0], found[:, 1:]
