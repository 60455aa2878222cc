"""What strategies share to choose their own settings: inner folds and means that small cells share.

Settings are chosen on training queries alone, by the same rule every time: no randomness, so a
strategy that is otherwise deterministic stays so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import FloatArray, IntArray
from rlfocal.records.inner import inner_folds

__all__ = ["inner_folds", "shrunk_mean"]


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
