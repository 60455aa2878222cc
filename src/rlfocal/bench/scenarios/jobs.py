"""One job: fit one strategy on one fold with one seed, and walk every scenario's stream with it.

Fitting comes as in the benchmark proper, from the same queries and random numbers, so a frozen
policy on an unchanged stream scores what the leaderboard says of the fold. Depends on its inputs
alone, so the order of jobs changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.catalogue import create
from rlfocal.bench.folds import Fold
from rlfocal.bench.jobs import Job
from rlfocal.bench.scenarios.catalogue import Case, Scenario
from rlfocal.bench.scenarios.stream import (
    Fit,
    History,
    StreamSettings,
    walk_refit,
    walk_windowed,
    walk_with_memory,
)
from rlfocal.errors import NotApplicable, RlfocalError
from rlfocal.records import Calibration, IntArray, ResponseTable, calibrate
from rlfocal.replay import replay
from rlfocal.strategies.protocol import Outcome, Reference, Strategy

__all__ = ["WINDOWED", "JobTraces", "ScenarioInput", "Trace", "is_cheap", "reads_memory", "run_job"]

WINDOWED = frozenset({"best-single", "weighted-vote", "agreement"})
"""Simple strategies with few enough parameters to be fitted on the window alone."""
CALM, FROZEN, MEMORY, WINDOW, REFIT = "unchanged", "frozen", "memory", "windowed", "refit"


def reads_memory(strategy: str) -> bool:
    """Whether a strategy looks at `view.memory`."""
    return strategy.startswith("rl-")


def is_cheap(strategy: str) -> bool:
    """Whether a strategy is fitted in seconds, so that it may be fitted again and again."""
    return not strategy.startswith("rl-") and strategy != "posterior-threshold"


class Trace(NamedTuple):
    """What the variants of one strategy did on one stream under one scenario."""

    scenario: str
    change_at: int
    """Position of the first query that the scenario touches."""
    group: IntArray
    """int64[Q]: queries with the same prompt share a number."""
    score: dict[str, NDArray[np.float32]]
    """Variant -> float32[Q] in [0, 1]. "unchanged" is the frozen policy without the scenario."""
    n_calls: dict[str, IntArray]
    """Variant -> int64[Q]."""


class JobTraces(NamedTuple):
    """What came out of one job."""

    job: Job
    traces: tuple[Trace, ...]
    not_applicable: dict[str, str]
    """Scenario -> why the data cannot play it; the key "" is the strategy itself."""


class Prepared(NamedTuple):
    """Training queries ready to fit on, and what makes other tables ready."""

    calibration: Calibration
    train: ResponseTable


@dataclass
class ScenarioInput:
    """The big input of all jobs. Keeps the calibration of the fold used last."""

    table: ResponseTable
    folds: tuple[Fold, ...]
    """The folds that are streamed."""
    scenarios: tuple[Scenario, ...]
    settings: StreamSettings
    fold_seed: int
    _last: tuple[int, ResponseTable, ResponseTable, Prepared] | None = field(
        default=None, repr=False
    )

    def fold(self, index: int) -> tuple[ResponseTable, ResponseTable, Prepared]:
        """Training table, stream (shuffled test queries), and the training table prepared."""
        if self._last is None or self._last[0] != index:
            train = self.table.take(self.folds[index].train)
            order = self.rng(index, "stream").permutation(self.folds[index].test)
            self._last = (index, train, self.table.take(order), _prepared(train))
        return self._last[1:]

    def rng(self, fold: int, purpose: str) -> np.random.Generator:
        """The same numbers for every strategy and seed, so that all meet the same stream."""
        return np.random.default_rng([self.fold_seed, fold, *purpose.encode()])


def _prepared(train: ResponseTable) -> Prepared:
    return Prepared(*calibrate(train))


def run_job(shared: ScenarioInput, job: Job) -> JobTraces:
    """Fit, and walk every stream with every way of adapting that the strategy has.

    Raises:
        RlfocalError: as the strategy raised it, with the job named in the message.
    """
    try:
        return _run(shared, job)
    except NotApplicable as exc:
        return JobTraces(job, (), {"": str(exc)})
    except RlfocalError as exc:
        raise type(exc)(f"{job}: {exc}") from exc


def _run(shared: ScenarioInput, job: Job) -> JobTraces:
    raw_train, raw_stream, ready = shared.fold(job.fold)
    policy = _fit(job, ready.train)
    traces, refused = [], {}
    for scenario in shared.scenarios:
        rng = shared.rng(job.fold, scenario.name)
        try:
            case = scenario.build(raw_train, raw_stream, rng)
        except NotApplicable as exc:
            refused[scenario.name] = str(exc)
            continue
        calm = replay(policy, ready.calibration.apply(case.calm))
        if case.train is raw_train:
            outcomes = _walks(shared, job, policy, ready, case)
        else:
            changed = _prepared(case.train)
            outcomes = _walks(shared, job, _fit(job, changed.train), changed, case)
        outcomes[CALM] = calm
        traces.append(
            Trace(
                scenario.name,
                case.change_at,
                case.stream.group,
                {name: outcome.score for name, outcome in outcomes.items()},
                {name: outcome.n_calls for name, outcome in outcomes.items()},
            )
        )
    return JobTraces(job, tuple(traces), refused)


def _walks(
    shared: ScenarioInput, job: Job, policy: Strategy, ready: Prepared, case: Case
) -> dict[str, Outcome]:
    stream = ready.calibration.apply(case.stream)
    # Shuffled, or the window before the first block could be of the last task alone.
    order = shared.rng(job.fold, "history").permutation(ready.train.n_queries)
    history = History(ready.train.take(order), stream)
    outcomes = {FROZEN: replay(policy, stream)}
    if reads_memory(job.strategy):
        outcomes[MEMORY] = walk_with_memory(policy, stream, history, shared.settings)
    if job.strategy in WINDOWED:
        outcomes[WINDOW] = walk_windowed(_fitter(job), stream, history, shared.settings)
    if is_cheap(job.strategy):
        fit = _fitter(job)
        outcomes[REFIT] = walk_refit(policy, fit, stream, history, shared.settings)
    return outcomes


def _fitter(job: Job) -> Fit:
    return lambda table, position: _fit(job, table, position)


def _fit(job: Job, train: ResponseTable, *position: int) -> Strategy:
    rng = np.random.default_rng([job.seed, job.fold, *job.strategy.encode(), *position])
    fitted = create(job.strategy).fit(train, rng=rng)
    if isinstance(fitted, Reference):
        raise NotApplicable("a point of comparison computed from the table, no policy")
    return fitted
