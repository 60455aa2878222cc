"""Scenes for the prior's training: batches of simulated pools, drawn here or by workers elsewhere.

Each is known by its number: it is the same wherever it is drawn and whatever else is. To draw one
takes longer than to learn from it, so workers draw ahead while the learner learns.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlfocal.executor import Executor
from rlfocal.training.prior.pool_batches import PoolBatch, draw_pool_batch

__all__ = ["Scenes", "from_arrays", "scenes", "to_arrays"]

_BLOCK = 8
"""Scenes that a worker draws at a time: what they cost to send counts little then."""
_ROUND = 2_500
"""Blocks of one call of the executor, which is told its jobs beforehand."""


class Scenes(NamedTuple):
    """Which scenes: two of different seeds, or streams of one seed, have nothing in common."""

    seed: int
    stream: int
    n_pools: int
    n_queries: int
    readers: float = 0.0
    """Share of those in which some members read others."""
    n_labels: int | None = None
    """Labelled queries of each pool; None draws them."""
    n_members: int | None = None
    """Of each pool; None draws them."""

    def draw(self, number: int) -> PoolBatch:
        """One of them."""
        rng = np.random.default_rng([self.seed, self.stream, number])
        return draw_pool_batch(
            rng,
            n_pools=self.n_pools,
            n_queries=self.n_queries,
            n_members=self.n_members,
            n_labels=self.n_labels,
            readers=bool(rng.random() < self.readers),
        )


def scenes(kind: Scenes, executor: Executor) -> Generator[PoolBatch]:
    """Draw scenes without end, in the order of their numbers; closing it ends the workers.

    Args:
        kind: which.
        executor: where they are drawn.
    """
    for first in count(0, _ROUND):
        early: dict[int, list[PoolBatch]] = {}
        due = 0
        drawn = executor.map(_block, range(first, first + _ROUND), shared=kind)
        for index, block in drawn:
            early[index] = block
            while due in early:
                yield from map(from_arrays, early.pop(due))
                due += 1


def _block(kind: Scenes, number: int) -> list[Any]:
    return [to_arrays(kind.draw(_BLOCK * number + n)) for n in range(_BLOCK)]


def to_arrays(value: Any) -> Any:
    """Tensors as arrays, in tuples of tuples: torch would send them in ways of its own."""
    if isinstance(value, tuple):
        return type(value)(*map(to_arrays, value))
    return value.numpy() if isinstance(value, Tensor) else value


def from_arrays(value: Any) -> Any:
    """Undo `to_arrays`."""
    if isinstance(value, tuple):
        return type(value)(*map(from_arrays, value))
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
