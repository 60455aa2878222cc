"""Helpers for nets in torch: weights by value and as arrays, seeding, one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["arrays_of", "one_thread", "seeded", "weights_from", "weights_of", "zeroed"]

Made = TypeVar("Made")
Net = TypeVar("Net", bound=nn.Module)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Weights by value: kept by reference, the "best" ones would silently be the last."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def arrays_of(module: nn.Module) -> dict[str, NDArray[Any]]:
    """Weights by value, as arrays."""
    return {name: value.numpy() for name, value in weights_of(module).items()}


def weights_from(module: Net, arrays: Mapping[str, NDArray[Any]]) -> Net:
    """Undo `arrays_of` on a net of the same shape, and set it to evaluation.

    Raises:
        RuntimeError: an array is missing, or of another shape.
    """
    module.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in arrays.items()})
    return module.eval()


def seeded(seed: int, make: Callable[[], Made]) -> Made:
    """Make nets whose first weights depend on `seed` alone; the global generator stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer with weights and biases of zero: what it adds is all learned."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: these nets are too small to share, and jobs run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
