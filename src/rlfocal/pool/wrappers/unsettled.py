"""Add up what failed attempts may cost: who gave no reply may send a bill all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["Bill", "Unsettled", "billed"]

_TURNED_AWAY = {
    Failure.UNAUTHORISED,
    Failure.UNKNOWN_MODEL,
    Failure.BAD_REQUEST,
    Failure.RATE_LIMITED,
    Failure.CIRCUIT_OPEN,
}
"""Refused before any token was read or written. All else may have been worked on: a time-out, a
broken connection, a reply that could not be used, a gateway's 5xx with the model behind it."""


@dataclass
class Bill:
    """What the failed attempts of some calls may cost."""

    usd: float = 0.0
    """Dollars, at most."""


_bill: ContextVar[Bill | None] = ContextVar("bill", default=None)


@contextmanager
def billed() -> Iterator[Bill]:
    """Note what failed attempts may cost that are made inside, by tasks begun there too."""
    bill = Bill()
    token = _bill.set(bill)
    try:
        yield bill
    finally:
        _bill.reset(token)


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
        try:
            return await self._endpoint.send(request, timeout_s=timeout_s)
        except MemberError as exc:
            if exc.failure not in _TURNED_AWAY:
                self._note(request)
            raise
        except asyncio.CancelledError:  # a server need not notice that nobody waits any more
            self._note(request)
            raise

    def _note(self, request: Request) -> None:
        usd = self._most_usd(request)
        self.usd += usd
        if (bill := _bill.get()) is not None:
            bill.usd += usd
