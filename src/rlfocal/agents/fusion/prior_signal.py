"""The opinion of the prior, learned on simulated pools, as one more signal for Fusion.

A pool's labels enter the prior as statistics only, so it is right from few labels on. Fusion takes
its opinion as one more signal and learns how far to follow it; the Decider starts from its
decision. From some two thousand labels on a pool's own agents know as much, and the prior
is left out.

Axes: B queries, N members, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from rlfocal.agents.known import Known, OutOfFold
from rlfocal.agents.policy import logits_of
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["Opinion", "PriorSignal"]

_MOST_LABELS = 2000
"""With this many labelled queries or more, a pool does without the prior."""
_FLOOR = 1e-4
"""Least probability whose logarithm is taken."""
_ROWS = 8192


class Opinion(NamedTuple):
    """The prior's opinion on B queries."""

    prior_signal: FloatArray
    """float32[B, C]: log-odds of each candidate against "none of these", or the likeliest one."""
    start: Tensor | None
    """float32[B, N + 1]: logits of its decision; None where there is no prior."""


@dataclass(frozen=True, eq=False)
class PriorSignal:
    """The prior applied to one pool.

    `pools` holds E copies of the prior: copy e knows the statistics of all inner folds but fold e,
    the last one those of all. A restored pool holds the last one alone. Empty without a prior.
    """

    pools: tuple[RlFocalPrior, ...] = ()

    @classmethod
    def fit(cls, table: ResponseTable, fold: IntArray, n_folds: int) -> Self:
        """Count labelled queries, with each fold left out in turn and once with all of them.

        Args:
            table: labelled training queries.
            fold: int64[Q] in [0, n_folds).
            n_folds: number of inner folds.
        """
        if table.n_queries >= _MOST_LABELS:
            return cls()
        rng = np.random.default_rng(0)  # the prior draws nothing
        parts = [table.take(fold != k) for k in range(n_folds)]
        return cls(tuple(RlFocalPrior().fit(part, rng=rng) for part in (*parts, table)))

    def __bool__(self) -> bool:
        """True where there is a prior."""
        return bool(self.pools)

    def follow(self, memory: Memory) -> PriorSignal:
        """A copy for new queries that counts recent labelled ones as well."""
        return PriorSignal((self.pools[-1].follow(memory),)) if self.pools else self

    def of(
        self,
        view: View,
        known: Known,
        *,
        price: FloatArray | None = None,
    ) -> Opinion:
        """The prior's opinion on queries.

        Args:
            view: what has been revealed.
            known: of the queries.
            price: float32[B], lambda; None where only the answer is asked for.
        """
        if not self.pools:
            return Opinion(np.zeros(view.available.shape, dtype=np.float32), None)
        if known.fold is None:
            posterior, decision = self._considered(-1, view, known, price)
        else:
            posterior, decision = self._out_of_fold(view, known, known.fold.numpy(), price)
        log = np.log(np.maximum(posterior, _FLOOR))
        none = np.log(np.clip(1 - posterior.sum(axis=1, keepdims=True), _FLOOR, 1))
        against = np.where(view.is_open[:, None], none, log.max(axis=1, keepdims=True))
        signal = np.asarray(log - against, dtype=np.float32)
        return Opinion(signal, None if decision is None else logits_of(decision))

    def _out_of_fold(
        self, view: View, known: Known, fold: IntArray, price: FloatArray | None
    ) -> tuple[FloatArray, Tensor | None]:
        """As of `RlFocalPrior.consider`, each query by the copy that does not know its fold."""
        posterior = np.zeros(view.available.shape, dtype=np.float32)
        decision = None if price is None else torch.zeros(len(fold), view.asked.shape[1] + 1)
        for k in np.unique(fold):
            rows = np.flatnonzero(fold == k)
            lam = None if price is None else price[rows]
            found = self._considered(k, view.take(rows), known.take(rows), lam)
            posterior[rows], decided = found
            if decision is not None and decided is not None:
                decision[torch.from_numpy(rows)] = decided
        return posterior, decision

    def _considered(
        self, k: int, view: View, known: Known, price: FloatArray | None
    ) -> tuple[FloatArray, Tensor | None]:
        competence, shift = known.competence, known.reply_shift
        posterior, decided = self.pools[k].consider(view, price, competence, shift)
        return posterior, None if decided is None else torch.from_numpy(decided)

    def of_table(self, table: ResponseTable, asked: BoolArray, held_out: OutOfFold) -> FloatArray:
        """float32[Q, C]: the signal for training queries with some members revealed, by table slot.

        Args:
            table: the queries.
            asked: bool[Q, N].
            held_out: what is known of them out of fold.
        """
        prior_signal = np.zeros(table.exists.shape, dtype=np.float32)
        if not self.pools:
            return prior_signal
        for start in range(0, table.n_queries, _ROWS):
            rows = np.arange(start, min(start + _ROWS, table.n_queries))
            view = reveal(table, rows, asked[rows])
            seen = self.of(view, held_out.known(view)).prior_signal
            places = np.broadcast_to(np.arange(seen.shape[1]), seen.shape)
            number = candidates_of(table, rows, asked[rows], places)
            np.put_along_axis(prior_signal[rows[0] : rows[-1] + 1], number, seen, axis=1)
        return prior_signal
