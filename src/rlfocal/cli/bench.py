"""`rlfocal bench`: every way to use a pool, on queries that nothing was fitted on.

Checks what was asked for and every output before any work.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlfocal.cli import common
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.bench import BenchResult, EvalProtocol, LeaderboardRow
    from rlfocal.bench.scenarios import Adapted, Figure, ScenarioResult, ScenarioRow
    from rlfocal.records import ResponseTable

__all__ = ["bench"]

_STDOUT = Path("-")
_BUDGETS = "1.5,2,3,4"
_N_FOLDS = 5


def bench(
    data: common.Data,
    pool: common.Pool = None,
    members: common.Members = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help='Strategies by name; "baselines" and "all" name groups.',
            show_default="baselines; with --scenario a choice of six",
        ),
    ] = None,
    cost: common.Cost = None,
    complete: common.Complete = False,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Folds; every query is tested once.",
            show_default="5; with --scenario the first of 5",
        ),
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Use the data set's own split instead of folds.")
    ] = False,
    seeds: Annotated[
        int, typer.Option(metavar="S", help="Seeds of strategies that learn at random.")
    ] = 1,
    budgets: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="Mean calls a query at which learned strategies are compared with simple ones; "
            '"all" is always added.',
        ),
    ] = _BUDGETS,
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Instead of the leaderboard: play changes of the pool, the tasks or the labels "
            'over a stream of queries, and show what adapting wins back; "all" names every one.',
        ),
    ] = None,
    orders: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="With --scenario: streams of each fold, each in an order of its own.",
            show_default="1",
        ),
    ] = None,
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain",
            help="With --scenario: train anew, for comparison, what takes long to train, too.",
        ),
    ] = False,
    jobs: Annotated[int, typer.Option(metavar="J", help="Processes to run in.")] = 1,
    json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help='Write the figures as JSON; "-" prints them.'),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="DIR", help="Write an HTML report and the per-query rows."
        ),
    ] = None,
    features: Annotated[
        bool, typer.Option(help="Encode the query texts, for strategies that route on them.")
    ] = True,
) -> None:
    """Compare strategies on unseen queries.

    Shows accuracy, calls and cost of each, with intervals.
    """
    from rlfocal.bench import EvalProtocol, run_bench
    from rlfocal.deliberation.registry import resolve
    from rlfocal.executor import ProcessExecutor, SerialExecutor

    wanted = common.split_names(strategies, "--strategies")
    protocol = EvalProtocol(
        n_folds=_N_FOLDS if folds is None else folds, use_split=split, n_seeds=seeds
    )
    limits = _budgets(budgets)
    if jobs < 1:
        raise ConfigError(f"--jobs must be at least 1, got {jobs}")
    if scenario is not None and (report is not None or budgets != _BUDGETS):
        raise ConfigError("--scenario knows neither --report nor --budgets; use --json FILE")
    if scenario is None and (orders is not None or retrain):
        raise ConfigError("--orders and --retrain go with --scenario alone")
    if orders is not None and orders < 1:
        raise ConfigError(f"--orders must be at least 1, got {orders}")
    _check_outputs(json, report)

    def load() -> ResponseTable:
        found = common.load_table(
            data, pool, members, with_features=features, cost=cost, complete=complete
        )
        return found[1]

    if scenario is not None:
        _play(
            load,
            common.split_names(scenario, "--scenario") or (),
            wanted,
            protocol,
            every_fold=folds is not None,
            orders=orders or 1,
            retrain=retrain,
            jobs=jobs,
            json=json,
        )
        return
    names = resolve(wanted or ("baselines",))
    table = load()
    with common.progress("bench") as move:
        result = run_bench(
            table,
            names,
            protocol,
            budgets=limits,
            data=_as_typed(data, pool, members, cost, complete=complete),
            executor=ProcessExecutor(jobs) if jobs > 1 else SerialExecutor(),
            on_progress=move,
        )
    if json == _STDOUT:
        common.print_json(result.to_json())
    else:
        _show(result)
    if json is not None and json != _STDOUT:
        common.write_json(json, result.to_json())
    if report is not None:
        from rlfocal.report import write_report

        result.write(report)
        with common.waiting("drawing the report"):
            page = write_report(result, table, report)
        common.remark(f"report: {page}")


def _play(
    load: Callable[[], ResponseTable],
    scenarios: tuple[str, ...],
    strategies: tuple[str, ...] | None,
    protocol: EvalProtocol,
    *,
    every_fold: bool,
    orders: int,
    retrain: bool,
    jobs: int,
    json: Path | None,
) -> None:
    """Run scenarios and show them; names are checked before the data are read."""
    from rlfocal.bench.scenarios import (
        DEFAULT_STRATEGIES,
        StreamSettings,
        resolve_scenarios,
        run_scenarios,
    )
    from rlfocal.deliberation.registry import resolve
    from rlfocal.executor import ProcessExecutor, SerialExecutor

    resolve_scenarios(scenarios)
    names = resolve(strategies or DEFAULT_STRATEGIES)
    table = load()
    with common.progress("scenarios") as move:
        result = run_scenarios(
            table,
            scenarios,
            protocol,
            strategies=names,
            every_fold=every_fold,
            settings=StreamSettings(orders=orders, retrain=retrain),
            executor=ProcessExecutor(jobs) if jobs > 1 else SerialExecutor(),
            on_progress=move,
        )
    if json == _STDOUT:
        common.print_json(result.to_json())
    else:
        _show_scenarios(result)
    if json is not None and json != _STDOUT:
        common.write_json(json, result.to_json())


def _budgets(text: str) -> tuple[float, ...]:
    """Read numbers of calls.

    Raises:
        ConfigError: one is not a number, or below the one call that every query takes.
    """
    from rlfocal.bench.budgets import check_budgets

    found = []
    for part in common.split_names(text, "--budgets") or ():
        try:
            found.append(float(part))
        except ValueError:
            raise ConfigError(
                f"--budgets: '{part}' is not a number of calls; separate numbers by commas, "
                'as in 1.5,2,3 ("all", no limit, is always added)'
            ) from None
    try:
        return check_budgets(found)
    except ConfigError as exc:
        raise ConfigError(f"--budgets: {exc}") from exc


def _as_typed(
    data: str, pool: str | None, members: str | None, cost: str | None, *, complete: bool
) -> str:
    """The data with the options that choose of them, as another verb takes them."""
    options = {"--pool": pool, "--members": members, "--cost": cost}
    words = [data, *(word for option in options.items() if option[1] for word in option)]
    return shlex.join([str(word) for word in words] + ["--complete"] * complete)


def _check_outputs(json: Path | None, report: Path | None) -> None:
    """Refuse, before any work, an output that could not be written after it."""
    if json is not None and json != _STDOUT:
        common.check_output_file(json)
    if report is None:
        return
    from rlfocal.files import check_writable

    common.require_plotly("--report")
    check_writable(report)


def _show(result: BenchResult) -> None:
    console = common.output()
    if result.synthetic:
        console.print("SYNTHETIC DATA: simulated members, not recorded models.")
    priced = any(row.mean_cost_usd is not None for row in result.rows)
    measured = result.missing is not None
    table = common.table_of(
        result.data, "accuracy %", "gain over best single", "verdict",
        *(["measured"] if measured else []), "calls",
        *(["USD / 1k"] if priced else []), "rounds", "gap closed %", "fit s",
    )  # fmt: skip
    for row in result.rows:
        table.add_row(*_cells(row, priced=priced, measured=measured))
    console.print(table)
    console.print(result.describe())
    _show_equal_cost(result)
    for name, reason in result.not_applicable.items():
        console.print(f"not applicable: {name}: {reason}")
    for note in result.notes:
        console.print(f"note: {note}")
    served = next((row for row in result.rows if row.command), None)
    if served is not None:
        console.print(f"To train and serve {served.strategy}: {served.command}", soft_wrap=True)
    if result.frontiers:
        names = ", ".join(result.frontiers)
        console.print(f"Accuracy against cost of {names}: --json FILE or --report DIR")


def _show_equal_cost(result: BenchResult) -> None:
    """Show what equal cost buys, under the leaderboard; nothing without a learned strategy."""
    from rlfocal.bench.budgets import EQUAL_COST

    console = common.output()
    for axis, cells in result.cells().items():
        table = common.table_of(
            "learned", "budget", "accuracy %", "best simple", "accuracy %", "difference", "verdict",
            title=f"At equal cost: {result.axis_title(axis)}",
        )  # fmt: skip
        for column in (3, 6):
            table.columns[column].justify = "left"
        for cell in cells:
            table.add_row(
                cell.strategy,
                result.budget_label(cell),
                common.percent(cell.accuracy),
                cell.rival,
                common.percent(cell.rival_accuracy),
                _with_interval(cell.difference, cell.difference_ci, signed=True),
                cell.verdict,
                end_section=cell.budget is None,
            )
        console.print(table)
    if result.budgets:
        console.print(EQUAL_COST)


def _gain(row: LeaderboardRow) -> str:
    if row.gain_over_best_single is None or row.gain_ci is None:
        return "-"
    return _with_interval(row.gain_over_best_single, row.gain_ci, signed=True)


def _cells(row: LeaderboardRow, *, priced: bool, measured: bool) -> list[str]:
    cost = "-" if row.mean_cost_usd is None else f"{1000 * row.mean_cost_usd:.3g}"
    return [
        row.strategy,
        _with_interval(row.accuracy, row.accuracy_ci),
        _gain(row),
        row.verdict,
        *([f"{row.n_measured:,}"] if measured else []),
        f"{row.mean_calls:.2f}",
        *([cost] if priced else []),
        f"{row.mean_rounds:.2f}",
        common.percent(row.oracle_gap_closed),
        f"{row.fit_s:.2f}",
    ]


def _with_interval(value: float, ends: tuple[float, float], *, signed: bool = False) -> str:
    low, high = (common.percent(end, signed=signed) for end in ends)
    return f"{common.percent(value, signed=signed)} [{low}, {high}]"


def _show_scenarios(result: ScenarioResult) -> None:
    console = common.output()
    if result.synthetic:
        console.print("SYNTHETIC DATA: simulated members, not recorded models.")
    for name, description in result.descriptions.items():
        rows = result.of(name)
        if not rows:
            continue
        console.print(f"{result.data}: {name}. {description}")
        table = common.table_of(
            "strategy", "before", "unchanged", "frozen", "lost", "retrained",
            "memory", "gain", "won back %", "attained %", "refit", "gain", "calls",
        )  # fmt: skip
        for row in rows:
            table.add_row(*_scenario_cells(row))
        console.print(table)
    console.print(result.describe())
    for name, reason in result.not_applicable.items():
        console.print(f"not applicable: {name}: {reason}")
    for note in result.notes:
        console.print(f"note: {note}")


def _scenario_cells(row: ScenarioRow) -> list[str]:
    ways = {way.way: way for way in row.adapted}
    memory, refit = ways.get("memory", ways.get("windowed")), ways.get("refit")
    calls = f"{row.mean_calls:.2f}"
    if memory is not None:
        calls += f" / {memory.mean_calls:.2f}"
    return [
        row.strategy,
        common.percent(None if row.before is None else row.before.value),
        common.percent(row.unchanged.value),
        common.percent(row.frozen.value),
        _with_interval(row.lost.value, row.lost.ci, signed=True),
        common.percent(None if row.retrained is None else row.retrained.value),
        *_adapted_cells(memory),
        *_adapted_cells(refit)[:2],
        calls,
    ]


def _adapted_cells(way: Adapted | None) -> list[str]:
    """Accuracy, gain over the frozen policy, and shares of the first window / of later queries."""
    if way is None:
        return ["-", "-", "-", "-"]

    def share(figure: Figure | None) -> str:
        return "-" if figure is None else f"{100 * figure.value:.0f}"

    mark = "*" if way.way == "windowed" else ""
    return [
        common.percent(way.after.value) + mark,
        _with_interval(way.gain.value, way.gain.ci, signed=True),
        f"{share(way.won_back)} / {share(way.won_back_later)}",
        f"{share(way.attained)} / {share(way.attained_later)}",
    ]
