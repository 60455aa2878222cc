"""Limits against the ideal schedule, in virtual time; nobody pays for who has given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Limited, Message, Request, Response
from rlfocal.pool.wrappers.limits import Turns

Virtually = Callable[[Coroutine[Any, Any, Any]], Any]


def now() -> float:
    return asyncio.get_running_loop().time()


class Slow:
    """Takes its time, and notes when it was asked and what time it was given."""

    def __init__(self, takes_s: float) -> None:
        self.takes_s = takes_s
        self.started: list[float] = []
        self.asked: list[str] = []
        self.timeouts: list[float] = []
        self.under_way = self.most = 0

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.started.append(now())
        self.timeouts.append(timeout_s)
        self.asked.append(request.text)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.under_way -= 1
        return Response("x", latency_s=self.takes_s)

    async def close(self) -> None: ...
    async def __aenter__(self) -> Slow:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


def asked(text: str = "?") -> Request:
    return Request((Message("user", text),))


async def flood(limited: Limited, n: int, timeout_s: float = 1e6) -> list[Response | MemberError]:
    async def one(i: int) -> Response | MemberError:
        try:
            return await limited.send(asked(str(i)), timeout_s=timeout_s)
        except MemberError as exc:
            return exc

    return await asyncio.gather(*(one(i) for i in range(n)))


def test_so_many_at_once_and_in_order(virtually: Virtually) -> None:
    async def go() -> None:
        inner = Slow(10)
        await flood(Limited(inner, concurrency=3, clock=now), 8)
        assert inner.most == 3
        assert inner.started == pytest.approx([0, 0, 0, 10, 10, 10, 20, 20])
        assert inner.asked == [str(i) for i in range(8)]

    virtually(go())


@pytest.mark.parametrize(("per_minute", "takes_s", "concurrency"), [(60, 0.1, 9), (7, 30, 50)])
def test_starts_are_even_as_in_the_ideal_schedule(
    virtually: Virtually, per_minute: float, takes_s: float, concurrency: int
) -> None:
    async def go() -> None:
        inner = Slow(takes_s)
        limited = Limited(inner, concurrency=concurrency, per_minute=per_minute, clock=now)
        await flood(limited, 20)
        assert inner.started == pytest.approx([i * 60 / per_minute for i in range(20)])

    virtually(go())


def test_both_limits_together(virtually: Virtually) -> None:
    async def go() -> None:
        inner = Slow(5)
        await flood(Limited(inner, concurrency=2, per_minute=30, clock=now), 5)
        assert inner.started == pytest.approx([0, 2, 5, 7, 10])

    virtually(go())


def test_time_without_requests_is_not_saved_up(virtually: Virtually) -> None:
    async def go() -> None:
        inner = Slow(0)
        limited = Limited(inner, concurrency=9, per_minute=60, clock=now)
        await limited.send(asked(), timeout_s=1)
        await asyncio.sleep(100)
        await flood(limited, 3)
        assert inner.started == pytest.approx([0, 100, 101, 102])

    virtually(go())


def test_waiting_counts_against_the_time_but_not_as_latency(virtually: Virtually) -> None:
    async def go() -> None:
        inner = Slow(4)
        replies = await flood(Limited(inner, concurrency=1, clock=now), 3, timeout_s=9)
        assert [r.latency_s for r in replies if isinstance(r, Response)] == [4, 4, 4]
        assert inner.timeouts == pytest.approx([9, 5, 1])

    virtually(go())


def test_who_waits_too_long_for_a_place_is_told_so(virtually: Virtually) -> None:
    async def go() -> None:
        inner = Slow(4)
        replies = await flood(Limited(inner, concurrency=1, clock=now), 3, timeout_s=7)
        failed = replies[2]
        assert isinstance(failed, MemberError)
        assert failed.failure is Failure.TIMEOUT
        assert "waited 7 s for its turn" in str(failed)
        assert "raise concurrency" in str(failed)
        assert inner.asked == ["0", "1"]

    virtually(go())


def test_who_would_come_too_late_takes_no_moment_from_others(virtually: Virtually) -> None:
    async def go() -> None:
        inner = Slow(0)
        limited = Limited(inner, concurrency=9, per_minute=6, clock=now)
        await limited.send(asked(), timeout_s=1)
        failed = (await flood(limited, 5, timeout_s=3))[0]
        assert isinstance(failed, MemberError)
        assert "not sent" in str(failed)
        assert now() == pytest.approx(0, abs=3)
        await limited.send(asked(), timeout_s=60)
        assert inner.started == pytest.approx([0, 10])

    virtually(go())


def test_a_cancelled_wait_takes_no_moment_and_no_place(virtually: Virtually) -> None:
    async def go() -> None:
        inner = Slow(0)
        limited = Limited(inner, concurrency=4, per_minute=6, clock=now)
        await limited.send(asked(), timeout_s=1)
        waiting = [asyncio.create_task(limited.send(asked(), timeout_s=600)) for _ in range(8)]
        await asyncio.sleep(5)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert all(task.cancelled() for task in waiting)
        await flood(limited, 2)
        assert inner.started == pytest.approx([0, 10, 20])

    virtually(go())


def test_a_failure_gives_its_place_back(virtually: Virtually) -> None:
    class Failing(Slow):
        async def send(self, request: Request, *, timeout_s: float) -> Response:
            await super().send(request, timeout_s=timeout_s)
            raise MemberError("no", failure=Failure.SERVER_ERROR)

    async def go() -> None:
        inner = Failing(1)
        replies = await flood(Limited(inner, concurrency=1, clock=now), 3)
        assert [str(reply) for reply in replies] == ["no"] * 3
        assert inner.started == pytest.approx([0, 1, 2])

    virtually(go())


@pytest.mark.parametrize(("concurrency", "per_minute"), [(0, None), (1, 0.0), (1, -3.0)])
def test_limits_that_let_nothing_through_are_refused(
    concurrency: int, per_minute: float | None
) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limited(Slow(0), concurrency=concurrency, per_minute=per_minute)


class Shared:
    """Gives moments of one rate to several, as the database does."""

    def __init__(self) -> None:
        self.next, self.sizes = 0.0, list[int]()

    async def __call__(self, n: int, every_s: float) -> float:
        first = max(self.next, now())
        self.next = first + n * every_s
        self.sizes.append(n)
        return first - now()


def shared_turns(shared: Shared, concurrency: int) -> Turns:
    turns = Turns(concurrency, 600, now)  # ten a second
    turns.lease = shared
    return turns


def test_moments_that_others_share_are_had_in_portions(virtually: Virtually) -> None:
    started: list[float] = []

    async def one(turns: Turns) -> None:
        async with turns:
            await turns.moment()
            started.append(now())

    async def run() -> Shared:
        shared = Shared()
        both = [shared_turns(shared, 25), shared_turns(shared, 25)]
        await asyncio.gather(*(one(turns) for turns in both for _ in range(25)))
        return shared

    shared = virtually(run())
    assert sorted(started) == pytest.approx([k / 10 for k in range(50)])
    assert max(shared.sizes) == 10  # a second's worth
    assert sum(shared.sizes) == 50  # and none for who does not wait


def test_a_moment_that_has_passed_is_not_made_up_for(virtually: Virtually) -> None:
    async def run() -> list[float]:
        turns, started = shared_turns(Shared(), 10), list[float]()

        async def one() -> None:
            await turns.moment()
            started.append(now())

        waiting = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in waiting[1:]:
            task.cancel()
        await asyncio.sleep(5)
        await asyncio.gather(one(), one())
        return started

    assert virtually(run()) == pytest.approx([0.0, 5.05, 5.15])


def test_who_stops_waits_for_no_moment(virtually: Virtually) -> None:
    async def run() -> float:
        turns = Turns(1, 0.01, now)
        turns.lease = Shared()
        await turns.moment()
        asyncio.get_running_loop().call_later(1.0, turns.stop)
        await turns.moment()
        return now()

    assert virtually(run()) == pytest.approx(1.0)
