"""What is sent many times is written once, and is what JSON's own writer writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool import Message, Request
from rlfocal.pool.asking.prompting import Question, request_for
from rlfocal.pool.asking.seeds import seed_of
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.openai.body import body_bytes, body_of
from rlfocal.pool.prices import most_prompt_tokens
from rlfocal.pool.types import Api, JsonObject, Wording

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=3)
NAMES = st.sampled_from(["tools", "response_format", "user", "top_p", "seed", "x"])
TURNS = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant"]),
    st.text(),
    st.dictionaries(st.sampled_from(["name", "tool_calls", "content"]), VALUES, max_size=2),
    st.lists(OBJECTS | OBJECTS.map(JsonObject), max_size=2).map(tuple),
)
REQUESTS = st.builds(
    Request,
    st.lists(TURNS, max_size=3).map(tuple),
    st.sampled_from(["", "m"]),
    top_p=st.none() | st.just(0.5),
    seed=st.none() | st.just(3),
    stop=st.sampled_from([(), ("x",)]),
    n_logprobs=st.sampled_from([0, 5]),
    extra=st.dictionaries(NAMES, VALUES),
    wording=st.builds(
        Wording,
        drop=st.frozensets(st.sampled_from(["stream", "messages", "temperature", "user", "seed"])),
        system_as=st.sampled_from(["system", "developer", "user"]),
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("api", ["chat", "completions"])
@given(REQUESTS)
def test_what_is_sent_is_what_json_writes(api: Api, request: Request) -> None:
    sent = body_bytes(request, api)
    assert json.loads(sent) == json.loads(json.dumps(body_of(request, api)))
    assert sent == body_bytes(request, api)
    assert sent.isascii()


def test_fields_and_turns_are_written_once_for_all_members(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    dumps = json.dumps

    def counted(value: Any, **more: Any) -> str:
        written.append(value)
        return dumps(value, **more)

    monkeypatch.setattr(json, "dumps", counted)
    tools, image = [{"type": "function"}], JsonObject(type="image_url", image_url={"url": "data:"})
    turn = Message("user", "before", parts=(image,))
    question = Question("1 + 1?", history=(turn,), extra=JsonObject(tools=tools), images=(image,))
    for k in range(5):
        more = {"top_a": k} if k else None
        member = MemberSettings(name=f"m{k}", endpoint="e", extra_body=more)
        asked = request_for(member, question)
        assert most_prompt_tokens(asked) > 0
        assert json.loads(body_bytes(asked, "chat"))["tools"] == tools
    assert written.count(tools) == 1
    assert written.count(image) == 1


def test_prices_and_seeds_by_hand() -> None:
    extra = {"tools": [{"name": "é", "x": None}], "user": "a", "response_format": {"type": "text"}}
    asked = Request((Message("user", "1 + 1?", extra={"name": "x"}),), extra=extra)
    by_hand = 256 + 16 + 6 + len(json.dumps(extra)) + len(json.dumps({"name": "x"}))
    member = MemberSettings(name="m", endpoint="e", temperature=1)
    question = Question("1 + 1?")
    assert most_prompt_tokens(asked) == most_prompt_tokens(asked) == by_hand
    assert [seed_of(member, question, 0) for _ in range(2)] == [840829615] * 2
    assert seed_of(member, question, 1) != 840829615
