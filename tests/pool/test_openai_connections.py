"""What the client does with connections: secrets kept, whole replies saved, its own lacks told."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import aiohttp
import pytest
from asking import ASKED, fails
from habits import DONE, Habits, chunked, event, json_reply, piece, reply

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import OpenAIEndpoint
from rlfocal.pool.openai.http_failures import connection_error, redirect_error

HEADER_KEY, QUERY_KEY = "hk-0123456789abcdef", "qk-fedcba9876543210"


def test_headers_and_query_are_sent_and_never_shown() -> None:
    said = {"error": {"message": f"no such {HEADER_KEY} or {QUERY_KEY}"}}

    async def go() -> None:
        async with Habits(lambda body, n: json_reply(said, "403 No")) as server:
            endpoint = OpenAIEndpoint(
                server.url,
                headers={"api-key": HEADER_KEY, "X-Title": "tests"},
                query={"api-version": "1", "code": QUERY_KEY},
                secrets=[HEADER_KEY, QUERY_KEY],
            )
            assert HEADER_KEY not in repr(vars(endpoint))
            async with endpoint:
                with pytest.raises(MemberError) as caught:
                    await endpoint.send(ASKED, timeout_s=30)
            head = server.heads[0]
            assert (head["api-key"], head["x-title"]) == (HEADER_KEY, "tests")
            assert head[":target"] == f"/v1/chat/completions?api-version=1&code={QUERY_KEY}"
            assert "authorization" not in head
            assert str(caught.value).count("[redacted]") == 2

    asyncio.run(go())


def test_any_secret_in_a_reply_makes_it_none() -> None:
    async def go(streamed: bool) -> list[str]:
        told: list[str] = []
        text = f"The key is {HEADER_KEY}, as you know."
        pieces = [event(piece({"content": text[i : i + 3]})) for i in range(0, len(text), 3)]
        script = chunked([*pieces, event(piece({}, "stop")), DONE])
        async with (
            Habits(lambda body, n: script if streamed else json_reply(reply(text))) as server,
            OpenAIEndpoint(server.url, key="k" * 20, secrets=[HEADER_KEY]) as endpoint,
        ):
            with pytest.raises(MemberError, match="holds the key"):
                await endpoint.send(replace(ASKED, on_text=told.append), timeout_s=30)
        return told

    for streamed in (False, True):
        assert HEADER_KEY not in "".join(asyncio.run(go(streamed)))


def test_no_secret_is_told_in_thoughts_nor_beside_a_text() -> None:
    async def go(deltas: list[dict[str, Any]]) -> list[str]:
        told: list[str] = []
        script = chunked([*(event(piece(d)) for d in deltas), event(piece({}, "stop")), DONE])
        asked = replace(ASKED, on_text=told.append, on_thought=told.append, verbatim=True)
        async with (
            Habits(lambda body, n: script) as server,
            OpenAIEndpoint(server.url, key=HEADER_KEY) as endpoint,
        ):
            with pytest.raises(MemberError, match="holds the key"):
                await endpoint.send(asked, timeout_s=30)
        return told

    text = f"The key is {HEADER_KEY}, as you know."
    thoughts = [{"reasoning": text[i : i + 3]} for i in range(0, len(text), 3)]
    for beside in (
        thoughts, [{"refusal": text}], [{"annotations": [{"type": "x", "text": text}]}],
    ):  # fmt: skip
        assert HEADER_KEY not in "".join(asyncio.run(go([*beside, {"content": "7"}])))


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/v2/chat/completions", "(it leads to https://host.example/v2/chat/completions)"),
        ("https://new.example/v1?key=sk-secret#x", "(it leads to https://new.example/v1)"),
        ("//me:pass@new.example/v1", "(it leads to https://new.example/v1)"),
        ("", "HTTP status 308; set base_url"),
        ("http://[", "HTTP status 308; set base_url"),
        ("https://new.example/\x1b[2J", "HTTP status 308"),
    ],
)
def test_a_redirect_names_the_address_and_nothing_secret(location: str, told: str) -> None:
    error = redirect_error("h", 308, "https://host.example/v1/chat/completions", location)
    assert told in str(error)
    assert error.failure is Failure.MALFORMED
    for secret in ("sk-secret", "pass", "\x1b"):
        assert secret not in str(error)


def test_a_reply_with_its_reason_counts_when_time_is_over() -> None:
    script = chunked(
        [event(piece({"content": "17"})), event(piece({}, "stop")), *([0.2, b": ping\n\n"] * 20)]
    )

    async def go() -> str:
        async with Habits(lambda b, n: script) as server, OpenAIEndpoint(server.url) as endpoint:
            return (await endpoint.send(ASKED, timeout_s=1.0)).text

    assert asyncio.run(go()) == "17"


def test_connections_are_used_again_after_the_end_of_a_stream() -> None:
    script = chunked([event(piece({"content": "17"}, "stop")), DONE, 0.05])

    async def go() -> list[socket.socket]:
        async with Habits(lambda b, n: script) as server, OpenAIEndpoint(server.url) as endpoint:
            for _ in range(4):
                await endpoint.send(ASKED, timeout_s=30)
            return [each.get_extra_info("socket") for each in server.writers]

    assert len(asyncio.run(go())) == 1


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """No file can be opened until the test is over."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 256), before[1]))
    try:
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_our_own_lack_of_descriptors_is_not_the_servers(
    host: str, request: pytest.FixtureRequest
) -> None:
    async def go() -> MemberError:
        async with Habits(lambda body, n: json_reply(reply())) as server:
            url = server.url.replace("127.0.0.1", host)
            async with OpenAIEndpoint(url) as endpoint:
                endpoint._opened()
                request.getfixturevalue("few_descriptors")
                with pytest.raises(MemberError) as caught:
                    await endpoint.send(ASKED, timeout_s=30)
                return caught.value

    error = asyncio.run(go())
    assert error.failure is Failure.OURS
    assert error.failure.passes
    assert "ulimit -n" in str(error)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_each_lack_is_ours(number: int) -> None:
    inner = OSError(number, "x")
    key = cast(Any, None)
    for exc in (
        inner,
        aiohttp.ClientConnectorError(key, inner),
        aiohttp.ClientOSError(number, "x"),
    ):
        assert connection_error("h", exc).failure is Failure.OURS
    group = OSError("all of them failed")
    group.__cause__ = ExceptionGroup("several", [ConnectionRefusedError(111, "x"), inner])
    assert connection_error("h", group).failure is Failure.OURS
    gone = aiohttp.ClientConnectorDNSError(key, socket.gaierror(-3, "Temporary failure"))
    assert connection_error("h", gone).failure is Failure.UNREACHABLE


def test_the_latency_ends_with_the_reply() -> None:
    script = chunked([event(piece({"content": "17"}, "stop")), DONE, 20.0])

    async def go() -> float:
        async with Habits(lambda b, n: script) as server, OpenAIEndpoint(server.url) as endpoint:
            started = time.perf_counter()
            found = await endpoint.send(ASKED, timeout_s=30)
            return time.perf_counter() - started - found.latency_s

    assert asyncio.run(go()) > 0.2  # what was waited for the connection to end is no latency


def test_an_error_within_a_good_status_names_its_parameter() -> None:
    error = fails(json_reply({"error": {"code": 400, "message": "messages: Input too short"}}))
    assert error.failure is Failure.BAD_REQUEST
