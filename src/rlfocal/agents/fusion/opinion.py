"""The prior on one pool: what it believes of queries, for the pool's own weights to go on from.

A pool's labels enter the prior as statistics only, so it is right from few labels on. Fusion takes
its opinion as one more signal and learns how far to follow it; the Decider trains on from its
weights. In training every query is judged by a copy that does not know its label.

Axes: B queries, N members, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from rlfocal.agents.known import Known, OutOfFold
from rlfocal.agents.prior.fusion import Queries
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.view import Memory, View
from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["Opinion", "PriorOnPool"]

_FLOOR = 1e-4
"""Least probability whose logarithm is taken."""
_ROWS = 8192


class Opinion(NamedTuple):
    """The prior's opinion on B queries."""

    signal: FloatArray
    """float32[B, C]: log-odds of each candidate against "none of these", or the likeliest one."""
    vote: FloatArray
    """float32[B, N]: weight of each member's vote; 0 where it has not answered."""
    seen: Queries
    """The queries as the Decider's net sees them, by the statistics of all labels.

    So it trains on statistics as good as those in use. A training query's own label is one of
    those counted; what is believed of its candidates never knows it.
    """


@dataclass(frozen=True, eq=False)
class PriorOnPool:
    """The prior applied to one pool.

    Copy e of the E copies knows the statistics of all inner folds but fold e, the last one those of
    all. A restored pool holds the last one alone.
    """

    copies: tuple[RlFocalPrior, ...]

    @classmethod
    def fit(cls, table: ResponseTable, fold: IntArray, n_folds: int) -> Self:
        """Count labelled queries, with each fold left out in turn and once with all of them.

        Args:
            table: labelled training queries.
            fold: int64[Q] in [0, n_folds).
            n_folds: number of inner folds.
        """
        rng = np.random.default_rng(0)  # the prior draws nothing
        parts = [table.take(fold != k) for k in range(n_folds)]
        return cls(tuple(RlFocalPrior().fit(part, rng=rng) for part in (*parts, table)))

    @property
    def whole(self) -> RlFocalPrior:
        """The copy that knows all labels."""
        return self.copies[-1]

    def follow(self, memory: Memory, *, changed: Float64Array | None = None) -> PriorOnPool:
        """A copy for new queries that counts recent labelled ones as well.

        Args: as of `RlFocalPrior.follow`.
        """
        return PriorOnPool((self.whole.follow(memory, changed=changed),))

    def of(self, view: View, known: Known) -> Opinion:
        """The prior's opinion on queries.

        Args:
            view: what has been revealed.
            known: of the queries; training queries name their fold.
        """
        if known.fold is None:
            return _opinion(self.whole, view, known)
        signal = np.empty(view.available.shape, dtype=np.float32)
        vote = np.empty(view.asked.shape, dtype=np.float32)
        for k in np.unique(known.fold):
            rows = np.flatnonzero(known.fold == k)
            found = _opinion(self.copies[k], view.take(rows), known.take(rows))
            signal[rows], vote[rows] = found.signal, found.vote
        return Opinion(signal, vote, self.whole.queries(view, known.competence, known.reply_shift))

    def of_table(self, table: ResponseTable, asked: BoolArray, held_out: OutOfFold) -> FloatArray:
        """float32[Q, C]: the signal for training queries with some members revealed, by table slot.

        Args:
            table: the queries.
            asked: bool[Q, N].
            held_out: what is known of them out of fold.
        """
        signal = np.zeros(table.exists.shape, dtype=np.float32)
        for start in range(0, table.n_queries, _ROWS):
            rows = np.arange(start, min(start + _ROWS, table.n_queries))
            view = reveal(table, rows, asked[rows])
            seen = self.of(view, held_out.known(view)).signal
            places = np.broadcast_to(np.arange(seen.shape[1]), seen.shape)
            number = candidates_of(table, rows, asked[rows], places)
            np.put_along_axis(signal[rows[0] : rows[-1] + 1], number, seen, axis=1)
        return signal


def _signal(posterior: FloatArray, view: View) -> FloatArray:
    """float32[B, C]: see `Opinion`."""
    log = np.log(np.maximum(posterior, _FLOOR))
    none = np.log(np.clip(1 - posterior.sum(axis=1, keepdims=True), _FLOOR, 1))
    against = np.where(view.is_open[:, None], none, log.max(axis=1, keepdims=True))
    return np.asarray(log - against, dtype=np.float32)


def _opinion(prior: RlFocalPrior, view: View, known: Known) -> Opinion:
    seen = prior.queries(view, known.competence, known.reply_shift)
    believed = prior.believe(view, seen)
    return Opinion(_signal(believed.posterior, view), believed.vote, seen)
