"""Many logged episodes concatenated into views that a policy can decide on at once.

Axes: E episodes have B decisions together; N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.view import View
from rlfocal.online.episodes import Episode
from rlfocal.records import BoolArray, FloatArray, IntArray

__all__ = ["Decisions", "batch", "worth_of"]

Float64Array = NDArray[np.float64]


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

    @property
    def reward(self) -> Float64Array:
        """float64[E]: score less the cost of the calls."""
        return self.score - np.bincount(self.episode, self.charge, minlength=len(self))


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
    shapes = {(episode.n_members, len(episode.features)) for episode in episodes}
    if len(shapes) > 1:
        raise ValueError(f"episodes of different pools (members, features): {sorted(shapes)}")
    n_decisions = np.array([len(episode.wanted) for episode in episodes])
    owner = np.repeat(np.arange(len(episodes)), n_decisions)
    n_slots = max(episode.states.support.shape[2] for episode in episodes)
    charges = []
    for episode in episodes:
        states = episode.states
        after = states.spent[1:]
        if len(states) == len(episode.wanted):  # the last decision cost nothing
            after = np.append(after, states.spent[-1])
        spent = after.astype(np.float64) - states.spent[: len(after)]
        charges.append(episode.price * spent / episode.unit_cost)
    worth = np.full((len(episodes), n_slots), np.nan)
    for e, episode in enumerate(episodes):
        worth[e, : len(episode.worth)] = episode.worth
    return Decisions(
        view=_view(episodes, n_slots, [slice(0, n) for n in n_decisions.tolist()]),
        end=_view(episodes, n_slots, [slice(-1, None)] * len(episodes)),
        episode=owner,
        last=np.append(owner[1:] != owner[:-1], True),
        price=np.array([episode.price for episode in episodes], dtype=np.float32),
        wanted=np.concatenate([episode.wanted for episode in episodes]),
        propensity=np.concatenate([episode.propensity for episode in episodes]),
        charge=np.concatenate(charges),
        worth=worth,
        chosen=np.array([episode.chosen for episode in episodes], dtype=np.int64),
    )


def _view(episodes: Sequence[Episode], n_slots: int, parts: Sequence[slice]) -> View:
    """One view of some states of each episode."""
    count = np.array(
        [len(e.states.spent[part]) for e, part in zip(episodes, parts, strict=True)],
        dtype=np.int64,
    )  # fmt: skip
    pairs = list(zip((episode.states for episode in episodes), parts, strict=True))
    answer = np.concatenate([states.answer[part] for states, part in pairs])
    support = np.zeros((*answer.shape, n_slots), dtype=np.float32)
    ends = np.cumsum(count)
    for (states, part), begin, end in zip(pairs, ends - count, ends, strict=True):
        support[begin:end, :, : states.support.shape[2]] = states.support[part]
    n_candidates = np.concatenate([states.n_candidates[part] for states, part in pairs])
    return View(
        position=np.arange(len(answer)),
        task=np.repeat([episode.task for episode in episodes], count).astype(np.int64),
        features=np.repeat(np.stack([episode.features for episode in episodes]), count, axis=0),
        is_open=np.repeat([episode.n_options == 0 for episode in episodes], count),
        asked=np.concatenate([states.asked[part] for states, part in pairs]),
        answered=answer >= 0,
        answer=answer,
        support=support,
        available=np.arange(n_slots) < n_candidates[:, None],
        spent=np.concatenate([states.spent[part] for states, part in pairs]),
        budget=np.full(len(answer), np.inf, dtype=np.float32),
        n_rounds=np.concatenate([states.n_rounds[part] for states, part in pairs]),
    )
