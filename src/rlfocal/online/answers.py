"""Logged answers as a source of views: what was asked of each request, and what came of it.

Axes: B requests, N members, C candidate slots, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import View
from rlfocal.readers import Reads
from rlfocal.records import BoolArray, CandidateKind, FloatArray, IntArray
from rlfocal.records.signals import Replies

__all__ = ["LoggedAnswers"]


@dataclass(frozen=True, eq=False)
class LoggedAnswers:
    """Answers of all members asked in several requests, as a source for `reveal`."""

    task: IntArray
    """int64[B]."""
    features: FloatArray
    """float32[B, D]."""
    kind: NDArray[np.int8]
    """int8[B]."""
    exists: BoolArray
    """bool[B, C]: options; of an open question those exist that were given."""
    answer: NDArray[np.int16]
    """int16[B, N]."""
    support: FloatArray
    """float32[B, N, C]."""
    cost: FloatArray
    """float32[B, N]."""
    is_recorded: bool = True
    """Members that were not asked could have been; their answers are unknown."""
    reads: Reads | None = None
    """Who reads whom: who asks a reader asks those first, and what a reader has said is known where
    they were asked, too."""
    replies: Replies | None = None
    """By query and member, where the log has them."""

    @property
    def recorded(self) -> BoolArray:
        """bool[B, N]."""
        return np.ones(self.answer.shape, dtype=bool)

    @classmethod
    def of(
        cls,
        end: View,
        cost: FloatArray,
        *,
        exists: BoolArray | None = None,
        reads: Reads | None = None,
    ) -> Self:
        """Those that are known at the end of each request.

        Args:
            end: of B requests, after the last call.
            cost: float32[B, N], what each call has cost; 0 where there was none.
            exists: bool[B, C], options; None for what is available in the end.
            reads: who of the members reads whom.
        """
        kind = np.where(end.is_open, CandidateKind.ANSWERS, CandidateKind.OPTIONS)
        return cls(
            task=end.task,
            features=end.features,
            kind=kind.astype(np.int8),
            exists=end.available if exists is None else exists,
            answer=end.answer,
            support=end.support,
            cost=cost,
            reads=reads,
            replies=end.replies,
        )

    def seen(self, rows: IntArray, asked: BoolArray) -> View:
        """Show requests int64[B] after bool[B, N] of those known were asked, one after another."""
        return reveal(self, rows, asked, n_rounds=asked.sum(axis=1))
