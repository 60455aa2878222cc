"""`rl-focal`: ask in rounds, stop early, fuse; one fit for the whole accuracy/cost frontier."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
import torch

from rlfocal.records import BoolArray, FloatArray, ResponseTable
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.decider import Decider, likeliest
from rlfocal.rl.fusion import Fusion, fusion_input
from rlfocal.rl.nets import one_thread
from rlfocal.rl.observation import Observer
from rlfocal.rl.progress import Progress
from rlfocal.rl.statistics import Competence, PoolStatistics
from rlfocal.rl.trainer import Trainer
from rlfocal.strategies.protocol import Base, Need, View

__all__ = ["RlFocal"]


class RlFocal(Base):
    """The Decider asks one member at a time until it stops; Fusion gives the posterior.

    Its dial is lambda, the price of an average call as a fraction of what a right answer is worth.

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

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Train on labelled queries."""
        with one_thread():
            trainer = Trainer(
                table, self.config, seed=int(rng.integers(2**62)), on_progress=self._on_progress
            )
            trainer.train()
        return self.adopt(trainer)

    def adopt(self, trainer: Trainer) -> Self:
        """Take over what a trainer has learned so far."""
        self.history_ = trainer.history
        return self.assemble(
            trainer.statistics, trainer.competence, trainer.fusion, trainer.best_decider()
        )

    def assemble(
        self,
        statistics: PoolStatistics,
        competence: Competence,
        fusion: Fusion,
        decider: Decider,
    ) -> Self:
        """Put the strategy together from its trained parts, as a checkpoint does."""
        self.statistics_, self.competence_ = statistics, competence
        self.fusion_, self.decider_ = fusion, decider
        self._observer = Observer(statistics, fusion)
        return self

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap, so from few calls to many."""
        low, high = self.config.price_min, self.config.price_max
        return tuple(float(p) for p in np.geomspace(high, low, 12))

    def at(self, dial: float) -> Self:
        """The same fitted strategy at another price.

        Raises:
            ValueError: a price outside the range that it was trained for.
        """
        low, high = self.config.price_min, self.config.price_max
        if not low * 0.999 <= dial <= high * 1.001:
            raise ValueError(
                f"{self.name}: the price of a call must lie in [{low}, {high}], got {dial}"
            )
        other = copy.copy(self)
        other.price = dial
        return other

    @property
    def best_member(self) -> int:
        """The member that was most accurate in training: what the ensemble has to beat."""
        return int(self.statistics_.accuracy.argmax())

    def decide(self, view: View) -> FloatArray:
        """float32[B, N + 1]: probability of asking each member next, and of stopping (last)."""
        with one_thread(), torch.inference_mode():
            price = np.full(len(view), self.price, dtype=np.float32)
            seen = self._observer.look(view, price, self.competence_.predict(view.features))
            return np.asarray(self.decider_(seen.observation).exp().numpy())

    def next_members(self, view: View) -> BoolArray:
        """Ask one more member, or stop."""
        chance = torch.from_numpy(self.decide(view))
        action = likeliest(chance.log()).numpy()
        return np.asarray(action[:, None] == np.arange(view.asked.shape[1]))

    def fuse(self, view: View) -> FloatArray:
        """Fusion's posterior; what it leaves to "none of these" is missing from the sum."""
        with one_thread(), torch.inference_mode():
            seen = fusion_input(view, self.competence_.predict(view.features))
            posterior = self.fusion_.posterior(seen)[:, :-1].numpy()
        return np.asarray(posterior * view.available)
