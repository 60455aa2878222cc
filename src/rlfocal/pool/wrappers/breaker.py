"""Stop asking an endpoint that keeps failing, and try again after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["CircuitBreaker", "Circuits", "State"]

_OF_THE_REQUEST = {Failure.BAD_REQUEST, Failure.EMPTY, Failure.FILTERED, Failure.CANCELLED}
"""Failures that say nothing about the endpoint."""


State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True)
class Circuits:
    """When circuits open.

    Raises:
        ValueError: one would open before the first failure.
    """

    failures: int = 5
    """In a row, after which it opens."""
    cool_down_s: float = 30.0
    """Seconds until one request may try."""
    fair_s: float = 5.0
    """Whoever allows less time has no right to complain: such a time-out does not count, or a
    client in a hurry could close a member for everybody."""

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise ValueError(f"failures must be at least 1, got {self.failures}")


class CircuitBreaker(Wrapper):
    """Closed: requests pass. Open: they fail at once. Half-open: one of them tries.

    Args:
        endpoint: what is wrapped.
        when: when it opens.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        when: Circuits = Circuits(),
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(endpoint)
        self._when, self._clock = when, clock
        self._in_a_row, self._opened_at = 0, 0.0
        self._trying = False

    @property
    def state(self) -> State:
        """What would become of a request now."""
        if self._in_a_row < self._when.failures:
            return "closed"
        cooled = self._clock() - self._opened_at >= self._when.cool_down_s
        return "half-open" if cooled and not self._trying else "open"

    @property
    def retry_after_s(self) -> float:
        """Seconds until an open circuit lets a request try; 0 for one that is not open."""
        if self.state != "open":
            return 0.0
        return max(0.0, self._when.cool_down_s - (self._clock() - self._opened_at))

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        state = self.state
        if state == "open":
            raise MemberError(
                f"not sent: {self._in_a_row} failures in a row; it is tried again "
                f"{self._when.cool_down_s:g} s after the last",
                failure=Failure.CIRCUIT_OPEN,
                retry_after_s=self.retry_after_s,
            )
        self._trying = state == "half-open"
        try:
            reply = await self._endpoint.send(request, timeout_s=timeout_s)
        except MemberError as exc:
            hurried = exc.failure is Failure.TIMEOUT and timeout_s < self._when.fair_s
            if exc.failure not in _OF_THE_REQUEST and not hurried:
                self._in_a_row += 1
                self._opened_at = self._clock()
            raise
        finally:
            if state == "half-open":
                self._trying = False
        self._in_a_row = 0
        return reply
