"""What `rlfocal bench --live` prints beside the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rlfocal.cli.output.console import terminal
from rlfocal.cli.output.tables import Column, print_table

if TYPE_CHECKING:
    from rlfocal.bench.figures.live import LiveFigures
    from rlfocal.bench.result import BenchResult

__all__ = ["show_estimate", "show_live"]

_WORDS = {
    "n_calls": "calls to be made, at most",
    "n_stored": "outcomes that are stored",
    "n_tokens": "tokens of these, with replies as long as they may be",
    "cost_usd": "dollars, by these tokens",
    "most_usd": "dollars, if every byte were a token and every attempt billed",
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
    terminal().print("\nBeside calls, a query (brackets: 95 % intervals):")
    print_table(
        result.live,
        Column("", lambda row: f"{row.strategy} (live)" if row.live else row.strategy),
        Column("tokens", _tokens, optional=True),
        Column("seconds", _seconds, optional=True),
        Column("USD / 1k", _usd, optional=True),
    )


def _tokens(row: LiveFigures) -> str | None:
    return _with_interval(row.mean_tokens, row.tokens_ci, 1.0, ".0f")


def _seconds(row: LiveFigures) -> str | None:
    return _with_interval(row.mean_s, row.s_ci, 1.0, ".2f")


def _usd(row: LiveFigures) -> str | None:
    return _with_interval(row.mean_usd, row.usd_ci, 1000.0, ".3g")


def _with_interval(
    value: float | None, ci: tuple[float, float] | None, scale: float, form: str
) -> str | None:
    if value is None or ci is None:
        return None
    low, high = (f"{scale * end:{form}}" for end in ci)
    return f"{scale * value:{form}} [{low}, {high}]"
