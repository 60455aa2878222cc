"""Capped agreement: the grid against a naive loop of replays, the cap by hand, degenerate pools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.protocol import Outcome, unmet
from rlfocal.deliberation.replay import replay
from rlfocal.records import CandidateKind, ResponseTable
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.capped import CappedAgreement
from rlfocal.strategies.sizes import pool_sizes
from rlfocal.strategies.stopping import StoppingGrid

comparable = pytest.mark.parametrize("kind", [CandidateKind.OPTIONS, CandidateKind.ANSWERS])


def _with_answers(table: ResponseTable, answer: np.ndarray) -> ResponseTable:
    answer = answer.astype(np.int16)
    support = (answer[:, :, None] == np.arange(table.n_candidates)).astype(np.float32)
    return replace(table, answer=answer, support=support)


def _utility(outcome: Outcome, table: ResponseTable, price: float) -> float:
    unit = table.cost.mean(dtype=np.float64)
    score = outcome.score.mean(dtype=np.float64)
    return float(score - price * outcome.cost.mean(dtype=np.float64) / unit)


def _pinned(fitted: CappedAgreement, threshold: float, cap: int) -> CappedAgreement:
    """The same strategy with settings given by hand: a grid of one pair."""
    other = fitted.at(fitted.price)
    other.thresholds_, other.caps_ = np.array([threshold]), np.array([cap])
    other.score_ = other.cost_ = np.zeros((1, 1))
    return other


@comparable
@pytest.mark.parametrize("graded", [False, True])
def test_every_price_gets_the_best_pair_of_a_naive_loop(make_table, rng, kind, graded):
    table = make_table(kind, seed=1, n_members=6, n_queries=150, graded=graded)
    fitted = CappedAgreement().fit(table, rng=rng)
    outcomes = [
        replay(_pinned(fitted, threshold, cap), table)
        for threshold in Agreement.dials
        for cap in range(1, 7)
    ]
    picked = set()
    for price in fitted.dials:
        best = max(_utility(outcome, table, price) for outcome in outcomes)
        own = _utility(replay(fitted.at(price), table), table, price)
        assert own == pytest.approx(best, abs=1e-6)
        assert (fitted.score_ - price * fitted.cost_).max() == pytest.approx(best, abs=1e-6)
        picked.add(fitted.at(price).settings_)
    assert len(picked) >= 2


@comparable
def test_the_grid_says_what_each_pair_earns_in_replay(make_table, rng, kind):
    table = make_table(kind, seed=2, n_queries=80, graded=True)
    fitted = CappedAgreement().fit(table, rng=rng)
    grid = fitted.agreement_.grid(table, pool_sizes(table.n_members))
    assert grid.caps.tolist() == [1, 2, 3, 4, 5]
    for t, threshold in enumerate(grid.thresholds):
        for k, cap in enumerate(grid.caps):
            outcome = replay(_pinned(fitted, threshold, cap), table)
            assert grid.score[t, k] == pytest.approx(outcome.score.mean(), abs=1e-6)
            cost = outcome.cost.mean() / table.cost.mean()
            assert grid.cost[t, k] == pytest.approx(cost, abs=1e-5)


@comparable
def test_without_a_cap_at_threshold_one_it_is_agreement_stopping(make_table, rng, kind):
    train, test = make_table(kind, seed=1, n_members=7), make_table(kind, seed=2, n_members=7)
    capped = replay(_pinned(CappedAgreement().fit(train, rng=rng), 1.0, 7), test)
    plain = replay(Agreement().fit(train, rng=rng), test)
    for field in ("chosen", "asked", "n_rounds", "confidence"):
        assert np.array_equal(getattr(capped, field), getattr(plain, field)), field


def test_the_cap_stops_a_query_that_nothing_settles(make_table, rng):
    # Everybody disagrees, so no lead is ever safe; the cap ends it after two calls.
    table = make_table(seed=3, n_members=4, n_slots=4)
    fitted = CappedAgreement().fit(table, rng=rng)
    fitted.agreement_.order_ = np.array([2, 0, 1, 3])
    fitted.agreement_.weight_ = np.tile([2.0, 1.9, 2.1, 1.8], (2, 1))
    test = _with_answers(table, np.tile(np.arange(4), (60, 1)))
    outcome = replay(_pinned(fitted, 1.0, 2), test)
    assert outcome.asked.tolist() == [[True, False, True, False]] * 60
    assert outcome.chosen.tolist() == [2] * 60
    assert set(replay(_pinned(fitted, 1.0, 4), test).n_calls.tolist()) == {4}


def test_the_best_pair_by_hand_with_ties_to_the_cheaper_and_the_first():
    grid = StoppingGrid(
        np.array([0.1, 0.9]),
        np.array([1, 2]),
        np.array([[0.6, 0.7], [0.6, 0.8]]),
        np.array([[1.0, 1.5], [1.0, 2.0]]),
    )
    assert grid.best(0.1) == (0.9, 2)  # utilities .5 .55 .5 .6
    assert grid.best(0.25) == (0.1, 1)  # .35 .325 .35 .3: the lower threshold
    assert grid.best(0.2) == (0.1, 1)  # .4 .4 .4 .4: the cheaper


def test_calls_fall_as_the_price_rises_on_the_training_queries(make_table, rng):
    table = make_table(seed=1, n_members=7, n_queries=200)
    fitted = CappedAgreement().fit(table, rng=rng)
    cost = [replay(fitted.at(price), table).cost.mean() for price in fitted.dials]
    assert (np.diff(cost) >= -1e-6).all()  # dials run from dear to cheap
    assert fitted.dials[0] == 0.3
    assert fitted.dials[-1] == 0.001
    assert len(fitted.dials) == 12


def test_large_pools_try_fewer_caps():
    assert pool_sizes(1) == (1,)
    assert pool_sizes(12) == tuple(range(1, 13))
    for n in (13, 24, 60, 200):
        sizes = pool_sizes(n)
        assert sizes[0] == 1
        assert sizes[-1] == n
        assert len(sizes) <= 12
        assert list(sizes) == sorted(set(sizes))


def test_members_that_always_agree_are_asked_once(make_table, rng):
    table = make_table(seed=4)
    same = _with_answers(table, np.repeat(np.maximum(table.answer[:, :1], 0), 5, axis=1))
    fitted = CappedAgreement().fit(same, rng=rng)
    for price in fitted.dials:
        assert (replay(fitted.at(price), same).n_calls == 1).all()


def test_a_member_that_never_answers_costs_no_answer(make_table, rng):
    table = make_table(seed=5, n_queries=120)
    answer = np.array(table.answer)
    answer[:, 2] = -1
    table = _with_answers(table, answer)
    outcome = replay(CappedAgreement(price=0.001).fit(table, rng=rng), table)
    assert not outcome.asked[:, 2].any()
    assert outcome.score.mean() >= table.member_score.mean(axis=0).max()


def test_a_pool_that_never_answers_is_asked_once_and_says_nothing(make_table, rng):
    table = make_table(seed=5)
    silent = _with_answers(table, np.full_like(table.answer, -1))
    outcome = replay(CappedAgreement().fit(silent, rng=rng), silent)
    assert (outcome.chosen == -1).all()
    assert (outcome.n_calls == 1).all()


def test_one_task_and_two_members(make_table, rng):
    # The second member is worth asking only where the first did not answer.
    table = make_table(seed=6, n_members=2)
    table = replace(table, task=np.zeros_like(table.task), tasks=("all",))
    outcome = replay(CappedAgreement(price=0.3).fit(table, rng=rng), table)
    first = int(table.member_score.mean(axis=0).argmax())
    answered = table.answered[:, first]
    assert np.array_equal(outcome.n_calls, np.where(answered, 1, 2))
    expected = np.where(answered, table.member_score[:, first], table.member_score[:, 1 - first])
    assert np.array_equal(outcome.score, expected)


def test_scores_alone_are_not_enough(make_table):
    assert unmet(CappedAgreement(), make_table(CandidateKind.RESPONSES)) is not None
    assert unmet(CappedAgreement(), make_table()) is None


@pytest.mark.parametrize("price", [-0.1, 0.0005, 0.5, np.nan])
def test_prices_out_of_range_are_refused(price):
    with pytest.raises(ValueError, match=r"\[0.001, 0.3\]"):
        CappedAgreement(price=price)
    with pytest.raises(ValueError, match=r"\[0.001, 0.3\]"):
        CappedAgreement().at(price)
