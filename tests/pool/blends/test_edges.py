"""Blends where something ends: a character, a context, the room of who judges."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.table_voices import asked

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.endpoint import verifier
from rlfocal.pool.blends.spans import Spans
from rlfocal.pool.blends.switching import Switching, Worth
from rlfocal.pool.blends.voices import END, ContextFull, Proposal
from rlfocal.pool.blends.weighing import ByConfidence, Fixed, Weighed
from rlfocal.pool.blends.writing import Method
from rlfocal.simulator.voices import Table, TableVoice, random_table

LETTERS = (b"a", b"b", b"c")
BROKEN = (b"a", b"b", b"\xc3", b"\xa9", b"\xf0\x9f", b"\x98\x80", b"\xa9a", "é".encode())
"""Parts of characters, which a model may put together in any order."""


async def likes_b(prompt: str, text: str) -> Worth:
    return Worth(text.count("b"), 3)


def methods(span: int) -> dict[str, Method]:
    return {
        "weighed": Weighed(Fixed((1, 1)), span=span),
        "spans": Spans(span=span),
        "values": Switching(likes_b, span=span, horizon=2, kl=0.1),
    }


class Short(TableVoice):
    """A model with room for six letters."""

    async def propose(self, ids: Sequence[int]) -> Proposal:
        if len(ids) > 6:
            raise ContextFull("too long", failure=Failure.BAD_REQUEST)
        return await super().propose(ids)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    span=st.integers(1, 5),
    way=st.sampled_from(["weighed", "spans", "values"]),
    temperature=st.sampled_from([0.0, 1.0]),
)
def test_no_model_breaks_off_a_character(
    seed: int, span: int, way: str, temperature: float
) -> None:
    voices = [TableVoice(BROKEN, random_table(BROKEN, seed + n, ends=0.02)) for n in range(2)]
    request = asked(max_tokens=12, temperature=temperature, seed=seed)
    text = asyncio.run(write(request, voices, methods(span)[way])).response.text
    assert "\ufffd" not in text[:-1]  # the last one may have been cut off by the limit, or an end


def test_where_nobody_ends_a_character_the_reply_ends() -> None:
    def breaks_off(text: bytes) -> dict[bytes, float]:
        return {b"\xc3": 1.0} if len(text) == 1 else {b"a": 1.0}

    voices = [TableVoice(BROKEN, breaks_off) for _ in range(2)]
    found = asyncio.run(write(asked(max_tokens=9), voices, Weighed(Fixed((1, 1))))).response
    assert (found.text, found.finish) == ("a\ufffd", "stop")


@pytest.mark.parametrize("span", [1, 4, 8])
@pytest.mark.parametrize("way", ["weighed", "spans", "values"])
def test_a_context_that_fills_within_a_span_ends_the_reply_there(way: str, span: int) -> None:
    voices = [Short(LETTERS, lambda _: {b"a": 0.9, b"b": 0.1}) for _ in range(2)]
    found = asyncio.run(write(asked(max_tokens=20), voices, methods(span)[way])).response
    assert found.finish == "length"
    assert 6 <= len(found.text) <= 7


def test_a_judge_without_room_is_no_end_of_the_reply() -> None:
    voices = [TableVoice(LETTERS, lambda _: {b"a": 1.0}) for _ in range(2)]
    judge = Short((*LETTERS, *(bytes([n]) for n in range(256) if n not in b"abc")), lambda _: {})
    with pytest.raises(MemberError, match="the judge cannot read question and reply: too long"):
        asyncio.run(write(asked(max_tokens=6), voices, Switching(verifier(judge))))


def test_however_sharp_the_surest_is_heard() -> None:
    sure, unsure = {b"a": 0.6, b"b": 0.4}, {b"b": 0.5, b"c": 0.5}
    voices = [TableVoice(LETTERS, lambda _: unsure), TableVoice(LETTERS, lambda _: sure)]
    method = Weighed(ByConfidence(sharpness=5000.0))
    assert asyncio.run(write(asked(max_tokens=1), voices, method)).response.text == "a"


def after_a(word: bytes) -> Table:
    """Writes a, then a word; two letters are left open at each place."""

    def table(text: bytes) -> dict[bytes, float]:
        whole = b"a" + word
        if len(text) >= len(whole):
            return {END: 1.0}
        right = whole[len(text) : len(text) + 1]
        return {right: 0.98, **dict.fromkeys((x for x in LETTERS if x != right), 0.01)}

    return table


@pytest.mark.parametrize("span", [1, 3, 6])
def test_every_token_of_a_span_is_a_departure(span: int) -> None:
    voices = [TableVoice(LETTERS, after_a(b"aaaaa")), TableVoice(LETTERS, after_a(b"bbbbb"))]
    request = asked(max_tokens=6)
    free = asyncio.run(write(request, voices, Switching(likes_b, span=span, horizon=6)))
    dear = asyncio.run(write(request, voices, Switching(likes_b, span=span, horizon=6, kl=100.0)))
    assert (free.response.text, dear.response.text) == ("abbbbb", "aaaaaa")


def test_a_reference_without_room_wants_no_such_span() -> None:
    """It would not have written it; the model that does has room."""
    fine, coarse = (b"b",), (b"b", b"bbbbbbbb")
    voices = [
        Short(fine, lambda _: {b"b": 0.9, END: 0.1}),
        TableVoice(coarse, lambda _: {b"bbbbbbbb": 0.9, END: 0.1}),
    ]
    method = Switching(likes_b, span=1, horizon=0, kl=0.01)
    found = asyncio.run(write(asked(max_tokens=3), voices, method)).response
    assert found.text == "bbb"
