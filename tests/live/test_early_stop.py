"""Whether those who are silent could still change the outcome; laws, and hand-made boards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rlfocal
from rlfocal.deliberation.base import Acting, Base, OneRound
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import best_answer, decided
from rlfocal.deliberation.view import Decision, View
from rlfocal.live.early_stop import _mixtures, _outcomes, is_last, outcome_is_fixed
from rlfocal.live.state import QueryState, Reply
from rlfocal.records import BoolArray, Calibration, FloatArray, ResponseTable
from rlfocal.strategies.routing.knn import KnnRouter
from rlfocal.strategies.routing.vote import RoutedVote

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
        votes = (view.support * self._weights[None, :, None]).sum(axis=1)
        # Probabilities are not negative; a vote may be.
        return np.asarray(np.exp(votes / 10) * view.available, dtype=np.float32)


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


def test_a_vote_that_counts_against_its_candidate_may_change_the_outcome() -> None:
    # Alone neither pending member does; together, one by saying B and one by saying A.
    contrary = Vote(np.array([1.63, 1.58, 1.54, 3.65, -2.3], np.float32))
    seen = state(["A", "A", "A"], n_options=4)
    assert not fixed(contrary, seen, [3, 4])
    seen.put(3, Reply(("B",), cost=1.0))
    seen.put(4, Reply(("A",), cost=1.0))
    assert contrary.fuse(seen.view())[0].argmax() == 1


class OnlyHelps(Vote):
    """Says of itself what it is."""

    @property
    def votes_only_help(self) -> bool:
        return True


def test_many_who_are_silent_are_only_tried_out_where_votes_do_more_than_help() -> None:
    n, seen = 12, ["A"] * 7
    nothing = np.zeros(0, np.float32)
    scores = Calibration(np.zeros((1, n)), np.zeros((1, n, 26)), np.zeros(n, dtype=bool))
    made = QueryState(n, scores, task=0, features=nothing, n_options=4)
    for member, answer in enumerate(seen):
        made.put(member, Reply((answer,), cost=1.0))
    pending = list(range(7, n))
    assert not fixed(Vote(np.ones(n, np.float32)), made, pending)
    assert fixed(OnlyHelps(np.ones(n, np.float32)), made, pending)


def test_a_reply_that_may_share_its_vote_out_is_only_foreseen_where_votes_only_help() -> None:
    weights, seen = np.ones(N, np.float32), state(["A", "A", "A"])
    for kind, expected in ((Vote, False), (OnlyHelps, True)):
        assert outcome_is_fixed(kind(weights), seen, [3, 4], shares=True) is expected
    seen.put(3, Reply(("A",), cost=1.0))
    assert not outcome_is_fixed(Vote(weights), seen, [4], shares=True)


class StandsIn(Vote):
    """Acts for another, which decides once a member has failed."""

    def __init__(self, weights: FloatArray, other: Vote) -> None:
        super().__init__(weights)
        self._other = other

    @property
    def acting(self) -> Acting:
        return Acting("stand-in", "", stands_in=True)

    def alone(self) -> Vote:  # type: ignore[override]
        return self._other


def test_whoever_decides_once_a_member_has_failed_has_to_agree() -> None:
    even, last = np.ones(N, np.float32), np.array([0, 0, 0, 5, 0], np.float32)
    seen = state(["A", "A", "A", "B"])
    assert fixed(StandsIn(even, Vote(even)), seen, [4])
    assert not fixed(StandsIn(even, Vote(last)), seen, [4])


def voted(accuracy: Sequence[float]) -> ResponseTable:
    """Choices of four, answered by members that are right so often."""
    rng, rows = np.random.default_rng(1), []
    for q in range(300):
        right = int(rng.integers(4))
        row = {"prompt": f"Which is number {q}?", "choices": list("abcd"), "label": "ABCD"[right]}
        for m, share in enumerate(accuracy):
            wrong = (right + int(rng.integers(1, 4))) % 4
            row[f"m{m}"] = "ABCD"[right if rng.random() < share else wrong]
        rows.append(row)
    return rlfocal.read_table(rows)


@pytest.mark.parametrize(
    "name", ["weighted-vote", "one-coin", "plurality", "static-subset", "routed-vote", "stacking"]
)
def test_votes_of_members_worse_than_chance_do_more_than_help(name: str) -> None:
    for accuracy, expected in (((0.8,) * N, True), ((0.7, 0.7, 0.7, 0.9, 0.02), False)):
        fitted = create_strategy(Spec(name, {})).fit(voted(accuracy), rng=np.random.default_rng(0))
        assert fitted.votes_only_help is (expected or name in ("plurality", "static-subset"))


@pytest.mark.parametrize("name", ["routed-vote", "stacking"])
def test_where_its_votes_only_help_no_mixture_changes_what_is_fixed(name: str) -> None:
    fitted = create_strategy(Spec(name, {})).fit(voted((0.8,) * N), rng=np.random.default_rng(0))
    assert fitted.votes_only_help
    n_fixed = 0
    for answers in product("ABC", repeat=3):
        for n_options in (4, 0):
            seen = state(list(answers), n_options=n_options)
            if not outcome_is_fixed(fitted, seen, [3, 4]):
                continue
            n_fixed += 1
            others = ["D"] if n_options else ["\0", "~", "~~"]
            for rest in product(["A", "B", "C", *others, None], repeat=2):
                after = seen.copy()
                for n, said in zip((3, 4), rest, strict=True):
                    after.put(n, None if said is None else Reply((said,), cost=1.0))
                assert given_by(fitted, after) == answers[0]
    assert n_fixed


def test_with_text_nobody_knows_how_little_a_vote_may_weigh() -> None:
    fitted = create_strategy(Spec("routed-vote", {}))
    fitted = fitted.fit(voted((0.8,) * N), rng=np.random.default_rng(0))
    assert isinstance(fitted, RoutedVote)
    fitted.router_ = KnnRouter()
    assert not fitted.votes_only_help


def test_of_answers_that_nobody_has_given_it_does_not_matter_which_is_which() -> None:
    nothing = np.zeros(0, np.float32)
    n = 8
    scores = Calibration(np.zeros((1, n)), np.zeros((1, n, 26)), np.zeros(n, dtype=bool))
    made = QueryState(n, scores, task=0, features=nothing, n_options=0)
    for member, answer in enumerate(["A", "A", "A", "A", "B"]):
        made.put(member, Reply((answer,), cost=1.0))
    made.n_rounds = 1
    vote = Vote(np.ones(n, np.float32))
    assert outcome_is_fixed(vote, made, [5, 6, 7])
    contrary = np.ones(n, np.float32)
    contrary[7] = -2
    # By saying A one takes from it; of the others both say what nobody has said yet.
    assert not outcome_is_fixed(Vote(contrary), made, [5, 6, 7])


@given(
    answers=st.lists(st.sampled_from(["A", "B", None]), min_size=2, max_size=3),
    weights=st.lists(st.integers(-3, 4), min_size=N, max_size=N),
)
def test_mixtures_of_new_answers_tell_as_much_as_all_of_them_would(
    answers: list[str | None], weights: list[int]
) -> None:
    seen, pending = state(answers, n_options=0), list(range(len(answers), N))
    new = ["\0", "~", "~~"][: len(pending)]
    every = product([None, *seen.candidates, *new], repeat=len(pending))
    few = list(_mixtures(seen, len(pending)))
    found = [
        _outcomes([Vote(np.array(weights, np.float32))], seen, pending, mixtures)
        for mixtures in (few, [list(mixture) for mixture in every])
    ]
    leader = answers[0]
    assert (found[0] == {leader}) == (found[1] == {leader})
    assert len(few) <= 91


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
    weights=st.lists(st.integers(-3, 4), min_size=N, max_size=N),
    n_options=st.sampled_from([3, 0]),
)
def test_a_settled_vote_is_not_changed_by_whatever_follows(
    answers: list[str | None], rest: list[str | None], weights: list[int], n_options: int
) -> None:
    vote = Vote(np.array(weights, np.float32))
    seen = state(answers, n_options=n_options)
    if not fixed(vote, seen, list(range(len(answers), N))):
        return
    before = given_by(vote, seen)
    for n in range(len(answers), N):
        seen.put(n, Reply((rest[n],), cost=1.0))
    assert given_by(vote, seen) == before


def given_by(vote: Base, seen: QueryState) -> str | None:
    view = seen.view()
    slot = best_answer(view.available, decided(vote, view).answer)[0][0]
    return None if slot < 0 else seen.candidates[slot]


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
