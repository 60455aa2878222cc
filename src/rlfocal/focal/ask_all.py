"""Ask everybody at once and let Fusion decide: what is left to do when calls cost nothing."""

from __future__ import annotations

from typing import Self

import numpy as np

from rlfocal.agents.fitted_pool import Foundation, Known
from rlfocal.agents.nets import one_thread
from rlfocal.agents.observation import Observer
from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import BoolArray, FloatArray, ResponseTable

__all__ = ["Everybody"]


class Everybody(OneRound):
    """One round of all members, fused by the posterior of a trained Fusion.

    Args:
        foundation: fitted.
        observer: one that follows recent labels; None for that of training.
        known: where the queries are those of training: then each is judged out of fold.
    """

    name = "everybody"

    def __init__(
        self,
        foundation: Foundation,
        *,
        observer: Observer | None = None,
        known: Known | None = None,
    ) -> None:
        self._foundation, self._observer = foundation, observer or foundation.observer
        self._known = known

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Nothing of its own to learn."""
        return self

    def follow(self, memory: Memory) -> Everybody:
        """The same as far as the prior is told of recent labels."""
        return Everybody(self._foundation.follow(memory))

    def first(self, view: View) -> BoolArray:
        """Everybody."""
        return np.ones_like(view.asked)

    def fuse(self, view: View) -> FloatArray:
        """Fusion's posterior; what it leaves to "none of these" is missing from the sum."""
        with one_thread():
            competence, fold = self._foundation.predicted(view, self._known)
            posterior = self._observer.fused(view, competence, fold).posterior[:, :-1].numpy()
        return np.asarray(posterior * view.available)
