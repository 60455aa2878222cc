"""Votes that weigh by how confident each reply is: by its log-probabilities, or by a learned score.

Axes: B queries, N members, G points of a distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.errors import NotApplicable, nearest
from rlfocal.numbers import sigmoid
from rlfocal.records import BoolArray, FloatArray, ResponseTable
from rlfocal.records.signals import Replies
from rlfocal.strategies.scored.scored import Scored
from rlfocal.strategies.voting import ORDER, plurality_share, rank_members, tally

__all__ = ["ConfidenceVote"]

_LOGPROBS = "logprobs.lowest_window"
"""The signal that stands for confidence where log-probabilities are known."""
_MOSTLY = 0.5
"""Share of a pool's replies of which it must be known."""
_GRID = np.linspace(0, 1, 33)
"""Shares of replies at which a member's distribution is kept."""
_LEAST = 0.02
"""Weight of the least confident reply."""
_EXACT = 1e-9
_TIE = 1e-3
"""Part of a vote that settles ties."""


class ConfidenceVote(Scored, OneRound):
    """Everybody is asked; a vote weighs as much as its reply is confident.

    DeepConf (Fu et al., "Deep think with confidence", arXiv:2508.15260): traces vote with their
    confidence as the weight, and only the most confident share of them. Departures: members answer
    once each in place of many traces of one, and since their log-probabilities are on scales of
    their own, confidence is where a reply stands among the member's training replies, in (0, 1]; no
    trace is cut short. Where no signal is confidence enough, the learned score takes its place: its
    chance that the reply is right.

    With a signal named, fitting looks at no label but to settle ties.

    Args:
        signal: name of a signal, higher for more confident; "auto" for log-probabilities where most
            replies have them, and else the score; "score" for the score.
        keep: share of the replies, the most confident, whose votes count, in (0, 1].

    Raises:
        ValueError: no share of the replies.
    """

    name = "confidence-vote"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS, Need.REPLIES})
    fitted: ClassVar[Mapping[str, Row]] = {
        **Scored.fitted,
        "order": ORDER,
        "usual": Row("float64", "NG"),
        "by_signal": Row("bool", ""),
    }

    def __init__(self, *, signal: str = "auto", keep: float = 1.0) -> None:
        if not 0 < keep <= 1:
            raise ValueError(f"keep must lie in (0, 1], got {keep}")
        self.signal, self.keep = signal, float(keep)

    def axes(self) -> dict[str, int]:
        """G points of a distribution."""
        return {"G": len(_GRID)}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Measure what is usual of each member, or learn the score.

        Raises:
            NotApplicable: the signal that was named is known of no reply.
        """
        self.order_ = rank_members(table)
        self.usual_ = np.zeros((table.n_members, len(_GRID)))
        self.base_ = np.zeros(table.n_members)
        values = self._values(table.replies, table.answered)
        self.by_signal_ = self._is_enough(np.isfinite(values[table.answered]))
        if self.by_signal_:
            for n, own in enumerate(values.T):
                known = own[np.isfinite(own)]
                if len(known):
                    self.usual_[n] = np.quantile(known, _GRID)
        elif self.signal in ("auto", "score"):
            self.learn(table, rng=rng)
        else:
            names = () if table.replies is None else table.replies.names
            raise NotApplicable(
                f"confidence-vote: the signal '{self.signal}' is known of no reply; "
                f"{nearest(self.signal, names)}"
            )
        return self

    def fuse(self, view: View) -> FloatArray:
        """Each candidate's share of the confidences."""
        confidence = self._confidence(view)
        rank = np.argsort(np.argsort(-confidence, axis=1, kind="stable"), axis=1)
        n_kept = np.ceil(self.keep * view.answered.sum(axis=1, keepdims=True) - _EXACT)
        weight = np.where(rank < n_kept, confidence, 0)
        votes = tally(view.answer, weight, view.available.shape[1])
        votes += _TIE * plurality_share(view, self.order_)
        total = np.maximum(votes.sum(axis=1, keepdims=True), 1e-12)
        return np.asarray(votes / total, dtype=np.float32)

    def _confidence(self, view: View) -> NDArray[np.float64]:
        """float64[B, N] in (0, 1]; 0 where a member has not answered."""
        if not self.by_signal_:
            return np.asarray(sigmoid(self.log_odds(view).astype(np.float64)))
        values = self._values(view.replies, view.answered)
        found = np.full(values.shape, 0.5)  # what is not known is neither more nor less than usual
        for n, usual in enumerate(self.usual_):
            known = np.isfinite(values[:, n])
            if usual[0] < usual[-1]:
                found[known, n] = np.interp(values[known, n], usual, _GRID)
        return np.where(view.answered, _LEAST + (1 - _LEAST) * found, 0)

    def _values(self, replies: Replies | None, answered: BoolArray) -> FloatArray:
        """float32[..., N]: the signal; NaN where it is not known, or there is no answer."""
        unknown = np.full(answered.shape, np.nan, dtype=np.float32)
        name = _LOGPROBS if self.signal == "auto" else self.signal
        if replies is None or name not in replies.names:
            return unknown
        return np.where(answered, replies.signals([name])[..., 0], unknown)

    def _is_enough(self, known: BoolArray) -> bool:
        """Whether the signal, known of these of the answers, can stand for confidence."""
        return bool(known.sum() > (_MOSTLY * len(known) if self.signal == "auto" else 0))
