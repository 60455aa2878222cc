"""The scenarios by their names on the command line: which change, to which members, from where on.

Each turns training queries and a stream into a `Case`. The best and weakest members are read from
the training labels, as a user would have to. Knows nothing of strategies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rlfocal.bench.scenarios import edits
from rlfocal.errors import ConfigError, NotApplicable, nearest
from rlfocal.records import IntArray, ResponseTable

__all__ = ["SCENARIOS", "Case", "Scenario", "resolve_scenarios"]


@dataclass(frozen=True, eq=False)
class Added:
    """A member that is absent from training: there it never answers."""

    member: int
    labelled: IntArray
    """int64[k]: training queries that it was asked, before the stream begins."""
    without: ResponseTable
    """The stream for a policy that does not know the member."""


@dataclass(frozen=True, eq=False)
class Case:
    """A stream under a scenario, beside the same stream without it."""

    train: ResponseTable
    """Training queries, as the scenario leaves them."""
    stream: ResponseTable
    """Test queries in the order of the stream, as the scenario leaves them."""
    calm: ResponseTable
    """The queries of `stream`, in its order, unchanged."""
    change_at: int
    """Position in the stream of the first query that the scenario touches."""
    hindsight: ResponseTable | None = None
    """Training queries with the change in them from the start; None where a policy fitted on them
    would be evaluated on `calm`, or nothing changes."""
    added: Added | None = None
    """The member that training lacks, if there is one."""


Build = Callable[[ResponseTable, ResponseTable, np.random.Generator], Case]


@dataclass(frozen=True)
class Scenario:
    """One kind of change after training."""

    name: str
    description: str
    """One sentence."""
    build: Build
    """(training queries, stream, generator) -> case; raises NotApplicable where data lack it."""


def _ranked(train: ResponseTable) -> IntArray:
    """int64[N]: members from the most to the least accurate in training; ties to the first."""
    return np.argsort(-train.member_score.mean(axis=0, dtype=np.float64), kind="stable")


def _steady(train: ResponseTable, stream: ResponseTable, rng: np.random.Generator) -> Case:
    return Case(train, stream, stream, stream.n_queries // 2)


Edit = Callable[[ResponseTable, IntArray, int, np.random.Generator], ResponseTable]
"""(table, members by accuracy, first query, generator) -> the table with changed answers."""


def _edited(
    train: ResponseTable,
    stream: ResponseTable,
    rng: np.random.Generator,
    *,
    edit: Edit,
    from_middle: bool = True,
) -> Case:
    """Change members' answers: in the stream from some query on, in hindsight everywhere."""
    ranked, start = _ranked(train), stream.n_queries // 2 if from_middle else 0
    changed = edit(stream, ranked, start, rng)
    return Case(train, changed, stream, start, hindsight=edit(train, ranked, 0, rng))


def _fail(
    table: ResponseTable, ranked: IntArray, start: int, rng: np.random.Generator, *, k: int
) -> ResponseTable:
    if k >= table.n_members:
        raise NotApplicable(f"{k} failed members leave none of {table.n_members} to ask")
    return edits.fail(table, ranked[:k].tolist(), start=start)


def _at_random(
    table: ResponseTable, ranked: IntArray, start: int, rng: np.random.Generator
) -> ResponseTable:
    return edits.answer_at_random(table, int(ranked[0]), start=start, rng=rng)


def _collude(
    table: ResponseTable, ranked: IntArray, start: int, rng: np.random.Generator, *, share: float
) -> ResponseTable:
    return edits.collude(table, ranked[:2].tolist(), start=start, share=share, rng=rng)


def _copy(
    table: ResponseTable, ranked: IntArray, start: int, rng: np.random.Generator
) -> ResponseTable:
    if table.n_members < 3:
        raise NotApplicable("of two members, one that repeats the other leaves no choice")
    for member in ranked[1:3].tolist():
        table = edits.stand_in(table, member, int(ranked[0]), start=start)
    return table


def _improve(
    table: ResponseTable, ranked: IntArray, start: int, rng: np.random.Generator, *, share: float
) -> ResponseTable:
    return edits.improve(table, int(ranked[-1]), start=start, share=share, rng=rng)


def _replace(
    table: ResponseTable, ranked: IntArray, start: int, rng: np.random.Generator
) -> ResponseTable:
    return edits.stand_in(table, int(ranked[0]), int(ranked[-1]), start=start)


def _added(
    train: ResponseTable, stream: ResponseTable, rng: np.random.Generator, *, k: int
) -> Case:
    if train.n_members < 3:
        raise NotApplicable("a pool of two is none before the second member is added")
    if train.n_queries < k:
        raise NotApplicable(f"{train.n_queries} training queries are fewer than the {k} labelled")
    newest = int(_ranked(train)[0])
    labelled = rng.permutation(train.n_queries)[:k]
    added = Added(newest, labelled, edits.fail(stream, [newest]))
    return Case(edits.fail(train, [newest]), stream, stream, 0, added=added)


def _task_shift(train: ResponseTable, stream: ResponseTable, rng: np.random.Generator) -> Case:
    tasks, count = np.unique(stream.task, return_counts=True)
    order = rng.permutation(len(tasks))
    total = np.cumsum(count[order])
    # At least one task on either side, and as near to half of the queries as whole tasks allow.
    n_early = int(np.abs(total[:-1] - stream.n_queries / 2).argmin()) + 1 if len(tasks) > 1 else 0
    early = tasks[order[:n_early]]
    known = np.isin(train.task, early)
    if len(train.tasks) < 2:
        raise NotApplicable("the data have a single task: the stream cannot move to others")
    if not n_early or not known.any():
        raise NotApplicable(
            "on one fold at least the stream has a single task, or its first half none that is "
            "trained on; use fewer folds"
        )
    late = ~np.isin(stream.task, early)
    stream = stream.take(np.argsort(late, kind="stable"))
    return Case(train.take(known), stream, stream, int((~late).sum()))


def _label_noise(
    train: ResponseTable, stream: ResponseTable, rng: np.random.Generator, *, share: float
) -> Case:
    return Case(edits.mislabel(train, share, rng=rng), stream, stream, 0)


_FROM_THE_MIDDLE: tuple[tuple[str, str, Edit], ...] = (
    (
        "colluding",
        "two most accurate members give the same wrong answer to 50% of the queries",
        partial(_collude, share=0.5),
    ),
    (
        "colluding-always",
        "two most accurate members give the same wrong answer to all",
        partial(_collude, share=1.0),
    ),
    ("copied", "second and the third most accurate member repeat the first", _copy),
    ("degrading", "most accurate member answers at random", _at_random),
    (
        "improving",
        "least accurate member gets 90% of what it would fail right",
        partial(_improve, share=0.9),
    ),
    ("replaced", "least accurate member answers in the name of the most accurate", _replace),
)
_PERCENT = (10, 20, 30)
_LABELLED = (25, 100)
_ALL = (
    Scenario("steady", "Nothing changes: what following a window costs when all is well.", _steady),
    *(
        Scenario(
            f"failed-{k}",
            f"The {who} no usable answer, at the usual price.",
            partial(_edited, edit=partial(_fail, k=k), from_middle=False),
        )
        for k, who in (
            (1, "most accurate member gives"),
            (2, "two most accurate members give"),
            (3, "three most accurate members give"),
        )
    ),
    Scenario(
        "random-member",
        "The most accurate member answers at random.",
        partial(_edited, edit=_at_random, from_middle=False),
    ),
    *(
        Scenario(name, f"From the middle on the {what}.", partial(_edited, edit=edit))
        for name, what, edit in _FROM_THE_MIDDLE
    ),
    Scenario(
        "task-shift",
        "The second half of the stream is of tasks that neither its first half nor training has.",
        _task_shift,
    ),
    *(
        Scenario(
            f"member-added-{k}",
            "The most accurate member is missing in training, and joins for the stream with "
            f"{k} labelled answers.",
            partial(_added, k=k),
        )
        for k in _LABELLED
    ),
    *(
        Scenario(
            f"label-noise-{percent}",
            f"{percent} % of the training queries are labelled wrongly; the stream is not.",
            partial(_label_noise, share=percent / 100),
        )
        for percent in _PERCENT
    ),
)
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
"""Name on the command line -> scenario."""


def resolve_scenarios(names: Sequence[str]) -> tuple[Scenario, ...]:
    """Look names up; "all" names every scenario, and repeats count once.

    Raises:
        ConfigError: a name is unknown, or there is none.

    >>> [scenario.name for scenario in resolve_scenarios(["degrading", "steady", "degrading"])]
    ['degrading', 'steady']
    """
    found: dict[str, Scenario] = {}
    for name in names:
        if name != "all" and name not in SCENARIOS:
            raise ConfigError(f"unknown scenario '{name}'; {nearest(name, [*SCENARIOS, 'all'])}")
        found.update(SCENARIOS if name == "all" else {name: SCENARIOS[name]})
    if not found:
        raise ConfigError(f"no scenario named; known: {', '.join([*SCENARIOS, 'all'])}")
    return tuple(found.values())
