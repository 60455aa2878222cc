"""Near-copies: pairs of members that fail the same queries far more often than others do.

Two prompts for one model, two snapshots of it, the same weights behind two names. Votes weigh their
common mistakes twice, and whoever takes agreement for a sign of being right believes them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlfocal.diversity.masks import BoolArray
from rlfocal.diversity.pairwise import correlation, pair_counts

__all__ = ["ALIKE", "NearCopies", "near_copies"]

ALIKE = 0.7
"""Correlation of failures from which two members are near-copies. On recorded pools: snapshots and
prompts of one model .69 to .97, models of one family up to .66, others below .6."""
_FAILED = 10
"""Queries that both must fail: fewer look alike by luck."""


class NearCopies(NamedTuple):
    """Two members that fail together."""

    first: int
    second: int
    correlation: float
    """Of their failures, from `ALIKE` to 1."""


def near_copies(failed: BoolArray, *, alike: float = ALIKE) -> tuple[NearCopies, ...]:
    """Find the pairs of members that are near-copies of one another.

    Args:
        failed: bool[Q, N], True where member n fails query q.
        alike: correlation of failures from which on two are.

    Returns:
        Pairs by number, the most alike first; empty without queries.

    Raises:
        ValueError: `failed` is no bool[Q, N].

    >>> failed = np.arange(40)[:, None] % 4 < np.array([1, 1, 2])
    >>> near_copies(failed)
    (NearCopies(first=0, second=1, correlation=1.0),)
    """
    if not len(failed):
        return ()
    counts = pair_counts(failed)
    like = -correlation(counts)
    first, second = np.nonzero(np.triu((like >= alike) & (counts.n00 >= _FAILED), 1))
    found = [
        NearCopies(i, j, float(like[i, j]))
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
    ]
    return tuple(sorted(found, key=lambda pair: (-pair.correlation, pair.first, pair.second)))
