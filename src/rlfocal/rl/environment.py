"""The environment: many queries of a recorded pool side by side, one decision per step and query.

Two agents act: the Decider asks one more member or stops; where it stops, Fusion's answer is final.
What they see comes through `replay.reveal` alone, the same function that evaluation uses.

Decisions are numbered 0..N-1 (ask that member) and N (stop). Asking costs price · cost; stopping
earns the score of the answer given. Asking a member again costs again and reveals nothing new.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.replay import reveal, worth_of
from rlfocal.strategies.protocol import View

__all__ = ["PoolEnv", "Step"]


class Step(NamedTuple):
    """What one step brought for the queries that were active when it was taken."""

    reward: FloatArray
    """float32[A]."""
    terminated: BoolArray
    """bool[A]."""


class PoolEnv:
    """B independent episodes over a table; finished ones drop out, so that no work is wasted.

    Args:
        table: recorded answers.
        unit_cost: cost that counts as one call, in the table's unit (the pool's mean cost).
    """

    def __init__(self, table: ResponseTable, *, unit_cost: float) -> None:
        self.table = table
        self._cost = table.cost / np.float32(unit_cost)
        self.active: IntArray = np.zeros(0, dtype=np.int64)
        """int64[A]: which of the B episodes go on."""

    def reset(self, rows: IntArray, price: FloatArray) -> View:
        """Start B episodes.

        Args:
            rows: int64[B], the queries.
            price: float32[B], lambda of each episode: what one unit of cost is worth.

        Returns:
            The view of all B, with nobody asked yet.
        """
        self.rows, self.price = rows, price.astype(np.float32)
        self.asked = np.zeros((len(rows), self.table.n_members), dtype=bool)
        self.n_rounds = np.zeros(len(rows), dtype=np.int64)
        self.active = np.arange(len(rows))
        return self.view()

    def view(self) -> View:
        """What the active episodes have revealed."""
        active = self.active
        return reveal(
            self.table, self.rows[active], self.asked[active], n_rounds=self.n_rounds[active]
        )

    def stopping_earns(self, answer: IntArray) -> FloatArray:
        """float32[A]: what every active episode would earn if it stopped now with this answer.

        Training may ask this of states where nobody stops, because a recorded table knows it; an
        agent that acts never sees it.

        Args:
            answer: int64[A], as in `step`.
        """
        row, asked = self.rows[self.active], self.asked[self.active]
        # An answer without a call would be a blind guess among the options: it earns nothing.
        return worth_of(self.table, row, asked, np.where(asked.any(axis=1), answer, -1))

    def step(self, decision: IntArray, answer: IntArray) -> Step:
        """Act in every active episode.

        Args:
            decision: int64[A] in 0..N, the Decider's.
            answer: int64[A], the candidate Fusion would give now, numbered as in the view; -1 for
                none. Read where the Decider stops.

        Raises:
            ValueError: a decision out of range, or a wrong length.
        """
        n_members, active = self.table.n_members, self.active
        if decision.shape != active.shape or answer.shape != active.shape:
            raise ValueError(
                f"{len(active)} episodes are active, but {len(decision)} decisions and "
                f"{len(answer)} answers came"
            )
        if len(decision) and not (decision.min() >= 0 and decision.max() <= n_members):
            raise ValueError(f"decisions must lie in 0..{n_members} ({n_members} = stop)")
        stop = decision == n_members
        member = np.minimum(decision, n_members - 1)
        charge = self.price[active] * self._cost[self.rows[active], member]
        reward = np.where(stop, self.stopping_earns(answer), -charge).astype(np.float32)
        asking = active[~stop]
        self.asked[asking, member[~stop]] = True
        self.n_rounds[asking] += 1
        self.active = asking
        return Step(reward, stop)
