"""`posterior-threshold`: ask in order of expected score, stop once Fusion is sure enough.

The strongest simple use of Fusion, and the bar for reinforcement learning: the same posterior, the
same order that the Decider starts from, and one number per price in place of a learned stop. The
thresholds are those that earned most on training queries, judged by out-of-fold Fusion.

Axes: K calls, Q queries, P prices.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.known import OutOfFold
from rlfocal.agents.observation import Observer, answer_of
from rlfocal.agents.prior.observation import Observation
from rlfocal.agents.remembering import Remembering
from rlfocal.deliberation.configured import Configured
from rlfocal.deliberation.protocol import Need, State
from rlfocal.deliberation.recorded import reveal, worth_of
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.settings import Settings

__all__ = [
    "CURVE_ROWS", "Curve", "PosteriorThreshold", "Walk", "nearest_price", "prices_of", "walk",
    "walk_prices",
]  # fmt: skip

THRESHOLDS = np.concatenate([[0.0], 1 - np.geomspace(0.6, 0.001, 40), [2.0]])
"""Stop at once, ever later, never."""
_MOST_CALLS = 16
"""Most calls one after another: in larger pools more of them would take too long."""


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


def next_in_order(observation: Observation) -> IntArray:
    """int64[B]: the member not asked yet with the best expected score less price; N for none."""
    open_to = observation.legal[:, :-1]
    best = np.where(open_to, observation.preference, -np.inf).argmax(axis=1)
    return np.asarray(np.where(open_to.any(axis=1), best, open_to.shape[1]))


def walk(
    observer: Observer, table: ResponseTable, held_out: OutOfFold, price: float, *, unit_cost: float
) -> Walk:
    """Follow training queries, judged out of fold.

    A loop of its own: one walk measures every threshold, where each would need a replay.

    Args:
        observer: that of the fitted pool.
        table: the Q queries.
        held_out: what is known of them out of fold.
        price: lambda, which orders members by expected score less price.
        unit_cost: cost of an average call.
    """
    rows = np.arange(table.n_queries)
    lam = np.full(len(rows), price, dtype=np.float32)
    asked = np.zeros((len(rows), table.n_members), dtype=bool)
    confidence, worth, cost = [], [], []
    for n_calls in range(min(table.n_members, _MOST_CALLS) + 1):
        view = reveal(table, rows, asked, n_rounds=np.full(len(rows), n_calls))
        seen = observer.observe(view, lam, held_out.known(view))
        if n_calls:
            confidence.append(seen.observation.confidence)
            worth.append(worth_of(table, rows, asked, answer_of(seen.posterior)))
            cost.append(view.spent / np.float32(unit_cost))
        # A query without a member left to ask only waits for the others.
        member = next_in_order(seen.observation)
        asked = asked | (member[:, None] == np.arange(table.n_members))
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


CURVE_ROWS = {"score": Row("float32", "Pt"), "cost": Row("float32", "Pt")}
"""What the arrays of a curve must be like."""


class PosteriorThreshold(Configured):
    """Stops where the leading candidate's posterior passes a threshold that belongs to the price.

    Args:
        config: settings, shared with `rl-focal`.
    """

    name = "posterior-threshold"
    stochastic: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.QUERIES})
    packages = ("sklearn", "scipy")
    former: ClassVar[tuple[str, ...]] = ("its agents were other nets",)
    slow_to_fit: ClassVar[bool] = True
    dial: ClassVar[str] = "price"

    config_type: ClassVar[type[Settings]] = RlFocalConfig
    config: RlFocalConfig

    def __init__(self, config: RlFocalConfig | None = None) -> None:
        super().__init__(config)
        self.price: float = self.config.default_price

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Train Fusion, then pick the thresholds."""
        if not table.is_complete:
            table = table.take(np.asarray(table.scored.any(axis=1)))
        fitted_pool = FittedPool.fit(table, self.config, rng=rng, on_progress=self.on_progress)
        walks = walk_prices(fitted_pool, table, fitted_pool.held_out, self.dials)
        return self.assemble(fitted_pool, Curve.of(walks))

    def training_table(self, table: ResponseTable) -> ResponseTable:
        """Return the table unchanged: the statistics have a row for the unknown task."""
        return table

    def assemble(self, fitted_pool: FittedPool, curve: Curve) -> Self:
        """Put the strategy together from its trained parts."""
        self.curve_, self.fitted_pool_ = curve, fitted_pool
        return self

    @property
    def reads_replies(self) -> bool:
        """Whether a score of replies was worth learning."""
        return self.fitted_pool_.reads_replies

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap."""
        return prices_of(self.config)

    def follow(self, memory: Memory) -> Self:
        """A copy whose prior counts recent labels as well."""
        return self._with(fitted_pool_=self.fitted_pool_.follow(memory))

    @property
    def ranking(self) -> IntArray:
        """int64[N]: the members, the most accurate in training first."""
        return self.fitted_pool_.statistics.ranking

    def decide(self, view: View) -> Decision:
        """Ask one more member, or stop; answer by Fusion's posterior of what exists."""
        fitted_pool = self.fitted_pool_
        index = nearest_price(self.dials, self.price)
        price = np.full(len(view), self.dials[index], dtype=np.float32)
        found = fitted_pool.observer.observe(view, price, fitted_pool.known(view))
        member = next_in_order(found.observation)
        sure = found.observation.confidence >= self.curve_.best(index, self.price)
        n_asked = view.asked.sum(axis=1)
        stop = (sure & (n_asked > 0)) | (n_asked >= _MOST_CALLS)
        wanted = member[:, None] == np.arange(view.asked.shape[1])
        answer = found.posterior[:, :-1] * view.available
        return Decision(wanted & ~stop[:, None], np.asarray(answer))

    def state(self) -> State:
        """Arrays of the fitted pool and of the curve."""
        return self.fitted_pool_.state() | self.curve_._asdict()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        return self.assemble(FittedPool.restore(state), Curve(state["score"], state["cost"]))

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """The layout of the arrays of `state`."""
        return CURVE_ROWS | FittedPool.layout(present, CURVE_ROWS)

    def axes(self) -> dict[str, int]:
        """P prices, t thresholds."""
        return {"P": len(self.dials), "t": len(THRESHOLDS)}


def walk_prices(
    fitted_pool: FittedPool,
    table: ResponseTable,
    held_out: OutOfFold,
    prices: tuple[float, ...],
    *,
    observer: Remembering | None = None,
) -> list[Walk]:
    """One walk for each price; where all calls cost the same, the order never changes.

    Args:
        fitted_pool: fitted.
        table: training queries.
        held_out: what is known of them out of fold.
        prices: of P walks.
        observer: one that remembers them from elsewhere; None for one of its own.
    """
    cost, unit_cost = fitted_pool.statistics.relative_cost, fitted_pool.statistics.unit_cost
    observer = replace(observer or Remembering.of(fitted_pool.observer), rounds=None)
    if np.allclose(cost, cost[0], rtol=1e-6):
        return [walk(observer, table, held_out, 0.0, unit_cost=unit_cost)] * len(prices)
    return [walk(observer, table, held_out, price, unit_cost=unit_cost) for price in prices]
