"""Hold requests back: so many at once, so many a minute."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["Lease", "Limited", "Turns"]

Lease = Callable[[int, float], Awaitable[float]]
"""Takes so many moments, so many seconds apart, that nobody else is given; returns seconds to the
first."""

_AHEAD_S = 1.0
"""For how long moments are leased at most."""
_LATE_S = 0.25
"""After its moment a request starts no later; a moment that has passed is lost, not made up for."""


class Turns(asyncio.Semaphore):
    """Places for requests under way, and moments at which they start; first come, first served.

    Requests a minute are spread evenly, so that a server which counts by the second is not
    surprised either.

    Args:
        concurrency: requests under way at once.
        per_minute: requests started in a minute; None for no limit.
        clock: seconds that only grow.

    Raises:
        ValueError: no request could ever pass.
    """

    def __init__(
        self, concurrency: int, per_minute: float | None, clock: Callable[[], float]
    ) -> None:
        if concurrency < 1 or (per_minute is not None and per_minute <= 0):
            raise ValueError(
                "concurrency must be at least 1 and per_minute above 0, got "
                f"{concurrency} and {per_minute}"
            )
        super().__init__(concurrency)
        self._every_s = 0.0 if per_minute is None else 60.0 / per_minute
        self.has_pace = per_minute is not None
        """Whether who has a place waits for a moment, too."""
        self._next, self._clock = clock(), clock
        self._turns = asyncio.Lock()
        self.lease: Lease | None = None
        """Where others share the rate: from whom moments are had."""
        self._leased: deque[float] = deque()
        self._n_waiting = 0
        self._over = asyncio.Event()

    async def moment(self, end: float = math.inf) -> None:
        """Wait for the next free moment, with a place in hand.

        One request waits for it, the others for that request: so a moment is taken when it has
        come, and who gives up or comes too late has taken none.

        Args:
            end: by the clock; a moment after it is of no use.

        Raises:
            TimeoutError: the next free moment is too late.
        """
        self._n_waiting += 1
        try:
            async with self._turns:
                if self.lease is not None:
                    await self._shared(self.lease)
                if self._next >= end:
                    raise TimeoutError
                await self._sleep(self._next - self._clock())
                if self._leased:
                    self._leased.popleft()
                self._next = max(self._next, self._clock()) + self._every_s
        finally:
            self._n_waiting -= 1

    def stop(self) -> None:
        """Let nobody wait for a moment any more: what has one is not sent."""
        self._over.set()

    async def _shared(self, lease: Lease) -> None:
        """Let the next moment be one that no other process has."""
        while self._leased and self._leased[0] < self._clock() - _LATE_S:
            self._leased.popleft()
        if not (self._leased or self._over.is_set()):
            most = max(1, int(_AHEAD_S / self._every_s))
            n = min(most, self._n_waiting)
            first = await lease(n, self._every_s) + self._clock()
            self._leased.extend(first + k * self._every_s for k in range(n))
        if self._leased:
            self._next = max(self._next, self._leased[0])

    async def _sleep(self, wait_s: float) -> None:
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._over.wait()


class Limited(Wrapper):
    """Lets requests through in the order they came.

    Waiting counts against the caller's time, not as the server's latency.

    Args:
        endpoint: what is wrapped.
        concurrency: requests under way at once.
        per_minute: requests started in a minute, evenly spread; None for no limit.
        clock: seconds that only grow.

    Raises:
        ValueError: no request could ever pass.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        concurrency: int,
        per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(endpoint)
        self._turns, self._clock = Turns(concurrency, per_minute, clock), clock

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        turns, has_place = self._turns, False
        end = self._clock() + timeout_s
        try:
            if timeout_s > 0 and not (turns.has_pace or turns.locked()):
                has_place = await turns.acquire()  # at once
            else:
                try:
                    async with asyncio.timeout(timeout_s):
                        has_place = await turns.acquire()
                        if turns.has_pace:
                            await turns.moment(end)
                except TimeoutError:
                    raise _waited(timeout_s) from None
            left = end - self._clock()
            if left <= 0:
                raise _waited(timeout_s)
            return await self._endpoint.send(request, timeout_s=left)
        finally:
            if has_place:
                turns.release()


def _waited(timeout_s: float) -> MemberError:
    return MemberError(
        f"not sent: it waited {timeout_s:.3g} s for its turn; raise concurrency or per_minute, ask "
        "less at once, or allow more time",
        failure=Failure.TIMEOUT,
    )
