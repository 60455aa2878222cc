"""Agreement stopping that also gives up: threshold and cap on calls follow from a call's price.

Where more calls will not settle a query, plain agreement asks on to the last member. A cap ends
that, and choosing it together with the threshold for each price makes this the fairest simple rival
of a learned stop. The decisions are those of `Agreement`; only the choice of settings is here.
"""

from __future__ import annotations

import copy
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.sizes import pool_sizes

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
    dials: ClassVar[tuple[float, ...]] = tuple(np.geomspace(*_PRICES[::-1], 12).tolist())

    def __init__(self, *, price: float = 0.002) -> None:
        self.price = _checked(price)

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Fix order and weights, and measure every pair of settings."""
        self.agreement_ = Agreement().fit(table, rng=rng)
        self.grid_ = stopping_grid(self.agreement_, table)
        return self

    def at(self, dial: float) -> Self:
        """Return the same fitted strategy at another price.

        Raises:
            ValueError: a price out of range.
        """
        other = copy.copy(self)
        other.price = _checked(dial)
        return other

    @property
    def settings_(self) -> tuple[float, int]:
        """Threshold and cap at the price."""
        return self.grid_.best(self.price)

    def next_members(self, view: View) -> BoolArray:
        """Ask the next member in order, unless the lead is safe enough or the cap is reached."""
        threshold, cap = self.settings_
        below = view.asked.sum(axis=1, keepdims=True) < cap
        return np.asarray(self.agreement_.at(threshold).next_members(view) & below)

    def fuse(self, view: View) -> FloatArray:
        """Softmax of the weighted votes of those asked."""
        return self.agreement_.fuse(view)


class StoppingGrid(NamedTuple):
    """What every pair of settings earned and cost on labelled queries."""

    thresholds: tuple[float, ...]
    """[T], ascending."""
    caps: tuple[int, ...]
    """[K], ascending, the last one N."""
    score: Float64Array
    """float64[T, K]: mean score, over the queries of which somebody asked has a record."""
    cost: Float64Array
    """float64[T, K]: mean cost of a query, in average calls."""

    def utility(self, price: float) -> Float64Array:
        """float64[T, K]: score - price · cost."""
        return self.score - price * self.cost

    def best(self, price: float) -> tuple[float, int]:
        """Threshold and cap of the highest utility; ties go to the cheaper, then to the first."""
        utility = self.utility(price)
        tied = utility >= utility.max() - _TIE
        cost = np.where(tied, self.cost.round(12), np.inf)
        t, k = np.unravel_index(int(cost.argmin()), cost.shape)
        return self.thresholds[t], self.caps[k]


def stopping_grid(agreement: Agreement, table: ResponseTable) -> StoppingGrid:
    """Measure agreement stopping at all its thresholds and caps, walking through its order once.

    Args:
        agreement: fitted; its own threshold does not matter. It must ask one member a round.
        table: labelled queries.
    """
    thresholds, caps = agreement.dials, pool_sizes(table.n_members)
    score, cost, heard = np.zeros((3, len(thresholds), len(caps)))
    for start in range(0, table.n_queries, _CHUNK_ROWS):
        rows = np.arange(start, min(start + _CHUNK_ROWS, table.n_queries))
        walk = _walk(agreement, table, rows)
        for t, calls in enumerate(walk.calls):
            for k, cap in enumerate(caps):
                stop = np.minimum(calls, cap) - 1, np.arange(len(rows))
                score[t, k] += walk.score[stop].sum()
                cost[t, k] += walk.cost[stop].sum()
                heard[t, k] += walk.heard[stop].sum()
    heard = np.maximum(heard, 1)
    return StoppingGrid(thresholds, caps, score / heard, cost / (heard * table.call_cost()))


class _Walk(NamedTuple):
    """B queries followed in order; beyond a query's last possible stop its entries mean nothing."""

    calls: IntArray
    """int64[T, B]: calls after which each threshold stops, were there no cap."""
    score: Float64Array
    """float64[N, B]: worth of the answer after 1, 2, ... calls."""
    cost: Float64Array
    """float64[N, B]: cost of these calls, in the table's unit."""
    heard: BoolArray
    """bool[N, B]: whether anything is recorded of the members asked: else neither the score nor the
    cost, both 0, says anything."""


def _walk(agreement: Agreement, table: ResponseTable, rows: IntArray) -> _Walk:
    n_members, thresholds = table.n_members, agreement.dials
    calls = np.full((len(thresholds), len(rows)), n_members, dtype=np.int64)
    score = np.zeros((n_members, len(rows)))
    cost = np.cumsum(table.cost[rows][:, agreement.order_].T, axis=0, dtype=np.float64)
    heard = np.logical_or.accumulate(table.recorded[rows][:, agreement.order_].T, axis=0)
    active = np.arange(len(rows))
    for step in range(n_members):
        view = _view(table, rows[active], agreement.order_[: step + 1])
        fused = agreement.fuse(view)
        worth = table.candidate_score[rows[active], fused.argmax(axis=1)]
        score[step, active] = np.where(fused.any(axis=1), worth, 0)
        for t, threshold in enumerate(thresholds):
            goes_on = agreement.at(threshold).next_members(view).any(axis=1)
            calls[t, active] = np.where(
                goes_on, calls[t, active], calls[t, active].clip(max=step + 1)
            )
        active = active[(calls[:, active] > step + 1).any(axis=0)]
        if not len(active):
            break
    return _Walk(calls, score, cost, heard)


def _view(table: ResponseTable, rows: IntArray, members: IntArray) -> View:
    """What is known of B queries once `members` were asked, one a round.

    Candidates keep the table's numbers: no strategy may care how open answers are numbered.
    """
    asked = np.zeros((len(rows), table.n_members), dtype=bool)
    asked[:, members] = True
    answer = table.answer[rows]
    answered = asked & (answer >= 0)
    support = table.support[rows] * answered[:, :, None]
    is_open = table.is_open[rows]
    return View(
        position=rows,
        task=table.task[rows],
        features=table.features[rows],
        is_open=is_open,
        asked=asked,
        answered=answered,
        answer=np.where(answered, answer, np.int16(-1)),
        support=support,
        available=np.where(is_open[:, None], support.any(axis=1), table.exists[rows]),
        spent=(table.cost[rows] * asked).sum(axis=1, dtype=np.float32),
        budget=np.full(len(rows), np.inf, dtype=np.float32),
        n_rounds=np.full(len(rows), len(members), dtype=np.int64),
    )


def _checked(price: float) -> float:
    low, high = _PRICES
    if not low * 0.999 <= price <= high * 1.001:
        raise ValueError(f"the price of a call must lie in [{low}, {high}], got {price}")
    return float(price)
