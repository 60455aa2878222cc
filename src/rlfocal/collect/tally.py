"""How a collection stands, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Tally"]


@dataclass
class Tally:
    """How a collection stands."""

    n_calls: int
    """Calls of the plan."""
    n_stored: int = 0
    """Of those, replies that were there before, or came from another collector."""
    n_skipped: int = 0
    """Failed in an earlier run and not asked for again."""
    n_answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """By kind."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Members given up, and why."""
    n_attempted: int = 0
    cost_usd: float = 0.0
    unsettled_usd: float = 0.0
    """What failed attempts may cost at most: nobody told whether they are on the bill."""
    n_unpriced: int = 0
    stopped: str | None = None
    """Why it ended before all was done; None where it did not."""

    @property
    def complete(self) -> bool:
        """True when every reply of the plan is stored."""
        return self.n_stored + self.n_answered == self.n_calls

    @property
    def n_settled(self) -> int:
        """Calls that need no further work in this run."""
        return self.n_stored + self.n_skipped + self.n_answered + self.failures.total()
