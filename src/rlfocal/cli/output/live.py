"""What `rlfocal bench --live` prints beside the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlfocal.cli.output.console import terminal
from rlfocal.cli.output.tables import Column, joined, print_table

if TYPE_CHECKING:
    from rlfocal.bench.result import BenchResult

__all__ = ["show_estimate", "show_live"]

_WORDS = {
    "n_calls": "calls to be made, at most",
    "n_stored": "outcomes that are stored",
    "n_tokens": "tokens, with replies as long as may be",
    "cost_usd": "dollars, by these tokens",
    "most_usd": "dollars, at the very most",
    "unpriced": "unpriced members",
}


def show_estimate(figures: Mapping[str, Any]) -> None:
    """Say what conversations may come to; dollars are without what unpriced members cost."""
    print_table(
        [(name, value) for name, value in figures.items() if value != []],
        Column("conversations", lambda row: _WORDS[row[0]], prose=True),
        Column("", lambda row: _figure(*row), prose=True),
    )


def _figure(name: str, value: Any) -> str:
    if isinstance(value, list):
        return joined(value)
    return f"{value:,.4f}" if name.endswith("usd") else f"{value:,.0f}"


def show_live(result: BenchResult) -> None:
    """Show what rows took beside calls, where conversations stand among them."""
    if not result.live:
        return
    from rlfocal.bench.figures.live import BESIDE, HEAD, cells_of

    terminal().print(f"\n{BESIDE}")
    print_table(
        [cells_of(row) for row in result.live],
        Column("", lambda cells: cells[0]),
        *(_column(HEAD[place], place) for place in range(1, len(HEAD))),
    )


def _column(title: str, place: int) -> Column[tuple[str, str, str, str]]:
    return Column(
        title.lower().replace("usd", "USD"),
        lambda cells: cells[place],
        short=lambda cells: cells[place].split(" [")[0],
    )
