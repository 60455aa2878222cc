"""Bodies that are too long, too slow, or not what they say they are; many connections."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from raw_http import Answer, connect, exchange, head, read_answer, until
from serving import Served, serving
from stub_pool import pool_file, says

from rlfocal.gateway.door import server
from rlfocal.pool.stub import StubServer, StubThread

MOST = 64 << 10
SLOW_S = 0.6
PATIENT_S = 120.0
"""No body takes so long, on a busy machine either."""
PATH = "/v1/chat/completions"
BODY = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "3 + 4 ="}]}).encode()


Small = tuple[Served, StubServer]
Send = Callable[..., Answer]


@pytest.fixture(scope="module")
def small(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """A gateway that takes 64 KiB, eight at once."""
    with _small(trained_folder, tmp_path_factory.mktemp("small"), PATIENT_S) as opened:
        yield opened


@pytest.fixture(scope="module")
def hurried(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """The same within 0.6 s."""
    with _small(trained_folder, tmp_path_factory.mktemp("hurried"), SLOW_S) as opened:
        yield opened


@contextmanager
def _small(checkpoint: Path, folder: Path, body_timeout_s: float) -> Iterator[Small]:
    with StubThread(StubServer(says)) as stub:
        path, db = pool_file(folder, stub.base_url), str(folder / "gateway.db")
        limits: dict[str, Any] = {"most_body_bytes": MOST, "body_timeout_s": body_timeout_s}
        limits["body_grace_s"] = body_timeout_s
        with serving(checkpoint, path, db, in_flight=8, **limits) as served:
            yield served, stub


@pytest.fixture
def send(small: Small) -> Iterator[Send]:
    """send(parts, headers...) → the reply; afterwards the gateway answers others as before."""
    served, stub = small
    yield partial(post, served)
    n_before = len(stub.bodies)
    assert post(served, BODY, Content_Length=str(len(BODY))).status == 200
    assert len(stub.bodies) == n_before + 1
    assert until(lambda: served.gateway.places.n == 0)


def post(
    served: Served, *parts: bytes, pause_s: float = 0.0, path: str = PATH, **headers: str
) -> Answer:
    sent = {"Host": "x", "Content-Type": "application/json"} | served.headers
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    return exchange(served.url, head(path, sent), *parts, pause_s=pause_s)


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_a_body_that_says_it_is_too_long_is_refused_before_it_comes(send: Send) -> None:
    for path in (PATH, "/v1/feedback"):
        reply = send(path=path, Content_Length=str(MOST + 1))  # who waited for it would say 408
        assert (reply.status, reply.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    "length", ["9" * 18, "9" * 30, "-1", "1e3", "0x10", "1_0", "", "5, 5", "+5"]
)
def test_a_length_that_is_no_sound_number_is_refused(send: Send, length: str) -> None:
    assert send(BODY, Content_Length=length).status in (400, 413)


def test_a_chunked_body_is_read_as_far_as_it_may_be_long(send: Send) -> None:
    parts = [chunk(b" " * 8192)] * 64
    reply = send(*parts, Transfer_Encoding="chunked")
    assert (reply.status, reply.code) == (413, "body_too_large")


def test_a_chunked_body_that_is_short_enough_is_taken(send: Send, small: Any) -> None:
    n_before = len(small[1].bodies)
    reply = send(chunk(BODY[:20]), chunk(BODY[20:]), b"0\r\n\r\n", Transfer_Encoding="chunked")
    assert reply.status == 200
    assert len(small[1].bodies) == n_before + 1


def test_a_body_shorter_than_it_says_ends_by_time_out(hurried: Small) -> None:
    started = time.monotonic()
    reply = post(hurried[0], BODY[:9], Content_Length=str(len(BODY)))
    assert (reply.status, reply.code) == (408, "body_timeout")
    assert time.monotonic() - started > SLOW_S * 0.9


def test_what_follows_a_body_is_another_request_or_none(send: Send, small: Any) -> None:
    n_before = len(small[1].bodies)
    assert send(BODY + b"GARBAGE", Content_Length=str(len(BODY))).status in (200, 400)
    time.sleep(0.3)  # it may have hung up while the first was being answered
    assert len(small[1].bodies) <= n_before + 1


def test_a_body_that_drips_ends_by_time_out_whatever_comes(hurried: Small) -> None:
    # Each byte comes in time for itself, and all of them would take 10 s.
    started = time.monotonic()
    drops = [bytes([byte]) for byte in BODY[:12]]
    reply = post(hurried[0], *drops, pause_s=0.1, Content_Length="99")
    assert (reply.status, reply.code) == (408, "body_timeout")
    assert time.monotonic() - started > SLOW_S * 0.9


def slow_bodies(served: Served, key: str) -> list[socket.socket]:
    """As many as there are places, each of which has begun, one after another."""
    sent = {"Host": "x", "Content-Type": "application/json", "Content-Length": "99"}
    sent["Authorization"] = f"Bearer {key}"
    socks = [connect(served.url) for _ in range(8)]
    for sock in socks:
        sock.sendall(head(PATH, sent))
        time.sleep(0.05)
    return socks


def test_slow_bodies_of_one_key_are_in_no_other_keys_way(small: Small, send: Send) -> None:
    served, _ = small
    n_before = served.gateway.places.n
    socks = slow_bodies(served, served.add_key("slow"))
    # One of them comes, four wait for their turn, and the others are told to come later.
    late = [read_answer(sock) for sock in socks[5:]]
    assert [(reply.status, reply.code) for reply in late] == [(429, "too_many_bodies")] * 3
    assert {int(reply.headers["retry-after"]) for reply in late} == {1}
    assert (served.gateway.door.bodies.n_open, served.gateway.places.n) == (1, n_before)
    assert send(BODY, Content_Length=str(len(BODY))).status == 200
    for sock in socks:
        sock.close()
    assert until(lambda: served.gateway.door.bodies.n_open == 0)


def test_slow_bodies_are_waited_for_only_so_long(hurried: Small) -> None:
    served, _ = hurried
    socks = slow_bodies(served, served.key)
    told = [read_answer(sock) for sock in socks]
    assert {reply.status for reply in told} == {408, 429}
    assert {reply.headers.get("connection") for reply in told if reply.status == 408} == {"close"}
    assert until(lambda: post(served, BODY, Content_Length=str(len(BODY))).status == 200)
    for sock in socks:
        sock.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"])
def test_a_compressed_body_is_refused_unread(send: Send, encoding: str) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < 2 * MOST
    started = time.process_time()
    reply = send(bomb, Content_Length=str(len(bomb)), Content_Encoding=encoding)
    assert (reply.status, reply.code) == (415, "unsupported_media_type")
    assert time.process_time() - started < 0.3  # to unpack it takes longer, in this process


def test_a_body_of_two_lengths_is_no_request(small: Small, send: Send) -> None:
    served, stub = small
    n_before = len(stub.bodies)
    # What one server takes for the body of the first request, another takes for a second one.
    hidden = head(PATH, {"Host": "x", "Content-Length": str(len(BODY))} | served.headers) + BODY
    for lengths in (
        [("Content-Length", "4"), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "4"), ("Content-Length", str(len(hidden)))],
        [("Transfer-Encoding", "gzip, chunked")],
        [("Transfer-Encoding", "chunked, identity")],
        [("Transfer-Encoding", "xchunked"), ("Content-Length", "4")],
    ):
        fixed = {"Host": "x", "Content-Type": "application/json"} | served.headers
        reply = exchange(served.url, head(PATH, fixed, *lengths), b"0\r\n\r\n" + hidden)
        assert reply.status in (0, 400, 501), lengths
    assert len(stub.bodies) == n_before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[" * 60_000, "invalid_json"),
        (b'{"a":' * 10_000, "invalid_json"),
        (b"\xff\xfe" * 100, "invalid_json"),
        (b"\0" * 100, "invalid_json"),
        (b"", "invalid_json"),
        (BODY[:-1] + b', "seed": ' + b"9" * 5000 + b"}", "invalid_json"),
        (BODY[:-1] + b', "top_p": NaN}', "invalid_json"),
        (BODY[:-1] + b', "top_p": 1e999}', "invalid_json"),
        (BODY.replace(b"3", b"\\ud800"), "invalid_json"),
        (BODY.replace(b"3", b"\xed\xa0\x80"), "invalid_json"),
        (BODY[:-1] + b', "rlfocal": {"deadline_ms": ' + b"9" * 400 + b"}}", "invalid_value"),
        (
            BODY[:-1]
            + b', "tools": [{"function": {"name": "f", "parameters": {"a":'
            + b"[" * 900
            + b"]" * 900
            + b"}}}]}",
            "invalid_value",
        ),
        (BODY[:-1] + b', "system": "x"}', "unknown_parameter"),
        (BODY.replace(b"3 +", b"x" * 60_000 + b"3 +"), ""),
        (b"\xef\xbb\xbf" + BODY, ""),
        (b"\r\n \t" + BODY + b"\n", ""),
        (BODY.replace(b"3 +", b"\\u0000 3 +"), ""),
    ],
)
def test_hostile_json_is_an_answer_or_a_typed_refusal(send: Send, body: bytes, code: str) -> None:
    reply = send(body, Content_Length=str(len(body)))
    if code:
        assert (reply.status, reply.code) == (400, code)
    else:
        assert reply.status == 200, reply.body


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 1000, b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        b"GET /v1/models/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: [\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_http_is_refused(small: Any, send: Send, data: bytes) -> None:
    reply = exchange(small[0].url, data, b"\r\n\r\n")
    assert reply.status in (0, 400, 401, 404)


def test_a_host_that_no_address_could_be_made_of_is_no_fault(small: Any, send: Send) -> None:
    for host in ("[", "[::1", "a b", "x" * 4000, "\xff", "%00", "x:99999999"):
        reply = exchange(small[0].url, head("/healthz", {"Host": host}, method="GET"))
        assert reply.status in (200, 400), host
        reply = exchange(small[0].url, head("/v1/models", {"Host": host}, method="GET"))
        assert reply.status in (400, 401), host


# Heads, and many connections ---------------------------------------------------------------------


@pytest.mark.parametrize("as_one", [False, True])
def test_a_head_is_read_as_far_as_it_may_be_long(small: Any, send: Send, as_one: bool) -> None:
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    line = b"a" * 4000 if as_one else b"X: " + b"a" * 4000 + b"\r\n"
    reply = exchange(small[0].url, first + (b"X: " if as_one else b""), *[line] * 200)
    assert reply.status in (0, 431)  # 0: it had hung up before all was sent


def test_a_head_of_usual_length_is_read_and_the_next_one_too(small: Any, send: Send) -> None:
    asked = head("/healthz", {"Host": "x", "X": "a" * 8000}, method="GET")
    with connect(small[0].url) as sock:
        for _ in range(30):  # more together than one may have
            sock.sendall(asked)
            assert read_answer(sock).status == 200


@pytest.mark.slow
def test_a_head_that_does_not_end_is_waited_for_only_so_long(
    small: Any, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.5)
    for parts in ([b""], [b"GET /healthz HTTP/1.1\r\n"], [b"GET /h", *[b"x"] * 20]):
        reply = exchange(small[0].url, *parts, pause_s=0.1)  # who is waited for gets no reply
        assert reply.status in (0, 408)
    # One that has been answered is kept for the next request.
    asked = head("/healthz", {"Host": "x"}, method="GET")
    with connect(small[0].url) as sock:
        sock.sendall(asked)
        assert read_answer(sock).status == 200
        time.sleep(0.7)
        sock.sendall(asked)
        assert read_answer(sock).status == 200


def test_no_websocket_is_opened(small: Any, send: Send) -> None:
    wanted = {
        "Host": "x", "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    assert exchange(small[0].url, head("/v1/models", wanted, method="GET")).status in (400, 401)
