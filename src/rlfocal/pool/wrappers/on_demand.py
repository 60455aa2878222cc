"""Endpoints that are made or opened late.

To plan with a pool needs neither its keys nor its files; a model that nobody asks is not loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["OnDemand", "WhenOpened"]


class OnDemand(Wrapper):
    """Opens what it wraps once, with the first request.

    Args:
        endpoint: what is wrapped.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._opening: asyncio.Future[Endpoint] | None = None

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`. Opening does not count towards its time.

        Raises:
            ConfigError: the endpoint cannot be opened.
        """
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._endpoint.__aenter__())
        # A caller that stops waiting must not cancel what others wait for.
        endpoint = await asyncio.shield(self._opening)
        return await endpoint.send(request, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close what is wrapped, if it was opened."""
        opening, self._opening = self._opening, None
        if opening is None:
            return
        await asyncio.wait([opening])
        if opening.exception() is None:
            await opening.result().close()

    async def __aenter__(self) -> Self:
        """Itself; nothing is opened yet."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close what was opened."""
        await self.close()


class WhenOpened:
    """Stands for an endpoint that is made when it is opened, and is asked and closed from then on.

    Args:
        make: makes it; what it raises is raised there.
    """

    def __init__(self, make: Callable[[], Endpoint]) -> None:
        self._make = make

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """There is nothing to ask yet.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("the endpoint is not open: use it as an asynchronous context")

    async def close(self) -> None:
        """There is nothing to close yet."""

    async def __aenter__(self) -> Endpoint:
        """The endpoint, made and opened."""
        made = self._make()
        await made.__aenter__()
        return made

    async def __aexit__(self, *exc: object) -> None:
        """There is nothing to close yet."""
