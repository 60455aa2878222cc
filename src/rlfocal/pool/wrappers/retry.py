"""Send a request again where the failure may pass."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from rlfocal.errors import MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper
from rlfocal.pool.wrappers.text_relay import TextRelay

__all__ = ["Retrying", "drawn_wait"]


def drawn_wait(attempt: int, first_s: float, most_s: float, rng: random.Random) -> float:
    """Seconds before the next attempt: drawn between 0 and a bound that doubles (full jitter).

    Args:
        attempt: how often it has been tried; 1 or more.
        first_s: bound after the first attempt.
        most_s: bound of all waits.
        rng: draws.
    """
    # From the 64th on the bound is the most wait by far, and a float would not hold it.
    return rng.uniform(0, min(most_s, first_s * 2.0 ** min(attempt - 1, 63)))


class Retrying(Wrapper):
    """Repeats calls, waiting longer each time, within the time that the caller allows.

    The wait is drawn between 0 and a bound that doubles (full jitter), so that those whom a server
    turned away together do not come back together; where the server says how long to wait, it is
    that, and no less.

    Args:
        endpoint: what is wrapped.
        attempts: times a request is sent at most.
        first_wait_s: bound of the first wait.
        most_wait_s: bound of all waits.
        rng: draws them.
        sleep: waits; another one in tests.
        clock: seconds that only grow.

    Raises:
        ValueError: fewer than one attempt, or a negative wait.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        attempts: int = 4,
        first_wait_s: float = 0.5,
        most_wait_s: float = 30.0,
        rng: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(endpoint)
        if attempts < 1 or min(first_wait_s, most_wait_s) < 0:
            raise ValueError(
                "attempts must be at least 1 and waits at least 0, got "
                f"{attempts}, {first_wait_s} and {most_wait_s}"
            )
        self._attempts, self._first, self._most = attempts, first_wait_s, most_wait_s
        self._rng, self._sleep, self._clock = rng, sleep, clock

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        end = self._clock() + timeout_s
        attempt, relay = 0, None
        if request.on_text is not None:
            relay = TextRelay(request.on_text)
            request = replace(request, on_text=relay)
        while True:
            attempt += 1
            try:
                reply = await self._endpoint.send(request, timeout_s=end - self._clock())
                if attempt == 1:
                    return reply
                return replace(reply, n_attempts=reply.n_attempts + attempt - 1)
            except MemberError as exc:
                error = exc
            wait = self._wait(attempt, error.retry_after_s)
            # What has been told cannot be taken back: another reply would follow half of this one.
            has_begun = relay is not None and relay.started
            last = attempt == self._attempts or not error.failure.passes or has_begun
            if last or self._clock() + wait >= end:
                raise error
            await self._sleep(wait)
            if self._clock() >= end:
                raise error  # it overslept; there is no time in which to fail in another way

    def _wait(self, attempt: int, asked_s: float | None) -> float:
        drawn = drawn_wait(attempt, self._first, self._most, self._rng)
        return drawn if asked_s is None else max(drawn, asked_s)
