"""The rows of a benchmark as matrices of queries and operating points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlfocal.records import IntArray

__all__ = ["Scores", "scores"]

Int32Array = NDArray[np.int32]

_MEANS = ("score", "n_calls", "n_rounds", "cost")
"""Columns of which `Scores` has the means over seeds."""
_BLOCK = 1 << 16


class Scores(NamedTuple):
    """The rows as matrices: one line per tested query, one column per operating point.

    Queries keep the order of the rows; several seeds are averaged.
    """

    points: tuple[tuple[str, float | None], ...]
    """[P]: strategy and dial."""
    group: IntArray
    """int64[Q]: queries with the same number have the same prompt."""
    score: NDArray[np.float64]
    """float64[Q, P]; 0 where not measured."""
    n_calls: NDArray[np.float64]
    """float64[Q, P]."""
    n_rounds: NDArray[np.float64]
    """float64[Q, P]."""
    cost: NDArray[np.float64]
    """float64[Q, P]."""
    measured: NDArray[np.bool_]
    """bool[Q, P]: whether an answer of any seed has a score."""

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[P]: means over what was measured, of float64[Q, P]; 0 where nothing was."""
        if self.measured.all():
            return np.asarray(values.mean(axis=0))
        total = np.where(self.measured, values, 0).sum(axis=0)
        return np.asarray(total / np.maximum(self.measured.sum(axis=0), 1))

    def take(self, columns: Sequence[int]) -> Scores:
        """Some of the operating points."""
        of = list(columns)
        return self._replace(
            points=tuple(self.points[i] for i in of),
            score=self.score[:, of],
            n_calls=self.n_calls[:, of],
            n_rounds=self.n_rounds[:, of],
            cost=self.cost[:, of],
            measured=self.measured[:, of],
        )

    def measured_everywhere(self) -> Scores:
        """The queries on which every operating point was measured."""
        rows = self.measured.all(axis=1)
        if rows.all():
            return self
        arrays = {n: a[rows] for n, a in self._asdict().items() if n != "points"}
        return self._replace(**arrays)


def scores(per_query: pa.Table) -> Scores:
    """Turn per-query rows into matrices.

    A score that is null was not measured; what it took is no figure either.

    Args:
        per_query: rows of a benchmark, each operating point on the same queries.

    Raises:
        ValueError: an operating point lacks some queries.
    """
    query, first = _codes(per_query["query_id"])
    points, point = _points(per_query)
    shape = (len(first), len(points))
    read = {name: per_query[name].to_numpy() for name in _MEANS}
    known = ~np.isnan(read["score"])
    covered, count = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    total = {name: np.zeros(shape) for name in _MEANS}
    # Rows are many, so temporary arrays are of some of them at a time.
    for start in range(0, len(query), _BLOCK):
        rows = slice(start, start + _BLOCK)
        cell = query[rows], point[rows]
        np.add.at(covered, cell, 1)
        np.add.at(count, cell, known[rows])
        for name, values in read.items():
            np.add.at(total[name], cell, np.where(known[rows], values[rows], 0))
    n_covered = (covered > 0).sum(axis=0)
    if n_covered.min() < shape[0]:
        name, at = points[int(n_covered.argmin())]
        raise ValueError(
            f"{name} at dial {at} covers {n_covered.min()} of {shape[0]} queries; every operating "
            "point must cover all"
        )
    for sums in total.values():
        sums /= np.maximum(count, 1)
    return Scores(
        points=points, group=per_query["group"].to_numpy()[first], measured=count > 0, **total
    )


def _points(per_query: pa.Table) -> tuple[tuple[tuple[str, float | None], ...], Int32Array]:
    """The operating points, by strategy and rising dial; and that of each row, int32[R]."""
    strategy, first = _codes(per_query["strategy"])
    names = per_query["strategy"].take(pa.array(first)).to_pylist()
    dial = per_query["dial"].to_numpy()
    known = ~np.isnan(dial)
    levels = np.unique(dial[known])
    # 0 stands for the default, without a dial.
    code = strategy * np.int32(len(levels) + 1)
    code[known] += np.searchsorted(levels, dial[known]).astype(np.int32) + 1
    used = np.flatnonzero(np.bincount(code))
    place = np.full(len(names) * (len(levels) + 1), -1, dtype=np.int32)
    place[used] = np.arange(len(used))
    dials = [None, *levels.tolist()]
    named = [divmod(one, len(dials)) for one in used.tolist()]
    return tuple((names[name], dials[level]) for name, level in named), place[code]


def _codes(column: pa.ChunkedArray) -> tuple[Int32Array, IntArray]:
    """Code of each value, int32[R], by first appearance; and where each is first, int64[K]."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    raw = encoded.indices.to_numpy()
    first = np.full(len(encoded.dictionary), len(raw), dtype=np.int64)
    first[raw[::-1]] = np.arange(len(raw) - 1, -1, -1)  # of equal places the last one stays
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order))
    return rank[raw], first[order[first[order] < len(raw)]]
