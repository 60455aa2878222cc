"""Ask everybody at once and let Fusion decide: what is left to do when calls cost nothing."""

from __future__ import annotations

from typing import Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.recorded import reveal, worth_of
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.rl.foundation import Foundation
from rlfocal.rl.nets import one_thread
from rlfocal.rl.rollout import answer_of
from rlfocal.strategies.voting import ask_all

__all__ = ["Everybody"]

_ROWS = 1024
"""Queries fused at once; bounds memory, changes no result."""


class Everybody(Base):
    """One round of all members, fused by the posterior of a trained Fusion.

    Args:
        foundation: fitted.
    """

    name = "everybody"

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Nothing of its own to learn."""
        return self

    def next_members(self, view: View) -> BoolArray:
        """Ask everybody, once."""
        return ask_all(view)

    def fuse(self, view: View) -> FloatArray:
        """Fusion's posterior; what it leaves to "none of these" is missing from the sum."""
        return self._foundation.fuse(view)

    def out_of_fold(self, table: ResponseTable, rows: IntArray) -> FloatArray:
        """float32[Q]: what the answers to training queries are worth, each judged out of fold.

        NaN where nothing is recorded of anybody.
        """
        known, parts = self._foundation.known, []
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            asked = table.recorded[part]
            view = reveal(table, part, asked)
            with one_thread():
                eyes = self._foundation.observer
                fused = eyes.fused(view, known.competence[part], known.fold[part])
            worth = worth_of(table, part, asked, answer_of(fused.posterior))
            parts.append(worth if asked.any(axis=1).all() else _heard(worth, asked))
        return np.concatenate(parts)


def _heard(worth: FloatArray, asked: BoolArray) -> FloatArray:
    return np.where(asked.any(axis=1), worth, np.float32(np.nan))
