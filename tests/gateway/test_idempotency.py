"""Requests with an idempotency key: one reply, paid for once, for all who come with the key."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import Served, until
from spy_upstream import Reply, SpyUpstream, aimed_at

from rlfocal.gateway import app
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.repeats import records as idempotency
from rlfocal.gateway.repeats.records import Record, Records, digest_of

Serve = Callable[..., Any]


# Records -----------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ended(record: Record, body: bytes = b"x") -> None:
    record.begin(200, {}, "application/json")
    record.add(body)
    record.end()


def test_a_key_is_its_owners_and_holds_one_request() -> None:
    records = Records()
    record, is_new = records.claim("me", "k", b"1")
    assert is_new
    assert records.claim("me", "k", b"1") == (record, False)
    assert records.claim("you", "k", b"2")[1]
    with pytest.raises(ApiError) as refused:
        records.claim("me", "k", b"2")
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")
    for key in ("", "x" * 256, "a\x00b"):
        with pytest.raises(ApiError, match="printable"):
            records.claim("me", key, b"1")


def test_records_are_forgotten_after_minutes_and_failures_at_once() -> None:
    clock = Clock()
    records = Records(clock)
    for key, keep in (("good", True), ("bad", False)):
        ended(records.claim("me", key, b"1")[0])
        records.close("me", key, keep=keep)
    clock.now = 599.0
    assert records.claim("me", "bad", b"1")[1]
    assert not records.claim("me", "good", b"1")[1]
    clock.now = 601.0
    assert records.claim("me", "good", b"2")[1]


def test_records_are_bounded_for_each_owner_and_all_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idempotency, "_MOST_OF_ONE", 3)
    monkeypatch.setattr(idempotency, "_MOST_BYTES", 30)
    monkeypatch.setattr(idempotency, "_MOST_BYTES_OF_ONE", 20)
    records = Records()

    def put(owner: str, key: str, size: int) -> None:
        ended(records.claim(owner, key, b"1")[0], b"x" * size)
        records.close(owner, key, keep=True)

    def known(owner: str, key: str) -> bool:
        found = (owner, key) in records._known
        return found

    under_way, _ = records.claim("me", "slow", b"1")
    for k in range(5):
        put("me", str(k), 1)
    assert [k for k in range(5) if known("me", str(k))] == [2, 3, 4]
    put("me", "long", 19)
    assert [k for k in range(5) if known("me", str(k))] == [4]
    put("you", "a", 10)
    put("you", "b", 10)
    assert not known("me", "long")
    assert known("you", "a")
    assert records.claim("me", "slow", b"1") == (under_way, False)  # never while it is made
    put("me", "longest", 31)
    assert not known("me", "longest")


def test_who_follows_gets_all_of_it_whenever_he_comes() -> None:
    async def read(record: Record) -> bytes:
        assert await record.begun() == 200
        return b"".join([piece async for piece in record.follow()])

    async def together() -> list[bytes]:
        record = Record(b"", 0.0)
        early = [asyncio.create_task(read(record)) for _ in range(3)]
        await asyncio.sleep(0)
        record.begin(200, {}, None)
        for piece in (b"a", b"b"):
            record.add(piece)
            await asyncio.sleep(0)
        late = asyncio.create_task(read(record))
        await asyncio.sleep(0)
        record.add(b"c")
        record.end()
        return await asyncio.gather(*early, late, read(record))

    assert asyncio.run(together()) == [b"abc"] * 5


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_digests_are_those_of_values_however_they_are_ordered(one: Any, other: Any) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: turned(value[k]) for k in reversed(value)}
        return [turned(v) for v in value] if isinstance(value, list) else value

    assert digest_of("/a", one) == digest_of("/a", turned(one))
    assert digest_of("/a", one) != digest_of("/b", one)
    if repr(turned(one)) != repr(turned(other)) and one != other:
        assert digest_of("/a", one) != digest_of("/a", other)


# Requests ----------------------------------------------------------------------------------------

BODIES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "3 + 4 ="}]},
    "/v1/completions": {"prompt": "3 + 4 ="},
    "/v1/responses": {"input": "3 + 4 ="},
    "/v1/messages": {"messages": [{"role": "user", "content": "3 + 4 ="}], "max_tokens": 64},
}


def asked(
    served: Served, path: str = "/v1/chat/completions", *, key: str = "k1", **fields: Any
) -> httpx2.Response:
    headers = {**served.headers, "Idempotency-Key": key}
    body = {"model": "plain", **BODIES[path], **fields}
    return httpx2.post(f"{served.url}{path}", json=body, headers=headers, timeout=60)


@pytest.mark.parametrize("path", list(BODIES))
@pytest.mark.parametrize("stream", [False, True])
def test_the_same_request_gets_the_same_reply_and_costs_nothing(
    serve: Serve, path: str, stream: bool
) -> None:
    with serve() as (served, stub):
        first = asked(served, path, stream=stream)
        n = len(stub.bodies)
        second = asked(served, path, stream=stream)
        assert len(stub.bodies) == n
        assert first.status_code == second.status_code == 200
        assert first.content == second.content
        assert first.headers["content-type"] == second.headers["content-type"]
        assert "x-rlfocal-replayed" not in first.headers
        assert second.headers["x-rlfocal-replayed"] == "true"
        assert second.headers["x-rlfocal-id"] == first.headers["x-rlfocal-id"]
        assert asked(served, path, stream=stream, key="k2").content != first.content
        assert len(stub.bodies) == n + 1
        other = asked(served, path, stream=not stream)
        assert (other.status_code, len(stub.bodies)) == (422, n + 1)
        assert served.gateway.places.n == 0


def test_keys_of_another_api_key_are_others(serve: Serve) -> None:
    with serve() as (served, stub):
        first = asked(served)
        other = Served(served.url, served.add_key("other"), served.store, served.gateway)
        assert asked(other).json()["id"] != first.json()["id"]
        assert len(stub.bodies) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_who_comes_while_it_is_made_waits_for_it(serve: Serve, stream: bool) -> None:
    may_say = threading.Event()
    slow = Reply("one two three", may_say=lambda k: k < 2 or may_say.is_set())
    if not stream:
        slow = Reply("one two three", may_say=lambda _: may_say.is_set())
    with (
        SpyUpstream(lambda _: slow) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        ThreadPoolExecutor(4) as pool,
    ):
        waiting = [pool.submit(asked, served, stream=stream) for _ in range(4)]
        until(lambda: len(spy.received) == 1)
        may_say.set()
        replies = [one.result() for one in waiting]
        assert len({reply.content for reply in replies}) == 1
        assert sum("x-rlfocal-replayed" in reply.headers for reply in replies) == 3
        assert len(spy.received) == 1
        assert replies[0].status_code == 200


def test_who_waits_for_a_failure_is_not_told_of_a_repeat(serve: Serve) -> None:
    may_say = threading.Event()

    def fail(_: Any) -> Reply:
        may_say.wait(30)
        return Reply(status=401)

    with (
        SpyUpstream(fail) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        ThreadPoolExecutor(3) as pool,
    ):
        waiting = [pool.submit(asked, served) for _ in range(3)]
        until(lambda: len(spy.received) == 1)
        may_say.set()
        replies = [one.result() for one in waiting]
        assert [reply.status_code for reply in replies] == [502] * 3
        assert not any("x-rlfocal-replayed" in reply.headers for reply in replies)


@pytest.mark.parametrize("depth", [100, 900])
def test_a_deep_body_is_answered_with_a_key_as_without(serve: Serve, depth: int) -> None:
    deep: Any = 1
    for k in range(depth):
        deep = {"a": deep} if k % 2 else [deep]
    with serve() as (served, _):
        assert asked(served, deeply=deep).status_code == 200
        assert asked(served, deeply=deep).headers["x-rlfocal-replayed"] == "true"


def test_digests_know_their_depth() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ApiError, match="nested too deeply") as refused:
        digest_of("/a", deep)
    assert refused.value.status == 400


def test_replies_are_forgotten_though_nobody_asks(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "_FORGET_S", 0.05)
    with serve() as (served, _):
        assert asked(served).status_code == 200
        monkeypatch.setattr(idempotency, "_LONGEST_S", 0.0)
        until(lambda: not served.gateway.records._known)


def test_who_hangs_up_finds_the_reply_when_he_comes_again(serve: Serve) -> None:
    may_say = threading.Event()
    with (
        SpyUpstream(lambda _: Reply("seven", may_say=lambda _: may_say.is_set())) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
    ):
        body = {"model": "plain", **BODIES["/v1/chat/completions"]}
        headers = {**served.headers, "Idempotency-Key": "k1"}
        url = f"{served.url}/v1/chat/completions"
        with contextlib.suppress(httpx2.TimeoutException):
            httpx2.post(url, json=body, headers=headers, timeout=0.5)
        until(lambda: len(spy.received) == 1)
        may_say.set()
        again = asked(served)
        assert again.headers["x-rlfocal-replayed"] == "true"
        assert again.json()["choices"][0]["message"]["content"] == "seven"
        assert len(spy.received) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_failures_are_not_kept(serve: Serve, stream: bool) -> None:
    said = iter([Reply(status=401), Reply("one two three", cut_after=1), Reply("seven")])
    if not stream:
        said = iter([Reply(status=401), Reply(status=400), Reply("seven")])
    with (
        SpyUpstream(lambda _: next(said)) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
    ):
        first, second, third = (asked(served, stream=stream) for _ in range(3))
        assert first.status_code == 502
        assert "error" in second.text
        assert "seven" in third.text
        assert asked(served, stream=stream).content == third.content
        assert len(spy.received) == 3
        assert served.gateway.places.n == 0


def test_a_key_has_bounds(serve: Serve) -> None:
    with serve() as (served, stub):
        reply = asked(served, key="x" * 256)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "idempotency-key")
        assert not stub.bodies
