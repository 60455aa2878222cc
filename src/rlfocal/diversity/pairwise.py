"""Every pairwise measure is one formula over how often two members fail together and apart.

`pair_counts` counts, for all pairs at once, the queries that both answer (N11), only the row's
member answers (N10), only the column's member answers (N01), and both fail (N00). Each measure
turns these into a symmetric float64[N, N] matrix **oriented so that higher = more diverse**; the
diagonal is a member paired with its own copy, the least diverse partner it can have. Coefficients
in [-1, 1] that grow with likeness are negated, so 0 still reads as "no association"; double fault
is subtracted from 1.

Convention at 0/0: where a coefficient is undefined because a member never fails or always fails,
members that fail the very same queries count as entirely alike (-1), others as unassociated (0).

Source: Kuncheva & Whitaker, "Measures of diversity in classifier ensembles and their relationship
with the ensemble accuracy", Machine Learning 51 (2003), where each is given with its origin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from rlfocal.diversity.masks import BoolArray, FloatArray, check_failed

__all__ = [
    "PAIRWISE",
    "PairCounts",
    "correlation",
    "disagreement",
    "double_fault",
    "kappa",
    "pair_counts",
    "q_statistic",
]

CHUNK_QUERIES = 2**18
"""Rows per matrix product: float32 counts up to 2^24 without rounding, and memory stays small."""


class PairCounts(NamedTuple):
    """How many queries each pair of members answers or fails; every field is float64[N, N], whole.

    Attributes:
        n11: both answer correctly.
        n10: the row's member answers, the column's fails.
        n01: the row's member fails, the column's answers.
        n00: both fail.
    """

    n11: FloatArray
    n10: FloatArray
    n01: FloatArray
    n00: FloatArray

    @property
    def n_queries(self) -> float:
        """Number of queries, Q; the four counts of every pair add up to it."""
        return float(self.n11[0, 0] + self.n00[0, 0])


def pair_counts(failed: BoolArray) -> PairCounts:
    """Count joint successes and failures of every pair of members by one matrix product.

    Args:
        failed: bool[Q, N], True where member n fails query q; Q >= 1.

    Returns:
        The four counts, exact for any Q that fits into memory.

    Raises:
        ValueError: `failed` has another dtype or shape, or no row.

    >>> counts = pair_counts(np.array([[1, 1], [1, 0], [0, 0], [0, 0]], dtype=bool))
    >>> [int(n[0, 1]) for n in counts]  # only the second answers the second query
    [2, 0, 1, 1]
    """
    failed = check_failed(failed)
    n00: FloatArray = np.zeros((failed.shape[1],) * 2)
    for at in range(0, len(failed), CHUNK_QUERIES):
        ones = failed[at : at + CHUNK_QUERIES].astype(np.float32)
        n00 += ones.T @ ones
    n_failed = np.diag(n00)
    n01 = n_failed[:, None] - n00
    n10 = n_failed[None, :] - n00
    return PairCounts(n11=len(failed) - n00 - n01 - n10, n10=n10, n01=n01, n00=n00)


def _likeness(numerator: FloatArray, denominator: FloatArray, counts: PairCounts) -> FloatArray:
    """Divide; at 0/0 a pair that fails the very same queries is alike (1), any other is not (0)."""
    same = (counts.n10 == 0) & (counts.n01 == 0)
    undefined = denominator == 0
    ratio = numerator / np.where(undefined, 1.0, denominator)
    value: FloatArray = np.where(undefined, same.astype(np.float64), np.clip(ratio, -1.0, 1.0))
    return value


def q_statistic(counts: PairCounts) -> FloatArray:
    """Yule's Q, negated: do two members fail the same queries more than by chance?

    Raw: Q = (N11 N00 - N01 N10) / (N11 N00 + N01 N10), 1 = alike, 0 = independent. Returned: -Q.

    Args:
        counts: the pair counts.

    Returns:
        float64[N, N] in [-1, 1]; higher is more diverse. 0/0 (a count on each diagonal of the 2x2
        table is zero): -1 for members that fail the very same queries, else 0.

    Source: Yule (1900); Kuncheva & Whitaker (2003).
    """
    alike = counts.n11 * counts.n00
    apart = counts.n01 * counts.n10
    return -_likeness(alike - apart, alike + apart, counts)


def correlation(counts: PairCounts) -> FloatArray:
    """Correlation of two members' failures, negated.

    Raw: rho = (N11 N00 - N01 N10) / sqrt((N11+N10)(N01+N00)(N11+N01)(N10+N00)). Returned: -rho.

    Args:
        counts: the pair counts.

    Returns:
        float64[N, N] in [-1, 1]; higher is more diverse. 0/0 (a member that never fails or always
        fails): -1 for members that fail the very same queries, else 0.

    Source: Sneath & Sokal (1973); Kuncheva & Whitaker (2003).
    """
    n11, n10, n01, n00 = counts
    # Grouped so that the root of a square is exact, and a member correlates with itself at 1.
    variances = ((n11 + n10) * (n01 + n00)) * ((n11 + n01) * (n10 + n00))
    return -_likeness(n11 * n00 - n01 * n10, np.sqrt(variances), counts)


def disagreement(counts: PairCounts) -> FloatArray:
    """Share of the queries that exactly one of two members answers.

    Raw and returned: (N01 + N10) / Q.

    Args:
        counts: the pair counts.

    Returns:
        float64[N, N] in [0, 1]; higher is more diverse; 0 on the diagonal. Never 0/0, as Q >= 1.

    Source: Skalak (1996), Ho (1998); Kuncheva & Whitaker (2003).
    """
    return (counts.n01 + counts.n10) / counts.n_queries


def kappa(counts: PairCounts) -> FloatArray:
    """Cohen's kappa of two members' failures, negated: agreement beyond that of chance.

    Raw: kappa = 2 (N11 N00 - N01 N10) / ((N11+N10)(N10+N00) + (N11+N01)(N01+N00)).
    Returned: -kappa.

    Args:
        counts: the pair counts.

    Returns:
        float64[N, N] in [-1, 1]; higher is more diverse. 0/0 (neither ever fails, or both always
        do): -1.

    Source: Cohen (1960), applied to correctness; compared by Kuncheva & Whitaker (2003).
    """
    n11, n10, n01, n00 = counts
    by_chance = (n11 + n10) * (n10 + n00) + (n11 + n01) * (n01 + n00)
    return -_likeness(2 * (n11 * n00 - n01 * n10), by_chance, counts)


def double_fault(counts: PairCounts) -> FloatArray:
    """Share of the queries that at least one of two members answers.

    Raw: DF = N00 / Q, the share that both fail. Returned: 1 - DF.

    Args:
        counts: the pair counts.

    Returns:
        float64[N, N] in [0, 1]; higher is more diverse; the diagonal is a member's accuracy, since
        this measure rewards accuracy and diversity alike. Never 0/0, as Q >= 1.

    Source: Giacinto & Roli (2001); Kuncheva & Whitaker (2003).
    """
    return 1.0 - counts.n00 / counts.n_queries


PAIRWISE: Mapping[str, Callable[[PairCounts], FloatArray]] = MappingProxyType(
    {
        "q-statistic": q_statistic,
        "correlation": correlation,
        "disagreement": disagreement,
        "kappa": kappa,
        "double-fault": double_fault,
    }
)
"""The pairwise measures by name; higher = more diverse in each."""
