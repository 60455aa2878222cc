"""The reply that surprises the other models least.

Axes: B queries, N members, C candidate slots, E models that examined replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.murmur import murmur
from rlfocal.numbers import Float64Array
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.signals.examined import LIKELY, signals_of
from rlfocal.strategies.voting import ORDER, plurality_share, rank_members

__all__ = ["MinCe"]

_TIE = 1e-3
"""Part of an answer that the votes decide."""


class MinCe(OneRound):
    """Asks everybody; the answer is that of the reply which other models find likeliest, per byte.

    MinCE of FuseLLM (Wan et al., arXiv:2401.10491), which takes, for each text, the distribution of
    the model with the least cross-entropy. Departures: it chooses among whole replies, and no model
    has a say about its own. Labels settle ties alone.

    What models say are the signals that `rlfocal examine` adds. A reply that nobody has read is not
    chosen where another was; where none was, they vote.
    """

    name = "mince"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMINED})
    fitted: ClassVar[Mapping[str, Row]] = {"order": ORDER, "own": Row("int64", "N")}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Rank members, for ties; and note by which name each would examine."""
        self.order_ = rank_members(table)
        self.own_ = _codes([signals_of(member)[0] for member in table.members])
        return self

    def fuse(self, view: View) -> FloatArray:
        """Each candidate by its likeliest reply: the mean probability of a byte of it."""
        share = plurality_share(view, self.order_)
        worth = np.exp(self._likely(view))
        best = np.zeros((len(view), view.available.shape[1] + 1))  # the last slot takes the -1
        rows = np.arange(len(view))
        for n in range(worth.shape[1]):
            place = view.answer[:, n]
            best[rows, place] = np.maximum(best[rows, place], worth[:, n])
        total = best[:, :-1].sum(axis=1, keepdims=True)
        found = np.where(total > 0, best[:, :-1] / np.where(total > 0, total, 1), share)
        return np.asarray((1 - _TIE) * found + _TIE * share, dtype=np.float32)

    def _likely(self, view: View) -> Float64Array:
        """float64[B, N]: what others say of each reply in the mean; -inf where nobody does."""
        unsaid = np.full(view.asked.shape, -np.inf)
        if view.replies is None or not (names := _examiners(view.replies.names)):
            return unsaid
        said = view.replies.signals(names).astype(np.float64)
        said[:, self.own_[:, None] == _codes(names)] = np.nan
        known = np.isfinite(said)
        count = known.sum(axis=2)
        mean = np.where(known, said, 0).sum(axis=2) / np.maximum(count, 1)
        return np.where((count > 0) & view.answered, mean, unsaid)


def _examiners(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name.startswith(LIKELY)))


def _codes(names: Sequence[str]) -> IntArray:
    """int64 of each name: the same wherever it stands among others."""
    return murmur([name.encode() for name in names])
