"""Time that passes only when everybody waits: hours of waiting are tested in no time, exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock jumps to the next timer when nothing else is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        look = self._selector.select

        def jump(timeout: float | None = None) -> Any:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing will ever happen")
            self._now += timeout
            return look(0)

        self._selector.select = jump

    def time(self) -> float:
        return self._now


@pytest.fixture
def virtually() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in virtual time, from 0 on; `asyncio.get_running_loop().time` is the clock.

    Fails where it leaves tasks behind.
    """

    async def alone(coroutine: Coroutine[Any, Any, Any]) -> Any:
        result = await coroutine
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(alone(coroutine))

    return run
