"""Deal training queries into inner folds, for what must be judged on queries it did not see."""

from __future__ import annotations

import numpy as np

from rlfocal.records.tables.table import IntArray, ResponseTable

__all__ = ["inner_folds"]


def inner_folds(
    table: ResponseTable, n_folds: int, *, rng: np.random.Generator | None = None
) -> IntArray:
    """Give each training query an inner fold; equal prompts share one, tasks are spread evenly.

    Args:
        table: training queries.
        n_folds: at least 2.
        rng: shuffles the prompts of each task; None keeps their order, for what has no randomness.

    Returns:
        int64[Q] in [0, n_folds).
    """
    _, first, inverse = np.unique(table.group, return_index=True, return_inverse=True)
    # Dealing groups out in order of task gives every fold its share of every task.
    place = np.empty(len(first), dtype=np.int64)
    key = np.arange(len(first)) if rng is None else rng.random(len(first))
    place[np.lexsort((key, table.task[first]))] = np.arange(len(first))
    return np.asarray(place[inverse] % n_folds, dtype=np.int64)
