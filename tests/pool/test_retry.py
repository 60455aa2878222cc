"""Repeats: what is repeated, how long they wait, and that they keep to the caller's time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request, Response, Retrying

ASKED = Request((Message("user", "?"),))


class Clock:
    """Time passes while somebody sleeps, and as long as each call takes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Highest(random.Random):
    """Draws the upper bound: the longest waits there can be."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Scripted:
    """Fails as told, then answers; a call takes `takes_s`."""

    def __init__(
        self, clock: Clock, script: Iterable[MemberError | Response], takes_s: float = 0.0
    ) -> None:
        self.clock, self.script, self.takes_s = clock, iter(script), takes_s
        self.timeouts: list[float] = []

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        self.timeouts.append(timeout_s)
        self.clock.now += self.takes_s
        said = next(self.script)
        if isinstance(said, MemberError):
            raise said
        return said

    async def close(self) -> None: ...
    async def __aenter__(self) -> Scripted:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


def error(failure: Failure = Failure.SERVER_ERROR, after: float | None = None) -> MemberError:
    return MemberError(failure.value, failure=failure, retry_after_s=after)


def run(
    script: Iterable[MemberError | Response],
    *,
    timeout_s: float = 100.0,
    takes_s: float = 0.0,
    rng: random.Random | None = None,
    **options: float,
) -> tuple[Response | MemberError, Clock, Scripted]:
    clock = Clock()
    inner = Scripted(clock, script, takes_s)
    endpoint = Retrying(inner, rng=rng or Highest(), sleep=clock.sleep, clock=clock, **options)
    try:
        return asyncio.run(endpoint.send(ASKED, timeout_s=timeout_s)), clock, inner
    except MemberError as exc:
        return exc, clock, inner


def test_bounds_of_the_waits_double_up_to_the_most() -> None:
    reply, clock, inner = run([error()] * 5 + [Response("at last")], attempts=6, most_wait_s=3)
    assert isinstance(reply, Response)
    assert reply.text == "at last"
    assert reply.n_attempts == 6
    assert clock.slept == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert inner.timeouts == [100.0, 99.5, 98.5, 96.5, 93.5, 90.5]


def test_attempts_below_are_counted_too() -> None:
    reply, _, _ = run([error(), Response("x", n_attempts=3)])
    assert isinstance(reply, Response)
    assert reply.n_attempts == 4


def test_the_last_error_is_raised_when_attempts_are_used_up() -> None:
    last = error(Failure.UNREACHABLE)
    reply, clock, inner = run([error(), error(), last], attempts=3)
    assert reply is last
    assert reply.__context__ is None
    assert len(inner.timeouts) == 3
    assert clock.slept == [0.5, 1.0]


@pytest.mark.parametrize("failure", list(Failure))
def test_only_what_may_pass_is_repeated(failure: Failure) -> None:
    reply, _, inner = run([error(failure), Response("again")])
    repeated = failure in (
        Failure.UNREACHABLE,
        Failure.TIMEOUT,
        Failure.RATE_LIMITED,
        Failure.SERVER_ERROR,
        Failure.OURS,
    )
    assert len(inner.timeouts) == (2 if repeated else 1)
    assert isinstance(reply, Response if repeated else MemberError)


def test_it_waits_as_long_as_the_server_asks() -> None:
    _, clock, _ = run([error(Failure.RATE_LIMITED, after=7.0), Response("x")])
    assert clock.slept == [7.0]
    _, clock, _ = run([error(Failure.RATE_LIMITED, after=0.1), Response("x")])
    assert clock.slept == [0.5]  # asked for less than it would have waited anyway


def test_an_error_is_raised_at_once_where_waiting_leaves_no_time() -> None:
    asked = error(Failure.RATE_LIMITED, after=10.0)
    reply, clock, _ = run([asked, Response("too late")], timeout_s=10.0)
    assert reply is asked
    assert clock.slept == []


def test_time_that_calls_take_is_not_there_for_waiting() -> None:
    reply, clock, inner = run([error()] * 4, timeout_s=5.0, takes_s=2.0)
    assert isinstance(reply, MemberError)
    assert clock.slept == [0.5]  # 2 + 0.5 + 2 leaves half a second, less than the next wait
    assert inner.timeouts == [5.0, 2.5]


def test_nothing_is_sent_after_oversleeping() -> None:
    clock = Clock()

    async def oversleep(seconds: float) -> None:
        clock.now += 60

    first = error()
    inner = Scripted(clock, [first, Response("too late")])
    endpoint = Retrying(inner, rng=Highest(), sleep=oversleep, clock=clock)
    with pytest.raises(MemberError) as raised:
        asyncio.run(endpoint.send(ASKED, timeout_s=10))
    assert raised.value is first


def test_thousands_of_attempts_do_not_overflow() -> None:
    _, clock, inner = run(
        [error()] * 2000, attempts=2000, timeout_s=1e9, first_wait_s=1, most_wait_s=2
    )
    assert len(inner.timeouts) == 2000
    assert max(clock.slept) == 2


@given(
    st.integers(0, 99),
    st.lists(st.none() | st.floats(0, 50), min_size=1, max_size=8),
    st.floats(0.1, 200),
    st.floats(0, 5),
)
def test_waits_stay_within_their_bounds_and_within_the_time(
    seed: int, asked: list[float | None], timeout_s: float, takes_s: float
) -> None:
    script = [error(Failure.RATE_LIMITED, after=a) for a in asked]
    _, clock, inner = run(
        script, timeout_s=timeout_s, takes_s=takes_s, rng=random.Random(seed), attempts=len(asked)
    )
    for n, (slept, told) in enumerate(zip(clock.slept, asked, strict=False)):
        assert (told or 0.0) <= slept <= max(told or 0.0, 0.5 * 2**n)
    assert all(left > 0 for left in inner.timeouts)
    assert sum(clock.slept) < timeout_s
    assert clock.now < timeout_s + takes_s


def test_waits_are_reproducible() -> None:
    def waits(seed: int) -> list[float]:
        return run([error()] * 4, rng=random.Random(seed))[1].slept

    assert waits(1) == waits(1) != waits(2)


def test_cancelling_the_caller_ends_it() -> None:
    class Hanging(Scripted):
        async def send(self, request: Request, *, timeout_s: float) -> Response:
            self.timeouts.append(timeout_s)
            await asyncio.sleep(3600)
            raise AssertionError

    async def cancelled() -> None:
        inner = Hanging(Clock(), [])
        task = asyncio.create_task(Retrying(inner, rng=Highest()).send(ASKED, timeout_s=60))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(inner.timeouts) == 1

    asyncio.run(cancelled())


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_wait_s": -1}, {"most_wait_s": -1}])
def test_senseless_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Retrying(Scripted(Clock(), []), rng=Highest(), **wrong)


class Thinking(Scripted):
    """Thinks aloud before it fails or answers."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        assert request.on_thought is not None
        request.on_thought(f"thought {len(self.timeouts)}")
        return await super().send(request, timeout_s=timeout_s)


def test_what_breaks_off_amid_its_thoughts_is_sent_again() -> None:
    clock, thoughts, words = Clock(), list[str](), list[str]()
    retrying = Retrying(
        Thinking(clock, [error(), Response("17")]), rng=Highest(), sleep=clock.sleep, clock=clock
    )
    asked = replace(ASKED, on_text=words.append, on_thought=thoughts.append)
    reply = asyncio.run(retrying.send(asked, timeout_s=100))
    assert (reply.text, reply.n_attempts) == ("17", 2)
    assert thoughts == ["thought 0", "thought 1"]
