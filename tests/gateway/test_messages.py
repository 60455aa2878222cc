"""/v1/messages: Anthropic's shapes and events, and its own client against it where it is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx2
import pytest
from serving import Served
from spy_upstream import Received, Reply, SpyUpstream, aimed_at

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.dialects.messages import Messages, _calls
from rlfocal.gateway.wire.dialects.messages_body import translated
from rlfocal.gateway.wire.request import Context
from rlfocal.live import Answer, Trace
from rlfocal.pool.types import Finish

Serve = Callable[..., Any]
TOOL: Any = {
    "name": "add", "description": "Adds.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}},
}  # fmt: skip
CALL = {
    "id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'},
}  # fmt: skip
SETTINGS = GatewaySettings()


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


# Bodies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ({"messages": [user("hi")]}, {"messages": [user("hi")]}),
        (
            {
                "system": [text("Be brief.") | {"cache_control": {"type": "ephemeral"}}],
                "messages": [user([text("hi") | {"cache_control": {"type": "ephemeral"}}])],
            },
            {"messages": [
                {"role": "system", "content": [text("Be brief.")]}, user([text("hi")]),
            ]},
        ),
        (
            {"messages": [user("hi")], "stop_sequences": ["x"], "top_k": 4, "stream": True},
            {"messages": [user("hi")], "stop": ["x"], "top_k": 4, "stream": True},
        ),
        (
            {"messages": [user([
                {"type": "image", "source": {
                    "type": "base64", "media_type": "image/png", "data": "AAAA",
                }},
                {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
            ])]},
            {"messages": [user([
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            ])]},
        ),
        (
            {
                "messages": [user("hi")], "tools": [TOOL],
                "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
            },
            {
                "messages": [user("hi")], "tool_choice": "required", "parallel_tool_calls": False,
                "tools": [{"type": "function", "function": {
                    "name": "add", "description": "Adds.", "parameters": TOOL["input_schema"],
                }}],
            },
        ),
        (
            {"messages": [user("hi")], "output_config": {"effort": "low", "format": {
                "type": "json_schema", "schema": {"type": "object"},
            }}},
            {
                "messages": [user("hi")], "reasoning_effort": "low",
                "response_format": {"type": "json_schema", "json_schema": {
                    "name": "output", "schema": {"type": "object"}, "strict": True,
                }},
            },
        ),
        (
            {"messages": [
                user("3 + 4 ="),
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"}, text("I add."),
                    {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 3}},
                ]},
                user([
                    {"type": "tool_result", "tool_use_id": "c1", "content": [text("7")]},
                    text("And now?"),
                ]),
            ]},
            {"messages": [
                user("3 + 4 ="),
                {"role": "assistant", "content": "I add.", "tool_calls": [
                    {"id": "c1", "type": "function", "function": {
                        "name": "add", "arguments": '{"a": 3}',
                    }},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": [text("7")]},
                user([text("And now?")]),
            ]},
        ),
    ],
)  # fmt: skip
def test_bodies_become_those_of_chat_completions(body: Any, made: Any) -> None:
    assert translated({"max_tokens": 9, **body}).body == {"max_tokens": 9, **made}


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"max_tokens": None}, "missing_parameter", "max_tokens"),
        ({"messages": None}, "missing_parameter", "messages"),
        ({"messages": "hi"}, "invalid_value", "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "invalid_value", "messages.0.role"),
        ({"messages": [user([{"type": "hologram"}])]}, "unsupported_parameter",
         "messages.0.content.0.type"),
        ({"messages": [user([{"type": "text"}])]}, "missing_parameter",
         "messages.0.content.0.text"),
        ({"messages": [user([{"type": "document", "source": {"type": "base64"}}])]},
         "unsupported_parameter", "messages.0.content.0.source"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "unsupported_parameter",
         "tools.0.type"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}],
          "tool_choice": {"type": "tool", "name": "w"}}, "unsupported_parameter",
         "tool_choice.name"),
        ({"tools": [{"type": "web_search_20250305", "name": "w"}],
          "tool_choice": {"type": "any"}}, "missing_parameter", "tools"),
        ({"messages": [user([{"type": "document", "source": {
            "type": "base64", "media_type": "text/plain", "data": "/w=="}}])]},
         "invalid_value", "messages.0.content.0.source.data"),
        ({"tools": [{"name": "w"}]}, "invalid_value", "tools.0.input_schema"),
        ({"tools": [TOOL], "tool_choice": {"type": "some"}}, "invalid_value", "tool_choice.type"),
        ({"mcp_servers": [{"url": "https://x.example"}]}, "unsupported_parameter", "mcp_servers"),
        ({"model": "nobody"}, "model_not_found", "model"),
    ],
)  # fmt: skip
def test_mistakes_name_the_field_as_it_was_sent(body: Any, code: str, param: str) -> None:
    given = {"model": "plain", "max_tokens": 9, "messages": [user("hi")], **body}
    with pytest.raises(ApiError) as refused:
        Messages().read(given, Context(["plain"], SETTINGS))
    assert (refused.value.code, refused.value.param) == (code, param)


def test_what_has_no_effect_is_told() -> None:
    given = {
        "model": "rlfocal", "max_tokens": 9, "messages": [user("hi")],
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "metadata": {"user_id": "u"},
        "stop_sequences": ["x"],
    }  # fmt: skip
    chat, _ = Messages().read(given, Context(["plain"], SETTINGS))
    assert set(chat.ignored) >= {"thinking", "metadata", "stop_sequences"}


def test_what_is_anthropics_own_is_left_out_and_told() -> None:
    given = {
        "model": "plain", "max_tokens": 9, "tools": [
            TOOL, {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            {"type": "a_tool_of_2030", "name": "x"},
        ],
        "messages": [
            user("hi"),
            {"role": "assistant", "content": [
                {"type": "compaction", "content": "In short: 7. "}, text("I look."),
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
                {"type": "mcp_tool_use", "id": "m", "name": "x", "input": {}, "server_name": "y"},
                {"type": "mcp_tool_result", "tool_use_id": "m", "content": []},
            ]},
            user([text("And?"), {"type": "container_upload", "file_id": "f"}]),
        ],
    }  # fmt: skip
    made = translated(given)
    assert [one["function"]["name"] for one in made.body["tools"]] == ["add"]
    assert [turn["content"] for turn in made.body["messages"]] == [
        "hi", "In short: 7. I look.", [text("And?")],
    ]  # fmt: skip
    chat, _ = Messages().read(given, Context(["plain"], SETTINGS))
    assert set(chat.ignored) >= {
        "tools[].web_search_20250305", "tools[].text_editor_20250728", "tools[].a_tool_of_2030",
        "messages.server_tool_use", "messages.web_search_tool_result", "messages.mcp_tool_use",
        "messages.mcp_tool_result", "messages.container_upload",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("block", "pieces"),
    [
        ({"type": "tool_reference", "tool_name": "add"}, ["add"]),
        (
            {"type": "search_result", "source": "https://x.example", "title": "Sums",
             "content": [text("3 + 4 = 7")], "citations": {"enabled": True}},
            ["Sums\nhttps://x.example\n\n", "3 + 4 = 7"],
        ),
        ({"type": "document", "title": "A", "context": "B", "source": {
            "type": "text", "media_type": "text/plain", "data": "C"}}, ["A\nB\n\n", "C"]),
        ({"type": "document", "source": {"type": "content", "content": "C"}}, ["C"]),
        ({"type": "document", "source": {"type": "content", "content": [text("C"), text("D")]}},
         ["C", "D"]),
        ({"type": "document", "source": {
            "type": "base64", "media_type": "text/plain", "data": "w6Q="}}, ["ä"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("in_result", [False, True])
def test_what_is_there_to_be_read_becomes_text(
    block: Any, pieces: list[str], in_result: bool
) -> None:
    if in_result:
        block = {"type": "tool_result", "tool_use_id": "c", "content": [block]}
    (turn,) = translated({"max_tokens": 9, "messages": [user([block])]}).body["messages"]
    assert turn["content"] == list(map(text, pieces))
    assert turn["role"] == ("tool" if in_result else "user")


@pytest.mark.parametrize("given", [None, "", {}])
def test_a_call_without_input(given: Any) -> None:
    block = {"type": "tool_use", "id": "c", "name": "add", "input": given}
    body = {"max_tokens": 9, "messages": [{"role": "assistant", "content": [block]}]}
    (turn,) = translated(body).body["messages"]
    assert turn["tool_calls"][0]["function"]["arguments"] == "{}"


# Replies -----------------------------------------------------------------------------------------


def asked(served: Served, *, headers: Any = None, **fields: Any) -> httpx2.Response:
    body = {"model": "plain", "max_tokens": 64, "messages": [user("3 + 4 =")], **fields}
    given = {"x-api-key": served.key, "anthropic-version": "2023-06-01"}
    return httpx2.post(f"{served.url}/v1/messages", json=body, headers=headers or given, timeout=60)


def events_of(said: str) -> list[dict[str, Any]]:
    events = []
    for block in said.strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


@pytest.mark.parametrize("model", ["plain", "rlfocal", "rlfocal:0.02"])
def test_a_whole_reply(serve: Serve, model: str) -> None:
    with serve() as (served, _):
        reply = asked(served, model=model)
        assert asked(served, headers=served.headers).status_code == 200
    found = reply.json()
    assert reply.headers["request-id"] == found["id"] == reply.headers["x-rlfocal-id"]
    assert (found["type"], found["role"], found["model"]) == ("message", "assistant", model)
    assert (found["stop_reason"], found["stop_sequence"]) == ("end_turn", None)
    assert [block["type"] for block in found["content"]] == ["text"]
    assert found["usage"]["input_tokens"] > 0
    assert found["usage"]["output_tokens"] > 0
    assert found["rlfocal"]["n_calls"] >= 1


def test_a_streams_events_come_in_order(serve: Serve) -> None:
    with SpyUpstream(lambda _: "one two three") as spy, serve(edit=aimed_at(spy.base_url)) as s:
        events = events_of(asked(s[0], stream=True).text)
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    n = kinds.count("content_block_delta")
    assert kinds == [
        "message_start", "content_block_start", *["content_block_delta"] * n,
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    said = [e["delta"]["text"] for e in events if e["type"] == "content_block_delta"]
    assert "".join(said) == "one two three"
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert events[-2]["usage"]["output_tokens"] > 0


def test_errors_have_anthropics_shape(serve: Serve) -> None:
    with serve() as (served, _):
        for reply, status, kind in (
            (asked(served, headers={"x-api-key": "nobody"}), 401, "authentication_error"),
            (asked(served, max_tokens=None), 400, "invalid_request_error"),
            (asked(served, model="nobody"), 404, "not_found_error"),
            (asked(served, rlfocal={"deadline_ms": 1}), 504, "timeout_error"),
        ):
            found = reply.json()
            assert reply.status_code == status
            assert (found["type"], found["error"]["type"]) == ("error", kind)
            assert found["error"]["message"]
        counted = httpx2.post(f"{served.url}/v1/messages/count_tokens", json={})
        assert (counted.status_code, counted.json()["error"]["type"]) == (404, "not_found_error")


def test_paths_and_methods_that_there_are_not_have_anthropics_shape(serve: Serve) -> None:
    with serve() as (served, _):
        for method, path, status, kind in (
            ("GET", "/v1/messages", 405, "invalid_request_error"),
            ("POST", "/v1/messages/batches", 404, "not_found_error"),
            ("GET", "/v1/messages/", 404, "not_found_error"),
        ):
            reply = httpx2.request(method, served.url + path, headers=served.headers)
            assert reply.status_code == status
            assert (reply.json()["type"], reply.json()["error"]["type"]) == ("error", kind)
        reply = httpx2.get(f"{served.url}/v1/messagesof")
        assert (reply.status_code, "type" in reply.json()) == (404, False)


def test_of_two_keys_the_one_counts_that_looks_like_ours(serve: Serve) -> None:
    with serve() as (served, _):
        for bearer, key, status in (
            ("Bearer dummy", served.key, 200),
            ("Basic eDp5", served.key, 200),
            ("", served.key, 200),
            (f"Bearer {served.key}", "dummy", 200),
            (f"Bearer {served.key}", f"rlf_abcd1234_{'x' * 43}", 200),
            (f"Bearer rlf_abcd1234_{'x' * 43}", served.key, 401),
            ("Bearer dummy", "dummy", 401),
        ):
            given = {"Authorization": bearer, "x-api-key": key}
            assert asked(served, headers=given).status_code == status


def test_a_stream_that_breaks_ends_with_an_error(serve: Serve) -> None:
    cut = Reply("one two three four five six", cut_after=3)
    with SpyUpstream(lambda _: cut) as spy, serve(edit=aimed_at(spy.base_url)) as (served, _):
        *_, last = events_of(asked(served, stream=True).text)
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert "plain" in last["error"]["message"]


class Told(NamedTuple):
    status: int
    message: dict[str, Any]
    """Its input as a client puts it together, or an error."""


def told(reply: httpx2.Response, *, streamed: bool) -> Told:
    if not streamed or reply.status_code != 200:
        return Told(reply.status_code, reply.json())
    blocks: list[dict[str, Any]] = []
    for event in events_of(reply.text):
        if event["type"] == "error":
            return Told(502, event)
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            blocks[-1]["json"] += event["delta"].get("partial_json", "")
        elif event["type"] == "message_delta":
            reason = event["delta"]["stop_reason"]
    for block in blocks:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"], parse_constant=pytest.fail)
    return Told(200, {"content": blocks, "stop_reason": reason})


def calling(arguments: str | None) -> dict[str, Any]:
    return CALL | {"function": {"name": "add", "arguments": arguments}}


def reply(finish: Finish, calls: tuple[dict[str, Any], ...]) -> Answer:
    return Answer("", "", 1.0, Trace(), finish=finish, tool_calls=calls)


def test_a_call_at_which_a_reply_was_cut_is_none() -> None:
    calls = (calling("{}"), calling('{"a": '))
    assert [given for _, given in _calls(reply("length", calls))] == [{}]
    with pytest.raises(ApiError):
        _calls(reply("tool_calls", calls))
    with pytest.raises(ApiError):
        _calls(reply("length", calls[::-1]))


@pytest.mark.parametrize("streamed", [False, True])
def test_arguments_are_an_object_or_an_error(serve: Serve, streamed: bool) -> None:
    cases: list[tuple[str, Any]] = [
        ('{"a": ', None), ('{"a": NaN}', None), ('{"a": -Infinity}', None), ('{"a": 1e999}', None),
        ("3", None), ("[1]", None), ('{"a":' * 200 + "1" + "}" * 200, None),
        ("", {}), ("null", {}), (" {} ", {}), ('{"a": 1.5}', {"a": 1.5}),
    ]  # fmt: skip
    said = [calling(given) for given, _ in cases]
    with (
        SpyUpstream(lambda _: Reply(tool_calls=said[:1])) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
    ):
        for given, wanted in cases:
            said[0] = calling(given)
            reply = asked(served, tools=[TOOL], stream=streamed)
            found = told(reply, streamed=streamed)
            if wanted is None:
                assert (found.status, found.message["type"]) == (502, "error"), given
                if not streamed:
                    assert reply.headers["x-should-retry"] == "false"
            else:
                assert found.message["content"][-1]["input"] == wanted, given


# Anthropic's client ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("model", ["plain", "rlfocal"])
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_go_round_with_anthropics_client(serve: Serve, model: str, streamed: bool) -> None:
    anthropic = pytest.importorskip("anthropic")

    def calls(got: Received) -> Reply:
        if got.body["messages"][-1]["role"] == "tool":
            return Reply("That is 7.")
        return Reply(tool_calls=[CALL])

    with (
        SpyUpstream(calls) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        anthropic.Anthropic(api_key=served.key, base_url=served.url, max_retries=0) as client,
    ):

        def create(turns: Any) -> Any:
            options: Any = {
                "model": model, "messages": turns, "tools": [TOOL], "max_tokens": 64,
            }  # fmt: skip
            if not streamed:
                return client.messages.create(**options)
            with client.messages.stream(**options) as stream:
                return stream.get_final_message()

        turns: list[Any] = [user("3 + 4 =")]
        first = create(turns)
        (block,) = [one for one in first.content if one.type == "tool_use"]
        assert (block.name, block.input, first.stop_reason) == ("add", {"a": 3}, "tool_use")
        turns.append({"role": "assistant", "content": first.content})
        result = {"type": "tool_result", "tool_use_id": block.id, "content": "7"}
        turns.append(user([result]))
        last = create(turns)
        assert last.content[0].text == "That is 7."
        assert last.stop_reason == "end_turn"
        assert last.usage.input_tokens > 0
        sent = spy.received[-1].body["messages"]
        assert sent[-2]["tool_calls"][0]["id"] == sent[-1]["tool_call_id"]
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(model="nobody", messages=turns[:1], max_tokens=9)
