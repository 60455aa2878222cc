"""The oracle: what the pool could score if the right member were always known beforehand.

It looks at labels, so it is an upper bound and no strategy. With many members it also counts lucky
guesses, so nobody should expect to reach it.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from rlfocal.records import ResponseTable
from rlfocal.strategies.protocol import Base, Outcome

__all__ = ["Oracle"]


class Oracle(Base):
    """One call per query: the cheapest member among those whose answer scores best."""

    name = "oracle"

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Nothing to learn: it knows."""
        return self

    def outcome(self, table: ResponseTable) -> Outcome:
        """Choose with the labels of `table` itself.

        Where no answer scores above 0, the cheapest member is called, as somebody must be; ties in
        cost go to the first member.
        """
        score = table.member_score
        best = score >= score.max(axis=1, keepdims=True)
        member = np.where(best, table.cost, np.inf).argmin(axis=1)
        rows = np.arange(table.n_queries)
        chosen = table.answer[rows, member]
        latency_s = np.full(table.n_queries, np.nan, dtype=np.float32)
        if table.latency_s is not None:
            latency_s = table.latency_s[rows, member]
        return Outcome(
            chosen=chosen,
            score=score[rows, member],
            confidence=(chosen >= 0).astype(np.float32),
            asked=member[:, None] == np.arange(table.n_members),
            n_calls=np.ones(table.n_queries, dtype=np.int64),
            n_rounds=np.ones(table.n_queries, dtype=np.int64),
            cost=table.cost[rows, member],
            latency_s=latency_s,
        )
