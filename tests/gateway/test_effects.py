"""Calls that members are not sure enough of, over HTTP, in every dialect and afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from serving import Served, until
from spy_upstream import Reply, SpyUpstream, aimed_at
from stub_pool import trained

from rlfocal.gateway.store import RequestRow
from rlfocal.online.episodes import Episode

Serve = Callable[..., Any]
SECRET = "a@b.example"
WRITE: Any = {"effect": "write", "least_confidence": 1.0}


SCHEMAS: Mapping[str, Any] = {
    name: {"type": "object", "properties": {argument: {"type": "string"}}}
    for name, argument in (("send", "to"), ("look", "at"))
}
"""Of the tools that are offered."""


def calling(*calls: tuple[str, str]) -> Reply:
    return Reply(
        tool_calls=[
            {"id": f"c-{name}", "type": "function", "function": {"name": name, "arguments": said}}
            for name, said in calls
        ]
    )


SEND, LOOK = calling(("send", json.dumps({"to": SECRET}))), calling(("look", '{"at":  "inbox"}'))
MOST_SEND = {"plain": SEND, "sampled": SEND, "letters": SEND, "hasty": LOOK}


@pytest.fixture
def agents(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """agents(said, **settings) → a gateway whose members say this, a plurality vote of them."""

    @contextmanager
    def start(
        said: Mapping[str, Any] = MOST_SEND, strategy: str = "plurality", **settings: Any
    ) -> Iterator[tuple[Served, SpyUpstream]]:
        folder = trained(tmp_path_factory, strategy)
        with (
            SpyUpstream(lambda got: said[got.body["model"]]) as spy,
            serve(folder=folder, edit=aimed_at(spy.base_url), **settings) as (served, _),
        ):
            yield served, spy

    return start


def chat(served: Served, rules: Any = None, **fields: Any) -> httpx2.Response:
    body: dict[str, Any] = {
        "model": "rlfocal", "messages": [{"role": "user", "content": "3 + 4 ="}],
        "tools": [
            {"type": "function", "function": {"name": n, "parameters": p}}
            for n, p in SCHEMAS.items()
        ],
    } | fields  # fmt: skip
    if rules is not None:
        body["rlfocal"] = {"tools": rules}
    url = f"{served.url}/v1/chat/completions"
    return httpx2.post(url, json=body, headers=served.headers, timeout=60)


def message_of(reply: httpx2.Response) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """The message, how it ended, and our own object; of a stream as well."""
    assert reply.status_code == 200, reply.text
    if not reply.headers["content-type"].startswith("text/event-stream"):
        found = reply.json()
        (choice,) = found["choices"]
        return choice["message"], choice["finish_reason"], found["rlfocal"] | {"id": found["id"]}
    message: dict[str, Any] = {"content": ""}
    finish, own = "", dict[str, Any]()
    for line in reply.text.splitlines():
        if not line.startswith("data: {"):
            continue
        chunk = json.loads(line.removeprefix("data: "))
        (choice,) = chunk["choices"]
        message["content"] += choice["delta"].get("content") or ""
        for call in choice["delta"].get("tool_calls", ()):
            found = {name: value for name, value in call.items() if name != "index"}
            message.setdefault("tool_calls", []).append(found)
        finish = choice["finish_reason"] or finish
        own |= chunk.get("rlfocal", {}) | {"id": chunk["id"]}
    return message, finish, own


def row_of(served: Served, request_id: str) -> RequestRow:
    found: list[RequestRow] = []

    def is_there() -> bool:
        with served.store.connections.read() as connection:
            row = served.store.log.request(connection, request_id)
        if row is not None and row.status is not None:
            found.append(row)
        return bool(found)

    until(is_there)
    return found[0]


@pytest.mark.parametrize("stream", [False, True])
def test_without_a_rule_the_call_is_given(agents: Any, stream: bool) -> None:
    with agents() as (served, _):
        for rules in (None, {"send": {"effect": "read"}}, {"look": WRITE}):
            message, finish, own = message_of(chat(served, rules, stream=stream))
            assert (message["tool_calls"], finish) == (list(SEND.tool_calls), "tool_calls")
            assert "held_back" not in own
            assert own["confidence"] < 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_asks_for_confirmation_and_a_confirmed_call_is_given(
    agents: Any, stream: bool
) -> None:
    with agents() as (served, _):
        sure = message_of(chat(served))[2]["confidence"]
        reply = chat(served, {"send": WRITE}, stream=stream)
        message, finish, own = message_of(reply)
        assert finish == "stop"
        assert "tool_calls" not in message
        assert "c-send" not in reply.text
        assert SECRET in message["content"]
        held = {"tool": "send", "confidence": sure, "least_confidence": 1.0, "instead": "confirm"}
        assert own["held_back"] == pytest.approx(held)
        assert own["confidence"] is None
        confirmed = {"send": WRITE | {"confirmed": True}}
        message, finish, own = message_of(chat(served, confirmed, stream=stream))
        assert (message["tool_calls"], finish) == (list(SEND.tool_calls), "tool_calls")
        assert "held_back" not in own


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_only_reads_is_given_verbatim(agents: Any, stream: bool) -> None:
    with agents() as (served, _):
        wanted = {"send": WRITE | {"below": "read"}}
        message, finish, own = message_of(chat(served, wanted, stream=stream))
        assert (message["tool_calls"], finish) == (list(LOOK.tool_calls), "tool_calls")
        assert own["held_back"]["instead"] == "read"
        assert own["confidence"] < own["held_back"]["confidence"]
        # Unless that has a bar of its own.
        wanted |= {"look": {"least_confidence": 0.9}}
        message, finish, own = message_of(chat(served, wanted, stream=stream))
        assert (finish, own["held_back"]["instead"]) == ("stop", "confirm")


def test_nobody_is_left_out_who_could_lower_the_confidence(agents: Any) -> None:
    """Three agree, so the answer is settled; how sure it is, and what else there is, is not."""
    slow = Reply(tool_calls=LOOK.tool_calls, wait_s=1.5)
    with agents(MOST_SEND | {"hasty": slow}) as (served, _):
        sure = message_of(chat(served))[2]
        assert [one for one in sure["members"] if one.get("failure")]  # it was not waited for
        message, _, own = message_of(chat(served, {"send": WRITE | {"below": "read"}}))
        assert message["tool_calls"] == list(LOOK.tool_calls)
        assert own["held_back"]["confidence"] < sure["confidence"]


@pytest.mark.parametrize("stream", [False, True])
def test_or_a_reply_in_words(agents: Any, stream: bool) -> None:
    with agents(MOST_SEND | {"hasty": "To whom?"}) as (served, _):
        wanted = {"send": WRITE | {"below": "read"}}
        message, finish, own = message_of(chat(served, wanted, stream=stream))
        assert (message["content"], finish) == ("To whom?", "stop")
        assert own["held_back"]["instead"] == "text"


@pytest.mark.parametrize("stream", [False, True])
def test_or_an_error_that_is_not_tried_again(agents: Any, stream: bool) -> None:
    with agents() as (served, _):
        reply = chat(served, {"send": WRITE | {"below": "error"}}, stream=stream)
        assert reply.status_code == 422
        assert reply.headers["x-should-retry"] == "false"
        error = reply.json()["error"]
        assert (error["code"], error["tool"]) == ("confidence_too_low", "send")
        assert error["least_confidence"] == 1.0
        assert SECRET not in reply.text


def test_the_houses_rule_holds_and_the_stricter_counts(agents: Any) -> None:
    house = {"se*": {"effect": "write", "least_confidence": 1.0, "below": "read"}}
    with agents(tools=house) as (served, _):
        for rules, instead in (
            (None, "read"),
            ({"send": {"effect": "read", "least_confidence": 0.0}}, "read"),
            ({"send": {"below": "confirm"}}, "confirm"),
            ({"send": {"confirmed": True}}, None),
        ):
            own = message_of(chat(served, rules))[2]
            assert own.get("held_back", {}).get("instead") == instead
        # Of a member that is asked by its name nobody knows how sure it is.
        refused = chat(served, model="plain")
        assert (refused.status_code, refused.json()["error"]["param"]) == (
            400,
            "rlfocal.tools.send",
        )
        confirmed = chat(served, {"send": {"confirmed": True}}, model="plain")
        assert message_of(confirmed)[0]["tool_calls"] == list(SEND.tool_calls)


@pytest.mark.parametrize("stream", [False, True])
def test_the_houses_rule_holds_for_calls_that_nobody_offered(agents: Any, stream: bool) -> None:
    """Of a member that is asked by its name, whose words may have been streamed by then."""
    said = MOST_SEND | {"plain": Reply("I do it.", tool_calls=SEND.tool_calls)}
    with agents(said, tools={"send": WRITE}) as (served, _):
        offered = [{"type": "function", "function": {"name": "look"}}]
        reply = chat(served, model="plain", tools=offered, stream=stream)
        message, finish, own = message_of(reply)
        assert "tool_calls" not in message
        assert finish == "stop"
        held = {"tool": "send", "confidence": None, "least_confidence": 1, "instead": "confirm"}
        assert own["held_back"] == held
        assert message["content"].count("not been made yet") == 1
        assert message["content"].startswith("I do it.") == stream


def test_one_of_several_calls_holds_back_all(agents: Any) -> None:
    both = calling(("look", "{}"), ("send", "{}"))
    with agents(MOST_SEND | {"plain": both, "sampled": both, "letters": both}) as (served, _):
        message, finish, _ = message_of(chat(served, {"send": WRITE}))
        assert finish == "stop"
        assert "look({})" in message["content"]
        assert "send({})" in message["content"]
        assert "tool_calls" not in message


def test_a_call_that_members_write_in_words_is_held_back_too(agents: Any) -> None:
    written = f"[send(to='{SECRET}')]"
    said = dict.fromkeys(("plain", "sampled", "letters"), written) | {"hasty": "To whom?"}
    with agents(said) as (served, _):
        (call,) = message_of(chat(served))[0]["tool_calls"]
        assert json.loads(call["function"]["arguments"]) == {"to": SECRET}
        message, finish, own = message_of(chat(served, {"send": WRITE}))
        assert (finish, own["held_back"]["tool"]) == ("stop", "send")
        assert "tool_calls" not in message


# Other dialects ----------------------------------------------------------------------------------


def responses(served: Served, rule: Any, *, stream: bool) -> httpx2.Response:
    body = {
        "model": "rlfocal", "input": "3 + 4 =", "stream": stream,
        "tools": [{"type": "function", "name": n, "parameters": p} for n, p in SCHEMAS.items()],
        "rlfocal": {"tools": {"send": rule}},
    }  # fmt: skip
    return httpx2.post(f"{served.url}/v1/responses", json=body, headers=served.headers, timeout=60)


def messages(served: Served, rule: Any, *, stream: bool) -> httpx2.Response:
    body = {
        "model": "rlfocal", "max_tokens": 64, "stream": stream,
        "messages": [{"role": "user", "content": "3 + 4 ="}],
        "tools": [{"name": n, "input_schema": p} for n, p in SCHEMAS.items()],
        "rlfocal": {"tools": {"send": rule}},
    }  # fmt: skip
    return httpx2.post(f"{served.url}/v1/messages", json=body, headers=served.headers, timeout=60)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("ask", "ends", "calls"),
    [
        (responses, '"status":"completed"', '"type":"function_call"'),
        (messages, '"stop_reason":"end_turn"', '"type":"tool_use"'),
    ],
)
def test_in_every_dialect(agents: Any, ask: Any, ends: str, calls: str, stream: bool) -> None:
    with agents() as (served, _):
        reply = ask(served, WRITE, stream=stream)
        assert reply.status_code == 200
        assert "not been made yet" in reply.text
        assert ends in reply.text
        assert calls not in reply.text
        assert "c-send" not in reply.text
        assert '"instead":"confirm"' in reply.text
        reply = ask(served, WRITE | {"below": "read"}, stream=stream)
        assert calls in reply.text
        assert "c-look" in reply.text
        assert "c-send" not in reply.text
        reply = ask(served, WRITE | {"below": "error"}, stream=stream)
        assert (reply.status_code, reply.headers["x-should-retry"]) == (422, "false")
        error = reply.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert "send" in error["message"]
        assert ask(served, {"efect": "write"}, stream=stream).status_code == 400


# Afterwards --------------------------------------------------------------------------------------


def judge(served: Served, request_id: str, score: float) -> dict[str, Any]:
    body = {"id": request_id, "score": score}
    url = f"{served.url}/v1/feedback"
    reply = httpx2.post(url, json=body, headers=served.headers, timeout=30)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_judgement_credits_who_gave_what_was_given(agents: Any, score: float) -> None:
    senders = ("plain", "sampled", "letters")
    with agents() as (served, _):
        # What asks for confirmation is nobody's.
        own = message_of(chat(served, {"send": WRITE}))[2]
        assert judge(served, own["id"], score)["members"] == dict.fromkeys(MOST_SEND)
        row = row_of(served, own["id"])
        assert row.chosen is None
        assert row.confidence is None
        assert row.trace is not None
        assert row.trace["held_back"]["instead"] == "confirm"
        assert SECRET not in json.dumps(row.trace["held_back"])
        # Another reply is that of who gave it.
        own = message_of(chat(served, {"send": WRITE | {"below": "read"}}))[2]
        found = judge(served, own["id"], score)["members"]
        assert found == {"hasty": score} | dict.fromkeys(senders)
        # And as ever without any rule.
        own = message_of(chat(served))[2]
        found = judge(served, own["id"], score)["members"]
        assert found == {"hasty": None} | dict.fromkeys(senders, score)


def test_a_judgement_of_nobody_leaves_the_policy_as_it_was(agents: Any) -> None:
    settings = {"least_remembered": 1, "poll_s": 0.05}
    with agents(strategy="rl-focal", **settings) as (served, _):
        before = message_of(chat(served, model="rlfocal:0"))[2]["confidence"]
        for _k in range(2):
            own = message_of(chat(served, {"send": WRITE}, model="rlfocal:0"))[2]
            assert judge(served, own["id"], 0.0)["members"] == dict.fromkeys(MOST_SEND)
        until(lambda: served.gateway.recent.n_seen == 2)
        after = message_of(chat(served, model="rlfocal:0"))[2]["confidence"]
        assert after == pytest.approx(before, abs=0.05)


def test_an_error_is_written_down_and_cannot_be_judged(agents: Any) -> None:
    with agents() as (served, _):
        reply = chat(served, {"send": WRITE | {"below": "error"}})
        assert reply.status_code == 422

        def rows() -> list[RequestRow]:
            with served.store.connections.read() as connection:
                return list(served.store.log.requests(connection, 10))

        until(lambda: len(rows()) == 1)
        (row,) = rows()
        assert (row.status, row.error, row.chosen) == (422, "confidence_too_low", None)
        assert row.n_calls == 4
        assert (row.trace or {})["held_back"]["instead"] == "error"
        body = {"id": row.id, "score": 1.0}
        url = f"{served.url}/v1/feedback"
        refused = httpx2.post(url, json=body, headers=served.headers, timeout=30)
        assert refused.json()["error"]["code"] == "nothing_to_judge"


def test_nothing_is_learned_of_decisions_whose_outcome_was_not_given(agents: Any) -> None:
    with agents(strategy="rl-focal", keep_decisions=True) as (served, _):
        given = message_of(chat(served, model="rlfocal:0"))[2]
        held = message_of(chat(served, {"send": WRITE}, model="rlfocal:0"))[2]
        assert held["held_back"]
        assert isinstance(row_of(served, given["id"]).episode, Mapping)
        assert Episode.of_json(row_of(served, given["id"]).episode or {})
        assert row_of(served, held["id"]).episode is None
