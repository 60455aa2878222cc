"""Whoever has a key is served, whatever others do with theirs, or without any."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
from raw_http import connect, exchange, head, read_answer, until
from serving import Served
from spy_upstream import Reply, SpyUpstream, aimed_at

from rlfocal.features import HashingEncoder
from rlfocal.gateway.door import server
from rlfocal.gateway.door.bodies import Bodies
from rlfocal.gateway.door.connections import Connections, Standing
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store import Key, KeyLimits
from rlfocal.live.aside import LONG, aside
from rlfocal.live.reading import Reader
from rlfocal.live.similarity import group_answers
from rlfocal.pool.building import LiveMember

Ask = Callable[..., Any]
Serve = Callable[..., Any]
PATH = "/v1/chat/completions"
BODY = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "3 + 4 ="}]}).encode()
HEALTH = head("/healthz", {"Host": "x"}, method="GET")


def begun(served: Served, key: str, length: int = 99) -> socket.socket:
    """A request whose body does not come."""
    sock = connect(served.url)
    sent = {
        "Host": "x", "Content-Type": "application/json", "Content-Length": str(length),
        "Authorization": f"Bearer {key}",
    }  # fmt: skip
    sock.sendall(head(PATH, sent))
    return sock


@contextmanager
def opened(served: Served, n: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(connect(served.url)) for _ in range(n)]


def is_closed(sock: socket.socket) -> bool:
    """Whether the other side has closed it; nothing is expected to be said."""
    sock.settimeout(0)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        sock.settimeout(60)


def hung_up(sock: socket.socket, data: bytes) -> bool:
    """Send a little more, and see whether the other side has had enough, with or without a word."""
    time.sleep(0.05)
    sock.settimeout(0)
    try:
        sock.sendall(data)
        sock.recv(4096)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


# Bodies ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_bodies_of_a_weak_key_that_do_not_come_leave_every_place_to_others(
    serve: Serve, ask: Ask
) -> None:
    with serve(in_flight=8, body_timeout_s=60.0, body_grace_s=60.0) as (served, _):
        weak = served.add_key("weak", concurrency=1, requests_per_minute=6.0)
        with ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(begun(served, weak))
            assert until(lambda: served.gateway.door.bodies.n_open)
            assert served.gateway.places.n == 0
            assert [ask(served).status_code for _ in range(3)] == [200] * 3


@pytest.mark.slow
def test_a_body_that_stalls_is_over_soon_and_one_that_comes_steadily_is_waited_for(
    serve: Serve,
) -> None:
    limits = {"body_timeout_s": 60.0, "body_grace_s": 1.0, "body_bytes_per_s": 20}
    with serve(**limits) as (served, _):
        started = time.monotonic()
        with begun(served, served.key) as sock:
            reply = read_answer(sock)
        assert (reply.status, reply.code) == (408, "body_timeout")
        assert time.monotonic() - started < 30  # of the 60 that it may take in all
        with begun(served, served.key, len(BODY)) as sock:
            for start in range(0, len(BODY), 10):  # 50 bytes a second, for longer than the grace
                sock.sendall(BODY[start : start + 10])
                time.sleep(0.2)
            assert read_answer(sock).status == 200


@pytest.mark.slow
def test_a_body_that_came_too_slowly_counts_as_a_request(serve: Serve, ask: Ask) -> None:
    with serve(body_grace_s=0.2) as (served, stub):
        weak = served.add_key("weak", requests_per_minute=1.0)
        with begun(served, weak) as sock:
            assert read_answer(sock).status == 408
        assert until(lambda: ask(served, key=weak, model="plain").status_code == 429, 10)
        assert len(stub.bodies) <= 1


def test_a_key_has_no_more_bodies_at_once_than_its_share() -> None:
    bodies = Bodies(GatewaySettings(in_flight=64))
    assert bodies.most_of(Key(id="a", name="a", admin=False)) == 8
    few = Key(id="b", name="b", admin=False, limits=KeyLimits(concurrency=1))
    assert bodies.most_of(few) == 5

    async def held() -> int:
        async with bodies.place(few):
            return bodies.n_open

    assert asyncio.run(held()) == 1
    assert bodies.n_open == 0


# Connections -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_idle_connections_make_room_for_whoever_asks(serve: Serve, ask: Ask) -> None:
    with serve(most_connections=16) as (served, _), connect(served.url) as kept:
        kept.sendall(head("/v1/models", {"Host": "x"} | served.headers, method="GET"))
        assert read_answer(kept).status == 200
        with opened(served, 60) as idle:
            assert until(lambda: sum(map(is_closed, idle)) >= 60 - 16)
            assert [ask(served).status_code for _ in range(3)] == [200] * 3
            assert len(served.gateway.connections) <= 16
            # Of those that ask for nothing, one that has shown its key stays longest.
            assert not is_closed(kept)


def test_a_request_under_way_is_not_closed_to_make_room(serve: Serve) -> None:
    late = Reply("7", wait_s=1.5)
    with (
        SpyUpstream(lambda _: late) as spy,
        serve(edit=aimed_at(spy.base_url), most_connections=4) as (served, _),
        begun(served, served.key, len(BODY)) as sock,
    ):
        sock.sendall(BODY)
        assert until(lambda: spy.n_under_way == 1)
        with opened(served, 20):
            assert read_answer(sock).status == 200


class _Transport:
    """Of a client whose buffer a test fills."""

    def __init__(self) -> None:
        self.size, self.aborted = 0, False

    def get_write_buffer_size(self) -> int:
        return self.size

    def abort(self) -> None:
        self.aborted = True


class _Connection:
    def __init__(self, *, owner: str | None = None, since: float = 0.0, busy: bool = False) -> None:
        self.transport: Any = _Transport()
        self.standing = Standing(since)
        self.standing.owner, self.is_busy = owner, busy


def standing(most: int, **settings: Any) -> Connections:
    return Connections(GatewaySettings(most_connections=most, **settings))


def test_who_makes_room_never_showed_a_key_or_holds_most() -> None:
    all_ = standing(4)
    mine = _Connection(owner="a", since=5.0)
    others = [_Connection(owner="b", since=1.0 + k) for k in range(2)]
    nobody = _Connection(since=9.0)
    for each in (mine, *others, nobody):
        assert all_.enter(each)
    for gone in (nobody, *others):
        assert all_.enter(_Connection(owner="c", busy=True))
        assert gone.transport.aborted
    assert not mine.transport.aborted
    assert all_.enter(_Connection(owner="c", busy=True))
    assert mine.transport.aborted
    late = _Connection()
    assert not all_.enter(late)  # all others are busy
    assert late.transport.aborted
    assert (len(all_), all_.n_closed) == (4, 5)


def test_who_takes_nothing_is_broken_off_and_who_takes_little_by_little_is_not() -> None:
    all_ = standing(9, send_timeout_s=30.0, body_bytes_per_s=1000)
    stuck, slow, quick = _Connection(), _Connection(), _Connection()
    for each in (stuck, slow, quick):
        all_.enter(each)
        each.transport.size = 5_000_000
    for second in range(120):
        all_.look(float(second))
        slow.transport.size -= 2000
        quick.transport.size = 0 if second % 2 else 60_000
    assert stuck.transport.aborted
    assert not slow.transport.aborted
    assert not quick.transport.aborted


def test_bytes_that_wait_are_bounded_all_together() -> None:
    all_ = standing(9, most_unsent_bytes=1000)
    long, short, moving = _Connection(), _Connection(), _Connection()
    for each, size in ((long, 500), (short, 300), (moving, 900)):
        all_.enter(each)
        each.transport.size = size
    long.standing.more_unsent = lambda: 300
    all_.look(0.0)
    assert moving.transport.aborted  # the longest of those that have taken nothing
    assert long.transport.aborted == (500 + 300 + 300 > 1000)
    assert not short.transport.aborted


# What outlasts a reply ---------------------------------------------------------------------------


@pytest.mark.parametrize("after", [b"\r\n", b"\r\n\r\n", b"GET /h"])
def test_what_is_no_request_keeps_a_connection_only_as_long_as_a_head_may_take(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, after: bytes
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.5)
    with serve() as (served, _), connect(served.url) as sock:
        sock.sendall(HEALTH)
        assert read_answer(sock).status == 200
        sock.sendall(after)
        assert until(lambda: hung_up(sock, b"\r\n"), 30)  # whatever else comes


def test_an_empty_line_while_a_reply_is_awaited_breaks_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.3)
    late = Reply("7", wait_s=1.0)
    with (
        SpyUpstream(lambda _: late) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        begun(served, served.key, len(BODY)) as sock,
    ):
        sock.sendall(BODY + b"\r\n")  # as old browsers do
        assert read_answer(sock).status == 200


def test_a_body_that_goes_on_after_its_refusal_is_not_listened_to_for_ever(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.5)
    with serve() as (served, _), begun(served, "nothing", 10_000) as sock:
        assert read_answer(sock).status == 401
        assert until(lambda: hung_up(sock, b"x"), 30)


# Replies that nobody reads -----------------------------------------------------------------------


def wordy(spy: SpyUpstream) -> Callable[[str], str]:
    """Aimed at a spy that may say as much as it likes."""
    return lambda text: aimed_at(spy.base_url)(
        text.replace('name = "plain"', 'name = "plain"\nmax_tokens = 200000')
    )


def unread(served: Served, **more: Any) -> socket.socket:
    """Somebody who asks and does not listen."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, _, port = served.url.removeprefix("http://").rpartition(":")
    sock.settimeout(60)
    sock.connect((host, int(port)))
    body = json.dumps(
        {"model": "plain", "messages": [{"role": "user", "content": "Go on."}], **more}
    ).encode()
    sent = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body))}
    sock.sendall(head(PATH, sent | served.headers) + body)
    return sock


def test_a_stream_that_nobody_reads_gives_its_place_back_when_its_work_ends(
    serve: Serve,
) -> None:
    # Each piece is a name of 4 kB, so that no buffer of the system takes them all.
    huge = Reply(" ".join(["w" * 4000] * 3000))
    with (
        SpyUpstream(lambda _: huge) as spy,
        serve(edit=wordy(spy), most_tokens=200_000, send_timeout_s=600.0) as (served, _),
    ):
        own = {"deadline_ms": 3000}
        with unread(served, stream=True, max_tokens=200_000, rlfocal=own):
            assert until(lambda: served.gateway.places.n == 1)
            assert until(lambda: served.gateway.places.n == 0, 30)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_that_nobody_takes_is_broken_off(serve: Serve, stream: bool) -> None:
    limits = {"send_timeout_s": 1.0, "most_tokens": 200_000, "most_body_bytes": 8 << 20}
    huge = Reply(" ".join(["w" * 4000] * 1500))
    with (
        SpyUpstream(lambda _: huge) as spy,
        serve(edit=wordy(spy), **limits) as (served, _),
        unread(served, stream=stream, max_tokens=200_000),
    ):
        assert until(lambda: served.gateway.connections.n_closed, 60)
        assert until(lambda: served.gateway.places.n == 0)


# The open door -----------------------------------------------------------------------------------


def test_a_request_with_two_hosts_is_for_nobody_on_this_machine() -> None:
    from rlfocal.gateway.door.guard import _is_for_us

    for hosts in ([b"localhost"], [b"evil.example"], [b"evil.example", b"localhost"]):
        scope = {"headers": [(b"host", host) for host in hosts]}
        assert _is_for_us(scope) == (hosts == [b"localhost"])
    assert not _is_for_us({"headers": [(b"host", b"localhost"), (b"host", b"localhost")]})


# No long work on the event loop ------------------------------------------------------------------


def test_long_work_is_done_in_another_thread_and_short_work_here() -> None:
    async def threads() -> list[int]:
        return [await aside(size, threading.get_ident) for size in (LONG - 1, LONG)]

    short, long = asyncio.run(threads())
    assert short == threading.get_ident()
    assert long != short


def test_a_reply_is_graded_once_however_many_others_come_after_it(
    serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    graded: list[str] = []
    honest = Reader.graded

    def counted(self: Reader, member: LiveMember, *more: Any) -> Any:
        graded.append(member.name)
        return honest(self, member, *more)

    with serve() as (served, _):
        monkeypatch.setattr(Reader, "graded", counted)
        assert ask(served, model="rlfocal:0").status_code == 200
    assert len(graded) > 1
    assert len(graded) == len(set(graded))


def test_of_a_very_long_prompt_both_ends_are_read_and_of_others_all() -> None:
    encode = HashingEncoder()
    first, last = "apples " * 8_000, " pears" * 8_000
    one, other = (encode([first + word * 50_000 + last])[0] for word in ("plum ", "fig "))
    np.testing.assert_array_equal(one, other)
    short = encode([first[:700] + "plum " + last[:700], first[:700] + "fig " + last[:700]])
    assert (short[0] != short[1]).any()


def test_each_reply_is_split_into_words_once() -> None:
    n_splits = 0

    class Text(str):
        def split(self, *more: Any) -> list[str]:  # type: ignore[override]
            nonlocal n_splits
            n_splits += 1
            return str.split(self, *more)

    found = group_answers([Text("a b"), Text("a  b"), Text("c d"), Text("e f")], HashingEncoder())
    assert n_splits == 4
    assert found.stands_for[0] == found.stands_for[1]


def test_who_waits_for_long_work_is_not_the_only_one_served(serve: Serve, ask: Ask) -> None:
    long = " ".join(f"w{k:x}" for k in range(50_000))
    with serve() as (served, _):
        assert ask(served, f"3 + 4 = {long}").status_code == 200
        assert exchange(served.url, HEALTH).status == 200
