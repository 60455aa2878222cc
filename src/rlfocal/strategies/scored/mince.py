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
from rlfocal.numbers import Float64Array
from rlfocal.records import FloatArray, ResponseTable
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

    What models say are the signals that `rlfocal examine` adds; where nobody has read a reply, it
    counts as a vote.
    """

    name = "mince"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.EXAMINED})
    fitted: ClassVar[Mapping[str, Row]] = {"order": ORDER, "own": Row("int64", "N", low=-1)}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Rank members, for ties; and find who examined its own replies."""
        self.order_ = rank_members(table)
        names = () if table.replies is None else _examiners(table.replies.names)
        own = [signals_of(member)[0] for member in table.members]
        self.own_ = np.array([names.index(n) if n in names else -1 for n in own], dtype=np.int64)
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
        found = best[:, :-1] / np.maximum(best[:, :-1].sum(axis=1, keepdims=True), 1e-12)
        return np.asarray((1 - _TIE) * found + _TIE * share, dtype=np.float32)

    def _likely(self, view: View) -> Float64Array:
        """float64[B, N]: what others say of each reply in the mean; -inf where nobody does."""
        unsaid = np.full(view.asked.shape, -np.inf)
        if view.replies is None or not (names := _examiners(view.replies.names)):
            return unsaid
        said = view.replies.signals(names).astype(np.float64)
        for n, examiner in enumerate(self.own_.tolist()):
            if 0 <= examiner < len(names):
                said[:, n, examiner] = np.nan
        known = np.isfinite(said)
        count = known.sum(axis=2)
        mean = np.where(known, said, 0).sum(axis=2) / np.maximum(count, 1)
        return np.where((count > 0) & view.answered, mean, unsaid)


def _examiners(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name.startswith(LIKELY)))
