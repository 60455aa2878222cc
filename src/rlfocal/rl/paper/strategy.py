"""`rl-focal-paper`: RL-Focal as published, one round, with the released code's defects repaired.

Paper: Tekin et al., arXiv:2502.04492 (the papers' equations were not available to us; the settings
follow the released configuration). Stage 1 trains the Decider: it sees the previous mask, that
mask's ensemble score over the last W labelled queries, and its size; it earns +1 where the chosen
members' plurality vote is right, -1 where it is wrong, less a charge for size. Stage 2 trains
Fusion on the chosen members' supports with the Decider frozen; it earns +1 or -1.

Departures, each the repair of a defect:
- The ratio of PPO is taken against stored log-probabilities, with a centralised critic.
- Queries are independent, so nothing is discounted across them: each is an episode of one round.
- Fusion explores by sampling; both agents are frozen after training, and the window holds training
  labels only. The best policy on held-out training queries is kept, by value.
- An empty ensemble cannot be drawn. Size is charged when the vote is right as well (`beta`).
- Fusion sees candidates in order of the votes of the members *asked*, never of the whole pool.
- Every measure in the ensemble score is oriented so that more diverse is higher.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self

import numpy as np
import torch

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.rl.config import PaperConfig
from rlfocal.rl.nets import one_thread
from rlfocal.rl.paper.nets import PaperDecider, PaperFusion, PaperObservation
from rlfocal.rl.paper.observation import EnsembleScore, chain, leading_candidates
from rlfocal.rl.paper.training import PaperTraining

__all__ = ["RlFocalPaper"]


class RlFocalPaper(Base):
    """The paper's two agents behind the common protocol.

    With its window frozen, the greedy Decider is a map from mask to mask: the mask asked at place
    p of a stream is that map applied p + 1 times to the whole pool.

    Args:
        config: settings; None for the defaults.
        on_progress: called while training.
    """

    name = "rl-focal-paper"
    stochastic: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS, Need.QUERIES})

    def __init__(
        self,
        config: PaperConfig | None = None,
        *,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.config = config or PaperConfig()
        self._on_progress = on_progress

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Train the Decider, then Fusion."""
        with one_thread():
            training = PaperTraining(table, self.config, rng=rng, on_progress=self._on_progress)
            decider = training.train_decider()
            fusion = training.train_fusion(decider)
        self.history_ = training.history
        return self.assemble(decider, fusion, training.memory, training.order)

    def assemble(
        self, decider: PaperDecider, fusion: PaperFusion, memory: Memory, order: IntArray
    ) -> Self:
        """Put the strategy together from its trained parts, as a checkpoint does."""
        self.decider_, self.fusion_, self.memory_, self.order_ = decider, fusion, memory, order
        self._frozen = self._score(memory)
        return self

    def _score(self, memory: Memory) -> EnsembleScore:
        return EnsembleScore(memory, self.order_, focal_weight=self.config.focal_weight)

    @property
    def ranking(self) -> IntArray:
        """int64[N]: the members, the most accurate in training first."""
        return self.order_

    @property
    def best_member(self) -> int:
        """The member that was most accurate in training: what the ensemble has to beat."""
        return int(self.order_[0])

    def next_members(self, view: View) -> BoolArray:
        """Ask the mask that belongs to the query's place in the stream, once."""
        score = self._frozen if view.memory is None else self._score(view.memory)
        with one_thread():
            masks = chain(self.decider_, score, view.position)
        return np.asarray(masks & (view.n_rounds == 0)[:, None])

    def fuse(self, view: View) -> FloatArray:
        """Fusion's probabilities of the leading candidates."""
        leading = leading_candidates(view, self.order_)
        with one_thread(), torch.inference_mode():
            seen = PaperObservation(leading.inputs, torch.from_numpy(leading.exists))
            chance = self.fusion_(seen).exp().numpy() * leading.exists
        out = np.zeros(view.available.shape, dtype=np.float32)
        np.add.at(out, (np.arange(len(view))[:, None], leading.place), chance)
        return out
