"""Histories in the shapes of other APIs and frameworks: read as what they mean, or told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlfocal.gateway.chat import read_request
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.dialects.chat import Chat
from rlfocal.gateway.wire.request import ChatRequest, Context

USER = {"role": "user", "content": "3 + 4 ="}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
DATA = "iVBORw0KGgo="
PIXEL = f"data:image/png;base64,{DATA}"


def read(*messages: Any, model: str = "plain", **fields: Any) -> ChatRequest:
    body = {"model": model, "messages": list(messages), **fields}
    context = Context(["plain"], GatewaySettings())
    return read_request(json.dumps(body).encode(), Chat(), context)[1]


def sent(found: ChatRequest) -> list[dict[str, Any]]:
    return [turn.as_json() for turn in found.question.history]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (7, "7"), (True, "true"), ({"a": 1}, '{"a": 1}'), ([1, 2], "[1, 2]"),
        ([{"a": 1}], '[{"a": 1}]'), (None, ""), ([], ""), ("r", "r"),
        ([{"type": "json", "json": {"a": 1}}], '{"a": 1}'),
        ([{"type": "json", "value": [1]}], "[1]"),
        ([{"type": "tool_result", "content": "r"}], "r"),
        ([{"type": "tool_result", "content": [{"type": "text", "text": "r"}]}], "r"),
        ([{"type": "tool-result", "output": {"type": "text", "value": "r"}}], "r"),
        ({"type": "text", "text": "r"}, "r"), ([None, "r", {"text": None, "type": "text"}], "r"),
        ([{"type": "resource_link", "text": "r"}], "r"),
    ],
)  # fmt: skip
def test_a_tools_result_may_be_anything(content: Any, said: str) -> None:
    result = {"role": "tool", "tool_call_id": "c1", "content": content}
    for model in ("plain", "rlfocal"):
        found = sent(read(USER, CALLED, result, model=model))
        assert found[-1] == {"role": "tool", "content": said, "tool_call_id": "c1"}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 3}},
        {"type": "tool_call", "id": "c1", "name": "add", "args": {"a": 3}},
        {"type": "tool-call", "toolCallId": "c1", "toolName": "add", "args": {"a": 3}},
    ],
)
def test_a_call_among_the_parts_is_a_call_and_not_a_second_one(part: Any) -> None:
    said = {"role": "assistant", "content": [{"type": "text", "text": "I add."}, part]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "7"}
    wanted = {"role": "assistant", "content": "I add.", "tool_calls": [CALL]}
    assert sent(read(USER, said, result))[1] == wanted
    twice = read(USER, said | {"tool_calls": [CALL]}, result)
    assert sent(twice)[1] == wanted
    assert twice.ignored == ("messages[].content[].tool_use",)


def test_results_among_a_users_parts_are_turns_of_their_own() -> None:
    parts = [
        {"type": "tool_result", "tool_use_id": "c1", "content": "7"},
        {"type": "text", "text": "And then?"},
    ]
    found = sent(read(USER, CALLED, {"role": "user", "content": parts}))
    assert found[2:] == [
        {"role": "tool", "content": "7", "tool_call_id": "c1"},
        {"role": "user", "content": "And then?"},
    ]
    alone = sent(read(USER, CALLED, {"role": "user", "content": parts[:1]}))
    assert [turn["role"] for turn in alone] == ["user", "assistant", "tool"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "reasoning_content", "text": "hm"}, {"type": "reasoning_text", "text": "hm"},
        {"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}},
        {"type": "image_url", "image_url": {"url": PIXEL}}, {"type": "audio", "audio": {"id": "a"}},
    ],
)  # fmt: skip
def test_what_an_assistant_gave_beside_its_words_is_dropped_and_told(part: Any) -> None:
    found = read(USER, {"role": "assistant", "content": [part, {"text": "7"}]}, USER)
    assert sent(found)[1] == {"role": "assistant", "content": "7"}
    assert found.ignored == (f"messages[].content[].{part['type']}",)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "image_url", "image_url": PIXEL},
        {"type": "image_url", "image_url": PIXEL.replace(";", ";charset=utf-8;", 1)},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
        {"type": "image", "source": {"type": "url", "url": PIXEL}},
        {"type": "image", "data": DATA, "mimeType": "image/png"},
        {"type": "image", "base64": DATA, "mime_type": "image/png"},
        {"type": "image", "image": PIXEL},
    ],
)
def test_an_image_in_any_shape(part: Any) -> None:
    found = read({"role": "user", "content": [{"type": "text", "text": "What?"}, part]})
    (turn,) = sent(found)
    assert turn["content"][1] == {"type": "image_url", "image_url": {"url": PIXEL}}
    assert found.question.has_images
    assert found.ignored == ()


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image", "source": {"type": "file", "file_id": "f"}},
        {"type": "image", "source": {"type": "url", "url": "http://10.0.0.1/x.png"}},
        {"type": "image", "data": DATA, "mimeType": "text/html"},
        {"type": "image_url", "image_url": "file:///etc/passwd"},
    ],
)
def test_what_is_no_image_is_refused(part: Any) -> None:
    with pytest.raises(ApiError) as refused:
        read({"role": "user", "content": [{"type": "text", "text": "What?"}, part]})
    assert refused.value.param == "messages.0.content.1.image_url"


def test_roles_by_other_names() -> None:
    found = read(
        {"role": "human", "content": "a"}, {"role": "ai", "content": "b"},
        {"role": "tool-response", "content": [{"type": "text", "text": "c"}]},
    )  # fmt: skip
    assert [(t["role"], t["content"]) for t in sent(found)] == [
        ("user", "a"), ("assistant", "b"), ("user", "c"),
    ]  # fmt: skip


def test_by_name_a_system_keeps_its_place() -> None:
    turns = [
        {"role": "system", "content": "s1"}, USER, {"role": "assistant", "content": "7"},
        {"role": "system", "content": "s2"}, USER, {"role": "system", "content": "s3"},
    ]  # fmt: skip
    found = read(*turns)
    assert (sent(found), found.question.system) == (turns, "")
    together = read(*turns, model="rlfocal")
    assert together.question.system == "s1\n\ns2\n\ns3"
    assert not any(turn.role == "system" for turn in together.question.history)


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"max_tokens": -1}, None), ({"max_tokens": 100.0}, 100), ({"max_tokens": "100"}, 100),
        ({"max_completion_tokens": -1, "max_tokens": 7}, 7),
    ],
)  # fmt: skip
def test_a_bound_in_other_words(fields: dict[str, Any], most: int | None) -> None:
    assert read(USER, **fields).question.most_tokens == most


@pytest.mark.parametrize("value", [0, -2, 1.5, "1.5", "1e3", "x", True, "9" * 40])
def test_what_is_no_bound_is_refused(value: Any) -> None:
    with pytest.raises(ApiError) as refused:
        read(USER, max_tokens=value)
    assert refused.value.param == "max_tokens"


def test_stops_and_names_of_any_usual_length() -> None:
    stops = [None, "", *(f"s{k}" for k in range(40)), "x" * 300]
    found = read(
        USER | {"name": "n" * 300}, stop=stops, user=5, safety_identifier="u" * 300, temperature="0"
    )
    assert found.body.stop == stops[2:]
    assert found.body.temperature == 0
    assert found.question.extra == {"user": "5", "safety_identifier": "u" * 300}
    assert sent(found)[0]["name"] == "n" * 300


def test_ids_that_are_numbers_and_arguments_that_are_a_list() -> None:
    call = {"id": 1, "function": {"name": "add", "arguments": [3, 4]}}
    called = {"role": "assistant", "tool_calls": [call]}
    found = sent(read(USER, called, {"role": "tool", "tool_call_id": 1, "content": "7"}))
    assert found[1]["tool_calls"][0]["id"] == found[2]["tool_call_id"] == "1"
    assert found[1]["tool_calls"][0]["function"]["arguments"] == "[3, 4]"
