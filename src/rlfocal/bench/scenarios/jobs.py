"""One job: fit one strategy on one fold with one seed, and walk every scenario's streams with it.

Fitting comes as in the benchmark proper, from the same queries and random numbers, so a frozen
policy on an unchanged stream scores what the leaderboard says of the fold. Depends on its inputs
alone, so the order of jobs changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.jobs import BenchInput, Calibrated, Job, check_fit, fit_job
from rlfocal.bench.scenarios.catalogue import Case, Scenario
from rlfocal.bench.scenarios.edits import joined
from rlfocal.bench.scenarios.stream import (
    LabelledStream,
    StreamSettings,
    walk_refit,
    walk_windowed,
    walk_with_memory,
)
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Outcome, Reference
from rlfocal.deliberation.replay import replay
from rlfocal.errors import NotApplicable
from rlfocal.records import Calibration, IntArray, ResponseTable, calibrate

__all__ = ["JobTraces", "ScenarioInput", "StreamTrace", "walk_streams"]

CALM, FROZEN, RETRAINED = "unchanged", "frozen", "retrained"
MEMORY, WINDOW, REFIT = "memory", "windowed", "refit"
_LEAST = 30
"""Labelled queries that a strategy is fitted anew on at the least."""


class StreamTrace(NamedTuple):
    """Scores of one strategy's variants on one stream under one scenario."""

    scenario: str
    order: int
    """Which of the orders of the fold's queries."""
    change_at: int
    """Position of the first query that the scenario touches."""
    group: IntArray
    """int64[Q]: queries with the same prompt share a number."""
    score: dict[str, NDArray[np.float32]]
    """Variant -> float32[Q] in [0, 1]. "unchanged" is the frozen policy without the scenario."""
    n_calls: dict[str, IntArray]
    """Variant -> int64[Q]."""


class JobTraces(NamedTuple):
    """Result of one job."""

    job: Job
    traces: tuple[StreamTrace, ...]
    refused: dict[str, str]
    """Scenario -> why the data cannot play it."""


TRACES = (Job, StreamTrace, JobTraces)
"""Classes of which a result is made."""


@dataclass(kw_only=True)
class ScenarioInput(BenchInput):
    """The shared input of all jobs; its folds are those that are streamed."""

    scenarios: tuple[Scenario, ...]
    settings: StreamSettings
    fold_seed: int

    def stream(self, fold: int, order: int) -> ResponseTable:
        """The test queries of a fold in one of their random orders."""
        rng = self.rng(fold, f"stream {order}" if order else "stream")
        return self.table.take(rng.permutation(self.folds[fold].test))

    def case(self, scenario: Scenario, train: ResponseTable, fold: int, order: int) -> Case:
        """What a scenario makes of a fold, in one order of its test queries.

        Raises:
            NotApplicable: the data lack what it needs.
        """
        # The same generator for every order, so that training queries are changed alike.
        rng = self.rng(fold, scenario.name)
        return scenario.build(train, self.stream(fold, order), rng)

    def rng(self, fold: int, purpose: str) -> np.random.Generator:
        """A generator that is the same for every strategy and seed, so that streams are equal."""
        return np.random.default_rng([self.fold_seed, fold, *purpose.encode()])


def walk_streams(shared: ScenarioInput, job: Job) -> JobTraces:
    """Fit, and walk every stream with every way of adapting that the strategy has.

    Raises:
        NotApplicable: the strategy cannot be fitted on this fold.
    """
    raw_train, ready, _ = shared.fold(job.fold)
    trained = _Actors(_fit(shared, job, ready.train), ready, None)
    traces, refused = [], {}
    for scenario in shared.scenarios:
        actors = None
        for order in range(shared.settings.orders):
            try:
                case = shared.case(scenario, raw_train, job.fold, order)
            except NotApplicable as exc:
                refused[scenario.name] = str(exc)
                break
            if actors is None:
                actors = _actors(shared, job, raw_train, trained, case)
            outcomes = _walks(shared, job, actors, case)
            outcomes[CALM] = replay(trained.policy, ready.calibration.apply(case.calm))
            traces.append(
                StreamTrace(
                    scenario.name,
                    order,
                    case.change_at,
                    case.stream.group,
                    {name: outcome.score for name, outcome in outcomes.items()},
                    {name: outcome.n_calls for name, outcome in outcomes.items()},
                )
            )
    return JobTraces(job, tuple(traces), refused)


class _Actors(NamedTuple):
    """The policies of one scenario."""

    policy: Base
    ready: Calibrated
    """The queries that it was fitted on."""
    retrained: tuple[Base, Calibration] | None
    """Fitted as if the change had always been there, where that is asked for."""


def _actors(
    shared: ScenarioInput, job: Job, raw_train: ResponseTable, trained: _Actors, case: Case
) -> _Actors:
    if case.train is not raw_train:
        changed = Calibrated(*calibrate(case.train))
        trained = _Actors(_fit(shared, job, changed.train), changed, None)
    if case.hindsight is None or not _refits(shared, trained.policy):
        return trained
    table = Calibrated(*calibrate(case.hindsight))
    return trained._replace(retrained=(_fit(shared, job, table.train), table.calibration))


def _refits(shared: ScenarioInput, policy: Base) -> bool:
    return not policy.slow_to_fit or shared.settings.retrain


def _walks(shared: ScenarioInput, job: Job, actors: _Actors, case: Case) -> dict[str, Outcome]:
    settings, policy, apply = shared.settings, actors.policy, actors.ready.calibration.apply
    stream, history = apply(case.stream), _history(shared, job, actors.ready, case)
    without = stream if case.added is None else apply(case.added.without)
    outcomes = {FROZEN: replay(policy, without)}
    if actors.retrained is not None:
        retrained, calibration = actors.retrained
        outcomes[RETRAINED] = replay(retrained, calibration.apply(case.stream))
    fit = partial(_fit, shared, job)
    if policy.follows_memory:
        outcomes[MEMORY] = walk_with_memory(policy, stream, history, settings)
    if policy.fits_on_window:
        outcomes[WINDOW] = walk_windowed(fit, stream, history, settings)
    if _refits(shared, policy):
        points = list(range(settings.refit_every, stream.n_queries, settings.refit_every))
        if policy.slow_to_fit:  # once, when as many queries of the new kind are labelled
            points = [case.change_at + settings.refit_every]
        if case.added is not None and len(case.added.labelled) >= _LEAST:
            points.insert(0, 0)
        outcomes[REFIT] = walk_refit(policy, fit, stream, history, settings, points)
    return outcomes


def _history(shared: ScenarioInput, job: Job, ready: Calibrated, case: Case) -> LabelledStream:
    """Training queries, then the stream; those that an added member was put to come last."""
    stream = ready.calibration.apply(case.stream)
    # Shuffled, or the window before the first block could be of the last task alone.
    order = shared.rng(job.fold, "history").permutation(ready.train.n_queries)
    if case.added is None:
        return LabelledStream(ready.train.take(order), stream)
    rows = case.added.labelled
    early = order[~np.isin(order, rows)]
    labelled = ready.calibration.apply(shared.fold(job.fold).raw_train.take(rows))
    train = joined(ready.train.take(early), labelled)
    return LabelledStream(train, stream, absent=case.added.member, since=len(early))


def _fit(shared: ScenarioInput, job: Job, train: ResponseTable, *position: int) -> Base:
    check_fit(shared.entrants.fresh(job.strategy), train, job)
    strategy = fit_job(shared.entrants, job, train, *position)
    if isinstance(strategy, Reference):
        raise NotApplicable("a point of comparison computed from the table, no policy")
    return strategy
