"""Option scores of unknown scale become calibrated supports: one temperature per task and member.

Log-likelihoods, logits, probabilities and min-max scaled scores all rank the options, but none says
how sure a member is. A temperature fitted on labelled training queries does, and changes no answer.
Fitted on training queries only; a checkpoint carries it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from rlfocal.records.table import BoolArray, CandidateKind, FloatArray, ResponseTable

__all__ = ["Calibration"]

_PRIOR_SD = 1.0
"""Spread of a task's log temperature around its member's: what keeps small tasks in check."""
_N_STEPS = 40


@dataclass(frozen=True, eq=False)
class Calibration:
    """Inverse temperatures: support = softmax(beta[task, member] · score) over the options.

    `beta` float32[T + 1, N], positive; the last row serves an unknown task. `log_scale` bool[N]:
    members whose scores look like probabilities, which enter by their logarithm. Without option
    scores nothing is changed.
    """

    beta: FloatArray
    log_scale: BoolArray

    @classmethod
    def fit(cls, table: ResponseTable) -> Self:
        """Fit by penalised maximum likelihood of the right option.

        Each member's overall temperature comes first; each (task, member) is then drawn towards it.
        """
        n_tasks, n_members = len(table.tasks), table.n_members
        log_scale = _looks_like_probability(table)
        if table.option_scores is None:
            return cls(np.ones((n_tasks + 1, n_members), dtype=np.float32), log_scale)
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
        theta = _newton(
            np.repeat(member, n_tasks, axis=0), member, score, right, labelled, table.exists,
            table.task, sd=_PRIOR_SD,
        )  # fmt: skip
        return cls(np.exp(np.vstack([theta, member])).astype(np.float32), log_scale)

    def apply(self, table: ResponseTable) -> ResponseTable:
        """Return the table with calibrated supports wherever option scores are known."""
        if table.option_scores is None:
            return table
        score, known = _scores(table, self.log_scale)
        support = _softmax(self.beta[table.task][:, :, None] * score, table.exists)
        use = known & table.answered
        return table.with_support(np.where(use[:, :, None], support, table.support))


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
    raw = table.option_scores
    options = (table.kind == CandidateKind.OPTIONS)[:, None]
    known = options & (np.isfinite(raw) | ~table.exists[:, None, :]).all(axis=2)
    score = np.where(known[:, :, None], np.nan_to_num(raw, nan=0.0), 0.0)
    logged = np.log(np.maximum(score, 1e-6))
    return np.where(log_scale[None, :, None], logged, score).astype(np.float32), known


def _softmax(logit: np.ndarray, exists: BoolArray) -> FloatArray:
    masked = np.where(exists[:, None, :], logit, -np.inf)
    power = np.exp(masked - masked.max(axis=2, keepdims=True))
    return np.asarray(power / power.sum(axis=2, keepdims=True), dtype=np.float32)


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
        chance = _softmax(beta[cell][:, :, None] * score, exists)
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
