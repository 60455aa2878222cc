"""Whom a strategy asked, by member and task, recomputed from a benchmark's per-query rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.bench import BenchResult
from rlfocal.numbers import Float64Array
from rlfocal.records import ResponseTable

__all__ = ["selection_shares"]


def selection_shares(result: BenchResult, table: ResponseTable) -> Mapping[str, Float64Array]:
    """Count how often each strategy that chooses asked each member, per task.

    Args:
        result: a benchmark with its per-query rows.
        table: the recorded answers that it ran on; names the tasks.

    Returns:
        For each strategy, at the dial of its leaderboard row: float64[N, T + 1] in [0, 1], all
        tasks together in the last column; NaN for a task that was not tested. Strategies that ask
        the same members of every query, or draw one blindly, are left out.
    """
    shares = {}
    for row in result.rows:
        if row.verdict == "bound" or row.strategy == "random":
            continue
        rows = _default_rows(result, row.strategy)
        asked = _asked(rows, len(result.members))
        if len(asked) and (asked != asked[0]).any():
            shares[row.strategy] = _share(asked, _task_index(rows, table), len(table.tasks))
    return shares


def _default_rows(result: BenchResult, strategy: str) -> pa.Table:
    """Rows at the default dial, which the benchmark marks by no dial at all."""
    rows = result.per_query
    return rows.filter(pc.and_(pc.equal(rows["strategy"], strategy), pc.is_null(rows["dial"])))


def _asked(rows: pa.Table, n_members: int) -> NDArray[np.bool_]:
    """bool[R, N] from the lists of members asked."""
    lists = rows["asked"].combine_chunks()
    asked = np.zeros((len(lists), n_members), dtype=bool)
    parent = pc.list_parent_indices(lists).to_numpy()
    asked[parent, pc.list_flatten(lists).to_numpy()] = True
    return asked


def _task_index(rows: pa.Table, table: ResponseTable) -> NDArray[np.int64]:
    index = pc.index_in(
        rows["task"].cast(pa.string()), value_set=pa.array(table.tasks, pa.string())
    )
    found: NDArray[np.int64] = index.fill_null(-1).to_numpy().astype(np.int64)
    return found


def _share(asked: NDArray[np.bool_], task: NDArray[np.int64], n_tasks: int) -> Float64Array:
    total = np.zeros((n_tasks, asked.shape[1]))
    known = task >= 0
    np.add.at(total, task[known], asked[known])
    count = np.bincount(task[known], minlength=n_tasks)[:, None]
    of_task = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    shares: Float64Array = np.vstack([of_task, asked.mean(axis=0)]).T
    return shares
