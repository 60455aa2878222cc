"""Strategies that read replies: by hand, against replays, and where little or nothing is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need, unmet
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.registry import create
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import check_state
from rlfocal.deliberation.view import View
from rlfocal.errors import NotApplicable
from rlfocal.numbers import sigmoid
from rlfocal.records import CandidateKind, ResponseTable
from rlfocal.records.signals import Replies, ReplyStore, SeenReply
from rlfocal.strategies.best_of import BestOf
from rlfocal.strategies.evidence import OutOfFold
from rlfocal.strategies.scored import (
    BestOfN,
    ConfidenceVote,
    EvidenceCascade,
    ScoreCascade,
)
from rlfocal.strategies.scored.best import best_scored
from rlfocal.strategies.scored.scored import Scored
from rlfocal.strategies.scored.stacking import CrossFitted, EvidenceFit
from rlfocal.strategies.scored.walk import Walk, next_of
from rlfocal.strategies.stacking import Stacking

from .conftest import _make_table

NAMES = ("confidence-vote", "best-of-n", "score-cascade", "evidence-stacking", "evidence-cascade")
PRICE_RANGE = r"\[0.001, 0.3\]"
SILENT = -np.inf


def seeded() -> np.random.Generator:
    return np.random.default_rng(0)


@cache
def train() -> ResponseTable:
    return _make_table(CandidateKind.ANSWERS, seed=1, n_queries=90, replies=True)


@cache
def fitted(name: str) -> Any:
    return create(name).fit(train(), rng=seeded())


def look(answer: list[list[int]], n_slots: int = 3) -> View:
    """Everybody was asked, and said this."""
    table = _make_table(n_queries=len(answer), n_members=len(answer[0]), n_slots=n_slots)
    given = np.array(answer, dtype=np.int16)
    support = (given[:, :, None] == np.arange(n_slots)).astype(np.float32)
    table = replace(table, answer=given, support=support)
    return reveal(table, np.arange(len(given)), np.ones(given.shape, dtype=bool))


# The pieces ---------------------------------------------------------------------------------------


def test_a_candidate_is_worth_its_best_reply() -> None:
    view = look([[0, 0, 1], [2, -1, -1], [-1, -1, -1]])
    odds = np.log([[3, 1, 4], [1 / 3, 1, 1], [1, 1, 1]])
    log_odds = np.where(view.answered, odds, SILENT).astype(np.float32)
    seen = best_scored(log_odds, view, np.arange(3))
    assert seen.sure == pytest.approx([0.8, 0.25, -1])
    # .75 and .8 add up to more than 1: shares of it.
    assert seen.answer[0] == pytest.approx([0.75 / 1.55, 0.8 / 1.55, 0], abs=1e-3)
    assert seen.answer[1] == pytest.approx([0, 0, 0.25], abs=1e-3)
    assert not seen.answer[2].any()


def test_equal_scores_go_by_vote_then_by_the_better_member() -> None:
    view = look([[0, 1, 1], [0, 1, -1]])
    log_odds = np.where(view.answered, 0, SILENT).astype(np.float32)
    best = best_scored(log_odds, view, np.array([1, 0, 2])).answer.argmax(axis=1)
    assert best.tolist() == [1, 1]


def test_the_next_in_order_is_asked_and_nobody_twice() -> None:
    asked = np.array([[False, False, False], [True, False, True], [False, True, True]])
    found = next_of(np.array([2, 0, 1]), asked)
    assert found.tolist() == [[False, False, True], [False, True, False], [True, False, False]]
    assert not next_of(np.array([2, 0]), np.array([[True, False, True]])).any()
    own = next_of(np.array([[2, 0, 1], [0, 1, 2], [0, 1, 2]]), asked)
    assert own.argmax(axis=1).tolist() == [2, 1, 0]


def test_stops_by_hand() -> None:
    walk = Walk(
        sure=np.array([[0.9, 0.2], [0.5, 0.7], [0.95, 0.1]]),
        worth=np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]),
        cost=np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]),
        measured=np.ones((3, 2), dtype=bool),
    )
    grid = walk.grid(np.array([0.0, 0.6, 2.0]), [1, 2, 3])
    assert grid.score.tolist() == [[0.5, 0.5, 0.5], [0.5, 1.0, 1.0], [0.5, 0.5, 0.5]]
    assert grid.cost.tolist() == [[1, 1, 1], [1, 1.5, 1.5], [1, 2, 3]]


# What was measured is what a replay comes to ------------------------------------------------------


@pytest.fixture
def in_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found without a query's fold is what the fitted strategy itself says of it."""
    learn, fit = Scored.learn, EvidenceFit.fit

    def seen(self: Scored, table: ResponseTable, **rest: Any) -> Any:
        fold, _ = learn(self, table, **rest)
        rows = np.arange(table.n_queries)
        view = reveal(table, rows, np.ones(table.answer.shape, dtype=bool))
        return fold, OutOfFold(self.log_odds(view), self.shift(view))

    def whole(self: EvidenceFit, asked: Any = None) -> CrossFitted:
        found = fit(self, asked)
        own = found.apart[0]._replace(weight=found.weight, none_bias=found.none_bias)
        return found._replace(apart=[own] * len(found.apart))

    monkeypatch.setattr(Scored, "learn", seen)
    monkeypatch.setattr(EvidenceFit, "fit", whole)


@pytest.mark.usefixtures("in_sample")
@pytest.mark.parametrize("make", [BestOfN, ScoreCascade])
def test_every_setting_earns_in_replay_what_was_measured(make: type[Base]) -> None:
    table = train()
    strategy = make().fit(table, rng=seeded())
    for setting, score, cost in strategy.measured_:
        found = replay(strategy.with_dial(setting), table)
        assert score == pytest.approx(found.score.mean(), abs=1e-6)
        assert cost == pytest.approx(found.cost.mean() / table.call_cost(), abs=1e-5)


@pytest.mark.usefixtures("in_sample")
def test_every_pair_of_threshold_and_cap_earns_in_replay_what_was_measured() -> None:
    table = train()
    strategy = EvidenceCascade().fit(table, rng=seeded())
    every = strategy.thresholds_, strategy.caps_, strategy.score_, strategy.cost_
    for h in range(0, len(every[0]), 14):
        for k in range(len(every[1])):
            one = strategy.at(0.1)
            one.thresholds_, one.caps_ = every[0][[h]], every[1][[k]]
            one.score_, one.cost_ = every[2][[h]][:, [k]], every[3][[h]][:, [k]]
            found = replay(one, table)
            assert every[2][h, k] == pytest.approx(found.score.mean(), abs=1e-6)
            assert every[3][h, k] == pytest.approx(found.cost.mean() / table.call_cost(), abs=1e-5)


# What replies are worth ---------------------------------------------------------------------------


def test_replies_that_tell_right_from_wrong_make_answers_better() -> None:
    """Three of four replies say it by a word: that is worth more than who says it."""
    test = _make_table(CandidateKind.ANSWERS, seed=2, n_queries=300, replies=True)
    plain = replay(Stacking().fit(train(), rng=seeded()), test).score.mean()
    assert replay(fitted("evidence-stacking"), test).score.mean() > plain + 0.01
    told, silent = fitted("evidence-cascade"), replace(test, replies=None)
    calls = [replay(told, one).n_calls.mean() for one in (test, silent)]
    assert replay(told, test).score.mean() > replay(told, silent).score.mean()
    assert calls[0] < 5
    best = fitted("best-of-n")
    score = [replay(best.with_dial(n), test).score.mean() for n in (1, 5)]
    assert score[1] > score[0]


@pytest.mark.parametrize("name", NAMES)
def test_where_no_reply_is_known_members_stand_for_themselves(name: str) -> None:
    test = _make_table(CandidateKind.ANSWERS, seed=3, n_queries=20)
    strategy = fitted(name)
    view = reveal(test, np.arange(20), np.ones((20, 5), dtype=bool))
    if name != "confidence-vote":
        base = np.where(view.answered, strategy.base_, SILENT)
        np.testing.assert_allclose(strategy.log_odds(view), base, rtol=1e-6)
        assert not strategy.shift(view).any()
    assert (replay(strategy, test).chosen >= 0).mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_with_too_few_labels_for_a_score_they_still_work(name: str) -> None:
    few = _make_table(CandidateKind.ANSWERS, seed=4, n_queries=9, replies=True)
    strategy = create(name, {"signal": "score"} if name == "confidence-vote" else {})
    found = strategy.fit(few, rng=seeded())
    assert isinstance(found, Base)
    state = found.state()
    assert not any(key.startswith("score.") for key in state)
    check_state(state, found.layout(state), {"N": 5, "T": 2})
    again = create(name).restore(state)
    assert np.array_equal(replay(again, few).chosen, replay(found, few).chosen)


def test_a_table_of_no_replies_is_none_to_learn_from() -> None:
    found = BestOfN().fit(_make_table(n_queries=20), rng=seeded())
    assert not any(key.startswith("score.") for key in found.state())


@pytest.mark.parametrize("name", NAMES)
def test_what_needs_replies_says_so(name: str) -> None:
    assert unmet(create(name), train()) is None
    assert unmet(create(name), replace(train(), replies=None)) == Need.REPLIES.value


def test_only_those_that_look_at_words_say_so() -> None:
    assert all(fitted(name).reads_replies for name in NAMES)
    assert not fitted("best-of-n").with_dial(1).reads_replies
    one = fitted("evidence-cascade").at(0.3)
    one.thresholds_, one.caps_, one.score_, one.cost_ = np.ones(1), np.ones(1), *np.zeros((2, 1, 1))
    assert not one.reads_replies
    assert not Stacking().reads_replies


def test_the_best_of_several_reads_replies_where_the_one_that_acts_does() -> None:
    for name, reads in (("best-of-n", True), ("plurality", False)):
        assert (
            BestOf(strategies=(name,), n_folds=2).fit(train(), rng=seeded()).reads_replies == reads
        )


# Confidence ---------------------------------------------------------------------------------------


def _sure(values: list[list[float]], answer: list[list[int]]) -> ResponseTable:
    """Replies with a signal of the user's own."""
    given = np.array(answer, dtype=np.int16)
    table = _make_table(n_queries=len(answer), n_members=given.shape[1], n_slots=3)
    seen = [
        SeenReply(text=None, given={} if np.isnan(value) else {"sure": value})
        for value in np.ravel(values).tolist()
    ]
    replies = Replies(ReplyStore(seen, ["sure"]), np.arange(given.size).reshape(given.shape))
    support = (given[:, :, None] == np.arange(3)).astype(np.float32)
    return replace(table, answer=given, support=support, replies=replies)


SURE = [[0.0, 100.0], [1.0, 300.0], [2.0, 500.0], [3.0, 700.0], [4.0, np.nan]]
SAID = [[0, 1]] * 5


def test_a_vote_weighs_by_where_its_reply_stands_among_those_of_its_member() -> None:
    table = _sure(SURE, SAID)
    fitted = ConfidenceVote(signal="sure").fit(table, rng=seeded())
    view = reveal(table, np.arange(5), np.ones((5, 2), dtype=bool))
    # Quartiles of the first; thirds of the second, and the middle where it is not known.
    rank = np.array([[0, 0], [0.25, 1 / 3], [0.5, 2 / 3], [0.75, 1], [1, 0.5]])
    weight = 0.02 + 0.98 * rank
    expected = weight / weight.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted.fuse(view)[:, :2], expected, atol=2e-2)
    assert replay(fitted, table).chosen[1:].tolist() == [1, 1, 1, 0]


def test_only_the_most_confident_share_votes() -> None:
    table = _sure([[0, 3, 1], [3, 0, 1], [1, 1, 2], [2, 2, 0]], [[0, 1, 0]] * 4)
    every = ConfidenceVote(signal="sure").fit(table, rng=seeded())
    one = ConfidenceVote(signal="sure", keep=0.34).fit(table, rng=seeded())
    view = reveal(table, np.arange(4), np.ones((4, 3), dtype=bool))
    votes = every.fuse(view)[0]
    assert votes[0] > 0.2
    assert one.fuse(view)[0].argmax() == 1
    assert one.fuse(view)[0][1] > 0.6


def test_with_a_signal_labels_settle_ties_and_nothing_else() -> None:
    table = train()
    wrong = replace(table, candidate_score=np.where(table.exists, 1 - table.candidate_score, 0))
    chosen = [
        replay(ConfidenceVote(signal="sure").fit(each, rng=seeded()), table).chosen
        for each in (table, wrong)
    ]
    assert np.array_equal(*chosen)


def test_log_probabilities_stand_for_confidence_where_most_replies_have_them() -> None:
    auto = fitted("confidence-vote")
    assert auto.by_signal_
    named = ConfidenceVote(signal="logprobs.lowest_window").fit(train(), rng=seeded())
    test = _make_table(CandidateKind.ANSWERS, seed=5, replies=True)
    assert np.array_equal(replay(auto, test).chosen, replay(named, test).chosen)
    plain = ConfidenceVote().fit(_sure(SURE * 4, SAID * 4), rng=seeded())
    assert not plain.by_signal_


def test_by_score_a_vote_weighs_its_chance_of_being_right() -> None:
    strategy = ConfidenceVote(signal="score").fit(train(), rng=seeded())
    view = reveal(train(), np.arange(90), np.ones((90, 5), dtype=bool))
    weight = np.where(view.answered, sigmoid(strategy.log_odds(view).astype(np.float64)), 0)
    votes = np.einsum("bn,bnc->bc", weight, view.support.astype(np.float64))
    expected = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(strategy.fuse(view), expected, atol=1e-3)


def test_a_signal_that_nobody_knows_is_refused() -> None:
    with pytest.raises(NotApplicable, match="'sore' is known of no reply; did you mean 'sure'"):
        ConfidenceVote(signal="sore").fit(train(), rng=seeded())
    with pytest.raises(NotApplicable, match="'sure' is known of no reply"):
        ConfidenceVote(signal="sure").fit(_make_table(n_queries=20), rng=seeded())


# The cascades -------------------------------------------------------------------------------------


def test_a_reply_that_is_good_enough_ends_it() -> None:
    strategy = fitted("score-cascade").with_dial(0.7)
    test = _make_table(CandidateKind.ANSWERS, seed=6, replies=True)
    order, rows = strategy.order_, np.arange(test.n_queries)
    outcome = replay(strategy, test)
    view = reveal(test, rows, np.ones(test.answer.shape, dtype=bool))
    chance = sigmoid(strategy.log_odds(view).astype(np.float64))[:, order]
    passed = chance >= 0.7
    expected = np.where(passed.any(axis=1), passed.argmax(axis=1) + 1, 5)
    assert np.array_equal(outcome.n_calls, expected)
    for q in np.flatnonzero(passed.any(axis=1)):
        assert outcome.chosen[q] == test.answer[q, order[expected[q] - 1]]


def test_who_is_right_for_less_is_asked_first() -> None:
    table = _make_table(n_queries=60, n_members=2, replies=True)
    dear = replace(table, cost=np.tile(np.array([5, 1], dtype=np.float32), (60, 1)))
    assert ScoreCascade().fit(table, rng=seeded()).order_[0] == table.member_accuracy.argmax()
    assert ScoreCascade().fit(dear, rng=seeded()).order_.tolist() == [1, 0]


def test_whoever_was_asked_the_posterior_is_that_of_the_last_in_order() -> None:
    strategy = fitted("evidence-cascade")
    test = _make_table(CandidateKind.ANSWERS, seed=7, n_queries=10, replies=True)
    asked = np.zeros((10, 5), dtype=bool)
    np.put_along_axis(asked, strategy.order_[test.task][:, [0, 2]], True, axis=1)
    view = reveal(test, np.arange(10), asked)
    shift = strategy.shift(view)
    third = strategy._look(
        view, shift, strategy.weight_[2][view.task], strategy.none_bias_[2][view.task]
    )
    np.testing.assert_array_equal(strategy.decide(view).answer, third.answer)


def test_every_task_has_its_own_order() -> None:
    table = _make_table(n_queries=120, replies=True)
    swapped = table.answer[:, ::-1]
    answer = np.where((table.task == 1)[:, None], swapped, table.answer).astype(np.int16)
    support = (answer[:, :, None] == np.arange(table.n_candidates)).astype(np.float32)
    strategy = EvidenceCascade().fit(replace(table, answer=answer, support=support), rng=seeded())
    assert strategy.order_[:, 0].tolist() == [0, 4]
    assert replay(strategy.at(0.3), table).asked[:, 0].tolist() == (table.task == 0).tolist()


@pytest.mark.parametrize("price", [-0.1, 0.0005, 0.5, np.nan])
def test_prices_out_of_range_are_refused(price: float) -> None:
    with pytest.raises(ValueError, match=PRICE_RANGE):
        EvidenceCascade(price=price)
    with pytest.raises(ValueError, match=PRICE_RANGE):
        fitted("evidence-cascade").at(price)


def test_settings_out_of_range_are_refused() -> None:
    for keep in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"keep must lie in \(0, 1\]"):
            ConfidenceVote(keep=keep)
    with pytest.raises(ValueError, match="n_calls must be at least 1"):
        BestOfN(n_calls=0)
    with pytest.raises(ValueError, match=r"threshold must lie in \[0, 1\], got 1.5"):
        ScoreCascade(threshold=1.5)
    with pytest.raises(ValueError, match="threshold"):
        fitted("score-cascade").with_dial(-0.5)
