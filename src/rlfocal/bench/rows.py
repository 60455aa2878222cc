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
from rlfocal.records import ResponseTable

__all__ = ["SCHEMA", "JobRows", "PointRows", "RowLayout"]

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
