"""One job of a benchmark: fit one strategy on one fold with one seed, and replay it on the rest.

Runs in any process; depends on its inputs alone, so the order of jobs changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rlfocal.bench.entrants import Entrants
from rlfocal.bench.folds import Fold
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.deliberation.base import Acting, Base
from rlfocal.deliberation.protocol import Outcome, Reference, unmet
from rlfocal.deliberation.replay import replay
from rlfocal.errors import ConfigError, NotApplicable, RlfocalError
from rlfocal.records import ResponseTable, calibrate

__all__ = ["BenchInput", "Job", "JobResult", "Point", "fit_job", "plan_jobs", "run_job"]


class Job(NamedTuple):
    """Which strategy, fold and seed."""

    strategy: str
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.strategy}, fold {self.fold}, seed {self.seed}"


def plan_jobs(
    table: ResponseTable, entrants: Entrants, protocol: EvalProtocol, n_folds: int
) -> tuple[dict[str, str], list[Job]]:
    """Plan jobs fold by fold, without strategies that cannot run on this data."""
    not_applicable: dict[str, str] = {}
    seeds: dict[str, tuple[int, ...]] = {}
    for name in entrants.names:
        strategy = entrants.fresh(name)
        reason = unmet(strategy, table)
        if reason is not None:
            not_applicable[name] = reason
        else:
            seeds[name] = protocol.seeds if strategy.stochastic else protocol.seeds[:1]
    jobs = [
        Job(name, fold, seed) for fold in range(n_folds) for name in seeds for seed in seeds[name]
    ]
    return not_applicable, jobs


class Point(NamedTuple):
    """A strategy's outcome on the test queries at one setting of its dial; None is the default."""

    dial: float | None
    outcome: Outcome


class JobResult(NamedTuple):
    """Result of one job."""

    job: Job
    points: tuple[Point, ...]
    fit_s: float
    replay_s: float
    """At the default dial."""
    history: tuple[Mapping[str, float], ...]
    not_applicable: str | None = None
    """Why the strategy could not be fitted on this fold; then there are no points."""
    acting: Acting | None = None
    """The policy that acts at the default dial, where a strategy may choose among several."""


@dataclass
class BenchInput:
    """The shared input of all jobs: the table, its folds and the strategies.

    Keeps the calibrated tables of the fold used last, because jobs come fold by fold.
    """

    table: ResponseTable
    folds: tuple[Fold, ...]
    entrants: Entrants = field(default_factory=Entrants)
    _last: tuple[int, ResponseTable, ResponseTable] | None = field(default=None, repr=False)

    def fold(self, index: int) -> tuple[ResponseTable, ResponseTable]:
        """Training and test table of a fold, both calibrated on the training queries."""
        if self._last is None or self._last[0] != index:
            train, test = (self.table.take(rows) for rows in self.folds[index])
            calibration, train = calibrate(train)
            self._last = (index, train, calibration.apply(test))
        return self._last[1:]


def run_job(shared: BenchInput, job: Job) -> JobResult:
    """Fit on the training queries of the fold, replay on its test queries at every dial.

    Raises:
        RlfocalError: as the strategy raised it, with the job named in the message.
    """
    try:
        return _run(shared, job)
    except NotApplicable as exc:
        return JobResult(job, (), 0.0, 0.0, (), str(exc))
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


def _run(shared: BenchInput, job: Job) -> JobResult:
    train, test = shared.fold(job.fold)
    start = time.perf_counter()
    strategy = fit_job(shared.entrants, job, train)
    fit_s = time.perf_counter() - start
    start = time.perf_counter()
    outcome = _outcome(strategy, test)
    replay_s = time.perf_counter() - start
    points = [Point(None, outcome)]
    points += [Point(float(d), _outcome(strategy.with_dial(d), test)) for d in strategy.dials]
    history = tuple({k: float(value) for k, value in step.items()} for step in strategy.history)
    return JobResult(job, tuple(points), fit_s, replay_s, history, acting=strategy.acting)


def _outcome(strategy: Base, test: ResponseTable) -> Outcome:
    return strategy.outcome(test) if isinstance(strategy, Reference) else replay(strategy, test)
