"""What members are worth where not all of them are asked: a policy chooses whom, and when.

Who comes late is asked where those before disagree, which is on hard queries; by the plain mean of
its scores it looks worse than it is, is asked later still, and never gets right. So a score is
taken for the sum of a level, what the member adds and how easy the query is (ridge, alternating
least squares), and a member's accuracy for the mean over all queries, whoever was asked.

Measured by `benchmarks/without_labels.py`. Axes: Q queries, N members, T tasks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.prior.statistics import Counts
from rlfocal.records import FloatArray

__all__ = ["as_if_all_were_asked", "even_accuracy"]

_QUERY, _MEMBER = 2.0, 1.0
"""Weights, in scores, of no effect in a query's and in a member's."""
_N_STEPS = 30
_LEAST = 0.01
"""Accuracies are clipped to [this, 1 - this]."""


def even_accuracy(score: FloatArray) -> NDArray[np.float64]:
    """float64[N] in [0, 1]: accuracies as if every member had been asked every query.

    A member that was never asked gets the level of all.

    Args:
        score: float32[Q, N] in [0, 1], NaN where the member was not asked; at least one is known.

    >>> even_accuracy(np.array([[1, np.nan], [0, 0], [0, 0]], dtype=np.float32)).round(2).tolist()
    [0.31, 0.15]
    """
    known = ~np.isnan(score)
    worth = np.where(known, score, 0).astype(np.float64)
    of_query, of_member = known.sum(axis=1) + _QUERY, known.sum(axis=0) + _MEMBER
    level, member = worth.sum() / known.sum(), np.zeros(known.shape[1])
    query = np.zeros(known.shape[0])
    for _ in range(_N_STEPS):
        query = ((worth - level - member) * known).sum(axis=1) / of_query
        member = ((worth - level - query[:, None]) * known).sum(axis=0) / of_member
        level = ((worth - member - query[:, None]) * known).sum() / known.sum()
    return np.asarray(np.clip(level + query.mean() + member, _LEAST, 1 - _LEAST))


def as_if_all_were_asked(counts: Counts, score: FloatArray) -> Counts:
    """Counts with their scores moved to what they would be, had all been asked; as many as before.

    Where nothing is missing they are the same to the last bit.

    Args:
        counts: of labelled queries.
        score: float32[Q, N], of the same queries, NaN where the member was not asked.
    """
    missing = np.isnan(score)
    if not missing.any() or missing.all():
        return counts
    known = counts.known
    mean = counts.right / np.maximum(known, 1)
    moved = np.clip(mean + even_accuracy(score) - mean[-1], 0, 1)
    return replace(counts, right=known * moved)
