"""/v1/responses: shapes and events as OpenAI's API has them, and its own client against it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response
from pydantic import BaseModel
from serving import Served
from spy_upstream import Received, Reply, SpyUpstream, aimed_at

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.dialects.responses import Responses
from rlfocal.gateway.wire.dialects.responses_body import translated
from rlfocal.gateway.wire.dialects.responses_tools import function_name
from rlfocal.gateway.wire.request import Context

Serve = Callable[..., Any]
TOOL: Any = {
    "type": "function", "name": "add", "strict": None,
    "parameters": {"type": "object", "properties": {"a": {"type": "number"}}},
}  # fmt: skip
CALL = {
    "id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'},
}  # fmt: skip


def client_of(served: Served, **options: Any) -> OpenAI:
    given = {"api_key": served.key, "base_url": f"{served.url}/v1", "max_retries": 0}
    return OpenAI(**{**given, **options})


# Bodies ------------------------------------------------------------------------------------------


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


ROUND_TRIP = [
    {"role": "user", "content": "3 + 4 ="},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "I add.", "annotations": []}],
    },
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "add", "arguments": "{}"},
    {"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "add", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "7"},
    {"type": "function_call_output", "call_id": "c2", "output": [
        {"type": "input_text", "text": "8"},
    ]},
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "made"),
    [
        ({"input": "hi"}, {"messages": [user("hi")]}),
        (
            {"input": [user([{"type": "input_text", "text": "hi"}])], "instructions": "Be brief."},
            {"messages": [
                {"role": "system", "content": "Be brief."},
                user([{"type": "text", "text": "hi"}]),
            ]},
        ),
        (
            {"input": [user([{"type": "input_image", "image_url": "data:x", "detail": "low"}])]},
            {"messages": [
                user([{"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}]),
            ]},
        ),
        (
            {"input": "hi", "max_output_tokens": 9, "temperature": 0.5, "stream": True},
            {
                "messages": [user("hi")], "max_completion_tokens": 9, "temperature": 0.5,
                "stream": True,
            },
        ),
        (
            {"input": "hi", "tools": [TOOL], "tool_choice": {"type": "function", "name": "add"}},
            {
                "messages": [user("hi")],
                "tools": [{"type": "function", "function": {
                    "name": "add", "parameters": TOOL["parameters"],
                }}],
                "tool_choice": {"type": "function", "function": {"name": "add"}},
            },
        ),
        (
            {"input": "hi", "tools": [TOOL, TOOL | {"name": "sub"}], "tool_choice": {
                "type": "allowed_tools", "mode": "required",
                "tools": [{"type": "function", "name": "sub"}],
            }},
            {
                "messages": [user("hi")],
                "tools": [{"type": "function", "function": {
                    "name": "sub", "parameters": TOOL["parameters"],
                }}],
                "tool_choice": "required",
            },
        ),
        (
            {"input": "hi", "previous_response_id": "", "conversation": "", "tools": [{
                "type": "function", "function": {"name": "add", "parameters": {}, "strict": True},
            }]},
            {"messages": [user("hi")], "tools": [{"type": "function", "function": {
                "name": "add", "parameters": {}, "strict": True,
            }}]},
        ),
        (
            {"input": [
                user([{"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}]),
                {"role": "assistant", "content": None},
                {"role": "assistant", "content": [
                    {"type": "reasoning_text", "text": "hm"}, {"type": "output_text", "text": "a"},
                ]},
            ]},
            {"messages": [
                user([{"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}]),
                {"role": "assistant", "content": ""},
                {"role": "assistant", "content": [{"type": "text", "text": "a"}]},
            ]},
        ),
        (
            {"input": [
                {"type": "function_call", "call_id": "c1", "name": "add", "arguments": {"a": 3}},
                {"type": "function_call", "call_id": "c2", "name": "add", "arguments": None},
                {"type": "custom_tool_call", "call_id": "c3", "name": "sh", "input": "ls"},
                {"type": "function_call", "call_id": "c4", "name": "add", "arguments": "",
                 "namespace": "sums"},
                {"type": "function_call_output", "call_id": "c1", "output": {"total": 7}},
                {"type": "function_call_output", "call_id": "c2", "output": None},
                {"type": "custom_tool_call_output", "call_id": "c3", "output": "a.txt"},
                {"type": "function_call_output", "call_id": "c4", "output": 7},
            ]},
            {"messages": [
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": k, "type": "function", "function": {"name": name, "arguments": given}}
                    for k, name, given in (
                        ("c1", "add", '{"a": 3}'), ("c2", "add", "{}"),
                        ("c3", "sh", '{"input": "ls"}'), ("c4", "sums__add", "{}"),
                    )
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": '{"total": 7}'},
                {"role": "tool", "tool_call_id": "c2", "content": ""},
                {"role": "tool", "tool_call_id": "c3", "content": "a.txt"},
                {"role": "tool", "tool_call_id": "c4", "content": "7"},
            ]},
        ),
        ({"input": "hi", "tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
         {"messages": [user("hi")]}),
        (
            {"input": "hi", "text": {"verbosity": "low", "format": {
                "type": "json_schema", "name": "t", "schema": {}, "strict": True,
            }}},
            {
                "messages": [user("hi")], "verbosity": "low",
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "t", "schema": {}, "strict": True},
                },
            },
        ),
        (
            {"input": "hi", "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}}},
            {"messages": [user("hi")], "reasoning_effort": "low"},
        ),
        (
            {"input": ROUND_TRIP},
            {"messages": [
                user("3 + 4 ="),
                {
                    "role": "assistant", "content": [{"type": "text", "text": "I add."}],
                    "tool_calls": [
                        {"id": k, "type": "function", "function": {
                            "name": "add", "arguments": "{}",
                        }} for k in ("c1", "c2")
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "7"},
                {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "8"}]},
            ]},
        ),
    ],
)  # fmt: skip
def test_bodies_become_those_of_chat_completions(body: Any, made: Any) -> None:
    assert translated(body).body == made


SETTINGS = GatewaySettings()


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_parameter", "input"),
        ({"input": 3}, "invalid_value", "input"),
        ({"input": "  "}, "missing_parameter", "input"),
        ({"input": ["x"]}, "invalid_value", "input.0"),
        ({"input": [{"role": "robot", "content": "x"}]}, "invalid_value", "input.0.role"),
        ({"input": [{"role": "user"}]}, "missing_parameter", "input.0.content"),
        ({"input": [user([{"type": "input_file"}])]}, "unsupported_parameter",
         "input.0.content.0.type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "unsupported_parameter",
         "input.0"),
        ({"input": [{"type": "robot", "id": "x"}]}, "unsupported_parameter", "input.0.type"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": 3}]},
         "invalid_value", "input.0.arguments"),
        ({"input": "x", "tools": [{"name": "f"}]}, "unsupported_parameter", "tools.0.type"),
        ({"input": "x", "tools": [{"type": "namespace", "name": "n", "tools": [{
            "type": "mcp", "server_url": "https://x.example"}]}]},
         "unsupported_parameter", "tools.0.tools.0.type"),
        ({"input": "x", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}},
         "unsupported_parameter", "tool_choice.type"),
        ({"input": "x", "tools": [{"type": "web_search"}], "tool_choice": "required"},
         "missing_parameter", "tools"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "missing_parameter",
         "input.0.call_id"),
        ({"input": "x", "previous_response_id": "resp_1"}, "unsupported_parameter",
         "previous_response_id"),
        ({"input": "x", "conversation": "c"}, "unsupported_parameter", "conversation"),
        ({"input": "x", "background": True}, "unsupported_parameter", "background"),
        ({"input": "x", "tools": [{"type": "mcp", "server_url": "https://x.example"}]},
         "unsupported_parameter", "tools.0.type"),
        ({"input": "x", "max_output_tokens": 0}, "invalid_value", "max_output_tokens"),
        ({"input": "x", "temperature": 9}, "invalid_value", "temperature"),
        ({"input": "x", "text": {"format": {"type": "grammar"}}}, "unsupported_parameter",
         "text.format.type"),
        ({"input": "x", "messages": []}, "unsupported_parameter", "messages"),
        ({"input": "x", "model": "nobody"}, "model_not_found", "model"),
    ],
)  # fmt: skip
def test_mistakes_name_the_field_as_it_was_sent(body: Any, code: str, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        Responses().read({"model": "rlfocal", **body}, Context(["plain"], SETTINGS))
    assert (refused.value.code, refused.value.param) == (code, param)
    assert (
        "messages" not in str(refused.value) or param == "messages" or "item" in str(refused.value)
    )


def test_what_has_no_effect_is_told() -> None:
    body = {
        "model": "rlfocal", "input": ROUND_TRIP, "store": True, "truncation": "auto",
        "include": ["reasoning.encrypted_content"], "metadata": {"a": "b"},
        "reasoning": {"effort": "low", "summary": "auto"},
    }  # fmt: skip
    chat, _ = Responses().read(body, Context(["plain"], SETTINGS))
    assert set(chat.ignored) >= {
        "store", "truncation", "include", "metadata", "reasoning.effort", "reasoning.summary",
        "input.reasoning",
    }  # fmt: skip


GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /x+/"}
AGENTS: Any = {
    "instructions": "You are a coding agent.",
    "tools": [
        TOOL,
        {"type": "custom", "name": "apply_patch", "description": "Edits.", "format": GRAMMAR},
        {"type": "local_shell"}, {"type": "web_search", "external_web_access": False},
        {"type": "tool_search"}, {"type": "a_tool_of_tomorrow", "host": "x"},
        {"type": "namespace", "name": "sums", "description": "d", "tools": [
            TOOL | {"name": "sub"}, {"type": "custom", "name": "sh"},
        ]},
    ],
    "tool_choice": "auto", "parallel_tool_calls": False, "store": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "include": ["reasoning.encrypted_content"], "client_metadata": {"x": "y"},
}  # fmt: skip
"""As coding agents ask."""
HOSTED_ITEMS = [
    {"type": kind, "id": f"x_{k}", "status": "completed", "url": "https://x.example"}
    for k, kind in enumerate((
        "web_search_call", "compaction", "mcp_list_tools", "mcp_call", "mcp_approval_request",
        "local_shell_call", "local_shell_call_output", "code_interpreter_call",
        "image_generation_call", "tool_search_call", "tool_search_output", "a_new_thing_call",
    ))
]  # fmt: skip


def test_tools_that_the_client_runs_become_functions_and_others_are_told() -> None:
    made = translated({"input": [user("hi"), *HOSTED_ITEMS], **AGENTS})
    tools = {one["function"]["name"]: one["function"] for one in made.body["tools"]}
    assert list(tools) == ["add", "apply_patch", "sums__sub", "sums__sh"]
    patch = tools["apply_patch"]
    assert patch["description"].startswith("Edits.\n\n")
    assert "start: /x+/" in patch["description"]
    assert patch["parameters"]["required"] == list(patch["parameters"]["properties"]) == ["input"]
    assert len(made.body["messages"]) == 2
    assert set(made.ignored) >= {
        "tools[].local_shell", "tools[].web_search", "tools[].tool_search",
        "tools[].a_tool_of_tomorrow", *(f"input.{one['type']}" for one in HOSTED_ITEMS),
    }  # fmt: skip
    chat, _ = Responses().read(
        {"model": "plain", "input": "hi", **AGENTS}, Context(["plain"], SETTINGS)
    )
    assert "tools[].web_search" in chat.ignored


@pytest.mark.parametrize(
    ("choice", "made", "left"),
    [
        ({"type": "custom", "name": "apply_patch"}, "apply_patch", 4),
        ({"type": "function", "name": "sub"}, "sums__sub", 4),
        ({"type": "function", "name": "sub", "namespace": "sums"}, "sums__sub", 4),
        ({"type": "function", "function": {"name": "add"}}, "add", 4),
        ({"type": "allowed_tools", "mode": "auto", "tools": [
            {"type": "custom", "name": "sh"}, {"type": "web_search"},
        ]}, "auto", 1),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}, None, 0),
    ],
)  # fmt: skip
def test_a_choice_of_a_tool(choice: Any, made: str | None, left: int) -> None:
    body = translated({"input": "hi", **AGENTS, "tool_choice": choice}).body
    found = body.get("tool_choice")
    assert (found["function"]["name"] if isinstance(found, dict) else found) == made
    assert len(body.get("tools", ())) == left


def test_names_of_functions_are_short_enough_and_differ() -> None:
    names = {function_name(f"tool{k}" * 9, "a_long_namespace_" * 3) for k in range(9)}
    assert len(names) == 9
    assert max(map(len, names)) == 64


def test_very_many_that_have_no_effect_are_not_all_told() -> None:
    tools = [{"type": f"kind_{k}"} for k in range(10_000)]
    assert len(translated({"input": "hi", "tools": tools}).ignored) == 64


# Replies -----------------------------------------------------------------------------------------


def asked(served: Served, **fields: Any) -> httpx2.Response:
    body = {"model": "plain", "input": "3 + 4 =", **fields}
    return httpx2.post(f"{served.url}/v1/responses", json=body, headers=served.headers, timeout=60)


def events_of(text: str) -> list[dict[str, Any]]:
    events = []
    for block in text.strip().split("\n\n"):
        if block.startswith(":"):
            continue
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


@pytest.mark.parametrize("model", ["plain", "rlfocal", "rlfocal:0.02"])
def test_a_whole_reply(serve: Serve, model: str) -> None:
    with serve() as (served, _):
        reply = asked(served, model=model)
    assert reply.status_code == 200
    found = reply.json()
    Response.model_validate(found)  # strictly: every field that OpenAI's types need
    assert found["id"].startswith("resp_")
    assert found["id"] == reply.headers["x-rlfocal-id"]
    assert (found["object"], found["status"], found["model"]) == ("response", "completed", model)
    (item,) = found["output"]
    assert item["content"][0]["text"]
    usage = found["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert found["rlfocal"]["n_calls"] >= 1


def test_a_streams_events_come_in_order_and_add_up(serve: Serve) -> None:
    with SpyUpstream(lambda _: "one two three") as spy, serve(edit=aimed_at(spy.base_url)) as s:
        events = events_of(asked(s[0], stream=True).text)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    n = kinds.count("output_text.delta")
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added",
        *["output_text.delta"] * n, "output_text.done", "content_part.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    said = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    final = events[-1]["response"]
    assert said == final["output"][0]["content"][0]["text"] == "one two three"
    assert final["output"][0]["id"] == events[2]["item"]["id"] == events[4]["item_id"]
    assert {e["response"]["id"] for e in events if "response" in e} == {final["id"]}
    assert final["usage"]["total_tokens"] > 0


def test_a_reply_that_was_cut_short_is_incomplete(serve: Serve) -> None:
    cut = {
        "choices": [{
            "index": 0, "finish_reason": "length",
            "message": {"role": "assistant", "content": "one two"},
        }],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }  # fmt: skip
    with (
        SpyUpstream(lambda _: Reply(json=cut)) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
    ):
        found = asked(served, max_output_tokens=2).json()
    assert found["status"] == found["output"][0]["status"] == "incomplete"
    assert found["incomplete_details"] == {"reason": "max_output_tokens"}
    assert found["max_output_tokens"] == 2


def calling(*calls: tuple[str, str], finish: str = "tool_calls", text: str = "") -> Reply:
    made = [
        {"id": f"c{k}", "type": "function", "function": {"name": name, "arguments": given}}
        for k, (name, given) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text or None, "tool_calls": made}
    return Reply(json={
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    })  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
def test_calls_of_custom_tools_come_back_as_such(serve: Serve, stream: bool) -> None:
    reply = Reply(tool_calls=[
        {"id": f"c{k}", "type": "function", "function": {"name": name, "arguments": given}}
        for k, (name, given) in enumerate((
            ("apply_patch", '{"input": "xx"}'), ("sums__sh", '{"input": "ls -l"}'),
            ("sums__sub", "{}"),
        ))
    ])  # fmt: skip
    with SpyUpstream(lambda _: reply) as spy, serve(edit=aimed_at(spy.base_url)) as (served, _):
        found = asked(served, stream=stream, **AGENTS)
        events = events_of(found.text) if stream else []
        output = (events[-1]["response"] if stream else found.json())["output"]
    known = events[-1]["response"] if stream else found.json()
    Response.model_validate(known | {"tools": []})
    first, second, third = output
    assert (first["type"], first["name"], first["input"]) == (
        "custom_tool_call", "apply_patch", "xx",
    )  # fmt: skip
    assert (second["type"], second["name"], second["namespace"], second["input"]) == (
        "custom_tool_call", "sh", "sums", "ls -l",
    )  # fmt: skip
    assert (third["type"], third["name"], third["namespace"], third["arguments"]) == (
        "function_call", "sub", "sums", "{}",
    )  # fmt: skip
    if stream:
        kinds = [e["type"].removeprefix("response.") for e in events if e.get("output_index") == 0]
        assert kinds == [
            "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done",
            "output_item.done",
        ]  # fmt: skip
        added, delta, end, done = (e for e in events if e.get("output_index") == 0)
        assert added["item"]["input"] == ""
        assert delta["delta"] == end["input"] == done["item"]["input"] == "xx"


def test_a_call_that_was_cut_short_is_incomplete(serve: Serve) -> None:
    reply = calling(("add", "{}"), ("add", '{"a": '), finish="length")
    with SpyUpstream(lambda _: reply) as spy, serve(edit=aimed_at(spy.base_url)) as (served, _):
        found = asked(served, tools=[TOOL]).json()
    assert found["status"] == "incomplete"
    assert [item["status"] for item in found["output"]] == ["completed", "incomplete"]


@pytest.mark.parametrize("stream", [False, True])
def test_calls_may_be_referred_to(serve: Serve, stream: bool) -> None:
    def reply(got: Received) -> Reply:
        done = got.body["messages"][-1]["role"] == "tool"
        return Reply("Done.") if done else Reply(tool_calls=[CALL])

    with SpyUpstream(reply) as spy, serve(edit=aimed_at(spy.base_url)) as (served, _):
        first = asked(served, tools=[TOOL], stream=stream)
        found = events_of(first.text)[-1]["response"] if stream else first.json()
        (call,) = found["output"]
        turns = [
            user("3 + 4 ="), {"id": call["id"]},
            {"type": "function_call_output", "call_id": call["call_id"], "output": "7"},
        ]  # fmt: skip
        assert asked(served, input=turns, tools=[TOOL]).status_code == 200
        (sent,) = spy.received[-1].body["messages"][1]["tool_calls"]
    assert sent["function"] == CALL["function"]
    assert sent["id"] == call["call_id"]


def test_what_is_repeated_is_bounded(serve: Serve) -> None:
    long = {"metadata": {"a": "x" * 200_000}, "instructions": "y" * 20_000, "user": "me"}
    with serve() as (served, _):
        reply = asked(served, stream=True, **long)
        created, *_, last = events_of(reply.text)
        assert created["type"] == "response.created"
        for event in (created, last):
            assert event["response"]["user"] == "me"
            assert event["response"]["metadata"] == {}
            assert event["response"]["instructions"] is None
        assert len(reply.content) < 50_000
        short = asked(served, instructions="Be brief.", metadata={"a": "b"}).json()
        assert (short["instructions"], short["metadata"]) == ("Be brief.", {"a": "b"})


def test_a_refusal_has_openais_shape(serve: Serve) -> None:
    with serve() as (served, _):
        reply = asked(served, previous_response_id="resp_1")
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unsupported_parameter")
        assert "send the whole conversation" in reply.json()["error"]["message"]
        headers = {"Authorization": "Bearer nobody"}
        none = httpx2.post(f"{served.url}/v1/responses", json={"input": "x"}, headers=headers)
        assert none.status_code == 401


def test_a_stream_that_breaks_ends_with_an_error_and_a_failed_response(serve: Serve) -> None:
    cut = Reply("one two three four five six", cut_after=3)
    with SpyUpstream(lambda _: cut) as spy, serve(edit=aimed_at(spy.base_url)) as (served, _):
        *_, told, failed = events_of(asked(served, stream=True).text)
        assert told["type"] == "error"
        assert told["message"] == told["error"]["message"]
        assert failed["type"] == "response.failed"
        assert failed["response"]["status"] == "failed"
        (begun,) = failed["response"]["output"]
        assert begun["status"] == "incomplete"
        assert "one two three".startswith(begun["content"][0]["text"].strip())
        with (
            client_of(served) as client,
            pytest.raises(openai.APIError, match="plain"),
            client.responses.stream(model="plain", input="3 + 4 =") as stream,
        ):
            stream.until_done()


def test_a_reply_may_be_referred_to_by_who_got_it(serve: Serve) -> None:
    with (
        SpyUpstream(lambda _: "seven") as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
    ):
        for stream in (False, True):
            first = asked(served, stream=stream)
            found = events_of(first.text)[-1]["response"] if stream else first.json()
            item = found["output"][0]
            turns = [
                user("3 + 4 ="), {"type": "item_reference", "id": item["id"]}, user("Sure?"),
            ]  # fmt: skip
            assert asked(served, input=turns).status_code == 200
            assert spy.received[-1].body["messages"][1] == {
                "role": "assistant", "content": "seven",
            }  # fmt: skip
            other = Served(served.url, served.add_key(f"o{stream}"), served.store, served.gateway)
            assert asked(other, input=turns).status_code == 400
        unkept = asked(served, store=False).json()["output"][0]["id"]
        turns[1] = {"type": "item_reference", "id": unkept}
        assert asked(served, input=turns).json()["error"]["param"] == "input.1"


# OpenAI's client ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["plain", "rlfocal"])
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_go_round(serve: Serve, model: str, streamed: bool) -> None:
    def calls(got: Received) -> Reply:
        if got.body["messages"][-1]["role"] == "tool":
            return Reply("That is 7.")
        return Reply(tool_calls=[CALL])

    with (
        SpyUpstream(calls) as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):

        def create(turns: Any) -> Any:
            options: Any = {"model": model, "input": turns, "tools": [TOOL]}
            if not streamed:
                return client.responses.create(**options)
            with client.responses.stream(**options) as stream:
                return stream.get_final_response()

        turns: list[Any] = [user("3 + 4 =")]
        first = create(turns)
        (call,) = first.output
        assert (call.type, call.name, json.loads(call.arguments)) == (
            "function_call", "add", {"a": 3},
        )  # fmt: skip
        assert call.call_id.startswith("call-1")
        turns += [item.to_dict() for item in first.output]
        turns.append({"type": "function_call_output", "call_id": call.call_id, "output": "7"})
        assert create(turns).output_text == "That is 7."
        sent = spy.received[-1].body["messages"]
        assert sent[-2]["tool_calls"][0]["id"] == sent[-1]["tool_call_id"]
        assert sent[-2]["tool_calls"][0]["function"]["arguments"] == '{"a": 3}'
        assert sent[-1]["content"] == "7"


class Total(BaseModel):
    total: int


def test_a_reply_in_a_given_shape_is_parsed(serve: Serve) -> None:
    with (
        SpyUpstream(lambda _: '{"total": 7}') as spy,
        serve(edit=aimed_at(spy.base_url)) as (served, _),
        client_of(served) as client,
    ):
        reply = client.responses.parse(model="plain", input="3 + 4 =", text_format=Total)
        assert reply.output_parsed == Total(total=7)
        shape = spy.received[0].body["response_format"]
        assert shape["json_schema"]["name"] == "Total"
        with client.responses.stream(model="plain", input="3 + 4 =", text_format=Total) as stream:
            assert stream.get_final_response().output_parsed == Total(total=7)
