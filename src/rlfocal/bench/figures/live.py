"""What the rows of a leaderboard took beside calls, where conversations stand among them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LiveFigures"]


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
