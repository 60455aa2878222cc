"""M-MSR: members' skills from how often each pair agrees, extreme pairs left out.

Where members err independently and evenly, the agreement of two, freed of chance, is the product of
their skills: the matrix of agreements has rank one off its diagonal. Skills are found by completing
it; in each step a member's own estimate leaves out the pairs that would raise or lower it most, so
that a few pairs which agree for another reason, such as two copies, cannot set it.

Paper: Ma & Olshevsky, Adversarial Crowdsourcing Through Robust Rank-One Matrix Completion,
arXiv:2010.12181.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray
from rlfocal.strategies.label_free.vote import LabelFreeVote, log_wrong_answers

__all__ = ["MatrixMeanSubsequence", "trimmed_mean"]

_ROUNDS = 1_000
_TOLERANCE = 1e-9
_LEAST = 1e-3
"""Skill below which nothing is divided by it."""


class MatrixMeanSubsequence(LabelFreeVote):
    """Votes weighted by chances that explain how often each pair of members agrees.

    Of N - 1 pairs a member's estimate leaves out up to (N - 1) // 2 - 1 on either side, as many as
    the paper's robustness allows; with fewer than 5 members none. A member that agrees with the
    others less often than chance would has a negative skill.
    """

    name = "m-msr"

    def chances(self, answer: NDArray[np.int16], options: BoolArray) -> Float64Array:
        """float64[N]."""
        n_queries, n_members = answer.shape
        n_possible = np.exp(log_wrong_answers(options, n_members)) + 1
        # The mean chance agreement of two guesses stands for all queries.
        k = 1 / float(np.mean(1 / n_possible)) if n_queries else 2.0
        k = max(k, 1 + 1e-6)
        both, agree = _pairs(answer)
        pair = np.where(both > 0, (k * agree / np.maximum(both, 1) - 1) / (k - 1), 0.0)
        known = (both > 0) & ~np.eye(n_members, dtype=bool)
        skill = _complete(np.abs(pair), known)
        signs = np.sign((np.where(known, pair, 0.0) * skill).sum(axis=1))
        # The largest sample error that the paper allows for keeps every chance inside (0, 1).
        margin = 1 / np.sqrt(max(n_queries, 4))
        skill = np.clip(np.where(signs < 0, -skill, skill), margin - 1 / (k - 1), 1 - margin)
        return np.clip(skill * (k - 1) / k + 1 / k, 0.005, 0.995)


def trimmed_mean(values: Float64Array, own: float, n_trimmed: int) -> float:
    """The mean without the extremes on either side of an own value.

    Args:
        values: float64[M].
        own: the present estimate.
        n_trimmed: how many at most are left out on either side: the largest of those above `own`,
            and the smallest of those below.

    Returns:
        The mean of the others; `own` where none is left.

    >>> trimmed_mean(np.array([0.1, 0.5, 0.6, 0.9]), 0.5, 1)  # .1 and .9 go
    0.55
    """
    ordered = np.sort(values)
    low = min(n_trimmed, int((ordered < own).sum()))
    high = min(n_trimmed, int((ordered > own).sum()))
    kept = ordered[low : len(ordered) - high]
    return float(kept.mean()) if len(kept) else own


def _pairs(answer: NDArray[np.int16]) -> tuple[Float64Array, Float64Array]:
    """float64[N, N] twice: queries that both answered, and those that both answered alike."""
    answered = (answer >= 0).astype(np.float64)
    agree = np.zeros((answer.shape[1],) * 2)
    for candidate in range(int(answer.max(initial=-1)) + 1):
        gave = (answer == candidate).astype(np.float64)
        agree += gave.T @ gave
    return answered.T @ answered, agree


def _complete(pair: Float64Array, known: BoolArray) -> Float64Array:
    """float64[N] >= 0 whose products are the known entries of a matrix, extremes left out.

    Args:
        pair: float64[N, N] >= 0, symmetric.
        known: bool[N, N], symmetric; the diagonal is not.
    """
    n_members = len(pair)
    n_trimmed = max(int(known.sum(axis=1).min()) // 2 - 1, 0)
    start = np.sqrt(pair[known].mean()) if known.any() else 0.5
    left = np.full(n_members, max(float(start), _LEAST))
    right = left.copy()
    for _ in range(_ROUNDS):
        before = np.outer(left, right)
        for one, other in ((right, left), (left, right)):
            divided = pair / np.maximum(other, _LEAST)
            for n in range(n_members):
                one[n] = trimmed_mean(divided[n, known[n]], float(one[n]), n_trimmed)
        if np.linalg.norm(np.outer(left, right) - before) < _TOLERANCE:
            break
    # Both sides estimate the same skills up to one factor.
    return np.asarray(np.sqrt(np.maximum(left * right, 0.0)))
