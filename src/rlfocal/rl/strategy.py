"""`rl-focal`: ask in rounds, stop early, fuse; one fit for the whole accuracy/cost frontier."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
import torch

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import Need, Strategy
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.rl.adaptation import Followed, adapted
from rlfocal.rl.blinded import view_seen
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.decider import Decider
from rlfocal.rl.everybody import Everybody
from rlfocal.rl.fallback import Fallback, Verdict, fit_fallback
from rlfocal.rl.foundation import Foundation
from rlfocal.rl.nets import one_thread
from rlfocal.rl.observation import Fused, Observer
from rlfocal.rl.policy import likeliest
from rlfocal.rl.threshold import prices_of
from rlfocal.rl.trainer import Trainer

__all__ = ["RlFocal"]


class RlFocal(Base):
    """The Decider asks one member at a time until it stops; Fusion gives the posterior.

    Where rounds have a price or a limit, it asks several at a time. Its dial is lambda, the price
    of an average call as a fraction of what a right answer is worth.

    Args:
        config: settings; None for the defaults.
        on_progress: called while training.
    """

    name = "rl-focal"
    stochastic: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.QUERIES})

    def __init__(
        self,
        config: RlFocalConfig | None = None,
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.config = config or RlFocalConfig()
        self.price = self.config.default_price
        self._on_progress = on_progress
        self._acting: Strategy | None = None
        self._given: tuple[View, View] | None = None
        self._last: tuple[View, Fused] | None = None
        self._first: tuple[View, FloatArray] | None = None

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Train on labelled queries."""
        with one_thread():
            trainer = Trainer(
                table, self.config, seed=int(rng.integers(2**62)), on_progress=self._on_progress
            )
            trainer.train()
        return self.adopt(trainer)

    def adopt(self, trainer: Trainer) -> Self:
        """Take over what a trainer has learned so far, and judge it against simple rivals."""
        self.history_ = trainer.history
        decider = trainer.averaged_decider()
        fallback = fit_fallback(
            trainer.foundation, decider, trainer.table, self.config,
            rng=np.random.default_rng(trainer.seed),
        )  # fmt: skip
        return self.assemble(trainer.foundation, decider, fallback)

    def assemble(self, foundation: Foundation, decider: Decider, fallback: Fallback) -> Self:
        """Put the strategy together from its trained parts, as a checkpoint does."""
        self.foundation_, self.decider_, self.fallback_ = foundation, decider, fallback
        self._observer = foundation.eyes(self.config.rounds)
        # What a former fit saw is void.
        self._given = self._last = self._first = None
        self._followed: list[tuple[Memory, Followed]] = []  # shared by this fit's other prices
        self._acting = fallback.at(self.price)
        return self

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap, so from few calls to many; at 0 no call is spared."""
        return prices_of(self.config)

    def at(self, dial: float) -> Self:
        """The same fitted strategy at another price.

        Raises:
            ValueError: a price outside the range that it was trained for.
        """
        low, high = self.config.price_min, self.config.price_max
        if dial != 0 and not low * 0.999 <= dial <= high * 1.001:
            raise ValueError(
                f"{self.name}: the price of a call must lie in [{low}, {high}] or be 0, got {dial}"
            )
        other = copy.copy(self)
        other.price = dial
        other._acting = self.fallback_.at(dial)
        other._first = None  # what was decided at another price
        return other

    def alone(self) -> Self:
        """The same without rivals: for a query of which a member has failed.

        Rivals earned their place where members answer; the agents were trained with members left
        out at random.
        """
        other = copy.copy(self)
        other._acting = self.fallback_.rivals.get(Everybody.name) if self.price == 0 else None
        other._first = None
        return other

    @property
    def ranking(self) -> IntArray:
        """int64[N]: the members, the most accurate in training first."""
        return np.argsort(-self.foundation_.statistics.accuracy, kind="stable")

    @property
    def best_member(self) -> int:
        """The member that was most accurate in training: what the ensemble has to beat."""
        return int(self.ranking[0])

    @property
    def verdict(self) -> Verdict:
        """Who acts at this price, the learned policy or a rival, and why."""
        return self.fallback_.verdict(self.price)

    def decide(self, view: View, pending: BoolArray | None = None) -> FloatArray:
        """float32[B, N + 1]: probability of choosing each member next, and of enough (last).

        Args:
            view: what has been revealed.
            pending: bool[B, N], members chosen already for the round to come; None for nobody.
        """
        return self._decide(self._seen(view), pending)

    def _decide(self, view: View, pending: BoolArray | None) -> FloatArray:
        if pending is not None:
            return self._chances(view, pending)
        # Whoever asks about the same view again gets what was found the first time.
        if self._first is None or self._first[0] is not view:
            self._first = (view, self._chances(view, None))
        return self._first[1]

    def _chances(self, view: View, pending: BoolArray | None) -> FloatArray:
        rival = self._in_place(view)
        if rival is not None:
            wanted = rival.next_members(view) & ~view.asked
            chance = wanted / np.maximum(wanted.sum(axis=1, keepdims=True), 1)
            return np.hstack([chance, ~wanted.any(axis=1, keepdims=True)]).astype(np.float32)
        with one_thread(), torch.inference_mode():
            least = max(self.price, self.config.price_min)
            price = np.full(len(view), least, dtype=np.float32)
            competence = self.foundation_.competence.predict(view.features)
            # While a round is gathered nothing is revealed, so nothing has to be fused again.
            known = None if pending is None else self._last_look(view)
            seen = self._eyes(view).look(view, price, competence, pending=pending, fused=known)
            self._last = (view, seen.fused)
            return np.asarray(self.decider_(seen.observation).exp().numpy())

    def _seen(self, view: View) -> View:
        """What the settings let the strategy know of a view; the same object for the same view."""
        if self._given is None or self._given[0] is not view:
            self._given = (view, view_seen(view, self.config))
        return self._given[1]

    def _last_look(self, view: View) -> Fused | None:
        return self._last[1] if self._last is not None and self._last[0] is view else None

    def follow(self, memory: Memory) -> Followed:
        """What recent labelled queries make of the pool.

        Takes milliseconds for a memory that is new and nothing for the last one, so a server may
        call it beforehand, in another thread.
        """
        for known, followed in self._followed:
            if known is memory:
                return followed
        found = adapted(self.foundation_, memory)
        found = found._replace(eyes=replace(found.eyes, rounds=self.config.rounds))
        # The one before stays: whoever began with it is not done yet.
        self._followed[:] = [*self._followed[-1:], (memory, found)]
        return found

    def _has_changed(self, view: View) -> bool:
        return view.memory is not None and self.follow(view.memory).has_changed

    def _in_place(self, view: View) -> Strategy | None:
        """The rival that acts; once the pool has changed the agents, since no rival can follow."""
        if not self._has_changed(view):
            return self._acting
        return self.fallback_.rivals[Everybody.name] if self.price == 0 else None

    def _eyes(self, view: View) -> Observer:
        """The observer in training, or one that follows the labelled queries remembered lately."""
        return self._observer if view.memory is None else self.follow(view.memory).eyes

    def next_members(self, view: View) -> BoolArray:
        """Ask one more member, or a round of them, or stop."""
        view = self._seen(view)
        if self._in_place(view) is not None:
            return np.asarray(self._decide(view, None)[:, :-1] > 0)
        more = wanted = self._choose(view, None)
        while self.config.rounds is not None and more.any():
            # A query that had enough has so again: nothing that is seen of it has changed.
            more = self._choose(view, wanted)
            wanted = wanted | more
        return wanted

    def _choose(self, view: View, pending: BoolArray | None) -> BoolArray:
        """bool[B, N]: the next member; nobody where the Decider has enough."""
        chance = torch.from_numpy(self._decide(view, pending))
        action = likeliest(chance.log()).numpy()
        return np.asarray(action[:, None] == np.arange(view.asked.shape[1]))

    def fuse(self, view: View) -> FloatArray:
        """Fusion's posterior; what it leaves to "none of these" is missing from the sum."""
        view = self._seen(view)
        rival = self._in_place(view)
        if rival is not None and not self._has_changed(view):
            return rival.fuse(view)
        known = self._last_look(view)
        if known is not None:  # just looked at, to decide
            return np.asarray(known.posterior[:, :-1].numpy() * view.available)
        return self.foundation_.fuse(view, self._eyes(view))
