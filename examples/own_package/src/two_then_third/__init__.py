"""A strategy of one's own: ask the two best members, and a third where those two disagree."""

from __future__ import annotations

from typing import Self

import numpy as np

from rlfocal import Base, Decision, ResponseTable, View

__all__ = ["TwoThenThird"]


class TwoThenThird(Base):
    """Ask two members; let a third one settle their disagreement.

    What fitting finds ends in one underscore and is an array, so `Base` can write it to disk and
    read it back.

    Args:
        lead: how much more the better of two members' votes weighs, so that there are no ties.
    """

    name = "two-then-third"

    def __init__(self, *, lead: float = 0.01) -> None:
        if lead <= 0:
            raise ValueError(f"lead must be above 0, got {lead}")
        self.lead = lead

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Rank the members by their accuracy on the training queries."""
        self.order_ = np.argsort(-table.member_score.mean(axis=0), kind="stable")
        return self

    def decide(self, view: View) -> Decision:
        """Ask two in the first round, the third in the second where their answers differ; vote."""
        first, second, third = self.order_[:3]
        ask = np.zeros_like(view.asked)
        ask[:, [first, second]] = (view.n_rounds == 0)[:, None]
        ask[:, third] = (view.n_rounds == 1) & (view.answer[:, first] != view.answer[:, second])
        weight = np.zeros(view.asked.shape[1], dtype=np.float32)
        weight[self.order_[:3]] = 1 + self.lead * np.arange(3)[::-1]
        votes = (view.support * weight[:, None]).sum(axis=1)
        return Decision(ask, votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-9))
