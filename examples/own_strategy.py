"""A strategy of your own in 25 lines, measured beside the built-in ones.

`TwoThenThird` asks the two most accurate members, and a third one only where those two disagree.
Run it: python examples/own_strategy.py (the data are synthetic; it takes seconds).
"""

from __future__ import annotations

from typing import Self

import numpy as np

from rlfocal import ResponseTable, View, build_table, demo_dataset
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import replay
from rlfocal.records import BoolArray, FloatArray
from rlfocal.strategies.single import BestSingle
from rlfocal.strategies.voting import Plurality


class TwoThenThird(Base):
    """Ask two members; let a third one settle their disagreement."""

    name = "two-then-third"

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Rank the members by their accuracy on the training queries."""
        self.best = np.argsort(-table.member_score.mean(axis=0), kind="stable")[:3]
        return self

    def next_members(self, view: View) -> BoolArray:
        """Two in the first round, the third in the second where the two answers differ."""
        first, second, third = self.best
        wanted = np.zeros_like(view.asked)
        wanted[:, [first, second]] = (view.n_rounds == 0)[:, None]
        differ = view.answer[:, first] != view.answer[:, second]
        wanted[:, third] = (view.n_rounds == 1) & differ
        return wanted

    def fuse(self, view: View) -> FloatArray:
        """Count votes; the better member's vote weighs a little more, to settle ties."""
        weight = np.zeros(view.asked.shape[1], dtype=np.float32)
        weight[self.best] = [1.02, 1.01, 1.0]
        votes = (view.support * weight[:, None]).sum(axis=1)
        return votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-9)


def main() -> None:
    """Fit on one half of the queries, measure on the other."""
    table = build_table(demo_dataset())
    half = np.arange(table.n_queries) < table.n_queries // 2
    train, test = table.take(half), table.take(~half)
    for strategy in (BestSingle(), TwoThenThird(), Plurality()):
        strategy.fit(train, rng=np.random.default_rng(0))
        outcome = replay(strategy, test)
        print(
            f"{strategy.name:16} accuracy {outcome.score.mean():.3f}, "
            f"{outcome.n_calls.mean():.2f} calls in {outcome.n_rounds.mean():.2f} rounds"
        )


if __name__ == "__main__":
    main()
