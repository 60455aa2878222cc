"""Run strategies through scenarios: make the streams, run the jobs, compute the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rlfocal.bench.entrants import Entrants
from rlfocal.bench.figures.environment import environment
from rlfocal.bench.folds import Fold, partition
from rlfocal.bench.jobs import OnProgress, run_jobs
from rlfocal.bench.kept import Kept
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.scenarios.catalogue import Scenario, resolve_scenarios
from rlfocal.bench.scenarios.jobs import TRACES, JobTraces, ScenarioInput, StreamTrace, walk_streams
from rlfocal.bench.scenarios.result import ScenarioResult, ScenarioRow, scenario_row
from rlfocal.bench.scenarios.stream import StreamSettings
from rlfocal.deliberation.base import Base
from rlfocal.errors import ConfigError, NotApplicable
from rlfocal.executor import Executor
from rlfocal.records import ResponseTable
from rlfocal.records.tables.missing import complete_part

__all__ = ["DEFAULT_STRATEGIES", "run_scenarios"]

DEFAULT_STRATEGIES = (
    "best-single", "plurality", "weighted-vote", "agreement", "stacking", "rl-focal",
)  # fmt: skip
"""Run unless others are asked for."""
_LEAST = 4
"""Queries of a stream: fewer leave nothing before or after the middle to speak of."""


def run_scenarios(
    table: ResponseTable,
    scenarios: Sequence[str],
    protocol: EvalProtocol,
    *,
    strategies: Sequence[str | Base] = DEFAULT_STRATEGIES,
    every_fold: bool = False,
    settings: StreamSettings | None = None,
    executor: Executor | None = None,
    on_progress: OnProgress | None = None,
    keep: str | Path | None = None,
) -> ScenarioResult:
    """Measure the accuracy lost to changes of pool, tasks or labels, and regained by adapting.

    Args:
        table: the recorded answers; where some are missing, only queries are played that every
            member answered, and a note says so.
        scenarios: names, or "all".
        strategies: names of strategies or groups, and unfitted strategies of your own.
        protocol: folds, seeds, resamples; the split is the only fold where it is used.
        every_fold: stream every fold instead of the first alone.
        settings: of the streams; None for the defaults.
        executor: where the jobs run; None for here. It changes no figure.
        on_progress: called once before the first job and after every job.
        keep: a folder for the results of jobs, as `run_bench` takes one.

    Raises:
        ConfigError: a name is unknown, an object is no strategy, something is not installed, tasks
            are to be hidden, or the data set is too small; before any job is run.
        RlfocalError: a strategy failed; the message names strategy, fold and seed.
    """
    if protocol.tasks != "given":
        raise ConfigError(f"scenarios show tasks as they are, so tasks='{protocol.tasks}' is none")
    settings = StreamSettings() if settings is None else settings
    table = complete_part(table)
    chosen, entrants = resolve_scenarios(scenarios), Entrants.of(strategies)
    part = partition(table, protocol)
    folds = part.folds if every_fold else part.folds[:1]
    _check_size(table, folds)
    shared = ScenarioInput(
        table, folds, entrants, scenarios=chosen, settings=settings, fold_seed=protocol.fold_seed
    )
    kept = None
    if keep is not None:
        about = {
            "work": "scenarios", "scenarios": [scenario.name for scenario in chosen],
            "settings": asdict(settings), "fold_seed": protocol.fold_seed,
        }  # fmt: skip
        kept = Kept(Path(keep), table, entrants, folds, about=about, classes=TRACES)
    unplayable = _unplayable(shared)
    shared.scenarios = tuple(one for one in chosen if one.name not in unplayable)
    if not shared.scenarios:
        said = "; ".join(f"{name}: {reason}" for name, reason in unplayable.items())
        raise ConfigError(f"{table.name}: no scenario can be played: {said}")
    results, not_applicable = run_jobs(
        walk_streams, shared, protocol, executor, on_progress, kept, finish=lambda result: result
    )
    not_applicable |= unplayable
    for result in results:
        for scenario, reason in result.refused.items():
            not_applicable.setdefault(scenario, reason)
    if not any(result.traces for result in results):
        said = "; ".join(f"{name}: {reason}" for name, reason in not_applicable.items())
        raise ConfigError(f"{table.name}: nothing can be played: {said}")
    return ScenarioResult(
        data=table.name,
        members=table.members,
        folds=_which(protocol, len(folds)),
        n_streams=len(folds) * settings.orders,
        n_queries=sum(len(fold.test) for fold in folds) * settings.orders,
        seeds=protocol.seeds,
        n_resamples=protocol.n_resamples,
        settings=settings,
        descriptions={scenario.name: scenario.description for scenario in chosen},
        rows=_rows(results, chosen, entrants.names, not_applicable, settings, protocol),
        not_applicable=not_applicable,
        synthetic=table.synthetic,
        notes=(*table.notes, *part.notes, *_readers(table)),
        environment=environment(),
    )


def _unplayable(shared: ScenarioInput) -> dict[str, str]:
    """Scenarios that cannot be played on all folds, with the reason: found before any fit."""
    refused: dict[str, str] = {}
    for number, fold in enumerate(shared.folds):
        train = shared.table.take(fold.train)
        for scenario in shared.scenarios:
            try:
                shared.case(scenario, train, number, 0)
            except NotApplicable as exc:
                refused.setdefault(scenario.name, str(exc))
    return refused


def _check_size(table: ResponseTable, folds: Sequence[Fold]) -> None:
    smallest = min(len(fold.test) for fold in folds)
    if smallest < _LEAST:
        raise ConfigError(
            f"{table.name}: a stream needs at least {_LEAST} test queries, a fold has {smallest}; "
            "use fewer folds"
        )


def _readers(table: ResponseTable) -> list[str]:
    if table.reads is None:
        return []
    return [
        "where a scenario changes what a member reads, what it would have said is not known: it "
        "gives no usable answer there"
    ]


def _which(protocol: EvalProtocol, n_streams: int) -> str:
    if protocol.use_split:
        return "the data set's own split"
    if n_streams == 1:
        return f"the first of {protocol.n_folds} folds, fitted on the others"
    return f"each of {n_streams} folds, fitted on the others"


def _rows(
    results: Sequence[JobTraces],
    scenarios: Sequence[Scenario],
    names: Sequence[str],
    not_applicable: dict[str, str],
    settings: StreamSettings,
    protocol: EvalProtocol,
) -> tuple[ScenarioRow, ...]:
    """Rows by scenario, then by strategy, in the orders asked for."""
    found: dict[tuple[str, str], dict[tuple[int, int], list[StreamTrace]]] = {}
    for result in results:
        for trace in result.traces:
            of_name = found.setdefault((trace.scenario, result.job.strategy), {})
            of_name.setdefault((result.job.fold, trace.order), []).append(trace)
    return tuple(
        scenario_row(
            name,
            list(found[scenario.name, name].values()),
            window=settings.window,
            n_resamples=protocol.n_resamples,
        )
        for scenario in scenarios
        for name in names
        if (scenario.name, name) in found and not {scenario.name, name} & set(not_applicable)
    )
