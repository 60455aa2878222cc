"""Replies where tools are offered: calls in all forms, faulty ones, and those nobody asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlfocal.live.calls import called
from rlfocal.pool.asking.question import Question
from rlfocal.pool.types import JsonObject, Message, Response
from rlfocal.records.calls import calls_in

ADD = {
    "name": "add",
    "parameters": {
        "type": "object",
        "properties": {
            "a": {"type": "integer"}, "b": {"type": "integer"}, "how": {"enum": ["fast", "slow"]},
        },
        "required": ["a"],
    },
}  # fmt: skip
OFFERED = {"tools": [{"type": "function", "function": f} for f in (ADD, {"name": "sub"})]}
MEANT = '[{"arguments":{"a":1,"b":2},"name":"add"}]'


def told(arguments: str, name: str = "add", **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": "c1", "type": "function", "function": function} | more


def read(reply: Response, **more: Any) -> Any:
    return called(Question("1 + 2 =", extra=JsonObject(OFFERED | more)), reply)


def test_what_a_client_can_run_is_given_on_as_it_came() -> None:
    reply = Response("I add.", finish="tool_calls", tool_calls=(told('{"b": 2,  "a": 1}'),))
    assert read(reply) == (MEANT, reply, "", "")


@pytest.mark.parametrize(
    "call",
    [
        told("{'a': 1, 'b': 2}"),  # no JSON
        told('{"a": 1, "b": 2}', "functions.add"),
        told('{"a": 1, "b": 2}', id=""),
        told('"{\\"a\\": 1, \\"b\\": 2}"'),  # a text that holds the arguments
    ],
)
def test_what_a_client_cannot_run_is_written_so_that_it_can(call: dict[str, Any]) -> None:
    answer, reply, *_ = read(Response("", finish="tool_calls", tool_calls=(call,)))
    assert answer == MEANT
    (given,) = reply.tool_calls
    assert json.loads(given["function"]["arguments"]) == {"a": 1, "b": 2}
    assert given["function"]["name"] == "add"
    assert given["id"]
    assert call["id"] in ("", given["id"])


@pytest.mark.parametrize(
    "text",
    [
        "[add(a=1, b=2)]", "```python\nadd(1, 2)\n```",
        '{"name": "add", "arguments": {"b": 2, "a": 1}}',
        'Sure.\n<tool_call>{"name": "add", "arguments": {"a": "1", "b": 2}}</tool_call>',
    ],
)  # fmt: skip
def test_a_call_in_a_text_is_a_call(text: str) -> None:
    answer, reply, *_ = read(Response(text))
    assert (answer, reply.finish, reply.text) == (MEANT, "tool_calls", "")
    assert json.loads(reply.tool_calls[0]["function"]["arguments"]) == {"a": 1, "b": 2}
    again = read(Response(text))[1]
    assert again.tool_calls == reply.tool_calls  # its id, too
    assert called(Question("", extra=OFFERED), reply).answer == MEANT


def test_two_calls_in_a_text_have_two_names() -> None:
    _, reply, *_ = read(Response("[add(1), add(1)]"))
    assert len({call["id"] for call in reply.tool_calls}) == 2


def test_a_call_has_an_id_that_the_conversation_has_not_seen() -> None:
    """The same text in a later turn, and members who each count their calls, would have others'."""
    written = Response("[add(1, 2)]")
    first = read(written).reply.tool_calls[0]
    native = Response("", finish="tool_calls", tool_calls=(told('{"a": 1,  "b": 2}'),))
    before = tuple(
        Message("assistant", "", {"tool_calls": [call]}) for call in (first, told("{}", "sub"))
    )
    question = Question("again", extra=JsonObject(OFFERED), history=before)
    ids = [call["id"] for call in (first, told("{}"))]
    for reply in (written, native):
        found = called(question, reply)
        (given,) = found.reply.tool_calls
        assert found.answer == MEANT
        assert given["id"] not in ids
        assert called(question, reply).reply == found.reply
        ids.append(given["id"])
        if reply is native:  # and is as it came but for that
            assert given == native.tool_calls[0] | {"id": given["id"]}
            assert found.reply.finish == "tool_calls"
    other = Response("", tool_calls=(told('{"a": 1}', id="c7"),))
    assert called(question, other).reply is other


def test_words_alone_are_an_answer_of_their_own() -> None:
    for text in ("Which numbers?", "It is 3."):
        assert read(Response(text)).answer == "[]"
    assert read(Response("")).answer is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[mul(a=1)]", "unknown function"), ("[add(b=1)]", "missing argument 'a'"),
        ("[add(a=1, c=2)]", "unknown argument"), ("[add(a=1, how='no')]", "not in enum 'how'"),
        ("[add(how='no', c=1)]", "missing argument 'a'; unknown argument; not in enum 'how'"),
        ("[add(1, how='no'), mul(), mul(), mul(), mul()]",
         "not in enum 'how'; unknown function; 3 more"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_no_answer(text: str, fault: str) -> None:
    found = read(Response(text))
    assert (found.answer, found.fault) == (None, fault)
    assert found.faulty.startswith('[{"arguments":')


def test_another_type_is_an_answer_all_the_same() -> None:
    assert read(Response("[add(a='one')]")).answer == '[{"arguments":{"a":"one"},"name":"add"}]'


NAMED = {"type": "function", "function": {"name": "sub"}}


@pytest.mark.parametrize(
    ("more", "text", "is_wanted"),
    [
        ({"tool_choice": "required"}, "It is 3.", False),
        ({"tool_choice": "required"}, "[add(1)]", True),
        ({"tool_choice": "none"}, "[add(1)]", True), ({"tool_choice": "none"}, "It is 3.", True),
        ({"tool_choice": NAMED}, "[add(1)]", False), ({"tool_choice": NAMED}, "[sub()]", True),
        ({"tool_choice": NAMED}, "It is 3.", False), ({"tool_choice": "auto"}, "It is 3.", True),
        ({"parallel_tool_calls": False}, "[add(1), sub()]", False),
        ({"parallel_tool_calls": True}, "[add(1), sub()]", True),
    ],
)  # fmt: skip
def test_what_the_request_rules_out_is_no_answer(
    more: dict[str, Any], text: str, is_wanted: bool
) -> None:
    found = read(Response(text), **more)
    assert (found.answer is not None) == is_wanted
    assert bool(found.faulty and found.fault) != is_wanted  # given where there is nothing else


def test_what_is_thought_is_not_called() -> None:
    assert read(Response("<think>add(1)?\nadd(1)\n</think>\nWhich numbers?")).answer == "[]"
    thought = read(Response("<think>[sub()]?</think>[add(1, 2)]"))
    assert thought.answer == MEANT
    assert read(Response("<think>[sub()]")).answer is None  # cut off


def test_a_call_that_is_shown_where_none_may_be_made_is_words() -> None:
    reply = Response("Like so: ```add(1)```")
    assert read(reply, tool_choice="none") == ("[]", reply, "", "")
    native = Response("", tool_calls=(told('{"a": 1}'),))
    assert read(native, tool_choice="none").answer is None


def test_constants_that_are_no_json_are_written_anew() -> None:
    answer, reply, *_ = read(Response("", tool_calls=(told('{"a": 1, "b": NaN}'),)))
    assert answer is not None
    text = reply.tool_calls[0]["function"]["arguments"]
    assert "NaN" not in text.replace('"NaN"', "")


def test_half_a_character_breaks_nothing() -> None:
    enum = {"tools": [{"type": "function", "function": {
        "name": "f", "parameters": {"properties": {"a": {"enum": ["\ud800", "b"]}}},
    }}]}  # fmt: skip
    call = told('{"a": "\\ud800"}', "functions.f")
    found = called(Question("", extra=JsonObject(enum)), Response("", tool_calls=(call,)))
    assert found.reply.tool_calls[0]["function"]["name"] == "f"


def test_one_schema_that_cannot_be_read_leaves_the_others_as_they_are() -> None:
    bad = {"type": "function", "function": {"name": "bad", "parameters": {"properties": {
        "x": {"$ref": "#nowhere"}}}}}  # fmt: skip
    answer, reply, *_ = read(
        Response("", tool_calls=(told('{"a": 1, "b": 2}', "functions.add"),)),
        tools=[*OFFERED["tools"], bad],
    )
    assert answer == MEANT
    assert reply.tool_calls[0]["function"]["name"] == "add"
    assert read(Response("[bad(x=1)]"), tools=[bad]).answer is not None


def test_where_nobody_knows_what_is_called_calls_are_compared_as_they_stand() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}] * 2  # of one name
    question = Question("", extra={"tools": tools})
    one, two = (told(text, "f") for text in ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'))
    answers = [called(question, Response("", tool_calls=(call,))).answer for call in (one, two)]
    assert answers[0] == answers[1] == '[["f", {"a": 1, "b": 2}]]'
    assert called(question, Response("Hello.")).answer == "[]"


def test_an_id_of_a_result_whose_call_was_cut_away_is_taken() -> None:
    function = {"name": "f", "arguments": "{}"}
    own = {"id": "call_1", "type": "function", "function": function}
    reply = Response("", tool_calls=(own,), finish="tool_calls")
    extra = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    for history, is_kept in (
        ((), True),
        ((Message("tool", "done", {"tool_call_id": "call_1"}),), False),
        ((Message("tool", "done"),), True),
    ):
        found = called(Question("Again.", history=history, extra=extra), reply)
        assert (found.reply.tool_calls[0]["id"] == "call_1") is is_kept


def test_a_call_in_a_channel_of_its_own_is_one() -> None:
    """As gpt-oss writes it where its server has no parser; without one, what it thinks is none."""
    offered = {"tools": [{"type": "function", "function": {"name": "add"}}]}
    thought = "<|channel|>analysis<|message|>I add.<|end|><|start|>assistant"
    sent = "<|channel|>commentary to=functions.add <|constrain|>json<|message|>{}<|call|>"
    question = Question("1 + 1 =", extra=JsonObject(offered))
    found = called(question, Response(thought + sent))
    assert found.answer == '[{"arguments":{},"name":"add"}]'
    assert called(question, Response(thought)).answer != found.answer
    shut = Question("1 + 1 =", extra=JsonObject(offered | {"tool_choice": "none"}))
    assert called(shut, Response(thought + sent)).answer is None
    assert calls_in(json.dumps(offered["tools"]), thought + sent) == found.answer
