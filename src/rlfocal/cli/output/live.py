"""What `rlfocal bench --live` prints beside the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlfocal.cli.output.console import terminal
from rlfocal.cli.output.tables import Column, print_table

if TYPE_CHECKING:
    from rlfocal.bench.result import BenchResult

__all__ = ["show_estimate", "show_live"]

_WORDS = {
    "n_calls": "calls to be made, at most",
    "n_stored": "outcomes that are stored",
    "n_tokens": "tokens, with replies as long as may be",
    "cost_usd": "dollars, by these tokens",
    "most_usd": "dollars, at the very most",
}


def show_estimate(figures: Mapping[str, float]) -> None:
    """Say what conversations may come to."""
    print_table(
        list(figures.items()),
        Column("conversations", lambda row: _WORDS[row[0]]),
        Column("", lambda row: f"{row[1]:,.4f}" if row[0].endswith("usd") else f"{row[1]:,.0f}"),
    )


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
