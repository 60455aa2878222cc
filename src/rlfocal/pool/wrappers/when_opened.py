"""Make an endpoint when it is opened: to plan with a pool needs neither its keys nor its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from rlfocal.pool.types import Endpoint, Request, Response

__all__ = ["WhenOpened"]


class WhenOpened:
    """An endpoint that is made the moment it is opened.

    Args:
        make: makes it; what it raises is raised there.
    """

    def __init__(self, make: Callable[[], Endpoint]) -> None:
        self._make = make
        self._made: Endpoint | None = None

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`.

        Raises:
            RuntimeError: it was never opened.
        """
        if self._made is None:
            raise RuntimeError("the endpoint is not open: use it as an asynchronous context")
        return await self._made.send(request, timeout_s=timeout_s)

    async def close(self) -> None:
        """Close what was made."""
        if self._made is not None:
            await self._made.close()

    async def __aenter__(self) -> Self:
        """Make it and open it."""
        if self._made is None:
            self._made = self._make()
        await self._made.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        if self._made is not None:
            await self._made.__aexit__(*exc)
