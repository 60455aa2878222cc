"""The learned policy by itself: the Decider asks until it stops, Fusion gives the posterior.

Axes: B queries, N members.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.arrays import Weights
from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.known import Knowledge, OutOfFold
from rlfocal.agents.observation import Fused, Observed, Observer
from rlfocal.agents.policy import likeliest
from rlfocal.agents.prior.decider import decide
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.view import Decision, View
from rlfocal.records import BoolArray, FloatArray, ResponseTable

__all__ = ["LEARNED", "Learned"]

LEARNED = "learned"
"""Name of the learned policy among the candidates that may act."""


class Learned(Base):
    """The trained agents of a pool, at one price.

    Args:
        config: settings.
        fitted_pool: fitted.
        decider: weights of the Decider, trained against it.
        price: lambda; None for that of the settings. Below the least one that the Decider was
            trained for, it acts as at that one.
        observer: one that follows recent labels; None for that of training.
        held_out: out-of-fold predictions, where the queries are those of training.
    """

    name = LEARNED
    dial: ClassVar[str] = "price"

    def __init__(
        self,
        config: RlFocalConfig,
        fitted_pool: FittedPool,
        decider: Weights,
        *,
        price: float | None = None,
        observer: Observer | None = None,
        held_out: OutOfFold | None = None,
    ) -> None:
        self._config, self._decider = config, decider
        self._observer = observer or fitted_pool.observer_of(config.rounds)
        self._knowledge: Knowledge = held_out or fitted_pool
        self.price = config.default_price if price is None else price
        self._reads_replies = fitted_pool.reads_replies

    @property
    def reads_replies(self) -> bool:
        """Whether a score of replies was worth learning."""
        return self._reads_replies

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Return itself: a trainer has fitted it already."""
        return self

    def observe(
        self,
        view: View,
        price: FloatArray | None = None,
        *,
        pending: BoolArray | None = None,
        fused: Fused | None = None,
    ) -> Observed:
        """Observe queries as the agents do.

        Args:
            view: what has been revealed.
            price: float32[B], lambda of each; None for the policy's own.
            pending: bool[B, N], members chosen already for the round to come; None for none.
            fused: of the same view, where it is known: while a round is gathered nothing is
                revealed, so nothing has to be fused again.
        """
        every = np.full(view.task.shape, self.price) if price is None else price
        least = np.maximum(every, self._config.price_min).astype(np.float32)
        return self._observer.observe(view, least, self._knowledge.known(view), pending, fused)

    def decide(self, view: View) -> Decision:
        """Ask one more member, or a round of them, or stop."""
        members = np.arange(view.asked.shape[1])
        seen = self.observe(view)
        log_prob = decide(self._decider, seen.observation)
        more = wanted = likeliest(log_prob)[:, None] == members
        while self._observer.rounds is not None and more.any():
            # A query at which the Decider stopped stops again: nothing seen of it has changed.
            again = self.observe(view, pending=wanted, fused=seen.fused)
            more = likeliest(decide(self._decider, again.observation))[:, None] == members
            wanted = wanted | more
        return Decision(wanted, seen.posterior[:, :-1] * view.available, np.exp(log_prob))

    def chances(self, view: View, pending: BoolArray | None = None) -> FloatArray:
        """float32[B, N + 1]: probability of choosing each member next, and of enough (last).

        Args: as of `observe`.
        """
        observation = self.observe(view, pending=pending).observation
        return np.asarray(np.exp(decide(self._decider, observation)))

    def log_policy(
        self, view: View, price: FloatArray | None = None
    ) -> tuple[NDArray[np.float64], BoolArray]:
        """Log-probabilities float64[B, N + 1] of what `chances` are of, and what is legal of it.

        Args: as of `observe`.
        """
        seen = self.observe(view, price).observation
        return decide(self._decider, seen).astype(np.float64), seen.legal
