"""The oracle: what the pool could score if the right member were always known beforehand.

It looks at labels, so it is an upper bound and no strategy. With many members it also counts lucky
guesses, so it is not to be reached.
"""

from __future__ import annotations

from typing import Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Outcome
from rlfocal.records import ResponseTable
from rlfocal.strategies.reading import calls_for

__all__ = ["Oracle"]


class Oracle(Base):
    """One call per query: the cheapest member among those whose answer scores best.

    Where that one reads others, they are called before it, and count in its price.
    """

    name = "oracle"

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Nothing to learn: it knows."""
        return self

    def outcome(self, table: ResponseTable) -> Outcome:
        """Choose with the labels of `table` itself.

        Where no answer scores above 0, the cheapest member is called, as one must be; ties in
        cost go to the first member. It knows what is recorded, too, and calls no other.
        """
        score, recorded = table.member_score, table.recorded
        best = (score >= np.where(recorded, score, 0).max(axis=1, keepdims=True)) & recorded
        member = np.where(best, table.full_cost, np.inf).argmin(axis=1)
        rows = np.arange(table.n_queries)
        chosen = table.answer[rows, member]
        calls = calls_for(table, (member[:, None] == np.arange(table.n_members)) & recorded)
        return Outcome(
            chosen=chosen,
            score=table.measured_score(chosen, calls.asked),
            confidence=(chosen >= 0).astype(np.float32),
            n_calls=calls.asked.sum(axis=1),
            **calls._asdict(),
        )
