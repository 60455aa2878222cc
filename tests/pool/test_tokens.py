"""Log-probabilities of a reply's tokens: asked for, refused once, and read in every shape."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.asking.prompting import Question, request_for
from rlfocal.pool.llama_cpp import plain
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.openai.body import body_of
from rlfocal.pool.openai.client import OpenAIEndpoint
from rlfocal.pool.openai.replies.errors.reading import Upstream
from rlfocal.pool.openai.replies.incoming import Incoming
from rlfocal.pool.openai.replies.tokens import joined, token_logprobs
from rlfocal.pool.stub import Fault, Said, StubServer
from rlfocal.pool.types import Api, Message, Request, Response, Wording
from rlfocal.tokens import TokenLogprobs

ASKED = Request((Message("user", "8 + 9?"),), "m", max_tokens=64, logprobs=True)
TOKENS = [("So", -0.5), (" it", -0.25), (" is", -1.0), (" 17", -0.125), (".", -2.0)]
TEXT = "So it is 17."


def tokens(chars: list[int], logprob: list[float]) -> TokenLogprobs:
    return TokenLogprobs(np.array(chars, np.int32), np.array(logprob, np.float32))


EXPECTED = tokens([2, 3, 3, 3, 1], [-0.5, -0.25, -1.0, -0.125, -2.0])


# Asking ---------------------------------------------------------------------------------------


def test_they_are_asked_for_by_default_and_likely_others_are_not() -> None:
    member = MemberSettings(name="m", endpoint="e")
    request = request_for(member, Question("?"))
    assert body_of(request, "chat")["logprobs"] is True
    assert "top_logprobs" not in body_of(request, "chat")
    assert body_of(request, "completions")["logprobs"] == 1
    assert "logprobs" not in body_of(request_for(member, Question("?"), logprobs=False), "chat")
    off = member.model_copy(update={"logprobs": False})
    assert "logprobs" not in body_of(request_for(off, Question("?")), "chat")


def test_option_scores_are_asked_for_as_before() -> None:
    member = MemberSettings(name="m", endpoint="e", answers="option-scores", logprobs=False)
    body = body_of(request_for(member, Question("?", ("x", "y"))), "chat")
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    more = member.model_copy(update={"logprobs": True})
    assert body_of(request_for(more, Question("?", ("x", "y"))), "chat") == body


def test_llama_cpp_is_asked_for_one_likely_token_since_it_tells_twenty_otherwise() -> None:
    body = body_of(plain(ASKED), "chat")
    assert (body["logprobs"], body["top_logprobs"]) == (True, 1)
    assert "top_logprobs" not in body_of(plain(replace(ASKED, logprobs=False)), "chat")


def test_it_is_no_part_of_what_a_reply_depends_on() -> None:
    from rlfocal.pool.servers import OpenAISettings

    served = OpenAISettings(kind="openai", base_url="http://127.0.0.1:1/v1")
    on = MemberSettings(name="m", endpoint="e")
    off = MemberSettings(name="m", endpoint="e", logprobs=False)
    assert on.identity(served) == off.identity(served)


# Whole and in pieces ----------------------------------------------------------------------------


def asked(*requests: Request, api: Api = "chat", **options: Any) -> tuple[list[Response], Any]:
    async def go() -> tuple[list[Response], Any]:
        said = Said(TEXT, tokens=TOKENS)
        async with (
            StubServer(lambda _: said, **options) as stub,
            OpenAIEndpoint(stub.base_url, api=api) as endpoint,
        ):
            return [await endpoint.send(one, timeout_s=60) for one in requests], stub.bodies

    return asyncio.run(go())


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("api", "like_llama_cpp"), [("chat", False), ("completions", False), ("completions", True)]
)
def test_every_shape_is_read_whole_and_in_pieces(
    api: Api, like_llama_cpp: bool, streamed: bool
) -> None:
    told: list[str] = []
    request = replace(ASKED, on_text=told.append) if streamed else ASKED
    (reply,), _ = asked(request, api=api, like_llama_cpp=like_llama_cpp)
    assert (reply.text, reply.tokens) == (TEXT, EXPECTED)
    assert "".join(told) == (TEXT if streamed else "")
    assert reply.first_logprobs is None


def test_who_did_not_ask_gets_none() -> None:
    (reply,), bodies = asked(replace(ASKED, logprobs=False))
    assert reply.tokens is None
    assert "logprobs" not in bodies[0]


# Refusals ---------------------------------------------------------------------------------------

REFUSALS = [
    (400, "`logprobs` is not supported with this model"),
    (403, "You are not allowed to request logprobs from this model"),
    (400, "Logprobs is not enabled for this model"),
    (422, "body.logprobs: Extra inputs are not permitted"),
    (500, "logprobs is not supported with tools + stream."),
    (404, "No endpoints found that can handle the requested parameters: logprobs"),
]


@pytest.mark.parametrize(("status", "words"), REFUSALS)
def test_a_server_that_refuses_is_asked_without_them_from_then_on(
    status: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        replies, bodies = asked(ASKED, ASKED, faults=[Fault(str(status), message=words)])
    assert [reply.text for reply in replies] == [TEXT, TEXT]
    assert [reply.tokens for reply in replies] == [None, None]
    assert ["logprobs" in body for body in bodies] == [True, False, False]
    (remark,) = caplog.messages
    assert "logprobs = false" in remark


def test_option_scores_are_still_asked_for_where_tokens_are_refused() -> None:
    fault = Fault("400", message="`logprobs` is not supported with this model")
    _, bodies = asked(ASKED, replace(ASKED, n_logprobs=4), faults=[fault])
    assert [body.get("top_logprobs") for body in bodies] == [None, None, 4]


def test_a_server_that_tells_many_likely_tokens_is_asked_for_one_from_then_on() -> None:
    likely = {str(k): -1.0 for k in range(20)}

    def lavish(body: Mapping[str, Any]) -> Said:
        return Said(TEXT, tokens=TOKENS) if "top_logprobs" in body else Said("17", logprobs=likely)

    async def go() -> list[dict[str, Any]]:
        async with StubServer(lavish) as stub, OpenAIEndpoint(stub.base_url) as endpoint:
            for _ in range(2):
                await endpoint.send(ASKED, timeout_s=60)
            return stub.bodies

    assert [body.get("top_logprobs") for body in asyncio.run(go())] == [None, 1]


def test_a_reply_that_is_cut_here_loses_the_tokens_after_its_end() -> None:
    request = replace(ASKED, stop=(" 17",), wording=Wording(drop=frozenset({"stop"})))
    (reply,), _ = asked(request)
    assert reply.text == "So it is"
    assert reply.tokens == tokens([2, 3, 3], [-0.5, -0.25, -1.0])


# Shapes of tokens -------------------------------------------------------------------------------


def items(*pairs: tuple[str, float | None], raw: bool = False) -> dict[str, Any]:
    listed: list[dict[str, Any]] = [{"token": text, "logprob": value} for text, value in pairs]
    for item in listed if raw else ():
        item["bytes"] = list(item["token"].encode())
    return {"content": listed}


def test_half_a_character_counts_where_it_ends() -> None:
    found = items(("a\ufffd", -1.0), ("\ufffd", -0.5), ("!", -0.25))
    for item, raw in zip(found["content"], ([97, 0xC3], [0xA9], [33]), strict=True):
        item["bytes"] = raw
    assert token_logprobs(found, "a\u00e9!") == tokens([1, 1, 1], [-1.0, -0.5, -0.25])


def test_escaped_bytes_of_plain_completions_are_read() -> None:
    found = {
        "tokens": ["a", "bytes:\\xc3", "bytes:\\xa9"],
        "token_logprobs": [None, -0.5, -0.25],
    }
    assert token_logprobs(found, "a\u00e9") == tokens([1, 0, 1], [np.nan, -0.5, -0.25])


@pytest.mark.parametrize("raw", [False, True])
def test_what_was_thought_before_and_the_mark_of_the_end_are_left_out(raw: bool) -> None:
    found = items(("<think>17?</think>\n", -3.0), *TOKENS, ("<|im_end|>", -0.1), raw=raw)
    assert token_logprobs(found, TEXT) == EXPECTED
    ended = items(*TOKENS, ("", -0.1), raw=raw)
    assert token_logprobs(ended, TEXT) == EXPECTED


def test_a_token_at_the_ends_of_the_text_is_cut() -> None:
    assert token_logprobs(items((" So", -1.0), ("on\n", -2.0)), "Soon") == tokens([2, 2], [-1, -2])


def test_impossible_and_missing_ones_are_unknown_and_rounding_is_taken_away() -> None:
    found = items(("a", None), ("b", -9999.0), ("c", 1e-6), ("d", -1.0))
    assert token_logprobs(found, "abcd") == tokens([1] * 4, [np.nan, np.nan, 0.0, -1.0])
    assert token_logprobs(items(("a", None)), "a") is None


@pytest.mark.parametrize(
    "odd",
    [None, [], {}, "content", 3, {"content": None}, {"content": [None]}, {"content": ["a"]},
     {"tokens": ["a"], "token_logprobs": []}, {"tokens": [None], "token_logprobs": ["x"]},
     {"content": [{"token": 3, "logprob": "-1"}]}, {"content": [{"logprob": [[-1.0]]}]},
     {"content": [{"token": "a", "logprob": 10**400}]}, {"content": [{"logprob": True}]},
     {"tokens": "a", "token_logprobs": [-1.0]}],
)  # fmt: skip
def test_odd_shapes_are_none(odd: Any) -> None:
    assert token_logprobs(odd, "a") is None


def test_bytes_that_are_none_are_passed_over_for_the_text() -> None:
    found = {"content": [
        {"token": "<s>", "logprob": -3.0, "bytes": [300]}, {"token": "a", "logprob": -1.0},
        {"token": None, "logprob": -2.0, "bytes": "b"}, {"token": "b", "logprob": -0.5},
    ]}  # fmt: skip
    assert token_logprobs(found, "ab") == tokens([1, 0, 1], [-1.0, -2.0, -0.5])


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["content", "token", "logprob", "bytes", "tokens",
                                       "token_logprobs", "top_logprobs", "prob"]), inner),
    max_leaves=12,
)  # fmt: skip


@given(_JSON, _JSON)
def test_whatever_is_told_of_them_a_reply_is_a_reply(told: Any, more: Any) -> None:
    choice = {"message": {"content": "a"}, "finish_reason": "stop", "logprobs": told}
    incoming = Incoming(ASKED, "chat")
    incoming.feed(json.dumps({"choices": [choice]}).encode())
    assert incoming.read(Upstream("host:1")).text == "a"
    pieces = Incoming(replace(ASKED, on_text=lambda _: None), "chat")
    for part, end in ((told, None), (more, "stop")):
        piece = {"delta": {"content": "a"}, "logprobs": part, "finish_reason": end}
        pieces.feed(b"data: " + json.dumps({"choices": [piece]}).encode() + b"\n\n")
    assert pieces.read(Upstream("host:1")).text == "aa"


@given(st.text(max_size=12), st.data())
def test_characters_of_tokens_add_up_to_the_text(text: str, data: st.DataObject) -> None:
    """However its bytes are cut, and whatever stands around it."""
    text = text.encode("utf-8", "replace").decode()
    raw = text.encode()
    places = data.draw(st.lists(st.integers(0, len(raw)), max_size=5).map(sorted))
    ends = [0, *places, len(raw)]
    parts = [raw[a:b] for a, b in itertools.pairwise(ends)]
    cut = [{"token": part.decode("utf-8", "replace"), "bytes": list(part), "logprob": -1.0}
           for part in (b"<s>", *parts, b"</s>")]  # fmt: skip
    found = token_logprobs({"content": cut}, text)
    if text:
        assert found is not None
        assert found.chars.sum() == len(text)
        assert found == joined_naively(parts)


def joined_naively(parts: list[bytes]) -> TokenLogprobs:
    """Characters that are whole after each part, and were not before."""
    chars, so_far = [], b""
    for part in parts:
        before = len(so_far.decode("utf-8", "ignore"))
        so_far += part
        chars.append(len(so_far.decode("utf-8", "ignore")) - before)
    kept = [n for n, after in zip(chars, range(1, len(chars) + 1), strict=True)
            if n or sum(chars[after:])]  # fmt: skip
    return tokens(kept, [-1.0] * len(kept))


def test_pieces_are_put_together_list_by_list() -> None:
    first = {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": None}
    second = {"tokens": ["b"], "token_logprobs": [-2.0], "top_logprobs": [{"b": -2.0}]}
    assert joined(first, second) == {
        "tokens": ["a", "b"], "token_logprobs": [-1.0, -2.0], "top_logprobs": [{"b": -2.0}],
    }  # fmt: skip
    assert joined(None, "x") is None


# The numbers themselves -----------------------------------------------------------------------


def test_equal_numbers_are_equal_and_lengths_must_agree() -> None:
    first, second = tokens([1, 2], [-1.0, np.nan]), tokens([1, 2], [-1.0, np.nan])
    assert first == second
    assert hash(first) == hash(second)
    assert first != tokens([1, 2], [-1.0, -1.0])
    assert first != "other"
    with pytest.raises(ValueError, match="lengths"):
        tokens([1], [-1.0, -2.0])
