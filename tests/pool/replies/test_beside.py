"""What stands beside a text, whole and put together of a stream's pieces."""

from __future__ import annotations

from typing import Any

import pytest
from habits import DONE, event, piece
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, Request
from rlfocal.pool.openai.replies.beside import BesidePieces, _Entry
from rlfocal.pool.openai.replies.errors.reading import Upstream
from rlfocal.pool.openai.replies.incoming import Incoming
from rlfocal.pool.types import Response

ASKED = Request((Message("user", "?"),), max_tokens=64, verbatim=True)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CITED = {"type": "url_citation", "url_citation": {"url": "https://a.b", "title": "t"}}


def streamed(*deltas: Any, request: Request = ASKED) -> Response:
    incoming = Incoming(request, "chat")
    for delta in deltas:
        incoming.feed(event(piece(delta)))
    incoming.feed(event(piece({}, "stop")) + DONE)
    return incoming.read(Upstream("host:1"))


def details(*lists: Any) -> Any:
    pieces = BesidePieces()
    for one in lists:
        pieces.add({"reasoning_details": one})
    return pieces.as_json().get("reasoning_details", [])


def thought(text: str | None, **more: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, **more}


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=4), min_size=1, max_size=8), st.sampled_from([{}, {"index": 0}]))
def test_texts_grow_in_pieces_of_any_size(texts: list[str], index: dict[str, int]) -> None:
    assert details(*([thought(t, **index)] for t in texts)) == [thought("".join(texts), **index)]


def test_pieces_of_several_come_by_turns_where_they_have_numbers() -> None:
    found = details(
        [thought("a", index=0)],
        [thought("x", index=1)],
        [thought("b", index=0), thought("y", index=1)],
    )
    assert found == [thought("ab", index=0), thought("xy", index=1)]
    summed = details([{"type": "reasoning.summary", "summary": "s1"}], [thought("a")])
    assert [one["type"] for one in summed] == ["reasoning.summary", "reasoning.text"]


def test_a_signature_that_comes_last_is_of_the_text_before_it() -> None:
    found = details([thought("a", signature=None)], [thought(None, signature="c2ln")])
    assert found == [thought("a", signature="c2ln")]


def test_blocks_are_joined_until_each_has_its_signature() -> None:
    pieces = BesidePieces()
    for block in (
        {"thinking": "3 "}, {"thinking": "and 4"}, {"thinking": "", "signature": "c2ln"},
        {"thinking": "so 7"}, {"thinking": None, "signature": "bmV4dA=="},
    ):  # fmt: skip
        pieces.add({"thinking_blocks": [{"type": "thinking", **block}]})
    assert pieces.as_json()["thinking_blocks"] == [
        {"type": "thinking", "thinking": "3 and 4", "signature": "c2ln"},
        {"type": "thinking", "thinking": "so 7", "signature": "bmV4dA=="},
    ]


def test_what_is_encrypted_is_kept_as_it_is() -> None:
    one, other = ({"type": "reasoning.encrypted", "data": d, "index": 0} for d in ("QQ==", "Qg=="))
    assert details([thought("a", index=0)], [one], [other]) == [thought("a", index=0), one, other]


def test_pieces_of_many_entries_are_compared_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, compare = [0], _Entry.goes_on_with

    def counting(entry: _Entry, told: Any) -> bool:
        looks[0] += 1
        return compare(entry, told)

    monkeypatch.setattr(_Entry, "goes_on_with", counting)
    n, pieces = 500, BesidePieces()
    for text in "ab":  # all of them by turns
        for k in range(n):
            pieces.add({"reasoning_details": [thought(text, index=k, id=f"r{k}")]})
    assert pieces.as_json()["reasoning_details"] == [
        thought("ab", index=k, id=f"r{k}") for k in range(n)
    ]
    assert looks[0] <= 4 * 2 * n


class Counted(dict[str, Any]):
    """An entry that counts how often one is compared with another."""

    n = 0

    def __eq__(self, other: object) -> bool:
        Counted.n += 1
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]


def test_many_entries_of_a_list_are_not_compared_with_one_another() -> None:
    cited, pieces = [Counted(url=f"https://a.b/{k}") for k in range(500)], BesidePieces()
    for _ in range(2):
        for one in cited:
            pieces.add({"annotations": [one]})
    assert Counted.n <= 2 * len(cited)
    assert pieces.as_json() == {"annotations": cited}


@pytest.mark.parametrize("name", ["reasoning_details", "annotations"])
def test_of_very_many_entries_the_first_thousands_are_kept(name: str) -> None:
    pieces, n = BesidePieces(), 5000
    pieces.add({name: [{"type": "x", "index": k} for k in range(n)]})
    kept = pieces.as_json()[name]
    assert 1000 < len(kept) < n
    assert [one["index"] for one in kept] == list(range(len(kept)))
    pieces.replace({name: [{"type": "y"}]})
    assert pieces.as_json() == {name: [{"type": "y"}]}


@pytest.mark.parametrize("name", ["reasoning_details", "annotations"])
def test_entries_that_are_too_deep_to_be_told_are_left_out(name: str) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    pieces = BesidePieces()
    pieces.add({name: [{"index": deep}, {"index": 1}]})
    assert pieces.as_json() == {name: [{"index": 1}]}


@pytest.mark.parametrize("odd", [{}, [], [1], {"a": 1}])
def test_numbers_and_names_of_entries_may_be_anything(odd: Any) -> None:
    assert details([thought("a", index=odd, id=odd)], [thought("b", index=odd, id=odd)]) == [
        thought("ab", index=odd, id=odd)
    ]


@pytest.mark.parametrize("told", [None, "x", 5, {}, [5, None], [[]]])
def test_whatever_else_stands_there_does_no_harm(told: Any) -> None:
    reply = streamed({"content": "7", "reasoning_details": told, "images": told})
    assert reply.text == "7"


def test_a_message_that_repeats_all_is_not_counted_twice() -> None:
    incoming = Incoming(ASKED, "chat")
    encrypted = [{"type": "reasoning.encrypted", "data": "QQ=="}]
    incoming.feed(event(piece({"content": "7", "reasoning_details": [thought("a")]})))
    whole = {"content": "7", "reasoning_details": [thought("a")], "images": [IMAGE]}
    incoming.feed(event({"choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]}))
    reply = incoming.read(Upstream("host:1"))
    assert reply.beside == {"reasoning_details": [thought("a")], "images": [IMAGE]}
    # Of thoughts that are encrypted alone there is no text to compare.
    alone = Incoming(ASKED, "chat")
    whole = {"content": "7", "reasoning_details": encrypted}
    alone.feed(event({"choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]}) + DONE)
    assert alone.read(Upstream("host:1")).beside == {"reasoning_details": encrypted}


def test_lists_of_pieces_add_up_and_each_counts_once() -> None:
    reply = streamed(
        {"content": "7", "images": [IMAGE]}, {"images": [IMAGE], "annotations": [CITED]}
    )
    assert reply.beside == {"images": [IMAGE], "annotations": [CITED]}


def test_an_image_alone_is_a_reply_by_name_and_none_elsewhere() -> None:
    assert streamed({"images": [IMAGE]}).beside == {"images": [IMAGE]}
    with pytest.raises(MemberError) as caught:
        streamed({"images": [IMAGE]}, request=Request((Message("user", "?"),), max_tokens=64))
    assert caught.value.failure is Failure.EMPTY


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_the_name_of_thoughts_is_known(name: str) -> None:
    reply = streamed({name: "3 and "}, {name: "4"}, {"content": "7"})
    assert (reply.reasoning, reply.thoughts_as) == ("3 and 4", name)
    assert streamed({"content": "7"}).thoughts_as == ""


@pytest.mark.parametrize(
    "delta",
    [
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "3 and 4"}]}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "3 and 4"}]},
        {"reasoning": [{"type": "text", "text": "3 and 4"}]},
    ],
)
def test_thoughts_in_no_field_have_no_name(delta: dict[str, Any]) -> None:
    reply = streamed(delta, {"content": "7"})
    assert (reply.text, reply.reasoning, reply.thoughts_as) == ("7", "3 and 4", "")
