"""Run every (fold, seed, strategy) job of a benchmark and compute its figures from the rows.

Knows no strategy but two by name: the best single member, which gains are measured against, and
the oracle, which bounds them. Both are always run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rlfocal.bench.budgets import BUDGETS, check_budgets, equal_cost
from rlfocal.bench.entrants import Entrants
from rlfocal.bench.figures.calibration import calibrations
from rlfocal.bench.figures.environment import environment
from rlfocal.bench.figures.hidden_tasks import lost_by_hiding, tasks_note, with_hidden
from rlfocal.bench.figures.laid_out import LaidOut
from rlfocal.bench.figures.scores import Scores, scores
from rlfocal.bench.folds import Partition, partition
from rlfocal.bench.jobs import RESULTS, BenchInput, OnProgress, run_job, run_jobs
from rlfocal.bench.kept import Kept
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.result import (
    BEST_SINGLE,
    ORACLE,
    BenchResult,
    FrontierPoint,
    History,
    LeaderboardRow,
)
from rlfocal.bench.rows import JobRows, RowLayout
from rlfocal.bench.statistics import BEST_ALONE, MeasuredMeans, gap_closed
from rlfocal.bench.summaries.copies import copies_note
from rlfocal.deliberation.base import Base
from rlfocal.errors import ConfigError
from rlfocal.executor import Executor
from rlfocal.records import ResponseTable
from rlfocal.records.tables.missing import missing_of

if TYPE_CHECKING:
    from rlfocal.bench.talks.held import Talked

__all__ = ["run_bench"]

_FEW = 30
"""Fewer distinct prompts than this make percentile intervals too narrow to trust."""


_UNBOUNDED = (
    "members' scores of all options are recorded: who weighs these may be right where no member's "
    "answer is, so the oracle, which picks among answers, is no bound"
)


def run_bench(
    table: ResponseTable,
    strategies: str | Base | Iterable[str | Base],
    protocol: EvalProtocol = EvalProtocol(),  # noqa: B008 (frozen)
    *,
    budgets: Sequence[float] = BUDGETS,
    data: str | None = None,
    executor: Executor | None = None,
    on_progress: OnProgress | None = None,
    keep: str | Path | None = None,
    talked: Talked | None = None,
) -> BenchResult:
    """Fit strategies on training queries and measure them on queries that nothing was fitted on.

    Args:
        table: the recorded answers.
        strategies: one or several: names of strategies or groups, and unfitted strategies of your
            own, each with a name that no other has; `best-single` and `oracle` are added, and
            `best-alone` where members read others.
        protocol: folds, seeds, resamples, and whether tasks of tested queries are shown.
        budgets: mean calls a query at which learned strategies are compared with simple ones.
        data: the data as the command line names them, for the commands of the rows.
        executor: where the jobs run; None for here, one after another. It changes no figure but
            the seconds.
        on_progress: called once before the first job and after every job.
        keep: a folder for the results of jobs as they come: a run that was broken off goes on from
            there, and another run finds there what it has in common with this one.
        talked: conversations held on the same folds, whose rows stand beside those of strategies.

    Returns:
        The figures and the rows behind them.

    Raises:
        ConfigError: a name is unknown, an object is no strategy, a budget is no number of calls,
            something is not installed, or the data set is too small for the protocol; before any
            job is run.
        RlfocalError: a strategy failed; the message names strategy, fold and seed.
    """
    if not isinstance(table, ResponseTable):
        raise ConfigError(
            f"run_bench takes a ResponseTable, not a {type(table).__name__}; rlfocal.benchmark "
            "takes folders, data sets and frames"
        )
    wanted = [strategies] if isinstance(strategies, str | Base) else strategies
    limits = check_budgets(budgets)
    alone = () if table.reads is None else (BEST_ALONE,)
    entrants = Entrants.of(wanted, always=(BEST_SINGLE, *alone, ORACLE))
    part = partition(table, protocol)
    kept = None
    if keep is not None:
        about = {"work": "bench", "tasks": protocol.tasks}
        kept = Kept(Path(keep), table, entrants, part.folds, about=about, classes=RESULTS)
    layout = RowLayout(table, part.folds)
    results, not_applicable = run_jobs(
        run_job, BenchInput(table, part.folds, entrants, protocol.tasks),
        protocol, executor, on_progress, kept, finish=layout.of,
    )  # fmt: skip
    notes: tuple[str, ...] = ()
    if talked is not None:
        results, notes = [*results, *map(layout.of, talked.results)], talked.notes
        not_applicable = {**not_applicable, **talked.not_applicable}
    laid_out = partial(LaidOut.of, layout, table.name, not_applicable)
    shown = laid_out(results, tasks="hidden" if protocol.tasks == "hidden" else "given")
    hidden = None
    if protocol.tasks == "both":
        hidden = laid_out([one._replace(points=one.hidden) for one in results], tasks="hidden")
    figures = partial(_figures, table, part, entrants, limits=limits, data=data, notes=notes)
    found = figures(shown, protocol)
    if hidden is None:
        return found
    other = figures(hidden, replace(protocol, tasks="hidden"))
    lost = lost_by_hiding(found.per_query, other.per_query, n_resamples=protocol.n_resamples)
    return replace(found, rows=with_hidden(found.rows, other.rows, lost), hidden=other)


def _figures(
    table: ResponseTable,
    part: Partition,
    entrants: Entrants,
    laid_out: LaidOut,
    protocol: EvalProtocol,
    *,
    limits: Sequence[float],
    data: str | None,
    notes: Sequence[str],
) -> BenchResult:
    """The figures of rows."""
    per_query, results, not_applicable, dropped = laid_out
    found, priced = scores(per_query), table.cost_unit == "usd"
    n_groups = len(np.unique(found.group))
    tested = np.concatenate([fold.test for fold in part.folds])
    missing = missing_of(table.without_texts().take(tested))
    withheld = missing is not None and missing.withheld
    rows = tuple(
        replace(
            row,
            learned=entrants.fresh(row.strategy).learned,
            command=entrants.command(row.strategy, data),
        )
        if row.strategy in entrants.names
        else row  # of a conversation
        for row in _leaderboard(found, results, protocol, priced=priced, withheld=withheld)
    )
    fitted = [row.strategy for row in rows if row.strategy in entrants.names]
    served = found.take([i for i, (name, _) in enumerate(found.points) if name in fitted])
    budgets_found = equal_cost(
        served, [row.strategy for row in rows if row.learned], limits,
        priced=priced, n_resamples=protocol.n_resamples, withheld=withheld,
    )  # fmt: skip
    about_tasks = tasks_note(len(per_query["task"].unique())) if protocol.tasks == "given" else None
    return BenchResult(
        data=table.name,
        members=table.members,
        protocol=protocol,
        tested={"n_queries": len(found.group), "n_groups": n_groups},
        rows=rows,
        frontiers=_frontiers(found, priced=priced),
        not_applicable={
            name: not_applicable[name]
            for name in dict.fromkeys((*entrants.names, *not_applicable))
            if name in not_applicable
        },
        synthetic=table.synthetic,
        notes=(
            *([missing.explain()] if missing is not None else []),
            *([] if table.option_scores is None else [_UNBOUNDED]),
            *_notes(table, part, n_groups),
            *([] if about_tasks is None else [about_tasks]),
            *dropped,
            *_stand_ins(results),
            *_believers(table, entrants, fitted),
            *notes,
        ),
        environment=environment(),
        per_query=per_query,
        histories=tuple(
            History(
                strategy=result.job.strategy,
                fold=result.job.fold,
                seed=result.job.seed,
                iterations=result.history,
            )
            for result in results
            if result.history
        ),
        budgets=budgets_found,
        calibration=calibrations(per_query, fitted),
        missing=missing,
    )


def _stand_ins(results: Sequence[JobRows]) -> list[str]:
    """Notes on strategies at whose default dial another policy acts."""
    acting: dict[str, Counter[tuple[str, bool]]] = {}
    for result in results:
        if result.acting is not None:
            policy = result.acting.name, result.acting.stands_in
            acting.setdefault(result.job.strategy, Counter())[policy] += 1
    return [
        f"{name}: at its default dial {count} of {found.total()} fits let {policy} act, because "
        "that did better out of fold"
        for name, found in acting.items()
        for (policy, stands_in), count in sorted(found.items())
        if stands_in
    ]


def _believers(table: ResponseTable, entrants: Entrants, names: Sequence[str]) -> list[str]:
    """A warning where near-copies are among the members of strategies that agreement misleads."""
    found = sorted(name for name in names if entrants.fresh(name).trusts_agreement)
    note = copies_note(table, found) if found else None
    return [] if note is None else [note]


def _leaderboard(
    found: Scores,
    results: Sequence[JobRows],
    protocol: EvalProtocol,
    *,
    priced: bool,
    withheld: bool,
) -> tuple[LeaderboardRow, ...]:
    found = found.take([i for i, (_, dial) in enumerate(found.points) if dial is None])
    names = [name for name, _ in found.points]
    means = MeasuredMeans(
        found.score, found.measured, found.group, n_resamples=protocol.n_resamples
    )
    calls, rounds, cost = map(found.mean, (found.n_calls, found.n_rounds, found.cost))
    baseline, oracle = names.index(BEST_SINGLE), names.index(ORACLE)
    rows = []
    for i, name in enumerate(names):
        accuracy = means.over(i).mean(i)
        n_compared = means.count(i, baseline)
        gain = means.over(i, baseline).difference(i, baseline) if n_compared else None
        closed = None
        if means.count(i, baseline, oracle):
            among = means.over(i, baseline, oracle)
            closed = gap_closed(among, i, baseline=baseline, oracle=oracle)
        own = [result for result in results if result.job.strategy == name]
        rows.append(
            LeaderboardRow(
                strategy=name,
                accuracy=accuracy.value,
                accuracy_ci=accuracy.ci,
                mean_calls=float(calls[i]),
                mean_cost_usd=float(cost[i]) if priced else None,
                mean_rounds=float(rounds[i]),
                gain_over_best_single=None if gain is None else gain.value,
                gain_ci=None if gain is None else gain.ci,
                oracle_gap_closed=None if closed is None else closed.value,
                fit_s=float(np.median([result.fit_s for result in own])),
                replay_s=float(np.median([result.replay_s for result in own])),
                n_measured=means.count(i),
                n_compared=n_compared,
                withheld=withheld,
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.strategy != ORACLE, -row.accuracy)))


def _frontiers(found: Scores, *, priced: bool) -> dict[str, tuple[FrontierPoint, ...]]:
    """Points by rising calls, then rising dial."""
    accuracy, calls, cost = map(found.mean, (found.score, found.n_calls, found.cost))
    frontiers: dict[str, list[FrontierPoint]] = {}
    for i, (name, dial) in enumerate(found.points):
        if dial is not None:
            point = FrontierPoint(
                dial=dial,
                accuracy=float(accuracy[i]),
                mean_calls=float(calls[i]),
                mean_cost_usd=float(cost[i]) if priced else None,
            )
            frontiers.setdefault(name, []).append(point)
    return {
        name: tuple(sorted(points, key=lambda point: (point.mean_calls, point.dial)))
        for name, points in frontiers.items()
    }


def _notes(table: ResponseTable, part: Partition, n_groups: int) -> tuple[str, ...]:
    notes = [*table.notes, *part.notes]
    if table.synthetic:
        notes.insert(0, "synthetic: simulated members, not recorded models")
    if n_groups < _FEW:
        notes.append(
            f"only {n_groups} distinct prompts were tested: intervals are too narrow to trust"
        )
    return tuple(notes)
