"""An endpoint that opens when it is first asked: once, and only then."""

from __future__ import annotations

import asyncio

import pytest

from rlfocal.errors import ConfigError
from rlfocal.pool import Message, Request, Response
from rlfocal.pool.wrappers.base import Wrapper
from rlfocal.pool.wrappers.on_demand import OnDemand

REQUEST = Request((Message("user", "?"),))


class Slow(Wrapper):
    """Opens when it may, or cannot be opened."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken, self.log = broken, list[str]()
        self.is_opening, self.may_open = asyncio.Event(), asyncio.Event()
        self.may_open.set()

    async def __aenter__(self) -> Slow:
        self.log.append("opening")
        self.is_opening.set()
        await asyncio.sleep(0)
        await self.may_open.wait()
        if self.broken:
            raise ConfigError("no such file")
        self.log.append("open")
        return self

    async def close(self) -> None:
        self.log.append("closed")

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        assert self.log[-1] != "opening"
        self.log.append("sent")
        return Response("yes")


def test_it_is_opened_once_for_all_who_come_together() -> None:
    slow = Slow()

    async def run() -> None:
        async with OnDemand(slow) as endpoint:
            assert slow.log == []
            await asyncio.gather(*(endpoint.send(REQUEST, timeout_s=60) for _ in range(3)))

    asyncio.run(run())
    assert slow.log == ["opening", "open", "sent", "sent", "sent", "closed"]


def test_who_nobody_asked_is_neither_opened_nor_closed() -> None:
    slow = Slow()

    async def run() -> None:
        async with OnDemand(slow):
            pass

    asyncio.run(run())
    assert slow.log == []


def test_who_gives_up_while_it_opens_leaves_it_to_others() -> None:
    slow = Slow()

    async def run() -> None:
        async with OnDemand(slow) as endpoint:
            slow.may_open.clear()
            first = asyncio.create_task(endpoint.send(REQUEST, timeout_s=60))
            await slow.is_opening.wait()
            first.cancel()
            await asyncio.wait([first])
            slow.may_open.set()
            assert (await endpoint.send(REQUEST, timeout_s=60)).text == "yes"

    asyncio.run(run())
    assert slow.log == ["opening", "open", "sent", "closed"]


def test_an_endpoint_that_cannot_be_opened_says_so_to_all() -> None:
    slow = Slow(broken=True)

    async def run() -> None:
        async with OnDemand(slow) as endpoint:
            for _ in range(2):
                with pytest.raises(ConfigError, match="no such file"):
                    await endpoint.send(REQUEST, timeout_s=60)

    asyncio.run(run())
    assert slow.log == ["opening"]
