"""Waiting under rate limits, in virtual time, against servers that count in their own ways."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request, Response
from rlfocal.pool.wrappers.gate import Gate
from rlfocal.pool.wrappers.patient import Patient

Virtually = Callable[[Coroutine[Any, Any, Any]], Any]


def now() -> float:
    return asyncio.get_running_loop().time()


class Server:
    """Lets `n` calls through in every `window_s`, and says how long to wait where it `tells`.

    `counts_refused`: a refused call is one of those that count; some servers do that.
    """

    def __init__(
        self,
        n: int = 10,
        window_s: float = 20.0,
        *,
        tells: bool = True,
        takes_s: float = 0.05,
        counts_refused: bool = False,
    ) -> None:
        self.n, self.window_s, self.tells, self.takes_s = n, window_s, tells, takes_s
        self.counts_refused = counts_refused
        self.counted: list[float] = []
        self.answered: list[str] = []
        self.refused: list[float] = []
        self.timeouts: list[float] = []
        self.under_way = self.most = 0

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.timeouts.append(timeout_s)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            self.decide(request)
            await asyncio.sleep(self.takes_s)
        finally:
            self.under_way -= 1
        self.answered.append(request.text)
        return Response("x", latency_s=self.takes_s)

    def decide(self, request: Request) -> None:
        recent = [t for t in self.counted if t > now() - self.window_s]
        full = len(recent) >= self.n
        if not full or self.counts_refused:
            self.counted.append(now())
        if full:
            self.refused.append(now())
            left = recent[-self.n] + self.window_s - now()
            raise limited(left if self.tells else None)

    async def close(self) -> None: ...
    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


def limited(after: float | None = None) -> MemberError:
    return MemberError(
        "HTTP status 429 (slow down)",
        failure=Failure.RATE_LIMITED,
        status=429,
        retry_after_s=after,
    )


def asked(text: str = "?", model: str = "m") -> Request:
    return Request((Message("user", text),), model=model)


def patient(server: Any, **options: Any) -> Patient:
    settings = {"concurrency": 8, "rng": random.Random(0), "clock": now} | options
    return Patient(server, **settings)


async def flood(
    endpoint: Patient, n: int, *, timeout_s: float = 5.0, model: str = "m"
) -> list[Response | MemberError]:
    async def one(k: int) -> Response | MemberError:
        try:
            return await endpoint.send(asked(str(k), model), timeout_s=timeout_s)
        except MemberError as exc:
            return exc

    return await asyncio.gather(*(one(k) for k in range(n)))


def texts(n: int) -> list[str]:
    return sorted(str(k) for k in range(n))


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("counts_refused", [False, True])
def test_ten_calls_in_twenty_seconds_and_all_sixty_are_answered(
    virtually: Virtually, tells: bool, counts_refused: bool
) -> None:
    async def go() -> None:
        server = Server(tells=tells, counts_refused=counts_refused)
        replies = await flood(patient(server), 60)
        assert all(isinstance(reply, Response) for reply in replies)
        assert sorted(server.answered) == texts(60)
        # Five windows have to pass; one that tells is kept to, one that does not is found out.
        assert 100 <= now() < (125 if tells and not counts_refused else 400)
        assert len(server.refused) < 60

    virtually(go())


def test_while_a_server_wants_to_be_left_alone_nobody_asks_it(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server()
        endpoint = patient(server)
        running = asyncio.create_task(flood(endpoint, 60))
        await asyncio.sleep(1)
        assert len(server.answered) == 10
        n_refused = len(server.refused)
        assert 1 <= n_refused <= 8  # of those that were under way together
        assert endpoint.opens_in_s("m") == pytest.approx(19, abs=0.3)
        await asyncio.sleep(18)
        assert len(server.refused) == n_refused
        await running
        # After it opens one tries first, so few are turned away each time.
        assert len(server.refused) - n_refused <= 5 * 8

    virtually(go())


def test_neither_waiting_for_a_limit_nor_for_a_turn_takes_of_the_time_allowed(
    virtually: Virtually,
) -> None:
    async def go() -> None:
        server = Server(takes_s=1.0)
        replies = await flood(patient(server, concurrency=2), 30, timeout_s=3)
        assert all(isinstance(reply, Response) for reply in replies)
        assert set(server.timeouts) == {3}

    virtually(go())


def test_refusals_are_no_attempts(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server(n=1, window_s=10, tells=False)
        replies = await flood(patient(server, attempts=1), 4)
        assert all(isinstance(reply, Response) for reply in replies)

    virtually(go())


def test_a_wait_longer_than_the_patience_is_not_waited_for(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server(n=3, window_s=86_400)
        endpoint = patient(server, patience_s=600)
        replies = await flood(endpoint, 40)
        assert now() < 1
        errors = [reply for reply in replies if isinstance(reply, MemberError)]
        assert len(errors) == 37
        told = [error for error in errors if error.failure is Failure.RATE_LIMITED]
        assert len(told) == 1  # the others were not sent, or learn no more than that
        assert "slow down" in str(told[0])
        assert "24 h" in str(told[0])
        assert "patience ends after 10 min" in str(told[0])
        assert {error.failure for error in errors} == {Failure.RATE_LIMITED, Failure.CIRCUIT_OPEN}
        assert endpoint.given_up("m") == str(told[0])
        assert endpoint.opens_in_s("m") == 0

    virtually(go())


def test_a_server_that_refuses_and_says_nothing_is_given_up_when_patience_ends(
    virtually: Virtually,
) -> None:
    async def go() -> None:
        server = Server(n=0, window_s=1)
        server.decide = refuse  # type: ignore[method-assign]
        endpoint = patient(server, patience_s=100)
        replies = await flood(endpoint, 20)
        assert all(isinstance(reply, MemberError) for reply in replies)
        assert 30 < now() <= 100
        assert len(server.timeouts) < 8 + 10  # one of them tries each time
        assert "without an answer" in str(endpoint.given_up("m"))

    def refuse(request: Request) -> None:
        raise limited()

    virtually(go())


def test_at_once_said_again_and_again_is_not_believed(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server(n=2, window_s=30)

        def refuse(request: Request) -> None:
            recent = [t for t in server.counted if t > now() - server.window_s]
            if len(recent) >= server.n:
                server.refused.append(now())
                raise limited(0.0)
            server.counted.append(now())

        server.decide = refuse  # type: ignore[method-assign]
        await flood(patient(server), 6)
        assert sorted(server.answered) == texts(6)
        assert len(server.refused) < 8 + 2 * 10

    virtually(go())


def test_a_call_that_alone_is_refused_fails_alone(virtually: Virtually) -> None:
    """Such as one that is too long for what a minute allows: said as a rate limit, too."""

    async def go() -> None:
        server = Server()

        def refuse(request: Request) -> None:
            if request.text == "0":
                raise limited()

        server.decide = refuse  # type: ignore[method-assign]
        endpoint = patient(server, patience_s=60)
        first = asyncio.create_task(flood(endpoint, 1))
        others = []
        for k in range(1, 200):
            await asyncio.sleep(4)
            others.append(await endpoint.send(asked(str(k)), timeout_s=5))
        [error] = await first
        assert isinstance(error, MemberError)
        assert error.failure is Failure.RATE_LIMITED
        assert "refused" in str(error)
        assert len(others) == 199
        assert endpoint.given_up("m") is None

    virtually(go())


def test_one_models_limit_does_not_hold_up_another_on_its_server(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server()
        held = server.decide

        def decide(request: Request) -> None:
            if request.model == "busy":
                held(request)

        server.decide = decide  # type: ignore[method-assign]
        endpoint = patient(server)
        running = asyncio.create_task(flood(endpoint, 60, model="busy"))
        await asyncio.sleep(1)
        replies = await flood(endpoint, 60, model="free")
        assert now() < 3
        assert all(isinstance(reply, Response) for reply in replies)
        assert await running
        assert endpoint.opens_in_s("free") == 0

    virtually(go())


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("counts_refused", [False, True])
def test_models_that_share_a_tight_limit_are_all_answered_in_the_end(
    virtually: Virtually, tells: bool, counts_refused: bool
) -> None:
    """180 calls of six models at nine a minute: twenty minutes, in which each has to wait."""

    async def go() -> None:
        server = Server(n=3, tells=tells, counts_refused=counts_refused)
        endpoint = patient(server)
        names = [f"m{k}" for k in range(6)]
        replies = await asyncio.gather(*(flood(endpoint, 30, model=name) for name in names))
        assert all(isinstance(reply, Response) for row in replies for reply in row)
        assert now() < 6 * 20 * 60

    virtually(go())


def test_other_failures_are_repeated_as_often_as_told(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server()
        left = [Failure.SERVER_ERROR, Failure.RATE_LIMITED, Failure.TIMEOUT, Failure.SERVER_ERROR]

        def decide(request: Request) -> None:
            if left:
                raise MemberError("no", failure=left.pop(0))

        server.decide = decide  # type: ignore[method-assign]
        reply = await patient(server, attempts=4).send(asked(), timeout_s=60)
        assert reply.n_attempts == 5
        left[:] = [Failure.SERVER_ERROR] * 9
        with pytest.raises(MemberError, match="no"):
            await patient(server, attempts=4).send(asked(), timeout_s=60)
        assert len(left) == 5
        left[:] = [Failure.BAD_REQUEST]
        with pytest.raises(MemberError, match="no"):
            await patient(server, attempts=4).send(asked(), timeout_s=60)
        assert len(server.timeouts) == 5 + 4 + 1

    virtually(go())


def test_time_that_attempts_take_is_not_there_for_others(virtually: Virtually) -> None:
    async def go() -> None:
        class Slow(Server):
            async def send(self, request: Request, *, timeout_s: float) -> Response:
                self.timeouts.append(timeout_s)
                await asyncio.sleep(4)
                raise MemberError("no", failure=Failure.SERVER_ERROR)

        server = Slow()
        with pytest.raises(MemberError, match="no"):
            await patient(server, attempts=9).send(asked(), timeout_s=10)
        assert len(server.timeouts) == 3
        assert server.timeouts[0] == 10
        assert 5 < server.timeouts[1] <= 6

    virtually(go())


def test_a_server_error_that_says_how_long_to_wait_holds_everybody_back(
    virtually: Virtually,
) -> None:
    async def go() -> None:
        server = Server()
        first = [True]

        def decide(request: Request) -> None:
            if first.pop() if first else False:
                raise MemberError("busy", failure=Failure.SERVER_ERROR, retry_after_s=30)
            server.counted.append(now())

        server.decide = decide  # type: ignore[method-assign]
        endpoint = patient(server, concurrency=1)
        await flood(endpoint, 3, timeout_s=5)
        assert min(server.counted) >= 30
        assert sorted(server.answered) == texts(3)

    virtually(go())


def test_the_same_limit_told_by_server_errors_is_kept_to_as_well(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server()
        limit = server.decide

        def decide(request: Request) -> None:
            try:
                limit(request)
            except MemberError as exc:
                wait = exc.retry_after_s
                raise MemberError("503", failure=Failure.SERVER_ERROR, retry_after_s=wait) from exc

        server.decide = decide  # type: ignore[method-assign]
        replies = await flood(patient(server), 60)
        assert all(isinstance(reply, Response) for reply in replies)
        assert now() < 125
        assert len(server.refused) <= 8 + 5 * 4

    virtually(go())


def test_stopped_it_sends_nothing_more_and_what_is_under_way_comes_back(
    virtually: Virtually,
) -> None:
    async def go() -> None:
        server = Server(takes_s=5)
        endpoint = patient(server)
        running = asyncio.create_task(flood(endpoint, 60, timeout_s=60))
        await asyncio.sleep(12)  # ten are answered, eight of them refused, all wait
        await asyncio.sleep(10)  # the next are under way
        under_way = server.under_way
        n_answered = len(server.answered)
        assert under_way
        endpoint.stop()
        replies = await running
        assert len(server.answered) == n_answered + under_way
        errors = [reply for reply in replies if isinstance(reply, MemberError)]
        assert {error.failure for error in errors} == {Failure.CIRCUIT_OPEN}
        assert len(errors) == 60 - len(server.answered)
        with pytest.raises(MemberError, match="stopped"):
            await endpoint.send(asked(model="another"), timeout_s=5)

    virtually(go())


def test_cancelled_while_it_waits_it_takes_nobodys_place(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server(n=4, takes_s=0.5)
        endpoint = patient(server, concurrency=4)
        tasks = [asyncio.create_task(endpoint.send(asked(str(k)), timeout_s=5)) for k in range(12)]
        await asyncio.sleep(0.1)
        for task in tasks[4:8]:
            task.cancel()
        await asyncio.sleep(2)
        tasks[8].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert sorted(server.answered, key=int) == ["0", "1", "2", "3", "9", "10", "11"]

    virtually(go())


def test_a_limit_of_calls_at_once_is_found_out(virtually: Virtually) -> None:
    """Two at once, and 429 for a third: most of the time two are under way."""

    async def go() -> None:
        server = Server()

        def decide(request: Request) -> None:
            if server.under_way > 2:
                server.refused.append(now())
                raise limited()

        server.decide = decide  # type: ignore[method-assign]
        replies = await flood(patient(server), 400)
        assert all(isinstance(reply, Response) for reply in replies)
        assert now() < 3 * 400 * server.takes_s / 2
        assert len(server.refused) < 40

    virtually(go())


def test_requests_a_minute_count_repeats_as_well(virtually: Virtually) -> None:
    async def go() -> None:
        server = Server()
        left = [True] * 3

        def decide(request: Request) -> None:
            server.counted.append(now())
            if left:
                left.pop()
                raise MemberError("no", failure=Failure.SERVER_ERROR)

        server.decide = decide  # type: ignore[method-assign]
        await flood(patient(server, per_minute=6), 4, timeout_s=60)
        gaps = [b - a for a, b in zip(server.counted, server.counted[1:], strict=False)]
        assert len(server.counted) == 7
        assert min(gaps) >= 9.999

    virtually(go())


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    n=st.integers(1, 12),
    window_s=st.floats(1, 90),
    tells=st.booleans(),
    counts_refused=st.booleans(),
    takes_s=st.floats(0, 5),
    concurrency=st.integers(1, 9),
)
def test_whatever_the_limit_everybody_is_answered(
    virtually: Virtually,
    n: int,
    window_s: float,
    tells: bool,
    counts_refused: bool,
    takes_s: float,
    concurrency: int,
) -> None:
    async def go() -> None:
        options: dict[str, Any] = {"tells": tells, "takes_s": takes_s}
        server = Server(n, window_s, counts_refused=counts_refused, **options)
        endpoint = patient(server, concurrency=concurrency, patience_s=1e6)
        replies = await flood(endpoint, 30, timeout_s=takes_s + 1)
        assert all(isinstance(reply, Response) for reply in replies)
        assert sorted(server.answered) == texts(30)
        assert server.most <= concurrency

    virtually(go())


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"patience_s": -1.0}, {"concurrency": 0}])
def test_settings_that_let_nothing_through_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Patient(Server(), **({"concurrency": 1, "rng": random.Random(0)} | wrong))


def test_waits_that_nobody_told_double_up_to_a_minute(virtually: Virtually) -> None:
    async def go() -> None:
        gate = Gate(4, patience_s=1e6, rng=random.Random(0), clock=now)
        waits = []
        for _ in range(10):
            async with gate.passage() as n_closed:
                gate.refused(n_closed, limited())
            waits.append(gate.opens_in_s)
        for k, wait in enumerate(waits):
            assert 0.75 * min(60, 2**k) <= wait <= min(60, 2**k)

    virtually(go())
