"""The scenarios by their names on the command line: what changes, for whom, and from where on.

Each turns training queries and a stream into a `Case`. Who is best and who is weakest is read from
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

COLLUDING_SHARE = 0.5
"""Share of the queries to which colluding members give the same wrong answer."""
IMPROVED_SHARE = 0.9
"""Share of its failures that an improving member gets right."""


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


Build = Callable[[ResponseTable, ResponseTable, np.random.Generator], Case]


@dataclass(frozen=True)
class Scenario:
    """One way in which what was learned stops being true."""

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


def _failed(
    train: ResponseTable, stream: ResponseTable, rng: np.random.Generator, *, k: int
) -> Case:
    if k >= train.n_members:
        raise NotApplicable(f"{k} failed members leave none of {train.n_members} to ask")
    return Case(train, edits.fail(stream, _ranked(train)[:k].tolist()), stream, 0)


def _random_member(
    train: ResponseTable,
    stream: ResponseTable,
    rng: np.random.Generator,
    *,
    from_middle: bool,
) -> Case:
    start = stream.n_queries // 2 if from_middle else 0
    best = int(_ranked(train)[0])
    return Case(train, edits.answer_at_random(stream, best, start=start, rng=rng), stream, start)


def _colluding(train: ResponseTable, stream: ResponseTable, rng: np.random.Generator) -> Case:
    start, pair = stream.n_queries // 2, _ranked(train)[:2].tolist()
    changed = edits.collude(stream, pair, start=start, share=COLLUDING_SHARE, rng=rng)
    return Case(train, changed, stream, start)


def _improving(train: ResponseTable, stream: ResponseTable, rng: np.random.Generator) -> Case:
    start, weakest = stream.n_queries // 2, int(_ranked(train)[-1])
    changed = edits.improve(stream, weakest, start=start, share=IMPROVED_SHARE, rng=rng)
    return Case(train, changed, stream, start)


def _replaced(train: ResponseTable, stream: ResponseTable, rng: np.random.Generator) -> Case:
    start, ranked = stream.n_queries // 2, _ranked(train).tolist()
    return Case(train, edits.stand_in(stream, ranked[0], ranked[-1], start=start), stream, start)


def _task_shift(train: ResponseTable, stream: ResponseTable, rng: np.random.Generator) -> Case:
    tasks, count = np.unique(stream.task, return_counts=True)
    order = rng.permutation(len(tasks))
    total = np.cumsum(count[order])
    # At least one task on either side, and as near to half of the queries as whole tasks allow.
    n_early = int(np.abs(total[:-1] - stream.n_queries / 2).argmin()) + 1 if len(tasks) > 1 else 0
    early = tasks[order[:n_early]]
    known = np.isin(train.task, early)
    if not n_early or not known.any():
        raise NotApplicable("the data have a single task: the stream cannot move to others")
    late = ~np.isin(stream.task, early)
    stream = stream.take(np.argsort(late, kind="stable"))
    return Case(train.take(known), stream, stream, int((~late).sum()))


def _label_noise(
    train: ResponseTable, stream: ResponseTable, rng: np.random.Generator, *, share: float
) -> Case:
    return Case(edits.mislabel(train, share, rng=rng), stream, stream, 0)


_PERCENT = (10, 20, 30)
_ALL = (
    Scenario("steady", "Nothing changes: what following a window costs when all is well.", _steady),
    *(
        Scenario(
            f"failed-{k}",
            f"The {who} no usable answer, at the usual price.",
            partial(_failed, k=k),
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
        partial(_random_member, from_middle=False),
    ),
    Scenario(
        "colluding",
        "From the middle on the two most accurate members give the same wrong answer to "
        f"{COLLUDING_SHARE:.0%} of the queries.",
        _colluding,
    ),
    Scenario(
        "degrading",
        "From the middle on the most accurate member answers at random.",
        partial(_random_member, from_middle=True),
    ),
    Scenario(
        "improving",
        "From the middle on the least accurate member gets "
        f"{IMPROVED_SHARE:.0%} of what it would fail right.",
        _improving,
    ),
    Scenario(
        "replaced",
        "From the middle on the least accurate member answers in the name of the most accurate.",
        _replaced,
    ),
    Scenario(
        "task-shift",
        "The second half of the stream is of tasks that neither its first half nor training has.",
        _task_shift,
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
