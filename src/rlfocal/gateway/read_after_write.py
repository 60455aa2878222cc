"""A request's row is written just after its reply: whoever comes back at once waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rlfocal.gateway.errors import ApiError

__all__ = ["until_written"]

Found = TypeVar("Found")
_WAITS_S = (0.02, 0.1, 0.3)
"""Another process may still be writing it."""


async def until_written(look: Callable[[], Awaitable[Found]]) -> Found:
    """Look again a few times where a row is not found."""
    for wait_s in _WAITS_S:
        found = await look()
        if not (isinstance(found, ApiError) and found.status == 404):
            return found
        await asyncio.sleep(wait_s)
    return await look()
