"""Whatever JSON a server sends is a usable response or one `MemberError`, and nothing else."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request, Response
from rlfocal.pool.openai.replies.errors.reading import Upstream, read_error
from rlfocal.pool.openai.replies.incoming import Incoming

Api = Literal["chat", "completions"]


def read(
    found: Any, *, api: Api = "chat", n_logprobs: int = 0, kind: str = "application/json"
) -> Response:
    body = found if isinstance(found, bytes) else json.dumps(found).encode()
    incoming = Incoming(Request((Message("user", "?"),), n_logprobs=n_logprobs), api)
    incoming.feed(body)
    headers = {"Content-Type": kind}
    return incoming.read(Upstream("host:1", lambda text: text[:40], headers))


def failure(found: Any, **options: Any) -> Failure:
    with pytest.raises(MemberError) as raised:
        read(found, **options)
    assert str(raised.value).startswith("host:1: ")
    return raised.value.failure


def chat(content: Any = "Yes.", finish: Any = "stop", **more: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return {"choices": [{**choice, **more}]}


def test_chat_and_completions_by_hand() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "cost": 0.25}
    assert read(chat() | {"usage": usage}) == Response(
        "Yes.", "stop", n_prompt_tokens=3, n_completion_tokens=2, cost_usd=0.25
    )
    plain = {"choices": [{"text": " Yes", "finish_reason": "length"}]}
    assert read(plain, api="completions") == Response(" Yes", "length")
    assert read(chat(finish=None)) == Response("Yes.", "stop")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (chat(None), Failure.EMPTY),
        (chat(" \n\t"), Failure.EMPTY),
        (chat("", finish="length"), Failure.EMPTY),
        (chat("Ye", finish="content_filter"), Failure.FILTERED),
        (chat(None, finish="tool_calls"), Failure.MALFORMED),
        (chat(finish="cancelled"), Failure.SERVER_ERROR),
        (chat(finish="SAFETY"), Failure.FILTERED),
        (chat([{"type": "image_url", "image_url": {"url": "x"}}]), Failure.EMPTY),
        (chat({"answer": 4}), Failure.MALFORMED),
        (chat(True), Failure.MALFORMED),
        ({"choices": []}, Failure.MALFORMED),
        ({"choices": {"0": 1}}, Failure.MALFORMED),
        ({"choices": ["text"]}, Failure.MALFORMED),
        ({"choices": [{"index": n, "message": {"content": "a"}} for n in (1, 2)]},
         Failure.MALFORMED),
        ({"choices": [{"message": None}]}, Failure.MALFORMED),
        ({}, Failure.MALFORMED),
        ([], Failure.MALFORMED),
        (None, Failure.MALFORMED),
        (b'{"choices": [', Failure.UNREACHABLE),
        (b'{"choices": oops}', Failure.MALFORMED),
        (b"\xff\xfe\x00", Failure.MALFORMED),
        (b"", Failure.MALFORMED),
        (b"[" * 100_000, Failure.MALFORMED),
        (b'{"n": ' + b"9" * 10_000 + b"}", Failure.MALFORMED),
        ({"error": {"message": "boom"}}, Failure.SERVER_ERROR),
        ({"error": "boom"}, Failure.SERVER_ERROR),
        ({"error": {"message": "busy", "code": 429}}, Failure.RATE_LIMITED),
        ({"error": {"message": "down", "code": 502}, "choices": []}, Failure.SERVER_ERROR),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(found: Any, expected: Failure) -> None:
    assert failure(found) is expected


@pytest.mark.parametrize("body", [b"<html><title>Log in</title></html>", b"hello", b"\x00\x01"])
def test_what_is_no_json_is_no_reply(body: bytes) -> None:
    assert failure(body, kind="text/html") is Failure.MALFORMED
    assert failure(body) is Failure.MALFORMED


@pytest.mark.parametrize(
    "kind", ["", "application/json; charset=utf-8", "Application/Problem+JSON", "text/html",
             "text/event-stream", "text/plain; charset=latin-1", "image/png"]
)  # fmt: skip
def test_json_by_any_name_is_read(kind: str) -> None:
    assert read(chat(), kind=kind).text == "Yes."


CHAT_LOGPROBS = {"content": [{"token": "A", "logprob": -0.1, "top_logprobs": [
    {"token": "A", "logprob": -0.1}, {"token": " B", "logprob": -2.5}]}]}  # fmt: skip
PLAIN_LOGPROBS = {"tokens": ["A"], "top_logprobs": [{"A": -0.1, " B": -2.5}]}


def test_first_logprobs_in_every_shape() -> None:
    expected = {"A": -0.1, " B": -2.5}
    assert read(chat("A", logprobs=CHAT_LOGPROBS), n_logprobs=2).first_logprobs == expected
    for shape in (PLAIN_LOGPROBS, CHAT_LOGPROBS):  # llama.cpp has the chat's shape in both
        plain = {"choices": [{"text": "A", "finish_reason": "length", "logprobs": shape}]}
        assert read(plain, api="completions", n_logprobs=2).first_logprobs == expected


def test_logprobs_not_asked_for_are_not_given() -> None:
    assert read(chat("A", logprobs=CHAT_LOGPROBS)).first_logprobs is None
    assert failure(chat(" ", logprobs=CHAT_LOGPROBS)) is Failure.EMPTY


def test_a_blank_text_is_usable_with_logprobs_alone() -> None:
    reply = read(chat(" ", logprobs=CHAT_LOGPROBS), n_logprobs=2)
    assert (reply.text, reply.first_logprobs) == (" ", {"A": -0.1, " B": -2.5})
    assert failure(chat(" ", logprobs=None), n_logprobs=2) is Failure.EMPTY
    assert failure(chat(" ", logprobs={"content": []}), n_logprobs=2) is Failure.EMPTY


@pytest.mark.parametrize("odd", [{"content": None}, {"top_logprobs": [None]}, [], 3, {}, "content"])
def test_odd_logprobs_are_none(odd: Any) -> None:
    assert read(chat("A", logprobs=odd), n_logprobs=2).first_logprobs is None


def test_of_two_tokens_that_read_the_same_the_likelier_counts_and_nan_never() -> None:
    top = [("A", -0.1), ("A", -9.0), ("B", float("nan"))]
    listed = [{"token": token, "logprob": value} for token, value in top]
    found = chat("A", logprobs={"content": [{"top_logprobs": listed}]})
    assert read(found, n_logprobs=3).first_logprobs == {"A": -0.1}


@pytest.mark.parametrize("odd", [True, -1, 1.5, "three", None, [3], 0, 2**31, 1e400])
def test_odd_counts_are_unknown(odd: Any) -> None:
    reply = read(chat() | {"usage": {"prompt_tokens": odd, "completion_tokens": odd}})
    assert (reply.n_prompt_tokens, reply.n_completion_tokens) == (None, None)


@pytest.mark.parametrize(
    "odd", [True, -1, "free", None, [3], float("nan"), float("inf"), 0, 10**400]
)
def test_odd_costs_are_unknown(odd: Any) -> None:
    assert read(chat() | {"usage": {"cost": odd}}).cost_usd is None


def test_half_a_character_does_not_get_out() -> None:
    text = read(b'{"choices": [{"message": {"content": "ok \\ud83d"}}]}').text
    assert text.encode("utf-8") == b"ok ?"


def test_errors_tell_the_servers_words() -> None:
    def told(body: bytes, status: int = 400) -> MemberError:
        return read_error(body, status, Upstream("h", str.upper))

    assert "(TOO LONG)" in str(told(b'{"error": {"message": "too long"}}'))
    assert "(TOO LONG)" in str(told(b'{"error": "too long"}'))
    assert "(TOO LONG)" in str(told(b'{"message": "too long"}'))
    assert told(b'{"error": {"code": "content_filter"}}').failure is Failure.FILTERED
    for body in (b"<html>", b"[1]", b"[" * 100_000, b'{"error": [1]}', b"", b'{"message": 4}'):
        assert str(told(body)).startswith("h: HTTP status 400")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["choices", "message", "content", "text", "finish_reason", "usage",
                         "logprobs", "top_logprobs", "token", "logprob", "error", "code"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.sampled_from(["chat", "completions"]), st.integers(0, 2))
def test_any_json_is_a_usable_response_or_a_member_error(found: Any, api: Api, n: int) -> None:
    for whole in (
        found,
        {"choices": [found]},
        {"choices": [{"message": found, "logprobs": found}]},
    ):
        try:
            reply = read(whole, api=api, n_logprobs=n)
        except MemberError:
            continue
        assert reply.text.strip() or reply.first_logprobs
