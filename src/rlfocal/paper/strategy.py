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

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from rlfocal.agents.arrays import rows_of
from rlfocal.agents.config import PaperConfig
from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.configured import Trained
from rlfocal.deliberation.protocol import Need, State
from rlfocal.deliberation.state import Row, prefixed, without_prefix
from rlfocal.deliberation.view import Memory, View
from rlfocal.paper.nets import PaperDecider, PaperFusion, PaperObservation
from rlfocal.paper.observation import N_LEADING, EnsembleScore, chain, leading_candidates
from rlfocal.paper.training import PaperTraining
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.settings import Settings
from rlfocal.training.weights import arrays_of, one_thread, weights_from

__all__ = ["RlFocalPaper"]


class RlFocalPaper(Trained, OneRound):
    """The paper's two agents behind the common protocol.

    With its window frozen, the greedy Decider is a map from mask to mask: the mask asked at place
    p of a stream is that map applied p + 1 times to the whole pool.

    Args:
        config: settings; None for the defaults.
    """

    name = "rl-focal-paper"
    stochastic: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS, Need.QUERIES})
    fitted: ClassVar[Mapping[str, Row]] = {
        "decider.net.0.bias": Row("float32", "H"),
        "fusion.net.0.bias": Row("float32", "G"),
        "memory.task": Row("int64", "W", low=0, high="T"),
        "memory.answer": Row("int16", "WN", low=-1),
        "memory.member_score": Row("float32", "WN", finite=False),
        "order": Row("int64", "N", low=0, high="N", distinct=True),
    }

    config_type: ClassVar[type[Settings]] = PaperConfig
    config: PaperConfig

    def __init__(self, config: PaperConfig | None = None) -> None:
        super().__init__(config)
        self._history: list[dict[str, float]] = []

    def training_table(self, table: ResponseTable) -> ResponseTable:
        """The table unchanged: no agent sees a query's task."""
        return table

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Train the Decider, then Fusion."""
        with one_thread():
            training = PaperTraining(table, self.config, rng=rng, on_progress=self.on_progress)
            decider = training.train_decider()
            fusion = training.train_fusion(decider)
        self._history = training.history
        return self._trained(decider, fusion, training.memory, training.order)

    def _trained(
        self, decider: PaperDecider, fusion: PaperFusion, memory: Memory, order: IntArray
    ) -> Self:
        self.decider_, self.fusion_, self.memory_, self.order_ = decider, fusion, memory, order
        return self._looking_back_on(memory)

    def _looking_back_on(self, memory: Memory) -> Self:
        weight = self.config.focal_weight
        self._score = EnsembleScore(memory, self.order_, focal_weight=weight)
        return self

    def state(self) -> State:
        """Arrays of both agents, and the window of training queries that the Decider observes."""
        window = {f.name: getattr(self.memory_, f.name) for f in fields(Memory)}
        return {
            "order": self.order_, **prefixed("memory", window),
            **prefixed("decider", arrays_of(self.decider_)),
            **prefixed("fusion", arrays_of(self.fusion_)),
        }  # fmt: skip

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`.

        Raises:
            KeyError, RuntimeError, TypeError: an array is missing or has another shape.
        """
        config, n_members = self.config, len(state["order"])
        decider = PaperDecider(n_members, hidden=config.hidden)
        fusion = PaperFusion(n_members, N_LEADING, hidden=config.fusion_hidden)
        return self._trained(
            weights_from(decider, without_prefix("decider", state)),
            weights_from(fusion, without_prefix("fusion", state)),
            Memory(**without_prefix("memory", state)), state["order"],
        )  # fmt: skip

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """The layout of the arrays of `state`."""
        return {**rows_of(present, "decider", "fusion"), **self.fitted}

    def axes(self) -> dict[str, int]:
        """Widths of both nets."""
        return {"H": self.config.hidden, "G": self.config.fusion_hidden}

    def follow(self, memory: Memory) -> Self:
        """A copy whose Decider observes these queries in place of the last in training."""
        return self._with()._looking_back_on(memory)

    @property
    def ranking(self) -> IntArray:
        """int64[N]: the members, the most accurate in training first."""
        return self.order_

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """The training log, update by update."""
        return self._history

    def first(self, view: View) -> BoolArray:
        """Ask the mask that belongs to the query's place in the stream."""
        with one_thread():
            return np.asarray(chain(self.decider_, self._score, view.position))

    def fuse(self, view: View) -> FloatArray:
        """Fusion's probabilities of the leading candidates."""
        leading = leading_candidates(view, self.order_)
        with one_thread(), torch.inference_mode():
            seen = PaperObservation(leading.inputs, torch.from_numpy(leading.exists))
            chance = self.fusion_(seen).exp().numpy() * leading.exists
        out = np.zeros(view.available.shape, dtype=np.float32)
        np.add.at(out, (np.arange(len(view))[:, None], leading.place), chance)
        return out
