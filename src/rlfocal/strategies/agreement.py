"""Ask members one after another, and stop once those left cannot overturn the leading answer.

The members' order and weights are fixed by training; what adapts is how many of them a query needs.
At threshold 1 the answer is always that of the full weighted vote, bought with fewer calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Decision, View
from rlfocal.records import BoolArray, CandidateKind, ResponseTable
from rlfocal.strategies.voting import (
    ORDER,
    fit_vote_weights,
    rank_members,
    tally,
    vote_accuracy,
    vote_probability,
)

__all__ = ["Agreement", "Standing"]

Float64Array = NDArray[np.float64]

_EXACT = 1e-9
"""A lead must exceed what is left by this much, so that rounding never decides."""


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
    without votes comes second (somebody may still give it); `remaining` is the sum of the absolute
    weights of the members not asked yet, the most by which any lead can shrink. A task whose
    answers cannot be compared has one candidate per member, so votes never add up there: the
    remaining weight is then that of the strongest member left, and the lead counts from 0.

    Args:
        threshold: in [0, 1]; 1 is safe, 0 stops at the first lead.
        order: "accuracy" asks the most accurate member first, "cost" the cheapest.
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
    }

    def __init__(
        self,
        *,
        threshold: float = 1.0,
        order: Literal["accuracy", "cost"] = "accuracy",
        members_per_round: int = 1,
    ) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
        if order not in ("accuracy", "cost"):
            raise ValueError(f'order must be "accuracy" or "cost", got {order!r}')
        if members_per_round < 1:
            raise ValueError(f"members_per_round must be at least 1, got {members_per_round}")
        self.threshold = threshold
        self.order = order
        self.members_per_round = members_per_round

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Fix order and weights."""
        self.order_ = rank_members(table)
        if self.order == "cost":
            self.order_ = self.order_[np.argsort(table.mean_cost[self.order_], kind="stable")]
        self.weight_ = fit_vote_weights(table, vote_accuracy(table))
        adds_up = np.zeros(len(table.tasks), dtype=bool)
        adds_up[table.task[table.kind != CandidateKind.RESPONSES]] = True
        seen = np.bincount(table.task, minlength=len(table.tasks)) > 0
        self.adds_up_ = adds_up | ~seen
        return self

    def at(self, dial: float) -> Self:
        """Return the same fitted strategy at another threshold.

        Raises:
            ValueError: a threshold outside [0, 1].
        """
        if not 0 <= dial <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {dial}")
        return self._with(threshold=float(dial))

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
        # One slot more, at 0: the candidate that nobody has given yet.
        ranked = np.sort(np.column_stack([given, np.zeros(len(view))]), axis=1)
        first = given.max(axis=1)
        second = np.where(first > 0, np.where(adds_up, ranked[:, -2], 0.0), np.inf)
        return Standing(votes, first - second, remaining)
