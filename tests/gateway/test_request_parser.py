"""Reading a chat completion: whatever comes is a request or a refusal that repeats no value."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.gateway.chat import read_request
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.feedback import read_judgement
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.wire.body import OPTIONAL, ChatBody
from rlfocal.gateway.wire.dialects.chat import Chat
from rlfocal.gateway.wire.request import ChatRequest, Context

LIMITS = GatewaySettings()
MEMBERS = ["plain", "letters"]
LONGEST_NAME = 128
USER = {"role": "user", "content": "3 + 4 ="}


def read(body: Any) -> ChatRequest:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(sent, Chat(), Context(MEMBERS, LIMITS))[1]


def refusal(body: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        read(body)
    return refused.value


def refusal_of(reader: Callable[[Any], object], body: Any) -> ApiError | None:
    """What a reader says against a body; anything but an `ApiError` is a fault."""
    try:
        reader(body)
    except ApiError as exc:
        return exc
    return None


def with_user(**fields: Any) -> dict[str, Any]:
    return {"model": "rlfocal", "messages": [USER], **fields}


# Anything ----------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from([*ChatBody.model_fields, "api_base", "best_of", "self", "__init__"])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_refusal(body: bytes) -> None:
    for reader in (read, read_judgement):
        refused = refusal_of(reader, body)
        assert refused is None or refused.status in (400, 404)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.dictionaries(names, anything, max_size=5), anything, st.booleans())
def test_any_json_is_a_request_or_a_refusal(
    fields: dict[str, Any], turn: Any, is_whole: bool
) -> None:
    body = {**with_user(), **fields} if is_whole else {**fields, "messages": [turn]}
    for reader in (read, read_judgement):
        refused = refusal_of(reader, json.dumps(body).encode())
        assert refused is None or refused.status in (400, 404)


SECRET = "hunter2-" * 40
"""A value that no refusal may repeat."""


def places(value: Any) -> list[dict[str, Any]]:
    """Bodies that hold a value where it does not belong."""
    found = [with_user(**{name: value}) for name in ChatBody.model_fields if name != "messages"]
    for name in ("choices", "task", "answers", "max_usd", "deadline_ms", "explain"):
        found.append(with_user(rlfocal={name: value}))
    for turn in (
        value,
        {"role": value, "content": "x"},
        {"role": "user", "content": value, "name": value},
        {"role": "user", "content": [value]},
        {"role": "user", "content": [{"type": value, "text": value}]},
        {"role": "assistant", "tool_calls": [value]},
        {"role": "assistant", "tool_calls": [{"id": value, "type": value, "function": value}]},
        {"role": "tool", "content": "x", "tool_call_id": value},
    ):
        found.append({"model": "rlfocal", "messages": [turn]})
    return found


@pytest.mark.parametrize(
    "value", [SECRET, [SECRET], {"url": SECRET}, 10**300 + 7, {"a": {"b": [SECRET]}}]
)
def test_no_refusal_repeats_a_value(value: Any) -> None:
    n_refused = 0
    for body in places(value):
        if (refused := refusal_of(read, body)) is None:
            continue
        n_refused += 1
        shown = json.dumps(refused.as_json())
        assert "hunter2" not in shown
        assert "0000000" not in shown
        assert len(shown) < 700
    assert n_refused > len(places(value)) / 2


@pytest.mark.slow
@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(max_size=300), anything, min_size=1, max_size=3), st.booleans())
def test_an_unknown_field_is_named_and_the_name_cut(fields: dict[str, Any], is_own: bool) -> None:
    body = with_user(rlfocal=fields) if is_own else with_user(**fields)
    written = json.dumps(body).encode()
    if (refused := refusal_of(read, written)) is None:
        assert all(len(name) <= LONGEST_NAME for name in read(written).ignored)
    else:
        assert len(refused.param or "") <= LONGEST_NAME
        assert len(str(refused)) < 2 * LONGEST_NAME + 400


@pytest.mark.parametrize("name", ["assistant", "str", "developer", "<text>", "<object>", "self"])
def test_a_field_called_like_a_role_is_named_like_any_other(name: str) -> None:
    body = {"model": "rlfocal", "messages": [USER | {name: 5}]}
    assert read(body).ignored == (f"messages[].{name}",)
    assert read(with_user(**{name: "x"})).ignored == (name,)
    assert read(with_user(model="plain", **{name: "x"})).question.extra == {name: "x"}
    assert refusal(with_user(rlfocal={name: 5})).param == f"rlfocal.{name}"


# What is valid comes through ---------------------------------------------------------------------

words = texts.filter(lambda text: text.strip())
contents = words | st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, words), min_size=1, max_size=3
)
turns = st.one_of(
    st.builds(lambda c: {"role": "user", "content": c}, contents),
    st.builds(lambda c: {"role": "assistant", "content": c}, contents),
    st.builds(lambda c: {"role": "system", "content": c}, contents),
    st.builds(lambda c: {"role": "tool", "content": c, "tool_call_id": "call-1"}, contents),
)


def text_of(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    earlier=st.lists(turns, max_size=4),
    asked=contents,
    model=st.sampled_from(["rlfocal", "plain", "rlfocal:0.25", "rlfocal:0", "rlfocal:1e-3"]),
    max_tokens=st.none() | st.integers(1, LIMITS.most_tokens),
    stream=st.none() | st.booleans(),
    deadline_ms=st.none() | st.integers(1, 2**31 - 1),
)
def test_a_valid_body_is_asked_as_it_was_written(
    earlier: list[dict[str, Any]], asked: Any, model: str, max_tokens: int | None,
    stream: bool | None, deadline_ms: int | None,
) -> None:  # fmt: skip
    body = {
        "model": model, "messages": [*earlier, {"role": "user", "content": asked}],
        "max_tokens": max_tokens, "stream": stream, "rlfocal": {"deadline_ms": deadline_ms},
    }  # fmt: skip
    found = read(body)
    assert found.question.prompt == text_of(asked)
    said = [(t["role"], text_of(t["content"])) for t in earlier]
    told = said if found.member else [turn for turn in said if turn[0] != "system"]
    system = () if found.member else (text for role, text in said if role == "system")
    assert found.question.system == "\n\n".join(filter(None, system))
    history = [(message.role, message.content) for message in found.question.history]
    if found.question.whole:
        told.append(("user", text_of(asked)))
    assert history == told
    assert found.member == (model if model == "plain" else None)
    assert found.price == (float(model[8:]) if ":" in model else None)
    assert found.question.most_tokens == max_tokens
    assert found.ignored == ()
    assert bool(found.body.stream) is bool(stream)
    asked_s = LIMITS.deadline_s if deadline_ms is None else deadline_ms / 1000
    assert found.deadline_s == min(asked_s, LIMITS.most_deadline_s)


def test_a_reply_that_a_client_sends_back_whole_is_taken() -> None:
    # As `reply.choices[0].message.model_dump()` of OpenAI's client writes it.
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    said = {
        "role": "assistant", "content": None, "refusal": None, "annotations": None, "audio": None,
        "function_call": None, "tool_calls": [call | {"index": 0}],
    }  # fmt: skip
    result = {"role": "tool", "tool_call_id": "c1", "content": "7"}
    found = read({"model": "rlfocal", "messages": [USER, said, result]})
    assert found.question.whole
    assert found.question.history[1].extra["tool_calls"] == [call]


# What programs and attackers send ----------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe\xfd", b"[" * 100_000, b'{"a":' * 100_000,
        json.dumps(with_user()).encode("utf-16"),
        b'{"model": "rlfocal", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "rlfocal", "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}',
        b'{"model": "rlfocal", "messages": [{"role": "user", "content": "x"}], "top_p": NaN}',
        b'{"model": "rlfocal", "messages": [{"role": "user", "content": "x"}], "top_p": Infinity}',
        b'{"model": "rlfocal", "messages": [{"role": "user", "content": "x"}], "stop": 1e999}',
        b'{"model": "rlfocal", "messages": [], "seed": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_sound_json_is_refused(body: bytes) -> None:
    assert refusal(body).code in ("invalid_json", "invalid_type")


def test_an_emoji_in_two_halves_is_no_half() -> None:
    found = read(
        b'{"model": "rlfocal", "messages": [{"role": "user", "content": "\\ud83d\\ude00"}]}'
    )
    assert found.question.prompt == "\U0001f600"


def test_a_field_twice_counts_once_and_names_no_other_model() -> None:
    twice = json.dumps(with_user(model="plain")).replace("{", '{"model": "nobody", ', 1)
    assert read(twice.encode()).member == "plain"


@pytest.mark.parametrize("name", ["tools", "tool_choice", "response_format"])
def test_what_is_passed_on_may_not_be_deeper_than_it_can_be_written(name: str) -> None:
    nested = json.loads("[" * 800 + "]" * 800)
    value: Any = {"a": nested}
    function: dict[str, Any] = {"name": "f", "parameters": value if name == "tools" else {}}
    body = with_user(tools=[{"type": "function", "function": function}])
    if name != "tools":
        body[name] = value
    assert refusal(body).param == name


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"n": 0}, "n"),
        ({"model": "plain", "n": LIMITS.most_calls + 1}, "n"),
        ({"best_of": 5}, "best_of"),
        ({"tools": [{}] * 129}, "tools"),
        ({"messages": [USER] * 257}, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 400_001}]}, "messages"),
        ({"rlfocal": {"choices": ["x" * 200_001] * 2}}, "messages"),
        ({"rlfocal": {"choices": ["a"] * 27}}, "rlfocal.choices"),
        ({"rlfocal": {"deadline_ms": 10**300}}, "rlfocal.deadline_ms"),
        ({"rlfocal": {"max_usd": -1}}, "rlfocal.max_usd"),
        ({"stop": ["x"] * 257}, "stop"),
        ({"logprobs": 3}, "logprobs"),
        ({"model": "rlfocal:-1"}, "model"),
        ({"model": "rlfocal:nan"}, "model"),
        ({"model": "rlfocal:1_0"}, "model"),
        ({"model": "rlfocal: 1"}, "model"),
        ({"model": "rlfocal:1e999"}, "model"),
        ({"model": "rlfocal:" + "9" * 200}, None),
    ],
)
def test_bounds_hold_and_name_the_field(fields: dict[str, Any], param: str | None) -> None:
    body = with_user(**fields)
    if param is None:
        assert read(body).price == float("9" * 200)
    else:
        assert refusal(body).param == param


MANY = 300_000


@pytest.mark.parametrize(
    "body",
    [
        with_user(messages=[0] * MANY),
        with_user(messages=[{"role": "user", "content": [{}] * MANY}]),
        with_user(messages=[USER, {"role": "assistant", "tool_calls": [0] * MANY}]),
        with_user(tools=[0] * MANY),
        with_user(modalities=[0] * MANY),
        with_user(rlfocal={"choices": [0] * MANY}),
        with_user(**{f"f{k}": 0 for k in range(80_000)}),
        with_user(messages=[USER | dict.fromkeys(map(str, range(80_000)))]),
    ],
    ids=["messages", "parts", "calls", "tools", "modalities", "choices", "fields", "in a turn"],
)  # fmt: skip
def test_many_mistakes_hold_nobody_up(body: dict[str, Any]) -> None:
    written = json.dumps(body).encode()
    took_s = []
    for _ in range(2):  # one may meet a collection of garbage
        started = time.thread_time()  # whatever else the machine does
        refusal(written)
        took_s.append(time.thread_time() - started)
    assert min(took_s) < 0.5  # it was 6 s


def test_fields_without_effect_are_named() -> None:
    objects = ("logit_bias", "metadata", "prediction", "web_search_options")
    values: dict[str, Any] = {name: {} for name in objects} | {"store": True}
    numbers = {"presence_penalty": 1, "frequency_penalty": 1}
    given = {name: values.get(name, numbers.get(name, "x")) for name in OPTIONAL}
    found = read(with_user(**given))
    assert set(found.ignored) == set(OPTIONAL) - {"prompt_cache_key"}  # it names a session
    assert found.question.extra == {}
    by_name = read(with_user(model="plain", **given))
    assert by_name.ignored == ()
    assert by_name.question.extra == given


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [LIMITS.most_tokens + 1, 10**300])
def test_more_tokens_than_may_be_asked_for_are_shortened_and_told(name: str, value: int) -> None:
    found = read(with_user(**{name: value}))
    assert found.question.most_tokens == LIMITS.most_tokens
    assert found.ignored == (f"{name}: shortened to {LIMITS.most_tokens}",)
    assert read(with_user(**{name: LIMITS.most_tokens})).ignored == ()
