"""How many members to ask: the numbers worth trying for a pool of N, and the check of one.

Knows nothing of strategies; those with a number of calls as a setting share this grid, which
depends on the pool alone, so that folds compare.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["checked_count", "pool_sizes"]

_ALL_UP_TO = 12
"""Pools of at most so many members have every number tried; larger ones about as many."""


def checked_count(value: float, name: str) -> int:
    """A setting that counts something.

    Raises:
        ValueError: it is below 1, or not finite.
    """
    if not 1 <= value < math.inf:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)


def pool_sizes(n_members: int) -> tuple[int, ...]:
    """Numbers of members from 1 to N, ascending: all of them, or a geometric choice of them.

    Args:
        n_members: N, at least 1.

    >>> pool_sizes(4)
    (1, 2, 3, 4)
    >>> pool_sizes(24)
    (1, 2, 3, 4, 6, 8, 10, 13, 18, 24)
    """
    if n_members <= _ALL_UP_TO:
        return tuple(range(1, n_members + 1))
    steps = np.geomspace(1, n_members, _ALL_UP_TO).round().astype(int)
    return tuple(sorted({*steps.tolist(), n_members}))
