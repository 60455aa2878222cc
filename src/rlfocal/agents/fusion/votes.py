"""What a pool's own labels add to the prior's Fusion: a weight of each member's votes.

A conditional logit on supports and on the prior's opinion (`fitting.py`), as in stacking, with
weights that depend on the task and on which members are absent, and with a bias of each option's
position. Everything is linear in the weights, so the fit is convex, and where labels are few they
leave the prior's opinion as it is.

E sets of weights stand side by side: training queries are judged by the set that did not see them,
new ones by the mean of all.

Axes: E sets, B queries, N members, C candidates, K signals, T tasks (index T: unknown).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rlfocal.agents.arrays import namespace
from rlfocal.agents.fusion.opinion import Opinion
from rlfocal.agents.known import Known
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.records import FloatArray, IntArray
from rlfocal.strategies.stacking.likelihood import evidence

__all__ = ["Judged", "Votes"]


class Judged(NamedTuple):
    """Fusion's verdict on B queries."""

    posterior: FloatArray
    """float32[B, C + 1]: probability of each candidate, the last one of none of them."""
    vote: FloatArray
    """float32[B, N]: weight of each member's vote, given which members have answered."""


@dataclass(frozen=True, eq=False)
class Votes:
    """E sets of weights of K signals.

    They are N supports, N logarithms of them where they are graded, that of the replies where they
    are read, and the prior's opinion.
    """

    weight: FloatArray
    """float32[E, T + 1, K]."""
    none_bias: FloatArray
    """float32[E, T + 1]: logit of "none of these" for open queries."""
    company: FloatArray
    """float32[E, T + 1, K, N]: how much more a signal counts where a member is absent."""
    position: FloatArray
    """float32[E, T + 1, S]: what an option's position adds to its logit; S = 0 without options.

    It absorbs a pool's habit of over-using an option; else an index carries no meaning."""
    _: KW_ONLY
    reads_replies: bool
    """Whether there is a signal of the replies."""

    def arrays(self) -> dict[str, FloatArray]:
        """The arrays by name."""
        return {name: getattr(self, name) for name in Votes.layout()}

    @staticmethod
    def layout() -> dict[str, Row]:
        """What the arrays must be like."""
        return {
            "weight": Row("float32", "ETK"),
            "none_bias": Row("float32", "ET"),
            "company": Row("float32", "ETKN"),
            "position": Row("float32", "ETS"),
        }

    @property
    def n_members(self) -> int:
        """N."""
        return int(self.company.shape[3])

    @property
    def graded(self) -> bool:
        """Whether supports are more than answers."""
        return int(self.weight.shape[2]) - 1 - self.reads_replies > self.n_members

    @cached_property
    def _mean(self) -> Votes:
        """The one set that new queries are judged by: logits are linear in the weights."""
        mean = {name: array.mean(axis=0, keepdims=True) for name, array in self.arrays().items()}
        return Votes(**mean, reads_replies=self.reads_replies)

    @cached_property
    def _flat(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """The arrays with the first two axes as one, sets first."""
        n_sets = len(self.weight) * self.weight.shape[1]
        flat = {name: a.reshape(n_sets, *a.shape[2:]) for name, a in self.arrays().items()}
        company = np.ascontiguousarray(flat["company"].swapaxes(1, 2))
        return flat["weight"], flat["none_bias"], company, flat["position"]

    def of_members(self) -> FloatArray:
        """float32[T + 1, N]: weight of each member's vote where all have answered, of new queries.

        The prior's opinion, and what replies say, come on top.
        """
        return self._of_members(self._mean.weight[0])

    def _of_members(self, weight: FloatArray) -> FloatArray:
        """[..., K] → [..., N]: weight of a support of 1, its logarithm included."""
        first = weight[..., : self.n_members]
        if not self.graded:
            return first
        return first + weight[..., self.n_members : 2 * self.n_members]

    def judge(
        self, view: View, known: Known, opinion: Opinion, shift: FloatArray | None = None
    ) -> Judged:
        """Judge queries.

        Args:
            view: what has been revealed.
            known: of the queries; training queries name their fold.
            opinion: the prior's.
            shift: float32[N], how far recent labelled queries move the weight of each member's
                votes; None where they do not.
        """
        if known.fold is None:
            return self._mean._judge(view.task, view, known, opinion, shift)
        return self._judge(
            known.fold * self.weight.shape[1] + view.task, view, known, opinion, shift
        )

    def _judge(
        self,
        place: IntArray,
        view: View,
        known: Known,
        opinion: Opinion,
        shift: FloatArray | None,
    ) -> Judged:
        """As of `judge`, by the weights at int64[B] of the flat arrays."""
        _, none_bias, _, position = self._flat
        weight, support, n_members = self._weights(place, view), view.support, self.n_members
        trusted = self._of_members(weight)
        own = weight[:, :n_members]
        if shift is not None:
            own, trusted = own + shift, trusted + shift
        if self.reads_replies and known.reply_shift is not None:
            moved = weight[:, -2:-1] * known.reply_shift
            own, trusted = own + moved, trusted + moved
        vote = (own[:, None] @ support)[:, 0]
        if self.graded:
            logged = evidence(support, graded=True)[:, n_members:]
            vote += (weight[:, None, n_members : 2 * n_members] @ logged)[:, 0]
        vote += weight[:, -1:] * opinion.signal
        slots = min(position.shape[1], vote.shape[1])  # later options were not met in training
        if slots:
            vote[:, :slots] += position[place, :slots] * ~view.is_open[:, None]
        logit = np.where(view.available, vote, np.float32(-1e9))
        none = np.where(view.is_open, none_bias[place], np.float32(-1e9))
        # An open query of which nothing is known yet has no candidate: everything is "none".
        logits = np.concatenate([logit, none[:, None]], axis=1)
        posterior = namespace(logits).softmax(logits)
        return Judged(posterior, trusted + weight[:, -1:] * opinion.vote)

    def _weights(self, place: IntArray, view: View) -> FloatArray:
        """float32[B, K]."""
        weight, _, company, _ = self._flat
        absent = (~view.answered).astype(np.float32)
        found: FloatArray = weight[place]
        if len(place) == 1:
            found += absent @ company[place[0]]
            return found
        for k in np.unique(place):
            rows = place == k
            found[rows] += absent[rows] @ company[k]
        return found
