"""The protocol that every strategy follows.

A strategy answers a query in rounds. For each view it decides which members to ask next, or none,
and gives the present answer. The same object is replayed over recorded answers and run live;
trained, it is stored as its spec and its state.

Axes: B queries of one batch, N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.view import Decision, View
from rlfocal.extras import lacking
from rlfocal.markup import Displayed, Grid, Sheet
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.records.signals.examined import likelihoods_in

__all__ = [
    "Need",
    "Outcome",
    "Reference",
    "Resumable",
    "Run",
    "RunState",
    "Spec",
    "State",
    "Strategy",
    "unmet",
]

S_co = TypeVar("S_co", covariant=True)

State = dict[str, NDArray[Any]]
"""Fitted arrays, by name."""


class Spec(NamedTuple):
    """Name in the registry and settings, from which an unfitted strategy is rebuilt."""

    name: str
    settings: Mapping[str, Any]
    """Plain values, as JSON holds them."""


@runtime_checkable
class Strategy(Protocol):
    """A way to use a pool: which members to ask, when to stop, and how to fuse the answers.

    `fit` learns from a table of labelled training queries and returns the strategy itself.
    `decide` decides on the views of B queries, see `Decision`. Decisions on one row must not
    depend on another row's answers or labels. `at` returns the same fitted strategy at another
    price of an average call, as a share of a right answer's worth; itself where it has nothing to
    set. `state` returns the fitted arrays, and `restore` is its inverse; with `spec` they are a
    checkpoint. `rlfocal.deliberation.base.Base` has defaults of all but `fit` and `decide`.
    """

    name: str

    @property
    def spec(self) -> Spec: ...  # noqa: D102
    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self: ...  # noqa: D102
    def decide(self, view: View) -> Decision: ...  # noqa: D102
    def at(self, price: float) -> Self: ...  # noqa: D102
    def state(self) -> State: ...  # noqa: D102
    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self: ...  # noqa: D102


class RunState(NamedTuple):
    """State from which a stopped training run is resumed."""

    arrays: State
    rest: Mapping[str, Any]
    """Plain values, as JSON holds them."""


class Run(Protocol[S_co]):
    """A training run, which may be stopped between two steps.

    `advance` makes a number of steps, or fewer where it is `done` before. `strategy` is the result
    so far, ready for use.
    """

    @property
    def done(self) -> bool: ...  # noqa: D102
    def advance(self, n_steps: int) -> None: ...  # noqa: D102
    def state(self) -> RunState: ...  # noqa: D102
    def strategy(self) -> S_co: ...  # noqa: D102


@runtime_checkable
class Resumable(Protocol):
    """A strategy whose training takes long and can be resumed.

    Resumed with the same table, settings and seed, a run ends with the same result as one that was
    never stopped.
    """

    def begin(  # noqa: D102
        self,
        table: ResponseTable,
        *,
        seed: int,
        state: RunState | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Run[Self]: ...


@dataclass(frozen=True, eq=False)
class Outcome(Displayed):
    """Results of a strategy on Q queries.

    A query is measured where a response of a member it asked is recorded; else it made no call, and
    the query counts as neither right nor wrong.
    """

    chosen: NDArray[np.int16]
    """int16[Q]: the candidate answered, -1 for no answer."""
    score: FloatArray
    """float32[Q] in [0, 1]: score of that answer; NaN where it was not measured."""
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
    asked_in: NDArray[np.int16] = field(default_factory=lambda: np.zeros((0, 0), np.int16))
    """int16[Q, N]: the round, from 1, in which member n was called; 0 where it was not. All are
    called in the first, unless given."""

    def __post_init__(self) -> None:
        if self.asked_in.shape == (0, 0):
            object.__setattr__(self, "asked_in", self.asked.astype(np.int16))

    def __repr__(self) -> str:
        known = self.measured
        found = (
            f"{self.score[known].mean():.1%} right of {known.sum():,}" if known.any() else "none"
        )
        return f"Outcome({len(self.score):,} queries, {found}, {self.n_calls.mean():.2f} calls)"

    def _sheet(self) -> Sheet:
        known = self.measured
        figures = {"queries": f"{len(known):,}", "measured": f"{known.sum():,}"}
        if known.any():
            figures |= {
                "accuracy %": f"{100 * self.score[known].mean(dtype=np.float64):.1f}",
                "calls": f"{self.n_calls[known].mean():.2f}",
                "rounds": f"{self.n_rounds[known].mean():.2f}",
                "mean cost": f"{self.cost[known].mean(dtype=np.float64):.4g}",
                "mean confidence": f"{self.confidence[known].mean(dtype=np.float64):.3f}",
            }
        return Sheet("Outcome", (Grid("figures", ("", "value"), [*figures.items()]),))

    @property
    def measured(self) -> BoolArray:
        """bool[Q]: False where no member asked has a record, or no right answer is known."""
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
    """Requirements of strategies on the data, with the reason shown where one is missing."""

    ANSWERS = "only scores are recorded, so members' answers cannot be compared or voted on"
    GRADED_SUPPORT = "no option scores or repeated samples are recorded: it would equal plurality"
    SAMPLES = "no member was sampled more than once per query"
    FEATURES = "the queries have no text to encode"
    REPLIES = "no texts, log-probabilities or signals of replies are recorded"
    EXAMINED = "no local model has read the replies: rlfocal examine makes some read them"
    QUERIES = "fewer than 30 different queries: too few to learn a policy from and to hold some out"


def unmet(strategy: Strategy | Reference, table: ResponseTable) -> str | None:
    """The reason why a strategy cannot be fitted to a table here; None when it can."""
    has = {
        Need.ANSWERS: bool(table.comparable.any()),
        Need.GRADED_SUPPORT: table.has_graded_support,
        Need.SAMPLES: table.samples is not None,
        Need.FEATURES: table.features.shape[1] > 0,
        Need.REPLIES: table.replies is not None,
        Need.EXAMINED: table.replies is not None and bool(likelihoods_in(table.replies.names)),
        # Those with the same prompt are held out together, and count once.
        Need.QUERIES: len(np.unique(table.group[table.scored.any(axis=1)])) >= 30,
    }
    needs: frozenset[Need] = getattr(strategy, "needs", frozenset())
    reason = next((need.value for need in Need if need in needs and not has[need]), None)
    return reason or lacking(*getattr(strategy, "packages", ()))
