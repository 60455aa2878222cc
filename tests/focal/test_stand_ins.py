"""Never worse: rivals take over where the evidence says so, and survive a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import check_state
from rlfocal.errors import CheckpointError
from rlfocal.focal.posterior_threshold import Curve, PosteriorThreshold, Walk, nearest_price
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.focal.stand_ins import LEARNED
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.strategies.single import BestSinglePerTask
from rlfocal.strategies.verdicts import Choice

pytestmark = pytest.mark.slow

CONFIG = RlFocalConfig(n_iterations=4, n_episodes=64, learn_from=1)


def table_of(accuracy: list[list[float]], n_queries: int, seed: int = 0) -> ResponseTable:
    model = PoolModel(accuracy=accuracy, n_options=4)
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(seed)), encode=None)


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return table_of([[0.8, 0.7, 0.6, 0.5], [0.5, 0.6, 0.7, 0.8]], 400)


@pytest.fixture(scope="module")
def fitted(table: ResponseTable) -> RlFocal:
    return RlFocal(CONFIG).fit(table, rng=np.random.default_rng(0))


def again_from_disk(strategy: RlFocal) -> RlFocal:
    return RlFocal(strategy.config).restore(strategy.state())


def test_thresholds_maximise_utility_like_a_naive_loop(rng: np.random.Generator) -> None:
    walked = Walk(*(rng.random((5, 40)).astype(np.float32) for _ in range(2)), np.tile(
        np.arange(1, 6, dtype=np.float32)[:, None], (1, 40)
    ))  # fmt: skip
    for price in (0.0, 0.02, 0.3):
        best = -np.inf
        for threshold in np.unique(np.append(walked.confidence, [0.0, 2.0])):
            total = 0.0
            for q in range(40):
                sure = np.flatnonzero(walked.confidence[:, q] >= threshold)
                k = sure[0] if len(sure) else 4
                total += walked.worth[k, q] - price * walked.cost[k, q]
            best = max(best, total / 40)
        score, cost = walked.outcome(Curve.of([walked]).best(0, price))
        # The grid of thresholds is coarser than all confidences met.
        assert best - 0.05 <= (score - price * cost).mean() <= best + 1e-6


def test_the_nearest_price_is_nearest_by_ratio_and_zero_stands_alone() -> None:
    prices = (0.3, 0.03, 0.003, 0.0)
    assert [nearest_price(prices, p) for p in (0.2, 0.1, 0.09, 0.001, 0.0)] == [0, 0, 1, 2, 3]


def test_at_price_zero_everybody_is_asked_at_once(fitted: RlFocal, table: ResponseTable) -> None:
    outcome = replay(fitted.at(0.0), table)
    assert (outcome.n_calls == 4).all()
    assert (outcome.n_rounds == 1).all()


def test_a_dominant_member_acts_alone(table: ResponseTable) -> None:
    pool = table_of([[0.95, 0.3, 0.3, 0.3]], 400)
    found = RlFocal(CONFIG).fit(pool, rng=np.random.default_rng(0))
    for price in (0.0, 0.01, 0.3):
        outcome = replay(found.at(price), pool)
        assert outcome.score.mean() >= pool.member_score[:, 0].mean() - 0.01


def test_a_rival_in_the_policys_place_is_replayed_exactly(
    fitted: RlFocal, table: ResponseTable
) -> None:
    rival = fitted.fallback_.candidates[BestSinglePerTask.name].strategy
    acting = ruled(fitted, BestSinglePerTask.name).at(0.02)
    one, two = replay(acting, table), replay(rival, table)
    assert np.array_equal(one.asked, two.asked)
    assert np.array_equal(one.chosen, two.chosen)
    assert acting.acting.name == BestSinglePerTask.name
    assert acting.acting.stands_in
    assert acting.alone().acting == (LEARNED, "a member has failed", False)


def ruled(strategy: RlFocal, name: str) -> RlFocal:
    """Somebody acts at every price."""
    verdicts = tuple(v._replace(chosen=name) for v in strategy.fallback_.verdicts)
    fallback = strategy.fallback_._replace(verdicts=verdicts)
    return RlFocal(CONFIG).assemble(strategy.fitted_pool_, strategy.decider_, fallback)


def test_another_decider_acts_where_it_has_learned_and_nowhere_else(fitted: RlFocal) -> None:
    prices = fitted.dials
    live = ruled(fitted, "stacking")
    learned = {
        float(np.float32(prices[5])): {prices[5]},  # as a log has it
        float(np.sqrt(prices[5] * prices[6])): {prices[5], prices[6]},
        0.0: {0.0},
    }
    for price, expected in learned.items():
        shadow = live.with_decider(live.decider_, [price])
        found = {v.price for v in shadow.fallback_.verdicts if v.chosen == LEARNED}
        assert found == expected


def test_a_rival_decides_by_chances_that_are_sure(fitted: RlFocal, table: ResponseTable) -> None:
    view = reveal(table, np.arange(20), np.zeros((20, 4), dtype=bool))
    rival = ruled(fitted, "stacking")
    assert (rival.decide(view).chance == [0.25, 0.25, 0.25, 0.25, 0]).all()
    assert (rival.chances(view) == [0.25, 0.25, 0.25, 0.25, 0]).all()
    found, chance = fitted.at(0.3).log_policy(view)[0], ruled(fitted, LEARNED).at(0.3).chances(view)
    np.testing.assert_allclose(np.exp(found), chance, rtol=1e-5)


def test_where_no_task_is_told_the_agents_decide(fitted: RlFocal, table: ResponseTable) -> None:
    """Rivals were judged on queries whose task was known."""
    view = reveal(table, np.arange(20), np.zeros((20, 4), dtype=bool))
    untold = np.arange(20) % 2 == 1
    mixed = replace(view, task=np.where(untold, len(table.tasks), view.task))
    every = replace(view, task=np.full(20, len(table.tasks)))
    rival, own = ruled(fitted, "stacking").at(0.01), ruled(fitted, LEARNED).at(0.01)
    found, told, alone = (rival.decide(v) for v in (mixed, view, every))
    for part, of_rival, of_agents, expected in zip(
        found, told, alone, own.decide(every), strict=True
    ):
        np.testing.assert_array_equal(of_agents, expected)
        np.testing.assert_array_equal(part[~untold], of_rival[~untold])
        np.testing.assert_allclose(part[untold], of_agents[untold], atol=1e-6)
    np.testing.assert_allclose(rival.chances(mixed), found.chance, atol=1e-6)


def test_arrays_hold_all_of_it(fitted: RlFocal, table: ResponseTable) -> None:
    again = again_from_disk(fitted)
    for one, two in zip(again.fallback_.verdicts, fitted.fallback_.verdicts, strict=True):
        assert (*one[1:3], one.rival) == (*two[1:3], two.rival)
        for figure in ("utility", "rival_utility", "standard_error"):
            assert getattr(one, figure) == pytest.approx(getattr(two, figure))
    rivals = fitted.fallback_.candidates
    assert set(again.fallback_.candidates) == set(rivals)
    for name, rival in again.fallback_.candidates.items():
        one, two = (replay(r.strategy, table) for r in (rival, rivals[name]))
        assert np.array_equal(one.asked, two.asked)
        assert np.array_equal(one.score, two.score)
    for price in (0.3, 0.01, 0.0):
        one, two = (replay(s.at(price).alone(), table) for s in (again, fitted))
        assert np.array_equal(one.asked, two.asked)
        np.testing.assert_allclose(one.confidence, two.confidence, atol=1e-6)


def test_a_strategy_says_what_its_arrays_are_like(fitted: RlFocal, table: ResponseTable) -> None:
    fits = (fitted, PosteriorThreshold(CONFIG).fit(table, rng=np.random.default_rng(0)))
    for strategy in fits:
        state, axes = strategy.state(), {"N": 4, "T": 3, "C": 4, "D": 0} | strategy.axes()
        rows = type(strategy).of(strategy.spec.settings).layout(state.keys())
        check_state(state, rows, axes)
        assert rows.keys() == state.keys()
        spoilt = state | {"statistics.task_accuracy": np.zeros((4, 4), dtype=np.float32)}
        with pytest.raises(CheckpointError, match="task_accuracy"):
            check_state(spoilt, rows, axes)


def test_every_rival_can_act_on_an_unknown_task(fitted: RlFocal, table: ResponseTable) -> None:
    unknown = table.with_tasks(table.tasks[:1])
    assert (unknown.task == 1).any()
    unknown = replace(unknown, tasks=(*table.tasks, "(unknown)"), task=unknown.task * 2)
    for name, rival in fitted.fallback_.candidates.items():
        assert replay(rival.strategy, unknown).score.mean() > 0.4, name


def test_posterior_threshold_asks_less_where_calls_are_dearer(table: ResponseTable) -> None:
    strategy = PosteriorThreshold(CONFIG).fit(table, rng=np.random.default_rng(0))
    calls = [replay(strategy.at(price), table).n_calls.mean() for price in (0.3, 0.02, 0.001)]
    assert calls == sorted(calls)
    assert calls[0] < calls[-1]


def test_a_threshold_goes_to_disk(table: ResponseTable) -> None:
    strategy = PosteriorThreshold(CONFIG).fit(table, rng=np.random.default_rng(0))
    again = PosteriorThreshold.of(strategy.spec.settings).restore(strategy.state())
    for price in (0.3, 0.01):
        one, two = (replay(s.at(price), table) for s in (strategy, again))
        assert np.array_equal(one.asked, two.asked)
        np.testing.assert_allclose(one.confidence, two.confidence, atol=1e-6)


def test_between_prices_that_disagree_the_incumbent_acts(fitted: RlFocal) -> None:
    first, *rest = fitted.fallback_.verdicts
    rest = [v._replace(chosen=v.incumbent) for v in rest]
    fallback = Choice((first._replace(chosen="best-single"), *rest), fitted.fallback_.candidates)
    assert fallback.verdict(first.price).chosen == "best-single"
    assert fallback.verdict(0.95 * first.price).chosen == LEARNED
    assert fallback.at(0.95 * first.price)[1] is None


@pytest.mark.slow
def test_other_prices_than_by_default_are_judged_and_restored(table: ResponseTable) -> None:
    config = CONFIG.model_copy(
        update={"price_min": 0.01, "price_max": 0.6, "default_price": 0.05, "n_iterations": 1}
    )
    found = RlFocal(config).fit(table, rng=np.random.default_rng(0))
    assert [v.price for v in found.fallback_.verdicts] == pytest.approx(found.dials)
    assert max(found.dials) == pytest.approx(0.6)
    again = again_from_disk(found)
    for price in found.dials:
        one, two = (replay(s.at(price), table) for s in (found, again))
        assert np.array_equal(one.asked, two.asked)


def test_nothing_that_a_former_fit_saw_survives(fitted: RlFocal, table: ResponseTable) -> None:
    other = table_of([[0.3, 0.9, 0.3, 0.3], [0.3, 0.9, 0.3, 0.3]], 200, seed=3)
    fresh = RlFocal(CONFIG).fit(other, rng=np.random.default_rng(1))
    view = reveal(table, np.arange(20), np.ones((20, 4), dtype=bool))
    used = RlFocal(CONFIG).assemble(fitted.fitted_pool_, fitted.decider_, fitted.fallback_)
    used.decide(view)
    used.assemble(fresh.fitted_pool_, fresh.decider_, fresh.fallback_)
    np.testing.assert_array_equal(used.decide(view).answer, fresh.decide(view).answer)
