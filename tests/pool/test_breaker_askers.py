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
        self.member = Member()
        when = Circuits(failures=3, cool_down_s=10, fair_s=1)
        self.breaker = CircuitBreaker(self.member, when, clock=lambda: 0.0)


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
