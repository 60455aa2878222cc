"""Labelled replies of a pool as rows, and the common scale of their signals.

Axes: Q queries, N members, R labelled replies, F signals.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.records.signals import Words

__all__ = ["Examples", "Scaling", "examples_of"]

_CLIP = 4.0
"""Deviations beyond so many spreads count as so many: one strange reply must not decide."""
_FEWEST = 5
"""Replies of which a signal must be known, for it to be looked at."""
_HABIT = 10.0
"""Replies that the pool's median of a signal is worth beside a member's own."""
_ROUNDING = 2 * float(np.finfo(np.float32).eps)
"""Gaps less than this share of the largest value are rounding of float32."""
_TINIEST = float(np.finfo(np.float32).tiny)
"""No scale is less, so that it is positive as float32."""
_OF_THE_HOUR = frozenset({"server.latency"})
"""Signals that nothing is learned from: how busy a server was when replies were recorded says
nothing of the replies that it gives now."""


class Examples(NamedTuple):
    """R labelled replies, sorted by member."""

    values: FloatArray
    """float32[R, F]: signals, NaN where unknown."""
    words: Words
    """R rows."""
    query: IntArray
    """int64[R]: row of the table."""
    member: IntArray
    """int64[R], ascending."""
    right: NDArray[np.float64]
    """float64[R] in [0, 1]."""

    def take(self, wanted: BoolArray) -> Examples:
        """Those where bool[R] is True."""
        rows = np.flatnonzero(wanted)
        return Examples(
            self.values[rows],
            self.words.take(rows),
            self.query[rows],
            self.member[rows],
            self.right[rows],
        )


def examples_of(table: ResponseTable) -> tuple[tuple[str, ...], Examples] | None:
    """The replies whose worth is known and that give an answer; None where there are none.

    A reply without an answer is known to be of no use, whatever it says.

    Returns:
        The names of the signals that differ among them, and the replies.
    """
    if table.replies is None:
        return None
    labelled = table.replies.present & table.scored & table.answered
    member, query = np.nonzero(labelled.T)
    if not len(query):
        return None
    replies = table.replies[query, member]
    names = tuple(name for name in replies.names if name not in _OF_THE_HOUR)
    values = replies.signals(names)
    known = np.isfinite(values)
    low, high = np.where(known, values, np.inf).min(0), np.where(known, values, -np.inf).max(0)
    differs = (known.sum(axis=0) >= _FEWEST) & ((low < high) | ~known.all(axis=0))
    return tuple(compress(names, differs)), Examples(
        values=values[:, differs],
        words=replies.words(),
        query=query,
        member=member,
        right=table.member_score[query, member].astype(np.float64),
    )


class Scaling(NamedTuple):
    """Signals as deviations from what is usual of the member, in units of their spread."""

    centre: FloatArray
    """float32[N, F]: each member's median, drawn towards the pool's."""
    scale: FloatArray
    """float32[F], positive."""

    @classmethod
    def fit(cls, values: FloatArray, member: IntArray, n_members: int) -> Self:
        """Measure medians and spreads.

        Args:
            values: float32[R, F], NaN where unknown.
            member: int64[R].
            n_members: N.
        """
        pool = _median(values)
        centre = np.tile(pool, (n_members, 1))
        for n in range(n_members):
            own = values[member == n]
            count = np.isfinite(own).sum(axis=0)
            usual = np.where(count > 0, _median(own), pool)
            centre[n] = (count * usual + _HABIT * pool) / (count + _HABIT)
        gap = values - centre[member]
        known = np.isfinite(gap)
        count = np.maximum(known.sum(axis=0), 1)
        # A quartile range of zero is that of a signal that is mostly the same: a count of slips.
        spread = _quartile_range(gap) / 1.349
        deviation = np.sqrt((np.where(known, gap, 0) ** 2).sum(axis=0) / count)
        # Rounding grows with the values, whose unit is the user's own.
        size = np.abs(np.where(np.isfinite(values), values, 0)).max(axis=0, initial=0.0)
        least = np.maximum(_ROUNDING * size, _TINIEST)
        scale = np.where(spread > least, spread, np.where(deviation > least, deviation, 1.0))
        return cls(centre.astype(np.float32), scale.astype(np.float32))

    def apply(self, values: FloatArray, member: IntArray) -> FloatArray:
        """float32[..., 2F]: scaled signals, 0 where unknown, then 1 where unknown.

        Args:
            values: float32[..., F].
            member: int64[...].
        """
        gap = (values - self.centre[member]) / self.scale
        unknown = ~np.isfinite(gap)
        scaled = np.where(unknown, 0, np.clip(gap, -_CLIP, _CLIP))
        return np.concatenate([scaled, unknown], axis=-1, dtype=np.float32)


def _median(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64[F]: medians of what is known; 0 where nothing is."""
    return np.asarray(_quantiles(values, (0.5,))[0])


def _quartile_range(values: NDArray[np.floating]) -> NDArray[np.float64]:
    low, high = _quantiles(values, (0.25, 0.75))
    return np.asarray(high - low)


def _quantiles(values: NDArray[np.floating], at: Sequence[float]) -> NDArray[np.float64]:
    """float64[A, F]: quantiles of what is finite; 0 where nothing is."""
    found = np.zeros((len(at), values.shape[1]))
    for f in range(values.shape[1]):
        column = values[:, f]
        known = column[np.isfinite(column)]
        if len(known):
            found[:, f] = np.quantile(known, at)
    return found
