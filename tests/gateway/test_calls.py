"""Members that call tools each in their own way, as an ensemble over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from spy_upstream import Reply, SpyUpstream, aimed_at
from stub_pool import trained

MOVE = {
    "name": "move",
    "parameters": {
        "type": "object", "required": ["to"], "additionalProperties": False,
        "properties": {
            "to": {"type": "string", "enum": ["home", "away"]}, "n": {"type": "integer"},
        },
    },
}  # fmt: skip


def calling(arguments: str) -> Reply:
    function = {"name": "move", "arguments": arguments}
    return Reply(tool_calls=[{"id": "c1", "type": "function", "function": function}])


def _now(said: Any) -> Any:
    return said() if callable(said) else said


@pytest.fixture
def ask(
    serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, Any]]:
    """ask({member: what it says}) → the completion of a plurality vote."""

    @contextmanager
    def served(said: dict[str, Any]) -> Iterator[Any]:
        folder = trained(tmp_path_factory, "plurality")
        with (
            SpyUpstream(lambda got: _now(said[got.body["model"]])) as spy,
            serve(folder=folder, edit=aimed_at(spy.base_url)) as (found, _),
        ):
            yield found

    def send(said: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {
            "model": "rlfocal", "messages": [{"role": "user", "content": "3 + 4 ="}],
            "tools": [{"type": "function", "function": MOVE}], **more,
        }  # fmt: skip
        with served(said) as gateway:
            url = f"{gateway.url}/v1/chat/completions"
            reply = httpx2.post(url, json=body, headers=gateway.headers, timeout=60)
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    return send


Ask = Callable[..., dict[str, Any]]


def arguments(found: dict[str, Any]) -> Any:
    (call,) = found["choices"][0]["message"]["tool_calls"]
    return json.loads(call["function"]["arguments"])


def test_equal_calls_in_unlike_forms_outvote_another(ask: Ask) -> None:
    said = {
        "plain": calling('{"to": "away"}'), "letters": "[move(to='Home', n='3')]",
        "hasty": calling('{"n": 3, "to": "home"}'), "sampled": "move it yourself",
    }  # fmt: skip
    found = ask(said)
    assert found["choices"][0]["finish_reason"] == "tool_calls"
    assert arguments(found) == {"to": "home", "n": 3}


def test_what_breaks_its_schema_has_no_vote(ask: Ask) -> None:
    wrong = calling('{"to": "nowhere"}')
    said = {"plain": wrong, "letters": wrong, "sampled": wrong, "hasty": calling('{"to": "home"}')}
    found = ask(said, rlfocal={"explain": True})
    assert arguments(found) == {"to": "home"}
    rounds = found["rlfocal"]["trace"]["rounds"]
    details = {one["member"]: one.get("detail") for part in rounds for one in part["asked"]}
    assert details["plain"] == "not in enum 'to'"
    assert details["hasty"] is None


def test_where_all_break_it_one_is_given_without_any_confidence(ask: Ask) -> None:
    found = ask(dict.fromkeys(("plain", "letters", "sampled", "hasty"), calling('{"n": 1}')))
    assert arguments(found) == {"n": 1}
    assert found["rlfocal"]["confidence"] == 0


def test_of_samples_that_break_it_one_of_these_is_given(ask: Ask) -> None:
    turns = iter(["", "", "", ""])  # three samples are asked at once, in no order
    drawn = iter([Reply(""), calling('{"n": 1}'), calling('{"n": 1}')])
    said: dict[str, Any] = dict.fromkeys(("plain", "letters", "hasty"), lambda: next(turns))
    said["sampled"] = lambda: next(drawn, calling('{"n": 1}'))
    found = ask(said)
    assert arguments(found) == {"n": 1}
    assert found["rlfocal"]["confidence"] == 0


def test_words_of_all_kinds_stand_together_against_a_call(ask: Ask) -> None:
    said = {
        "plain": "Whereto?", "letters": "I do not know whereto.", "sampled": "Where should it go?",
        "hasty": calling('{"to": "home"}'),
    }  # fmt: skip
    message = ask(said)["choices"][0]["message"]
    assert not message.get("tool_calls")
    assert message["content"] in [text for text in said.values() if isinstance(text, str)]
