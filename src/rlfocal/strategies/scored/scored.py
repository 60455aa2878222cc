"""Strategies with a learned score of replies: fitted, stored, and read from a view.

Axes: B queries of a batch, Q training queries, N members.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need, State
from rlfocal.deliberation.state import Row, names_of, nested, prefixed, without_prefix
from rlfocal.deliberation.view import View
from rlfocal.errors import CheckpointError
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.evidence import OutOfFold, ReplyScore
from rlfocal.strategies.voting import chance_log_odds, vote_accuracy

__all__ = ["Scored"]

_N_FOLDS = 3
_PART = "score"
"""Prefix of the score's arrays."""


class Scored(Base):
    """Has a score of replies; where too few are labelled to learn one, members' log-odds alone."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.REPLIES})
    packages: tuple[str, ...] = ("scipy",)
    stochastic: ClassVar[bool] = True
    fitted: ClassVar[Mapping[str, Row]] = {"base": Row("float64", "N")}
    _score: ReplyScore | None = None

    @property
    def reads_replies(self) -> bool:
        """True."""
        return True

    def learn(
        self, table: ResponseTable, *, rng: np.random.Generator
    ) -> tuple[IntArray, OutOfFold]:
        """Learn the score.

        Args:
            table: labelled training queries.
            rng: deals folds.

        Returns:
            int64[Q], the fold of each query; and what was found of it without that fold. Where no
            reply is known, that is its member's log-odds.
        """
        self.base_ = chance_log_odds(vote_accuracy(table))
        usual = np.broadcast_to(self.base_, table.answer.shape).astype(np.float32)
        found = ReplyScore.fit_apart(table, rng=rng)
        if found is None:
            self._score = None
            return inner_folds(table, _N_FOLDS, rng=rng), OutOfFold(usual, np.zeros_like(usual))
        self._score, fold, held_out = found
        unknown = np.isnan(held_out.log_odds)
        return fold, held_out._replace(log_odds=np.where(unknown, usual, held_out.log_odds))

    def log_odds(self, view: View) -> FloatArray:
        """float32[B, N]: log-odds that each answer is right; its member's where no reply is known.

        -inf where a member has not answered.
        """
        score, replies = self._score, view.replies
        found = np.broadcast_to(self.base_, view.answered.shape).astype(np.float32)
        if score is not None and replies is not None:
            found = np.where(replies.present, score.log_odds(replies), found)
        return np.where(view.answered, found, np.float32(-np.inf))

    def shift(self, view: View) -> FloatArray:
        """float32[B, N]: what each reply adds to its member's log-odds; 0 where it is not known."""
        if self._score is None or view.replies is None:
            return np.zeros(view.answered.shape, dtype=np.float32)
        return self._score.shift(view.replies)

    # State -------------------------------------------------------------------------------------

    def state(self) -> State:
        """What was found, and the score where there is one."""
        own = super().state()
        return own if self._score is None else own | prefixed(_PART, self._score.state())

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`.

        Raises:
            CheckpointError: arrays of the score do not fit together.
        """
        score = without_prefix(_PART, state)
        super().restore({key: state[key] for key in state if not key.startswith(f"{_PART}.")})
        try:
            self._score = ReplyScore.restore(score) if score else None
        except CheckpointError as exc:
            raise CheckpointError(f"{_PART}: {exc}") from exc
        return self

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """The layout of the arrays of `state`."""
        rows = super().layout(present)
        if names_of(_PART, present):
            rows |= nested(_PART, ReplyScore.layout(), rows)
        return rows
