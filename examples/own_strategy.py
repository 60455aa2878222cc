"""A strategy of your own in 20 lines, measured beside the built-in ones.

`TwoThenThird` asks the two most accurate members, and a third one only where those two disagree.
Run it: python examples/own_strategy.py (the data are synthetic; it takes seconds). The folder
own_package makes a package of it, which the command line finds, too.
"""

from __future__ import annotations

from typing import Self

import numpy as np

import rlfocal


class TwoThenThird(rlfocal.Base):
    """Ask two members; let a third one settle their disagreement."""

    name = "two-then-third"

    def fit(self, table: rlfocal.ResponseTable, *, rng: np.random.Generator) -> Self:
        """Rank the members by their accuracy on the training queries."""
        self.best_ = np.argsort(-table.member_score.mean(axis=0), kind="stable")[:3]
        return self

    def decide(self, view: rlfocal.View) -> rlfocal.Decision:
        """Two in the first round, the third in the second where the two answers differ; vote."""
        first, second, third = self.best_
        ask = np.zeros_like(view.asked)
        ask[:, [first, second]] = (view.n_rounds == 0)[:, None]
        ask[:, third] = (view.n_rounds == 1) & (view.answer[:, first] != view.answer[:, second])
        weight = np.zeros(view.asked.shape[1], dtype=np.float32)
        weight[self.best_] = [1.02, 1.01, 1.0]  # the better member's vote settles ties
        votes = (view.support * weight[:, None]).sum(axis=1)
        return rlfocal.Decision(ask, votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-9))


def main() -> None:
    """Measure each on queries that it was not fitted on."""
    result = rlfocal.benchmark("demo", ["plurality", TwoThenThird()], folds=3)
    for row in result.rows:
        print(f"{row.strategy:16} accuracy {row.accuracy:.3f}, {row.mean_calls:.2f} calls")


if __name__ == "__main__":
    main()
