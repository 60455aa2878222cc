"""The jobs of a benchmark: fit one strategy on one fold with one seed, and replay it on the rest.

A job runs in any process and depends on its inputs alone, so the order of jobs changes nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np

from rlfocal.bench.entrants import Entrants
from rlfocal.bench.folds import Fold
from rlfocal.bench.kept.store import Kept
from rlfocal.bench.protocol import EvalProtocol, Tasks, TasksShown
from rlfocal.deliberation.base import Acting, Base
from rlfocal.deliberation.protocol import Outcome, Reference, unmet
from rlfocal.deliberation.replay import replay
from rlfocal.errors import ConfigError, NotApplicable, NotInstalled, RlfocalError
from rlfocal.executor import Executor, SerialExecutor
from rlfocal.records import Calibration, ResponseTable, calibrate

__all__ = [
    "RESULTS", "BenchInput", "Calibrated", "Job", "JobResult", "OnProgress", "Point", "check_fit",
    "fit_job", "run_job", "run_jobs",
]  # fmt: skip

OnProgress = Callable[[int, int, str], None]
"""Called with the number of jobs done, of all jobs, and a text on the last one."""
B = TypeVar("B", bound="BenchInput")
R = TypeVar("R")
F = TypeVar("F")


class Job(NamedTuple):
    """Which strategy, fold and seed."""

    strategy: str
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.strategy}, fold {self.fold}, seed {self.seed}"


class Point(NamedTuple):
    """A strategy's outcome on the test queries at one setting of its dial; None is the default."""

    dial: float | None
    outcome: Outcome
    answers: tuple[str | None, ...] | None = None
    """As texts, of who answers what no candidate is; None: the candidates chosen."""


class JobResult(NamedTuple):
    """Result of one job."""

    job: Job
    points: tuple[Point, ...]
    fit_s: float
    replay_s: float
    """At the default dial."""
    history: tuple[Mapping[str, float], ...]
    acting: Acting | None = None
    """The policy that acts at the default dial, where a strategy may choose among several."""
    hidden: tuple[Point, ...] = ()
    """Outcomes on the same queries with their tasks hidden, where both are wanted."""


RESULTS = (Job, Point, JobResult, Outcome, Acting)
"""Classes of which a result is made."""


class Calibrated(NamedTuple):
    """Training queries, and what calibrates other tables as them."""

    calibration: Calibration
    train: ResponseTable


class FoldTables(NamedTuple):
    """The two sides of a fold."""

    raw_train: ResponseTable
    """Not calibrated."""
    ready: Calibrated
    test: ResponseTable
    """Calibrated on the training queries."""


@dataclass
class BenchInput:
    """The shared input of all jobs: the table, its folds and the strategies.

    Keeps the tables of the fold used last, because jobs come fold by fold.
    """

    table: ResponseTable
    folds: tuple[Fold, ...]
    entrants: Entrants = field(default_factory=Entrants)
    tasks: TasksShown = "given"
    """How test queries are shown."""
    _last: tuple[int, FoldTables] | None = field(default=None, repr=False)

    def fold(self, index: int) -> FoldTables:
        """The tables of a fold."""
        if self._last is None or self._last[0] != index:
            train, test = (self.table.take(rows) for rows in self.folds[index])
            ready = Calibrated(*calibrate(train))
            self._last = index, FoldTables(train, ready, ready.calibration.apply(test))
        return self._last[1]

    def tests(self, index: int) -> dict[Tasks, ResponseTable]:
        """The test queries of a fold in each way in which they are shown, calibrated likewise.

        An unknown task is numbered as in `Checkpoint.table` and live: one after those that are
        known. Supports are calibrated after it is hidden, since they depend on the task.
        """
        _, ready, given = self.fold(index)
        if self.tasks == "given":
            return {"given": given}
        hidden = ready.calibration.apply(given.with_tasks(self.table.tasks, hidden=True))
        return {"hidden": hidden} if self.tasks == "hidden" else {"given": given, "hidden": hidden}


def run_jobs(
    work: Callable[[B, Job], R],
    shared: B,
    protocol: EvalProtocol,
    executor: Executor | None,
    on_progress: OnProgress | None,
    kept: Kept | None = None,
    *,
    finish: Callable[[R], F],
) -> tuple[list[F], dict[str, str]]:
    """Run a job for every strategy, fold and seed, fold by fold.

    Args:
        work: what a job is; importable by name.
        shared: input of all jobs.
        protocol: says the seeds; a strategy without randomness runs with the first alone.
        executor: where the jobs run; None for here.
        on_progress: called once before the first job and after every job.
        kept: where results are kept as they come, and those of earlier runs are found.
        finish: what becomes of each result, here, as soon as it is there: many take much memory.

    Returns:
        Finished results in the order of the jobs, whatever the order of completion, and strategies
        that cannot run on this data, on some fold at least, with the reason.

    Raises:
        RlfocalError: as a strategy raised it, with the job named in the message.
    """
    jobs, refused = _jobs(shared, protocol)
    tell = on_progress or (lambda *_: None)
    done: dict[int, F | NotApplicable] = {}

    def finished(result: R | NotApplicable) -> F | NotApplicable:
        return result if isinstance(result, NotApplicable) else finish(result)

    if kept is not None:
        for index, job in enumerate(jobs):
            if (before := kept.find(*job)) is not None:
                done[index] = finished(before)
    tell(len(done), len(jobs), "")
    left = [index for index in range(len(jobs)) if index not in done]
    executor = SerialExecutor() if executor is None else executor
    with _closed(
        executor.map(partial(_result, work), [jobs[index] for index in left], shared=shared)
    ) as of_left:
        for place, result in of_left:
            index = left[place]
            done[index] = finished(result)
            if kept is not None:
                kept.keep(result, *jobs[index])
            tell(len(done), len(jobs), str(jobs[index]))
    results = []
    for index, job in enumerate(jobs):
        found = done[index]
        if isinstance(found, NotApplicable):
            refused.setdefault(job.strategy, str(found))
        else:
            results.append(found)
    return results, refused


def _jobs(shared: BenchInput, protocol: EvalProtocol) -> tuple[list[Job], dict[str, str]]:
    """All jobs, fold by fold; and strategies that cannot run on this data, with the reason."""
    refused: dict[str, str] = {}
    seeds: dict[str, tuple[int, ...]] = {}
    for name in shared.entrants.names:
        try:
            strategy = shared.entrants.fresh(name)
        except NotInstalled as exc:
            refused[name] = str(exc)
            continue
        reason = unmet(strategy, shared.table)
        if reason is not None:
            refused[name] = reason
        else:
            seeds[name] = protocol.seeds if strategy.stochastic else protocol.seeds[:1]
    jobs = [
        Job(name, fold, seed)
        for fold in range(len(shared.folds))
        for name in seeds
        for seed in seeds[name]
    ]
    return jobs, refused


@contextlib.contextmanager
def _closed(results: Iterator[tuple[int, R]]) -> Iterator[Iterator[tuple[int, R]]]:
    """Workers end when this does, not when nobody holds the error any more that ended it."""
    try:
        yield results
    finally:
        close = getattr(results, "close", None)
        if close is not None:
            close()


def _result(work: Callable[[B, Job], R], shared: B, job: Job) -> R | NotApplicable:
    try:
        return work(shared, job)
    except NotApplicable as exc:
        return exc
    except RlfocalError as exc:
        raise exc.within(str(job)) from exc


def fit_job(entrants: Entrants, job: Job, train: ResponseTable, *more: int) -> Base:
    """Fit a fresh copy of a job's strategy.

    Args:
        entrants: the strategies to run.
        job: which of them.
        train: labelled queries.
        more: further numbers that its randomness depends on.

    Raises:
        ConfigError: `fit` returned something else than the fitted strategy.
    """
    # Keyed by name, not by place in a list: adding a strategy must not change another's numbers.
    rng = np.random.default_rng([job.seed, job.fold, *job.strategy.encode(), *more])
    found: object = entrants.fresh(job.strategy).fit(train, rng=rng)
    if not isinstance(found, Base):
        raise ConfigError(f"fit returned {found!r:.40}; it must return the fitted strategy")
    return found


def check_fit(strategy: Base, train: ResponseTable, job: Job) -> None:
    """Refuse to fit on a fold that has too little, though the whole data have enough.

    Raises:
        NotApplicable: its training queries lack what the strategy needs.
    """
    reason = unmet(strategy, train)
    if reason is not None:
        raise NotApplicable(f"training queries of fold {job.fold}: {reason}")


def run_job(shared: BenchInput, job: Job) -> JobResult:
    """Fit on the training queries of the fold, replay on its test queries at every dial.

    It is fitted as `rlfocal train` fits it, so that it has statistics for an unknown task.

    Raises:
        NotApplicable: the strategy cannot be fitted on this fold.
    """
    _, (_, train), _ = shared.fold(job.fold)
    strategy = shared.entrants.fresh(job.strategy)
    train = strategy.training_table(train)
    check_fit(strategy, train, job)
    start = time.perf_counter()
    strategy = fit_job(shared.entrants, job, train)
    fit_s = time.perf_counter() - start
    first, *second = [_points(strategy, test) for test in shared.tests(job.fold).values()]
    history = tuple({k: float(value) for k, value in step.items()} for step in strategy.history)
    return JobResult(
        job, first.points, fit_s, first.replay_s, history,
        acting=strategy.acting, hidden=second[0].points if second else (),
    )  # fmt: skip


class _Replayed(NamedTuple):
    points: tuple[Point, ...]
    replay_s: float
    """At the default dial."""


def _points(strategy: Base, test: ResponseTable) -> _Replayed:
    start = time.perf_counter()
    strategy = strategy.foreseeing(test.task, test.features)
    outcome = _outcome(strategy, test)
    replay_s = time.perf_counter() - start
    others = [Point(float(d), _outcome(strategy.with_dial(d), test)) for d in strategy.dials]
    return _Replayed((Point(None, outcome), *others), replay_s)


def _outcome(strategy: Base, test: ResponseTable) -> Outcome:
    return strategy.outcome(test) if isinstance(strategy, Reference) else replay(strategy, test)
