"""Learned policies on incomplete pools: what is missing is not asked, not charged, not learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.agents.statistics import PoolStatistics
from rlfocal.deliberation.replay import replay
from rlfocal.focal.posterior_threshold import PosteriorThreshold, walk
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.paper.strategy import RlFocalPaper
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.training.environment import PoolEnv

pytestmark = pytest.mark.slow

QUICK = RlFocalConfig(n_iterations=2)
MODEL = PoolModel(accuracy=[[0.8, 0.7, 0.6, 0.5]], cost_usd=(1.0, 2.0, 3.0, 4.0))
WHOLE = build_table(simulate(MODEL, 160, rng=np.random.default_rng(0)))
TRAIN, TEST = WHOLE.take(np.arange(100)), WHOLE.take(np.arange(100, 160))


def holes(table: ResponseTable, share: float, seed: int = 1) -> ResponseTable:
    """With some queries that nobody answered."""
    gone = np.random.default_rng(seed).random(table.answer.shape) < share
    gone[:3] = True
    return table.without(gone)


@pytest.fixture(scope="module")
def policy() -> RlFocal:
    return RlFocal(QUICK).fit(holes(TRAIN, 0.5), rng=np.random.default_rng(0))


def test_a_policy_asks_whoever_is_open_and_is_measured_wherever_anybody_is(
    policy: RlFocal,
) -> None:
    test = holes(TEST, 0.5, 2)
    for dial in policy.dials[::3]:
        found = replay(policy.at(dial), test)
        assert not (found.asked & ~test.recorded).any()
        np.testing.assert_allclose(found.cost, (test.cost * found.asked).sum(axis=1), rtol=1e-6)
        acting = policy.at(dial).acting.name
        if acting in ("learned", "everybody", "posterior-threshold"):
            assert (found.measured == test.recorded.any(axis=1)).all()
            assert (found.n_rounds[found.measured] >= 1).all()


@pytest.mark.parametrize("kind", [RlFocalPrior, RlFocalPaper, PosteriorThreshold])
def test_other_learned_strategies_are_not_charged_either(kind: type) -> None:
    made = kind(config=QUICK) if kind is PosteriorThreshold else kind()
    fitted = made.fit(holes(TRAIN, 0.5), rng=np.random.default_rng(0))
    test = holes(TEST, 0.5, 2)
    found = replay(fitted, test)
    assert not (found.asked & ~test.recorded).any()
    assert (found.measured == found.asked.any(axis=1)).all()
    assert (found.cost[~found.measured] == 0).all()


def test_rounds_of_several_members_are_gathered_from_those_open() -> None:
    config = RlFocalConfig(n_iterations=2, max_rounds=2, round_price=0.01)
    fitted = RlFocal(config).fit(holes(TRAIN, 0.4), rng=np.random.default_rng(0))
    test = holes(TEST, 0.4, 2)
    found = replay(fitted, test)
    assert not (found.asked & ~test.recorded).any()
    assert (found.n_rounds <= 2).all() or fitted.acting.name != "learned"


def test_choosing_a_member_without_a_record_costs_nothing_and_earns_nothing() -> None:
    gone = np.zeros(TEST.answer.shape, dtype=bool)
    gone[0, 1] = True
    env = PoolEnv(TEST.without(gone), unit_cost=1.0)
    env.reset(np.array([0]), np.array([0.1], dtype=np.float32))
    nothing = np.array([-1])
    assert env.step(np.array([1]), nothing).reward.tolist() == [0]
    view = env.view()
    assert view.spent.tolist() == [0]
    assert not view.answered.any()
    assert env.stopping_earns(np.array([int(TEST.answer[0, 0])])).tolist() == [0]
    assert env.step(np.array([0]), nothing).reward.tolist() == pytest.approx([-0.1])


def test_statistics_are_over_what_is_recorded_and_a_missing_response_is_no_failure() -> None:
    part = holes(TRAIN, 0.4)
    part = part.take(part.recorded.any(axis=1))
    found = PoolStatistics.of(part)
    prices = [1.0, 2.0, 3.0, 4.0]
    assert found.relative_cost * found.unit_cost == pytest.approx(prices, rel=1e-5)
    # Were a missing response a failure, members known on half of the queries would be below half.
    assert (found.accuracy > 0.5).all()
    counts = RlFocalPrior().fit(part, rng=np.random.default_rng(0)).counts_
    failed = part.recorded & (part.member_score < 0.5)
    for i in range(4):
        for j in range(4):
            assert counts.both[i, j] == (part.recorded[:, i] & part.recorded[:, j]).sum()
            assert counts.both_wrong[i, j] == (failed[:, i] & failed[:, j]).sum()


def test_a_walk_goes_on_where_nobody_is_left_to_ask() -> None:
    part = holes(TRAIN, 0.5)
    part = part.take(part.recorded.any(axis=1))
    fitted_pool = FittedPool.fit(part, QUICK, rng=np.random.default_rng(0))
    observer = fitted_pool.observer
    found = walk(
        observer, part, fitted_pool.held_out, 0.01, unit_cost=fitted_pool.statistics.unit_cost
    )
    assert found.worth.shape == (4, part.n_queries)
    paid = part.cost.sum(axis=1) / fitted_pool.statistics.unit_cost
    assert found.cost[-1] == pytest.approx(paid, rel=1e-4)


@pytest.mark.slow
def test_queries_that_nothing_judges_teach_nothing() -> None:
    """Trained on a table that keeps them, Fusion is what it is without them."""
    judged = np.arange(100) % 2 == 0
    kept = replace(TRAIN, judged=judged)
    rng = np.random.default_rng
    fitted = RlFocal(QUICK).fit(kept, rng=rng(0))
    alone = RlFocal(QUICK).fit(TRAIN.take(judged), rng=rng(0))
    one, other = replay(fitted, TEST), replay(alone, TEST)
    assert (one.confidence == other.confidence).all()
    assert (one.chosen == other.chosen).all()


@pytest.mark.slow
def test_half_of_the_records_leave_the_confidence_honest() -> None:
    whole = RlFocal(QUICK).fit(TRAIN, rng=np.random.default_rng(0))
    half = RlFocal(QUICK).fit(holes(TRAIN, 0.5), rng=np.random.default_rng(0))
    sure = [float(replay(p.at(0.0), TEST).confidence.mean()) for p in (whole, half)]
    assert sure[1] == pytest.approx(sure[0], abs=0.15)
