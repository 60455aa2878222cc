"""What all wrappers share: opening and closing what they wrap."""

from __future__ import annotations

from typing import Self

from rlfocal.pool.types import Endpoint

__all__ = ["Wrapper"]


class Wrapper:
    """An endpoint around an endpoint.

    Args:
        endpoint: what is wrapped.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def close(self) -> None:
        """Close what is wrapped."""
        await self._endpoint.close()

    async def __aenter__(self) -> Self:
        """Open what is wrapped; what that gives back is asked from now on."""
        self._endpoint = await self._endpoint.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close what is wrapped."""
        await self._endpoint.__aexit__(*exc)
