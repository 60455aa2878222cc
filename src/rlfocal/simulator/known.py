"""Pools of independent members and one reader of set skills, whose best policy is computed exactly.

Queries have options and nothing else. A member is right with its accuracy, and its wrong answers
fall on all others alike. The reader is shown what some of them said. So everything follows by Bayes
from what is said, and the best policy by dynamic programming over what has been said so far: what a
policy of another kind loses against it is known without luck, over `worlds`.

Axes: W worlds or queries, M members without the reader, N = M + 1, C options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records import ResponseTable
from rlfocal.simulator.choices import SimulatedPool
from rlfocal.simulator.tables import to_table

__all__ = ["KnownPool", "Optimum", "Worlds"]

Floats = NDArray[np.float64]
State = tuple[int, ...]
"""What each of N members said; -1 where it was not asked."""


@dataclass(frozen=True)
class KnownPool:
    """M members and a reader, who comes last.

    A judge takes one of the answers shown: `conforms` and `strays` are 1.
    """

    accuracy: tuple[float, ...]
    """[M], each in (0, 1)."""
    reads: tuple[int, ...]
    """Which of them the reader is shown."""
    follows: float
    """Chance that it takes a right answer where one is shown beside wrong ones; else it takes one
    of those."""
    conforms: float = 1.0
    """Chance that it takes the answer where all shown are alike; else it gives its own."""
    strays: float = 1.0
    """Chance that it takes one of those shown where they are unlike and none is right; else it
    gives its own."""
    own: float = 0.5
    """Accuracy of its own answer."""
    cost: tuple[float, ...] | None = None
    """[N], relative; None for the same of all."""
    n_options: int = 3
    """C."""

    @property
    def n_members(self) -> int:
        """N."""
        return len(self.accuracy) + 1

    @property
    def relative_cost(self) -> Floats:
        """float64[N], mean 1."""
        cost = np.ones(self.n_members) if self.cost is None else np.array(self.cost, dtype=float)
        return np.asarray(cost / cost.mean())

    def chances(self, shown: Sequence[int]) -> Floats:
        """float64[C, C]: chance of each answer of the reader (column) for each truth (row).

        Args:
            shown: the answers of those it reads.
        """
        n = self.n_options
        own = np.full((n, n), (1 - self.own) / (n - 1))
        np.fill_diagonal(own, self.own)
        share = np.bincount(shown, minlength=n) / len(shown)
        if share.max() == 1:
            return self.conforms * np.tile(share, (n, 1)) + (1 - self.conforms) * own
        found = self.strays * np.tile(share, (n, 1)) + (1 - self.strays) * own
        for truth in np.flatnonzero(share):
            found[truth] = (1 - self.follows) * share / (1 - share[truth])
            found[truth, truth] = self.follows
        return found

    @cached_property
    def worlds(self) -> Worlds:
        """Every truth with every set of answers."""
        n, last = self.n_options, self.n_members - 1
        right = np.array(self.accuracy)
        rows, chance = [], []
        for truth, *said in product(range(n), repeat=last + 1):
            hit = np.array(said) == truth
            likely = np.where(hit, right, (1 - right) / (n - 1)).prod() / n
            reader = self.chances([int(said[m]) for m in self.reads])[truth]
            for answer in np.flatnonzero(reader):
                rows.append((truth, *said, int(answer)))
                chance.append(likely * reader[answer])
        found = np.array(rows)
        return Worlds(self._table(found[:, 0], found[:, 1:]), np.array(chance))

    def draw(self, n_queries: int, *, rng: np.random.Generator) -> ResponseTable:
        """Queries as they come, to train on."""
        n = self.n_options
        truth = rng.integers(n, size=n_queries)
        off = rng.integers(1, n, size=(n_queries, len(self.accuracy)))
        hit = rng.random(off.shape) < np.array(self.accuracy)
        said = np.where(hit, truth[:, None], (truth[:, None] + off) % n)
        reader = np.empty(n_queries, dtype=np.int64)
        for q in range(n_queries):
            shown = said[q, list(self.reads)].tolist()
            reader[q] = rng.choice(n, p=self.chances(shown)[truth[q]])
        return self._table(truth, np.column_stack([said, reader]))

    def _table(self, truth: NDArray[np.int64], answer: NDArray[np.int64]) -> ResponseTable:
        n_members = self.n_members
        names = tuple(f"member-{m + 1}" for m in range(n_members - 1))
        info = {"reader": ReaderInfo(reads=[names[m] for m in self.reads], reading="judge")}
        options = np.arange(self.n_options)
        pool = SimulatedPool(
            answer=answer.astype(np.int16),
            support=(answer[:, :, None] == options).astype(np.float32),
            exists=np.ones((len(truth), self.n_options), dtype=bool),
            worth=(truth[:, None] == options).astype(np.float32),
            task=np.zeros(len(truth), dtype=np.int64),
            cost=np.tile(self.relative_cost, (len(truth), 1)).astype(np.float32),
            is_open=False,
            reply_shift=np.zeros(answer.shape, dtype=np.float32),
            reads=Reads.of((*names, "reader"), info),
        )
        return to_table(pool, name="pool of known skills")

    def optimum(self, price: float) -> Optimum:
        """The best policy at a price.

        Args:
            price: lambda, of an average call.
        """
        return Optimum(self, price)


class Worlds(NamedTuple):
    """All that can happen, and how often it does."""

    table: ResponseTable
    """W queries."""
    chance: Floats
    """float64[W], sum 1."""


class Optimum:
    """The best policy, one call after another: expected utility of what has been said so far."""

    def __init__(self, pool: KnownPool, price: float) -> None:
        self._pool = pool
        self._charge = price * pool.relative_cost
        self._known: dict[State, tuple[float, int]] = {}
        self.start: State = (-1,) * pool.n_members

    @property
    def utility(self) -> float:
        """Expected score less charges, of a query."""
        return self.best(self.start)[0]

    def best(self, state: State) -> tuple[float, int]:
        """Expected utility from here on, and whom to ask next: N for nobody."""
        if state not in self._known:
            posterior = self.posterior(state)
            begun = state != self.start
            found = (float(posterior.max()) if begun else -np.inf, self._pool.n_members)
            for member in self._open(state):
                found = max(found, (self.asking(state, member), member), key=lambda one: one[0])
            self._known[state] = found
        return self._known[state]

    def asking(self, state: State, member: int) -> float:
        """Expected utility of asking a member next, and doing the best after that."""
        chance = self.posterior(state) @ self._said(state, member)
        after = (
            p * self.best((*state[:member], answer, *state[member + 1 :]))[0]
            for answer, p in enumerate(chance.tolist())
            if p > 0
        )
        return float(sum(after) - self._charge[member])

    def posterior(self, state: State) -> Floats:
        """float64[C]: probability that each option is right."""
        likely = np.ones(self._pool.n_options)
        for member, answer in enumerate(state):
            if answer >= 0:
                likely = likely * self._said(state, member)[:, answer]
        return np.asarray(likely / likely.sum())

    def _open(self, state: State) -> list[int]:
        asked = [answer >= 0 for answer in state]
        last = self._pool.n_members - 1
        found = [m for m in range(last) if not asked[m]]
        ready = not asked[last] and all(asked[m] for m in self._pool.reads)
        return [*found, last] if ready else found

    def _said(self, state: State, member: int) -> Floats:
        """float64[C, C]: chance of a member's answers (columns) for each truth (rows)."""
        pool, n = self._pool, self._pool.n_options
        if member == pool.n_members - 1:
            return pool.chances([state[m] for m in pool.reads])
        accuracy = pool.accuracy[member]
        found = np.full((n, n), (1 - accuracy) / (n - 1))
        np.fill_diagonal(found, accuracy)
        return found
