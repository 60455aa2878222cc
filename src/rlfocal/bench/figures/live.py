"""What the rows of a leaderboard took beside calls, where conversations stand among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BESIDE", "HEAD", "LiveFigures", "cells_of", "markdown_of"]

BESIDE = (
    "What a query takes beside calls: tokens of prompts and replies, seconds (the slowest call of "
    "each round, added up), dollars for 1,000 queries. Brackets: 95 % intervals over queries."
)
"""How to read the figures; shown with them."""
HEAD = ("Strategy", "Tokens", "Seconds", "USD / 1k queries")


@dataclass(frozen=True, kw_only=True)
class LiveFigures:
    """Means over tested queries of one row of the leaderboard; None where not known of each."""

    strategy: str
    live: bool
    """Whether it is a conversation."""
    mean_tokens: float | None
    """Of prompts and replies, a query."""
    tokens_ci: tuple[float, float] | None
    """95 % interval over queries."""
    mean_s: float | None
    """Seconds a query: the slowest call of each round, added up."""
    s_ci: tuple[float, float] | None
    mean_usd: float | None
    """Dollars a query."""
    usd_ci: tuple[float, float] | None


def cells_of(row: LiveFigures) -> tuple[str, str, str, str]:
    """A row as texts under `HEAD`; a dash for what is not known."""
    name = f"{row.strategy} (live)" if row.live else row.strategy
    return (
        name,
        _shown(row.mean_tokens, row.tokens_ci, 1.0, ".0f"),
        _shown(row.mean_s, row.s_ci, 1.0, ".2f"),
        _shown(row.mean_usd, row.usd_ci, 1000.0, ".3g"),
    )


def markdown_of(rows: Sequence[LiveFigures]) -> list[str]:
    """Lines of Markdown; none without rows."""
    if not rows:
        return []
    lines = [f"| {' | '.join(cells_of(row))} |" for row in rows]
    return ["", "## Beside calls", "", BESIDE, "", f"| {' | '.join(HEAD)} |",
            "|:--|--:|--:|--:|", *lines]  # fmt: skip


def _shown(value: float | None, ci: tuple[float, float] | None, scale: float, form: str) -> str:
    if value is None or ci is None:
        return "-"
    low, high = (f"{scale * end:{form}}" for end in ci)
    return f"{scale * value:{form}} [{low}, {high}]"
