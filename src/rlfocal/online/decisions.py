"""Many logged episodes concatenated into views that a policy can decide on at once.

Axes: E episodes have B decisions together; N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rlfocal.deliberation.view import View
from rlfocal.numbers import Float64Array
from rlfocal.online.episodes import Episode
from rlfocal.records import BoolArray, FloatArray, IntArray

__all__ = ["Decisions", "batch", "worth_of"]


@dataclass(frozen=True, eq=False)
class Decisions:
    """E episodes concatenated: B states with a decision, and E final states.

    Decisions of an episode are adjacent and in order.
    """

    view: View
    """Of B states."""
    end: View
    """Of E states."""
    episode: IntArray
    """int64[B]."""
    last: BoolArray
    """bool[B]: True where the episode ends after it."""
    price: FloatArray
    """float32[E]."""
    wanted: BoolArray
    """bool[B, N]: members that the logging policy asked; none where it stopped."""
    propensity: Float64Array
    """float64[B] in (0, 1]."""
    charge: Float64Array
    """float64[B]: lambda times the cost of the decision, in units of a right answer's worth."""
    worth: Float64Array
    """float64[E, C]: score of each candidate at the end; NaN where unknown."""
    chosen: IntArray
    """int64[E]: the candidate that was answered; -1 for none."""

    def __len__(self) -> int:
        """E."""
        return len(self.price)

    @property
    def score(self) -> Float64Array:
        """float64[E]: scores of the logged answers; NaN where unknown."""
        return worth_of(self.worth, self.chosen)

    def reward_of(self, score: Float64Array) -> Float64Array:
        """float64[E]: scores float64[E] of answers less the cost of the logged calls."""
        return score - np.bincount(self.episode, self.charge, minlength=len(self))


def worth_of(worth: Float64Array, answer: IntArray) -> Float64Array:
    """float64[E]: scores of answers int64[E]; 0 for -1."""
    taken = worth[np.arange(len(answer)), np.maximum(answer, 0)]
    return np.where(answer >= 0, taken, 0.0)


def batch(episodes: Sequence[Episode]) -> Decisions:
    """Concatenate episodes of one pool.

    The logging policy's memory is not kept: only its propensities count.

    Args:
        episodes: at least one.

    Raises:
        ValueError: there is none, or they are of different pools.
    """
    if not episodes:
        raise ValueError("there is no episode")
    shapes = {(e.n_members, e.states.features.shape[1]) for e in episodes}
    if len(shapes) > 1:
        raise ValueError(f"episodes of different pools (members, features): {sorted(shapes)}")
    states = View.concat([episode.states for episode in episodes])
    n_states = np.array([len(episode.states) for episode in episodes])
    n_decisions = np.array([len(episode.wanted) for episode in episodes])
    owner = np.repeat(np.arange(len(episodes)), n_decisions)
    end = np.cumsum(n_states) - 1
    more = n_states - n_decisions
    rows = np.arange(len(owner)) + (np.cumsum(more) - more)[owner]
    # Where there is no later state, the last decision cost nothing.
    spent = states.spent.astype(np.float64)
    price = np.array([episode.price for episode in episodes])
    unit_cost = np.array([episode.unit_cost for episode in episodes])
    worth = np.full((len(episodes), states.available.shape[1]), np.nan)
    for e, episode in enumerate(episodes):
        worth[e, : len(episode.worth)] = episode.worth
    return Decisions(
        view=_numbered(states.take(rows)),
        end=_numbered(states.take(end)),
        episode=owner,
        last=np.append(owner[1:] != owner[:-1], True),
        price=price.astype(np.float32),
        wanted=np.concatenate([episode.wanted for episode in episodes]),
        propensity=np.concatenate([episode.propensity for episode in episodes]),
        charge=price[owner]
        * (spent[np.minimum(rows + 1, end[owner])] - spent[rows])
        / unit_cost[owner],
        worth=worth,
        chosen=np.array([episode.chosen for episode in episodes], dtype=np.int64),
    )


def _numbered(view: View) -> View:
    """The view as that of queries of their own, which nothing keeps from being asked on."""
    return replace(
        view,
        position=np.arange(len(view)),
        budget=np.full(len(view), np.inf, dtype=np.float32),
    )
