"""Replies that come in pieces are the replies that come in one; nothing is told twice."""

from __future__ import annotations

import asyncio
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
from rlfocal.pool.openai_stream import StreamedReply
from rlfocal.pool.stub import Fault, Said
from rlfocal.pool.types import Api

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
            # As servers do that ignore the wish.
            endpoint = OpenAIEndpoint(stub.base_url)
            body = endpoint._body
            endpoint._body = lambda request: {**body(request), "stream": False}  # type: ignore[method-assign]
            async with endpoint:
                return await endpoint.send(replace(REQUEST, on_text=pieces.append), timeout_s=60)

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


@given(st.lists(st.integers(0, len(EVENTS)), max_size=8))
def test_events_may_be_cut_anywhere(places: list[int]) -> None:
    told: list[str] = []
    reply = StreamedReply("chat", told.append)
    ends = [0, *sorted(places), len(EVENTS)]
    for start, end in itertools.pairwise(ends):
        reply.feed(EVENTS[start:end])
    found = reply.reply()
    assert found is not None
    assert found["choices"][0]["message"]["content"] == "a\u00e9b" == "".join(told)
    assert found["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}


@given(st.integers(0, EVENTS.index(b'"finish_reason"')))
def test_a_stream_that_ends_early_is_no_reply(end: int) -> None:
    reply = StreamedReply("chat", lambda _: None)
    reply.feed(EVENTS[:end])
    found = reply.reply()
    # Nothing, or the error of an event that is no JSON: never half of a text.
    assert found is None or "error" in found


@given(st.recursive(st.none() | st.booleans() | st.text(), st.lists, max_leaves=5))
def test_any_json_may_come(value: Any) -> None:
    reply = StreamedReply("chat", lambda _: None)
    for found in (value, {"choices": value}, {"choices": [value]}, {"choices": [{"delta": value}]}):
        reply.feed(b"data: " + json.dumps(found).encode() + b"\n")
    reply.reply()


def test_an_error_among_the_events_is_the_members() -> None:
    reply = StreamedReply("chat", lambda _: None)
    reply.feed(b'data: {"error": {"code": 429, "message": "slow down"}}\n\n')
    assert reply.reply() == {"error": {"code": 429, "message": "slow down"}}
