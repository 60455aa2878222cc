"""Hold requests back: so many at once, so many a minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["Limited"]


class Limited(Wrapper):
    """Lets requests through in the order they came.

    Waiting counts against the caller's time, not as the server's latency. Requests a minute are
    spread evenly, so that a server which counts by the second is not surprised either.

    Args:
        endpoint: what is wrapped.
        concurrency: requests under way at once.
        per_minute: requests started in a minute; None for no limit.
        clock: seconds that only grow.
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
        self._places = asyncio.Semaphore(concurrency)
        self._every_s = 0.0 if per_minute is None else 60.0 / per_minute
        self._next, self._clock = clock(), clock

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        end = self._clock() + timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise _waited(timeout_s) from None
        try:
            if self._every_s:
                await self._turn(end, timeout_s)
            return await self._endpoint.send(request, timeout_s=end - self._clock())
        finally:
            self._places.release()

    async def _turn(self, end: float, timeout_s: float) -> None:
        """Wait for the next free moment; one that comes too late is left to others."""
        now = self._clock()
        moment = max(self._next, now)
        if moment >= end:
            raise _waited(timeout_s)
        self._next = moment + self._every_s
        await asyncio.sleep(moment - now)


def _waited(timeout_s: float) -> MemberError:
    return MemberError(
        f"not sent: it waited {timeout_s:.3g} s for its turn; raise concurrency or per_minute, ask "
        "less at once, or allow more time",
        failure=Failure.TIMEOUT,
    )
