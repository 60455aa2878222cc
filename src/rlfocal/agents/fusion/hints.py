"""Hints: what the prior, learned from simulated pools, makes of a pool's answers.

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

from rlfocal.agents.policy import logits_of
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["Hints", "Opinion"]

_MOST_LABELS = 2000
"""Labelled queries from which on a pool does without hints."""
_FLOOR = 1e-4
"""Least probability whose logarithm is taken."""
_ROWS = 8192


class Opinion(NamedTuple):
    """What the prior makes of B queries."""

    hint: FloatArray
    """float32[B, C]: log-odds of each candidate against "none of these", or the likeliest one."""
    start: Tensor | None
    """float32[B, N + 1]: logits of its decision; None where there is no prior."""


@dataclass(frozen=True, eq=False)
class Hints:
    """The prior on one pool.

    `pools` are E of them: number e knows the statistics of all inner folds but fold e, the last one
    those of all; a pool that has been loaded holds the last one alone. Empty for no hints.
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
        """Whether there are any."""
        return bool(self.pools)

    def follow(self, memory: Memory) -> Hints:
        """The same for new queries, told of recent labelled ones as well."""
        return Hints((self.pools[-1].follow(memory),)) if self.pools else self

    def of(
        self,
        view: View,
        competence: FloatArray,
        fold: IntArray | None = None,
        *,
        price: FloatArray | None = None,
    ) -> Opinion:
        """What the prior makes of queries.

        Args:
            view: what has been revealed.
            competence: float32[B, N], expected gain of members over their accuracy on the task.
            fold: int64[B], the inner fold of each training query; None for new queries.
            price: float32[B], lambda; None where only the answer is asked for.
        """
        hint = np.zeros(view.available.shape, dtype=np.float32)
        if not self.pools:
            return Opinion(hint, None)
        if fold is None:
            return _of(self.pools[-1], view, competence, price)
        start = None if price is None else torch.zeros(len(view), view.asked.shape[1] + 1)
        for k in np.unique(fold):
            rows = np.flatnonzero(fold == k)
            lam = None if price is None else price[rows]
            part = _of(self.pools[k], view.take(rows), competence[rows], lam)
            hint[rows] = part.hint
            if start is not None and part.start is not None:
                start[torch.from_numpy(rows)] = part.start
        return Opinion(hint, start)

    def of_table(
        self, table: ResponseTable, asked: BoolArray, competence: FloatArray, fold: IntArray
    ) -> FloatArray:
        """float32[Q, C]: of training queries with some members revealed, in the table's numbers.

        Args:
            table: the queries.
            asked: bool[Q, N].
            competence: float32[Q, N], out of fold.
            fold: int64[Q].
        """
        hint = np.zeros(table.exists.shape, dtype=np.float32)
        if not self.pools:
            return hint
        for start in range(0, table.n_queries, _ROWS):
            rows = np.arange(start, min(start + _ROWS, table.n_queries))
            seen = self.of(reveal(table, rows, asked[rows]), competence[rows], fold[rows]).hint
            places = np.broadcast_to(np.arange(seen.shape[1]), seen.shape)
            number = candidates_of(table, rows, asked[rows], places)
            np.put_along_axis(hint[rows[0] : rows[-1] + 1], number, seen, axis=1)
        return hint


def _of(
    pool: RlFocalPrior, view: View, competence: FloatArray, price: FloatArray | None
) -> Opinion:
    posterior, decision = pool.consider(view, price, competence)
    log = np.log(np.maximum(posterior, _FLOOR))
    none = np.log(np.clip(1 - posterior.sum(axis=1, keepdims=True), _FLOOR, 1))
    against = np.where(view.is_open[:, None], none, log.max(axis=1, keepdims=True))
    hint = np.asarray(log - against, dtype=np.float32)
    return Opinion(hint, None if decision is None else logits_of(decision))
