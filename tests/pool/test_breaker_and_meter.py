"""The breaker's states by a hand-moved clock; the meter's sums by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import CircuitBreaker, Circuits, Message, Metered, Price, Request, Response
from rlfocal.pool.prices import most_prompt_tokens
from rlfocal.pool.wrappers.text_relay import TextRelay
from rlfocal.pool.wrappers.unsettled import Bill, Unsettled, billed

ASKED = Request((Message("user", "?"),))


class Member:
    """Does what `next` says."""

    def __init__(self) -> None:
        self.next: Failure | Response = Response("x")
        self.n_asked = self.n_closed = 0
        self.gate: asyncio.Event | None = None
        self.words = ""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.n_asked += 1
        said = self.next
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(said, Failure):
            raise MemberError(self.words or said.value, failure=said)
        return said

    async def close(self) -> None:
        self.n_closed += 1

    async def __aenter__(self) -> Member:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class Bench:
    """A breaker that opens after three failures, for ten seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.member = Member()
        self.breaker = CircuitBreaker(
            self.member,
            Circuits(failures=3, cool_down_s=10, fair_s=1),
            name="m",
            clock=lambda: self.now,
        )

    async def ask(self, said: Failure | Response) -> Failure | None:
        self.member.next = said
        try:
            await self.breaker.send(ASKED, timeout_s=1)
        except MemberError as exc:
            return exc.failure
        return None


OK = Response("x")
DOWN = Failure.SERVER_ERROR


async def opened() -> Bench:
    bench = Bench()
    for _ in range(3):
        assert bench.breaker.state == "closed"
        assert await bench.ask(DOWN) is DOWN
    assert bench.breaker.state == "open"
    return bench


def test_it_opens_after_failures_in_a_row_and_spares_the_server() -> None:
    async def go() -> None:
        bench = await opened()
        assert await bench.ask(OK) is Failure.CIRCUIT_OPEN
        assert bench.member.n_asked == 3

    asyncio.run(go())


def test_a_success_begins_the_count_anew() -> None:
    async def go() -> None:
        bench = Bench()
        for said in (DOWN, DOWN, OK, DOWN, DOWN):
            await bench.ask(said)
        assert bench.breaker.state == "closed"

    asyncio.run(go())


@pytest.mark.parametrize("failure", list(Failure))
def test_failures_of_the_request_do_not_count(failure: Failure) -> None:
    async def go() -> None:
        bench = Bench()
        for _ in range(5):
            await bench.ask(failure)
        of_the_request = failure in (
            Failure.BAD_REQUEST, Failure.EMPTY, Failure.FILTERED, Failure.CANCELLED, Failure.OURS,
        )  # fmt: skip
        assert bench.breaker.state == ("closed" if of_the_request else "open")

    asyncio.run(go())


def test_one_request_tries_after_the_cool_down_and_closes_it() -> None:
    async def go() -> None:
        bench = await opened()
        bench.now = 9.9
        assert bench.breaker.state == "open"
        bench.now = 10.0
        assert bench.breaker.state == "half-open"
        assert await bench.ask(OK) is None
        assert bench.breaker.state == "closed"

    asyncio.run(go())


def test_a_failed_try_opens_it_again_for_the_whole_cool_down() -> None:
    async def go() -> None:
        bench = await opened()
        bench.now = 15.0
        assert await bench.ask(DOWN) is DOWN
        bench.now = 24.9
        assert await bench.ask(OK) is Failure.CIRCUIT_OPEN
        bench.now = 25.0
        assert await bench.ask(OK) is None

    asyncio.run(go())


@pytest.mark.parametrize("end", ["answer", "cancel"])
def test_only_one_tries_and_a_cancelled_try_frees_the_way(end: str) -> None:
    async def go() -> None:
        bench = await opened()
        bench.now, bench.member.gate = 10.0, asyncio.Event()
        trying = asyncio.create_task(bench.ask(OK))
        await asyncio.sleep(0)
        assert bench.member.n_asked == 4
        assert await bench.ask(OK) is Failure.CIRCUIT_OPEN
        if end == "cancel":
            trying.cancel()
            with pytest.raises(asyncio.CancelledError):
                await trying
            assert bench.breaker.state == "half-open"
        bench.member.gate.set()
        if end == "answer":
            assert await trying is None
        assert await bench.ask(OK) is None
        assert bench.breaker.state == "closed"

    asyncio.run(go())


def test_a_breaker_that_is_never_closed_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Circuits(failures=0)


def test_price_by_hand() -> None:
    price = Price(2.5, 10.0, date(2025, 1, 31))
    assert price.of(1_000_000, 0) == 2.5
    assert price.of(1000, 200) == pytest.approx(0.0045)
    assert price.of(None, 5) is None
    assert price.of(5, None) is None
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="at least 0"):
            Price(wrong, 0.0)
        with pytest.raises(ValueError, match="at least 0"):
            Price(0.0, wrong)


def test_cached_tokens_have_a_price_of_their_own_or_the_usual_one() -> None:
    price, usual = Price(2.0, 10.0, cached_usd_per_million=0.5), Price(2.0, 10.0)
    assert price.of(1000, 100) == usual.of(1000, 100) == pytest.approx(0.003)
    assert usual.of(1000, 100, n_cached=800) == pytest.approx(0.003)
    assert price.of(1000, 100, n_cached=800) == pytest.approx(0.0018)
    assert price.of(1000, 100, n_cached=0) == pytest.approx(0.003)
    # Of a count that cannot be, all that there is.
    assert price.of(1000, 0, n_cached=10**6) == pytest.approx(0.0005)
    assert price.charged(ASKED, 1000, 100, n_cached=800) == (pytest.approx(0.0018), 0.0)
    # Where the prompt was not counted, what is said of a part of it takes nothing off its most.
    _, beyond = price.charged(ASKED, None, 100, n_cached=800)
    assert beyond == pytest.approx(usual.charged(ASKED, None, 100)[1])
    assert price.most(ASKED) == usual.most(ASKED)
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="at least 0"):
            Price(2.0, 10.0, cached_usd_per_million=wrong)
    with pytest.raises(ValueError, match="no more than others: 3 is more than 2"):
        Price(2.0, 10.0, cached_usd_per_million=3.0)


def test_the_meter_takes_what_came_from_a_cache_at_its_price() -> None:
    async def cost(price: Price, reply: Response) -> float | None:
        member = Member()
        member.next = reply
        return (await Metered(member, price).send(ASKED, timeout_s=1)).cost_usd

    warm = Response("a", n_prompt_tokens=1000, n_completion_tokens=10, n_cached_tokens=900)
    price = Price(1.0, 2.0, cached_usd_per_million=0.1)
    assert asyncio.run(cost(price, warm)) == pytest.approx(210e-6)
    assert asyncio.run(cost(price, replace(warm, n_cached_tokens=None))) == pytest.approx(1020e-6)
    assert asyncio.run(cost(Price(1.0, 2.0), warm)) == pytest.approx(1020e-6)
    assert asyncio.run(cost(price, replace(warm, cost_usd=0.5))) == 0.5


def test_the_meter_adds_up_and_keeps_what_the_server_charged() -> None:
    async def go() -> None:
        member = Member()
        meter = Metered(member, Price(1.0, 2.0))
        costs = []
        for said in (
            Response("a", n_prompt_tokens=100, n_completion_tokens=50),
            Response("b", n_prompt_tokens=10, n_completion_tokens=10, cost_usd=0.5),
            Response("c", n_prompt_tokens=7),
        ):
            member.next = said
            with billed() as bill:
                reply = await meter.send(ASKED, timeout_s=1)
            costs.append(reply.cost_usd)
            assert (bill.paid_usd, bill.failed_usd) == (reply.cost_usd, reply.unsettled_usd)
        assert costs == [pytest.approx(0.0002), 0.5, pytest.approx(7e-6)]
        assert reply.unsettled_usd == pytest.approx(512 * 2 / 1e6)

    asyncio.run(go())


MOST = Price(1.0, 2.0).most(ASKED)
REPLY_MOST = 512 * 2 / 1e6
BY_COUNTS = (10 + 2 * 5) / 1e6


@pytest.mark.parametrize(
    ("reply", "paid", "unsettled"),
    [
        (Response("x", n_prompt_tokens=10, n_completion_tokens=5), BY_COUNTS, 0.0),
        (Response("x"), 0.0, MOST),
        (Response("x", n_prompt_tokens=0, n_completion_tokens=0), 0.0, MOST),
        (Response("x", n_prompt_tokens=10, n_completion_tokens=0), 10e-6, REPLY_MOST),
        (Response("", n_prompt_tokens=10, n_completion_tokens=0), 10e-6, 0.0),
        (Response("x", n_completion_tokens=5), 10e-6, MOST - REPLY_MOST),
        (Response("x", n_prompt_tokens=10, n_completion_tokens=5, cost_usd=0.0), BY_COUNTS, 0.0),
        (Response("x", cost_usd=0.0), 0.0, MOST),
        (Response("x", cost_usd=0.25), 0.25, 0.0),
        # A model that thinks beyond max_tokens: what was counted is paid for.
        (Response("x", n_prompt_tokens=10, n_completion_tokens=9000), 18010e-6, 0.0),
        (Response("", n_prompt_tokens=10, reasoning="hm"), 10e-6, REPLY_MOST),
    ],
)
def test_what_is_not_counted_costs_its_most(
    reply: Response, paid: float, unsettled: float, caplog: pytest.LogCaptureFixture
) -> None:
    async def go() -> tuple[Bill, Response, Response]:
        member = Member()
        member.next = reply
        meter = Metered(member, Price(1.0, 2.0), name="plain")
        with billed() as bill:
            return bill, await meter.send(ASKED, timeout_s=1), await meter.send(ASKED, timeout_s=1)

    bill, one, two = asyncio.run(go())
    assert one.cost_usd == two.cost_usd == pytest.approx(paid)
    assert one.unsettled_usd == pytest.approx(unsettled)
    assert bill.paid_usd == pytest.approx(2 * paid)
    assert bill.unsettled_usd == pytest.approx(2 * unsettled)
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == (unsettled > 0)  # once for a member
    assert all("'plain'" in text and "does not count" in text for text in warned)


def test_a_free_member_owes_nothing_though_nobody_counts() -> None:
    meter = Metered(Member(), Price(0.0, 0.0))
    reply = asyncio.run(meter.send(ASKED, timeout_s=1))
    assert (reply.cost_usd, reply.unsettled_usd) == (0.0, 0.0)


def test_an_image_counts_as_more_than_the_letters_of_its_address() -> None:
    image = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.png"}}
    words = {"type": "text", "text": "What is it?"}
    plain = Request((Message("user", "What is it?"),))
    shown = Request((Message("user", "What is it?", parts=(words, image)),))
    assert most_prompt_tokens(shown) == most_prompt_tokens(plain) + 50_000


class TestBill:
    """Whatever ends an attempt, it is on the bill before, meanwhile and after."""

    def test_an_attempt_under_way_is_on_it_at_its_most(self) -> None:
        async def go() -> None:
            member = Member()
            member.gate = asyncio.Event()
            member.next = Response("x", n_prompt_tokens=10, n_completion_tokens=5)
            meter = Metered(Unsettled(member, Price(1.0, 2.0).most), Price(1.0, 2.0))
            with billed() as bill:
                tasks = [asyncio.create_task(meter.send(ASKED, timeout_s=1)) for _ in range(3)]
            await asyncio.sleep(0)
            assert bill.paid_usd == 0
            assert bill.unsettled_usd == pytest.approx(3 * MOST)
            tasks[0].cancel()
            await asyncio.wait(tasks[:1])
            assert bill.unsettled_usd == pytest.approx(3 * MOST)
            member.gate.set()
            await asyncio.wait(tasks)
            assert bill.paid_usd == pytest.approx(2 * BY_COUNTS)
            assert bill.unsettled_usd == MOST

        asyncio.run(go())

    @pytest.mark.parametrize("failure", list(Failure))
    @pytest.mark.parametrize("spoke", [False, True])
    def test_who_was_turned_away_pays_nothing_unless_something_was_said(
        self, failure: Failure, spoke: bool
    ) -> None:
        relay = TextRelay(None)
        asked = replace(ASKED, on_text=relay)

        async def go() -> Bill:
            member = Member()
            member.next = failure
            if spoke:
                relay("Half a ")
            with billed() as bill, pytest.raises(MemberError):
                await Unsettled(member, Price(1.0, 2.0).most).send(asked, timeout_s=1)
            return bill

        turned_away = failure in (
            Failure.UNAUTHORISED, Failure.OUT_OF_CREDIT, Failure.UNKNOWN_MODEL,
            Failure.BAD_REQUEST, Failure.RATE_LIMITED, Failure.OURS, Failure.CIRCUIT_OPEN,
        )  # fmt: skip
        bill = asyncio.run(go())
        assert bill.unsettled_usd == (0.0 if turned_away and not spoke else MOST)


def test_without_a_price_a_call_is_unpriced_and_not_free() -> None:
    async def go() -> None:
        member = Member()
        member.next = Response("a", n_prompt_tokens=1, n_completion_tokens=1)
        meter = Metered(member, None)
        assert (await meter.send(ASKED, timeout_s=1)).cost_usd is None

    asyncio.run(go())


@pytest.mark.parametrize("wrap", [lambda m: Metered(m, None), lambda m: CircuitBreaker(m)])
def test_wrappers_close_what_they_wrap(wrap: Callable[[Member], Metered]) -> None:
    async def go() -> None:
        member = Member()
        async with wrap(member) as endpoint:
            await endpoint.send(ASKED, timeout_s=1)
        assert member.n_closed == 1
        await wrap(member).close()
        assert member.n_closed == 2

    asyncio.run(go())


def asked(text: str, **fields: object) -> Request:
    return Request((Message("user", text),), extra=fields)


async def refused(bench: Bench, request: Request, words: str = "no") -> None:
    bench.member.next, bench.member.words = Failure.BAD_REQUEST, words
    with pytest.raises(MemberError):
        await bench.breaker.send(request, timeout_s=1)


def test_a_member_that_refuses_everything_is_left_alone_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def go() -> None:
        bench = Bench()
        for n in range(3):
            assert bench.breaker.state == "closed"
            await refused(bench, asked(f"question {n}"), "System role not supported")
        assert bench.breaker.state == "open"
        bench.now = 10.0
        await refused(bench, asked("question 4"))  # the try is refused as well
        assert bench.breaker.state == "open"

    asyncio.run(go())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "member 'm' is left alone: 3 failures in a row" in said[0]
    assert "System role not supported" in said[0]


@pytest.mark.parametrize("has_answered", [False, True])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda n: asked("the same each time"), "no"),
        (lambda n: asked(f"question {n}", response_format={"type": "odd"}), "no"),
        (lambda n: asked(f"question {n}"), "maximum context length is 4096 tokens"),
        (lambda n: Request((Message("user", f"{n}", parts=({"type": "image_url"},)),)), "no"),
    ],
    ids=["same", "own fields", "too long", "images"],
)
def test_bad_requests_of_one_client_shut_nobody_out(
    make: Callable[[int], Request], words: str, has_answered: bool
) -> None:
    async def go() -> None:
        bench = Bench()
        if has_answered:
            await bench.ask(OK)
        for n in range(9):
            await refused(bench, make(n), words)
        assert bench.breaker.state == "closed"
        assert await bench.ask(OK) is None

    asyncio.run(go())


def test_long_prompts_count_only_against_who_has_never_answered() -> None:
    async def go() -> None:
        bench = Bench()
        await bench.ask(OK)
        for n in range(9):
            await refused(bench, asked(f"{n} " * 2001))
        assert bench.breaker.state == "closed"
        fresh = Bench()
        for n in range(3):
            await refused(fresh, asked(f"{n} " * 2001))
        assert fresh.breaker.state == "open"

    asyncio.run(go())


def test_refusals_begin_anew_after_an_answer() -> None:
    async def go() -> None:
        bench = Bench()
        for n in (1, 2):
            await refused(bench, asked(f"{n}"))
        await bench.ask(OK)
        for n in (1, 2):
            await refused(bench, asked(f"{n}"))
        assert bench.breaker.state == "closed"
        await refused(bench, asked("3"))
        assert bench.breaker.state == "open"

    asyncio.run(go())


def test_calls_that_were_under_way_together_are_one_failure() -> None:
    async def go() -> None:
        bench = Bench()
        bench.member.gate = asyncio.Event()
        bench.member.next = DOWN
        calls = [asyncio.create_task(bench.ask(DOWN)) for _ in range(8)]
        await asyncio.sleep(0)
        bench.member.gate.set()
        assert set(await asyncio.gather(*calls)) == {DOWN}
        assert bench.breaker.state == "closed"
        for _ in range(2):
            assert bench.breaker.state == "closed"
            await bench.ask(DOWN)
        assert bench.breaker.state == "open"

    asyncio.run(go())
