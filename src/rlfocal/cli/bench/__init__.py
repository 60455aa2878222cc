"""`rlfocal bench`: every way to use a pool, on queries that nothing was fitted on.

Checks what was asked for and every output before any work.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol

from rlfocal.cli import common
from rlfocal.cli.bench import options
from rlfocal.cli.bench.typed import as_typed, budgets_of
from rlfocal.cli.common import option
from rlfocal.cli.output.console import check_json, deliver, progress, remark, waiting
from rlfocal.cli.output.leaderboard import show_leaderboard
from rlfocal.cli.output.scenarios import show_scenarios
from rlfocal.errors import ConfigError, NotInstalled

if TYPE_CHECKING:
    from rlfocal.bench import BenchResult, EvalProtocol
    from rlfocal.bench.scenarios import StreamSettings
    from rlfocal.executor import Executor
    from rlfocal.records import Dataset, ResponseTable

__all__ = ["bench"]

_BUDGETS = "1.5,2,3,4"
_N_FOLDS = 5
_FOLDS, _FOLDS_DEFAULT = "Folds; every query is tested once.", "5; with --scenario the first of 5"


def bench(
    data: common.Data,
    pool: common.Pool = None,
    members: common.Members = None,
    strategies: Annotated[
        str | None,
        option(
            value="A,B,...",
            help='Strategies by name; "quick", "baselines" and "all" name groups.',
            show_default="baselines; with --scenario a choice of six",
        ),
    ] = None,
    cost: common.Cost = None,
    complete: common.Complete = False,
    folds: Annotated[
        int | None, option(value="K", help=_FOLDS, show_default=_FOLDS_DEFAULT)
    ] = None,
    split: Annotated[
        bool, option("--split", help="Use the data set's own split instead of folds.")
    ] = False,
    seeds: Annotated[int, option(value="S", help="Seeds of strategies that learn at random.")] = 1,
    tasks: Annotated[
        Literal["given", "hidden", "both"],
        option(help="Tested queries' tasks; hidden as where a gateway's client names none."),
    ] = "given",
    budgets: Annotated[
        str,
        option(
            value="A,B,...",
            help="Mean calls a query at which learned strategies are compared with simple ones; "
            '"all" is always added.',
        ),
    ] = _BUDGETS,
    scenario: Annotated[
        str | None,
        option(
            value="A,B,...",
            help="Instead of the leaderboard: play changes of the pool, the tasks or the labels "
            'over a stream of queries, and show what adapting wins back; "all" names every one.',
        ),
    ] = None,
    orders: Annotated[
        int | None,
        option(
            value="K",
            help="With --scenario: streams of each fold, each in an order of its own.",
            show_default="1",
        ),
    ] = None,
    retrain: Annotated[
        bool,
        option(
            "--retrain",
            help="With --scenario: train anew, for comparison, what takes long to train, too.",
        ),
    ] = False,
    on: common.On = None,
    jobs: common.Jobs = None,
    resume: Annotated[
        Path | None,
        option(
            "--resume",
            value="DIR",
            help="Keep each finished fit in DIR, and take from there what is finished already.",
        ),
    ] = None,
    json: common.JsonFile = None,
    report: Annotated[
        Path | None,
        option("--report", value="DIR", help="Write an HTML report and the per-query rows."),
    ] = None,
    no_questions: Annotated[
        bool,
        option("--no-questions", help="Leave prompts and replies out of the report."),
    ] = False,
    overwrite: Annotated[
        bool, option("--overwrite", help="Replace a report that is there.")
    ] = False,
    features: Annotated[
        bool, option(help="Encode the query texts, for strategies that route on them.")
    ] = True,
    live: options.Live = None,
    conversations: options.Conversations = None,
    db: options.Db = None,
    max_usd: options.MaxUsd = None,
    max_calls: options.MaxCalls = None,
    retry_failed: options.RetryFailed = False,
    dry_run: options.DryRun = False,
) -> None:
    """Compare strategies on unseen queries.

    Shows accuracy, calls and cost of each, with intervals.
    """
    from rlfocal.deliberation.registry import resolve

    named = common.split_names(strategies, "--strategies")
    if named is not None:
        named = resolve(named)  # a wrong name is told before anything heavy is imported
    from rlfocal.bench import EvalProtocol

    n_folds = _N_FOLDS if folds is None else folds
    protocol = EvalProtocol(n_folds=n_folds, use_split=split, n_seeds=seeds, tasks=tasks)
    limits = budgets_of(budgets)
    if scenario is not None and (report is not None or budgets != _BUDGETS or tasks != "given"):
        raise ConfigError(
            "--scenario knows neither --report nor --budgets nor --tasks; use --json FILE"
        )
    if report is None and (no_questions or overwrite):
        raise ConfigError("--no-questions and --overwrite go with --report DIR")
    if scenario is None and (orders is not None or retrain):
        raise ConfigError("--orders and --retrain go with --scenario alone")
    if orders is not None and orders < 1:
        raise ConfigError(f"--orders must be at least 1, got {orders}")
    held = options.LiveOptions.of(
        live, conversations, db, max_usd, max_calls,
        retry_failed=retry_failed, dry_run=dry_run, scenario=scenario,
    )  # fmt: skip
    _check_places(json, resume, report)
    run = _Run(common.executor_of(on, jobs), resume)

    def load() -> tuple[Dataset, ResponseTable]:
        return common.load_table(
            data, pool, members, with_features=features, cost=cost, complete=complete
        )

    if scenario is None:
        names = named or resolve(("baselines",))
        typed = as_typed(data, pool, members, cost, complete=complete)
        wanted = None if report is None else _Report(report, not no_questions, overwrite)
        _compare(load, names, protocol, limits, typed, run, wanted, json=json, live=held)
    else:
        from rlfocal.bench.scenarios import StreamSettings

        chosen = common.split_names(scenario, "--scenario") or ()
        stream = StreamSettings(orders=orders or 1, retrain=retrain)
        every_fold = folds is not None
        _play(load, chosen, named, protocol, stream, run, every_fold=every_fold, json=json)


def _check_places(json: Path | None, resume: Path | None, report: Path | None) -> None:
    """Refuse places that cannot be written, or that would be in each other's way at the next run.

    Raises:
        ConfigError: naming them.
    """
    from rlfocal.files import check_writable

    check_json(json)
    if report is not None and resume is not None and resume.resolve() == report.resolve():
        raise ConfigError(f"--resume and --report name one folder, {resume}; name two")
    if report is not None and json is not None and json.resolve().parent == report.resolve():
        raise ConfigError(f"--json {json}: lies in the report's folder, which holds bench.json")
    if resume is not None:
        check_writable(resume)


class _Load(Protocol):
    """Reads the data and builds the table."""

    def __call__(self) -> tuple[Dataset, ResponseTable]: ...


class _Run(NamedTuple):
    """Where the jobs run, and where their results are kept."""

    executor: Executor
    keep: Path | None


class _Report(NamedTuple):
    """The report that is wanted."""

    folder: Path
    questions: bool
    overwrite: bool


def _compare(
    load: _Load,
    names: tuple[str, ...],
    protocol: EvalProtocol,
    budgets: tuple[float, ...],
    typed: str,
    run: _Run,
    report: _Report | None,
    *,
    json: Path | None,
    live: options.LiveOptions | None,
) -> None:
    """Compare strategies and show how they did; outputs are checked before the data are read."""
    from rlfocal.bench import run_bench

    if report is not None:
        from rlfocal.report.place import check_folder

        check_folder(report.folder, overwrite=report.overwrite)
    dataset, table = load()
    _refuse_if_none_applies(names, table)
    held = None
    if live is not None:
        from rlfocal.cli.bench.live import converse

        held = converse(live, dataset, table, protocol, json)
        if held is None:  # a dry run
            return
    with progress("bench") as move:
        result = run_bench(
            table, names, protocol,
            budgets=budgets, data=typed, executor=run.executor, on_progress=move, keep=run.keep,
            talked=None if held is None else held.talked,
        )  # fmt: skip
    if held is not None:
        result = held.figured(result)
    deliver(result.to_json(), json, lambda: show_leaderboard(result, has_report=report is not None))
    if report is not None:
        _draw(result, table, dataset, report)
    if held is not None:
        held.finish(report.folder if report is not None and report.questions else None)


def _draw(result: BenchResult, table: ResponseTable, dataset: Dataset, report: _Report) -> None:
    """Write results and page, and say where they are and what they hold."""
    from rlfocal.bench.summaries.reading import readings_of
    from rlfocal.report import write_report
    from rlfocal.report.place import PAGE, TALKS

    # Older ones must not stand beside newer figures, whatever happens now.
    for name in (PAGE, TALKS):
        (report.folder / name).unlink(missing_ok=True)
    result.write(report.folder)
    with waiting("drawing the report"):
        page = write_report(
            result,
            table,
            report.folder,
            dataset=dataset if report.questions else None,
            readings=readings_of(table, dataset),
        )
    remark(f"report: {page} ({page.stat().st_size / 1e6:.1f} MB)")
    if report.questions:
        remark("  prompts and recorded replies are in this file; --no-questions leaves them out")
    remark(f"look at it: rlfocal view {shlex.quote(str(report.folder))}")


def _refuse_if_none_applies(names: tuple[str, ...], table: ResponseTable) -> None:
    """Refuse to compare nothing but the points of reference that stand beside what was named."""
    reasons = {name: _why_not(name, table) for name in names}
    if all(reasons.values()):
        said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise ConfigError(f"{table.name}: nothing of what was named can be compared: {said}")


def _why_not(name: str, table: ResponseTable) -> str | None:
    """The reason why a strategy cannot be compared here; None where it can."""
    from rlfocal.deliberation.protocol import unmet
    from rlfocal.deliberation.registry import create

    try:
        return unmet(create(name), table)
    except NotInstalled as exc:
        return str(exc)


def _play(
    load: _Load,
    scenarios: tuple[str, ...],
    strategies: tuple[str, ...] | None,
    protocol: EvalProtocol,
    settings: StreamSettings,
    run: _Run,
    *,
    every_fold: bool,
    json: Path | None,
) -> None:
    """Run scenarios and show them; names are checked before the data are read."""
    from rlfocal.bench.scenarios import DEFAULT_STRATEGIES, resolve_scenarios, run_scenarios

    resolve_scenarios(scenarios)
    _, table = load()
    with progress("scenarios") as move:
        result = run_scenarios(
            table, scenarios, protocol,
            strategies=strategies or DEFAULT_STRATEGIES, every_fold=every_fold, settings=settings,
            executor=run.executor, on_progress=move, keep=run.keep,
        )  # fmt: skip
    deliver(result.to_json(), json, lambda: show_scenarios(result))
