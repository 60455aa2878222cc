"""Who gets in: keys over HTTP, headers that nobody believes, the open door."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import httpx2
import pytest
from raw_http import connect, exchange, head, read_answer, until
from serving import Served, serving
from stub_pool import pool_file, says

from rlfocal.pool.stub import StubServer, StubThread

Ask = Callable[..., Any]
Serve = Callable[..., Any]
ROUTES = [
    ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/v1/models/rlfocal"),
    ("POST", "/v1/feedback"), ("GET", "/metrics"),
]  # fmt: skip
BODY = {"model": "rlfocal", "messages": [{"role": "user", "content": "3 + 4 ="}]}
SAFE = {
    "x-content-type-options": "nosniff", "cache-control": "no-store", "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}  # fmt: skip


def knock(served: Served, path: str, method: str, **headers: str) -> httpx2.Response:
    body = BODY if method == "POST" else None
    return httpx2.request(method, served.url + path, json=body, headers=headers, timeout=30)


def test_keys_are_asked_for_everywhere_and_every_wrong_one_is_refused_alike(
    serve: Serve, ask: Ask
) -> None:
    with serve() as (served, stub):
        revoked = served.add_key("revoked")
        with served.store.connections.write() as connection:
            served.store.keys.revoke(connection, "revoked", now=time.time())
            past = {"now": time.time() - 9, "expires_at": time.time() - 1}
            expired = served.store.keys.add(connection, "expired", **past).plaintext
        good = served.key
        wrong = {
            "none": None,
            "empty": "",
            "no scheme": good,
            "another scheme": f"Basic {good}",
            "no key": "Bearer",
            "the scheme twice": f"Bearer Bearer {good}",
            "two keys": f"Bearer {good}, {good}",
            "a letter more": f"Bearer {good}x",
            "a letter less": f"Bearer {good[:-1]}",
            "its id alone": f"Bearer {good[:13]}",
            "another secret": f"Bearer {good[:13]}{'A' * 43}",
            "in capitals": f"Bearer {good.upper()}",
            "expired": f"Bearer {expired}",
            "revoked": f"Bearer {revoked}",
            "very long": f"Bearer {'x' * 8000}",
            "in quotes": f'Bearer "{good}"',
        }
        told = set()
        with httpx2.Client(base_url=served.url, timeout=60) as client:
            for (method, path), (name, value) in product(ROUTES, wrong.items()):
                headers = {} if value is None else {"Authorization": value}
                reply = client.request(method, path, json=BODY, headers=headers)
                assert reply.status_code == 401, (path, name)
                assert reply.headers["www-authenticate"] == "Bearer"
                told.add(reply.text)
        assert len(told) == 1  # whatever was wrong, nobody learns it
        assert stub.bodies == []
        assert ask(served).status_code == 200


@pytest.mark.slow
def test_a_key_that_is_revoked_is_out_soon_after(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _):
        key = served.add_key("leaving")
        assert ask(served, key=key).status_code == 200
        with served.store.connections.write() as connection:
            served.store.keys.revoke(connection, "leaving", now=time.time())
        assert until(lambda: ask(served, key=key).status_code == 401)


def test_metrics_are_for_administrators(serve: Serve) -> None:
    with serve() as (served, _):
        plain = {"Authorization": f"Bearer {served.add_key('plain')}"}
        refused = knock(served, "/metrics", "GET", **plain)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "admin_key_needed")
        assert knock(served, "/metrics", "GET", **served.headers).status_code == 200


def test_the_body_of_a_stranger_is_not_waited_for(serve: Serve) -> None:
    with serve(body_timeout_s=600.0) as (served, _):
        asked = {"Host": "x", "Content-Type": "application/json", "Content-Length": "1000000"}
        assert exchange(served.url, head("/v1/chat/completions", asked)).status == 401


SPOOFED = {
    "Api-Key": "KEY", "X-Goog-Api-Key": "KEY", "Cookie": "session=KEY",
    "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost", "X-Forwarded-Proto": "https",
    "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1;host=localhost", "Via": "1.1 gateway",
    "Proxy-Authorization": "Bearer KEY", "X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz",
    "X-HTTP-Method-Override": "GET", "X-Internal": "1", "X-Internal-Request": "true",
    "X-Admin": "true", "X-User-Id": "admin", "X-Authenticated-User": "admin",
    "x-rlfocal-id": "chatcmpl-1", "x-rlfocal-key": "KEY", "x-rlfocal-admin": "1",
    "x-rlfocal-internal": "1", "x-vsr-looper-request": "true", "x-litellm-api-key": "KEY",
    "x-portkey-custom-host": "http://example.invalid", "x-portkey-provider": "openai",
    "x-portkey-config": '{"retry": 9}', "OpenAI-Organization": "org", "x-stainless-lang": "python",
}  # fmt: skip


def test_no_header_but_a_key_opens_the_door(serve: Serve) -> None:
    with serve() as (served, stub), httpx2.Client(base_url=served.url, timeout=60) as client:
        for name, value in SPOOFED.items():
            for method, path in ROUTES:
                sent = {name: value.replace("KEY", served.key)}
                reply = client.request(method, path, json=BODY, headers=sent)
                assert reply.status_code == 401, name
        assert stub.bodies == []


@pytest.mark.slow
def test_headers_make_nobody_an_administrator_and_change_no_reply(serve: Serve) -> None:
    with serve() as (served, stub):
        mine = {"Authorization": f"Bearer {served.add_key('plain')}"}
        for name, value in SPOOFED.items():
            sent = mine | {name: value.replace("KEY", served.key)}
            assert knock(served, "/metrics", "GET", **sent).status_code == 403, name
        bare = knock(served, "/v1/chat/completions", "POST", **mine).json()
        n_bare = len(stub.bodies)
        all_of_them = mine | {n: v.replace("KEY", served.key) for n, v in SPOOFED.items()}
        spoofed = knock(served, "/v1/chat/completions", "POST", **all_of_them)
        assert spoofed.json()["choices"] == bare["choices"]
        assert spoofed.headers["x-rlfocal-id"] != "chatcmpl-1"
        assert len(stub.bodies) == 2 * n_bare


def test_two_keys_in_one_request_count_as_the_first(serve: Serve) -> None:
    with serve() as (served, _):
        one = {"Host": "x", "Authorization": "Bearer nothing"}
        two = ("Authorization", f"Bearer {served.key}")
        assert exchange(served.url, head("/v1/models", one, two, method="GET")).status == 401


def test_a_path_written_in_another_way_leads_around_no_door(serve: Serve) -> None:
    with serve() as (served, _):
        for path in (
            "/v1/models/", "//v1/models", "/v1/../metrics", "/healthz/../metrics", "/%6detrics",
            "/v1/models/../../metrics", "/metrics;x", "/METRICS", "/metrics%00",
        ):  # fmt: skip
            reply = exchange(served.url, head(path, {"Host": "x"}, method="GET"))
            assert reply.status in (400, 401, 404), path


# On every reply ----------------------------------------------------------------------------------


def test_every_reply_has_safe_headers_and_none_opens_it_to_pages(serve: Serve, ask: Ask) -> None:
    with serve(faults=[None] * 4) as (served, _):
        page = {"Origin": "http://example.com", "Access-Control-Request-Method": "POST"}
        replies = [
            ask(served), ask(served, stream=True), ask(served, model="nobody"), ask(served, n=2),
            ask(served, key="wrong"), knock(served, "/healthz", "GET", **page),
            knock(served, "/nothing", "GET"), knock(served, "/v1/feedback", "PUT"),
            knock(served, "/v1/chat/completions", "OPTIONS", **page),
            httpx2.post(
                f"{served.url}/v1/chat/completions", headers=served.headers, content=b"x",
                timeout=60,
            ),
            knock(served, "/v1/models", "GET", **served.headers, **page),
        ]  # fmt: skip
        assert [r.status_code for r in replies] == [
            200, 200, 404, 400, 401, 200, 404, 405, 405, 415, 200,
        ]  # fmt: skip
        for reply in replies:
            assert {name: reply.headers.get(name) for name in SAFE} == SAFE
            assert "default-src 'none'" in reply.headers["content-security-policy"]
            assert not [name for name in reply.headers if name.startswith("access-control")]
            assert "server" not in reply.headers
        assert replies[7].headers["allow"] == "POST"


def test_refusals_are_openais_error_object(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _):
        for reply in (
            ask(served, model="nobody"), ask(served, key="x"), ask(served, n=2),
            httpx2.get(f"{served.url}/nothing", timeout=60), httpx2.put(f"{served.url}/v1/models"),
        ):  # fmt: skip
            error = reply.json()["error"]
            assert error.keys() >= {"message", "type", "param", "code"}
            assert error["type"].endswith("_error")


# The open door -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:PORT"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "[::1]:PORT"}, 200),
        ({"Origin": "http://127.0.0.1:PORT"}, 200),
        # A name that was resolved to this machine after the page had come.
        ({"Host": "attacker.example:PORT"}, 403),
        ({"Host": "127.0.0.1.attacker.example"}, 403),
        ({"Host": "localhost.attacker.example"}, 403),
        ({"Host": "attacker.example@localhost"}, 400),
        ({"Host": "localhost@attacker.example"}, 400),
        ({"Host": "0.0.0.0:PORT"}, 403),
        ({"Host": ""}, 403),
        # A page from elsewhere.
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Origin": "http://127.0.0.1:PORT.attacker.example"}, 403),
        # What a form or a script may send without asking first.
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Type": ""}, 415),
    ],
)
def test_an_open_door_is_for_programs_on_this_machine(
    open_gateway: tuple[Served, Any], headers: dict[str, str], status: int
) -> None:
    served, stub = open_gateway
    n_before, port = len(stub.bodies), served.url.rpartition(":")[2]
    sent = {"Content-Type": "application/json"} | {
        name: value.replace("PORT", port) for name, value in headers.items()
    }
    reply = httpx2.post(f"{served.url}/v1/feedback", json={}, headers=sent, timeout=60)
    # What is let in is a body without an id.
    assert reply.status_code == (400 if status == 200 else status)
    reply = httpx2.post(f"{served.url}/v1/chat/completions", json=BODY, headers=sent, timeout=60)
    assert reply.status_code == status
    assert (len(stub.bodies) > n_before) == (status == 200)
    if status == 400:  # refused as no request, before any route
        return
    assert {name: reply.headers.get(name) for name in SAFE} == SAFE


@pytest.fixture(scope="module")
def open_gateway(trained_folder: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("open")
    with StubThread(StubServer(says)) as stub:
        path = pool_file(folder, stub.base_url)
        with serving(trained_folder, path, str(folder / "gateway.db"), open_door=True) as served:
            yield served, stub


# What a head may say -----------------------------------------------------------------------------

PATH = "/v1/chat/completions"
SENT = b'{"model": "plain", "messages": [{"role": "user", "content": "3 + 4 ="}]}'
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SENT), SENT)
UPGRADES = {
    "Java": {
        "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
        "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    },
    "websocket": {
        "Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    },
    "TLS": {"Connection": "upgrade", "Upgrade": "TLS/1.3, HTTP/2.0"},
}  # fmt: skip


@pytest.mark.slow
def test_a_wish_for_another_protocol_is_ignored(serve: Serve) -> None:
    with serve() as (served, stub):
        for wish in UPGRADES.values():
            sent = {"Host": "x", "Content-Type": "application/json", **served.headers, **wish}
            whole = head(PATH, sent | {"Content-Length": str(len(SENT))}) + SENT
            parted = head(PATH, sent | {"Transfer-Encoding": "chunked"}) + CHUNKED
            n_before = len(stub.bodies)
            for raw in (whole, parted):
                middle = raw.index(b"\r\n\r\n") + 4
                for cuts in ([], [middle], [50, len(raw) - 9]):
                    bounds = zip([0, *cuts], [*cuts, len(raw)], strict=True)
                    reply = exchange(served.url, *(raw[i:j] for i, j in bounds), pause_s=0.05)
                    assert reply.status == 200, reply.body
                    assert "upgrade" not in reply.headers
            assert len(stub.bodies) - n_before == 6
            with connect(served.url) as sock:  # and the connection goes on
                for raw in (whole, parted, whole):
                    sock.sendall(raw)
                    assert read_answer(sock).status == 200
                sock.sendall(head("/healthz", {"Host": "x", **wish}, method="GET") * 3)
                assert read_answer(sock).status == 200
            assert exchange(served.url, head(PATH, wish | {"Host": "x"})).status == 401


HEADS: list[tuple[str, list[tuple[str, str]], int]] = [
    ("one host", [("Host", "x:80")], 200),
    ("an address", [("Host", "[::1]:8080")], 200),
    ("no host", [], 400),
    ("two hosts", [("Host", "x"), ("Host", "y")], 400),
    ("a host twice", [("Host", "x"), ("Host", "x")], 400),
    ("no name of a host", [("Host", "x/y")], 400),
    ("two in one", [("Host", "x, y")], 400),
    ("two types", [("Host", "x"), ("Content-Type", "text/plain")], 400),
    ("a type twice", [("Host", "x"), ("Content-Type", "application/json")], 400),
    ("two keys", [("Host", "x"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")], 400),
    ("an upgrade without a host", [("Connection", "upgrade"), ("Upgrade", "h2c")], 400),
]


def test_a_head_says_nothing_twice(serve: Serve) -> None:
    with serve() as (served, stub):
        sent = {"Content-Type": "application/json", "Content-Length": str(len(SENT))}
        for name, more, status in HEADS:
            reply = exchange(served.url, head(PATH, sent | served.headers, *more) + SENT)
            assert reply.status == status, (name, reply.body)
            if status == 400:
                assert (reply.code, reply.headers["connection"]) == ("bad_request", "close"), name
        assert len(stub.bodies) == sum(status == 200 for *_, status in HEADS)


CODINGS = {
    "chunked": 200, "Chunked": 200, "gzip, chunked": 501, "chunked, chunked": 400,
    "identity, chunked": 501, "xchunked": 501, "deflate": 501, "chunked, identity": 501,
    "chunked;q=1": 501,
}  # fmt: skip


def test_a_body_comes_as_it_is_or_in_chunks(serve: Serve) -> None:
    with serve() as (served, stub):
        sent = {"Host": "x", "Content-Type": "application/json", **served.headers}
        for coding, status in CODINGS.items():
            reply = exchange(served.url, head(PATH, sent, ("Transfer-Encoding", coding)) + CHUNKED)
            # What cannot be told apart at all is refused by the parser.
            assert reply.status in {status, 400 if status == 501 else status}, coding
        parted = [("Transfer-Encoding", "gzip"), ("Transfer-Encoding", "chunked")]
        assert exchange(served.url, head(PATH, sent, *parted) + CHUNKED).status == 501
        assert len(stub.bodies) == sum(status == 200 for status in CODINGS.values())


def test_a_tunnel_is_refused_and_old_http_needs_no_host(serve: Serve) -> None:
    with serve() as (served, _):
        assert exchange(served.url, b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n").status == 405
        assert exchange(served.url, b"GET /healthz HTTP/1.0\r\n\r\n").status == 200
        old = b"GET /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert exchange(served.url, old).status == 400
