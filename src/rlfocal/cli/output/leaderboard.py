"""What `rlfocal bench` prints of strategies compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlfocal.cli.output.console import print_notes, terminal
from rlfocal.cli.output.live import show_live
from rlfocal.cli.output.tables import (
    Column,
    interval,
    percent,
    print_table,
    show_synthetic,
    usd_per_1k,
)

if TYPE_CHECKING:
    from rlfocal.bench import BenchResult, LeaderboardRow
    from rlfocal.bench.budgets import BudgetCell

__all__ = ["show_leaderboard"]


def show_leaderboard(result: BenchResult, *, has_report: bool = False) -> None:
    """Print every strategy's figures, what equal cost buys, and how to go on.

    Args:
        result: of the benchmark.
        has_report: whether a report shows what has no place here.
    """
    console = terminal()
    show_synthetic(result.synthetic)
    measured = result.missing is not None
    print_table(
        result.rows,
        Column(result.data, lambda row: row.strategy),
        Column(
            "accuracy %",
            lambda row: interval(row.accuracy, row.accuracy_ci),
            short=lambda row: percent(row.accuracy),
        ),
        Column(
            "gain over best single",
            _gain,
            short=lambda row: percent(row.gain_over_best_single, signed=True),
        ),
        Column("verdict", lambda row: row.verdict),
        Column(
            "measured", lambda r: f"{r.n_measured:,}" if measured else None, optional=True, spare=1
        ),
        Column("calls", lambda row: f"{row.mean_calls:.2f}"),
        Column("task hidden %", _hidden_accuracy, optional=True),
        Column("given - hidden", _lost, short=_short_lost, optional=True),
        Column("calls hidden", _hidden_calls, optional=True, spare=1),
        Column("USD / 1k", lambda row: usd_per_1k(row.mean_cost_usd), optional=True, spare=2),
        Column("rounds", lambda row: f"{row.mean_rounds:.2f}", spare=3),
        Column("gap closed %", lambda row: percent(row.oracle_gap_closed), spare=4),
        Column("fit s", lambda row: f"{row.fit_s:.2f}", spare=5),
    )
    console.print(result.describe())
    show_live(result)
    _show_equal_cost(result, "At equal cost")
    if result.hidden is not None:
        _show_equal_cost(result.hidden, "At equal cost, tasks hidden")
    for name, reason in result.not_applicable.items():
        console.print(f"not applicable: {name}: {reason}")
    print_notes(result.notes)
    _show_advice(result)
    if result.frontiers and not has_report:
        names = ", ".join(result.frontiers)
        console.print(f"Accuracy against cost of {names}: --json FILE or --report DIR")


def _show_advice(result: BenchResult) -> None:
    """Say what to use, where tasks are given and where they are hidden, and what serves it."""
    from rlfocal.advice import advise

    console = terminal()
    ways = [result] if result.hidden is None else [result, result.hidden]
    found = [advice for advice in map(advise, ways) if advice is not None]
    if not found and result.missing is not None and result.missing.withheld:
        console.print("\nNo advice: too many responses are missing to say what is better.")
    for advice in found:
        console.print(f"\n{advice.sentence()}")
    for command in dict.fromkeys(advice.command for advice in found):
        if command is not None:
            console.print(f"To train and serve it: {command}", soft_wrap=True)


def _gain(row: LeaderboardRow) -> str | None:
    if row.gain_over_best_single is None or row.gain_ci is None:
        return None
    return interval(row.gain_over_best_single, row.gain_ci, signed=True)


def _hidden_accuracy(row: LeaderboardRow) -> str | None:
    return None if row.hidden is None else percent(row.hidden.accuracy)


def _hidden_calls(row: LeaderboardRow) -> str | None:
    return None if row.hidden is None else f"{row.hidden.mean_calls:.2f}"


def _lost(row: LeaderboardRow) -> str | None:
    hidden = row.hidden
    if hidden is None or hidden.lost is None or hidden.lost_ci is None:
        return None
    return interval(hidden.lost, hidden.lost_ci, signed=True)


def _short_lost(row: LeaderboardRow) -> str:
    return percent(None if row.hidden is None else row.hidden.lost, signed=True)


def _show_equal_cost(result: BenchResult, title: str) -> None:
    """Show what equal cost buys, under the leaderboard; nothing without a learned strategy."""
    from rlfocal.bench.budgets import EQUAL_COST

    def difference(cell: BudgetCell) -> str:
        return interval(cell.difference, cell.difference_ci, signed=True)

    for axis, cells in result.cells().items():
        print_table(
            cells,
            Column("learned", lambda cell: cell.strategy),
            Column("budget", lambda cell: cell.label),
            Column("accuracy %", lambda cell: percent(cell.accuracy), spare=1),
            Column("best simple", lambda cell: cell.rival, left=True),
            Column("its accuracy %", lambda cell: percent(cell.rival_accuracy), spare=2),
            Column("difference", difference),
            Column("verdict", lambda cell: cell.verdict, left=True),
            title=f"{title}: {result.axis_title(axis)}",
            section_after=lambda cell: cell.budget is None,
        )
    if result.budgets:
        terminal().print(EQUAL_COST)
