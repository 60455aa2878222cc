"""Deal training queries into inner folds, for what must be judged on queries it did not see."""

from __future__ import annotations

import numpy as np

from rlfocal.records.table import IntArray, ResponseTable

__all__ = ["inner_folds"]


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
