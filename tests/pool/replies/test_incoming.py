"""Replies without end: read as far as was asked for, in time that grows with their length alone."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request
from rlfocal.pool.openai.replies.bounds import Bounds
from rlfocal.pool.openai.replies.errors.reading import Upstream
from rlfocal.pool.openai.replies.incoming import Incoming
from rlfocal.pool.types import Response

SMALL = Request((Message("user", "?"),), max_tokens=16)
LARGE = Request((Message("user", "?"),), max_tokens=4096)
TOOLS = {"tools": [{"type": "function", "function": {"name": "look"}}]}


def read(request: Request, *parts: bytes) -> Response:
    incoming = Incoming(request, "chat")
    for part in parts:
        incoming.feed(part)
        if incoming.is_overlong:
            break
    return incoming.read(Upstream("host:1"))


def whole(text: str, **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text, **more}}]}).encode()


def pieces(text: str, n: int = 64) -> list[bytes]:
    events = [
        {"choices": [{"delta": {"content": text[i : i + n]}}]} for i in range(0, len(text), n)
    ]
    end = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
    return [*(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events), end]


def test_a_text_goes_as_far_as_was_asked() -> None:
    most = Bounds.of(SMALL).text
    assert most == 64 << 10
    assert Bounds.of(LARGE).text == 64 * 4096
    for parts in ([whole("a" * most)], pieces("a" * most)):
        assert len(read(SMALL, *parts).text) == most
    for parts in ([whole("a" * (most + 1))], pieces("a" * (most + 1))):
        with pytest.raises(MemberError, match="longer than max_tokens = 16") as caught:
            read(SMALL, *parts)
        assert caught.value.failure is Failure.MALFORMED
        assert len(read(LARGE, *parts).text) == most + 1


def test_arguments_go_as_far_as_was_asked() -> None:
    request = Request(SMALL.messages, max_tokens=16, extra=TOOLS)

    def call(n: int) -> dict[str, Any]:
        return {"index": 0, "id": "a", "function": {"name": "look", "arguments": "1" * n}}

    def parts(n: int) -> list[list[bytes]]:
        delta = {"choices": [{"delta": {"tool_calls": [call(n)]}, "finish_reason": "tool_calls"}]}
        return [
            [whole("", tool_calls=[call(n)])],
            [b"data: " + json.dumps(delta).encode() + b"\n\n"],
        ]

    for ways in parts(60_000):
        assert len(read(request, *ways).tool_calls) == 1
    for ways in parts(70_000):
        with pytest.raises(MemberError, match="longer than max_tokens"):
            read(request, *ways)
    many = whole("", tool_calls=[{**call(1), "id": str(k)} for k in range(200)])
    with pytest.raises(MemberError, match="longer than max_tokens"):
        read(request, many)


def test_thinking_may_take_more_than_the_text() -> None:
    found = read(SMALL, whole("17", reasoning="hm " * 40_000))
    assert (found.text, len(found.reasoning)) == ("17", 120_000)


LONG_EVENT = b'data: {"a": "%s"}\n\n' % (b"b" * 500)


@pytest.mark.parametrize(
    "part",
    [
        b"data: " + b"x" * 65_530,
        b"x" * 65_536,
        b": ping\n" * 9_000,
        b'{"a": "' + b"x" * 65_000,
        LONG_EVENT * 120,
        b'data: {"choices": [\n' * 3_000,
        b"\r\n" * 30_000,
        b"{}" * 30_000,
        b"data: {\n" * 8_000,
        b" " * 65_536,
    ],
)
def test_what_never_ends_is_cut_off(part: bytes) -> None:
    incoming, n = Incoming(SMALL, "chat"), 0
    while not incoming.is_overlong:
        incoming.feed(part)
        n += len(part)
        assert n < 4 << 20
    with pytest.raises(MemberError, match="cut off there"):
        incoming.read(Upstream("host:1"))


def seconds(total: int, n: int, text: bytes) -> float:
    """Of the processor, for so many bytes in pieces of n."""
    incoming, started = Incoming(LARGE, "chat"), time.process_time()
    data = text * (total // len(text) + 1)
    for i in range(0, total, n):
        incoming.feed(data[i : i + n])
        if incoming.patience_s is not None and incoming.is_overlong:
            break
    return time.process_time() - started


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        b"data: " + b"x" * (1 << 21),
        b'{"a": "' + b"y" * (1 << 21),
        b'data: {"choices":[{"delta":{"content":"ab"}}]}\n\n',
    ],
)
def test_time_grows_with_the_length_alone(text: bytes) -> None:
    seconds(1 << 14, 256, text)
    short, long = seconds(1 << 17, 256, text), seconds(1 << 20, 256, text)
    assert long < 40 * max(short, 0.002)  # 8 times as long; quadratic would be 64 times
