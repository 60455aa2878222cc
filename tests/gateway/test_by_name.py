"""What a member that is asked by its name says beside a text: given on as its server gave it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from serving import Served, serving
from spy_upstream import Received, Reply, SpyUpstream
from stub_pool import pool_file

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "3 + 4 ="}
USAGE = {"prompt_tokens": 7, "completion_tokens": 30, "total_tokens": 37}
THOUGHT_OF = {"completion_tokens_details": {"reasoning_tokens": 20}}


def calling(arguments: str) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": "add", "arguments": arguments}}


def said(message: Mapping[str, Any], finish: str = "stop", **more: Any) -> Reply:
    """A whole reply; of a stream it is the same, in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return Reply(json={"choices": [choice], "usage": USAGE, **more})


def told(*deltas: Mapping[str, Any], finish: str = "stop", **more: Any) -> Reply:
    """A stream."""
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": dict(delta), "finish_reason": None} for delta in deltas
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    events: list[dict[str, Any]] = [{"choices": [choice]} for choice in choices]
    events[-1] |= {"usage": USAGE, **more}
    return Reply(events=events)


class Says:
    """What the upstream says to whatever it is asked."""

    def __init__(self) -> None:
        self.reply: Reply = Reply("7")

    def __call__(self, got: Received) -> Reply:
        return self.reply


Opened = tuple[Served, Any, Says]


@pytest.fixture(scope="module")
def opened(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder, says = tmp_path_factory.mktemp("by-name"), Says()
    with SpyUpstream(says) as spy:
        path = pool_file(folder, spy.base_url)
        with serving(trained_folder, path, str(folder / "gateway.db")) as served:
            yield served, spy, says


def post(opened: Opened, path: str = "chat/completions", **fields: Any) -> httpx2.Response:
    served = opened[0]
    body: dict[str, Any] = {"model": "plain"}
    body |= {"input": USER["content"]} if path == "responses" else {"messages": [USER]}
    body |= {"max_tokens": 64} if path == "messages" else {}
    url = f"{served.url}/v1/{path}"
    return httpx2.post(url, json=body | fields, headers=served.headers, timeout=60)


def events_of(reply: httpx2.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in reply.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def deltas_of(reply: httpx2.Response) -> list[dict[str, Any]]:
    return [c["delta"] for e in events_of(reply) for c in e.get("choices", ())]


def gathered(reply: httpx2.Response) -> dict[str, Any]:
    """What the deltas of a stream add up to."""
    found: dict[str, Any] = {}
    for delta in deltas_of(reply):
        for name, value in delta.items():
            found[name] = found[name] + value if name in found else value
    return found


def of(opened: Opened, reply: Reply, **fields: Any) -> dict[str, Any]:
    """The message that comes of a reply, whole, and how it ended."""
    opened[2].reply = reply
    found = post(opened, **fields)
    assert found.status_code == 200, found.text
    choice = found.json()["choices"][0]
    return dict(choice["message"]) | {"finish": choice["finish_reason"]}


def failure_of_ensemble(opened: Opened, **fields: Any) -> set[str]:
    """How the members of an ensemble failed."""
    found = post(opened, model="rlfocal:0", **fields)
    assert found.status_code == 502, found.text
    failures: Any = found.json()["error"]["members"]
    return set(failures.values()) if isinstance(failures, dict) else set(failures)


# Calls whose arguments are no JSON ---------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["{'x': 1}", '{"x": 1', '{"x": NaN} and more'])
def test_arguments_that_are_no_json_are_given_on(opened: Opened, arguments: str) -> None:
    message = {"content": None, "tool_calls": [calling(arguments)]}
    found = of(opened, said(message, "tool_calls"), tools=[ADD])
    assert found["tool_calls"][0]["function"] == {"name": "add", "arguments": arguments}
    assert found["finish"] == "tool_calls"
    opened[2].reply = told({"tool_calls": [{"index": 0, **calling(arguments)}]})
    (call,) = gathered(post(opened, tools=[ADD], stream=True))["tool_calls"]
    assert call["function"]["arguments"] == arguments


def test_arguments_that_are_no_json_are_no_answer_of_an_ensemble(opened: Opened) -> None:
    opened[2].reply = said({"content": None, "tool_calls": [calling("{'x': 1}")]}, "tool_calls")
    found = post(opened, model="rlfocal:0", tools=[ADD])
    assert found.status_code == 502, found.text


def test_arguments_that_are_no_json_cannot_be_said_in_anthropics_words(opened: Opened) -> None:
    opened[2].reply = said({"content": None, "tool_calls": [calling("{'x': 1}")]}, "tool_calls")
    tool = {"name": "add", "input_schema": {"type": "object"}}
    found = post(opened, "messages", tools=[tool])
    assert (found.status_code, found.json()["error"]["code"]) == (502, "tool_arguments_unreadable")


# Refusals ----------------------------------------------------------------------------------------

NO = "I can't help with that."


def test_a_refusal_is_a_reply(opened: Opened) -> None:
    found = of(opened, said({"content": None, "refusal": NO}))
    assert (found["content"], found["refusal"], found["finish"]) == (None, NO, "stop")
    both = of(opened, said({"content": "Well.", "refusal": NO}))
    assert (both["content"], both["refusal"]) == ("Well.", NO)
    part = of(opened, said({"content": [{"type": "refusal", "refusal": NO}]}))
    assert (part["content"], part["refusal"]) == (None, NO)


def test_a_refusal_is_streamed(opened: Opened) -> None:
    opened[2].reply = told({"refusal": "I can't "}, {"refusal": "help with that."})
    reply = post(opened, stream=True)
    assert gathered(reply)["refusal"] == NO
    assert not gathered(reply)["content"]
    assert events_of(reply)[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_refusal_has_a_part_of_its_own_in_responses(opened: Opened) -> None:
    opened[2].reply = said({"content": None, "refusal": NO})
    found = post(opened, "responses").json()
    assert (found["status"], len(found["output"])) == ("completed", 1)
    assert found["output"][0]["content"] == [{"type": "refusal", "refusal": NO}]
    opened[2].reply = told({"refusal": NO})
    events = events_of(post(opened, "responses", stream=True))
    kinds = [event["type"] for event in events]
    assert kinds == [
        "response.created", "response.in_progress", "response.output_item.added",
        "response.content_part.added", "response.refusal.delta", "response.refusal.done",
        "response.content_part.done", "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert events[4]["delta"] == events[5]["refusal"] == NO
    output = events[-1]["response"]["output"]
    assert output[0]["content"] == [{"type": "refusal", "refusal": NO}] == [events[6]["part"]]


def test_a_refusal_after_some_words_is_a_second_part(opened: Opened) -> None:
    opened[2].reply = told({"content": "Well."}, {"refusal": NO})
    events = events_of(post(opened, "responses", stream=True))
    (item,) = events[-1]["response"]["output"]
    assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]
    assert [e["content_index"] for e in events if e["type"] == "response.refusal.delta"] == [1]


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_in_anthropics_words(opened: Opened, stream: bool) -> None:
    opened[2].reply = told({"refusal": NO}) if stream else said({"content": "", "refusal": NO})
    found = post(opened, "messages", stream=stream)
    assert found.status_code == 200, found.text
    if stream:
        events = events_of(found)
        texts = [e["delta"]["text"] for e in events if e["type"] == "content_block_delta"]
        stops = [e["delta"]["stop_reason"] for e in events if e["type"] == "message_delta"]
        assert (texts, stops) == ([NO], ["refusal"])
    else:
        body = found.json()
        assert (body["content"], body["stop_reason"]) == ([{"type": "text", "text": NO}], "refusal")


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_text_of_a_completion(opened: Opened, stream: bool) -> None:
    opened[2].reply = told({"refusal": NO}) if stream else said({"content": "", "refusal": NO})
    found = post(opened, "completions", messages=None, prompt="3 + 4 =", stream=stream)
    events = events_of(found) if stream else [found.json()]
    assert "".join(c["text"] for e in events for c in e["choices"]) == NO


def test_a_refusal_is_no_answer_of_an_ensemble(opened: Opened) -> None:
    opened[2].reply = said({"content": None, "refusal": NO})
    assert failure_of_ensemble(opened) == {"empty"}


# Texts that were held back midway ----------------------------------------------------------------


def test_a_text_that_was_filtered_midway_is_given_as_far_as_it_came(opened: Opened) -> None:
    found = of(opened, said({"content": "It is"}, "content_filter"))
    assert (found["content"], found["finish"]) == ("It is", "content_filter")
    opened[2].reply = told({"content": "It"}, {"content": " is"}, finish="SAFETY")
    reply = post(opened, stream=True)
    assert gathered(reply)["content"] == "It is"
    assert events_of(reply)[-1]["choices"][0]["finish_reason"] == "content_filter"
    opened[2].reply = said({"content": "It is"}, "content_filter")
    found = post(opened, "responses").json()
    assert found["status"] == "incomplete"
    assert found["incomplete_details"] == {"reason": "content_filter"}
    assert post(opened, "messages").json()["stop_reason"] == "refusal"


@pytest.mark.parametrize("stream", [False, True])
def test_where_nothing_is_left_of_it_that_is_an_error(opened: Opened, stream: bool) -> None:
    opened[2].reply = said({"content": " "}, "content_filter")
    found = post(opened, stream=stream)
    assert (found.status_code, found.json()["error"]["code"]) == (502, "member_filtered")


def test_a_filtered_text_is_no_answer_of_an_ensemble(opened: Opened) -> None:
    opened[2].reply = said({"content": "It is 7"}, "content_filter")
    assert failure_of_ensemble(opened) == {"filtered"}


# Thoughts in details, which are needed back ------------------------------------------------------

DETAILS = [
    {"type": "reasoning.text", "text": "3 and 4", "format": "unknown", "index": 0},
    {"type": "reasoning.encrypted", "data": "QUFB", "id": "c1", "index": 1},
]
MARKED = [one | {"rlfocal": {"member": "plain"}} for one in DETAILS]
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "7"}


def calling_with_details() -> Reply:
    message = {"content": None, "tool_calls": [calling("{}")], "reasoning_details": DETAILS}
    return said(message, "tool_calls")


def test_details_of_thoughts_come_out_whole_and_go_back(opened: Opened) -> None:
    message = of(opened, calling_with_details(), tools=[ADD])
    assert message.pop("finish") == "tool_calls"
    assert (message["reasoning_details"], message["reasoning_content"]) == (MARKED, "3 and 4")
    again = post(opened, messages=[USER, message, RESULT], tools=[ADD]).json()
    assert "ignored" not in again["rlfocal"]
    assert opened[1].received[-1].body["messages"][1]["reasoning_details"] == DETAILS


def test_details_of_thoughts_are_joined_of_a_streams_pieces(opened: Opened) -> None:
    text, encrypted = DETAILS
    opened[2].reply = told(
        {"reasoning_details": [text | {"text": "3 "}]},
        {"reasoning_details": [text | {"text": ""}]},
        {"reasoning_details": [text | {"text": "and 4"}]}, {"reasoning_details": [encrypted]},
        {"tool_calls": [{"index": 0, **calling("{}")}]}, finish="tool_calls",
    )  # fmt: skip
    found = gathered(post(opened, tools=[ADD], stream=True))
    assert found["reasoning_details"] == MARKED


@pytest.mark.parametrize("name", ["reasoning_details", "thinking_blocks"])
def test_of_an_ensembles_call_they_go_back_to_the_giver_alone(opened: Opened, name: str) -> None:
    message = {"content": None, "tool_calls": [calling("{}")], name: DETAILS}
    opened[2].reply = said(message, "tool_calls")
    found = post(opened, model="rlfocal:0", tools=[ADD]).json()
    message = found["choices"][0]["message"]
    marks = [one.pop("rlfocal") for one in message[name]]
    assert message[name] == DETAILS
    for one, mark in zip(message[name], marks, strict=True):
        one["rlfocal"] = mark
    giver = marks[0]["member"]
    messages = [USER, message, RESULT]
    for member in ("plain", "letters", "sampled", "hasty"):
        again = post(opened, model=member, messages=messages, tools=[ADD]).json()
        sent = opened[1].received[-1].body["messages"][1]
        assert sent.get(name) == (DETAILS if member == giver else None)
        assert ("ignored" in again["rlfocal"]) == (member != giver)
    n_before = len(opened[1].received)
    again = post(opened, model="rlfocal:0", messages=messages, tools=[ADD]).json()
    assert "ignored" not in again["rlfocal"]
    for got in opened[1].received[n_before:]:
        own = DETAILS if got.body["model"] == giver else None
        assert got.body["messages"][1].get(name) == own


def test_details_without_a_mark_are_of_no_use_to_an_ensemble(opened: Opened) -> None:
    opened[2].reply = calling_with_details()
    message = {"role": "assistant", "tool_calls": [calling("{}")], "reasoning_details": DETAILS}
    found = post(opened, model="rlfocal:0", messages=[USER, message, RESULT], tools=[ADD]).json()
    assert found["rlfocal"]["ignored"] == ["messages[].reasoning_details"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["responses", "messages"])
def test_in_other_words_they_hang_on_the_first_call(
    opened: Opened, path: str, stream: bool
) -> None:
    opened[2].reply = calling_with_details()
    in_responses = path == "responses"
    schema = {"type": "object"}
    tool = (
        {"type": "function", "name": "add", "parameters": schema}
        if in_responses
        else {"name": "add", "input_schema": schema}
    )
    found = post(opened, path, tools=[tool], stream=stream)
    if in_responses:
        body = events_of(found)[-1]["response"] if stream else found.json()
        (item,) = body["output"]
        result = {"type": "function_call_output", "call_id": "c1", "output": "7"}
        again: dict[str, Any] = {"input": [{"role": "user", "content": "3 + 4 ="}, item, result]}
    else:
        starts = [e for e in events_of(found) if e["type"] == "content_block_start"]
        (item,) = [e["content_block"] for e in starts] if stream else found.json()["content"]
        result = {"type": "tool_result", "tool_use_id": "c1", "content": "7"}
        turns = [{"role": "assistant", "content": [item]}, {"role": "user", "content": [result]}]
        again = {"messages": [USER, *turns]}
    assert item["reasoning_details"] == MARKED
    assert "ignored" not in post(opened, path, tools=[tool], **again).json()["rlfocal"]
    assert opened[1].received[-1].body["messages"][1]["reasoning_details"] == DETAILS


# Thoughts under the name that their server has for them -------------------------------------------


def test_thoughts_go_back_under_their_servers_own_name(opened: Opened) -> None:
    message = of(opened, said({"content": "7", "reasoning": "3 and 4"}))
    assert message.pop("finish") == "stop"
    assert message["reasoning_content"] == "3 and 4"
    post(opened, messages=[USER, message, USER])
    assert opened[1].received[-1].body["messages"][1] == {
        "role": "assistant", "content": "7", "reasoning": "3 and 4",
    }  # fmt: skip
    # As a client sends it that reads and keeps both names.
    post(opened, messages=[USER, message | {"reasoning": "3 and 4"}, USER])
    sent = opened[1].received[-1].body["messages"][1]
    assert sent.keys() == {"role", "content", "reasoning"}
    # Another server of the same pool is asked as the client says, until it has shown its own.
    post(opened, model="hasty", messages=[USER, message, USER])
    assert opened[1].received[-1].body["messages"][1]["reasoning_content"] == "3 and 4"
    of(opened, said({"content": "7", "reasoning_content": "3 and 4"}))
    post(opened, messages=[USER, message, USER])
    assert opened[1].received[-1].body["messages"][1]["reasoning_content"] == "3 and 4"


REFUSED = (
    "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property "
    "'reasoning_content' is unsupported, did you mean 'role'?)]"
)


def test_thoughts_that_a_server_does_not_want_back_are_left_out(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def picky(got: Received) -> Reply:
        if any("reasoning_content" in turn for turn in got.body["messages"]):
            error = {"message": REFUSED, "type": "invalid_request_error"}
            return Reply(status=400, json={"error": error})
        return said({"content": "7"})

    monkeypatch.setattr(Says, "__call__", lambda self, got: picky(got))
    turn = {"role": "assistant", "content": "7", "reasoning_content": "3 and 4"}
    n_before = len(opened[1].received)
    found = post(opened, model="sampled", messages=[USER, turn, USER])
    assert found.status_code == 200, found.text
    assert found.json()["rlfocal"]["ignored"] == ["messages[].reasoning_content"]
    _, second = opened[1].received[n_before:]
    assert second.body["messages"][1] == {"role": "assistant", "content": "7"}
    # It is known from then on.
    assert post(opened, model="sampled", messages=[USER, turn, USER]).status_code == 200
    assert len(opened[1].received) == n_before + 3


# Tokens of thoughts ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["plain", "rlfocal:99"])
@pytest.mark.parametrize("stream", [False, True])
def test_tokens_of_thoughts_are_told_where_they_are_known(
    opened: Opened, model: str, stream: bool
) -> None:
    fields: dict[str, Any] = {"model": model, "stream": stream}
    chat = fields | ({"stream_options": {"include_usage": True}} if stream else {})

    def usages() -> list[dict[str, Any]]:
        found = post(opened, **chat)
        usage = events_of(found)[-1]["usage"] if stream else found.json()["usage"]
        found = post(opened, "responses", **fields)
        body = events_of(found)[-1]["response"] if stream else found.json()
        return [usage, body["usage"]]

    opened[2].reply = said({"content": "7"})
    in_chat, in_responses = usages()
    assert "completion_tokens_details" not in in_chat
    assert in_responses["output_tokens_details"] == {"reasoning_tokens": 0}
    opened[2].reply = said({"content": "7"}, usage=USAGE | THOUGHT_OF)
    in_chat, in_responses = usages()
    n_calls = in_chat["completion_tokens"] // USAGE["completion_tokens"]
    assert in_chat["completion_tokens_details"] == {"reasoning_tokens": 20 * n_calls}
    assert in_responses["output_tokens_details"] == {"reasoning_tokens": 20 * n_calls}


# Thoughts as they come ---------------------------------------------------------------------------


def heard(opened: Opened, reply: Reply, n_first: int, path: str = "chat/completions") -> Any:
    """Deltas of a stream of which event `n_first` is not told before the first ones were heard."""
    found: list[dict[str, Any]] = []
    opened[2].reply = replace(reply, may_say=lambda k: k < n_first or len(found) >= n_first)
    body: dict[str, Any] = {"model": "plain", "messages": [USER], "stream": True}
    with httpx2.stream(
        "POST", f"{opened[0].url}/v1/{path}", json=body, headers=opened[0].headers, timeout=60
    ) as lines:
        for line in lines.iter_lines():
            if line.startswith("data: {"):
                found += [c["delta"] for c in json.loads(line[6:])["choices"]]
    return found


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_are_told_as_they_come(opened: Opened, name: str) -> None:
    reply = told({name: "3 "}, {name: "and 4"}, {"content": "It is"}, {"content": " 7."})
    # The first is the beginning of every stream, then comes the first thought.
    found = heard(opened, reply, 2)
    kinds = [next(iter(delta), "") for delta in found]  # pieces that wait come as one
    assert list(dict.fromkeys(kinds)) == ["role", "reasoning_content", "content", ""]
    assert "".join(delta.get("reasoning_content", "") for delta in found) == "3 and 4"
    assert "".join(delta.get("content", "") for delta in found) == "It is 7."


def test_thoughts_between_words_are_told_once(opened: Opened) -> None:
    opened[2].reply = told({"reasoning": "r1"}, {"content": "t1"}, {"reasoning": "r2"})
    found = gathered(post(opened, stream=True))
    assert (found["reasoning_content"], found["content"]) == ("r1r2", "t1")


def test_thoughts_of_a_whole_reply_come_before_its_words(opened: Opened) -> None:
    opened[2].reply = said({"content": "7", "reasoning": "3 and 4"})
    found = deltas_of(post(opened, stream=True))
    names = [next(iter(delta), "") for delta in found]
    assert names == ["role", "reasoning_content", "content", ""]


@pytest.mark.parametrize("path", ["responses", "messages"])
def test_where_thoughts_have_no_place_only_the_words_are_told(opened: Opened, path: str) -> None:
    opened[2].reply = told({"reasoning": "3 and 4"}, {"content": "7"})
    found = post(opened, path, stream=True)
    assert "3 and 4" not in found.text
    assert '"7"' in found.text


def test_halves_of_a_character_are_joined_in_thoughts(opened: Opened) -> None:
    opened[2].reply = told({"reasoning": "\ud83c"}, {"reasoning": "\udf0d!"}, {"content": "7"})
    assert gathered(post(opened, stream=True))["reasoning_content"] == "\U0001f30d!"


# Citations and images ----------------------------------------------------------------------------

URL = {"url": "https://a.b", "title": "t", "start_index": 4, "end_index": 7}
CITED = {"type": "url_citation", "url_citation": URL}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_citations_and_images_are_given_on(opened: Opened) -> None:
    opened[2].reply = said(
        {"content": "see [1]", "annotations": [CITED], "images": [IMAGE]}, citations=["https://a.b"]
    )
    body = post(opened).json()
    message = body["choices"][0]["message"]
    assert (message["annotations"], message["images"]) == ([CITED], [IMAGE])
    assert body["citations"] == ["https://a.b"]
    ensemble = post(opened, model="rlfocal:0").json()
    assert not {"annotations", "images"} & ensemble["choices"][0]["message"].keys()
    assert "citations" not in ensemble


def test_citations_and_images_are_streamed(opened: Opened) -> None:
    opened[2].reply = told(
        {"content": "see [1]"}, {"annotations": [CITED]}, {"images": [IMAGE]},
        citations=["https://a.b"],
    )  # fmt: skip
    reply = post(opened, stream=True)
    found = gathered(reply)
    assert (found["annotations"], found["images"]) == ([CITED], [IMAGE])
    assert events_of(reply)[-1]["citations"] == ["https://a.b"]


def test_an_image_alone_is_a_reply(opened: Opened) -> None:
    assert of(opened, said({"content": "", "images": [IMAGE]}))["images"] == [IMAGE]


@pytest.mark.parametrize("stream", [False, True])
def test_citations_are_annotations_of_responses(opened: Opened, stream: bool) -> None:
    others = [{"type": "file_citation", "file": 3}, 5, {"type": "url_citation"}]
    deltas = {"content": "see [1]"}, {"annotations": [CITED, *others]}
    opened[2].reply = told(*deltas) if stream else said(deltas[0] | deltas[1])
    found = post(opened, "responses", stream=stream)
    events = events_of(found) if stream else []
    body = events[-1]["response"] if stream else found.json()
    assert body["output"][0]["content"][0]["annotations"] == [{"type": "url_citation", **URL}]
    added = [e for e in events if e["type"] == "response.output_text.annotation.added"]
    assert [e["annotation"] for e in added] == [{"type": "url_citation", **URL}] * stream


# Fields ------------------------------------------------------------------------------------------

PLACE = {"country": "GB", "city": "London", "region": "London", "timezone": "Europe/London"}


@pytest.mark.parametrize("place", [{"type": "approximate", "approximate": PLACE}, PLACE])
def test_where_a_user_is_names_no_server(opened: Opened, place: Any) -> None:
    opened[2].reply = Reply("7")
    options = {"search_context_size": "low", "user_location": place}
    assert post(opened, web_search_options=options).status_code == 200
    assert opened[1].received[-1].body["web_search_options"] == options


@pytest.mark.parametrize(
    "options",
    [
        {"region": "eu"},
        {"user_location": {"base_url": "https://a.b"}},
        {"user_location": {"approximate": {"api_key": "x"}}},
        {"user_location": {"approximate": {"region": {"host": "x"}}}},
        {"user_location": {"region": ["https://a.b"]}},
        {"filters": {"user_location": {"region": "eu"}}},
    ],
)
def test_what_else_stands_there_may_not_name_one(opened: Opened, options: Any) -> None:
    found = post(opened, web_search_options=options)
    assert (found.status_code, found.json()["error"]["code"]) == (400, "unknown_parameter")


def test_the_least_top_p_is_nothing(opened: Opened) -> None:
    opened[2].reply = Reply("7")
    assert post(opened, top_p=0).status_code == 200
    assert opened[1].received[-1].body["top_p"] == 0
    assert post(opened, "messages", top_p=0).status_code == 200
    for wrong in (-0.1, 1.1):
        assert post(opened, top_p=wrong).json()["error"]["param"] == "top_p"


@pytest.mark.parametrize("stream", [False, True])
def test_fields_that_the_pool_counts_before_or_drops_are_told(serve: Any, stream: bool) -> None:
    def edit(text: str) -> str:
        own = 'extra_body = { reasoning_effort = "low", top_k = 5 }\ndrop = ["top_p"]'
        return text.replace('model = "plain"', f'model = "plain"\n{own}')

    with serve(edit=edit) as (served, stub):
        opened = served, stub, Says()
        fields: dict[str, Any] = {
            "reasoning_effort": "high",
            "top_k": 5,
            "top_p": 0.5,
            "min_p": 0.1,
        }
        found = post(opened, stream=stream, **fields)
        body = events_of(found)[-1] if stream else found.json()
        assert sorted(body["rlfocal"]["ignored"]) == ["reasoning_effort", "top_p"]
        assert stub.bodies[-1]["reasoning_effort"] == "low"
        assert "top_p" not in stub.bodies[-1]


def test_tools_are_told_of_whom_goes_on_with_a_text(serve: Any) -> None:
    def edit(text: str) -> str:
        return text.replace("attempts = 1", 'attempts = 1\napi = "completions"')

    with serve(edit=edit) as (served, stub):
        opened = served, stub, Says()
        shape = {"type": "json_object"}
        found = post(opened, tools=[ADD], tool_choice="auto", response_format=shape, user="me")
        assert found.status_code == 200, found.text
        told = found.json()["rlfocal"]["ignored"]
        assert sorted(told) == ["response_format", "tool_choice", "tools"]
        assert not {"tools", "tool_choice", "response_format"} & stub.bodies[-1].keys()
        assert "ignored" not in post(opened, user="me").json()["rlfocal"]


# OpenAI's own client -----------------------------------------------------------------------------


@pytest.fixture
def client(opened: Opened) -> Iterator[OpenAI]:
    with OpenAI(api_key=opened[0].key, base_url=f"{opened[0].url}/v1", max_retries=0) as made:
        yield made


def test_openais_client_reads_a_refusal(opened: Opened, client: OpenAI) -> None:
    opened[2].reply = said({"content": None, "refusal": NO})
    turns: Any = [USER]
    (choice,) = client.chat.completions.create(model="plain", messages=turns).choices
    assert (choice.message.content, choice.message.refusal) == (None, NO)
    opened[2].reply = told({"refusal": NO[:4]}, {"refusal": NO[4:]})
    with client.chat.completions.stream(model="plain", messages=turns) as stream:
        assert stream.get_final_completion().choices[0].message.refusal == NO
    with client.responses.stream(model="plain", input="3 + 4 =") as events:
        (item,) = events.get_final_response().output
    assert item.model_dump()["content"] == [{"type": "refusal", "refusal": NO}]


def test_openais_client_reads_what_a_text_cites(opened: Opened, client: OpenAI) -> None:
    opened[2].reply = told(
        {"reasoning": "hm"}, {"content": "see "}, {"content": "[1]"}, {"annotations": [CITED]},
        {"refusal": NO},
    )  # fmt: skip
    with client.responses.stream(model="plain", input="3 + 4 =") as events:
        found = events.get_final_response()
    text, refusal = found.model_dump()["output"][0]["content"]
    assert (found.output_text, refusal["refusal"]) == ("see [1]", NO)
    assert text["annotations"] == [{"type": "url_citation", **URL}]
    turns: Any = [USER]
    with client.chat.completions.stream(model="plain", messages=turns) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.content == "see [1]"
    assert message.model_dump()["reasoning_content"] == "hm"


def test_what_has_no_effect_is_told_by_the_name_that_was_sent(serve: Any) -> None:
    def edit(text: str) -> str:
        return text.replace("attempts = 1", 'attempts = 1\napi = "completions"')

    shape = {"type": "json_schema", "name": "sum", "schema": {"type": "object"}}
    with serve(edit=edit) as (served, stub):
        opened = served, stub, Says()
        found = post(opened, "responses", text={"format": shape}, max_output_tokens=100_000)
        assert found.status_code == 200, found.text
        assert sorted(found.json()["rlfocal"]["ignored"]) == [
            "max_output_tokens: shortened to 16384", "max_tokens: shortened to 512", "text.format",
        ]  # fmt: skip
