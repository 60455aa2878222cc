"""Stop asking an endpoint that keeps failing, and try again after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["CircuitBreaker"]

_OF_THE_REQUEST = {Failure.BAD_REQUEST, Failure.EMPTY, Failure.FILTERED, Failure.CANCELLED}
"""Failures that say nothing about the endpoint."""


class CircuitBreaker(Wrapper):
    """Closed: requests pass. Open: they fail at once. Half-open: one of them tries.

    Args:
        endpoint: what is wrapped.
        failures: in a row, after which it opens.
        cool_down_s: seconds until one request may try.
        clock: seconds that only grow.

    Raises:
        ValueError: it would open before the first failure.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        failures: int = 5,
        cool_down_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(endpoint)
        if failures < 1:
            raise ValueError(f"failures must be at least 1, got {failures}")
        self._most, self._cool_down_s, self._clock = failures, cool_down_s, clock
        self._in_a_row, self._opened_at = 0, 0.0
        self._trying = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """What would become of a request now."""
        if self._in_a_row < self._most:
            return "closed"
        cooled = self._clock() - self._opened_at >= self._cool_down_s
        return "half-open" if cooled and not self._trying else "open"

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        state = self.state
        if state == "open":
            raise MemberError(
                f"not sent: {self._in_a_row} failures in a row; it is tried again "
                f"{self._cool_down_s:g} s after the last",
                failure=Failure.CIRCUIT_OPEN,
            )
        self._trying = state == "half-open"
        try:
            reply = await self._endpoint.send(request, timeout_s=timeout_s)
        except MemberError as exc:
            if exc.failure not in _OF_THE_REQUEST:
                self._in_a_row += 1
                self._opened_at = self._clock()
            raise
        finally:
            if state == "half-open":
                self._trying = False
        self._in_a_row = 0
        return reply
