"""What hangs on calls of tools goes back to the member that gave it, and to no other."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.pool.asking.passed_back import for_member, giver_of, marked
from rlfocal.pool.types import Message

names = st.text(min_size=1, max_size=10)
extras = st.dictionaries(names, st.integers() | names | st.dictionaries(names, names), max_size=3)


def said(calls: Any) -> Message:
    # As a client sends it back: through JSON.
    return Message("assistant", "", {"tool_calls": json.loads(json.dumps(list(calls)))})


def calls_of(message: Message) -> Any:
    return message.extra["tool_calls"]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(extra=extras, giver=names, other=names)
def test_the_giver_gets_what_it_gave_and_others_a_plain_call(
    extra: dict[str, Any], giver: str, other: str
) -> None:
    plain = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    call = plain | ({"extra_content": extra} if extra else {})
    turn = said(marked([call], giver))
    (back,) = for_member([turn], giver)
    assert calls_of(back) == [call]
    (to_other,) = for_member([turn], other)
    assert calls_of(to_other) == [call if other == giver else plain]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(extra=extras.filter(bool), inner=names, outer=names)
def test_gateways_behind_gateways_each_find_their_own_mark(
    extra: dict[str, Any], inner: str, outer: str
) -> None:
    call = {"id": "c", "extra_content": extra}
    first = marked([call], inner)
    turn = said(marked(first, outer))
    (once,) = for_member([turn], outer)
    assert calls_of(once) == list(first)
    (twice,) = for_member([once], inner)
    assert calls_of(twice) == [call]


def test_what_is_not_marked_stays_and_marks_may_be_anything() -> None:
    for mark in (None, 5, [], {}, {"member": 5}, {"member": None}):
        extra = {"google": 1, "rlfocal": mark}
        assert giver_of(extra) is None
        turn = Message("assistant", "x", {"extra_content": extra})
        assert for_member([turn], "m") == (turn,)
    plain = Message("user", "x")
    assert for_member([plain], "m")[0] is plain


def test_what_hangs_on_a_turn_is_passed_back_as_well() -> None:
    turn = Message("assistant", "x", {"extra_content": {"g": 1, "rlfocal": {"member": "a"}}})
    assert for_member([turn], "a")[0].extra == {"extra_content": {"g": 1}}
    assert for_member([turn], "b")[0].extra == {}
