"""Ask members one after another, and stop once those left cannot overturn the leading answer.

The members' order and weights are fixed by training; what adapts is how many of them a query needs.
At threshold 1 the answer is always that of the full weighted vote, bought with fewer calls.

One walk through the order measures what every threshold earns and costs on training queries, where
each would need a replay of its own.

Axes: B queries, N members, H thresholds, K caps on calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.dial import MEASURED
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.recorded import reveal, worth_of
from rlfocal.deliberation.replay import best_answer
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Decision, View
from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, IntArray, ResponseTable
from rlfocal.strategies.reading import in_turn
from rlfocal.strategies.sizes import checked_count
from rlfocal.strategies.stopping import StoppingGrid
from rlfocal.strategies.voting import (
    ORDER,
    fit_vote_weights,
    rank_members,
    tally,
    vote_accuracy,
    vote_probability,
)

__all__ = ["Agreement", "Standing"]

_EXACT = 1e-9
"""A lead must exceed what is left by this much, so that rounding never decides."""
_CHUNK_ROWS = 4096
"""Queries walked through at once; bounds memory, changes no result."""


class Standing(NamedTuple):
    """Weighted votes of those asked, and how safe they make the leading candidate."""

    votes: Float64Array
    """float64[B, C]."""
    lead: Float64Array
    """float64[B]: how far the leading candidate is ahead."""
    remaining: Float64Array
    """float64[B]: the most by which the lead can shrink."""

    def is_safe(self, threshold: float | Float64Array) -> BoolArray:
        """bool[B]: whether the leading candidate need not fear the members left.

        Args:
            threshold: one in [0, 1], or float64[H, 1] for bool[H, B].
        """
        return np.asarray(self.lead > threshold * self.remaining + _EXACT)


class Agreement(Base):
    """Stop as soon as lead > threshold · remaining, both in log-odds weights of `WeightedVote`.

    `lead` is the leading candidate's votes minus the runner-up's, or minus 0 where a candidate
    without votes comes second (a member may still give it); `remaining` is the sum of the absolute
    weights of the members not asked yet, the most by which any lead can shrink. A task whose
    answers cannot be compared has one candidate per member, so votes never add up there: the
    remaining weight is then that of the strongest member left, and the lead counts from 0.

    Args:
        threshold: in [0, 1]; 1 is safe, 0 stops at the first lead.
        order: "accuracy" asks the most accurate member first, "cost" the cheapest; whom a member
            reads is asked before it.
        members_per_round: how many to ask at once: more calls, fewer rounds to wait for.

    Raises:
        ValueError: an argument out of range.
    """

    name = "agreement"
    fits_on_window: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    dial: ClassVar[str] = "threshold"
    dials = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    fitted: ClassVar[Mapping[str, Row]] = {
        "order": ORDER,
        "weight": Row("float64", "TN"),
        "adds_up": Row("bool", "T"),
        "measured": MEASURED,
    }

    def __init__(
        self,
        *,
        threshold: float = 1.0,
        order: Literal["accuracy", "cost"] = "accuracy",
        members_per_round: int = 1,
    ) -> None:
        if order not in ("accuracy", "cost"):
            raise ValueError(f'order must be "accuracy" or "cost", got {order!r}')
        self.threshold = _checked(threshold)
        self.order = order
        self.members_per_round = checked_count(members_per_round, "members_per_round")

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Fix order and weights, and measure every threshold."""
        self.measure(table, (table.n_members,))
        return self

    def measure(self, table: ResponseTable, caps: Sequence[int]) -> StoppingGrid:
        """Fix order and weights; what each threshold earns, with each cap on calls.

        Args:
            table: labelled training queries.
            caps: ascending, the last one N; others than N only where members are asked one by one.
        """
        order = rank_members(table)
        if self.order == "cost":
            order = order[np.argsort(table.mean_full_cost[order], kind="stable")]
        self.order_ = in_turn(table, order)
        self.weight_ = fit_vote_weights(table, vote_accuracy(table))
        adds_up = np.zeros(len(table.tasks), dtype=bool)
        adds_up[table.task[table.comparable]] = True
        seen = np.bincount(table.task, minlength=len(table.tasks)) > 0
        self.adds_up_ = adds_up | ~seen
        grid = self.grid(table, caps)
        self.measured_ = np.stack([grid.thresholds, grid.score[:, -1], grid.cost[:, -1]], axis=1)
        return grid

    def with_dial(self, value: float) -> Self:
        """Return the same fitted strategy at another threshold.

        Raises:
            ValueError: a threshold outside [0, 1].
        """
        return super().with_dial(_checked(value))

    def decide(self, view: View) -> Decision:
        """Ask the next members in order, unless the lead is safe enough.

        The answer is by the softmax of the weighted votes of those asked.
        """
        standing = self.standing(view)
        in_order = view.asked[:, self.order_]
        place = np.cumsum(~in_order, axis=1, dtype=np.int32)
        ask = np.zeros_like(view.asked)
        ask[:, self.order_] = ~in_order & (place <= self.members_per_round)
        return Decision(
            ask & ~standing.is_safe(self.threshold)[:, None], vote_probability(standing.votes, view)
        )

    def standing(self, view: View) -> Standing:
        """Count the votes of those asked."""
        adds_up, weight = self.adds_up_[view.task], self.weight_[view.task]
        votes = tally(view.answer, weight, view.available.shape[1])
        left = np.abs(weight, out=weight)
        left[view.asked] = 0.0
        remaining = left.sum(axis=1)
        if not adds_up.all():
            remaining = np.where(adds_up, remaining, left.max(axis=1))
        given = np.where(view.available, votes, -np.inf)
        # One slot more, at 0: the candidate that no member has given yet.
        ranked = np.sort(np.column_stack([given, np.zeros(len(view))]), axis=1)
        first = given.max(axis=1)
        second = np.where(first > 0, np.where(adds_up, ranked[:, -2], 0.0), np.inf)
        return Standing(votes, first - second, remaining)

    def grid(self, table: ResponseTable, sizes: Sequence[int]) -> StoppingGrid:
        """What all thresholds and caps come to, by one walk through the order.

        Args:
            table: labelled queries.
            sizes: the caps, as in `measure`.
        """
        thresholds, caps = np.array(self.dials), np.array(sizes)
        score, cost, measured = np.zeros((3, len(thresholds), len(caps)))
        for start in range(0, table.n_queries, _CHUNK_ROWS):
            rows = np.arange(start, min(start + _CHUNK_ROWS, table.n_queries))
            walk = self._walk(table, rows, thresholds)
            for h, calls in enumerate(walk.calls):
                for k, cap in enumerate(caps):
                    stop = np.minimum(calls, cap) - 1, np.arange(len(rows))
                    score[h, k] += walk.score[stop].sum()
                    cost[h, k] += walk.cost[stop].sum()
                    measured[h, k] += walk.measured[stop].sum()
        measured = np.maximum(measured, 1)
        mean_cost = cost / (measured * table.call_cost())
        return StoppingGrid(thresholds, caps, score / measured, mean_cost)

    def _walk(self, table: ResponseTable, rows: IntArray, thresholds: Float64Array) -> _Walk:
        """Follow queries call by call, and see after each round where every threshold stops."""
        n_members, order = table.n_members, self.order_
        calls = np.full((len(thresholds), len(rows)), n_members, dtype=np.int64)
        score = np.zeros((n_members, len(rows)))
        cost = np.cumsum(table.cost[rows][:, order].T, axis=0, dtype=np.float64)
        measured = np.logical_or.accumulate(table.recorded[rows][:, order].T, axis=0)
        active, asked = np.arange(len(rows)), np.zeros((1, n_members), dtype=bool)
        for step, member in enumerate(order, start=1):
            asked[0, member] = True
            if step % self.members_per_round and step < n_members:
                continue
            reached = np.repeat(asked, len(active), axis=0)
            view = reveal(table, rows[active], reached, n_rounds=np.full(len(active), step))
            standing = self.standing(view)
            place, _ = best_answer(view.available, vote_probability(standing.votes, view))
            score[step - 1, active] = worth_of(table, rows[active], reached, place)
            safe = standing.is_safe(thresholds[:, None])
            calls[:, active] = np.where(safe, np.minimum(calls[:, active], step), calls[:, active])
            active = active[(calls[:, active] > step).any(axis=0)]
            if not len(active):
                break
        return _Walk(calls, score, cost, measured)


class _Walk(NamedTuple):
    """B queries followed in order; beyond a query's last possible stop its entries mean nothing."""

    calls: IntArray
    """int64[H, B]: calls after which each threshold stops, were there no cap."""
    score: Float64Array
    """float64[N, B]: worth of the answer after 1, 2, ... calls; where a round ends."""
    cost: Float64Array
    """float64[N, B]: cost of these calls, in the table's unit."""
    measured: BoolArray
    """bool[N, B]: whether anything is recorded of the members asked: else neither the score nor the
    cost, both 0, says anything."""


def _checked(threshold: float) -> float:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
    return float(threshold)
