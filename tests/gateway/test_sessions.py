"""Sessions: whom a client's last request asked first is asked first again, whose cache is warm."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from serving import Served, until
from spy_upstream import Received, Reply, SpyUpstream, aimed_at

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.trace import CallRecord, Round, Trace
from rlfocal.deliberation.view import Decision, View
from rlfocal.deliberation.wrapper import Wrapper
from rlfocal.errors import Failure
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.sessions import Session, Sessions
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.wire.request import ChatRequest, Context, request_of

Serve = Callable[..., Any]
Start = Callable[..., Any]
SETTINGS = GatewaySettings()
ME, YOU = Key("me", "me"), Key("you", "you")
NAMES = ("plain", "letters", "sampled", "hasty")


# The memory ---------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def asked(name: str | None = "a talk", model: str = "rlfocal") -> ChatRequest:
    found = {"model": model, "messages": [{"role": "user", "content": "1 + 1?"}]}
    return request_of(found | {"prompt_cache_key": name}, Context(NAMES, SETTINGS))


def of(sessions: Sessions, key: Key = ME, name: str = "a talk", model: str = "rlfocal") -> Session:
    found = sessions.of(key, asked(name, model))
    assert found is not None
    return found


def trace_of(*members: str, failure: Failure | None = None) -> Trace:
    calls = [CallRecord(name) for name in members]
    if failure is not None:
        calls[-1] = replace(calls[-1], failure=failure.value)
    return Trace(rounds=[Round(tuple(calls), {}, 1.0), Round((CallRecord("later"),), {}, 2.0)])


def test_whom_it_asked_first_is_kept_for_a_key_a_name_and_a_price() -> None:
    sessions = Sessions(SETTINGS)
    assert of(sessions).first == ()
    of(sessions).note(trace_of("plain", "hasty"))
    assert of(sessions).first == ("plain", "hasty")
    assert of(sessions, YOU).first == ()
    assert of(sessions, name="another talk").first == ()
    assert of(sessions, model="rlfocal:0.02").first == ()
    of(sessions).note(trace_of("letters"))
    assert of(sessions).first == ("letters",)
    assert len(sessions) == 1


@pytest.mark.parametrize("name", [None, ""])
def test_who_names_no_session_has_none(name: str | None) -> None:
    assert Sessions(SETTINGS).of(ME, asked(name)) is None


def test_none_are_kept_where_none_are_wanted() -> None:
    assert Sessions(GatewaySettings(sessions=0)).of(ME, asked()) is None


def test_members_that_failed_are_not_asked_first_again_unless_they_were_not_needed() -> None:
    sessions = Sessions(SETTINGS)
    of(sessions).note(trace_of("plain", "hasty", failure=Failure.CANCELLED))
    assert of(sessions).first == ("plain", "hasty")
    of(sessions).note(trace_of("plain", "hasty", failure=Failure.TIMEOUT))
    assert of(sessions).first == ()
    of(sessions).note(Trace())
    assert len(sessions) == 0


def test_a_session_is_forgotten_an_hour_after_its_last_request() -> None:
    clock = Clock()
    sessions = Sessions(SETTINGS, clock)
    of(sessions).note(trace_of("plain"))
    clock.now = 3000.0
    of(sessions).note(trace_of("plain"))
    clock.now = 6000.0
    assert of(sessions).first == ("plain",)
    clock.now = 6601.0
    assert of(sessions).first == ()
    assert len(sessions) == 0


def test_the_memory_is_bounded_and_no_key_takes_all_of_it() -> None:
    sessions = Sessions(GatewaySettings(sessions=16))
    for n in range(5):
        of(sessions, name=f"talk {n}").note(trace_of("plain"))
        of(sessions, YOU).note(trace_of("hasty"))
    assert [bool(of(sessions, name=f"talk {n}").first) for n in range(5)] == [False] * 3 + [
        True
    ] * 2
    assert of(sessions, YOU).first == ("hasty",)
    for n in range(40):
        of(sessions, Key(f"k{n}", "k")).note(trace_of("plain"))
    assert len(sessions) == 16


def test_a_name_is_not_kept_as_it_is() -> None:
    sessions = Sessions(SETTINGS)
    of(sessions, name="a very private name \udc80").note(trace_of("plain"))
    assert "private" not in repr(vars(sessions))


# End to end ---------------------------------------------------------------------------------------


class Caching:
    """Says the sum, and counts what of a conversation each model has read before."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}
        self.down: set[str] = set()

    def __call__(self, got: Received) -> Reply:
        model, messages = got.body["model"], got.body["messages"]
        if model in self.down:
            return Reply(status=500, json={"error": {"message": "down"}})
        seen = self._seen.setdefault(model, set())
        starts = [json.dumps(messages[: k + 1]) for k in range(len(messages))]
        n_cached = 1000 * sum(start in seen for start in starts)
        seen.update(starts)
        left, right = map(int, re.findall(r"(\d+) \+ (\d+)", str(messages))[-1])
        message = {"role": "assistant", "content": f"That is {left + right}."}
        usage = {
            "prompt_tokens": 1000 * len(messages), "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": n_cached},
        }  # fmt: skip
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Reply(json={"choices": [choice], "usage": usage})


class Turning(Wrapper):
    """Asks one member, which its caller names, and then nobody."""

    def __init__(self, strategy: Base, n: int) -> None:
        super().__init__(strategy)
        self._n = n

    def decide(self, view: View) -> Decision:
        ask = (np.arange(view.asked.shape[1]) == self._n) & (view.n_rounds[:, None] == 0)
        return super().decide(view)._replace(ask=ask & ~view.asked)


@pytest.fixture
def start(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Start:
    """start(**settings) → a gateway whose policy asks plain first, then hasty, then plain, ..."""
    numbers = itertools.cycle([0, 3])
    monkeypatch.setattr(
        Gateway, "_strategy_at", lambda self, _: Turning(self.recent.strategy, next(numbers))
    )

    @contextmanager
    def started(**settings: Any) -> Iterator[tuple[Served, Caching]]:
        says = Caching()
        with SpyUpstream(says) as spy:

            def edit(text: str) -> str:
                aimed = aimed_at(spy.base_url)(text)
                return aimed.replace("prompt = 1.0", "prompt = 1.0\ncached = 0.1")

            with serve(edit=edit, **settings) as (served, _):
                yield served, says

    return started


TURNS = (
    [{"role": "user", "content": "3 + 4 ="}],
    [
        {"role": "user", "content": "3 + 4 ="}, {"role": "assistant", "content": "That is 7."},
        {"role": "user", "content": "5 + 4 ="},
    ],
)  # fmt: skip
OWN = {"answers": "number", "explain": True}


def post(served: Served, turn: int, key: str | None = None, **fields: Any) -> dict[str, Any]:
    body = {"model": "rlfocal", "messages": TURNS[turn], "rlfocal": OWN, **fields}
    headers = served.headers if key is None else {"Authorization": f"Bearer {key}"}
    reply = httpx2.post(
        f"{served.url}/v1/chat/completions", json=body, headers=headers, timeout=60, verify=False
    )
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def who(reply: Mapping[str, Any]) -> list[str]:
    return [one["member"] for one in reply["rlfocal"]["members"]]


def test_the_second_turn_of_a_session_is_cheaper(start: Start) -> None:
    with start() as (served, _):
        cold = [post(served, turn) for turn in (0, 1)]
    assert list(map(who, cold)) == [["plain"], ["hasty"]]
    with start() as (served, _):
        warm = [post(served, turn, prompt_cache_key="a-talk") for turn in (0, 1)]
    assert list(map(who, warm)) == [["plain"], ["plain"]]
    assert [one["choices"][0]["message"]["content"] for one in warm] == ["That is 7.", "That is 9."]
    costs = [[one["rlfocal"]["cost_usd"] for one in talk] for talk in (cold, warm)]
    assert costs[0] == [pytest.approx(1020e-6), pytest.approx(3020e-6)]
    assert costs[1] == [pytest.approx(1020e-6), pytest.approx(2120e-6)]
    first, second = warm
    assert [one["usage"]["prompt_tokens_details"] for one in warm] == [
        {"cached_tokens": 0}, {"cached_tokens": 1000},
    ]  # fmt: skip
    assert second["rlfocal"]["members"][0]["cached_tokens"] == 1000
    assert second["rlfocal"]["trace"]["by_session"] is True
    assert "by_session" not in first["rlfocal"]["trace"]
    assert "ignored" not in second["rlfocal"]


def test_a_session_is_of_one_key_and_one_name(start: Start) -> None:
    with start() as (served, _):
        other = served.add_key("other")
        assert who(post(served, 0, prompt_cache_key="a-talk")) == ["plain"]
        assert who(post(served, 0, prompt_cache_key="b-talk")) == ["hasty"]
        assert who(post(served, 0, other, prompt_cache_key="c-talk")) == ["plain"]
        assert who(post(served, 1, other, prompt_cache_key="a-talk")) == ["hasty"]
        assert who(post(served, 1, other, prompt_cache_key="a-talk")) == ["hasty"]


def test_where_sessions_are_not_kept_the_field_is_told(start: Start) -> None:
    with start(sessions=0) as (served, _):
        replies = [post(served, turn, prompt_cache_key="a-talk") for turn in (0, 1)]
    assert list(map(who, replies)) == [["plain"], ["hasty"]]
    assert replies[1]["rlfocal"]["ignored"] == ["prompt_cache_key"]


def test_where_the_member_is_left_alone_the_strategy_decides_and_begins_anew(start: Start) -> None:
    with start(circuit_failures=1, circuit_cool_down_s=600) as (served, says):
        assert who(post(served, 0, prompt_cache_key="a-talk")) == ["plain"]
        says.down = {"plain"}
        broken = httpx2.post(
            f"{served.url}/v1/chat/completions", headers=served.headers, timeout=60, verify=False,
            json={"model": "plain", "messages": TURNS[0]},
        )  # fmt: skip
        assert broken.status_code >= 500
        says.down = set()
        second = post(served, 1, prompt_cache_key="a-talk")
        assert (who(second), second["rlfocal"]["circuit_open"]) == (["hasty"], ["plain"])
        assert "by_session" not in second["rlfocal"]["trace"]
        third = post(served, 1, prompt_cache_key="a-talk")
        assert (who(third), third["rlfocal"]["trace"]["by_session"]) == (["hasty"], True)


def test_where_it_takes_no_images_the_strategy_decides(serve: Serve) -> None:
    def edit(text: str) -> str:
        return text.replace('model = "hasty"\n', 'model = "hasty"\nimages = true\n', 1)

    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    with serve(edit=edit) as (served, _):
        chat = {"prompt_cache_key": "a-talk", "model": "rlfocal:0.3"}
        assert who(post(served, 0, **chat)) != ["hasty"]
        parts = [{"type": "text", "text": "3 + 4 ="}, image]
        seen = post(served, 0, **chat, messages=[{"role": "user", "content": parts}])
        assert who(seen) == ["hasty"]
        assert "by_session" not in seen["rlfocal"]["trace"]


def test_what_a_session_decides_is_no_episode_and_its_name_is_nowhere(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = "a-very-private-talk"
    with serve(keep_decisions=True) as (served, _):
        ids = [post(served, 0, prompt_cache_key=name)["id"] for _ in range(2)]

        def rows() -> list[Any]:
            with served.store.connections.read() as connection:
                return [served.store.log.request(connection, one) for one in ids]

        until(lambda: None not in rows())
        first, second = rows()
    assert first.episode is not None
    assert second.episode is None
    assert name not in caplog.text
    for path in tmp_path.glob("gateway.db*"):
        assert name.encode() not in path.read_bytes()


def test_other_dialects_have_sessions_and_tell_what_was_cached(start: Start) -> None:
    with start() as (served, _):

        def ask(path: str, turn: int, **fields: Any) -> dict[str, Any]:
            body = {"model": "rlfocal", "prompt_cache_key": "a-talk", "rlfocal": OWN, **fields}
            reply = httpx2.post(
                f"{served.url}/v1/{path}", json=body, headers=served.headers, timeout=60,
                verify=False,
            )  # fmt: skip
            assert reply.status_code == 200, reply.text
            found: dict[str, Any] = reply.json()
            assert who(found) == ["plain"], (path, turn)
            assert "ignored" not in found["rlfocal"]
            return found

        for turn, messages in enumerate(TURNS):
            told = ask("responses", turn, input=messages)["usage"]["input_tokens_details"]
            assert told["cached_tokens"] == 1000 * turn
        for turn, messages in enumerate(TURNS):
            usage = ask("messages", turn, messages=messages, max_tokens=50)["usage"]
            n_cached = usage["cache_read_input_tokens"]
            assert n_cached + usage["input_tokens"] == 1000 * len(messages)
            assert n_cached == 1000 * len(messages)
