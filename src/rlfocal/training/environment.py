"""The environment: many queries of a recorded pool side by side, one decision per step and query.

Two agents act: the Decider chooses one more member or stops; where it stops, Fusion's answer is
final. Their views come from `recorded.reveal` alone, the same function that evaluation uses.

Decisions are numbered 0..N-1 (that member) and N (stop). A member costs price · cost; stopping
earns the score of the answer given. Choosing a member again costs again and reveals nothing new;
choosing one without a record costs nothing and reveals nothing. A reader can be chosen once all
whom it reads have been asked, so in a round after theirs: see `View.ready`.

By default a chosen member is asked at once and "stop" ends the episode. Where choices are gathered
into rounds, chosen members are pending: the first of a round also costs the price of the round, and
"stop" asks all of them together. With no member pending it ends the episode. So does the last round
allowed: the answer is then fused from its replies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rlfocal.agents.config import Rounds
from rlfocal.deliberation.recorded import reveal, worth_of
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["PoolEnv", "Step"]


class Step(NamedTuple):
    """Result of one step for the queries that were active when it was taken."""

    reward: FloatArray
    """float32[A]."""
    terminated: BoolArray
    """bool[A]."""


class PoolEnv:
    """B independent episodes over a table; finished ones drop out, so that no work is wasted.

    Args:
        table: recorded answers.
        unit_cost: cost that counts as one call, in the table's unit (the pool's mean cost).
        rounds: how choices are gathered into rounds; None asks every chosen member at once.
    """

    def __init__(
        self, table: ResponseTable, *, unit_cost: float, rounds: Rounds | None = None
    ) -> None:
        self.table, self.rounds = table, rounds
        self._cost = table.cost / np.float32(unit_cost)
        self.active: IntArray = np.zeros(0, dtype=np.int64)
        """int64[A]: which of the B episodes go on."""

    def reset(self, rows: IntArray, price: FloatArray, untold: BoolArray | None = None) -> View:
        """Start B episodes.

        Args:
            rows: int64[B], the queries.
            price: float32[B], lambda of each episode: what one unit of cost is worth.
            untold: bool[B], where nothing says of which task the query is; None for nowhere.

        Returns:
            The view of all B, before any member is asked.
        """
        self.rows, self.price = rows, price.astype(np.float32)
        self.asked = np.zeros((len(rows), self.table.n_members), dtype=bool)
        self.pending = np.zeros_like(self.asked)
        self.untold = np.zeros(len(rows), dtype=bool) if untold is None else untold
        self.n_rounds = np.zeros(len(rows), dtype=np.int64)
        self.active = np.arange(len(rows))
        return self.view()

    def view(self) -> View:
        """The view of the active episodes."""
        return self._revealed(self.active, self.asked)

    def last_view(self, which: IntArray) -> View:
        """The view of some active episodes as if their pending members had been asked.

        Fusion answers from it where asking them ends the episode.

        Args:
            which: int64[K], places among the active episodes.
        """
        return self._revealed(self.active[which], self.asked | self.pending)

    def _revealed(self, episodes: IntArray, asked: BoolArray) -> View:
        view = reveal(
            self.table, self.rows[episodes], asked[episodes], n_rounds=self.n_rounds[episodes]
        )
        untold = self.untold[episodes]
        if not untold.any():
            return view
        return replace(view, task=np.where(untold, len(self.table.tasks), view.task))

    def ends(self) -> BoolArray:
        """bool[A]: where stopping ends the episode: no member is pending, or rounds run out."""
        active = self.active
        if self.rounds is None:
            return np.ones(len(active), dtype=bool)
        last = self.rounds.most is not None and self.n_rounds[active] + 1 >= self.rounds.most
        return np.asarray(last | ~self.pending[active].any(axis=1))

    def fork(self, which: IntArray) -> IntArray:
        """Copy some episodes, so that training compares the outcomes of both choices.

        Args:
            which: int64[K], places among the active episodes.

        Returns:
            int64[K], the copies; they come last among the active episodes.
        """
        n_before, copied = len(self.rows), self.active[which]
        copies = np.arange(n_before, n_before + len(copied))
        if len(copied):
            for name in ("rows", "price", "asked", "pending", "untold", "n_rounds"):
                every = getattr(self, name)
                setattr(self, name, np.concatenate([every, every[copied]]))
            self.active = np.concatenate([self.active, copies])
        return copies

    def stopping_earns(self, answer: IntArray) -> FloatArray:
        """float32[A]: reward of each active episode if it ended now with this answer.

        Pending members are asked before. Training may ask this of states where no path stops,
        because a recorded table knows it; an agent that acts never sees it.

        Args:
            answer: int64[A], as in `step`.
        """
        return self._earns(self.active, answer)

    def _earns(self, episodes: IntArray, answer: IntArray) -> FloatArray:
        asked = self.asked[episodes]
        if self.rounds is not None:
            asked = asked | self.pending[episodes]
        # An answer without a call would be a blind guess among the options: it earns nothing.
        called = asked & self.table.recorded[self.rows[episodes]]
        given = np.where(called.any(axis=1), answer, -1)
        return worth_of(self.table, self.rows[episodes], asked, given)

    def step(self, decision: IntArray, answer: IntArray) -> Step:
        """Act in every active episode.

        Args:
            decision: int64[A] in 0..N, the Decider's.
            answer: int64[A], the candidate Fusion would give if the episode ended now; -1 for none.
                Numbered as in the view, where members are pending as in `last_view`. Read where
                the Decider has enough and `ends`.

        Raises:
            ValueError: a decision out of range, a wrong length, or a reader that is not ready.
        """
        n_members, active = self.table.n_members, self.active
        if decision.shape != active.shape or answer.shape != active.shape:
            raise ValueError(
                f"{len(active)} episodes are active, but {len(decision)} decisions and "
                f"{len(answer)} answers came"
            )
        if len(decision) and not (decision.min() >= 0 and decision.max() <= n_members):
            raise ValueError(f"decisions must lie in 0..{n_members} ({n_members} = enough)")
        self._check_ready(decision)
        enough = decision == n_members
        stop = enough & self.ends()
        member = np.minimum(decision, n_members - 1)
        charge = self.price[active] * self._cost[self.rows[active], member]
        if self.rounds is not None:
            charge = charge + self.rounds.price * ~self.pending[active].any(axis=1)
        reward = np.where(enough, np.float32(0), -charge).astype(np.float32)
        reward[stop] = self._earns(active[stop], answer[stop])
        choosing = active[~enough], member[~enough]
        if self.rounds is None:
            self.asked[choosing] = True
            self.n_rounds[choosing[0]] += 1
        else:
            self.pending[choosing] = True
            self._send(active[enough])
        self.active = active[~stop]
        return Step(reward, stop)

    def _check_ready(self, decision: IntArray) -> None:
        reads, active = self.table.reads, self.active
        if reads is None:
            return
        gone = self.asked[active] | ~self.table.recorded[self.rows[active]]
        ready = np.append(reads.ready(gone), np.ones((len(active), 1), dtype=bool), axis=1)
        early = np.flatnonzero(~ready[np.arange(len(active)), decision])
        if len(early):
            first = early[0]
            reader = decision[first]
            missing = np.flatnonzero(reads.direct[reader] & ~gone[first])
            names = ", ".join(self.table.members[m] for m in missing)
            raise ValueError(
                f"'{self.table.members[reader]}' reads {names}, not asked yet in episode "
                f"{active[first]}: a reader may be chosen where the view says that it is ready"
            )

    def _send(self, episodes: IntArray) -> None:
        """Ask all pending members, in one round; do nothing where none is."""
        pending = self.pending[episodes]
        self.asked[episodes] |= pending
        self.n_rounds[episodes] += pending.any(axis=1)
        self.pending[episodes] = False
