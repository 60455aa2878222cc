"""Which layers a net has: said once, for weights on disk and for the modules that learn them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeAlias

from rlfocal.agents.arrays.namespace import Weights
from rlfocal.deliberation.state import Row

__all__ = ["Layer", "Layers", "checked", "rows_of", "size_of"]


class Layer(NamedTuple):
    """An affine layer."""

    n_in: int
    n_out: int
    bias: bool = True
    zero: bool = False
    """Whether it starts as zero: what it adds is all learned."""

    def shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        """Names and shapes of its arrays."""
        weight: dict[str, tuple[int, ...]] = {f"{name}.weight": (self.n_out, self.n_in)}
        return weight | {f"{name}.bias": (self.n_out,)} if self.bias else weight


Layers: TypeAlias = Mapping[str, Layer]
"""A net's layers by name, in the order in which their first weights are drawn."""


def checked(weights: Weights, layers: Layers) -> Weights:
    """The weights, where they are those of these layers and no others.

    Raises:
        KeyError: an array is missing.
        RuntimeError: an array has another shape, or belongs to no layer.
    """
    wanted = dict[str, tuple[int, ...]]()
    for name, layer in layers.items():
        wanted |= layer.shapes(name)
    for name, shape in wanted.items():
        if name not in weights:
            raise KeyError(f"'{name}' is missing")
        if (found := tuple(weights[name].shape)) != shape:
            raise RuntimeError(f"'{name}' has the shape {list(found)}, not {list(shape)}")
    if strange := sorted(set(weights) - set(wanted)):
        raise RuntimeError(f"'{strange[0]}' belongs to no layer of the net")
    return {name: weights[name] for name in wanted}


def rows_of(present: Collection[str], *prefixes: str) -> dict[str, Row]:
    """Layout of the weights of nets among the arrays of a state: finite numbers."""
    starts = tuple(f"{prefix}." for prefix in prefixes)
    return {name: Row("float32", "...") for name in present if name.startswith(starts)}


def size_of(weights: Weights) -> int:
    """How many numbers they are."""
    return sum(math.prod(array.shape) for array in weights.values())
