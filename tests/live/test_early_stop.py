"""Whether those who are silent could still change the outcome; laws, and hand-made boards."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.deliberation.base import Base, OneRound
from rlfocal.deliberation.view import Decision, View
from rlfocal.live.early_stop import is_last, outcome_is_fixed
from rlfocal.live.state import QueryState, Reply
from rlfocal.records import BoolArray, Calibration, FloatArray

N = 5
NO_SCORES = Calibration(np.zeros((1, N)), np.zeros((1, N, 26)), np.zeros(N, dtype=bool))


class Vote(OneRound):
    """Everybody once, then the weighted majority; the first candidate on a tie."""

    name = "vote"

    def __init__(self, weights: FloatArray) -> None:
        self._weights = weights
        self.looks = 0

    def first(self, view: View) -> BoolArray:
        return np.ones_like(view.asked)

    def fuse(self, view: View) -> FloatArray:
        self.looks += 1
        return np.asarray((view.support * self._weights[None, :, None]).sum(axis=1))


def state(answers: list[str | None], *, n_options: int = 3) -> QueryState:
    """Those who have answered; the others are not asked yet."""
    nothing = np.zeros(0, np.float32)
    made = QueryState(N, NO_SCORES, task=0, features=nothing, n_options=n_options)
    made.n_rounds = 1
    for n, answer in enumerate(answers):
        made.put(n, Reply((answer,), cost=1.0))
    return made


def fixed(strategy: Vote, seen: QueryState, pending: list[int]) -> bool:
    return outcome_is_fixed(strategy, seen, pending)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["A", "A", "A"], True),  # two cannot outvote three
        (["A", "A", "B"], False),  # both may say B
        (["A", "A", "A", "B"], True),
        (["A", "A", None], False),
        ([None, None, None], False),
    ],
)
@pytest.mark.parametrize("n_options", [3, 0])
def test_a_majority_that_cannot_be_outvoted(
    answers: list[str | None], expected: bool, n_options: int
) -> None:
    pending = list(range(len(answers), N))
    vote = Vote(np.ones(N, np.float32))
    assert fixed(vote, state(answers, n_options=n_options), pending) is expected


def test_weights_count_and_not_heads() -> None:
    heavy = Vote(np.array([1, 1, 1, 1, 3], np.float32))
    assert not fixed(heavy, state(["A", "A", "A"]), [3, 4])
    assert fixed(heavy, state(["A", "A", "A", "A"]), [4])


class Reading(Vote):
    """What its votes weigh may depend on the texts of replies."""

    @property
    def reads_replies(self) -> bool:
        return True


def test_where_replies_are_read_no_answer_foretells_the_outcome() -> None:
    weights, pending = np.ones(N, np.float32), [3, 4]
    assert fixed(Vote(weights), state(["A", "A", "A"]), pending)
    assert not fixed(Reading(weights), state(["A", "A", "A"]), pending)


def test_nothing_is_fused_where_too_few_have_spoken() -> None:
    vote = Vote(np.ones(N, np.float32))
    assert not fixed(vote, state(["A"]), [1, 2, 3, 4])
    assert vote.looks == 0


@given(
    answers=st.lists(st.sampled_from(["A", "B", "C", None]), min_size=1, max_size=N - 1),
    rest=st.lists(st.sampled_from(["A", "B", "C", None]), min_size=N, max_size=N),
    weights=st.lists(st.integers(1, 4), min_size=N, max_size=N),
)
def test_a_settled_vote_is_not_changed_by_whatever_follows(
    answers: list[str | None], rest: list[str | None], weights: list[int]
) -> None:
    vote = Vote(np.array(weights, np.float32))
    seen = state(answers)
    if not fixed(vote, seen, list(range(len(answers), N))):
        return
    before = vote.fuse(seen.view())[0].argmax()
    for n in range(len(answers), N):
        seen.put(n, Reply((rest[n],), cost=1.0))
    assert vote.fuse(seen.view())[0].argmax() == before


def test_views_of_different_width_are_stacked() -> None:
    one, two = state(["7"], n_options=0), state(["7", "8", "9"], n_options=0)
    view = View.concat([b.view() for b in (one, two)])
    assert view.support.shape == (2, N, 3)
    for row, each in enumerate((one, two)):
        alone = each.view()
        n_slots = alone.available.shape[1]
        for field in fields(View):
            found = getattr(view.take(np.array([row])), field.name)
            if field.name in ("support", "available"):
                assert not found[..., n_slots:].any()
                found = found[..., :n_slots]
            np.testing.assert_array_equal(found, getattr(alone, field.name))


class SureOfGoodReplies(Base):
    """Stops where a reply is judged above a bar, else asks everybody."""

    name = "sure"

    def __init__(self, bar: float) -> None:
        self.bar = bar

    @property
    def reads_replies(self) -> bool:
        return True

    def decide(self, view: View) -> Decision:
        assert view.replies is not None
        judged = view.replies.judged
        assert judged is not None
        sure = np.nanmax(judged, axis=1) > self.bar
        wanted = np.broadcast_to(~sure[:, None], view.asked.shape)
        return Decision(wanted & ~view.asked, np.zeros(view.available.shape, dtype=np.float32))


@pytest.mark.parametrize(("bar", "last"), [(-10.0, True), (-3.0, False), (3.0, False)])
def test_a_member_is_the_last_where_no_judgement_of_its_reply_asks_another(
    bar: float, last: bool
) -> None:
    assert is_last(SureOfGoodReplies(bar), state([], n_options=0), 1, cost=1.0) is last
