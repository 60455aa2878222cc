"""Work that goes on beside the requests, for as long as a gateway is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["background"]


@asynccontextmanager
async def background(*works: Any) -> AsyncIterator[None]:
    """Do some things until the block ends; each of them goes on for ever by itself."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
