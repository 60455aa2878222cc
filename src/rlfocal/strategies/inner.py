"""What strategies share to choose their own settings: inner folds and means that small cells share.

Settings are chosen on training queries alone, by the same rule every time: no randomness, so a
strategy that is otherwise deterministic stays so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import FloatArray, IntArray, ResponseTable

__all__ = ["inner_folds", "shrunk_mean"]


def inner_folds(table: ResponseTable, n_folds: int) -> IntArray:
    """Give each training query an inner fold; equal prompts share one, tasks are spread evenly.

    Args:
        table: training queries.
        n_folds: at least 2.

    Returns:
        int64[Q] in [0, n_folds).
    """
    _, first, inverse = np.unique(table.group, return_index=True, return_inverse=True)
    # Dealing groups out in order of task gives every fold its share of every task.
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(table.task[first], kind="stable")] = np.arange(len(first))
    return np.asarray(place[inverse] % n_folds, dtype=np.int64)


def shrunk_mean(
    values: FloatArray, cell: IntArray, prior: FloatArray, *, pseudo_counts: float
) -> FloatArray:
    """Mean of each member in each cell, drawn towards a prior.

    Args:
        values: float[Q, N].
        cell: int64[Q], the cell (task, cluster) of each query.
        prior: float[cells, N], what a cell without queries gets.
        pseudo_counts: how many queries the prior is worth.

    Returns:
        float32[cells, N].

    >>> one = np.ones((2, 1), dtype=np.float32)
    >>> shrunk_mean(one, np.array([0, 0]), 0 * one, pseudo_counts=2.0).tolist()
    [[0.5], [0.0]]
    """
    total: NDArray[np.float64] = np.zeros(prior.shape)
    np.add.at(total, cell, values)
    count = np.bincount(cell, minlength=len(prior))[:, None]
    return np.asarray((total + pseudo_counts * prior) / (count + pseudo_counts), dtype=np.float32)
