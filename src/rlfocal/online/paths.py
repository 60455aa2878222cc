"""A policy's decisions in the states of logged episodes, and its importance weights.

Weights are products of 1 / propensity as long as the policy agrees with the log, and 0 from where
it does not: served policies are deterministic.

Axes: B decisions of E episodes, N members, C candidate slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.replay import best_answer
from rlfocal.numbers import Float64Array
from rlfocal.online.decisions import Decisions, worth_of
from rlfocal.records import BoolArray

__all__ = ["Path", "path_of", "products"]


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
