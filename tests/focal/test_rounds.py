"""Rounds: what the Decider sees of them, and how it asks several members at a time."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig, Rounds
from rlfocal.agents.known import Known
from rlfocal.agents.policy import promised, rule
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Memory
from rlfocal.focal.ask_all import AskAll
from rlfocal.focal.posterior_threshold import PosteriorThreshold
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.focal.stand_ins import LEARNED
from rlfocal.records import PoolModel, build_table, simulate
from rlfocal.strategies.capped import CappedAgreement

pytestmark = pytest.mark.slow

N, ENOUGH = 4, 4
SMALL = {"n_iterations": 4, "n_episodes": 64, "learn_from": 1}
WAYS = {
    "one round": {"max_rounds": 1},
    "two rounds": {"max_rounds": 2},
    "dear rounds": {"round_price": 0.5},
}


@pytest.fixture(scope="module")
def table():
    model = PoolModel(accuracy=[[0.8, 0.7, 0.6, 0.5], [0.5, 0.6, 0.7, 0.8]], n_options=4)
    return build_table(simulate(model, 400, rng=np.random.default_rng(0)), encode=None)


@pytest.fixture(scope="module", params=WAYS)
def fitted(request, table):
    config = RlFocalConfig(**SMALL, **WAYS[request.param])
    return RlFocal(config).fit(table, rng=np.random.default_rng(0))


def by_itself(fitted, price):
    """The learned policy alone, whoever was judged better."""
    verdicts = tuple(v._replace(chosen=LEARNED) for v in fitted.fallback_.verdicts)
    fallback = fitted.fallback_._replace(verdicts=verdicts)
    return RlFocal(fitted.config).assemble(fitted.fitted_pool_, fitted.decider_, fallback).at(price)


@pytest.mark.slow
def test_whole_rounds_are_asked_and_counted(fitted, table):
    most = fitted.config.max_rounds
    for price in fitted.dials[:-1]:
        for strategy in (fitted.at(price), by_itself(fitted, price)):
            outcome = replay(strategy, table)
            assert (outcome.n_rounds <= (most or N)).all()
            assert (outcome.n_rounds <= outcome.n_calls).all()
    cheap = replay(by_itself(fitted, 0.001), table)
    assert (cheap.n_calls > cheap.n_rounds).mean() > 0.5


def test_a_round_is_what_single_decisions_add_up_to(fitted, table):
    rows = np.arange(60)
    view = reveal(table, rows, np.zeros((60, N), dtype=bool))
    acting = by_itself(fitted, 0.02)
    wanted = acting.decide(view).ask
    pending = np.zeros((60, N), dtype=bool)
    for _ in range(N):
        chance = acting.chances(view, pending)
        assert (chance[:, :N][pending] == 0).all()
        going = (chance[:, ENOUGH] <= 0.5) & ~pending.all(axis=1)
        pending[going, chance[going, :N].argmax(axis=1)] = True
    np.testing.assert_array_equal(wanted, pending)
    assert wanted.any(axis=1).all()


@pytest.mark.parametrize("fitted", ["one round", "two rounds"], indirect=True)
def test_where_rounds_have_run_out_nobody_is_asked(fitted, table):
    asked = np.tile([True, False, False, False], (60, 1))
    last = np.full(60, fitted.config.max_rounds)
    view = reveal(table, np.arange(60), asked, n_rounds=last)
    acting = by_itself(fitted, 0.001)
    found = acting.decide(view)
    assert not found.ask.any()
    assert (found.chance[:, ENOUGH] == 1).all()


def test_a_checkpoint_gathers_as_before(fitted, table):
    again = RlFocal.of(fitted.spec.settings).restore(fitted.state())
    for price in (0.3, 0.02, 0.0):
        one, two = (replay(s.at(price), table) for s in (again, fitted))
        np.testing.assert_array_equal(one.asked, two.asked)
        np.testing.assert_array_equal(one.n_rounds, two.n_rounds)


def test_who_asks_one_by_one_stands_only_without_a_limit(fitted):
    rivals = set(fitted.fallback_.candidates)
    sequential = {PosteriorThreshold.name, CappedAgreement.name}
    assert rivals & sequential == (sequential if fitted.config.max_rounds is None else set())


@pytest.mark.slow
def test_everybody_pays_for_rounds(table):
    """Two fits that differ in the price of a round alone."""
    config = RlFocalConfig(**SMALL, round_price=0.5)
    dear = RlFocal(config).fit(table, rng=np.random.default_rng(0))
    cheap = RlFocal(RlFocalConfig(**SMALL)).fit(table, rng=np.random.default_rng(0))
    at_zero = [found.fallback_.verdict(0) for found in (dear, cheap)]
    assert [v.incumbent for v in at_zero] == [AskAll.name] * 2
    assert at_zero[0].utility == pytest.approx(at_zero[1].utility - 0.5, abs=0.02)
    # At the price of a call and a round, who asks one after another asks once.
    acting = dear.fallback_._replace(
        verdicts=tuple(v._replace(chosen=PosteriorThreshold.name) for v in dear.fallback_.verdicts)
    )
    _, once = acting.at(0.001)
    assert once is not None
    assert once.price == pytest.approx(0.501)
    assert (replay(once, table).n_calls == 1).all()
    assert dear.fallback_.verdict(0.01).incumbent == LEARNED


def test_rounds_are_gathered_with_recent_labels_too(fitted, table):
    outcome = replay(by_itself(fitted, 0.001).follow(Memory.of(table, 100)), table)
    assert (outcome.n_rounds <= (fitted.config.max_rounds or N)).all()
    assert (outcome.n_calls > outcome.n_rounds).any()


def test_what_the_decider_sees_of_pending_members(fitted, table):
    """Chosen, pending, their share, the hurry; what may be chosen; what the next choice costs."""
    observer = fitted.fitted_pool_.observer_of(Rounds(0.1, 3))
    asked = np.array([[False] * 4, [True, False, False, False]])
    pending = np.array([[False, True, True, False], [False] * 4])
    view = reveal(table, np.array([0, 1]), asked, n_rounds=np.array([0, 2]))
    competence = np.zeros((2, N), dtype=np.float32)
    price = np.full(2, 0.02, dtype=np.float32)
    seen = observer.observe(view, price, Known(competence), pending=pending).observation
    assert seen.member[:, :, 0].tolist() == [[0, 1, 1, 0], [1, 0, 0, 0]]
    assert seen.member[:, :, 1].tolist() == [[0, 0, 0, 0], [1, 0, 0, 0]]
    assert seen.pending.tolist() == pending.tolist()
    assert seen.hurry.tolist() == [[0.5, pytest.approx(1 / 3)], [0, 1]]
    assert seen.legal.tolist() == [
        [True, False, False, True, True],
        [False, True, True, True, True],
    ]
    late = reveal(table, np.array([1]), asked[1:], n_rounds=np.array([3]))
    assert observer.observe(late, price[:1], Known(competence[:1])).observation.legal.tolist() == [
        [False] * 4 + [True]
    ]
    # The first of a round pays for the round: there it takes more doubt to go on.
    free = fitted.fitted_pool_.observer_of(Rounds(0.0, 3)).observe(
        view, price, Known(competence), pending=pending
    )
    paid = seen.next_price - free.observation.next_price
    assert paid.tolist() == pytest.approx([0, 0.1])
    stop = [rule(o.preference, o.confidence, o.next_price)[:, -1] for o in (seen, free.observation)]
    assert stop[0][0] == stop[1][0]
    assert stop[0][1] > stop[1][1]


def test_confidence_promised_by_hand():
    expected = np.tile([0.8, 0.6, 0.5], (4, 1))
    pending = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1]], dtype=bool)
    confidence = np.array([0.55, 0.55, 0.7, 0.0])
    found = promised(confidence, expected, pending).tolist()
    assert found == pytest.approx([0.55, 0.8, 1 - 0.3 * 0.75, 1 - 0.2 * 0.75**2])
