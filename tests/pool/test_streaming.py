"""Replies that come in pieces are the replies that come in one; nothing is told twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, OpenAIEndpoint, Request, Retrying, StubServer
from rlfocal.pool.openai.replies.errors.reading import Upstream
from rlfocal.pool.openai.replies.incoming import Incoming
from rlfocal.pool.stub import Fault, Said
from rlfocal.pool.types import Api, Response, Wording

REQUEST = Request((Message("user", "Count to three, slowly."),))


async def send(
    request: Request, *, faults: list[Fault | None] | None = None, api: Api = "chat"
) -> Any:
    said = Said("one  two\nthree ", logprobs={" one": -0.1, "two": -3.0})
    async with StubServer(lambda _: said, faults=faults or ()) as stub:
        endpoint = Retrying(
            OpenAIEndpoint(stub.base_url, api=api), rng=random.Random(0), first_wait_s=0.0
        )
        async with endpoint:
            return await endpoint.send(request, timeout_s=60)


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_pieces_make_the_same_response(api: Api) -> None:
    pieces: list[str] = []
    request = replace(REQUEST, n_logprobs=2)
    whole = asyncio.run(send(request, api=api))
    streamed = asyncio.run(send(replace(request, on_text=pieces.append), api=api))
    assert len(pieces) > 2
    assert "".join(pieces) == whole.text
    assert replace(streamed, latency_s=0.0) == replace(whole, latency_s=0.0)


def test_a_failure_before_the_first_piece_is_repeated() -> None:
    pieces: list[str] = []
    reply = asyncio.run(send(replace(REQUEST, on_text=pieces.append), faults=[Fault("500"), None]))
    assert reply.n_attempts == 2
    assert "".join(pieces) == reply.text


def test_a_reply_that_breaks_off_is_not_begun_anew() -> None:
    pieces: list[str] = []
    with pytest.raises(MemberError) as caught:
        asyncio.run(send(replace(REQUEST, on_text=pieces.append), faults=[Fault("cut"), None]))
    assert caught.value.failure is Failure.UNREACHABLE
    assert pieces == ["one", "  two"]


def test_a_server_that_cannot_stream_tells_all_at_once() -> None:
    pieces: list[str] = []

    async def plain() -> Any:
        async with StubServer(lambda _: "in one piece") as stub:
            request = replace(REQUEST, wording=Wording(drop=frozenset({"stream"})))
            async with OpenAIEndpoint(stub.base_url) as endpoint:
                return await endpoint.send(replace(request, on_text=pieces.append), timeout_s=60)

    assert asyncio.run(plain()).text == "in one piece"
    assert pieces == ["in one piece"]


EVENTS = (
    b": hello\n\n"
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":"a\\u00e9"}}]}\r\n\r\n'
    b'data:{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
    b"data: [DONE]\n\n"
)


def read(*parts: bytes, tell: Any = None, broken: MemberError | None = None) -> Response:
    incoming = Incoming(replace(REQUEST, on_text=tell), "chat")
    for part in parts:
        incoming.feed(part)
    return incoming.read(Upstream("host:1"), broken=broken)


@given(st.lists(st.integers(0, len(EVENTS)), max_size=8))
def test_events_may_be_cut_anywhere(places: list[int]) -> None:
    told: list[str] = []
    ends = [0, *sorted(places), len(EVENTS)]
    found = read(*(EVENTS[a:b] for a, b in itertools.pairwise(ends)), tell=told.append)
    assert found.text == "a\u00e9b" == "".join(told)
    assert (found.n_prompt_tokens, found.n_completion_tokens) == (3, 2)


@given(st.integers(0, EVENTS.index(b'"finish_reason"')))
def test_a_stream_that_ends_early_is_no_reply(end: int) -> None:
    broken = MemberError("host:1: broken off", failure=Failure.UNREACHABLE)
    for how in (None, broken):
        with pytest.raises(MemberError) as caught:
            read(EVENTS[:end], broken=how)
        # Never half of a text; a beginning of which nothing can be told is malformed.
        assert caught.value.failure in (Failure.UNREACHABLE, Failure.MALFORMED)
        assert how is None or caught.value.failure is Failure.UNREACHABLE


@given(st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=5))
def test_any_json_may_come(value: Any) -> None:
    parts = (value, {"choices": value}, {"choices": [value]}, {"choices": [{"delta": value}]})
    parts += ({"choices": [{"delta": {"tool_calls": value}}]}, {"error": value}, {"usage": value})
    for found in parts:
        with contextlib.suppress(MemberError):
            read(b"data: " + json.dumps(found).encode() + b"\n")
    with contextlib.suppress(MemberError):
        read(*(b"data: " + json.dumps(found).encode() + b"\n" for found in parts))


def test_an_error_among_the_events_is_the_members() -> None:
    with pytest.raises(MemberError, match="slow down") as caught:
        read(b'data: {"error": {"code": 429, "message": "slow down"}}\n\n')
    assert caught.value.failure is Failure.RATE_LIMITED
