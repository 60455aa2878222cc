"""The latest queries: who fails with whom, and who is no longer as good as before.

A window is a number of queries; nothing here knows of time. Failure counts are integers, so a
window that has moved a million times equals one counted afresh, and the cost of a move depends on
how many queries moved, not on how long the window is.

Axes: W queries of a window, N members, G sizes of a change.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.diversity.focal import FailureCounts, count_triples
from rlfocal.diversity.masks import BoolArray, check_failed

__all__ = ["Drift", "SlidingFailureCounts", "find_drift"]

Floats = NDArray[np.float64]

_LEAST = 0.02
"""Chances are taken to lie between this and 1 - this: who never answered may be good now."""
_HAZARD = 1e-3
"""Chance that a member changes at a query."""
_EARLIER = 0.02
"""Chance that it changed before the first query of the window."""
_SPREAD = 1.5
"""Of the sizes of changes, in log-odds of being right."""
_SIZES = np.linspace(-6, 6, 25)


class Drift(NamedTuple):
    """What a window says of each member."""

    shift: Floats
    """float64[N]: how far its log-odds of being right are thought to have moved."""
    chance: Floats
    """float64[N]: that it has changed, within the window or before."""
    since: Floats
    """float64[W, N]: chance that it has changed since that query, which then says no more of it."""


def find_drift(right: NDArray[np.floating], expected: NDArray[np.floating]) -> Drift:
    """Find out which members have changed, when, and how far.

    A member is as good as expected up to some query, and from there on better or worse by so many
    points of log-odds. The posterior over both, and over no change at all, is exact.

    Args:
        right: float[W, N] in [0, 1], oldest query first; NaN where the member was not asked.
        expected: float[W, N], the chance of it that was to be expected.

    >>> right = np.ones((100, 2))
    >>> right[60:, 0] = 0  # the first member has failed since the sixtieth query
    >>> right[::10, 1] = 0  # the second is as good as ever
    >>> drift = find_drift(right, np.full((100, 2), 0.9))
    >>> drift.chance.round(1).tolist(), drift.since[[50, 70], 0].round(1).tolist()
    ([1.0, 0.0], [1.0, 0.0])
    """
    known = ~np.isnan(right)
    hit = np.where(known, right, 0).astype(np.float64)
    before = np.clip(expected.astype(np.float64), _LEAST, 1 - _LEAST)
    after = 1 / (1 + (1 / before - 1) * np.exp(-_SIZES)[:, None, None])  # [G, W, N]
    gain = hit * np.log(after / before) + (1 - hit) * np.log((1 - after) / (1 - before))
    prior = np.exp(-((_SIZES / _SPREAD) ** 2) / 2)
    # A change of size g just before query w gains what all queries from w on gain.
    evidence = np.cumsum((gain * known)[:, ::-1], axis=1)[:, ::-1]
    evidence = evidence + np.log(_HAZARD * prior / prior.sum())[:, None, None]
    evidence[:, :1] += np.log(_EARLIER / _HAZARD)
    top = np.maximum(evidence.max(axis=(0, 1), initial=-np.inf), 0)
    power = np.exp(evidence - top)
    power /= power.sum(axis=(0, 1)) + np.exp(-top)  # no change has evidence 0
    at = power.sum(axis=0)  # [W, N]: chance that the member changed just before the query
    since = at.sum(axis=0) - np.cumsum(at, axis=0)
    return Drift(
        shift=np.einsum("g,gwn->n", _SIZES, power),
        chance=np.clip(at.sum(axis=0), 0, 1),
        since=np.clip(since, 0, 1),
    )


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
