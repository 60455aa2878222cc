"""A call below its tool's bar: what is given instead, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from rlfocal.deliberation.held_back import HeldBack
from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.effects.holding import held_back
from rlfocal.gateway.effects.rules import ClientRule, HouseRule, Rules
from rlfocal.gateway.errors import ApiError
from rlfocal.live import Alternative, Answer

WRITE: Any = {"effect": "write"}


def call(name: str, arguments: str = "{}", id_: str = "c1") -> dict[str, Any]:
    return {
        "id": id_, "type": "function", "function": {"name": name, "arguments": arguments},
    }  # fmt: skip


def other(probability: float, *names: str, text: str = "", **more: Any) -> Alternative:
    calls = tuple(call(name, id_=f"other-{name}") for name in names)
    finish: Any = "tool_calls" if calls else "stop"
    fields = {"tool_calls": calls, "finish": finish} | more
    return Alternative(f"{names} {text}", probability, text, **fields)


def answer(
    *names: str, confidence: float = 0.62, others: tuple[Alternative, ...] = (), **more: Any
) -> Answer:
    calls = tuple(call(name, '{"to": "a@b"}') for name in names)
    fields = {"tool_calls": calls, "finish": "tool_calls", "alternatives": others} | more
    return Answer(f"{names}", "I do it.", confidence, Trace(kind="tools"), **fields)


def rules(**client: Any) -> Rules:
    return Rules(client={name: ClientRule(**one) for name, one in client.items()})


def test_without_rules_or_calls_or_doubt_it_is_given_as_it_is() -> None:
    for given, wanted in (
        (answer("send"), Rules()),
        (answer("send"), rules(look=WRITE)),
        (answer(finish="stop"), rules(send=WRITE)),
        (answer("send", confidence=0.9), rules(send=WRITE)),
        (answer("send"), rules(send=WRITE | {"confirmed": True})),
        (answer("send", confidence=0.0), rules(send={"effect": "write", "least_confidence": 0})),
    ):
        assert held_back(given, wanted) is given
        assert given.trace.held_back is None


def test_a_bar_that_is_reached_in_single_precision_is_reached() -> None:
    given = answer("send", confidence=float(np.float32(0.9)))
    assert given.confidence < 0.9
    assert held_back(given, rules(send=WRITE)) is given
    assert held_back(answer("send", confidence=0.8999), rules(send=WRITE)).tool_calls == ()


def test_confirmation_is_asked_for() -> None:
    given = answer("send", others=(other(0.3, "look"),))
    found = held_back(given, rules(send=WRITE))
    assert (found.tool_calls, found.finish, found.alternatives) == ((), "stop", ())
    assert "I do it." not in found.text
    for part in ('send({"to": "a@b"})', "62 %", "90 %", "not been made", "confirm"):
        assert part in found.text
    # Of no candidate, so that nobody is credited; and nobody says how likely it is.
    assert found.answer == " ".join(found.text.split())
    assert math.isnan(found.confidence)
    assert given.trace.held_back == HeldBack("send", 0.62, 0.9, "confirm")


def test_calls_that_come_together_are_all_held_back_and_all_shown() -> None:
    given = answer("look", "send", "send")
    found = held_back(given, rules(send=WRITE))
    assert found.tool_calls == ()
    assert found.text.count("\n- ") == 3
    assert "These calls" in found.text
    assert "'send'" in found.text


@pytest.mark.parametrize(
    ("first", "second", "instead"),
    [
        ("read", "read", "read"), ("read", "confirm", "confirm"), ("confirm", "read", "confirm"),
        ("read", "error", "error"), ("error", "confirm", "error"), ("confirm", "error", "error"),
    ],
)  # fmt: skip
def test_of_two_wishes_the_more_careful_counts(first: str, second: str, instead: str) -> None:
    given = answer("send", "pay", others=(other(0.3, "look"),))
    wanted = rules(send=WRITE | {"below": first}, pay=WRITE | {"below": second})
    if instead == "error":
        with pytest.raises(ApiError):
            held_back(given, wanted)
    else:
        held_back(given, wanted)
    assert given.trace.held_back is not None
    assert given.trace.held_back.instead == instead


def test_the_wish_of_a_tool_that_may_be_called_does_not_count() -> None:
    wanted = rules(send=WRITE | {"below": "read"}, look={"least_confidence": 0.5, "below": "error"})
    found = held_back(answer("send", "look", others=(other(0.3, text="No."),)), wanted)
    assert found.text == "No."


def test_the_highest_bar_is_told() -> None:
    wanted = rules(send={"least_confidence": 0.7}, pay={"least_confidence": 0.8})
    given = answer("send", "pay")
    held_back(given, wanted)
    assert given.trace.held_back == HeldBack("pay", 0.62, 0.8, "confirm")


READ = WRITE | {"below": "read"}


def test_the_likeliest_reply_that_only_reads_is_given_verbatim() -> None:
    best = other(0.2, "look", text="I look.")
    others = (
        other(0.3, text="In words."),
        other(0.28, "look", "pay"),  # half of it writes
        other(0.26, "peek"),  # below its own bar
        other(0.24, "look", finish="length"),  # perhaps cut short
        best,
        other(0.1, "look", "glance"),
    )
    wanted = rules(send=READ, pay=WRITE | {"confirmed": True}, peek={"least_confidence": 0.5})
    given = answer("send", others=others)
    found = held_back(given, wanted)
    assert (found.answer, found.text, found.confidence) == (best.answer, "I look.", 0.2)
    assert (found.tool_calls, found.finish) == (best.tool_calls, "tool_calls")
    assert given.trace.held_back == HeldBack("send", 0.62, 0.9, "read")


def test_else_the_likeliest_words_are() -> None:
    others = (other(0.3, "pay"), other(0.2, text=" "), other(0.1, text="No."), other(0.0, text="x"))
    given = answer("send", others=others)
    found = held_back(given, rules(send=READ, pay=WRITE))
    assert (found.text, found.finish, found.confidence) == ("No.", "stop", 0.1)
    assert given.trace.held_back == HeldBack("send", 0.62, 0.9, "text")


def test_else_confirmation_is_asked_for() -> None:
    given = answer("send", others=(other(0.3, "pay"),))
    found = held_back(given, rules(send=READ, pay=WRITE))
    assert "confirm" in found.text
    assert given.trace.held_back == HeldBack("send", 0.62, 0.9, "confirm")


def test_an_error_names_tool_confidence_and_bar_and_is_final() -> None:
    given = answer("send")
    with pytest.raises(ApiError) as refused:
        held_back(given, rules(send=WRITE | {"below": "error"}))
    error = refused.value
    assert (error.status, error.code, error.final) == (422, "confidence_too_low", True)
    assert error.headers["x-should-retry"] == "false"
    told = error.as_json()["error"]
    assert (told["tool"], told["confidence"], told["least_confidence"]) == ("send", 0.62, 0.9)
    assert told["type"] == "invalid_request_error"
    assert given.trace.held_back == HeldBack("send", 0.62, 0.9, "error")


def test_a_tool_that_a_member_made_up_is_the_houses_business_too() -> None:
    house = Rules({"*": HouseRule(effect="write", below="error")})
    with pytest.raises(ApiError) as refused:
        held_back(answer("x" * 500), house)
    assert len(str(refused.value)) < 500


def test_what_nobody_is_sure_of_is_below_every_bar() -> None:
    """Of a member asked by its name, several replies of which may be wanted."""
    more = answer("send", confidence=math.nan, finish="tool_calls")
    given = answer("look", confidence=math.nan)
    given = Answer(**{**vars(given), "others": (more,)})
    found = held_back(given, rules(send=WRITE))
    assert found.tool_calls == given.tool_calls
    assert found.others[0].tool_calls == ()
    assert "nobody has said how sure" in found.others[0].text
    assert more.trace.held_back == HeldBack("send", None, 0.9, "confirm")


@pytest.mark.parametrize("below", ["confirm", "read"])
def test_what_was_streamed_stays_and_is_added_to(below: str) -> None:
    """A reply may call what was not offered, when its words have been passed on already."""
    pieces = ["I do it."]
    given = answer("send", streamed=True, others=(other(0.3, text="No."),))
    found = held_back(given, rules(send=WRITE | {"below": below}), pieces.append)
    assert found.streamed
    assert found.text == "".join(pieces)
    assert found.text.startswith("I do it.\n\nThis call has not been made")
    assert (found.tool_calls, found.finish) == ((), "stop")


def test_a_trace_tells_of_it_and_is_read_back() -> None:
    given = answer("send")
    assert "held_back" not in given.trace.as_json()
    held_back(given, rules(send=WRITE))
    written = given.trace.as_json()
    assert written["held_back"] == {
        "tool": "send", "confidence": 0.62, "least_confidence": 0.9, "instead": "confirm",
    }  # fmt: skip
    assert "a@b" not in str(written)
    found = Trace.of_json(written)
    assert found.held_back == given.trace.held_back
    assert "held back: send: the members are 62 % sure" in " ".join(str(found).split())
