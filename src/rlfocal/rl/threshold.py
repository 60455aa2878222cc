"""`posterior-threshold`: ask in order of expected score, stop once Fusion is sure enough.

The strongest simple use of Fusion, and the bar for reinforcement learning: the same posterior, the
same order that the Decider starts from, and one number per price in place of a learned stop. The
thresholds are those that earned most on training queries, judged by out-of-fold Fusion.

Axes: K calls, Q queries, P prices.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.rl.blinded import table_seen, view_seen
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.environment import PoolEnv
from rlfocal.rl.foundation import Foundation
from rlfocal.rl.nets import one_thread
from rlfocal.rl.observation import Observation
from rlfocal.rl.rollout import look

__all__ = ["Curve", "PosteriorThreshold", "Walk", "nearest_price", "prices_of", "walk"]

THRESHOLDS = np.concatenate([[0.0], 1 - np.geomspace(0.6, 0.001, 40), [2.0]])
"""Stop at once, ever later, never."""
_MOST_CALLS = 16
"""A walk ends here: in larger pools nobody waits for more calls one after another."""


class Walk(NamedTuple):
    """Q queries followed in the order of expected score, whatever the posterior says."""

    confidence: FloatArray
    """float32[K, Q] after 1, 2, ... calls."""
    worth: FloatArray
    """float32[K, Q]: score of the answer."""
    cost: FloatArray
    """float32[K, Q]: of the calls so far, in average calls."""

    def take(self, rows: BoolArray) -> Walk:
        """Keep some of the queries."""
        return Walk(*(part[:, rows] for part in self))

    def stops(self, threshold: float) -> IntArray:
        """int64[Q]: after how many calls, less one, each query stops."""
        sure = self.confidence >= threshold
        sure[-1] = True
        return np.asarray(sure.argmax(axis=0))

    def outcome(self, threshold: float) -> tuple[FloatArray, FloatArray]:
        """Score and cost of each query: float32[Q] both."""
        at = self.stops(threshold), np.arange(self.worth.shape[1])
        return self.worth[at], self.cost[at]


def prices_of(config: RlFocalConfig) -> tuple[float, ...]:
    """Dials worth showing, from dear to cheap; the last one, 0, spares no call."""
    return _grid(config.price_max, config.price_min)


@cache
def _grid(dearest: float, cheapest: float) -> tuple[float, ...]:
    return (*(float(price) for price in np.geomspace(dearest, cheapest, 12)), 0.0)


def nearest_price(prices: tuple[float, ...], price: float) -> int:
    """Place of the price nearest by ratio; 0 is only near itself."""
    if price == 0:
        return prices.index(0.0)
    ratios = [abs(np.log(p / price)) if p > 0 else np.inf for p in prices]
    return int(np.argmin(ratios))


def next_in_order(observation: Observation) -> torch.Tensor:
    """int64[B]: the member not asked yet with the best expected score less price; N for none."""
    open_to = observation.legal[:, :-1]
    best = observation.preference.masked_fill(~open_to, -torch.inf).argmax(1)
    return torch.where(open_to.any(1), best, open_to.shape[1])


def walk(foundation: Foundation, table: ResponseTable, rows: IntArray, price: float) -> Walk:
    """Follow training queries, judged out of fold.

    Args:
        foundation: fitted on the table.
        table: the training queries.
        rows: int64[Q], which of them.
        price: lambda, which orders members by expected score less price.
    """
    env = PoolEnv(table, unit_cost=foundation.statistics.unit_cost)
    view = env.reset(rows, np.full(len(rows), price, dtype=np.float32))
    confidence, worth, cost = [], [], []
    seen, answer = look(foundation.observer, env, foundation.known, view)
    for _ in range(min(table.n_members, _MOST_CALLS)):
        member = next_in_order(seen.observation).numpy()
        # Where nobody is left to ask, one is asked again, which reveals nothing and stops nothing.
        again = env.asked[env.active].argmax(axis=1)
        env.step(np.where(member < table.n_members, member, again), answer)
        view = env.view()
        seen, answer = look(foundation.observer, env, foundation.known, view)
        confidence.append(seen.observation.confidence.numpy())
        worth.append(env.stopping_earns(answer))
        cost.append(view.spent / np.float32(foundation.statistics.unit_cost))
    return Walk(np.stack(confidence), np.stack(worth), np.stack(cost))


class Curve(NamedTuple):
    """What every threshold earned and cost on training queries, for each of P prices' orders."""

    score: FloatArray
    """float32[P, T]: mean score."""
    cost: FloatArray
    """float32[P, T]: mean cost of a query, in average calls."""

    @classmethod
    def of(cls, walks: list[Walk]) -> Self:
        """Measure walks, one for each price."""
        means = [[tuple(x.mean() for x in w.outcome(t)) for t in THRESHOLDS] for w in walks]
        score, cost = np.moveaxis(np.array(means, dtype=np.float32), 2, 0)
        return cls(score, cost)

    def best(self, index: int, price: float) -> float:
        """The threshold with the highest mean utility at a price; ties go to the lower.

        Args:
            index: of the order of members: the place of the nearest price.
            price: lambda.
        """
        return float(THRESHOLDS[int((self.score[index] - price * self.cost[index]).argmax())])


class PosteriorThreshold(Base):
    """Stops where the leading candidate's posterior passes a threshold that belongs to the price.

    Args:
        config: settings, shared with `rl-focal`.
    """

    name = "posterior-threshold"
    stochastic: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.QUERIES})

    def __init__(self, config: RlFocalConfig | None = None) -> None:
        self.config = config or RlFocalConfig()
        self.price = self.config.default_price
        self._last: tuple[View, FloatArray] | None = None

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Train Fusion, then pick the thresholds."""
        table = table_seen(table, self.config)
        if not table.is_complete:
            table = table.take(np.asarray(table.scored.any(axis=1)))
        with one_thread():
            foundation = Foundation.fit(table, self.config, rng=rng)
            walks = walk_prices(foundation, table, np.arange(table.n_queries), self.dials)
        return self.assemble(foundation, Curve.of(walks))

    def assemble(self, foundation: Foundation, curve: Curve) -> Self:
        """Put the strategy together from its trained parts."""
        self.curve_, self._foundation = curve, foundation
        self._last = None
        return self

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap."""
        return prices_of(self.config)

    def at(self, dial: float) -> Self:
        """Return the same fitted strategy at another price."""
        other = copy.copy(self)
        other.price = dial
        return other

    def next_members(self, view: View) -> BoolArray:
        """Ask one more member, or stop."""
        given, view = view, view_seen(view, self.config)
        index = nearest_price(self.dials, self.price)
        with one_thread(), torch.inference_mode():
            price = np.full(len(view), self.dials[index], dtype=np.float32)
            competence = self._foundation.competence.predict(view.features)
            found = self._foundation.observer.look(view, price, competence)
            seen = found.observation
            member = next_in_order(seen).numpy()
            sure = seen.confidence.numpy() >= self.curve_.best(index, self.price)
            self._last = (given, found.posterior[:, :-1].numpy() * view.available)
        n_asked = view.asked.sum(axis=1)
        stop = (sure & (n_asked > 0)) | (n_asked >= _MOST_CALLS)
        wanted = member[:, None] == np.arange(view.asked.shape[1])
        return np.asarray(wanted & ~stop[:, None])

    def fuse(self, view: View) -> FloatArray:
        """Fusion's posterior; what it leaves to "none of these" is missing from the sum."""
        if self._last is not None and self._last[0] is view:  # just looked at, to decide
            return self._last[1]
        return self._foundation.fuse(view_seen(view, self.config))


def walk_prices(
    foundation: Foundation, table: ResponseTable, rows: IntArray, prices: tuple[float, ...]
) -> list[Walk]:
    """One walk for each price; where all calls cost the same, the order never changes."""
    cost = foundation.statistics.relative_cost
    if np.allclose(cost, cost[0], rtol=1e-6):
        return [walk(foundation, table, rows, 0.0)] * len(prices)
    return [walk(foundation, table, rows, price) for price in prices]
