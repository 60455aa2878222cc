"""Where a task's answers cannot be compared they cannot be fused: one member answers alone.

Axes: B queries, N members, C candidates.
"""

from __future__ import annotations

import numpy as np

from rlfocal.deliberation.view import View
from rlfocal.records import FloatArray

__all__ = ["believed_alone", "select"]


def select(view: View, worth: FloatArray) -> FloatArray:
    """float32[B, N + 1]: log-probabilities; ask the member with the highest worth, then stop."""
    n_members = view.asked.shape[1]
    if view.closed is not None:
        worth = np.where(view.closed, -np.inf, worth)
    if view.ready is not None:
        worth = np.where(view.ready, worth, -np.inf)
    begun = view.asked.any(axis=1)
    chosen = np.where(begun, n_members, worth.argmax(axis=1))
    taken = chosen[:, None] == np.arange(n_members + 1)
    return np.where(taken, np.float32(0), np.float32(-1e9))


def believed_alone(view: View, chance: FloatArray) -> FloatArray:
    """float32[B, C]: the answer of the best member that gave one, at its accuracy."""
    given = np.where(view.answered, chance, 0.0)
    best = given.argmax(axis=1)
    rows = np.arange(len(best))
    posterior = view.support[rows, best] * given[rows, best][:, None]
    return np.asarray(posterior, dtype=np.float32)
