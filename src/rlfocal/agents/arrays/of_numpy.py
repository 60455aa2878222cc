"""The operations of `Namespace` in numpy: a net acts with these.

Ufuncs are called directly: for a single query the wrappers of `np.sum`, `np.clip` or `np.stack`
take longer than the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OfNumpy"]

Floats = NDArray[np.float32]

_LARGE, _SHORT = 4096, 64
"""Numbers from which on an array is large, and places up to which an axis of it is short."""


class OfNumpy:
    """As of `Namespace`."""

    exp, log, log1p, maximum = np.exp, np.log, np.log1p, np.maximum
    at_least, at_most = np.maximum, np.minimum

    def arange(self, n: int) -> NDArray[np.int64]:
        """int64[n]: 0 to n - 1."""
        return np.arange(n)

    def broadcast_to(self, x: Floats, shape: Sequence[int]) -> Floats:
        """A view of x that repeats it along its axes of width 1."""
        return np.broadcast_to(x, shape)

    def where(self, condition: NDArray[np.bool_], x: Floats | float, y: Floats | float) -> Floats:
        """The first where the condition holds, else the second."""
        return np.where(condition, x, y)

    def sigmoid(self, x: Floats) -> Floats:
        """By the hyperbolic tangent, which does not overflow."""
        half: Floats = np.tanh(x * 0.5)
        return half * 0.5 + 0.5

    def log_sigmoid(self, x: Floats) -> Floats:
        """-log(1 + exp(-x))."""
        grown: Floats = np.logaddexp(np.float32(0), -x)
        return -grown

    def relu(self, x: Floats) -> Floats:
        """X where it is positive, else 0."""
        if x.size < _LARGE:
            positive: Floats = np.maximum(x, 0)
            return positive
        # Two arrays are compared by vector instructions, an array and a number are not.
        return np.maximum(x, np.zeros_like(x))

    def softmax(self, x: Floats) -> Floats:
        """Along the last axis."""
        grown: Floats = np.exp(x - self.max(x, -1, keepdims=True))
        grown /= self.sum(grown, -1, keepdims=True)
        return grown

    def log_softmax(self, x: Floats) -> Floats:
        """Along the last axis."""
        below = x - self.max(x, -1, keepdims=True)
        return below - np.log(self.sum(np.exp(below), -1, keepdims=True))

    def linear(self, x: Floats, weight: Floats, bias: Floats | None = None) -> Floats:
        """As one product of matrices: a stack of them would be multiplied one by one."""
        flat: Floats = x.reshape(-1, x.shape[-1]) @ weight.T
        if bias is not None:
            flat += bias
        return flat.reshape(*x.shape[:-1], flat.shape[1])

    def floats(self, x: NDArray[Any]) -> Floats:
        """As float32."""
        return x.astype(np.float32)

    def sum(self, x: Floats, axis: int, *, keepdims: bool = False) -> Floats:
        """Sum along an axis."""
        return _along(np.add, x, axis, keepdims)

    def max(self, x: Floats, axis: int, *, keepdims: bool = False) -> Floats:
        """Maximum along an axis."""
        return _along(np.maximum, x, axis, keepdims)

    def top(self, x: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
        """Of equals the first comes first."""
        lowered = -x
        order = lowered.argsort(axis=-1, kind="stable")[..., :k]
        lowered.sort(axis=-1)
        return -lowered[..., :k], order

    def take(self, x: Floats, places: NDArray[np.int64]) -> Floats:
        """In each row the elements at some places."""
        return np.take_along_axis(x, places, axis=1)

    def concat(self, arrays: Sequence[Floats]) -> Floats:
        """One after the other along the last axis."""
        return np.concatenate(arrays, axis=-1)

    def stack(self, arrays: Sequence[NDArray[Any]]) -> Floats:
        """Column by column: assigning broadcasts and converts."""
        columns = np.empty((*arrays[0].shape, len(arrays)), dtype=np.float32)
        for k, array in enumerate(arrays):
            columns[..., k] = array
        return columns


def _along(ufunc: np.ufunc, x: Floats, axis: int, keepdims: bool) -> Floats:
    """As `ufunc.reduce`, which is several times as slow along a short axis of a large array."""
    if x.size < _LARGE or not 1 < x.shape[axis] <= _SHORT:
        whole: Floats = ufunc.reduce(x, axis=axis, keepdims=keepdims)
        return whole
    before: tuple[Any, ...] = (slice(None),) * (axis % x.ndim)  # moveaxis takes longer
    found: Floats = ufunc(x[*before, 0], x[*before, 1])
    for place in range(2, x.shape[axis]):
        ufunc(found, x[*before, place], out=found)
    return found[*before, None] if keepdims else found
