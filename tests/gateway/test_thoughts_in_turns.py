"""Thoughts in the turns of a conversation: what servers refuse of them, demand, and may read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from spy_upstream import Received, Reply, SpyUpstream

from rlfocal.errors import MemberError
from rlfocal.gateway.backends.member import MemberBackend
from rlfocal.gateway.backends.reading import ReadingBackend, stages_before
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.request import Context, request_of
from rlfocal.live import Answer
from rlfocal.pool import Message
from rlfocal.pool.asking.own_thoughts import OwnThoughts
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import PoolSettings

USER = {"role": "user", "content": "3 + 4 ="}
TURN = {"role": "assistant", "content": "7", "reasoning_content": "3 and 4"}
NO = "'messages.1' : property '{}' is unsupported"
MISSING = "Missing `reasoning_content` field in the assistant message at message index 1"
MUST_BE_PASSED = "The `reasoning_content` in the thinking mode must be passed back to the API."
DETAILS = [{"type": "reasoning.encrypted", "data": "QUFB", "index": 0}]


def refusal(words: str) -> Reply:
    return Reply(status=400, json={"error": {"message": words, "type": "invalid_request_error"}})


def said(**message: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 30, "total_tokens": 37}
    return Reply(json={"choices": [choice], "usage": usage})


def strict(got: Received) -> Reply:
    """A server that takes none of the fields that others have for thoughts."""
    for turn in got.body["messages"]:
        for name in turn.keys() - {"role", "content", "tool_calls", "tool_call_id"}:
            return refusal(NO.format(name))
    return said(content="8")


class Pool:
    """Members on one upstream: `a` and `b`, and `reader` and `judge`, which read them."""

    def __init__(self, spy: SpyUpstream) -> None:
        self.spy = spy
        names = ["a", "b", "reader", "judge"]
        members: list[dict[str, Any]] = [
            {"name": name, "endpoint": "e", "model": name} for name in names
        ]
        members[2] |= {"reads": ["a"]}
        members[3] |= {"reads": ["a", "b"], "reading": "judge"}
        endpoints = {"e": {"base_url": spy.base_url, "attempts": 1}}
        settings = {"endpoints": endpoints, "members": members}
        self.live = LivePool(PoolSettings.model_validate(settings))
        self.by_name = {member.name: member for member in self.live.members}

    def ask(self, *messages: Any, name: str = "a") -> tuple[Answer, tuple[str, ...]]:
        """The answer, and what of the request was of no use."""
        return self.ask_in_turn([(name, messages)])[-1]

    def ask_in_turn(self, asked: list[Any]) -> list[tuple[Any, tuple[str, ...]]]:
        """What comes of requests, an error in place of an answer."""

        async def all_of_them() -> list[tuple[Any, tuple[str, ...]]]:
            async with self.live:
                return [await self._ask(name, list(messages)) for name, messages in asked]

        return asyncio.run(all_of_them())

    async def _ask(self, name: str, messages: list[Any]) -> tuple[Any, tuple[str, ...]]:
        body = {"model": name, "messages": messages}
        chat = request_of(body, Context(list(self.by_name), GatewaySettings()))
        before = stages_before(self.live.members)
        member = self.by_name[name]
        backend = (
            ReadingBackend(member, chat, before[name])
            if name in before
            else MemberBackend(member, chat)
        )
        try:
            answer = await backend.run(60, math.inf, None)
        except MemberError as exc:
            return exc, (*chat.ignored, *backend.ignored)
        return answer, (*chat.ignored, *backend.ignored)

    def turns(self, model: str) -> list[dict[str, Any]]:
        """The second message of each request to a model."""
        asked = [got.body for got in self.spy.received if got.body["model"] == model]
        return [body["messages"][1] for body in asked if len(body["messages"]) > 1]


@contextmanager
def pool(says: Callable[[Received], Reply]) -> Iterator[Pool]:
    with SpyUpstream(says) as spy:
        yield Pool(spy)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (NO.format("reasoning_content"), True),
        ("Extra inputs are not permitted: ['messages', 1, 'reasoning_content']", True),
        ("Additional properties are not allowed ('reasoning_content' was unexpected)", True),
        ("Unknown field: messages[1].reasoning_content", True),
        ("Unrecognized key(s) in object: 'reasoning_content'", True),
        (MISSING, False),
        (MUST_BE_PASSED, False),
        ("messages.1.reasoning_content: Field required", False),
        ("`reasoning_content` must be included; unexpected conversation", False),
        ("messages.1.reasoning_content: too long", False),
    ],
)
def test_only_words_that_refuse_a_field_refuse_it(words: str, refused: bool) -> None:
    turn = Message("assistant", "7", {"reasoning_content": "3 and 4"})
    expected = {"reasoning_content"} if refused else set()
    assert OwnThoughts().refused_in(words, [turn]) == expected


@pytest.mark.parametrize("words", [MISSING, MUST_BE_PASSED])
def test_a_server_that_demands_thoughts_is_sent_them_by_the_next_request(words: str) -> None:
    def demanding(got: Received) -> Reply:
        first = next(turn for turn in got.body["messages"] if turn["role"] == "assistant")
        return said(content="8") if "reasoning_content" in first else refusal(words)

    bare = {"role": "assistant", "content": "7"}
    with pool(demanding) as found:
        (one, _), (two, ignored) = found.ask_in_turn(
            [("a", [USER, bare, USER, TURN, USER]), ("a", [USER, TURN, USER])]
        )
        assert isinstance(one, MemberError)
        assert (two.text, ignored) == ("8", ())
        assert len(found.spy.received) == 2
        assert found.turns("a")[-1] == TURN


def test_nothing_is_learned_of_a_call_that_did_not_go_through_without_thoughts() -> None:
    with pool(lambda got: refusal(NO.format("reasoning_content"))) as found:
        ((one, _),) = found.ask_in_turn([("a", [USER, TURN, USER])])
        assert isinstance(one, MemberError)
        assert [len(turn) for turn in found.turns("a")] == [3, 2]
        assert not found.by_name["a"].thoughts.refused


@pytest.mark.parametrize("name", ["a", "reader"])
def test_thoughts_that_are_left_out_are_told_of_each_time(name: str) -> None:
    def says(got: Received) -> Reply:
        return strict(got) if got.body["model"] == name else said(content="8")

    with pool(says) as found:
        for answer, ignored in found.ask_in_turn([(name, [USER, TURN, USER])] * 3):
            assert (answer.text, ignored) == ("8", ("messages[].reasoning_content",))
        assert [turn.keys() for turn in found.turns(name)] == [
            TURN.keys(), *[{"role", "content"}] * 3,
        ]  # fmt: skip


def test_thoughts_are_told_of_by_the_name_that_they_were_sent_by() -> None:
    def says(got: Received) -> Reply:
        told = strict(got)
        return said(content="8", reasoning="hm") if told.status == 200 else told

    with pool(says) as found:
        requests = [("a", [USER]), ("a", [USER, TURN, USER])]
        (_, nothing), (answer, ignored) = found.ask_in_turn(requests)
        assert nothing == ()
        assert (answer.text, ignored) == ("8", ("messages[].reasoning_content",))


def test_what_only_those_who_are_read_did_not_take_is_not_told_of() -> None:
    def says(got: Received) -> Reply:
        return strict(got) if got.body["model"] == "a" else said(content="9")

    with pool(says) as found:
        for answer, ignored in found.ask_in_turn([("reader", [USER, TURN, USER])] * 2):
            assert (answer.text, ignored) == ("9", ())
        # Read it was: its call was repeated once, and it is known from then on.
        assert ["reasoning_content" in turn for turn in found.turns("a")] == [True, False, False]
        assert all("reasoning_content" in turn for turn in found.turns("reader"))


@pytest.mark.parametrize("name", ["reasoning_details", "thinking_blocks"])
def test_details_of_thoughts_go_back_to_their_giver_alone(name: str) -> None:
    def says(got: Received) -> Reply:
        if got.body["model"] == "b":
            return strict(got)
        return said(content="7", annotations=[{"type": "x"}], **{name: DETAILS})

    with pool(says) as found:
        answer, _ = found.ask(USER)
        assert answer.beside["annotations"] == [{"type": "x"}]
        turn = {"role": "assistant", "content": "7", name: answer.beside[name]}
        (own, nothing), (other, ignored) = found.ask_in_turn(
            [("a", [USER, turn, USER]), ("b", [USER, turn, USER])]
        )
        assert (own.text, nothing) == ("7", ())
        assert found.turns("a")[-1][name] == DETAILS
        assert (other.text, ignored) == ("8", (f"messages[].{name}",))


def test_details_of_a_reply_that_a_judge_names_are_nobodys() -> None:
    def says(got: Received) -> Reply:
        if got.body["model"] == "judge":
            return said(content="Reply 1.", reasoning_details=DETAILS)
        return said(content="7", reasoning_details=DETAILS, annotations=[{"type": "x"}])

    with pool(says) as found:
        answer, _ = found.ask(USER, name="judge")
        assert (answer.text, answer.beside) == ("7", {"annotations": [{"type": "x"}]})
