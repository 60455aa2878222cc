"""The dozen operations that numpy and torch name differently, and which package an array is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

from rlfocal.agents.arrays.of_numpy import OfNumpy

__all__ = ["Array", "Namespace", "Weights", "layer", "namespace"]

Array: TypeAlias = Any
"""A numpy array or a torch tensor; docstrings say of which dtype and shape."""
Weights: TypeAlias = Mapping[str, Array]
"""A net's float32 arrays by name, "layer.weight" [out, in] and "layer.bias" [out]."""


class Namespace(Protocol):
    """What a forward pass takes from its package. Floats are float32 and stay so."""

    def exp(self, x: Array, /) -> Array:
        """E to the power of x."""
        ...

    def log(self, x: Array, /) -> Array:
        """Natural logarithm."""
        ...

    def log1p(self, x: Array, /) -> Array:
        """log(1 + x)."""
        ...

    def sigmoid(self, x: Array, /) -> Array:
        """1 / (1 + exp(-x)), without overflow."""
        ...

    def log_sigmoid(self, x: Array, /) -> Array:
        """log(sigmoid(x)), finite for every finite x."""
        ...

    def relu(self, x: Array, /) -> Array:
        """X where it is positive, else 0."""
        ...

    def softmax(self, x: Array, /) -> Array:
        """Along the last axis."""
        ...

    def log_softmax(self, x: Array, /) -> Array:
        """Along the last axis."""
        ...

    def linear(self, x: Array, weight: Array, bias: Array | None = None, /) -> Array:
        """[..., out]: x [..., in] by a weight [out, in], plus a bias [out]."""
        ...

    def floats(self, x: Array, /) -> Array:
        """As float32."""
        ...

    def arange(self, n: int, /) -> Array:
        """int64[n]: 0 to n - 1."""
        ...

    def broadcast_to(self, x: Array, shape: Sequence[int], /) -> Array:
        """X repeated along its axes of width 1, without a copy."""
        ...

    def where(self, condition: Array, x: Array | float, y: Array | float, /) -> Array:
        """X where the condition holds, else y."""
        ...

    def at_least(self, x: Array, bound: float, /) -> Array:
        """The larger of x and a number."""
        ...

    def at_most(self, x: Array, bound: float, /) -> Array:
        """The smaller of x and a number."""
        ...

    def maximum(self, x: Array, y: Array, /) -> Array:
        """The larger of both, element by element."""
        ...

    def sum(self, x: Array, /, axis: int, *, keepdims: bool = False) -> Array:
        """Sum along an axis."""
        ...

    def max(self, x: Array, /, axis: int, *, keepdims: bool = False) -> Array:
        """Maximum along an axis."""
        ...

    def top(self, x: Array, k: int, /) -> tuple[Array, Array]:
        """The k largest along the last axis, largest first, and their places.

        Which of equals comes first is left open.
        """
        ...

    def take(self, x: Array, places: Array, /) -> Array:
        """[B, K]: in each row of x [B, N] the elements at int64[B, K]."""
        ...

    def concat(self, arrays: Sequence[Array], /) -> Array:
        """One after the other along the last axis."""
        ...

    def stack(self, arrays: Sequence[Array], /) -> Array:
        """[..., K]: side by side as a new last axis, as float32, each as wide as the first."""
        ...


_NUMPY: Namespace = OfNumpy()


def namespace(array: Array) -> Namespace:
    """The operations of the package that an array is of.

    >>> namespace(np.zeros(2)).softmax(np.zeros((1, 2), dtype=np.float32)).tolist()
    [[0.5, 0.5]]
    """
    return _NUMPY if isinstance(array, np.ndarray) else _of_torch()


def layer(weights: Weights, name: str, x: Array) -> Array:
    """[..., out]: what a layer makes of x [..., in]; without a bias where it has none."""
    bias = weights.get(name + ".bias")
    return namespace(x).linear(x, weights[name + ".weight"], bias)


@cache
def _of_torch() -> Namespace:
    # Whoever holds a tensor has imported torch; whoever holds none never comes here.
    return cast(Namespace, import_module("rlfocal.agents.arrays.of_torch").OfTorch())
