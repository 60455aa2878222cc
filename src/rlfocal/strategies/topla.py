"""LLM-TOPLA: one subset chosen by focal diversity and accuracy, and a trained weighted fusion.

The forerunner of RL-Focal: the subset is the same for every query, the fusion is learned.

Paper: Tekin et al., LLM-TOPLA: Efficient LLM Ensemble by Maximising Diversity, arXiv:2410.03953.

Departures:
- The fusion network scores one candidate at a time, shared by all candidates, instead of mapping
  the concatenated option distributions to option positions. Queries may then differ in their number
  of options, and for open answers no order of candidates can leak what members not asked would say.
- It starts as the log-odds weighted vote and is stopped early on held-out queries: trained from
  scratch on a few hundred labels, a network falls behind a plain vote.
- Members that fail to answer are told apart from members without preference.
- Summary fusion, which writes a new text, needs a generator and is not part of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.diversity.focal import FailureCounts
from rlfocal.diversity.subsets import best_subsets, weighted_sum
from rlfocal.errors import CheckpointError
from rlfocal.records import BoolArray, FloatArray, ResponseTable
from rlfocal.strategies.candidate_mlp import N_FEATURES, CandidateMlp
from rlfocal.strategies.reading import voters
from rlfocal.strategies.sizes import checked_count
from rlfocal.strategies.static import VoteAccuracy, ask_only, is_enumerable
from rlfocal.strategies.voting import (
    fit_vote_weights,
    rank_members,
    vote_accuracy,
    vote_probability,
)

__all__ = ["Topla"]


class Topla(OneRound):
    """Static subset by focal score, then weighted fusion.

    The focal score is focal_weight · focal diversity + (1 - focal_weight) · plurality accuracy,
    both on the training queries. All subsets of two members or more are scored where that takes
    seconds; larger pools are searched genetically.

    Args:
        focal_weight: in [0, 1].
        n_hidden: width of the fusion network's hidden layer.

    Raises:
        ValueError: an argument out of range.
    """

    name = "topla"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    stochastic: ClassVar[bool] = True
    fitted: ClassVar[Mapping[str, Row]] = {
        "mask": Row("bool", "N"),
        "skip": Row("float32", "EF"),
        "w1": Row("float32", "EFH"),
        "b1": Row("float32", "EH"),
        "w2": Row("float32", "EH"),
    }

    def __init__(self, *, focal_weight: float = 0.5, n_hidden: int = 16) -> None:
        if not 0 <= focal_weight <= 1:
            raise ValueError(f"focal_weight must lie in [0, 1], got {focal_weight}")
        self.focal_weight = focal_weight
        self.n_hidden = checked_count(n_hidden, "n_hidden")

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Choose the subset, then train the fusion on its answers."""
        self.mask_ = self._choose(table, rng)
        inside = np.flatnonzero(self.mask_)
        weight = fit_vote_weights(table, vote_accuracy(table))
        answered = table.answered[:, inside]
        support = table.support[:, inside] * answered[:, :, None]
        allowed = np.where(table.is_open[:, None], support.any(axis=1), table.exists)
        self.skip_, self.w1_, self.b1_, self.w2_ = CandidateMlp.fit(
            support,
            answered,
            table.candidate_score >= 0.5,
            allowed=allowed,
            group=table.group,
            start=weight.mean(axis=0)[inside],
            rng=rng,
            n_hidden=self.n_hidden,
        )
        return self

    def _choose(self, table: ResponseTable, rng: np.random.Generator) -> BoolArray:
        accuracy = VoteAccuracy(table, rank_members(table), pseudo_counts=20.0)
        # How members fail together is known where all of them are recorded.
        focal = FailureCounts.from_failed(table.failed[table.complete])
        exact = is_enumerable(table.n_members, accuracy.n_answers)
        ranking = best_subsets(
            weighted_sum((self.focal_weight, focal.focal), (1 - self.focal_weight, accuracy)),
            table.n_members,
            sizes=(2, table.n_members),
            method="exhaustive" if exact else "genetic",
            rng=rng,
        )
        return ranking.mask

    def axes(self) -> dict[str, int]:
        """The width of the hidden layer."""
        return {"H": self.n_hidden}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`.

        Raises:
            CheckpointError: a network that looks at another number of members than were chosen.
        """
        super().restore(state)
        if self.skip_.shape[1] != N_FEATURES * self.mask_.sum():
            raise CheckpointError(
                f"the array 'mask' chooses {self.mask_.sum()} members, and 'skip' is for "
                f"{self.skip_.shape[1]} features; it should be {N_FEATURES} a member"
            )
        return self

    def first(self, view: View) -> BoolArray:
        """The subset."""
        return ask_only(view, self.mask_)

    def fuse(self, view: View) -> FloatArray:
        """Softmax of the network's scores."""
        inside = np.flatnonzero(self.mask_)
        scorer = CandidateMlp(self.skip_, self.w1_, self.b1_, self.w2_)
        view = voters(view, self.mask_)
        logit = scorer.logits(view.support[:, inside], view.answered[:, inside])
        return vote_probability(logit.astype(np.float64), view)
