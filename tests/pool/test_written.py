"""What is sent many times is written once, and is what JSON's own writer writes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool import Message, Request
from rlfocal.pool.asking.prompting import Question
from rlfocal.pool.asking.seeds import seed_of
from rlfocal.pool.openai.body import body_of
from rlfocal.pool.prices import most_prompt_tokens
from rlfocal.pool.settings import MemberSettings
from rlfocal.pool.written import body_bytes, json_of, once, writing_once

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.dictionaries(st.text(), VALUES), st.lists(st.dictionaries(st.text(), VALUES)))
def test_a_body_is_what_json_writes(body: dict[str, Any], turns: list[Any]) -> None:
    body = {**body, "messages": turns}
    with writing_once():
        assert body_bytes(body) == json.dumps(body).encode()
        assert body_bytes(body) == json.dumps(body).encode()
    assert body_bytes(body) == json.dumps(body).encode()


def test_it_is_written_once_for_all_calls_of_a_request_and_for_none_other() -> None:
    made: list[int] = []
    schema = {"x": 1}

    def make() -> str:
        made.append(1)
        return "text"

    async def call() -> None:
        assert once("kind", schema, make) == "text"

    async def go() -> None:
        with writing_once():
            await asyncio.gather(*(asyncio.create_task(call()) for _ in range(5)))
            assert len(made) == 1
            assert once("kind", {"x": 1}, make) == once("other kind", schema, make) == "text"
            assert len(made) == 3  # another object may change, and another kind is another text
        with writing_once():
            await call()
        await call()
        await call()
        assert len(made) == 6

    asyncio.run(go())


def test_long_texts_are_known_by_what_they_say() -> None:
    with writing_once():
        first = json_of("word " * 1000)
        assert json_of("".join(["word "] * 1000)) is first
        assert json_of({"a": 1}) == '{"a": 1}'


def test_prices_and_seeds_are_the_same_inside_and_outside() -> None:
    extra = {"tools": [{"name": "é", "x": None}], "user": "a", "response_format": {"type": "text"}}
    asked = Request((Message("user", "1 + 1?", extra={"name": "x"}),), extra=extra)
    by_hand = 256 + 16 + 6 + len(json.dumps(extra)) + len(json.dumps({"name": "x"}))
    member = MemberSettings(name="m", endpoint="e", temperature=1)
    question = Question("1 + 1?")
    with writing_once():
        assert most_prompt_tokens(asked) == most_prompt_tokens(asked) == by_hand
        assert [seed_of(member, question, 0) for _ in range(2)] == [840829615] * 2
        assert seed_of(member, question, 1) != 840829615
        body = body_of(asked, "chat")
        assert body_bytes(body) == json.dumps(body).encode()
    assert most_prompt_tokens(asked) == by_hand
    assert seed_of(member, question, 0) == 840829615
