"""Ask all members at once and answer by Fusion: the policy where calls cost nothing."""

from __future__ import annotations

from typing import Self

import numpy as np

from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.known import Knowledge, OutOfFold
from rlfocal.agents.observation import Observer
from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import FloatArray, ResponseTable

__all__ = ["AskAll"]


class AskAll(OneRound):
    """One round of all members, fused by the posterior of a trained Fusion.

    Args:
        fitted_pool: fitted.
        observer: one that follows recent labels; None for that of training.
        held_out: out-of-fold predictions, where the queries are those of training.
    """

    name = "everybody"

    def __init__(
        self,
        fitted_pool: FittedPool,
        *,
        observer: Observer | None = None,
        held_out: OutOfFold | None = None,
    ) -> None:
        self._fitted_pool, self._observer = fitted_pool, observer or fitted_pool.observer
        self._knowledge: Knowledge = held_out or fitted_pool

    @property
    def reads_replies(self) -> bool:
        """Whether a score of replies was worth learning."""
        return self._fitted_pool.reads_replies

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Return itself: there is nothing to fit."""
        return self

    def follow(self, memory: Memory) -> AskAll:
        """A copy whose prior counts recent labels as well."""
        return AskAll(self._fitted_pool.follow(memory))

    def fuse(self, view: View) -> FloatArray:
        """Fusion's posterior without the probability of "none of these"."""
        fused = self._observer.fused(view, self._knowledge.known(view))
        return np.asarray(fused.posterior[:, :-1] * view.available)
