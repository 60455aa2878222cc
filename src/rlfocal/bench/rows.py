"""Per-query rows: every strategy's outcome on every tested query, as one Arrow table.

Every figure of a benchmark is computed from these rows, so a reader can compute it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlfocal.bench.folds import Fold
from rlfocal.bench.jobs import Job, JobResult, Point
from rlfocal.bench.protocol import Tasks
from rlfocal.deliberation.base import Acting
from rlfocal.records import IntArray, ResponseTable

__all__ = ["SCHEMA", "JobRows", "PointRows", "RowLayout", "Scores", "scores"]

Int32Array = NDArray[np.int32]

_TEXT = pa.dictionary(pa.int32(), pa.string())

SCHEMA = pa.schema(
    {
        "strategy": _TEXT,
        "dial": pa.float64(),
        "fold": pa.int16(),
        "seed": pa.int32(),
        "query_id": _TEXT,
        "group": pa.int64(),
        "task": _TEXT,
        "answer": pa.string(),
        "score": pa.float32(),
        "confidence": pa.float32(),
        "n_calls": pa.int32(),
        "n_rounds": pa.int32(),
        "cost": pa.float32(),
        "latency_s": pa.float32(),
        "asked": pa.list_(pa.int16()),
        "asked_in": pa.list_(pa.int16()),
    }
)
"""Columns of the per-query rows, described in docs/bench.md."""


_MEANS = ("score", "n_calls", "n_rounds", "cost")
"""Columns of which `Scores` has the means over seeds."""
_BLOCK = 1 << 16


class PointRows(NamedTuple):
    """The rows of an operating point on one fold."""

    dial: float | None
    rows: pa.RecordBatch
    """Of `SCHEMA`."""
    any_measured: bool
    """Whether an answer has a score."""


class JobRows(NamedTuple):
    """Result of one job, its outcomes as rows: these grow with calls, not with members."""

    job: Job
    points: tuple[PointRows, ...]
    fit_s: float
    replay_s: float
    history: tuple[Mapping[str, float], ...]
    acting: Acting | None = None
    hidden: tuple[PointRows, ...] = ()
    """Where tasks were hidden, if both are wanted."""


class RowLayout:
    """Turns outcomes on one table into rows.

    Args:
        table: the whole table.
        folds: the folds that jobs name.
    """

    def __init__(self, table: ResponseTable, folds: Sequence[Fold]) -> None:
        self._table, self._folds = table, folds
        self._query_ids = pa.array(table.query_ids.tolist(), pa.string())
        self._tasks = pa.array(table.tasks, pa.string())

    def of(self, result: JobResult) -> JobRows:
        """The rows of a job's outcomes."""
        points, hidden = (
            tuple(
                PointRows(
                    point.dial, self._batch(result.job, point), bool(point.outcome.measured.any())
                )
                for point in shown
            )
            for shown in (result.points, result.hidden)
        )
        return JobRows(
            result.job, points, result.fit_s, result.replay_s, result.history, result.acting, hidden
        )

    def joined(self, results: Sequence[JobRows], *, tasks: Tasks = "given") -> pa.Table:
        """All rows.

        Args:
            results: in the order in which the rows shall stand.
            tasks: how the queries were shown; their rows name their tasks either way.

        Returns:
            A table of `SCHEMA`, with the cost unit and `tasks` in its metadata.
        """
        about = {
            "cost_unit": self._table.cost_unit,
            "members": "\n".join(self._table.members),
            "tasks": tasks,
        }
        batches = [point.rows for result in results for point in result.points]
        return (
            pa.Table.from_batches(batches, SCHEMA)
            .replace_schema_metadata(about)
            .unify_dictionaries()
        )

    def _batch(self, job: Job, point: Point) -> pa.RecordBatch:
        table, rows, outcome = self._table, self._folds[job.fold].test, point.outcome
        n_rows, taken = len(rows), table.candidates[rows]
        answer = point.answers or [
            texts[slot] if slot >= 0 else None
            for texts, slot in zip(taken, outcome.chosen.tolist(), strict=True)
        ]
        query, members = np.nonzero(outcome.asked)
        rounds = outcome.asked_in[query, members]
        order = np.lexsort((members, rounds, query))
        ends = np.concatenate([[0], np.cumsum(outcome.asked.sum(axis=1))]).astype(np.int32)
        dials = [point.dial] * n_rows
        columns = {
            "strategy": _coded(np.zeros(n_rows, np.int32), pa.array([job.strategy])),
            "dial": pa.array(dials, pa.float64()),
            "fold": np.full(n_rows, job.fold, np.int16),
            "seed": np.full(n_rows, job.seed, np.int32),
            "query_id": _coded(rows, self._query_ids),
            "group": table.group[rows],
            "task": _coded(table.task[rows], self._tasks),
            "answer": pa.array(answer, pa.string()),
            "score": pa.array(outcome.score.astype(np.float32), from_pandas=True),
            "confidence": outcome.confidence.astype(np.float32),
            "n_calls": outcome.n_calls.astype(np.int32),
            "n_rounds": outcome.n_rounds.astype(np.int32),
            "cost": outcome.cost.astype(np.float32),
            "latency_s": pa.array(outcome.latency_s.astype(np.float32), from_pandas=True),
            "asked": pa.ListArray.from_arrays(ends, members[order].astype(np.int16)),
            "asked_in": pa.ListArray.from_arrays(ends, rounds[order]),
        }
        arrays = [pa.array(c) if isinstance(c, np.ndarray) else c for c in columns.values()]
        return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _coded(index: NDArray[np.integer], names: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), names)


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
