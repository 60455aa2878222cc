"""Failure counts over the latest queries: add what comes in, take away what falls out.

Counts are integers, so a window that has moved a million times equals one counted afresh. The cost
of a move depends on how many queries moved, not on how long the window is. Knows nothing of time:
a window is a number of queries.
"""

from __future__ import annotations

import numpy as np

from rlfocal.diversity.focal import FailureCounts, count_triples
from rlfocal.diversity.masks import BoolArray, check_failed

__all__ = ["SlidingFailureCounts"]


class SlidingFailureCounts:
    """Failure counts of the last `window` queries.

    >>> recent = SlidingFailureCounts(2, window=3)
    >>> recent.push(np.array([[1, 1], [1, 0], [0, 1], [1, 1]], dtype=bool))
    >>> recent.counts().pairs.tolist()  # the first query has fallen out
    [[2, 1], [1, 2]]
    """

    def __init__(self, n_members: int, *, window: int) -> None:
        """Start an empty window.

        Args:
            n_members: size of the pool, N, at least 1.
            window: queries remembered, at least 1.

        Raises:
            ValueError: a number below 1.
        """
        if n_members < 1 or window < 1:
            raise ValueError(f"n_members and window must be >= 1, got {n_members} and {window}")
        self._ring = np.zeros((window, n_members), np.bool_)  # slot q % window holds query q
        self._n_pushed = 0
        self._triples = np.zeros((n_members,) * 3, np.int64)

    def __len__(self) -> int:
        """Queries in the window now."""
        return min(self._n_pushed, len(self._ring))

    def push(self, failed: BoolArray) -> None:
        """Let labelled queries enter, oldest first; as many of the oldest leave as do not fit.

        Args:
            failed: bool[B, N], True where member n failed the query; any B, 0 included.

        Raises:
            ValueError: another dtype or shape.
        """
        failed = check_failed(failed, min_queries=0)
        window, n_members = self._ring.shape
        if failed.shape[1] != n_members:
            raise ValueError(f"failed must have {n_members} members, got {failed.shape[1]}")
        entering = failed[-window:]
        self._n_pushed += len(failed) - len(entering)  # those that fall out at once are not counted
        slots = (self._n_pushed + np.arange(len(entering))) % window
        # A slot never written to is all False: dropping it takes nothing away.
        self._triples += count_triples(entering) - count_triples(self._ring[slots])
        self._ring[slots] = entering
        self._n_pushed += len(entering)

    def counts(self) -> FailureCounts:
        """The counts of the window as it stands; later pushes do not change them."""
        return FailureCounts(triples=self._triples.copy(), n_queries=len(self))
