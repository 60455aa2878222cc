"""Formulas that several rooms need: log-odds, sigmoid, softmax, shrunk means, Wilson's interval.

Each is written here once, so that two figures of the same name cannot differ. Knows arrays only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Z_95", "log_odds", "shrunk", "shrunk_mean", "sigmoid", "softmax", "wilson"]

Float64Array = NDArray[np.float64]

Z_95 = 1.959963984540054
"""97.5 % of a standard normal distribution lie below it."""


def log_odds(
    chance: NDArray[np.floating], *, least: float, dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """log(p / (1 - p)), in the shape of `chance`.

    Args:
        chance: float[...] in [0, 1].
        least: chances are kept within [least, 1 - least], so that none is certain.
        dtype: what is calculated in.

    >>> log_odds(np.array([0.5, 0.75, 1.0]), least=0.01).round(3).tolist()
    [0.0, 1.099, 4.595]
    """
    clipped = np.clip(np.asarray(chance, dtype=dtype), least, 1 - least)
    return np.asarray(np.log(clipped / (1 - clipped)))


def sigmoid(logit: NDArray[Any]) -> NDArray[Any]:
    """1 / (1 + exp(-x)) in the shape and precision of `logit`, without overflow at either end.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)))


def softmax(logit: NDArray[Any], allowed: NDArray[np.bool_]) -> NDArray[Any]:
    """Softmax over the last axis within `allowed`; a row that allows nothing is all zero.

    >>> softmax(np.array([[0.0, 0.0, 9.0]]), np.array([[True, True, False]])).tolist()
    [[0.5, 0.5, 0.0]]
    """
    masked = np.where(allowed, logit, -np.inf)
    top = masked.max(axis=-1, keepdims=True)
    power = np.exp(masked - np.where(np.isfinite(top), top, 0))
    return np.asarray(power / np.maximum(power.sum(axis=-1, keepdims=True), 1e-300))


def shrunk(total: Any, count: Any, *, towards: Any, worth: float) -> Any:
    """The mean total / count, drawn towards a value that counts as `worth` observations.

    Arrays broadcast; their precision is kept.

    >>> shrunk(3.0, 3, towards=0.5, worth=3.0)
    0.75
    """
    return (total + worth * towards) / (count + worth)


def shrunk_mean(
    values: NDArray[np.floating],
    cell: NDArray[np.int64],
    prior: NDArray[np.floating],
    *,
    pseudo_counts: float,
    known: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
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
    total: Float64Array = np.zeros(prior.shape)
    count: NDArray[np.integer] = np.bincount(cell, minlength=len(prior))[:, None]
    if known is not None and not known.all():
        values, count = np.where(known, values, np.float32(0)), np.zeros(prior.shape, dtype=int)
        np.add.at(count, cell, known)
    np.add.at(total, cell, values)
    return np.asarray(shrunk(total, count, towards=prior, worth=pseudo_counts), dtype=np.float32)


def wilson(
    share: float | Float64Array, n: int | NDArray[np.int64]
) -> tuple[Float64Array, Float64Array]:
    """95 % Wilson score intervals of shares; for graded scores an upper bound on their width.

    Args:
        share: float64[...] in [0, 1].
        n: how many queries each is of, at least 1.

    Returns:
        Lower and upper bounds, in [0, 1].

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    >>> [round(float(bound), 3) for bound in wilson(0.5, 100)]
    [0.404, 0.596]
    """
    z2 = Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    # Rounding must not push the bounds past the share itself where it is 0 or 1.
    return np.clip(centre - half, 0, share), np.clip(centre + half, share, 1)
