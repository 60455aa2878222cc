"""A trace on its way to JSON and back, and the deliberation that writes one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.deliberation.base import Acting, Base
from rlfocal.deliberation.held_back import HeldBack
from rlfocal.deliberation.trace import CallRecord, Deliberation, Round, Trace
from rlfocal.deliberation.view import Decision, View
from rlfocal.errors import Failure
from rlfocal.readers import ReaderInfo, Reads

TEXT = st.text(max_size=5)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
CALLS = st.builds(
    CallRecord,
    member=TEXT,
    answer=st.none() | TEXT,
    support=st.none() | NUMBER,
    cost=NUMBER,
    text=st.none() | TEXT,
    latency_s=st.none() | NUMBER,
    cost_usd=st.none() | NUMBER,
    n_prompt_tokens=st.none() | st.integers(0, 99),
    n_completion_tokens=st.none() | st.integers(0, 99),
    n_cached_tokens=st.none() | st.integers(0, 99),
    failure=st.none() | TEXT,
    detail=st.none() | TEXT,
    uncertain_cost_usd=st.none() | NUMBER,
)
ROUNDS = st.builds(
    Round,
    asked=st.lists(CALLS, max_size=3).map(tuple),
    probabilities=st.dictionaries(TEXT, NUMBER, max_size=3),
    spent=NUMBER,
    probability_of_stopping=st.none() | NUMBER,
)
HELD_BACK = st.builds(
    HeldBack,
    tool=TEXT,
    confidence=st.none() | NUMBER,
    least_confidence=NUMBER,
    instead=st.sampled_from(["confirm", "read", "text", "error"]),
)
TRACES = st.builds(
    Trace,
    strategy=TEXT,
    price=st.none() | NUMBER,
    policy=st.none() | TEXT,
    why=st.none() | TEXT,
    members=st.lists(TEXT, max_size=3).map(tuple),
    cost_unit=TEXT,
    kind=TEXT,
    rounds=st.lists(ROUNDS, max_size=3),
    stopped=TEXT,
    answer=st.none() | TEXT,
    confidence=NUMBER,
    synthesis=st.none() | CALLS,
    circuit_open=st.lists(TEXT, max_size=2),
    uncertain_cost_usd=NUMBER,
    paid_usd=NUMBER,
    members_s=NUMBER,
    held_back=st.none() | HELD_BACK,
    by_session=st.booleans(),
    asked_on=st.booleans(),
)


@given(TRACES)
def test_reading_undoes_writing_and_writing_reading(trace: Trace) -> None:
    written = json.loads(json.dumps(trace.as_json()))
    assert Trace.of_json(written) == trace
    assert Trace.of_json(written).as_json() == written
    assert written == trace.as_json()


def test_traces_of_earlier_versions_are_read() -> None:
    """As a gateway wrote them before; `kind` stood beside the rest, `text` was left out."""
    former: dict[str, Any] = {
        "strategy": "rl-focal", "price": 0.02, "acting": "plurality", "why": "because",
        "members": ["a", "b", "c"], "cost_unit": "call", "kind": "choice",
        "rounds": [{
            "asked": [
                {"member": "a", "answer": "B", "support": 1.0, "cost": 1.0, "unsettled_usd": 0.5},
                {"member": "b", "answer": None, "support": None, "cost": 1.0, "failure": "timeout"},
            ],
            "probabilities": {"B": 0.7}, "spent": 2.0, "probability_of_stopping": 0.9,
        }],
        "stopped": "it has enough", "answer": "B", "confidence": 0.7, "shut": ["c"],
        "unsettled_usd": 0.25, "paid_usd": 0.5, "waited_s": 1.5, "not_asked": ["c"],
    }  # fmt: skip
    trace = Trace.of_json(former)
    assert (trace.policy, trace.kind, trace.circuit_open) == ("plurality", "choice", ["c"])
    assert (trace.uncertain_cost_usd, trace.paid_usd, trace.members_s) == (0.25, 0.5, 1.5)
    first, second = trace.calls
    assert (first.answer, first.uncertain_cost_usd, second.failure) == ("B", 0.5, "timeout")
    assert trace.rounds[0].probability_of_stopping == 0.9
    assert trace.not_asked == ["c"]


@pytest.mark.parametrize("found", [{}, {"settled": {"by": "x"}}, {"rounds": [{"asked": []}]}])
def test_what_is_missing_is_as_in_a_new_trace(found: dict[str, Any]) -> None:
    trace = Trace.of_json(found)
    assert (trace.members, trace.calls, trace.usd, trace.kind) == ((), [], 0.0, "")


class Twice(Base):
    """The first member, then the second; a vote stands in for it."""

    name = "twice"
    price = 0.5

    def __init__(self) -> None:
        self.is_alone = False
        self.n_looks = 0

    @property
    def acting(self) -> Acting:
        return Acting("twice" if self.is_alone else "vote", "it says", stands_in=not self.is_alone)

    def alone(self) -> Twice:
        other = Twice()
        other.is_alone = True
        return other

    def decide(self, view: View) -> Decision:
        self.n_looks += 1
        ask = np.arange(3) == view.n_rounds[:, None]
        ask &= view.n_rounds[:, None] < 2
        chance = np.array([[0.0, 0.75, 0.0, 0.25]], np.float32)
        return Decision(ask, view.support.sum(axis=1) / 2, chance)


def view(n_rounds: int) -> View:
    """Of three members and two open candidates; as many have answered as there were rounds."""
    asked = np.arange(3)[None] < n_rounds
    support = np.zeros((1, 3, 2), np.float32)
    support[0, np.arange(n_rounds), np.arange(n_rounds) % 2] = 1
    return View(
        position=np.zeros(1, np.int64), task=np.zeros(1, np.int64),
        features=np.zeros((1, 0), np.float32), is_open=np.ones(1, bool), asked=asked,
        answered=asked, answer=np.where(asked, np.arange(3) % 2, -1).astype(np.int16),
        support=support, available=support.any(axis=1), spent=np.full(1, n_rounds, np.float32),
        budget=np.full(1, np.inf, np.float32), n_rounds=np.full(1, n_rounds),
    )  # fmt: skip


def test_one_look_a_round_says_whom_to_ask_and_what_is_believed() -> None:
    strategy = Twice()
    talk = Deliberation(strategy, "abc", "call", kind="number")
    assert talk.first(view(0)).tolist() == [True, False, False]
    wanted = talk.record_round(view(1), [CallRecord("a", "7", 1.0, 1.0)], ["7"])
    assert wanted.tolist() == [False, True, False]
    assert not talk.trace.stopped
    assert talk.trace.confidence == 0.5
    wanted = talk.record_round(view(2), [CallRecord("b", "8", 1.0, 1.0)], ["7", "8"])
    assert not wanted.any()
    assert (strategy.n_looks, talk.n_rounds) == (3, 2)
    trace = talk.trace
    assert (trace.stopped, trace.answer, trace.not_asked) == ("it has enough", "7", ["c"])
    assert (trace.policy, trace.why, trace.price, trace.kind) == ("vote", "it says", 0.5, "number")
    assert [part.spent for part in trace.rounds] == [1.0, 2.0]
    assert [part.probability_of_stopping for part in trace.rounds] == [0.25, 0.25]
    assert trace.rounds[1].probabilities == {"7": 0.5, "8": 0.5}


def test_a_session_says_whom_to_ask_first_unless_one_of_them_cannot_be_asked() -> None:
    strategy = Twice()
    talk = Deliberation(strategy, "abc", "call")
    assert talk.first(view(0), (1, 2)).tolist() == [False, True, False]
    assert talk.trace.by_session
    assert "as in the session's last request" in str(talk.trace)
    talk = Deliberation(strategy, "abc", "call")
    assert talk.first(view(1), (0, 1)).tolist() == strategy.decide(view(1)).ask[0].tolist()
    assert not talk.trace.by_session
    assert "by_session" not in talk.trace.as_json()


class AtOnce(Base):
    """Some members at once, and nobody after them."""

    name = "at-once"

    def __init__(self, *wanted: int) -> None:
        self._wanted = list(wanted)

    def decide(self, view: View) -> Decision:
        ask = np.zeros_like(view.asked)
        ask[0, self._wanted] = True
        return Decision(ask & ~view.asked & (view.n_rounds == 0)[:, None], view.support.sum(axis=1))


@pytest.mark.parametrize(
    ("wanted", "kept", "asked"),
    [
        ((0, 1), (1, 2), {1, 2}),
        ((0,), (1, 0), {0}),
        ((0, 1, 2), (2,), {0, 1, 2}),
        ((0, 1), (2,), {0, 2}),
        ((0, 1), (), {0, 1}),
    ],
)
def test_a_session_asks_as_many_as_the_strategy_wants(
    wanted: tuple[int, ...], kept: tuple[int, ...], asked: set[int]
) -> None:
    talk = Deliberation(AtOnce(*wanted), "abc", "call")
    assert set(np.flatnonzero(talk.first(view(0), kept)).tolist()) == asked
    assert talk.trace.by_session == (asked != set(wanted))


def test_a_session_stands_in_where_the_strategy_wants_those_alone_that_are_passed_over() -> None:
    talk = Deliberation(AtOnce(0), "abc", "call")
    passed_over = replace(view(0), asked=np.array([[True, False, False]]))
    assert talk.first(passed_over, (2,)).tolist() == [False, False, True]
    assert talk.trace.by_session


def test_no_session_comes_between_a_reader_and_those_whom_it_reads() -> None:
    reads = Reads.of("abc", {"c": ReaderInfo(reads=["a", "b"], reading="judge")})
    talk = Deliberation(AtOnce(2), "abc", "call", reads=reads)
    assert talk.first(view(0), (0, 1)).tolist() == [False, False, True]
    assert not talk.trace.by_session


class Even(Base):
    """Believes everything that there is alike, and asks nobody."""

    name = "even"

    def decide(self, view: View) -> Decision:
        share = np.where(view.available, 1 / view.available.sum(), 0).astype(np.float32)
        return Decision(np.zeros_like(view.asked), share)


def test_all_that_is_believed_is_at_hand_though_a_round_names_four() -> None:
    talk, names = Deliberation(Even(), "abc", "call"), list("uvwxyz")
    support = np.full((1, 3, 6), 1 / 6, np.float32)
    seen = replace(view(3), support=support, available=np.ones((1, 6), bool))
    assert talk.believed == {}
    talk.record_round(seen, [CallRecord("a", "u")], names)
    assert list(talk.trace.rounds[0].probabilities) == names[:4]
    assert talk.believed == pytest.approx(dict.fromkeys(names, 1 / 6))


def test_nobody_stands_in_once_a_member_has_failed() -> None:
    talk = Deliberation(Twice(), "abc", "call")
    for _ in range(2):
        talk.go_on_alone()
        assert talk.trace.policy == "twice"
        assert talk.trace.why == "vote would act, but a member has failed"
        assert talk.strategy.acting == Acting("twice", "it says", stands_in=False)


def test_a_call_says_whom_it_read_and_named() -> None:
    assert CallRecord("a").reading == ""
    assert CallRecord("d", read=(("a", "b"),)).reading == "read a, b"
    orders = (("a", "b"), ("b", "a"))
    assert CallRecord("j", read=orders, verdict=("a", "a")).reading == (
        "read a, b (named a); b, a (named a)"
    )
    assert CallRecord("j", read=(("a",),), verdict=("",)).reading == "read a (named none of them)"


def test_what_calls_come_to_is_told_in_numbers() -> None:
    trace = Trace(synthesis=CallRecord("w", cost_usd=0.5))
    trace.rounds.append(Round((CallRecord("a", cost_usd=0.25), CallRecord("b")), {}, 2.0))
    assert trace.usd == 0.75
    trace.settle(2.0, 0.5)
    assert (trace.usd, trace.uncertain_cost_usd) == (2.0, 0.5)
    assert [call.member for call in trace.calls] == ["a", "b", "w"]
    late = CallRecord("c", failure=Failure.CANCELLED)
    assert [call.was_cancelled for call in (*trace.calls, late)] == [False] * 3 + [True]


def test_a_trace_shows_what_each_member_said_or_why_not() -> None:
    calls = (
        CallRecord("a", "B", support=0.5),
        CallRecord("b", failure="timeout"),
        CallRecord("c"),
    )
    trace = Trace("agreement", members=("a", "b", "c"), rounds=[Round(calls, {"B": 0.7}, 3.0)])
    assert str(trace).splitlines()[2:6] == [
        "round  asked  answered         support  then likeliest",
        "1      a      B                   0.50",
        "1      b      failed: timeout        -",
        "1      c      nothing usable         -  B 0.70",
    ]
