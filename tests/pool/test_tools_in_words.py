"""Tools for models whose chat template has no words for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlfocal.live.calls import called
from rlfocal.pool.asking.question import Question
from rlfocal.pool.asking.tools_in_words import in_words
from rlfocal.pool.types import JsonObject, Message, Request, Response

SCHEMA = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
LOOK = {"name": "look", "description": "What is on a day.", "parameters": SCHEMA}
OFFERED: Any = [{"type": "function", "function": one} for one in (LOOK, {"name": "ping"})]
ASKED = Message("user", "What is on Friday?")


def told(*turns: Message, **extra: Any) -> Request:
    return in_words(Request(turns or (ASKED,), extra=JsonObject({"tools": OFFERED, **extra})))


def test_the_functions_stand_before_what_is_asked() -> None:
    found = told()
    assert [turn.role for turn in found.messages] == ["system", "user"]
    assert found.messages[1] == ASKED
    for function in (LOOK, {"name": "ping"}):
        assert f"\n{json.dumps(function)}\n" in found.messages[0].content
    assert not found.extra
    system = Message("system", "Be brief.")
    assert told(system, ASKED).messages[0].content.startswith("Be brief.\n\nYou can call")


def test_what_it_is_told_to_write_is_read_as_a_call() -> None:
    example = next(line for line in told().messages[0].content.splitlines() if line[:2] == "[{")
    written = example.replace("the function's name", "look").replace("an argument's name", "day")
    question = Question("", extra=JsonObject({"tools": OFFERED}))
    wanted = '[{"arguments":{"day":"its value"},"name":"look"}]'
    assert called(question, Response(written)).answer == wanted


def test_calls_and_results_become_words_that_read_as_calls() -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": n, "arguments": a}}
        for n, a in (("look", '{"day": "Friday"}'), ("ping", "no JSON"))
    ]
    calls[1]["id"] = "c2"
    found = told(
        ASKED,
        Message("assistant", "", {"tool_calls": calls}),
        Message("tool", "nothing", {"tool_call_id": "c1"}),
        Message("tool", "pong", {"tool_call_id": "c2"}),
        Message("assistant", "Nothing."),
        Message("user", "Thank you."),
    )
    assert [turn.role for turn in found.messages[1:]] == [
        "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert not any(turn.extra for turn in found.messages)
    _, _, wrote, heard, *_ = found.messages
    assert json.loads(wrote.content) == [
        {"name": "look", "arguments": {"day": "Friday"}}, {"name": "ping", "arguments": "no JSON"},
    ]  # fmt: skip
    assert heard.content == "look returned: nothing\nping returned: pong"


def test_without_tools_nothing_changes() -> None:
    request = Request((Message("system", "s"), ASKED), extra=JsonObject({"top_k": 3}))
    assert in_words(request) is request
    # A conversation with calls may go on without offering any.
    result = Message("tool", "nothing", {"tool_call_id": "c1"})
    found = in_words(Request((ASKED, result)))
    assert [turn.role for turn in found.messages] == ["user"]
    assert found.messages[0].content == "What is on Friday?\nthe function returned: nothing"


def test_where_none_may_be_called_none_is_told() -> None:
    found = told(tool_choice="none")
    assert found.messages == (ASKED,)
    assert not found.extra


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", ["look", "ping"]),
        ({"type": "function", "function": {"name": "ping"}}, ["ping"]),
    ],
)
def test_a_call_that_is_asked_for_has_a_form(choice: Any, names: list[str]) -> None:
    found = told(tool_choice=choice, parallel_tool_calls=True)
    listed = found.extra["response_format"]["json_schema"]["schema"]
    one_of = listed["items"]["anyOf"]
    assert [one["properties"]["name"]["const"] for one in one_of] == names
    assert (listed["minItems"], listed["maxItems"]) == (1, 1)
    if len(names) == 2:
        assert one_of[0]["properties"]["arguments"] == SCHEMA
    own = {"type": "json_object"}
    assert told(tool_choice=choice, response_format=own).extra == {"response_format": own}
