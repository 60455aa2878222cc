"""What gateways of one database tell each other about members: that one fails, or answers again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from stub_pool import pool_file

from rlfocal.errors import Failure, MemberError
from rlfocal.gateway.circuits.shared import SharedCircuits, of_servers
from rlfocal.gateway.store import Store, Writer
from rlfocal.gateway.store.circuits import CircuitNews
from rlfocal.gateway.store.heart import Heart
from rlfocal.gateway.store.schema import circuits
from rlfocal.pool import CircuitBreaker, Circuits, Message, Request, Response
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.pool.wrappers.breaker import asker

ASKED = Request((Message("user", "?"),))
COOL_DOWN_S = 30.0
SERVER = "s" * 32


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(test(**fixtures))

    return run


class Member:
    """A server: reached, or not, by each gateway apart."""

    def __init__(self) -> None:
        self.is_there = True
        self.n_asked = 0

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.n_asked += 1
        if not self.is_there:
            raise MemberError("no", failure=Failure.UNREACHABLE)
        return Response("x")

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Member:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass


class One:
    """One gateway, as far as its circuit goes."""

    def __init__(self, store: Store) -> None:
        self.member, self.writer = Member(), Writer(store)
        self.now = 1000.0
        self.circuit = CircuitBreaker(
            self.member, Circuits(failures=3, cool_down_s=COOL_DOWN_S), clock=self._clock
        )
        self.heart = Heart(store, self.writer, clock=self._clock)
        self.shared = SharedCircuits(
            store, self.writer, self.heart, {SERVER: self.circuit},
            cool_down_s=COOL_DOWN_S, poll_s=1.0,
        )  # fmt: skip

    def _clock(self) -> float:
        return self.now

    async def ask(self, n: int = 1) -> str:
        """Ask so often; how the last call ended."""
        found = ""
        for _ in range(n):
            try:
                await self.circuit.send(ASKED, timeout_s=60)
                found = "reply"
            except MemberError as exc:
                found = exc.failure.value
        await asyncio.to_thread(self._written)
        return found

    def _written(self) -> None:
        end = time.monotonic() + 20
        while self.writer.counts.n_waiting and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(0.02)  # the batch itself


@asynccontextmanager
async def gateways(store: Store, n: int = 2) -> AsyncIterator[list[One]]:
    made = [One(store) for _ in range(n)]
    async with AsyncExitStack() as stack:
        for one in made:
            stack.callback(one.writer.close)
        yield made


def later(seconds: float, *ones: One) -> None:
    for one in ones:
        one.now += seconds


@in_loop
async def test_of_one_that_is_gone(store: Store) -> None:
    async with gateways(store) as (first, second):
        for one in (first, second):
            one.member.is_there = False
        later(1, first, second)
        await first.ask(3)
        assert first.circuit.state == "open"
        later(1, first, second)
        await second.shared.look()
        assert second.circuit.state == "half-open"
        # One request tries, not three.
        assert await second.ask() == "unreachable"
        assert await second.ask() == "circuit-open"
        assert second.member.n_asked == 1
        # And what has been looked at once is no news.
        later(COOL_DOWN_S - 0.5, first, second)
        await second.shared.look()
        assert second.circuit.state == "open"


@in_loop
async def test_of_one_that_is_back(store: Store) -> None:
    async with gateways(store) as (first, second):
        for one in (first, second):
            one.member.is_there = False
        await first.ask(3)
        await second.shared.look()
        later(20, first, second)
        await second.ask()
        first.member.is_there = second.member.is_there = True
        later(COOL_DOWN_S - 19, first, second)
        assert await first.ask() == "reply"
        assert second.circuit.state == "open"
        await second.shared.look()
        # 11 s after its failure, of 30.
        assert second.circuit.state == "half-open"
        assert await second.ask() == "reply"
        assert second.circuit.state == "closed"


@in_loop
async def test_a_gateway_without_a_network_takes_a_member_from_nobody(store: Store) -> None:
    async with gateways(store) as (sick, busy):
        sick.member.is_there = False
        await sick.ask(1)
        later(1, sick, busy)
        assert await busy.ask() == "reply"
        await sick.ask(2)
        later(1, sick, busy)
        await busy.shared.look()
        assert busy.circuit.state == "closed"  # it has had a reply since the first failure


@in_loop
async def test_nor_from_one_that_has_not_asked_for_a_while(store: Store) -> None:
    async with gateways(store) as (sick, idle):
        sick.member.is_there = False
        await sick.ask(3)
        await idle.shared.look()
        assert await idle.ask() == "reply"
        assert idle.circuit.state == "closed"
        for _ in range(5):  # tried in vain again and again, over there
            later(COOL_DOWN_S, sick, idle)
            await sick.shared.look()
            assert await sick.ask() == "unreachable"
            await idle.shared.look()
            assert idle.circuit.state == "closed"


@in_loop
async def test_one_that_starts_later_hears_of_it(store: Store) -> None:
    async with gateways(store, 1) as (first,):
        first.member.is_there = False
        await first.ask(3)
        later(COOL_DOWN_S, first)
        await first.ask()  # tried in vain
        async with gateways(store, 1) as (second,):
            second.now = first.now + 5
            await second.shared.look()
            assert second.circuit.state == "half-open"
        async with gateways(store, 1) as (third,):
            third.now = first.now + 2 * COOL_DOWN_S  # older news say nothing
            await third.shared.look()
            assert third.circuit.state == "closed"


@in_loop
async def test_failures_of_one_key_alone_stay_its_own(store: Store) -> None:
    async with gateways(store) as (first, second):
        first.member.is_there = False
        asker.set("key-1")
        await first.ask(3)
        await second.shared.look()
        assert second.circuit.state == "half-open"
        asker.set("key-2")
        assert second.circuit.state == "closed"


@in_loop
async def test_calls_that_were_under_way_when_the_news_came_do_not_count(store: Store) -> None:
    async with gateways(store) as (_, second):
        going = asyncio.Event()

        async def send(request: Request, *, timeout_s: float) -> Response:
            await going.wait()
            raise MemberError("no", failure=Failure.UNREACHABLE)

        second.member.send = send  # type: ignore[method-assign]
        call = asyncio.create_task(second.circuit.send(ASKED, timeout_s=60))
        await asyncio.sleep(0)
        second.circuit.doubt()
        going.set()
        with pytest.raises(MemberError):
            await call
        assert second.circuit.state == "half-open"


@in_loop
async def test_of_each_server_one_row(store: Store) -> None:
    async with gateways(store) as (first, second):
        first.member.is_there = second.member.is_there = False
        await first.ask(3)
        later(1, first, second)
        await second.ask(3)
    with store.connections.read() as connection:
        (row,) = connection.execute(sa.select(circuits)).mappings()
    assert row["process"] == second.heart.id
    assert (row["is_open"], row["asker"], row["at"]) == (True, None, 1001.0)


@in_loop
async def test_news_of_members_that_this_gateway_has_not_are_passed_over(store: Store) -> None:
    async with gateways(store, 1) as (one,):
        with store.connections.write() as connection:
            store.circuits.put(
                connection, CircuitNews("other", "somebody", one.now, one.now, True, None)
            )
        await one.shared.look()
        assert one.circuit.state == "closed"


def test_a_server_has_one_name_everywhere_and_a_file_none(tmp_path: Path) -> None:
    def names(edit: Callable[[str], str]) -> set[str]:
        path = pool_file(tmp_path, "http://127.0.0.1:9/v1")
        path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
        settings: PoolSettings = read_pool(path)
        return set(of_servers(settings, LivePool(settings, circuits=Circuits()).members))

    same = names(str)
    assert len(same) == 4
    assert names(lambda text: text.replace('"stub"', '"house"').replace("s.stub]", "s.house]")) == (
        same
    )
    assert not same & names(lambda text: text.replace(":9/", ":10/"))
    assert len(same & names(lambda text: text.replace('model = "hasty"', 'model = "h2"'))) == 3
    local = '\n[endpoints.file]\nkind = "llama-cpp"\npath = "m.gguf"\n\n[[members]]\nname = "f"\n'
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    assert names(lambda text: text + local + 'endpoint = "file"\nmodel = "m"\n') == same
    assert of_servers(read_pool(pool_file(tmp_path, "http://x/v1")), []) == {}
