"""Add up what failed attempts may cost: who gave no reply may send a bill all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["Unsettled"]

_TURNED_AWAY = {
    Failure.UNAUTHORISED,
    Failure.UNKNOWN_MODEL,
    Failure.BAD_REQUEST,
    Failure.RATE_LIMITED,
    Failure.CIRCUIT_OPEN,
}
"""Refused before any token was read or written. All else may have been worked on: a time-out, a
broken connection, a reply that could not be used, a gateway's 5xx with the model behind it."""


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
                self.usd += self._most_usd(request)
            raise
        except asyncio.CancelledError:  # a server need not notice that nobody waits any more
            self.usd += self._most_usd(request)
            raise
