"""Whose failures open a circuit: those of plain requests, for one asker or for all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import CircuitBreaker, Circuits, Message, Request, Response
from rlfocal.pool.wrappers.breaker import asker

ASKED = Request((Message("user", "?"),))
DOWN = Failure.SERVER_ERROR


class Member:
    """Fails as `next` says."""

    def __init__(self) -> None:
        self.next: Failure | None = None
        self.status: int | None = None
        self.n_asked = 0

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.n_asked += 1
        if self.next is not None:
            raise MemberError("no", failure=self.next, status=self.status)
        return Response("x")

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Member:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass


class Bench:
    """A breaker that opens after three failures."""

    def __init__(self) -> None:
        self.member, self.now = Member(), 0.0
        when = Circuits(failures=3, cool_down_s=10, fair_s=1)
        self.breaker = CircuitBreaker(self.member, when, clock=lambda: self.now)


@contextmanager
def asking(who: str | None) -> Iterator[None]:
    token = asker.set(who)
    try:
        yield
    finally:
        asker.reset(token)


OF_THE_MEMBER = (Failure.UNREACHABLE, Failure.UNAUTHORISED, Failure.OUT_OF_CREDIT, Failure.TIMEOUT)
ODD = {
    "own fields": Request((Message("user", "?"),), extra={"grammar": "(((bad"}),
    "images": Request((Message("user", "?", parts=({"type": "image_url"},)),)),
    "an orphan": Request((Message("user", "?"), Message("tool", "7", extra={"tool_call_id": "x"}))),
    "no turns": Request((Message("assistant", "!"), Message("user", "?"), Message("user", "?"))),
}


async def fails(
    bench: Bench, request: Request, failure: Failure | None, who: str | None = None
) -> Failure | None:
    bench.member.next = failure
    with asking(who):
        try:
            await bench.breaker.send(request, timeout_s=1)
        except MemberError as exc:
            return exc.failure
    return None


@pytest.mark.parametrize("failure", list(Failure))
@pytest.mark.parametrize("odd", ODD)
def test_what_an_odd_request_may_have_done_shuts_nobody_out(odd: str, failure: Failure) -> None:
    async def go() -> None:
        bench = Bench()
        for _ in range(9):
            await fails(bench, ODD[odd], failure)
        assert bench.breaker.state == ("open" if failure in OF_THE_MEMBER else "closed")

    asyncio.run(go())


def test_a_server_that_is_away_is_away_whatever_it_was_asked() -> None:
    async def go(status: int) -> str:
        bench = Bench()
        bench.member.status = status
        for _ in range(3):
            await fails(bench, ODD["own fields"], DOWN)
        return bench.breaker.state

    found = {status: asyncio.run(go(status)) for status in (500, 501, 502, 503, 504)}
    assert found == {500: "closed", 501: "closed", 502: "open", 503: "open", 504: "open"}


@pytest.mark.parametrize("failure", [DOWN, Failure.UNREACHABLE, Failure.TIMEOUT])
def test_one_asker_shuts_a_member_for_himself_alone(failure: Failure) -> None:
    async def go() -> None:
        bench = Bench()
        for _ in range(3):
            assert await fails(bench, ASKED, failure, "a") is failure
        assert bench.breaker.state == "open"  # as seen by nobody in particular
        assert await fails(bench, ASKED, failure, "a") is Failure.CIRCUIT_OPEN
        assert bench.member.n_asked == 3
        # It fails for another one, too, so it is the member; a third is not asked any more.
        assert await fails(bench, ASKED, failure, "b") is failure
        assert await fails(bench, ASKED, failure, "c") is Failure.CIRCUIT_OPEN
        assert await fails(bench, ASKED, failure, "b") is Failure.CIRCUIT_OPEN
        assert bench.member.n_asked == 4

    asyncio.run(go())


def test_an_answer_to_another_asker_closes_it_for_all() -> None:
    async def go() -> None:
        bench = Bench()
        for _ in range(3):
            await fails(bench, ASKED, DOWN, "a")
        assert await fails(bench, ASKED, None, "b") is None
        assert bench.breaker.state == "closed"
        assert await fails(bench, ASKED, DOWN, "a") is DOWN

    asyncio.run(go())


def test_what_fails_for_one_of_several_askers_is_shut_for_nobody_in_general() -> None:
    async def go() -> None:
        bench = Bench()
        await fails(bench, ASKED, None, "b")
        for _ in range(3):
            await fails(bench, ASKED, DOWN, "a")
        with asking("a"):
            assert bench.breaker.state == "open"
        for who in ("a", "b", "probe", None):  # whoever looks
            with asking(who):
                assert bench.breaker.state_for_all == "closed"
        await fails(bench, ASKED, DOWN, "b")
        for who in ("a", "b", "probe", None):
            with asking(who):
                assert bench.breaker.state_for_all == "open"
        bench.now = 10.0
        assert bench.breaker.state_for_all == "half-open"

    asyncio.run(go())


@pytest.mark.parametrize("who", ["a", None])
def test_where_nobody_else_asks_it_is_shut_for_all_who_ask(who: str | None) -> None:
    async def go() -> None:
        bench = Bench()
        for _ in range(3):
            await fails(bench, ASKED, DOWN, who)
        for looks in (who, "probe", None):
            with asking(looks):
                assert bench.breaker.state_for_all == "open"

    asyncio.run(go())


def test_who_has_not_asked_for_long_is_nobody_to_be_asked_for() -> None:
    """Or whoever tried a gateway once would keep it from ever saying that its members are gone."""

    async def go() -> None:
        bench = Bench()
        await fails(bench, ASKED, None, "who set it up")
        for _ in range(3):
            await fails(bench, ASKED, DOWN, "a")
        assert bench.breaker.state_for_all == "closed"
        bench.now = 3601.0
        await fails(bench, ASKED, DOWN, "a")
        assert bench.breaker.state_for_all == "open"

    asyncio.run(go())


# What others have found out ---------------------------------------------------------------------


class Slow(Member):
    """Answers when it is let, each call by its own word."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[asyncio.Future[Failure | None]] = []

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        said: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        self.calls.append(said)
        failure = await said
        if failure is not None:
            raise MemberError("no", failure=failure)
        return Response("x")


class SlowBench:
    """One whose calls are under way for as long as a test wants; told changes are counted."""

    def __init__(self) -> None:
        self.member, self.n_told, self.now = Slow(), 0, 0.0
        when = Circuits(failures=3, cool_down_s=10, fair_s=1)
        self.breaker = CircuitBreaker(self.member, when, clock=lambda: self.now)
        self.breaker.on_change = self._told

    def _told(self) -> None:
        self.n_told += 1

    async def begin(self, who: str | None = None) -> asyncio.Task[Response]:
        with asking(who):
            task = asyncio.create_task(self.breaker.send(ASKED, timeout_s=60))
        await asyncio.sleep(0)
        return task

    async def end(self, n: int, failure: Failure | None, task: asyncio.Task[Response]) -> None:
        self.member.calls[n].set_result(failure)
        await asyncio.wait({task})
        if failure is None:
            assert task.exception() is None
        else:
            assert isinstance(task.exception(), MemberError)


def test_a_doubt_takes_a_member_from_nobody_until_a_request_has_failed() -> None:
    async def go() -> None:
        bench = SlowBench()
        bench.breaker.doubt()
        tasks = [await bench.begin() for _ in range(3)]
        assert len(bench.member.calls) == 3
        for look in (bench.breaker.state, bench.breaker.state_for_all):
            assert look == "half-open"
        await bench.end(1, None, tasks[1])
        assert bench.breaker.state == "closed"
        await bench.end(0, DOWN, tasks[0])
        assert bench.breaker.state == "closed"  # one failure, after a reply
        await bench.end(2, None, tasks[2])

    asyncio.run(go())


def test_a_doubt_that_comes_true_opens_it_once_whoever_was_under_way() -> None:
    async def go() -> None:
        bench = SlowBench()
        bench.breaker.doubt()
        tasks = [await bench.begin(who) for who in ("a", "b", "c")]
        await bench.end(1, DOWN, tasks[1])
        assert bench.breaker.state == "open"
        assert (await bench.begin()).done()
        assert len(bench.member.calls) == 3
        bench.now = 6.0
        for n in (
            0,
            2,
        ):  # the others' failures are the same one: neither told, nor a reason to wait
            await bench.end(n, DOWN, tasks[n])
        assert bench.n_told == 1
        bench.now = 10.0
        assert bench.breaker.state == "half-open"
        # Now one tries, and no other.
        trying = await bench.begin()
        assert bench.breaker.state == "open"
        await bench.end(3, None, trying)
        assert bench.breaker.state == "closed"

    asyncio.run(go())


def test_who_is_late_of_those_in_doubt_lets_no_second_one_try() -> None:
    async def go() -> None:
        bench = SlowBench()
        bench.breaker.doubt()
        tasks = [await bench.begin() for _ in range(2)]
        await bench.end(0, DOWN, tasks[0])
        bench.now = 10.0
        trying = await bench.begin()
        await bench.end(1, DOWN, tasks[1])
        assert bench.breaker.state == "open"
        await bench.end(2, DOWN, trying)

    asyncio.run(go())


def test_a_doubt_ends_when_others_are_answered_again() -> None:
    """Though nobody has asked here meanwhile: a day later one failure is one failure."""
    bench = Bench()
    bench.breaker.doubt()
    assert bench.breaker.state_for_all == "half-open"
    bench.breaker.relieve()
    assert bench.breaker.state_for_all == "closed"
    assert not bench.breaker.is_tripped


def test_a_try_that_says_nothing_leaves_the_doubt() -> None:
    async def go() -> None:
        bench = SlowBench()
        bench.breaker.doubt("a")
        task = await bench.begin("a")
        await bench.end(0, Failure.EMPTY, task)
        with asking("a"):
            assert bench.breaker.state == "half-open"
        with asking("b"):
            assert bench.breaker.state == "closed"
        task = await bench.begin("a")
        await bench.end(1, DOWN, task)
        with asking("a"):
            assert bench.breaker.state == "open"
        with asking("b"):
            assert bench.breaker.state == "closed"

    asyncio.run(go())
