"""Bodies of requests: how many come in at once for each key, and how slowly one may come.

A body that is still on its way holds no place among the requests under way, so that who sends
slowly is in nobody's way but that of his own key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import Request

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store.keys import Key

__all__ = ["Bodies", "read_body"]

_SHARE = 8
"""Of the bodies that may come at once, one key has an eighth."""
_SPARE = 4
"""More bodies at once than a key may have requests under way: some will be refused."""
_QUEUE = 4
"""Times as many may wait for their turn."""


@dataclass
class _OfKey:
    """Bodies of one key."""

    turn: asyncio.Semaphore
    most: int
    n: int = field(default=0)
    """That come or wait."""


class Bodies:
    """Places for bodies on their way; belongs to one event loop.

    Args:
        settings: `in_flight` bodies may come at once, an eighth of them of one key.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._of: dict[str, _OfKey] = {}
        self.n_open = 0
        """Bodies that are coming just now."""

    def most_of(self, key: Key) -> int:
        """How many bodies of a key may come at once."""
        share = max(1, self._settings.in_flight // _SHARE)
        concurrency = key.limits.concurrency
        return share if concurrency is None else min(share, concurrency + _SPARE)

    @asynccontextmanager
    async def place(self, key: Key) -> AsyncIterator[None]:
        """Wait for a turn, and hold it.

        Raises:
            ApiError: 429, the key has too many already, or all keys together have.
        """
        own = self._of.get(key.id)
        if own is None:
            most = self.most_of(key)
            own = self._of[key.id] = _OfKey(asyncio.Semaphore(most), most)
        if own.n >= own.most * (1 + _QUEUE):
            raise _too_many(f"{own.n} bodies of this key are on their way or wait")
        own.n += 1
        try:
            if own.turn.locked():
                await self._turn(own)
            else:
                await own.turn.acquire()
            try:
                if self.n_open >= self._settings.in_flight:
                    raise _too_many(f"{self.n_open} bodies are on their way")
                self.n_open += 1
                try:
                    yield
                finally:
                    self.n_open -= 1
            finally:
                own.turn.release()
        finally:
            own.n -= 1
            if not own.n:
                del self._of[key.id]

    async def _turn(self, own: _OfKey) -> None:
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                await own.turn.acquire()
        except TimeoutError:
            raise _too_many(f"{own.most} bodies of this key come slowly") from None


def _too_many(what: str) -> ApiError:
    return ApiError(
        429, "too_many_bodies", f"{what}; send them one after another", retry_after_s=1.0
    )


async def read_body(request: Request, settings: GatewaySettings, *, is_here: bool = False) -> bytes:
    """Read a JSON body, and no more of it than is allowed.

    Args:
        request: whose body nobody has read.
        settings: of what it may be.
        is_here: whether all of it has come: then nobody has to look at the clock.

    Raises:
        ApiError: 415 another type or an encoding, 413 too long, 408 too slow.
    """
    headers = request.headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of another origin can send anything else without asking us first.
        raise ApiError(415, "unsupported_media_type", "send Content-Type: application/json")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise ApiError(415, "unsupported_media_type", "send the body without Content-Encoding")
    most = settings.most_body_bytes
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise _too_long(most)
    if is_here:
        body = await request.body()
        if len(body) > most:
            raise _too_long(most)
        return body
    parts, size = [], 0
    began = asyncio.get_running_loop().time()
    ends = began + settings.body_timeout_s
    try:
        async with asyncio.timeout_at(min(ends, began + settings.body_grace_s)) as limit:
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_long(most)
                parts.append(part)
                earned_s = settings.body_grace_s + size / settings.body_bytes_per_s
                limit.reschedule(min(ends, began + earned_s))
    except TimeoutError:
        raise ApiError(
            408, "body_timeout",
            f"the body came too slowly: {size} bytes so far; at least "
            f"{settings.body_bytes_per_s} bytes a second are waited for, and at most "
            f"{settings.body_timeout_s:g} s",
            headers={"Connection": "close"},
        ) from None  # fmt: skip
    return b"".join(parts)


def _too_long(most: int) -> ApiError:
    return ApiError(413, "body_too_large", f"a body of more than {most} bytes; send less")
