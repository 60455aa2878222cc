"""What is under way for requests, and what becomes of it when the gateway ends."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["UnderWay"]


class UnderWay:
    """Holds on to tasks until they are done: the event loop itself does not."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._broken_off: set[asyncio.Task[Any]] = set()

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold on to one."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def break_off(self) -> None:
        """Cancel all that have not been cancelled yet, as the gateway ends."""
        for task in self._tasks:
            if not task.cancelling():
                self._broken_off.add(task)
                task.cancel()

    def was_broken_off(self, task: asyncio.Task[Any]) -> bool:
        """Whether the gateway's end has cancelled it, and nobody before: no client hung up."""
        return task in self._broken_off

    async def end(self) -> None:
        """Break off all, and wait until they have ended."""
        self.break_off()
        await asyncio.gather(*self._tasks, return_exceptions=True)
