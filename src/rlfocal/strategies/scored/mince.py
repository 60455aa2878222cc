"""The reply that surprises the other models least.

Axes: Q queries, N members, C candidate slots, E models that examined replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need, Outcome
from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, ResponseTable
from rlfocal.records.signals.examined import likelihoods_in, signals_of
from rlfocal.strategies.reading import calls_for
from rlfocal.strategies.voting import rank_members, tally

__all__ = ["MinCe"]

_TIE = 1e-6
"""Part of an answer that the order of members decides."""


class MinCe(Base):
    """Asks everybody; the answer is that of the reply which other models find likeliest, per byte.

    MinCE of FuseLLM (Wan et al., arXiv:2401.10491), which takes, for each text, the distribution of
    the model with the least cross-entropy. Departures: it chooses among whole replies, and no model
    has a say about its own. Labels settle ties alone.

    What models say are the signals that `rlfocal examine` adds to recorded replies, so it is a
    point of comparison: a served reply has not been examined. A reply that nobody has read is not
    chosen where another was; where none was, they vote.
    """

    name = "mince"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMINED})

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Rank members, for ties."""
        self.order_ = rank_members(table)
        return self

    def outcome(self, table: ResponseTable) -> Outcome:
        """Choose each candidate by its likeliest reply: the mean probability of a byte of it."""
        worth = np.exp(_likely(table))
        votes = np.ones(table.n_members)
        rows = np.arange(table.n_queries)
        best = np.zeros((table.n_queries, table.n_candidates + 1))  # the last slot takes the -1
        for n in range(table.n_members):
            place = table.answer[:, n]
            best[rows, place] = np.maximum(best[rows, place], worth[:, n])
        found = best[:, :-1]
        unread = found.sum(axis=1, keepdims=True) == 0
        found = np.where(unread, tally(table.answer, votes, table.n_candidates), found)
        total = found.sum(axis=1, keepdims=True)
        share = found / np.where(total > 0, total, 1)
        ranked = tally(table.answer, self._rank(table.n_members), table.n_candidates)
        chosen = (share + _TIE * ranked).argmax(axis=1).astype(np.int16)
        chosen = np.where(total[:, 0] > 0, chosen, np.int16(-1))
        calls = calls_for(table, table.recorded)
        return Outcome(
            chosen=chosen,
            score=table.measured_score(chosen, calls.asked),
            confidence=np.where(chosen >= 0, share[rows, chosen], 0).astype(np.float32),
            n_calls=calls.asked.sum(axis=1),
            **calls._asdict(),
        )

    def _rank(self, n_members: int) -> Float64Array:
        """float64[N]: halves, the best member's the largest, so that it outweighs all below."""
        rank = np.empty(n_members)
        rank[self.order_] = np.arange(n_members)
        return np.asarray(0.5 ** (rank + 1))


def _likely(table: ResponseTable) -> Float64Array:
    """float64[Q, N]: what others say of each reply in the mean; -inf where nobody does."""
    names = () if table.replies is None else likelihoods_in(table.replies.names)
    if table.replies is None or not names:
        return np.full(table.answer.shape, -np.inf)
    said = table.replies.signals(names).astype(np.float64)
    said[:, _own(table.members, names)] = np.nan
    known = np.isfinite(said)
    count = known.sum(axis=2)
    mean = np.where(known, said, 0).sum(axis=2) / np.maximum(count, 1)
    return np.where((count > 0) & table.answered, mean, -np.inf)


def _own(members: Sequence[str], names: Sequence[str]) -> BoolArray:
    """bool[N, E]: whose own word each is."""
    return np.array([[signals_of(member)[0] == name for name in names] for member in members])
