"""Make an endpoint when it is opened: to plan with a pool needs neither its keys nor its files."""

from __future__ import annotations

from collections.abc import Callable

from rlfocal.pool.types import Endpoint, Request, Response

__all__ = ["WhenOpened"]


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
