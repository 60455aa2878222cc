"""Agreement stopping that also gives up: threshold and cap on calls follow from a call's price.

Where more calls will not settle a query, plain agreement asks on to the last member. A cap ends
that, and choosing it together with the threshold for each price makes this the fairest simple rival
of a learned stop. The decisions are those of `Agreement`; only the choice of settings is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.recorded import reveal, worth_of
from rlfocal.deliberation.replay import best_answer
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Decision, View
from rlfocal.records import BoolArray, IntArray, ResponseTable
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.sizes import pool_sizes
from rlfocal.strategies.voting import vote_probability

__all__ = ["CappedAgreement", "StoppingGrid", "stopping_grid"]

Float64Array = NDArray[np.float64]

_PRICES = (0.001, 0.3)
"""Least and highest lambda: the range of `rl-focal`'s dial."""
_TIE = 1e-12
"""Utilities nearer than this are equal, so that rounding never decides."""
_CHUNK_ROWS = 4096
"""Queries walked through at once; bounds memory, changes no result."""


class CappedAgreement(Base):
    """Agreement stopping with the threshold and the cap that earn most on training queries.

    For a price lambda, that is the pair with the highest mean of score - lambda · cost / mean cost
    of a call, over all thresholds of `Agreement` and caps from 1 to N. Ties go to the cheaper pair,
    then to the lower threshold, then to the lower cap.

    Args:
        price: lambda, the price of an average call as a share of a right answer's worth, in
            [0.001, 0.3]; the same dial as that of `rl-focal`.

    Raises:
        ValueError: a price out of range.
    """

    name = "agreement-capped"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    dial: ClassVar[str] = "price"
    dials: ClassVar[tuple[float, ...]] = tuple(np.geomspace(*_PRICES[::-1], 12).tolist())
    fitted: ClassVar[Mapping[str, Row]] = {
        "thresholds": Row("float64", "H", 0, 1),
        "caps": Row("int64", "K", 1, "=N"),
        "score": Row("float64", "HK", 0, 1),
        "cost": Row("float64", "HK", 0),
    }
    parts: ClassVar[Mapping[str, Callable[[], Base]]] = {"agreement": Agreement}

    def __init__(self, *, price: float = 0.002) -> None:
        self.price: float = _checked(price)

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Fix order and weights, and measure every pair of settings."""
        self.agreement_ = Agreement().fit(table, rng=rng)
        self.thresholds_, self.caps_, self.score_, self.cost_ = stopping_grid(
            self.agreement_, table
        )
        return self

    def at(self, dial: float) -> Self:
        """Return the same fitted strategy at another price.

        Raises:
            ValueError: a price out of range.
        """
        return self._with(price=_checked(dial))

    @property
    def grid_(self) -> StoppingGrid:
        """What every pair of settings earned and cost in training."""
        return StoppingGrid(self.thresholds_, self.caps_, self.score_, self.cost_)

    @property
    def settings_(self) -> tuple[float, int]:
        """Threshold and cap at the price."""
        return self.grid_.best(self.price)

    def decide(self, view: View) -> Decision:
        """As agreement stopping, up to the cap."""
        threshold, cap = self.settings_
        ask, answer, _ = self.agreement_.at(threshold).decide(view)
        return Decision(ask & (view.asked.sum(axis=1, keepdims=True) < cap), answer)


class StoppingGrid(NamedTuple):
    """What every pair of settings earned and cost on labelled queries."""

    thresholds: Float64Array
    """float64[H], ascending."""
    caps: IntArray
    """int64[K], ascending, the last one N."""
    score: Float64Array
    """float64[H, K]: mean score, over the queries of which somebody asked has a record."""
    cost: Float64Array
    """float64[H, K]: mean cost of a query, in average calls."""

    def utility(self, price: float) -> Float64Array:
        """float64[H, K]: score - price · cost."""
        return self.score - price * self.cost

    def best(self, price: float) -> tuple[float, int]:
        """Threshold and cap of the highest utility; ties go to the cheaper, then to the first."""
        utility = self.utility(price)
        tied = utility >= utility.max() - _TIE
        cost = np.where(tied, self.cost.round(12), np.inf)
        h, k = np.unravel_index(int(cost.argmin()), cost.shape)
        return float(self.thresholds[h]), int(self.caps[k])


def stopping_grid(agreement: Agreement, table: ResponseTable) -> StoppingGrid:
    """Measure agreement stopping at all its thresholds and caps, walking through its order once.

    Args:
        agreement: fitted; its own threshold does not matter. It must ask one member a round.
        table: labelled queries.
    """
    thresholds, caps = np.array(agreement.dials), np.array(pool_sizes(table.n_members))
    score, cost, measured = np.zeros((3, len(thresholds), len(caps)))
    for start in range(0, table.n_queries, _CHUNK_ROWS):
        rows = np.arange(start, min(start + _CHUNK_ROWS, table.n_queries))
        walk = _walk(agreement, table, rows, thresholds)
        for h, calls in enumerate(walk.calls):
            for k, cap in enumerate(caps):
                stop = np.minimum(calls, cap) - 1, np.arange(len(rows))
                score[h, k] += walk.score[stop].sum()
                cost[h, k] += walk.cost[stop].sum()
                measured[h, k] += walk.measured[stop].sum()
    measured = np.maximum(measured, 1)
    return StoppingGrid(thresholds, caps, score / measured, cost / (measured * table.call_cost()))


class _Walk(NamedTuple):
    """B queries followed in order; beyond a query's last possible stop its entries mean nothing."""

    calls: IntArray
    """int64[H, B]: calls after which each threshold stops, were there no cap."""
    score: Float64Array
    """float64[N, B]: worth of the answer after 1, 2, ... calls."""
    cost: Float64Array
    """float64[N, B]: cost of these calls, in the table's unit."""
    measured: BoolArray
    """bool[N, B]: whether anything is recorded of the members asked: else neither the score nor the
    cost, both 0, says anything."""


def _walk(
    agreement: Agreement, table: ResponseTable, rows: IntArray, thresholds: Float64Array
) -> _Walk:
    n_members, order = table.n_members, agreement.order_
    calls = np.full((len(thresholds), len(rows)), n_members, dtype=np.int64)
    score = np.zeros((n_members, len(rows)))
    cost = np.cumsum(table.cost[rows][:, order].T, axis=0, dtype=np.float64)
    measured = np.logical_or.accumulate(table.recorded[rows][:, order].T, axis=0)
    active, asked = np.arange(len(rows)), np.zeros((1, n_members), dtype=bool)
    for step, member in enumerate(order, start=1):
        asked[0, member] = True
        reached = np.repeat(asked, len(active), axis=0)
        view = reveal(table, rows[active], reached, n_rounds=np.full(len(active), step))
        standing = agreement.standing(view)
        place, _ = best_answer(view.available, vote_probability(standing.votes, view))
        score[step - 1, active] = worth_of(table, rows[active], reached, place)
        safe = standing.is_safe(thresholds[:, None])
        calls[:, active] = np.where(safe, np.minimum(calls[:, active], step), calls[:, active])
        active = active[(calls[:, active] > step).any(axis=0)]
        if not len(active):
            break
    return _Walk(calls, score, cost, measured)


def _checked(price: float) -> float:
    low, high = _PRICES
    if not low * 0.999 <= price <= high * 1.001:
        raise ValueError(f"the price of a call must lie in [{low}, {high}], got {price}")
    return float(price)
