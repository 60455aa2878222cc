"""Agreement stopping: the full vote's answer, for fewer calls."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.deliberation.replay import replay
from rlfocal.records import CandidateKind
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.voting import WeightedVote, rank_members


@pytest.mark.parametrize("kind", list(CandidateKind))
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("settings", [{}, {"order": "cost"}, {"members_per_round": 3}])
def test_safe_stopping_answers_as_the_full_weighted_vote(make_table, rng, kind, seed, settings):
    train = make_table(kind, seed=seed, n_members=7)
    test = make_table(kind, seed=seed + 50, n_members=7, n_queries=300)
    full = replay(WeightedVote().fit(train, rng=rng), test)
    outcome = replay(Agreement(**settings).fit(train, rng=rng), test)
    assert np.array_equal(outcome.chosen, full.chosen)
    assert outcome.n_calls.mean() < 6.5


def test_calls_grow_with_the_threshold_query_by_query(make_table, rng):
    fitted = Agreement().fit(make_table(seed=1, n_members=7), rng=rng)
    test = make_table(seed=2, n_members=7, n_queries=300)
    calls = np.array([replay(fitted.with_dial(dial), test).n_calls for dial in fitted.dials])
    assert (np.diff(calls, axis=0) >= 0).all()
    assert calls[0].mean() < 1.5 < calls[-1].mean()
    assert fitted.threshold == 1.0


def test_members_are_asked_in_order_and_one_a_round(make_table, rng):
    train, test = make_table(seed=1), make_table(seed=2)
    outcome = replay(Agreement().fit(train, rng=rng), test)
    order = rank_members(train)
    in_order = outcome.asked[:, order]
    assert (np.diff(in_order.astype(int), axis=1) <= 0).all()
    assert np.array_equal(outcome.n_rounds, outcome.n_calls)


def test_cheapest_first(make_table, rng):
    train, test = make_table(seed=1), make_table(seed=2)
    outcome = replay(Agreement(order="cost", threshold=0).fit(train, rng=rng), test)
    assert outcome.asked[:, train.cost.mean(axis=0).argmin()].all()


def test_more_members_a_round_take_fewer_rounds_and_no_fewer_calls(make_table, rng):
    train, test = make_table(seed=1, n_members=8), make_table(seed=2, n_members=8)
    one = replay(Agreement().fit(train, rng=rng), test)
    three = replay(Agreement(members_per_round=3).fit(train, rng=rng), test)
    assert (three.n_rounds <= one.n_rounds).all()
    assert (three.n_calls >= one.n_calls).all()
    assert three.n_rounds.max() == 3


def test_the_rule_by_hand(make_table, rng):
    # Weights 3, 2, 1.5, 1, 0.5; everybody answers candidate 0: after members 0 and 1 the lead is 5
    # against 3 left, so two calls are safe. At threshold 0.6 one call is: 3 > 0.6 * 5 fails, as the
    # lead must be larger; at 0.5 it holds.
    fitted = Agreement().fit(make_table(), rng=rng)
    fitted.order_ = np.arange(5)
    fitted.weight_ = np.tile([3, 2, 1.5, 1, 0.5], (2, 1))
    table = make_table(seed=3)
    same = np.zeros_like(table.answer)
    support = (same[:, :, None] == np.arange(4)).astype(np.float32)
    table = type(table)(**{**vars(table), "answer": same, "support": support})
    assert set(replay(fitted, table).n_calls.tolist()) == {2}
    assert set(replay(fitted.with_dial(0.6), table).n_calls.tolist()) == {2}
    assert set(replay(fitted.with_dial(0.5), table).n_calls.tolist()) == {1}


@pytest.mark.parametrize(
    "settings", [{"threshold": 1.1}, {"threshold": -1}, {"order": "x"}, {"members_per_round": 0}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        Agreement(**settings)


def test_a_dial_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Agreement().with_dial(2)
