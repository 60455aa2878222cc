"""The protocol every strategy follows, and the `View` that is all it may know.

A strategy answers a query in rounds. In each round it names the members to ask next, or stops; then
it fuses what came back. The same object is replayed over recorded answers and run live.

Axes: B queries of one batch, N members, C candidate slots, D features, W remembered queries.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray, CandidateKind, FloatArray, IntArray, ResponseTable

__all__ = [
    "Base",
    "Dialled",
    "Labelled",
    "Memory",
    "Need",
    "Outcome",
    "Reference",
    "Strategy",
    "View",
    "unmet",
]


class Labelled(Protocol):
    """Answers with what they were worth: a `ResponseTable` or a `Memory`."""

    @property
    def answer(self) -> NDArray[np.int16]:
        """int16[Q, N]: candidate of each member's answer, comparable within a row; -1 = none."""
        ...

    @property
    def member_score(self) -> FloatArray:
        """float32[Q, N] in [0, 1]: what that answer was worth."""
        ...

    @property
    def scored(self) -> BoolArray:
        """bool[Q, N]: where that is known."""
        ...


@dataclass(frozen=True, eq=False)
class Memory:
    """The last W labelled queries: what each member answered and what that was worth.

    A frozen policy follows drift because these rows slide, not because its weights change.
    """

    task: IntArray
    """int64[W]."""
    answer: NDArray[np.int16]
    """int16[W, N]: candidate of the member's answer, comparable within a row only; -1 = none."""
    member_score: FloatArray
    """float32[W, N]: what that answer was worth; NaN where the member was not asked, and where
    nothing is known of it."""

    @classmethod
    def of(cls, table: ResponseTable, window: int) -> Self:
        """Remember the last `window` queries of a table of labelled queries."""
        rows = np.arange(max(0, table.n_queries - window), table.n_queries)
        score = table.member_score[rows]
        if not table.is_complete:
            score = np.where(table.scored[rows], score, np.float32(np.nan))
        return cls(table.task[rows], table.answer[rows], score)

    @property
    def scored(self) -> BoolArray:
        """bool[W, N]: where a member was asked, so that what its answer was worth is known."""
        return np.asarray(~np.isnan(self.member_score))

    def accuracy(self) -> FloatArray:
        """float32[N]: mean score of each member over the rows where it was asked; 0.5 if never."""
        known = ~np.isnan(self.member_score)
        count = known.sum(axis=0)
        total = np.where(known, self.member_score, 0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), 0.5).astype(np.float32)


@dataclass(frozen=True, eq=False)
class View:
    """What has been paid for so far, for B queries. Nothing here depends on a member not asked.

    Rows keep the order of the stream. Strategies must not write to these arrays.
    """

    position: IntArray
    """int64[B]: place of the query in the stream."""
    task: IntArray
    """int64[B]."""
    features: FloatArray
    """float32[B, D]: the encoded query text."""
    is_open: BoolArray
    """bool[B]: True where a candidate exists only once a member has given it."""
    asked: BoolArray
    """bool[B, N]."""
    answered: BoolArray
    """bool[B, N]: asked and answered; asked and not answered means that member failed, or that it
    was `closed`."""
    answer: NDArray[np.int16]
    """int16[B, N]: the candidate each member answered, -1 for everyone not answered."""
    support: FloatArray
    """float32[B, N, C]: zero for everyone not answered."""
    available: BoolArray
    """bool[B, C]: candidates that exist already: all options, or the answers given so far."""
    spent: FloatArray
    """float32[B]: cost so far, in the table's unit."""
    budget: FloatArray
    """float32[B]: most that may be spent; infinity for no limit."""
    n_rounds: IntArray
    """int64[B]: rounds so far."""
    memory: Memory | None = None
    """Earlier labelled queries; None where the strategy is to rely on what it was fitted on."""
    closed: BoolArray | None = None
    """bool[B, N]: members whom nobody can ask here, since nothing is recorded of them; asking one
    costs nothing and brings nothing. None where everybody can be asked, as in live use."""

    def __len__(self) -> int:
        """B."""
        return len(self.position)

    def take(self, rows: IntArray) -> Self:
        """Return the view of some of its queries."""
        every = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "memory"}
        return replace(self, **{n: a[rows] for n, a in every.items() if a is not None})


@runtime_checkable
class Strategy(Protocol):
    """A way to use a pool: whom to ask, when to stop, and how to fuse the answers.

    `fit` learns from a table of labelled training queries and returns the strategy itself.
    `next_members` returns bool[B, N]: members to ask in the next round; a row of all False stops
    that query. Every query must ask somebody in the first round.
    `fuse` returns float32[B, C]: the probability of each candidate answer, 0 where not available;
    a row of zeros means that there is no answer to give.

    Decisions on one row must not depend on another row's answers or labels.
    """

    name: str

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self: ...  # noqa: D102
    def next_members(self, view: View) -> BoolArray: ...  # noqa: D102
    def fuse(self, view: View) -> FloatArray: ...  # noqa: D102


@runtime_checkable
class Dialled(Strategy, Protocol):
    """A strategy with a dial that trades accuracy against cost: one fit, a whole frontier."""

    @property
    def dials(self) -> tuple[float, ...]:
        """Settings worth showing, cheapest first."""
        ...

    def at(self, dial: float) -> Self:
        """Return the same fitted strategy at another setting."""
        ...


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a strategy did and earned on Q queries.

    A query is measured where a response of somebody it asked is recorded; where none is, it made no
    call, and it is neither right nor wrong.
    """

    chosen: NDArray[np.int16]
    """int16[Q]: the candidate answered, -1 for no answer."""
    score: FloatArray
    """float32[Q] in [0, 1]: what that answer is worth; NaN where it was not measured."""
    confidence: FloatArray
    """float32[Q] in [0, 1]: probability that the strategy gave its answer."""
    asked: BoolArray
    """bool[Q, N]: the members called: asked, and not closed."""
    n_calls: IntArray
    """int64[Q]: calls made (asks; an ask whose record holds several samples counts once)."""
    n_rounds: IntArray
    """int64[Q]."""
    cost: FloatArray
    """float32[Q], in the table's unit."""
    latency_s: FloatArray
    """float32[Q]: the slowest member of each round, summed over rounds; NaN where unknown."""

    @property
    def measured(self) -> BoolArray:
        """bool[Q]: False where nothing is recorded of anybody asked, or of what is right."""
        return np.asarray(~np.isnan(self.score))


@runtime_checkable
class Reference(Protocol):
    """A point of comparison that the protocol cannot express, computed from the table directly.

    The oracle looks at labels; self-consistency asks one member several times.
    """

    name: str

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self: ...  # noqa: D102
    def outcome(self, table: ResponseTable) -> Outcome: ...  # noqa: D102


class Need(Enum):
    """What a strategy needs of the data, with the reason that is shown where it is missing."""

    ANSWERS = "only scores are recorded, so members' answers cannot be compared or voted on"
    GRADED_SUPPORT = "no option scores or repeated samples are recorded: it would equal plurality"
    SAMPLES = "no member was sampled more than once per query"
    FEATURES = "the queries have no text to encode"
    QUERIES = "fewer than 30 queries: too few to learn a policy from and to hold some out"


class Base:
    """Defaults of a strategy: it needs nothing, has no dial, and is deterministic."""

    name: str = ""
    needs: ClassVar[frozenset[Need]] = frozenset()
    stochastic: ClassVar[bool] = False
    """True when another seed gives another result; others are run once, whatever the seeds."""


def unmet(strategy: Strategy | Reference, table: ResponseTable) -> str | None:
    """Say why a strategy cannot run on a table, or None when it can."""
    has = {
        Need.ANSWERS: bool((table.kind != CandidateKind.RESPONSES).any()),
        Need.GRADED_SUPPORT: table.has_graded_support,
        Need.SAMPLES: table.samples is not None,
        Need.FEATURES: table.features.shape[1] > 0,
        Need.QUERIES: table.n_queries >= 30,
    }
    needs: frozenset[Need] = getattr(strategy, "needs", frozenset())
    return next((need.value for need in Need if need in needs and not has[need]), None)
