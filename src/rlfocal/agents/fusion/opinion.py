"""The prior on one pool: what it believes of queries, for the pool's own weights to go on from.

A pool's labels enter the prior as statistics only, so it is right from few labels on. Fusion takes
its opinion as one more signal and learns how far to follow it; the Decider trains on from its
weights. In training every query is judged by a copy that does not know its label.

Axes: B queries, N members, C candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from rlfocal.agents.arrays import Array
from rlfocal.agents.known import Known, OutOfFold
from rlfocal.agents.prior.fusion import Fused, Queries
from rlfocal.agents.prior.observation import Observation
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.view import Memory, View
from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["Opinion", "PriorOnPool"]

_FLOOR = 1e-4
"""Least probability whose logarithm is taken."""
_ROWS = 8192
_N_ALWAYS = 7
"""Fields of an observation that are always there; the others are of rounds, and come later."""


class Opinion(NamedTuple):
    """The prior's opinion on B queries."""

    signal: FloatArray
    """float32[B, C]: log-odds of each candidate against "none of these", or the likeliest one."""
    vote: FloatArray
    """float32[B, N]: weight of each member's vote; 0 where it has not answered."""
    seen: Queries
    """The queries as its nets see them."""


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
        apart = list(self._apart(known.fold))
        found = [_opinion(copy, view.take(rows), known.take(rows)) for copy, rows in apart]
        places, n = [rows for _, rows in apart], len(view)
        seen = zip(*(opinion.seen for opinion in found), strict=True)
        return Opinion(
            _together(places, [opinion.signal for opinion in found], n),
            _together(places, [opinion.vote for opinion in found], n),
            Queries(*(_together(places, parts, n, axis=1) for parts in seen)),
        )

    def observe(
        self,
        view: View,
        known: Known,
        opinion: Opinion,
        fused: Fused,
        price: FloatArray,
        *,
        chosen: BoolArray | None = None,
    ) -> Observation:
        """The Decider's observation.

        Args:
            view: what has been revealed.
            known: of the queries.
            opinion: of the same view.
            fused: what Fusion makes of the queries.
            price: float32[B], lambda.
            chosen: bool[B, N], members asked, or chosen to be; None for those asked.
        """
        if known.fold is None:
            return self.whole.observe(opinion.seen, fused, price, view.task, chosen=chosen)
        apart, found = list(self._apart(known.fold)), list[Observation]()
        for copy, rows in apart:
            seen = Queries(*(part[:, rows] for part in opinion.seen))
            of_rows = Fused(*(part[:, rows] for part in fused))
            picked = None if chosen is None else chosen[rows]
            found.append(copy.observe(seen, of_rows, price[rows], view.task[rows], chosen=picked))
        places = [rows for _, rows in apart]
        columns = zip(*(one[:_N_ALWAYS] for one in found), strict=True)
        return Observation(*(_together(places, parts, len(view)) for parts in columns))

    def _apart(self, fold: IntArray) -> Iterator[tuple[RlFocalPrior, IntArray]]:
        """The copies, and which queries each of them judges."""
        for k in np.unique(fold):
            yield self.copies[k], np.flatnonzero(fold == k)

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


def _together(
    rows: Sequence[IntArray], parts: Sequence[Array], n_queries: int, *, axis: int = 0
) -> Array:
    """Parts of an array in their rows, along its first or second axis."""
    shape = list(parts[0].shape)
    shape[axis] = n_queries
    whole = np.empty(shape, dtype=parts[0].dtype)
    for place, part in zip(rows, parts, strict=True):
        whole[(slice(None),) * axis + (place,)] = part
    return whole
