"""What calls come to while they are made: paid, perhaps to be paid, or still under way.

Every attempt is on the bill from the moment at which it is sent, at the most that it may cost, so
whatever ends a request there is no moment at which money is forgotten. Who gave no reply may send a
bill all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper
from rlfocal.pool.wrappers.text_relay import TextRelay

__all__ = ["Bill", "Unsettled", "billed", "current_bill"]

_TURNED_AWAY = {
    Failure.UNAUTHORISED,
    Failure.OUT_OF_CREDIT,
    Failure.UNKNOWN_MODEL,
    Failure.BAD_REQUEST,
    Failure.RATE_LIMITED,
    Failure.OURS,
    Failure.CIRCUIT_OPEN,
}
"""Refused before any token was read or written. All else may have been worked on: a time-out, a
broken connection, a reply that could not be used, a gateway's 5xx with the model behind it."""


@dataclass
class Bill:
    """What some calls come to, in dollars; true at every moment."""

    paid_usd: float = 0.0
    """Of replies, by what their servers have counted."""
    failed_usd: float = 0.0
    """What failed attempts, and replies whose server has not counted, may cost at most."""
    under_way_usd: float = 0.0
    """What attempts may cost at most that are being made."""
    n_under_way: int = 0

    @property
    def unsettled_usd(self) -> float:
        """What may have to be paid beside `paid_usd`, at most."""
        return self.failed_usd + self.under_way_usd

    @property
    def most_usd(self) -> float:
        """All of it together, at most."""
        return self.paid_usd + self.unsettled_usd


current_bill: ContextVar[Bill | None] = ContextVar("current_bill", default=None)
"""On which calls of this context are put; None where nobody keeps one."""


@contextmanager
def billed() -> Iterator[Bill]:
    """Note what calls come to that are made inside, by tasks begun there too."""
    bill = Bill()
    token = current_bill.set(bill)
    try:
        yield bill
    finally:
        current_bill.reset(token)


class Unsettled(Wrapper):
    """Stands inside the repeats, so that every attempt counts.

    Args:
        endpoint: what is wrapped.
        most_usd: what sending a request once may cost.
    """

    def __init__(self, endpoint: Endpoint, most_usd: Callable[[Request], float]) -> None:
        super().__init__(endpoint)
        self._most_usd = most_usd
        self.usd = 0.0
        """Dollars so far, at most."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        usd, bill = self._most_usd(request), current_bill.get() or Bill()
        bill.under_way_usd += usd
        bill.n_under_way += 1
        try:
            return await self._endpoint.send(request, timeout_s=timeout_s)
        except MemberError as exc:
            free = exc.failure in _TURNED_AWAY or exc.turned_away
            if not free or exc.has_begun or _has_spoken(request):
                self._note(bill, usd)
            raise
        except BaseException:  # cancelled: a server need not notice that nobody waits any more
            self._note(bill, usd)
            raise
        finally:
            bill.n_under_way -= 1
            # Exactly nothing, where sums of floats would leave a little.
            bill.under_way_usd = bill.under_way_usd - usd if bill.n_under_way else 0.0

    def _note(self, bill: Bill, usd: float) -> None:
        self.usd += usd
        bill.failed_usd += usd


def _has_spoken(request: Request) -> bool:
    """True where part of the reply has come: whatever the error says, it was worked on."""
    return isinstance(request.on_text, TextRelay) and request.on_text.started
