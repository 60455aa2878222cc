"""No error repeats what a request tells: calls, their arguments, tools, schemas, images."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from asking import ASKED, fails
from habits import json_reply

from rlfocal.pool import Message, Request
from rlfocal.pool.litellm_client import _shown
from rlfocal.pool.openai.asked import words_asked

ARGUMENTS = json.dumps({"text": "Anna's\ndiagnosis", "pin": 4711})
CALL = {
    "id": "call_0123456789abcdef0123",
    "type": "function",
    "function": {"name": "look_up_what_anna_was_told", "arguments": ARGUMENTS},
}
IMAGE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
TOOL = {"type": "function", "function": {
    "name": "look_up_what_anna_was_told", "description": "Searches the notes of Dr. Weber",
    "parameters": {"type": "object", "additionalProperties": False, "properties": {
        "location": {"type": "string", "enum": ["Weber's second practice", "x"]}}}}}  # fmt: skip
TURNS = (
    Message("user", "Save it."),
    Message("assistant", "", extra={"tool_calls": [CALL], "reasoning_content": "Hm."}),
    Message("tool", "ok", extra={"tool_call_id": "call_0123456789abcdef0123"}),
    Message("user", "And?", parts=({"type": "image_url", "image_url": {"url": IMAGE}},)),
)
REQUEST = replace(ASKED, messages=TURNS, extra={"tools": [TOOL], "user": "anna@weber-practice.org"})
REPEATS = [
    f"messages.1.tool_calls.0 [type=x, input_value={CALL['function']!r}, input_type=dict]",
    f"bad arguments: {ARGUMENTS}",
    f"bad arguments: {json.loads(ARGUMENTS)!r}",
    '{"name": "look_up_what_anna_was_told", "arguments": "{\\"text\\": \\"Anna',
    f"cannot load image {IMAGE[22:]}",
    f"bad tool: {TOOL['function']!r}",
    'enum: "Weber\'s second practice" is too long',
    "user anna@weber-practice.org is unknown",
]
DIAGNOSES = [
    "The following tool_call_ids did not have response messages: call_0123456789abcdef0123",
    "Tool choice 'look_up_what_anna_was_told' not found in 'tools'",
    "Function look_up_what_anna_was_told is unknown",
    "'messages.1' : property 'reasoning_content' is unsupported",
    "Invalid schema for function 'f': In context=('properties', 'location'), 'default' is not one",
    "Expected a base64-encoded data URL with a MIME type (e.g. 'data:image/png;base64,aW1n')",
    "Unknown parameter: 'parallel_tool_calls'",
    "tools.0.function.parameters: Input should be a valid dictionary",
]


@pytest.mark.parametrize("words", REPEATS)
@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error"])
def test_what_was_asked_is_in_no_message(words: str, status: str) -> None:
    error = fails(json_reply({"error": {"message": words}}, status), REQUEST)
    assert "left out: it repeats the prompt" in str(error)
    assert words[12:40] not in str(error)


@pytest.mark.parametrize("words", DIAGNOSES)
def test_what_is_wrong_with_a_request_is_still_told(words: str) -> None:
    asked = replace(REQUEST, extra={**REQUEST.extra, "parallel_tool_calls": True})
    error = fails(json_reply({"error": {"message": words}}, "400 Bad Request"), asked)
    assert words in str(error)


def test_anything_is_read() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    found = words_asked(
        Request(
            (), extra={"a": deep, "b": None, "c": 3, "d": "{oops, this is no JSON", "e": "[" * 9999}
        )
    )
    assert found == ["{oops, this is no JSON"]


SHORT = ["my PIN is 4711", "Who wrote Faust?", "Hi Bob", "我的密码是四七"]


@pytest.mark.parametrize("prompt", SHORT)
@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error"])
@pytest.mark.parametrize("before", [(), (Message("system", "Be brief."), Message("user", ""))])
def test_a_short_prompt_is_in_no_message(
    prompt: str, status: str, before: tuple[Message, ...]
) -> None:
    words = f"Invalid input: '{prompt}' is refused"
    asked = replace(
        ASKED, messages=(*before, Message("user", prompt)), extra={"user": "u", "tools": [TOOL]}
    )
    assert prompt not in str(fails(json_reply({"error": {"message": words}}, status), asked))
    assert prompt not in _shown(words, request=asked)


def test_short_words_of_a_long_talk_hide_no_diagnosis() -> None:
    turns = [Message("user", text) for text in ("Hi", "ok", "and?", "a", "1")]
    words = "Unknown parameter: 'x' and 1 other is not OK, hi"
    asked = replace(ASKED, messages=tuple(turns))
    assert words in str(fails(json_reply({"error": {"message": words}}, "400 Bad Request"), asked))
