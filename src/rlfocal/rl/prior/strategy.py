"""`rl-focal-prior`: the shipped prior on a pool of its own; fitting it counts, and trains nothing.

It works from the first query on: without labels its statistics are those of any pool, and every
labelled query, fitted or remembered, sharpens them.

Where a task's answers cannot be compared there is nothing to fuse; there it asks the one member
with the best accuracy on the task less its price.

Axes: B queries, N members, T tasks, C candidates.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import BoolArray, CandidateKind, FloatArray, IntArray, ResponseTable
from rlfocal.rl.config import PriorConfig
from rlfocal.rl.nets import one_thread
from rlfocal.rl.policy import likeliest
from rlfocal.rl.prior.fusion import Fused, Pooled, Pools, Queries
from rlfocal.rl.prior.observation import observe
from rlfocal.rl.prior.statistics import Counts, Statistics, tempered
from rlfocal.rl.prior.weights import Prior, shipped_prior

__all__ = ["RlFocalPrior"]

_LEAST = 0.01
"""A member's chance of being right on a query lies between this and 1 - this."""
_ROWS = 512
"""Queries judged at once: bounds memory."""


class _Known(NamedTuple):
    """A pool's statistics as the nets read them."""

    statistics: Statistics
    pools: Pools
    pooled: Pooled


class RlFocalPrior(Base):
    """Decider and Fusion learned from simulated pools, told about this one by statistics alone.

    Its dial is lambda, the price of an average call as a fraction of what a right answer is worth.

    Args:
        prior: trained agents; None for those inside the package.
        config: settings; None for the defaults.
    """

    name = "rl-focal-prior"

    def __init__(self, prior: Prior | None = None, config: PriorConfig | None = None) -> None:
        self.prior = prior or shipped_prior()
        self.config = config or PriorConfig()
        self.price = self.config.default_price
        self.history_ = list[dict[str, float]]()

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Count labelled queries; there may be none, and zero-shot none are counted."""
        n_tasks, n_members = len(table.tasks), table.n_members
        relative_cost = np.ones(n_members, dtype=np.float32)
        adds_up = np.ones(n_tasks + 1, dtype=bool)
        counts = Counts.none(n_tasks, n_members)
        if table.n_queries:
            mean = table.member_mean(table.cost, dtype=np.float32)
            relative_cost = (mean / mean.mean()).astype(np.float32)
            comparable = table.kind != CandidateKind.RESPONSES
            seen = np.bincount(table.task, minlength=n_tasks) > 0
            adds_up = np.bincount(table.task[comparable], minlength=n_tasks) > 0
            adds_up = np.append(np.where(seen, adds_up, comparable.any()), comparable.any())
            if not self.config.zero_shot:
                known = Memory.of(table, table.n_queries)
                counts = _count(known.task, known.answer, known.member_score, adds_up)
        return self.assemble(counts, relative_cost, adds_up)

    def assemble(self, counts: Counts, relative_cost: FloatArray, adds_up: BoolArray) -> Self:
        """Put the strategy together from what fitting counts, as a checkpoint does.

        Args:
            counts: of labelled queries.
            relative_cost: float32[N], of a call to each member, in average calls.
            adds_up: bool[T + 1], whether answers on a task can be compared.
        """
        self.counts_, self.relative_cost_, self.adds_up_ = counts, relative_cost, adds_up
        self._known = self._know(counts)
        self._remembered: tuple[Memory, _Known] | None = None
        return self

    def _know(self, counts: Counts) -> _Known:
        statistics = Statistics.of(counts, self.relative_cost_)
        pools = Pools(
            torch.from_numpy(statistics.member)[None], torch.from_numpy(statistics.pair)[None]
        )
        with one_thread(), torch.inference_mode():
            return _Known(statistics, pools, self.prior.fusion.pool(pools))

    def _known_from(self, memory: Memory | None) -> _Known:
        """The statistics, with what is remembered.

        Fitted counts weigh no more than the memory: the pool may have changed since.
        """
        if memory is None or not len(memory.task):
            return self._known
        if self._remembered is None or self._remembered[0] is not memory:
            recent = _count(memory.task, memory.answer, memory.member_score, self.adds_up_)
            weight = min(1.0, recent.n_labels / max(1.0, self.counts_.n_labels))
            self._remembered = (memory, self._know(recent.plus(self.counts_, weight=weight)))
        return self._remembered[1]

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap, so from few calls to many."""
        card = self.prior.card
        return tuple(float(p) for p in np.geomspace(card.price_max, card.price_min, 12))

    @property
    def ranking(self) -> IntArray:
        """int64[N]: the members, those with the best statistics first."""
        return np.argsort(-self._known.statistics.log_odds[-1], kind="stable")

    @property
    def best_member(self) -> int:
        """The member with the best statistics: what the ensemble has to beat."""
        return int(self.ranking[0])

    def at(self, dial: float) -> Self:
        """The same fitted strategy at another price.

        Raises:
            ValueError: a price outside the range that the prior was trained for.
        """
        low, high = self.prior.card.price_min, self.prior.card.price_max
        if not low * 0.999 <= dial <= high * 1.001:
            raise ValueError(
                f"{self.name}: the price of a call must lie in [{low}, {high}], got {dial}"
            )
        other = copy.copy(self)
        other.price = dial
        return other

    def decide(self, view: View) -> FloatArray:
        """float32[B, N + 1]: probability of asking each member next, and of stopping (last)."""
        return np.asarray(self._log_prob(view).exp().numpy())

    def next_members(self, view: View) -> BoolArray:
        """Ask one more member, or stop."""
        action = likeliest(self._log_prob(view)).numpy()
        return np.asarray(action[:, None] == np.arange(view.asked.shape[1]))

    def _log_prob(self, view: View) -> Tensor:
        log_prob = self.consider(view, np.full(len(view), self.price, dtype=np.float32))[1]
        assert log_prob is not None  # a price was given
        return log_prob

    def fuse(self, view: View) -> FloatArray:
        """Fusion's posterior; what it leaves to "none of these" is missing from the sum."""
        return self.consider(view, None)[0]

    def consider(
        self, view: View, price: FloatArray | None, competence: FloatArray | None = None
    ) -> tuple[FloatArray, Tensor | None]:
        """Judge queries.

        Args:
            view: what has been revealed.
            price: float32[B], lambda of each query; None where no decision is asked for.
            competence: float32[B, N], expected gain of each member over its accuracy on the task,
                where something is known of the query itself.

        Returns:
            The posterior float32[B, C], and log-probabilities float32[B, N + 1] of asking each
            member next and of stopping (last), or None.
        """
        known = self._known_from(view.memory)
        chance = 1 / (1 + np.exp(-known.statistics.log_odds[self._place(view)]))
        if competence is not None:
            chance = np.clip(chance + competence, _LEAST, 1 - _LEAST)
        posterior = _believe(view, chance)
        log_prob = None
        if price is not None:
            worth = chance - price[:, None] * known.statistics.relative_cost
            if view.closed is not None:
                worth = np.where(view.closed, -np.inf, worth)
            log_prob = _select(view, worth)
        rows = np.flatnonzero(self._comparable(view))
        with one_thread(), torch.inference_mode():
            for block in _blocks(rows):
                seen, fused = self._judge(view, block, known, chance[block])
                posterior[block] = torch.softmax(fused.logit[0], dim=1)[:, :-1].numpy()
                if price is None or log_prob is None:
                    continue
                lam = torch.from_numpy(price[block])[None]
                cost = torch.from_numpy(known.statistics.relative_cost)[None]
                observation = observe(known.pools, cost, seen, fused, lam)
                decided = self.prior.decider(observation)
                if view.closed is not None:
                    shut = torch.from_numpy(np.pad(view.closed[block], ((0, 0), (0, 1))))
                    decided = decided.masked_fill(shut, -1e9)
                log_prob[torch.from_numpy(block)] = decided
        posterior = posterior * (view.available & view.answered.any(axis=1, keepdims=True))
        return posterior, log_prob

    # Parts ------------------------------------------------------------------------------------

    def _place(self, view: View) -> np.ndarray:
        """int64[B] in 0..T: the task, T where it is unknown."""
        n_tasks = len(self.adds_up_) - 1
        return np.where((view.task >= 0) & (view.task < n_tasks), view.task, n_tasks)

    def _comparable(self, view: View) -> BoolArray:
        return np.asarray(self.adds_up_[self._place(view)])

    def _judge(
        self, view: View, rows: np.ndarray, known: _Known, chance: FloatArray
    ) -> tuple[Queries, Fused]:
        """Rows of a view as queries of one pool, and what Fusion makes of them."""
        log_odds = np.log(chance / (1 - chance)).astype(np.float32)
        support = view.support[rows]
        plain = tempered(support, view.answer[rows], known.statistics.n_labels)
        support = np.where(view.is_open[rows, None, None], support, plain)
        seen = Queries(
            *(
                torch.from_numpy(np.ascontiguousarray(array))[None]
                for array in (
                    log_odds, view.is_open[rows], view.asked[rows], view.answered[rows],
                    support, view.available[rows],
                )
            )
        )  # fmt: skip
        return seen, self.prior.fusion(known.pooled, seen)


def _select(view: View, worth: FloatArray) -> Tensor:
    """float32[B, N + 1]: log-probabilities; ask the one member worth most, then stop."""
    n_members = view.asked.shape[1]
    begun = view.asked.any(axis=1)
    chosen = np.where(begun, n_members, worth.argmax(axis=1))
    taken = torch.from_numpy(chosen[:, None] == np.arange(n_members + 1))
    return torch.where(taken, 0.0, -1e9)


def _believe(view: View, chance: FloatArray) -> FloatArray:
    """float32[B, C]: the answer of the best member that gave one, at its accuracy."""
    given = np.where(view.answered, chance, 0.0)
    best = given.argmax(axis=1)
    rows = np.arange(len(view))
    posterior = view.support[rows, best] * given[rows, best][:, None]
    return np.asarray(posterior, dtype=np.float32)


def _count(task: np.ndarray, answer: np.ndarray, score: FloatArray, adds_up: BoolArray) -> Counts:
    """Counts of labelled queries; answers that cannot be compared say nothing of pairs."""
    n_tasks = len(adds_up) - 1
    place = np.where((task >= 0) & (task < n_tasks), task, n_tasks)
    return Counts.of(answer, score, place, n_tasks, comparable=adds_up[place])


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
