"""Tools: functions in any shape are passed on in one; what is no function is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlfocal.errors import Failure, MemberError, NobodyAnswered
from rlfocal.gateway.chat import read_request
from rlfocal.gateway.errors import ApiError, from_member, from_nobody
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.dialects.chat import Chat
from rlfocal.gateway.wire.request import ChatRequest, Context

USER = {"role": "user", "content": "3 + 4 ="}
SCHEMA = {"type": "object", "properties": {"url": {"type": "string"}, "api_key": {}}}
FUNCTION = {"name": "add", "description": "d", "parameters": SCHEMA}
ADD = {"type": "function", "function": FUNCTION}
SUB = {"type": "function", "function": {"name": "sub"}}


def read(model: str = "plain", **fields: Any) -> ChatRequest:
    body = {"model": model, "messages": [USER], **fields}
    context = Context(["plain"], GatewaySettings())
    return read_request(json.dumps(body).encode(), Chat(), context)[1]


@pytest.mark.parametrize(
    "tool",
    [
        ADD, {"function": FUNCTION}, {"type": "function", **FUNCTION},
        {"name": "add", "description": "d", "input_schema": SCHEMA},
        {"type": "custom", "name": "add", "description": "d", "input_schema": SCHEMA},
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["plain", "rlfocal"])
def test_a_function_in_any_shape(tool: dict[str, Any], model: str) -> None:
    found = read(model, tools=[tool])
    assert (found.question.extra, found.ignored) == ({"tools": [ADD]}, ())


def test_what_hangs_on_a_tool_is_dropped_and_told() -> None:
    more = {"url": "https://x", "headers": {"a": "b"}, "cache_control": {"type": "ephemeral"}}
    found = read(tools=[{"type": "function", "function": FUNCTION | more, **more}])
    assert found.question.extra == {"tools": [ADD]}
    assert sorted(found.ignored) == sorted(
        f"tools[].{inner}{name}" for inner in ("", "function.") for name in more
    )


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "mcp", "server_url": "https://x", "headers": {"Authorization": "x"}},
        {"type": "web_search"}, {"type": "openrouter:web_search"}, {"google_search": {}},
        {"type": "builtin_function", "function": {"name": "$web_search"}},
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "web_search_20250305", "name": "web_search", "input_schema": {}},
        {"type": "custom", "custom": {"name": "sh"}}, {}, {"type": "function"},
        {"type": "function", "function": {"name": 5}}, {"type": ["function"], "function": FUNCTION},
        {"type": "function", "function": {"name": "f", "parameters": "x"}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("model", ["plain", "rlfocal"])
def test_what_is_no_function_is_refused(tool: dict[str, Any], model: str) -> None:
    with pytest.raises(ApiError) as refused:
        read(model, tools=[ADD, tool])
    assert (refused.value.status, (refused.value.param or "")[:7]) == (400, "tools.1")
    assert "https://x" not in str(refused.value)


FORCED = {"type": "function", "function": {"name": "add"}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"), ("none", "none"), ("required", "required"), ("any", "required"),
        ("add", FORCED), (FORCED, FORCED), ({"type": "function", "name": "add"}, FORCED),
        ({"type": "tool", "name": "add"}, FORCED), ({"type": "any"}, "required"),
        (FORCED | {"api_base": "https://x"}, FORCED), ({"function": {"name": "add"}}, FORCED),
    ],
)  # fmt: skip
def test_which_tool_is_to_be_called(choice: Any, sent: Any) -> None:
    assert read(tools=[ADD, SUB], tool_choice=choice).question.extra["tool_choice"] == sent


def test_allowed_tools_are_those_that_are_left() -> None:
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "sub"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    found = read(tools=[ADD, SUB], tool_choice=choice).question.extra
    assert found == {"tools": [SUB], "tool_choice": "required"}


NOT_OFFERED = {"type": "function", "function": {"name": "x"}}


@pytest.mark.parametrize(
    "choice",
    [
        "x", NOT_OFFERED, {"type": "tool", "name": "x"}, {"type": "mcp", "server_label": "x"},
        {}, {"a": 1},
    ],
)  # fmt: skip
def test_another_choice_is_refused(choice: Any) -> None:
    with pytest.raises(ApiError) as refused:
        read(tools=[ADD], tool_choice=choice)
    assert refused.value.param == "tool_choice"


def test_a_servers_name_in_known_objects_is_refused_dropped_or_flat() -> None:
    for name in ("web_search_options", "prediction", "logit_bias"):
        with pytest.raises(ApiError) as refused:
            read(**{name: {"api_base": "https://x"}})
        assert refused.value.param == f"{name}...api_base"
    found = read(metadata={"url": "x", "n": 1, "deep": {"api_base": "https://x"}})
    assert found.question.extra == {"metadata": {"url": "x", "n": 1}}
    assert found.ignored == ("metadata.deep",)


TOO_LONG = [
    "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens",
    "the request exceeds the available context size (4096 tokens), try increasing it",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "Input length 9000 exceeds the maximum length of 8192",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "Requested tokens (5000) exceed context window of 4096",
    "inputs tokens + max_new_tokens must be <= 4096; maximum input length is 4095",
    "Please reduce the length of the messages or completion.",
    "HTTP 400 (code context_length_exceeded)",
    "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
]


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_prompt_that_is_too_long_for_a_member_has_openais_code(words: str) -> None:
    error = MemberError(words, failure=Failure.BAD_REQUEST)
    told = from_member("plain", error)
    assert (told.status, told.code) == (400, "context_length_exceeded")
    assert "maximum context length" in str(told)
    assert "4096" not in str(told)
    nobody = NobodyAnswered({"plain": "x"}, {"plain": error})
    assert from_nobody(nobody).code == "context_length_exceeded"


@pytest.mark.parametrize(
    "words",
    ["temperature must be at most 1", "too many requests", "Unknown field: context", "max_tokens"],
)
def test_other_refusals_keep_their_code(words: str) -> None:
    told = from_member("plain", MemberError(words, failure=Failure.BAD_REQUEST))
    assert told.code == "member_bad_request"
    limited = MemberError("too many input tokens per minute", failure=Failure.RATE_LIMITED)
    assert from_member("plain", limited).status == 429
