"""What all nets share: weights by value and as arrays, seeding, and computing on one thread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlfocal.deliberation.protocol import State
from rlfocal.deliberation.state import Row, without_prefix

__all__ = ["arrays_of", "one_thread", "restored", "rows_of", "seeded", "weights_of"]

Made = TypeVar("Made")
Net = TypeVar("Net", bound=nn.Module)


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """Weights by value: kept by reference, the "best" ones would silently be the last."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def arrays_of(**nets: nn.Module) -> State:
    """The weights of nets, as a strategy's state names them: "net.layer.weight"."""
    return {
        f"{prefix}.{name}": weight.detach().numpy()
        for prefix, net in nets.items()
        for name, weight in net.state_dict().items()
    }


def restored(net: Net, prefix: str, state: Mapping[str, NDArray[Any]]) -> Net:
    """Give a net the weights of that prefix, ready for use.

    Raises:
        RuntimeError: a weight is missing or has another shape.
    """
    weights = without_prefix(prefix, state)
    net.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in weights.items()})
    return net.eval()


def rows_of(present: Collection[str], *prefixes: str) -> dict[str, Row]:
    """What the weights of nets must be like, among the arrays of a state: finite numbers."""
    starts = tuple(f"{prefix}." for prefix in prefixes)
    return {name: Row("float32", "...") for name in present if name.startswith(starts)}


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
