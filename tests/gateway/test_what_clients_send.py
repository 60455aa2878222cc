"""What real clients send, by name and to an ensemble: taken, passed on, dropped and told, refused.

Each row of `SENT` is something that a client library or another server's history holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Served, serving
from spy_upstream import Received, Reply, SpyUpstream
from stub_pool import pool_file

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "3 + 4 ="}
CALLED = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 3}'}}
SIGNED = {"google": {"thought_signature": "c2lnbmVk"}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "7"}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
BOTH, NAMED, ALL = ("plain", "rlfocal"), ("plain",), ("rlfocal",)


def says(got: Received) -> Reply | str:
    """Thinks where it is asked to, calls a tool that is offered, or counts to seven."""
    body = got.body
    last = body["messages"][-1]
    if body.get("tools") and last["role"] == "user":
        return Reply(tool_calls=[CALLED | {"extra_content": SIGNED}])
    if "think" in str(last["content"]):
        message = {"role": "assistant", "content": "7", "reasoning_content": "3 and 4"}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Reply(json={"choices": [choice], "usage": usage})
    return "That is 7."


Opened = tuple[Served, SpyUpstream]


@pytest.fixture(scope="module")
def opened(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("sent")
    with SpyUpstream(says) as spy:
        path = pool_file(folder, spy.base_url)
        text = path.read_text(encoding="utf-8")
        for name in ("plain", "hasty"):
            text = text.replace(f'\nname = "{name}"', f'\nname = "{name}"\nimages = true')
        for name in ("plain", "letters", "sampled", "hasty"):
            text += f'\n[prices."{name}"]\nprompt = 1.0\ncompletion = 2.0\n'
        path.write_text(text, encoding="utf-8")
        with serving(trained_folder, path, str(folder / "gateway.db")) as served:
            yield served, spy


def post(
    opened: Opened, model: str, *, key: str | None = None, **fields: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """The reply, and the bodies that members were sent."""
    served, spy = opened
    n_before = len(spy.received)
    headers = served.headers if key is None else {"Authorization": f"Bearer {key}"}
    body = {"model": model, "messages": [USER], **fields}
    url = f"{served.url}/v1/chat/completions"
    reply = httpx2.post(url, json=body, headers=headers, timeout=60)
    return reply, [got.body for got in spy.received[n_before:]]


def answered(opened: Opened, model: str, **fields: Any) -> tuple[Any, list[dict[str, Any]]]:
    reply, sent = post(opened, model, **fields)
    assert reply.status_code == 200, reply.text
    assert sent
    return reply.json(), sent


def ignored(reply: Any) -> list[str]:
    return list(reply["rlfocal"].get("ignored", ()))


def told(assistant: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """A conversation in which the assistant has said something, and is asked again."""
    said = {"role": "assistant", "content": "7", **assistant}
    return {"messages": [USER, said, *more, USER]}


def tooled(call: dict[str, Any], result: dict[str, Any], **assistant: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": None, "tool_calls": [call], **assistant}
    return {"messages": [USER, said, result], "tools": [ADD]}


def asked(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content, **more}]}


CACHED = {"cache_control": {"type": "ephemeral"}}
TEXT = {"type": "text", "text": "3 + 4 ="}
DUMPED = {
    "refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None,
}  # fmt: skip
SENT: dict[str, tuple[dict[str, Any], tuple[str, ...], list[str]]] = {
    # what it is: (fields of the body, who is asked, what is told of)
    "a tool's name": (tooled(CALLED, RESULT | {"name": "add"}), BOTH, ["messages[].name"]),
    "a tool without content": (tooled(CALLED, RESULT | {"content": None}), BOTH, []),
    "a tool's content in parts": (
        tooled(CALLED, RESULT | {"content": [TEXT | CACHED]}), BOTH,
        ["messages[].content[].cache_control"],
    ),
    "a tool's id by its order": (
        tooled(CALLED, {"role": "tool", "content": "7", "name": "add"}), BOTH, ["messages[].name"],
    ),
    "arguments as an object": (
        tooled({"id": "c1", "function": {"name": "add", "arguments": {"a": 3}}}, RESULT), BOTH, [],
    ),
    "a call with more": (
        tooled(CALLED | CACHED | {"index": 0, "provider_specific_fields": {"x": 1}}, RESULT), BOTH,
        [f"messages[].tool_calls[].{n}" for n in ("cache_control", "provider_specific_fields")],
    ),
    "an old call of a function": (
        {"messages": [
            USER,
            {"role": "assistant", "content": None,
             "function_call": {"name": "add", "arguments": "{}"}},
            {"role": "function", "name": "add", "content": "7"},
        ]}, BOTH, [],
    ),
    "thoughts by name": (told({"reasoning_content": "hm", "reasoning": "hm"}), NAMED, []),
    "thoughts": (
        told({"reasoning_content": "hm", "reasoning_details": [{"text": "hm"}]}), ALL,
        ["messages[].reasoning_content", "messages[].reasoning_details"],
    ),
    "thoughts as a part": (
        told({"content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, TEXT]}), BOTH,
        ["messages[].content[].thinking"],
    ),
    "a cached message": (asked("3 + 4 =", **CACHED), BOTH, ["messages[].cache_control"]),
    "a cached part": (asked([TEXT | CACHED]), BOTH, ["messages[].content[].cache_control"]),
    "texts as parts": (asked(["3 + ", {"text": "4 ="}]), BOTH, []),
    "parts of another API": (asked([{"type": "input_text", "text": "3 + 4 ="}]), BOTH, []),
    "what it said there": (told({"content": [{"type": "output_text", "text": "7"}]}), BOTH, []),
    "a message as it was dumped": (told(DUMPED), BOTH, []),
    "a system's parts": (
        {"messages": [{"role": "system", "content": [TEXT | CACHED]}, USER]}, BOTH,
        ["messages[].content[].cache_control"],
    ),
    "a refusal": (told({"content": None, "refusal": "No."}), BOTH, []),
    "a refusal as a part": (told({"content": [{"type": "refusal", "refusal": "No."}]}), BOTH, []),
    "annotations": (
        told({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://x"}}]}),
        BOTH, ["messages[].annotations"],
    ),
    "a history of another server": (
        told({"id": "m1", "type": "message", "status": "completed", "audio": {"id": "a"},
              "provider_specific_fields": {"a": 1}, "content": ""}), BOTH,
        [f"messages[].{n}" for n in ("id", "type", "status", "audio", "provider_specific_fields")],
    ),
    "a user's name": (asked("3 + 4 =", name="Ann"), ALL, ["messages[].name"]),
    "a user's name by name": (asked("3 + 4 =", name="Ann"), NAMED, []),
    "every field as null": (
        dict.fromkeys(("audio", "prediction", "route", "tools", "stop", "n", "stream", "seed",
                       "tool_choice", "functions", "api_base", "rlfocal", "web_search_options")),
        BOTH, [],
    ),
    "our own fields as null": ({"rlfocal": {"choices": None, "task": None}}, BOTH, []),
    "sampling that servers have": (
        {"top_k": 4, "min_p": 0.1, "repetition_penalty": 1.1, "thinking": {"type": "disabled"},
         "chat_template_kwargs": {"enable_thinking": False}}, ALL,
        ["top_k", "min_p", "repetition_penalty", "thinking", "chat_template_kwargs"],
    ),
    "what OpenAI has": (
        {"presence_penalty": 0.5, "reasoning_effort": "low", "user": "ann", "service_tier": "auto",
         "web_search_options": {}, "prompt_cache_retention": "24h"}, ALL,
        ["presence_penalty", "reasoning_effort", "web_search_options", "service_tier", "user",
         "prompt_cache_retention"],
    ),
    "no log-probabilities": ({"top_logprobs": 0, "logprobs": False}, BOTH, []),
    "log-probabilities": (
        {"top_logprobs": 3, "logprobs": True}, BOTH, ["logprobs", "top_logprobs"],
    ),
    "five stops": ({"stop": ["a", "b", "c", "d", "e"]}, ALL, ["stop"]),
    "five stops by name": ({"stop": ["a", "b", "c", "d", "e"]}, NAMED, []),
    "no tools": ({"tools": [], "tool_choice": "auto"}, BOTH, ["tool_choice"]),
    "a slip of the pen": ({"max_token": 5, "temprature": 1}, BOTH, ["max_token", "temprature"]),
    "another name of max_tokens": ({"max_new_tokens": 9999}, BOTH, ["max_new_tokens"]),
    "many tokens": ({"max_tokens": 32768}, ALL, ["max_tokens: shortened to 16384"]),
    "many tokens of a member": (
        {"max_completion_tokens": 4096}, NAMED, ["max_tokens: shortened to 512"],
    ),
    "options of streams": (
        {"stream_options": {"include_usage": True, "chunk_size": 3}}, BOTH,
        ["stream_options.chunk_size"],
    ),
    "what names a server where it is dropped": (
        told({"provider": "x", "endpoint": "openAI", "project": "p", "key": "1", "base_url": "x"}),
        BOTH,
        [f"messages[].{n}" for n in ("provider", "endpoint", "project", "key", "base_url")],
    ),
    "the same in a part and a call": (
        {"messages": [
            {"role": "user", "content": [TEXT | {"url": "x", "apiKey": "x"}]},
            {"role": "assistant",
             "tool_calls": [CALLED | {"server": "m", "extra_headers": {"a": 1}}]},
            RESULT,
        ]}, BOTH,
        ["messages[].content[].url", "messages[].content[].apiKey",
         "messages[].tool_calls[].server", "messages[].tool_calls[].extra_headers"],
    ),
    "a server in what would be passed on of a message": (
        told({"extra_content": {"api_base": "https://x"},
              "reasoning_details": [{"base_url": "x"}]}),
        BOTH, ["messages[].extra_content", "messages[].reasoning_details"],
    ),
    "what a client keeps of itself": (
        {"model_item": {"urlIdx": 0}, "tool_servers": [], "plugins": [], "timeout": 60000,
         "max_retries": 2, "litellm_session_id": "x", "trace": {"project": "x"},
         "endpointType": "custom"}, BOTH,
        ["model_item", "tool_servers", "plugins", "timeout", "max_retries", "litellm_session_id",
         "trace", "endpointType"],
    ),
    "no bound, and numbers otherwise written": (
        {"max_tokens": -1, "n": 1.0, "top_logprobs": "0"}, BOTH, [],
    ),
    "no functions": (
        {"functions": [], "function_call": "none"}, BOTH, ["functions", "function_call"],
    ),
    "only a system message": (
        {"messages": [{"role": "system", "content": "3 + 4 ="}]}, BOTH, [],
    ),
    "the assistant's beginning": (
        {"messages": [USER, {"role": "assistant", "content": "That is", "prefix": True}]}, NAMED,
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SENT)
def test_it_is_taken_and_what_has_no_effect_is_told(opened: Opened, name: str) -> None:
    fields, models, expected = SENT[name]
    for model in models:
        reply, sent = answered(opened, model, **fields)
        assert sorted(ignored(reply)) == sorted(expected), model
        for body in sent:
            for turn in body["messages"]:
                known = {"role", "content", "name", "tool_calls", "tool_call_id"}
                passed = {"reasoning_content", "reasoning", "prefix"} if model == "plain" else set()
                assert turn.keys() <= known | passed


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    # what it is: (fields of the body, the field that is named, a word of the reason)
    "an address in what is passed on": (
        {"model": "plain", "thinking": {"to": {"api_base": "https://x"}}},
        "thinking...api_base", "server",
    ),
    "a route": ({"route": "fallback"}, "route", ""),
    "what OpenAI once called tools": ({"functions": [{"name": "f"}]}, "functions", "tools"),
    "which of them to call": (
        {"function_call": {"name": "f"}}, "function_call", "tool_choice",
    ),
    "a system prompt": ({"system": "Be brief."}, "system", "messages"),
    "more replies by another name": ({"best_of": 3}, "best_of", "n"),
    "several answers": ({"n": 3}, "n", "by its name"),
    "our own field misspelt": ({"rlfocal": {"max_us": 1}}, "rlfocal.max_us", "max_usd"),
    "a tool to be called": ({"tool_choice": "required"}, "tools", "tools"),
    "257 stops": ({"stop": ["x"] * 257}, "stop", "256"),
    "a number for a stop": ({"stop": 5}, "stop", "a text or a list of texts"),
    "a list with a number": ({"stop": ["a", 5]}, "stop.1", "string"),
    "a number for a text": (asked(5), "messages.0.content", "a text or a list of parts"),
    "a number for a part": (asked([5]), "messages.0.content.0", "an object"),
    "a part's text": (asked([{"type": "text"}]), "messages.0.content.0.text", "missing"),
    "a file": (
        asked([TEXT, {"type": "file", "file": {}}]), "messages.0.content.1.type", "text and images",
    ),
    "a sound": (
        asked([{"type": "input_audio", "input_audio": {}}]), "messages.0.content.0.type",
        "'input_audio'",
    ),
    "an unknown part": (asked([{"type": "hologram"}]), "messages.0.content.0.type", "text and"),
    "an image that we would fetch": (
        asked([{"type": "image_url", "image_url": {"url": "http://x/i.png"}}]),
        "messages.0.content.0.image_url", "https",
    ),
    "no role": ({"messages": [{"content": "x"}]}, "messages.0.role", "missing"),
    "another role": ({"messages": [USER, {"role": "wizard"}]}, "messages.1.role", "'assistant'"),
    "a result of no call": (
        {"messages": [USER, {"role": "tool", "content": "7"}]}, "messages.1.tool_call_id", "calls",
    ),
    "a call of something else": (
        tooled({"id": "c", "type": "custom", "custom": {"name": "x"}}, RESULT),
        "messages.1.tool_calls.0.type", "functions",
    ),
    "129 calls": (
        {"messages": [USER, {"role": "assistant", "tool_calls": [CALLED] * 129}]},
        "messages.1.tool_calls", "128",
    ),
    "nothing to answer": (asked(" "), "messages", "nothing to answer"),
    "65 unknown fields": ({f"f{k}": 1 for k in range(65)}, None, "64"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_field_and_the_reason(opened: Opened, name: str) -> None:
    fields, param, reason = REFUSED[name]
    reply, sent = post(opened, **{"model": "rlfocal", **fields})
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, param), error
    assert reason in error["message"]
    assert "string" not in error["message"] or reason == "string"
    assert sent == []


# By name -----------------------------------------------------------------------------------------


def test_a_member_asked_by_its_name_gets_what_its_server_may_know(opened: Opened) -> None:
    fields = {
        "top_k": 4, "min_p": 0.1, "chat_template_kwargs": {"enable_thinking": False},
        "reasoning_effort": "low", "logit_bias": {"5": 1}, "user": "ann", "metadata": {"url": "x"},
        "presence_penalty": 0.5, "prediction": {"type": "content", "content": "7"},
        "service_tier": "flex", "web_search_options": {"search_context_size": "low"},
    }  # fmt: skip
    reply, (body,) = answered(opened, "plain", **fields, seed=5, custom_logit_processor="x")
    assert ignored(reply) == ["custom_logit_processor"]
    assert {name: body.get(name) for name in fields} == fields
    assert body["seed"] == 5
    for name in ("model", "messages", "max_tokens", "n", "stream"):
        assert body.get(name) in (*NAMED, [USER], 512, None)


def test_what_may_cost_more_than_tokens_is_refused_where_there_is_a_budget(opened: Opened) -> None:
    key = opened[0].add_key("with a budget", usd=1.0)
    for fields in (
        {"web_search_options": {}}, {"service_tier": "priority"}, {"service_tier": " Priority"},
        {"prediction": {"type": "content", "content": "7" * 9000}},
    ):  # fmt: skip
        reply, sent = post(opened, "plain", key=key, **fields)
        error = reply.json()["error"]
        assert (reply.status_code, error["code"], sent) == (400, "unpriced", [])
        assert error["param"] in fields
    assert post(opened, "plain", key=key, service_tier="auto")[0].status_code == 200
    assert post(opened, "rlfocal", key=key, service_tier="priority")[0].status_code == 200


@pytest.mark.parametrize("by_key", [True, False])
def test_with_a_budget_only_what_is_known_to_cost_nothing_is_passed_on(
    opened: Opened, by_key: bool
) -> None:
    cheap = {"top_k": 4, "chat_template_kwargs": {"enable_thinking": False}, "min_p": 0.1}
    dear = {
        "search_parameters": {"mode": "on"}, "enable_search": True, "something_new": 1,
        "thinking": {"type": "enabled", "budget_tokens": 9999}, "speed": "fast",
    }  # fmt: skip
    _, (body,) = answered(opened, "plain", **cheap, **dear)
    assert {name: body.get(name) for name in cheap | dear} == cheap | dear
    budget: dict[str, Any] = {"rlfocal": {"max_usd": 0.5}}
    if by_key:
        budget = {"key": opened[0].add_key(f"held {by_key}", usd=1.0)}
    found, (body,) = post(opened, "plain", **cheap, **dear, **budget)
    assert found.status_code == 200, found.text
    assert {name: body.get(name) for name in cheap} == cheap
    assert not body.keys() & dear.keys()
    assert sorted(ignored(found.json())) == sorted(dear)


def test_thoughts_go_back_to_who_had_them_and_come_out(opened: Opened) -> None:
    reply, _ = answered(opened, "plain", **asked("think: 3 + 4 ="))
    message = reply["choices"][0]["message"]
    assert message["reasoning_content"] == "3 and 4"
    _, (body,) = answered(opened, "plain", messages=[USER, message, USER])
    assert body["messages"][1]["reasoning_content"] == "3 and 4"
    assert body["messages"][1].keys() == {"role", "content", "reasoning_content"}


@pytest.mark.parametrize("stream", [False, True])
def test_several_replies_of_a_member(opened: Opened, stream: bool) -> None:
    served, spy = opened
    n_before = len(spy.received)
    with httpx2.Client(headers=served.headers, timeout=60) as client:
        body = {"model": "plain", "messages": [USER], "n": 3, "seed": 7, "stream": stream}
        reply = client.post(f"{served.url}/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    assert sorted(got.body["seed"] for got in spy.received[n_before:]) == [7, 8, 9]
    assert all(got.body.get("n", 1) == 1 for got in spy.received[n_before:])
    if stream:
        events = [json.loads(line[6:]) for line in reply.text.split("\n\n")[:-2] if line[6:]]
        said: dict[int, str] = {}
        for event in events:
            for choice in event["choices"]:
                piece = choice["delta"].get("content") or ""
                said[choice["index"]] = said.get(choice["index"], "") + piece
        assert said == dict.fromkeys(range(3), "That is 7.")
        ends = [c for e in events for c in e["choices"] if c["finish_reason"]]
        assert [c["index"] for c in ends] == [0, 1, 2]
        own = events[-1]["rlfocal"]
    else:
        choices = reply.json()["choices"]
        assert [choice["index"] for choice in choices] == [0, 1, 2]
        assert {choice["message"]["content"] for choice in choices} == {"That is 7."}
        own = reply.json()["rlfocal"]
        assert reply.json()["usage"]["prompt_tokens"] == 21
    assert own["n_calls"] == 3
    assert own["cost_usd"] == pytest.approx(3 * (7 + 2 * 3) / 1e6)


def test_a_budget_holds_all_replies_that_are_wanted(opened: Opened) -> None:
    # One may cost .0013 at most: 512 tokens at 2 dollars a million and the prompt.
    assert post(opened, "plain", rlfocal={"max_usd": 0.002})[0].status_code == 200
    reply, sent = post(opened, "plain", rlfocal={"max_usd": 0.002}, n=2)
    assert (reply.json()["error"]["code"], sent) == ("max_usd_too_low", [])


# What hangs on calls of tools --------------------------------------------------------------------


@pytest.mark.parametrize("model", BOTH)
def test_a_signature_goes_back_to_the_member_that_gave_it_and_to_no_other(
    opened: Opened, model: str
) -> None:
    reply, _ = answered(opened, model, tools=[ADD])
    message = reply["choices"][0]["message"]
    (call,) = message["tool_calls"]
    giver = call["extra_content"]["rlfocal"]["member"]
    assert call["extra_content"]["google"] == SIGNED["google"]
    messages = [USER, message, RESULT]
    # As everybody is asked, each in a request of its own.
    for member in ("plain", "letters", "sampled", "hasty"):
        again, (body, *_) = answered(opened, member, messages=messages, tools=[ADD])
        (sent,) = body["messages"][1]["tool_calls"]
        assert sent.get("extra_content") == (SIGNED if member == giver else None)
        assert bool(ignored(again)) == (member != giver)
    again, bodies = answered(opened, "rlfocal:0", messages=messages, tools=[ADD])
    assert ignored(again) == []
    for body in bodies:
        (sent,) = body["messages"][1]["tool_calls"]
        assert sent.get("extra_content") == (SIGNED if body["model"] == giver else None)


def test_an_unmarked_signature_is_passed_on_by_name_and_dropped_else(opened: Opened) -> None:
    fields = tooled(CALLED | {"extra_content": SIGNED}, RESULT)
    reply, (body,) = answered(opened, "plain", **fields)
    assert body["messages"][1]["tool_calls"][0]["extra_content"] == SIGNED
    assert ignored(reply) == []
    reply, bodies = answered(opened, "rlfocal:0", **fields)
    assert all("extra_content" not in b["messages"][1]["tool_calls"][0] for b in bodies)
    assert ignored(reply) == ["messages[].tool_calls[].extra_content"]


# Images ------------------------------------------------------------------------------------------

IMAGE = {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}
SEEN = asked([TEXT, IMAGE])


@pytest.mark.parametrize(
    ("part", "sent_as"),
    [
        (IMAGE, {"url": PIXEL, "detail": "low"}),
        ({"type": "input_image", "image_url": PIXEL, "detail": "high"},
         {"url": PIXEL, "detail": "high"}),
        ({"type": "image_url", "image_url": "https://example.org/i.png"},
         {"url": "https://example.org/i.png"}),
    ],
)  # fmt: skip
def test_an_image_is_passed_on_as_data(opened: Opened, part: Any, sent_as: Any) -> None:
    wanted = [TEXT, {"type": "image_url", "image_url": sent_as}]
    for model in ("plain", "rlfocal:0"):
        reply, bodies = answered(opened, model, **asked([TEXT, part]))
        assert {body["model"] for body in bodies} <= {"plain", "hasty"}
        for body in bodies:
            assert body["messages"][-1]["content"] == wanted
        assert reply["rlfocal"].get("circuit_open") == (
            None if model == "plain" else ["letters", "sampled"]
        )


def test_images_of_earlier_turns_and_alone(opened: Opened) -> None:
    said = {"role": "assistant", "content": "A dot."}
    before = {"role": "user", "content": [IMAGE]}
    for model in ("plain", "rlfocal"):
        _, (body, *_) = answered(opened, model, messages=[before, said, USER])
        assert [p["type"] for p in body["messages"][0]["content"] if p.get("text") != ""] == [
            "image_url"
        ]
        assert body["messages"][-1]["content"] == USER["content"]
        answered(opened, model, messages=[before])


def test_choices_are_asked_about_an_image_by_the_template(opened: Opened) -> None:
    fields = SEEN | {"rlfocal": {"choices": ["6", "7"]}}
    reply, bodies = post(opened, "rlfocal", **fields)
    assert reply.status_code in (200, 502)  # the spy's words name no option
    for body in bodies:
        text, image = body["messages"][-1]["content"]
        assert "A. 6" in text["text"]
        assert image == IMAGE


def test_images_are_refused_where_nobody_takes_them(opened: Opened, serve: Any, ask: Any) -> None:
    reply, sent = post(opened, "letters", **SEEN)
    assert (reply.status_code, sent) == (400, [])
    assert "images = true" in reply.json()["error"]["message"]
    with serve() as (served, stub):
        for model in ("rlfocal", "plain"):
            refused = ask(served, model=model, **SEEN)
            assert refused.status_code == 400
            assert "images" in refused.json()["error"]["message"]
        assert stub.bodies == []


def test_an_image_counts_in_a_budget(opened: Opened) -> None:
    # 50,000 tokens at a dollar a million: .05 beside the .0013 of a text.
    reply, sent = post(opened, "plain", **SEEN, rlfocal={"max_usd": 0.05})
    assert (reply.json()["error"]["code"], sent) == ("max_usd_too_low", [])
    assert post(opened, "plain", **SEEN, rlfocal={"max_usd": 0.06})[0].status_code == 200
    assert post(opened, "rlfocal", **SEEN, rlfocal={"max_usd": 0.06})[0].status_code == 200


# Models ------------------------------------------------------------------------------------------


def test_a_model_with_a_price_can_be_shown(opened: Opened) -> None:
    served, _ = opened
    with httpx2.Client(headers=served.headers, timeout=60) as client:
        shown = client.get(f"{served.url}/v1/models/rlfocal:0.02")
        assert (shown.status_code, shown.json()["id"]) == (200, "rlfocal:0.02")
        assert shown.json()["owned_by"] == "rlfocal"
        assert client.get(f"{served.url}/v1/models/plain").json()["owned_by"] == "member"
        for name in ("rlfocal:dear", "nobody"):
            assert client.get(f"{served.url}/v1/models/{name}").status_code == 404
        assert client.request("HEAD", f"{served.url}/v1/models").status_code == 200
