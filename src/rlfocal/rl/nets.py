"""What all nets share: copying weights by value, seeding, and computing on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

__all__ = ["one_thread", "seeded", "weights_of"]

Made = TypeVar("Made")


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Weights by value: kept by reference, the "best" ones would silently be the last."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def seeded(seed: int, make: Callable[[], Made]) -> Made:
    """Make nets whose first weights depend on `seed` alone; the global generator stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: these nets are too small to share, and jobs run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
