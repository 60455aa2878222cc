"""`rl-focal-prior`: the shipped prior applied to a pool; fitting counts labels and trains nothing.

It works from the first query on: without labels its statistics are those of a typical pool, and
every labelled query, fitted or remembered, refines them.

Where a task's answers cannot be compared they cannot be fused; there it asks the one member with
the best accuracy on the task less its price.

Axes: B queries, N members, T tasks, C candidates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.arrays import namespace, rows_of
from rlfocal.agents.config import PriorConfig
from rlfocal.agents.policy import likeliest
from rlfocal.agents.prior.alone import believed_alone, select
from rlfocal.agents.prior.decider import decide
from rlfocal.agents.prior.fusion import Fused, Pooled, Pools, Queries, fuse, pooled_of, tempered
from rlfocal.agents.prior.observation import Observation, observe
from rlfocal.agents.prior.reading import READING_ROWS, Readers
from rlfocal.agents.prior.statistics import PAIR_COUNTS, Counts, Statistics
from rlfocal.agents.prior.unasked import as_if_all_were_asked
from rlfocal.agents.prior.weights import Prior, prior_of, shipped_prior, state_of
from rlfocal.deliberation.configured import Trained
from rlfocal.deliberation.dial import checked_price
from rlfocal.deliberation.protocol import State
from rlfocal.deliberation.state import Row, names_of, prefixed, without_prefix
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.numbers import Float64Array, sigmoid
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.settings import Settings

__all__ = ["Believed", "RlFocalPrior"]

_LEAST = 0.01
"""A member's probability of being right, by its text, is clipped to [this, 1 - this]."""
_MOST_ODDS = 5.3
"""No member is taken to be surer to be right, or wrong, than this, in log-odds."""
_FIRST = 20.0
"""Number of labels at which those of a pool that had none are trusted by half."""
_CELLS = 2048
"""Queries times members judged at once: what they take fits a processor's cache."""


class _PoolState(NamedTuple):
    """A pool's statistics as the nets read them."""

    statistics: Statistics
    pools: Pools
    pooled: Pooled
    reading: FloatArray | None
    """float32[2, N], of `Readers.shift`; None where nobody reads."""


class Believed(NamedTuple):
    """Fusion's belief on B queries."""

    logit: FloatArray
    """float32[B, C + 1]; the last is "none of these"."""
    posterior: FloatArray
    """float32[B, C]: of candidates that exist; what is missing to 1 is "none of these"."""
    vote: FloatArray
    """float32[B, N]: weight of each member's vote; 0 where it has not answered."""


class RlFocalPrior(Trained):
    """Decider and Fusion learned on simulated pools; they know this pool by its statistics alone.

    Its dial is lambda, the price of an average call as a fraction of what a right answer is worth.

    Args:
        config: settings; None for the defaults.
        prior: trained agents; None for those inside the package.
    """

    name = "rl-focal-prior"
    # Counting is quick, but `follow` counts the same labels: refitting would add nothing to it.
    dial: ClassVar[str] = "price"
    former: ClassVar[tuple[str, ...]] = ("its agents were other nets",)
    fitted: ClassVar[Mapping[str, Row]] = {
        "card": Row("uint8", "b"),
        "relative_cost": Row("float32", "N", low=0),
        "adds_up": Row("bool", "T"),
        **{f"counts.{name}": Row("float64", "TN", low=0) for name in ("known", "right")},
        "counts.answered": Row("float64", "N", low=0),
        **{f"counts.{name}": Row("float64", "NN", low=0) for name in PAIR_COUNTS},
    }

    config_type: ClassVar[type[Settings]] = PriorConfig
    config: PriorConfig

    def __init__(self, config: PriorConfig | None = None, *, prior: Prior | None = None) -> None:
        super().__init__(config)
        self.prior = prior or shipped_prior()
        self.price = self.config.default_price

    def training_table(self, table: ResponseTable) -> ResponseTable:
        """The table unchanged, since unknown tasks need no rows; zero-shot, without its queries."""
        return table.take(np.zeros(0, dtype=np.int64)) if self.config.zero_shot else table

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Count labelled queries; zero-shot, or without queries, there are no counts."""
        n_tasks, n_members = len(table.tasks), table.n_members
        relative_cost = np.ones(n_members, dtype=np.float32)
        adds_up = np.ones(n_tasks + 1, dtype=bool)
        counts = Counts.none(n_tasks, n_members)
        readers = None if table.reads is None else Readers.none(table.reads)
        if table.n_queries:
            mean = table.member_mean(table.cost, dtype=np.float32)
            relative_cost = (mean / mean.mean()).astype(np.float32)
            comparable = table.comparable
            seen = np.bincount(table.task, minlength=n_tasks) > 0
            adds_up = np.bincount(table.task[comparable], minlength=n_tasks) > 0
            adds_up = np.append(np.where(seen, adds_up, comparable.any()), comparable.any())
            if not self.config.zero_shot:
                known = Memory.of(table, table.n_queries)
                counts = _count(known.task, known.answer, known.member_score, adds_up)
                readers = None if readers is None else _count_readers(readers, known, adds_up)
        return self._adopt(counts, relative_cost, adds_up, readers)

    def priced(self, cost: FloatArray) -> Self:
        """A fitted copy whose members cost something else, as far as is known before any call.

        Args:
            cost: float32[N], positive, of a call to each member; only ratios matter.
        """
        relative = (cost / cost.mean()).astype(np.float32)
        return self._with()._adopt(self.counts_, relative, self.adds_up_, self.readers_)

    def _adopt(
        self,
        counts: Counts,
        relative_cost: FloatArray,
        adds_up: BoolArray,
        readers: Readers | None,
    ) -> Self:
        """Set the fitted counts, and compute the statistics.

        Args:
            counts: of labelled queries.
            relative_cost: float32[N], of a call to each member, in average calls.
            adds_up: bool[T + 1], whether answers on a task can be compared.
            readers: how those did that read others; None where nobody does.
        """
        self.counts_, self.relative_cost_, self.adds_up_ = counts, relative_cost, adds_up
        self.readers_ = readers
        self._pool_state = self._pool_state_of(counts, readers)
        return self

    def state(self) -> State:
        """Counts, prices, and the agents with their card."""
        counts = {f.name: getattr(self.counts_, f.name) for f in fields(Counts)}
        readers = {} if self.readers_ is None else self.readers_.state()
        return {
            "relative_cost": self.relative_cost_, "adds_up": self.adds_up_,
            **prefixed("counts", counts), **prefixed("readers", readers), **state_of(self.prior),
        }  # fmt: skip

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`.

        Raises:
            KeyError, RuntimeError, TypeError: an array is missing or has another shape.
            ValueError: the card is damaged.
            RecordError: a member reads itself.
        """
        self.prior = prior_of(state)
        counts = Counts(**without_prefix("counts", state))
        found = without_prefix("readers", state)
        readers = Readers.restore(found) if found else None
        return self._adopt(counts, state["relative_cost"], state["adds_up"], readers)

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """The layout of the arrays of `state`."""
        rows = {**rows_of(present, "decider", "fusion"), **self.fitted}
        if names_of("readers", present):
            rows |= {f"readers.{key}": row for key, row in READING_ROWS.items()}
        return rows

    def _pool_state_of(self, counts: Counts, readers: Readers | None) -> _PoolState:
        statistics = Statistics.of(counts, self.relative_cost_)
        pools = Pools(statistics.member[None], statistics.pair[None])
        reading = None if readers is None else readers.shift(statistics.log_odds[-1])
        return _PoolState(statistics, pools, pooled_of(self.prior.fusion, pools), reading)

    def follow(self, memory: Memory, *, changed: Float64Array | None = None) -> Self:
        """A copy that counts recent labelled queries as well.

        Fitted counts weigh no more than the memory: the pool may have changed since. Where it is
        known which members have, that holds for pairs alone: two may now err together although
        neither became better or worse. Where there are no fitted counts, the first remembered ones
        weigh less than others would: by so few queries the nets, which take a pool's level from
        them, would ask too few members.

        Args:
            memory: recent labelled queries.
            changed: float64[N] in [0, 1], the chance that each member is another one than when it
                was fitted: so much of its fitted counts is left out. None where nothing is known.
        """
        if not len(memory.task):
            return self
        recent = _count(memory.task, memory.answer, memory.member_score, self.adds_up_)
        weight = min(1.0, recent.n_labels / max(1.0, self.counts_.n_labels))
        readers = self.readers_
        if readers is not None:
            kept = readers.times(weight if changed is None else 1 - changed)
            readers = _count_readers(readers, memory, self.adds_up_).plus(kept)
        if not self.counts_.n_labels:
            trust = recent.n_labels / (recent.n_labels + _FIRST)
            return self._with(_pool_state=self._pool_state_of(recent.times(trust), readers))
        fitted = self.counts_ if changed is None else self.counts_.kept(1 - changed)
        fitted = fitted.times(weight if changed is None else 1.0, of_pairs=weight)
        return self._with(_pool_state=self._pool_state_of(recent.plus(fitted), readers))

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap, so from few calls to many."""
        card = self.prior.card
        return tuple(float(p) for p in np.geomspace(card.price_max, card.price_min, 12))

    @property
    def ranking(self) -> IntArray:
        """int64[N]: the members, those with the best statistics first, of equals the cheapest."""
        return np.lexsort((self.relative_cost_, -self._pool_state.statistics.log_odds[-1]))

    def at(self, price: float) -> Self:
        """The same fitted strategy at another price; 0 counts as the least one.

        Raises:
            ValueError: a price outside the range that the prior was trained for.
        """
        low, high = self.prior.card.price_min, self.prior.card.price_max
        return self._with(price=checked_price(price, within=(low, high)) or low)

    def decide(self, view: View) -> Decision:
        """Ask one more member, or stop; "none of these" keeps its share of the posterior."""
        seen = self.queries(view)
        believed = self.believe(view, seen)
        price = np.full(view.task.shape, self.price, dtype=np.float32)
        log_prob = np.empty((len(price), view.asked.shape[1] + 1), dtype=np.float32)
        for rows in self._blocks(len(price)):
            observation = self.observe(
                _taken(seen, rows), Fused(believed.logit[None, rows], believed.vote[None, rows]),
                price[rows], view.task[rows],
                ready=None if view.ready is None else view.ready[rows],
            )  # fmt: skip
            log_prob[rows] = decide(self.prior.decider, observation)
        if view.closed is not None:
            log_prob[:, :-1][view.closed] = -1e9
        place = self._place(view.task)
        apart = np.flatnonzero(~self.adds_up_[place])
        if len(apart):
            chance = sigmoid(seen.log_odds[0, apart])
            worth = chance - price[apart, None] * self.relative_cost_
            log_prob[apart] = select(view.take(apart), worth)
        ask = np.asarray(likeliest(log_prob)[:, None] == np.arange(view.asked.shape[1]))
        return Decision(ask, believed.posterior, np.exp(log_prob))

    def queries(
        self,
        view: View,
        competence: FloatArray | None = None,
        reply_shift: FloatArray | None = None,
    ) -> Queries:
        """Queries as the nets see them, of P = 1 pool.

        Args:
            view: what has been revealed.
            competence: float32[B, N], expected gain of each member over its accuracy on the task,
                where something is known of the query itself.
            reply_shift: float32[B, N], how far each reply moves its log-odds of being right, where
                replies are read.
        """
        statistics = self._pool_state.statistics
        log_odds = statistics.log_odds[self._place(view.task)]
        shift = np.zeros(log_odds.shape, dtype=np.float32) if reply_shift is None else reply_shift
        if competence is not None or reply_shift is not None:
            chance = sigmoid(log_odds)
            if competence is not None:
                chance = np.clip(chance + competence, _LEAST, 1 - _LEAST)
            log_odds = np.log(chance / (1 - chance)) + shift
            log_odds = np.clip(log_odds, -_MOST_ODDS, _MOST_ODDS).astype(np.float32)
        if self.readers_ is not None:
            log_odds = self._as_readers(log_odds, view)
        plain = tempered(view.support, view.answer, statistics.n_labels)
        support = np.where(view.is_open[:, None, None], view.support, plain)
        return Queries(
            log_odds=log_odds[None],
            is_open=view.is_open[None],
            asked=view.asked[None],
            answered=view.answered[None],
            support=support[None],
            available=view.available[None],
            reply_shift=shift[None],
        )

    def _as_readers(self, log_odds: FloatArray, view: View) -> FloatArray:
        """float32[B, N]: of readers, those of the case in which each query is: see `Readers`."""
        readers, shift = self.readers_, self._pool_state.reading
        assert readers is not None  # both are there, or neither
        assert shift is not None
        ready = readers.reads.ready(view.asked) if view.ready is None else view.ready
        ready = ready & self.adds_up_[self._place(view.task)][:, None]
        moved = log_odds + readers.moved(shift, view.answer, ready)
        return np.asarray(np.clip(moved, -_MOST_ODDS, _MOST_ODDS), dtype=np.float32)

    def believe(self, view: View, seen: Queries) -> Believed:
        """What Fusion believes, before it knows any label of the pool but as statistics.

        Args:
            view: B queries.
            seen: the same.
        """
        comparable = self.adds_up_[self._place(view.task)]
        logit = np.full((len(view), view.available.shape[1] + 1), np.float32(-1e9))
        posterior = np.zeros(view.available.shape, dtype=np.float32)
        vote = np.zeros(view.asked.shape, dtype=np.float32)
        for rows in self._blocks(len(view)):
            fused = fuse(self.prior.fusion, self._pool_state.pooled, _taken(seen, rows))
            logit[rows], vote[rows] = fused.logit[0], fused.vote[0]
            posterior[rows] = namespace(fused.logit).softmax(fused.logit[0])[:, :-1]
        apart = np.flatnonzero(~comparable)
        if len(apart):
            chance = sigmoid(seen.log_odds[0, apart])
            posterior[apart] = found = believed_alone(view.take(apart), chance)
            rest = np.maximum(1 - found.sum(axis=1, keepdims=True), 0)
            logit[apart] = np.log(np.maximum(np.concatenate([found, rest], axis=1), 1e-9))
        known = view.available & view.answered.any(axis=1, keepdims=True)
        return Believed(logit, posterior * known, vote)

    def observe(
        self,
        seen: Queries,
        fused: Fused,
        price: FloatArray,
        task: IntArray,
        *,
        chosen: BoolArray | None = None,
        ready: BoolArray | None = None,
    ) -> Observation:
        """The Decider's observation.

        Args:
            seen: B queries.
            fused: what Fusion makes of them.
            price: float32[B], lambda.
            task: int64[B].
            chosen: bool[B, N], members asked, or chosen to be; None for those asked.
            ready: bool[B, N], members that can be asked at once; None where nobody reads.
        """
        known = self._pool_state
        return observe(
            known.pools, known.statistics.relative_cost[None], seen, fused, price[None],
            task=task[None], chosen=None if chosen is None else chosen[None],
            ready=None if ready is None else ready[None],
        )  # fmt: skip

    def _place(self, task: IntArray) -> IntArray:
        """int64[B]: row of each query's task in the statistics; the last one for unknown tasks."""
        n_tasks = len(self.adds_up_) - 1
        return np.where((task >= 0) & (task < n_tasks), task, n_tasks)

    def _blocks(self, n_queries: int) -> Iterator[slice]:
        size = max(1, _CELLS // len(self.relative_cost_))
        return (slice(start, start + size) for start in range(0, n_queries, size))


def _taken(seen: Queries, rows: slice) -> Queries:
    return Queries(*(part[:, rows] for part in seen))


def _count(task: np.ndarray, answer: np.ndarray, score: FloatArray, adds_up: BoolArray) -> Counts:
    """Counts of labelled queries; answers that cannot be compared add nothing to pairs.

    Whom a policy asks depends on the query, which the accuracies are freed of.
    """
    n_tasks = len(adds_up) - 1
    place = np.where((task >= 0) & (task < n_tasks), task, n_tasks)
    counts = Counts.of(answer, score, place, n_tasks, comparable=adds_up[place])
    return as_if_all_were_asked(counts, score)


def _count_readers(readers: Readers, memory: Memory, adds_up: BoolArray) -> Readers:
    """Counts of labelled queries alone."""
    n_tasks = len(adds_up) - 1
    place = np.where((memory.task >= 0) & (memory.task < n_tasks), memory.task, n_tasks)
    return Readers.of(readers.reads, memory.answer, memory.member_score, adds_up[place])
