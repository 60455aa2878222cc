"""What `rlfocal bench --scenario` prints: what a change costs, and what adapting wins back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rlfocal.cli.output.console import print_notes, terminal
from rlfocal.cli.output.tables import Column, interval, percent, print_table, show_synthetic

if TYPE_CHECKING:
    from rlfocal.bench.scenarios import Adapted, ScenarioResult, ScenarioRow
    from rlfocal.bench.statistics import Estimate

__all__ = ["show_scenarios"]


def show_scenarios(result: ScenarioResult) -> None:
    """Print a table for each scenario."""
    console = terminal()
    show_synthetic(result.synthetic)
    for name, description in result.descriptions.items():
        rows = result.of(name)
        if rows:
            console.print(f"{result.data}: {name}. {description}")
            _show_rows(rows)
    console.print(result.describe())
    for name, reason in result.not_applicable.items():
        console.print(f"not applicable: {name}: {reason}")
    print_notes(result.notes)


def _show_rows(rows: Sequence[ScenarioRow]) -> None:
    print_table(
        rows,
        Column("strategy", lambda row: row.strategy),
        Column("before", lambda row: _accuracy(row.before), spare=3),
        Column("unchanged", lambda row: _accuracy(row.unchanged), spare=6),
        Column("frozen", lambda row: _accuracy(row.frozen)),
        Column(
            "lost",
            lambda row: interval(row.lost.value, row.lost.ci, signed=True),
            short=lambda row: percent(row.lost.value, signed=True),
        ),
        Column("retrained", lambda row: _accuracy(row.retrained), spare=5),
        Column("memory", lambda row: _after(_memory(row))),
        Column(
            "its gain",
            lambda row: _gain(_memory(row)),
            short=lambda row: _gain(_memory(row), short=True),
        ),
        Column("won back %", lambda row: _shares(_memory(row), "won_back"), spare=7),
        Column("attained %", lambda row: _shares(_memory(row), "attained"), spare=8),
        Column("refit", lambda row: _after(_way(row, "refit")), spare=1),
        Column("gain of refit", lambda row: _gain(_way(row, "refit")), spare=2),
        Column("calls", _calls, spare=4),
    )


def _way(row: ScenarioRow, *names: str) -> Adapted | None:
    ways = {way.way: way for way in row.adapted}
    return next((ways[name] for name in names if name in ways), None)


def _memory(row: ScenarioRow) -> Adapted | None:
    return _way(row, "memory", "windowed")


def _accuracy(figure: Estimate | None) -> str | None:
    return None if figure is None else percent(figure.value)


def _after(way: Adapted | None) -> str | None:
    return None if way is None else percent(way.after.value) + "*" * (way.way == "windowed")


def _gain(way: Adapted | None, *, short: bool = False) -> str | None:
    if way is None:
        return None
    if short:
        return percent(way.gain.value, signed=True)
    return interval(way.gain.value, way.gain.ci, signed=True)


def _shares(way: Adapted | None, name: str) -> str | None:
    """A share of the first window / of later queries."""
    if way is None:
        return None
    figures: list[Estimate | None] = [getattr(way, name), getattr(way, f"{name}_later")]
    return " / ".join("-" if each is None else f"{100 * each.value:.0f}" for each in figures)


def _calls(row: ScenarioRow) -> str:
    memory = _memory(row)
    beside = "" if memory is None else f" / {memory.mean_calls:.2f}"
    return f"{row.mean_calls:.2f}{beside}"
