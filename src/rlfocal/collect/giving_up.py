"""When a member is given up for the rest of a run, because the rest of its calls would fail, too.

What a server says once and for all (a wrong key, an empty account) is believed at once. Other
failures have to come one after another: calls that were under way together met the same moment,
and count once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.building import LiveMember

__all__ = ["GivingUp"]

_FINAL = {Failure.UNAUTHORISED, Failure.OUT_OF_CREDIT}
_ROUNDS = {Failure.UNKNOWN_MODEL: 2}
"""Number of times in a row that a kind of failure must occur before a member is given up."""
_MOST_ROUNDS = 4
_MOST_FAILURES = 10
"""Both, for failures of any other kind."""


@dataclass
class _Row:
    """Failures of a member since its last success."""

    n: int = 0
    n_rounds: int = 0
    """Those of calls begun one after another."""
    last: float = 0.0
    """When the latest round was counted."""


class GivingUp:
    """Counts failures in a row, of each member."""

    def __init__(self) -> None:
        self._rows: dict[int, _Row] = {}

    def answered(self, member: int) -> None:
        """A call was answered."""
        self._rows.pop(member, None)

    def reason(self, number: int, member: LiveMember, begun: float, exc: MemberError) -> str | None:
        """Why a member is given up whose call has just failed; None where it is not.

        Args:
            number: of the member.
            member: what it says of itself counts before what is counted here.
            begun: by `time.monotonic`.
            exc: how the call failed; one that was not sent does not count.
        """
        if member.given_up is not None or exc.failure is Failure.CIRCUIT_OPEN:
            return member.given_up
        return self.failed(number, begun, time.monotonic(), exc)

    def failed(self, member: int, begun: float, now: float, exc: MemberError) -> str | None:
        """Count a member's failed call; returns why the member is given up, None where it is not.

        `begun` and `now` are seconds by one clock.
        """
        row = self._rows.setdefault(member, _Row())
        row.n += 1
        if row.n == 1 or begun >= row.last:
            row.n_rounds += 1
            row.last = now
        if exc.failure in _FINAL:
            return str(exc)
        rounds = _ROUNDS.get(exc.failure)
        if rounds is not None:
            hopeless = row.n_rounds >= rounds
        else:
            hopeless = row.n_rounds >= _MOST_ROUNDS and row.n >= _MOST_FAILURES
        return f"{row.n} failures in a row, the last: {exc}" if hopeless else None
