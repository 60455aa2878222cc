"""Shapes that replies come in beside the usual one: texts, choices, calls."""

from __future__ import annotations

import json
from typing import Any

import pytest
from habits import DONE, event, piece

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request
from rlfocal.pool.openai.replies.errors.reading import Upstream
from rlfocal.pool.openai.replies.incoming import Incoming
from rlfocal.pool.types import Response

TOOLS = {"tools": [{"type": "function", "function": {"name": n}} for n in ("look", "add")]}
ASKED = Request((Message("user", "?"),), max_tokens=64, extra=TOOLS)
CALL = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def read(*parts: Any, request: Request = ASKED) -> Response:
    incoming = Incoming(request, "chat")
    for part in parts:
        incoming.feed(part if isinstance(part, bytes) else json.dumps(part).encode())
    return incoming.read(Upstream("host:1"))


def choice(message: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    return {"message": message, "finish_reason": finish, **more}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (17, "17"),
        (17.5, "17.5"),
        ({"text": "17"}, "17"),
        ({"parts": [{"text": "It is "}, {"text": "17"}]}, "It is 17"),
        ({"content": [{"type": "text", "text": "17"}]}, "17"),
        ([{"type": "text", "content": "17"}], "17"),
        ([{"type": "text", "value": "17"}], "17"),
        ([{"type": "text", "text": {"value": "17"}}], "17"),
        (["It is ", "17"], "It is 17"),
        ([{"type": "thinking", "content": "42"}, {"type": "text", "content": "17"}], "17"),
    ],
)
def test_texts(content: Any, text: str) -> None:
    assert read({"choices": [choice({"content": content})]}).text == text
    pieces = [event(piece({"content": content})), event(piece({}, "stop")), DONE]
    assert read(*pieces).text == text


@pytest.mark.parametrize("content", [True, {"image": "x"}])
def test_what_is_no_text(content: Any) -> None:
    with pytest.raises(MemberError) as caught:
        read({"choices": [choice({"content": content})]})
    assert caught.value.failure is Failure.MALFORMED


def test_a_reply_within_a_string_is_one() -> None:
    whole = {"choices": [choice({"content": "17"})]}
    assert read(json.dumps(whole)).text == "17"
    with pytest.raises(MemberError):
        read(json.dumps("{oops"))


def test_half_a_character_at_the_end_is_told_as_it_is_kept() -> None:
    told: list[str] = []
    request = Request(ASKED.messages, max_tokens=64, on_text=told.append)
    pieces = [event(piece({"content": "17 \ud83d"})), event(piece({}, "stop")), DONE]
    found = read(*pieces, request=request)
    assert found.text == "".join(told) == "17 ?"


SPOKEN, CALLED = {"content": "I look."}, {"content": None, "tool_calls": [CALL]}


@pytest.mark.parametrize("more", [{}, {"index": 0}, {"index": None}])
@pytest.mark.parametrize("n", [1, 2])
def test_choices_of_one_index_are_one(more: dict[str, Any], n: int) -> None:
    for messages in ([SPOKEN, CALLED], [CALLED, SPOKEN]):
        found = read({"choices": [choice(m, "tool_calls", **more) for m in messages * n]})
        assert (found.text, found.finish, len(found.tool_calls)) == ("I look.", "tool_calls", 1)
        choices = [{"delta": m, "finish_reason": "tool_calls", **more} for m in messages]
        found = read(event({"choices": choices}), DONE)
        assert (found.text, found.finish, len(found.tool_calls)) == ("I look.", "tool_calls", 1)
    twice = read({"choices": [choice(SPOKEN, **more)] * 3})
    assert twice.text == "I look."


def test_another_choice_stays_out() -> None:
    choices = [choice(SPOKEN, index=0), choice(CALLED, index=1)]
    assert read({"choices": choices}).tool_calls == ()


@pytest.mark.parametrize(
    "message",
    [
        {"content": "", "tool_calls": [CALL]},
        {"content": [{"type": "tool_use", "id": "a", "name": "look", "input": {}}]},
        {"content": "", "function_call": CALL["function"]},
        {"content": "", "tool_calls": CALL},
    ],
)
def test_calls_wherever_they_are(message: dict[str, Any]) -> None:
    for found in (
        read({"choices": [choice(message, "tool_use")]}),
        read(event(piece(message)), event(piece({}, "tool_use")), DONE),
    ):
        assert [c["function"] for c in found.tool_calls] == [CALL["function"]]
        assert found.finish == "tool_calls"


def test_calls_beside_the_message() -> None:
    found = read({"choices": [choice({"content": ""}, tool_calls=[CALL])]})
    assert found.tool_calls == (CALL,)
    beside = {"choices": [{"index": 0, "delta": {}, "tool_calls": [CALL]}]}
    assert read(event(beside), event(piece({}, "stop")), DONE).tool_calls == (CALL,)


def test_arguments_that_are_no_json_are_no_call_unless_they_were_cut() -> None:
    cut = {**CALL, "function": {"name": "look", "arguments": '{"c": "Lon'}}
    two = {**CALL, "function": {"name": "look", "arguments": '{"c": 1}{"c": 2}'}}
    for call in (cut, two):
        with pytest.raises(MemberError, match="no JSON") as caught:
            read({"choices": [choice({"tool_calls": [call]}, "tool_calls")]})
        assert caught.value.failure is Failure.MALFORMED
        found = read({"choices": [choice({"tool_calls": [call]}, "length")]})
        assert (found.finish, len(found.tool_calls)) == ("length", 1)


@pytest.mark.parametrize(
    ("finish", "failure"),
    [
        ("user_cancelled", Failure.SERVER_ERROR),
        ("MODEL_ERROR", Failure.SERVER_ERROR),
        ("request_aborted", Failure.SERVER_ERROR),
        ("moderated", Failure.FILTERED),
        ("safety_filter", Failure.FILTERED),
        ("OUTPUT_BLOCKED", Failure.FILTERED),
    ],
)
def test_words_for_an_end_that_is_none(finish: str, failure: Failure) -> None:
    with pytest.raises(MemberError) as caught:
        read({"choices": [choice({"content": "17"}, finish)]})
    assert caught.value.failure is failure
    with pytest.raises(MemberError) as caught:
        read(event(piece({"content": "17"})), event(piece({}, finish)), DONE)
    assert caught.value.failure is failure
