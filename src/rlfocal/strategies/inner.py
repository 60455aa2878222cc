"""What strategies share to choose their own settings: inner folds and means that small cells share.

Settings are chosen on training queries alone, by the same rule every time: no randomness, so a
strategy that is otherwise deterministic stays so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray, FloatArray, IntArray
from rlfocal.records.inner import inner_folds

__all__ = ["inner_folds", "shrunk_mean"]


def shrunk_mean(
    values: FloatArray,
    cell: IntArray,
    prior: FloatArray,
    *,
    pseudo_counts: float,
    known: BoolArray | None = None,
) -> FloatArray:
    """Mean of each member in each cell, drawn towards a prior.

    Args:
        values: float[Q, N].
        cell: int64[Q], the cell (task, cluster) of each query.
        prior: float[cells, N], what a cell without queries gets.
        pseudo_counts: how many queries the prior is worth.
        known: bool[Q, N], the values that count; None for all.

    Returns:
        float32[cells, N].

    >>> one = np.ones((2, 1), dtype=np.float32)
    >>> shrunk_mean(one, np.array([0, 0]), 0 * one, pseudo_counts=2.0).tolist()
    [[0.5], [0.0]]
    """
    total: NDArray[np.float64] = np.zeros(prior.shape)
    count: NDArray[np.integer] = np.bincount(cell, minlength=len(prior))[:, None]
    if known is not None and not known.all():
        values, count = np.where(known, values, np.float32(0)), np.zeros(prior.shape, dtype=int)
        np.add.at(count, cell, known)
    np.add.at(total, cell, values)
    return np.asarray((total + pseudo_counts * prior) / (count + pseudo_counts), dtype=np.float32)
