"""Many logged episodes concatenated into views, and what a policy decides on all of them at once.

A policy's importance weights are products of 1 / propensity as long as it agrees with the log, and
0 from where it does not: served policies are deterministic.

Axes: E episodes have B decisions together; N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.replay import best_answer
from rlfocal.deliberation.view import View
from rlfocal.numbers import Float64Array
from rlfocal.online.episodes import Episode
from rlfocal.records import BoolArray, FloatArray, IntArray

__all__ = ["Decisions", "Path", "batch", "path_of", "products"]


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


@dataclass(frozen=True, eq=False)
class Path:
    """A policy's decisions along logged episodes."""

    wanted: BoolArray
    """bool[B, N]: members that it would ask; none where it would stop."""
    ratio: Float64Array
    """float64[B]: its probability of the logged decision over the logging policy's."""
    weight: Float64Array
    """float64[E]: the product of them."""
    score: Float64Array
    """float64[E] in [0, 1]: score of its answer at the end."""
    n_unknown: int
    """Answers of unknown score on paths that the policy takes."""


def path_of(strategy: Strategy, log: Decisions, *, unknown: float = 0.0) -> Path:
    """Let a policy decide in every logged state.

    Args:
        strategy: the policy; the price is that of each episode.
        log: judged episodes.
        unknown: score of an answer that was not judged.

    Raises:
        ValueError: a price that it was not trained for.
    """
    wanted = np.zeros_like(log.wanted)
    answer = np.full(len(log), -1, dtype=np.int64)
    price_of = log.price[log.episode]
    for price in np.unique(log.price).tolist():
        priced = strategy.at(price)
        here, ends = np.flatnonzero(price_of == price), np.flatnonzero(log.price == price)
        view = log.view.take(here)
        wanted[here] = priced.decide(view).ask & ~view.asked
        end = log.end.take(ends)
        answer[ends], _ = best_answer(end.available, priced.decide(end).answer)
    agrees = (wanted == log.wanted).all(axis=1)
    ratio = np.where(agrees, 1 / log.propensity, 0.0)
    weight = products(ratio, log)
    score = worth_of(log.worth, answer)
    silent = np.isnan(score)
    return Path(
        wanted, ratio, weight, np.where(silent, unknown, score), int((silent & (weight > 0)).sum())
    )


def products(ratio: Float64Array, log: Decisions) -> Float64Array:
    """float64[E]: the product over each episode's decisions of float64[B]."""
    weight = np.ones(len(log))
    np.multiply.at(weight, log.episode, ratio)
    return weight
