"""Calls of tools: whole or in pieces, by whatever tells them apart; never doubled, never mixed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.openai.replies.call_pieces import CallPieces
from rlfocal.pool.openai.replies.calls import calls_of, is_argument

LONDON, PARIS = '{"c":"London"}', '{"c":"Paris"}'


OFFERED = ("look", "add", "get_weather", "get", "get_time")


def part(name: Any = None, arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {**more, "function": {k: v for k, v in function.items() if v is not None}}


def joined(*deltas: Any) -> list[tuple[str, str]]:
    """(name, arguments) of the calls that pieces make."""
    pieces = CallPieces(OFFERED)
    for delta in deltas:
        pieces.add(delta)
    calls = calls_of({"tool_calls": pieces.as_json()})
    assert len({call["id"] for call in calls}) == len(calls)
    return [(c["function"]["name"], c["function"]["arguments"]) for c in calls]


BOTH = [("look", LONDON), ("look", PARIS)]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([[part("look", "", index=0, id="a")], [part(None, '{"c":', index=0)],
          [part(None, '"London"}', index=0)]], BOTH[:1]),
        # Two calls: by index, by id at one index, by id without an index, in one piece.
        ([[part("look", LONDON, index=0, id="a")], [part("look", PARIS, index=1, id="b")]], BOTH),
        ([[part("look", LONDON, index=0, id="a")], [part("look", PARIS, index=0, id="b")]], BOTH),
        ([[part("look", LONDON, id="a")], [part("look", PARIS, id="b")]], BOTH),
        ([[part("look", LONDON), part("look", PARIS)]], BOTH),
        ([[part("look", LONDON, index=0)], [part("look", PARIS, index=0)]], BOTH),
        ([[part("look", LONDON)], [part("look", PARIS)]], BOTH),
        ([[part("look", LONDON, index=None, id="")], [part("add", "{}", index=None, id="")]],
         [("look", LONDON), ("add", "{}")]),
        ([[part("look", ""), part("add", "")], [part(None, LONDON), part(None, "{}")]],
         [("look", LONDON), ("add", "{}")]),
        # One index with equal ids at different places stays two.
        ([[part("look", LONDON, index=0, id="a")], [part("look", PARIS, index=1, id="a")]], BOTH),
        # Interleaved by index.
        ([[part("look", '{"c":', index=0, id="a"), part("look", '{"c":', index=1, id="b")],
          [part(None, '"Paris"}', index=1)], [part(None, '"London"}', index=0)]], BOTH),
        # Names, and ids, with every piece.
        ([[part("look", '{"c":', index=0, id="a")], [part("look", '"London"}', index=0, id="a")]],
         BOTH[:1]),
        ([[part("look", '{"c":', index=0)], [part("look", '"London"}', index=0)]], BOTH[:1]),
        ([[part("look", '{"c":', index=0, id="a")], [part("look", '"London"}', index=0, id="z")]],
         BOTH[:1]),
        ([[part("look", '{"c":', index=0, id="a")], [part(None, '"London"}', index=0, id="z")]],
         BOTH[:1]),
        # All of it once more at the end.
        ([[part("look", LONDON, index=0, id="a")], [part("look", LONDON, index=0, id="a")]],
         BOTH[:1]),
        # Arguments of other kinds.
        ([[part("look", {"c": "London"}, index=0, id="a")]], [("look", '{"c": "London"}')]),
        ([[part("look", None, index=0, id="a")], [part(None, None, index=0)]], [("look", "{}")]),
        ([[part("look", LONDON, index="0", id="a")], [part("look", PARIS, index="1", id="b")]],
         BOTH),
        ({"index": 0, **part("look", LONDON, id="a")}, BOTH[:1]),
        ([[{"name": "look", "arguments": LONDON, "index": 0}]], BOTH[:1]),
        ([[part("look", '{"c":"a\\\\"}', id="a")], [part("look", '{"c":"}"}', id="b")]],
         [("look", '{"c":"a\\\\"}'), ("look", '{"c":"}"}')]),
        ([None, "x", 3, [None, 3, {"function": 3}], [part()]], []),
    ],
)  # fmt: skip
def test_pieces_make_the_calls_that_were_meant(
    deltas: Any, expected: list[tuple[str, str]]
) -> None:
    listed = deltas if isinstance(deltas, list) else [deltas]
    assert joined(*listed) == expected


def named(*names: str, **more: Any) -> list[list[dict[str, Any]]]:
    return [[part(name, index=0, **more)] for name in names]


END = [[part(None, LONDON, index=0)]]
WEATHER = [("get_weather", LONDON)]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        # Names in pieces, with ids, without, with the whole of it each time.
        ([*named("get_", "weather"), *END], WEATHER),
        ([*named("get", "_wea", "ther"), *END], WEATHER),
        ([*named("get_", "weather", id="a"), *END], WEATHER),
        ([*named("get_", "get_wea", "get_weather"), *END], WEATHER),
        ([[part("get_", "", index=0, id="a")], *named("weather"), *END], WEATHER),
        ([[part("get_")], [part("weather")], [part(None, LONDON)]], WEATHER),
        ([*named("get", "get_weather"), *END], [("get", "{}"), *WEATHER]),
        ([*named("look", "add"), *END], [("look", "{}"), ("add", LONDON)]),
        # Empty arguments before those that count.
        ([[part("look", "{}", index=0, id="a")], *END], BOTH[:1]),
        ([[part("look", {}, index=0, id="a")], *END], BOTH[:1]),
        ([[part("look", "null", index=0, id="a")], *END], BOTH[:1]),
        ([[part("look", "{}", index=0)], [part(None, LONDON[:5], index=0)],
          [part(None, LONDON[5:], index=0)]], BOTH[:1]),
        ([[part("look", "{}", index=0, id="a")], [part("look", LONDON[:5], index=0, id="a")],
          [part("look", LONDON[5:], index=0, id="a")]], BOTH[:1]),
        ([[part("look", "{}", index=0, id="a")], [part("look", "", index=0, id="a")]],
         [("look", "{}")]),
        ([[part("look", "{}", index=0, id="a")], [part("look", "{}", index=0, id="b")]],
         [("look", "{}"), ("look", "{}")]),
        # One id for all.
        ([[part("look", LONDON, index=0, id="0")], [part("add", PARIS, index=0, id="0")]],
         [("look", LONDON), ("add", PARIS)]),
        ([[part("look", LONDON, id="0")], [part("add", PARIS, id="0")]],
         [("look", LONDON), ("add", PARIS)]),
        ([[part("look", LONDON, id="0")], [part("look", PARIS, id="0")]], BOTH),
        ([[part("look", "", index=0, id="0")], [part(None, LONDON, index=0, id="0")],
          [part("add", "", index=0, id="0")], [part(None, PARIS, index=0, id="0")]],
         [("look", LONDON), ("add", PARIS)]),
        ([[part("look", "", id="0")], [part(None, LONDON, id="0")],
          [part("look", "", id="0")], [part(None, PARIS, id="0")]], BOTH),
        # The name alone begins the next one, or only says whose arguments these were.
        ([*named("look"), *END, *named("look"), [part(None, PARIS, index=0)]], BOTH),
        ([*named("look"), *END, *named("look")], BOTH[:1]),
        # All of the arguments so far, each time.
        ([[part("look", LONDON[:n], index=0, id="a")] for n in (4, 9, 99)], BOTH[:1]),
        ([[part("look", LONDON[:n])] for n in (4, 9, 99)], BOTH[:1]),
        ([[part("look", "", index=0)], *([part(None, LONDON[:n], index=0)] for n in (1, 6, 99))],
         BOTH[:1]),
        ([[part("look", '{"a":', index=0)], *([[part(None, '{"a":', index=0)]] * 2),
          [part(None, "1}}}", index=0)]], [("look", '{"a":{"a":{"a":1}}}')]),
        # Arguments before the name.
        ([*END, [part("look", index=0, id="a")]], BOTH[:1]),
        ([*END, *named("look"), [part(None, PARIS, index=0)], *named("look")], BOTH),
        # By other names.
        ([[{"index": 0, "function": {"name": "look", "parameters": {"c": "London"}}}]],
         [("look", '{"c": "London"}')]),
        ([[{"index": 0, "name": "look", "input": {"c": "London"}}]],
         [("look", '{"c": "London"}')]),
        # Made into text twice.
        ([[part("look", json.dumps(LONDON), index=0)]], BOTH[:1]),
    ],
)  # fmt: skip
def test_pieces_of_odd_servers_make_the_calls_that_were_meant(
    deltas: Any, expected: list[tuple[str, str]]
) -> None:
    assert joined(*deltas) == expected


def test_calls_among_the_parts_of_the_content() -> None:
    parts = [{"type": "text", "text": "I look."},
             {"type": "tool_use", "id": "a", "name": "look", "input": {"c": "London"}}]  # fmt: skip
    (call,) = calls_of({"content": parts})
    assert (call["id"], call["function"]) == (
        "a",
        {"name": "look", "arguments": '{"c": "London"}'},
    )
    assert calls_of({"content": "look"}) == ()
    again = {"content": parts, "tool_calls": [part("add", "{}")]}
    assert [c["function"]["name"] for c in calls_of(again)] == ["add"]


@pytest.mark.parametrize(
    ("text", "tidy"),
    [('{"a":\n 17}', '{"a":\n 17}'), ('{"a": "x\ny"}', '{"a": "x\\ny"}'),
     ('"{\\"a\\": 17}"', '{"a": 17}'), ('"no"', '"no"'), ("{oops", "{oops")],
)  # fmt: skip
def test_arguments_become_what_any_reader_takes(text: str, tidy: str) -> None:
    (call,) = calls_of({"tool_calls": [part("look", text)]})
    assert call["function"]["arguments"] == tidy
    assert is_argument(tidy) is (tidy != "{oops")


def test_what_a_server_keeps_in_a_call_stays_in_it() -> None:
    signed = {"google": {"thought_signature": "abc"}}
    pieces = CallPieces()
    pieces.add([part("look", "{}", index=0, id="a", type="function", extra_content=signed)])
    for message in ({"tool_calls": pieces.as_json()}, {"tool_calls": [
        {"id": "a", "type": "function", "extra_content": signed, "index": 0,
         "function": {"name": "look", "arguments": "{}"}}]}):  # fmt: skip
        assert calls_of(message) == (
            {"id": "a", "type": "function", "extra_content": signed,
             "function": {"name": "look", "arguments": "{}"}},
        )  # fmt: skip


@pytest.mark.parametrize("id_", [None, "", "missing", 7])
def test_ids_are_made_where_there_is_none_and_differ(id_: Any) -> None:
    call = {"id": id_, "function": {"name": "look", "arguments": ""}}
    if id_ == "missing":
        del call["id"]
    made = calls_of({"tool_calls": [call, dict(call)]}, reply_id="r-1")
    assert len({c["id"] for c in made} - {""}) == 2
    assert all(c["type"] == "function" and c["function"]["arguments"] == "{}" for c in made)
    assert made == calls_of({"tool_calls": [call, dict(call)]}, reply_id="r-1")


def test_a_call_of_the_old_kind_is_one() -> None:
    message = {"tool_calls": None, "function_call": {"name": "look", "arguments": LONDON}}
    assert [c["function"]["name"] for c in calls_of(message)] == ["look"]
    assert calls_of({"tool_calls": [{"function": {"name": ""}}, None, {"function": 3}]}) == ()


ARGUMENTS = st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3).map(json.dumps)


@given(
    st.lists(st.tuples(st.sampled_from(["look", "add"]), ARGUMENTS), min_size=1, max_size=4),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
)
def test_however_calls_are_cut_they_come_out_whole(
    calls: list[tuple[str, str]], n: int, with_index: bool, with_name: bool
) -> None:
    deltas: list[Any] = []
    for k, (name, arguments) in enumerate(calls):
        cuts = [arguments[i : i + n] for i in range(0, len(arguments), n)]
        for i, cut in enumerate(cuts):
            piece = part(name if i == 0 or with_name else None, cut)
            deltas.append([piece | ({"index": k} if with_index else {}) | {"id": f"c{k}"}])
    assert joined(*deltas) == calls


def test_long_arguments_in_small_pieces_take_no_longer_than_they_must() -> None:
    def seconds(n: int) -> float:
        pieces, started = CallPieces(), time.process_time()
        for _ in range(n):
            pieces.add([part("look", '{"a":', index=0, id="a")])
        return time.process_time() - started

    seconds(1_000)
    assert seconds(16_000) < 64 * max(seconds(1_000), 0.002)  # quadratic would be 256 times
