"""Counts of a collection's progress."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from rlfocal.records.database import StoredError

__all__ = ["Cause", "Tally"]


@dataclass
class Cause:
    """Why calls of a member failed in one way."""

    member: str
    failure: str
    """A value of `rlfocal.errors.Failure`."""
    n: int = 0
    """Calls."""
    status: int | None = None
    """HTTP status of the latest, where there was one."""
    message: str = ""
    """Message of the latest, which quotes the server."""


@dataclass
class Tally:
    """Counts of a collection's progress."""

    n_calls: int
    """Calls of the plan."""
    n_stored: int = 0
    """Of those, replies stored before this run, or by another collector."""
    n_skipped: int = 0
    """Calls that failed in an earlier run and are not retried."""
    n_unread: int = 0
    """Calls of readers that were not made: nobody whom they read has replied."""
    n_answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """By kind."""
    causes: dict[tuple[str, str], Cause] = field(default_factory=dict)
    """By member and kind."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Members given up, and why."""
    n_attempted: int = 0
    cost_usd: float = 0.0
    uncertain_cost_usd: float = 0.0
    """Upper bound of costs that are not confirmed: failed attempts that may be billed, and replies
    whose server has not counted their tokens."""
    n_unpriced: int = 0
    n_bounded: int = 0
    """Replies with option scores of which some are bounds: the letter was not among the tokens."""
    n_lost: int = 0
    """Replies received that could not be stored."""
    lost_usd: float = 0.0
    """Cost of those, as far as they have a price."""
    stopped: str | None = None
    """Reason for stopping early; None where all is done."""

    @property
    def complete(self) -> bool:
        """True when every reply of the plan is stored."""
        return self.n_stored + self.n_answered == self.n_calls

    @property
    def n_settled(self) -> int:
        """Calls that need no further work in this run."""
        n_made = self.n_answered + self.failures.total()
        return self.n_stored + self.n_skipped + self.n_unread + n_made

    def failed(self, error: StoredError) -> None:
        """Count a call that failed."""
        self.failures[error.failure] += 1
        kind = error.member, error.failure
        cause = self.causes.setdefault(kind, Cause(*kind))
        cause.n += 1
        cause.status, cause.message = error.status, error.message

    def as_json(self) -> dict[str, Any]:
        """All counts as plain values; `causes` as a list."""
        figures = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return figures | {
            "failures": dict(self.failures),
            "causes": [asdict(cause) for cause in self.causes.values()],
            "dropped": dict(self.dropped),
        }
