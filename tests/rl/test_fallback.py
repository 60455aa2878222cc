"""Never worse: rivals take over where the evidence says so, and survive a checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.everybody import Everybody
from rlfocal.rl.fallback import LEARNED, Fallback, Verdict, _Judged, _verdict
from rlfocal.rl.rivals import pack, unpack
from rlfocal.rl.strategy import RlFocal
from rlfocal.rl.threshold import Curve, PosteriorThreshold, Walk, nearest_price
from rlfocal.strategies.single import BestSingle, BestSinglePerTask

CONFIG = RlFocalConfig(n_iterations=4, n_episodes=64, fusion_epochs=3, hidden=8, learn_from=1)


def table_of(accuracy: list[list[float]], n_queries: int, seed: int = 0) -> ResponseTable:
    model = PoolModel(accuracy=accuracy, n_options=4)
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(seed)), encode=None)


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return table_of([[0.8, 0.7, 0.6, 0.5], [0.5, 0.6, 0.7, 0.8]], 400)


@pytest.fixture(scope="module")
def fitted(table: ResponseTable) -> RlFocal:
    return RlFocal(CONFIG).fit(table, rng=np.random.default_rng(0))


def judged(score: list[float], cost: float = 1.0, times: int = 1) -> _Judged:
    rows = np.array([score * times], dtype=np.float32)
    return _Judged(np.repeat(rows, 2, axis=0), np.full((2, rows.shape[1]), cost, dtype=np.float32))


@pytest.mark.parametrize(("times", "chosen"), [(1, LEARNED), (36, LEARNED), (40, "a")])
def test_a_rival_must_win_clearly(times: int, chosen: str) -> None:
    prices = np.array([0.1, 0.0], dtype=np.float32)
    found = {
        LEARNED: judged([1, 0, 1, 0], times=times), "a": judged([1, 0, 1, 1], times=times),
        "b": judged([0, 0, 0, 0], times=times), Everybody.name: judged([1, 1, 1, 0], 4, times),
        BestSinglePerTask.name: judged([0, 1, 1, 0], times=times),
    }  # fmt: skip
    verdict = _verdict(found, 0, prices, clear=0.005)
    # a leads by 1 / 4; its standard deviation is sqrt(3) / 4, over the square root of the queries.
    assert (verdict.chosen, verdict.rival, verdict.incumbent) == (chosen, "a", LEARNED)
    assert verdict.rival_utility - verdict.utility == pytest.approx(0.25)
    assert verdict.standard_error == pytest.approx(3**0.5 / 4 / (4 * times) ** 0.5)
    found["a"] = judged([0, 0, 1, 1], times=times)
    level = _verdict(found, 0, prices, clear=0.005)
    assert (level.chosen, level.rival_utility - level.utility) == (LEARNED, pytest.approx(0))


def test_without_a_price_ways_to_spare_calls_do_not_stand_against_everybody() -> None:
    prices = np.array([0.1, 0.0], dtype=np.float32)
    found = {
        LEARNED: judged([1, 1, 1, 1], times=40), Everybody.name: judged([1, 0, 1, 0], 4, 40),
        BestSingle.name: judged([1, 0, 1, 0], times=40),
        BestSinglePerTask.name: judged([1, 0, 0, 0], times=40),
    }  # fmt: skip
    assert _verdict(found, 1, prices).chosen == Everybody.name
    found[BestSinglePerTask.name] = judged([1, 1, 1, 1], times=40)
    verdict = _verdict(found, 1, prices)
    assert verdict.chosen == BestSinglePerTask.name
    assert "acts in place of everybody: +50.0" in verdict.explain()


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
    rival = fitted.fallback_.rivals[BestSinglePerTask.name]
    verdicts = tuple(v._replace(chosen=BestSinglePerTask.name) for v in fitted.fallback_.verdicts)
    acting = RlFocal(CONFIG).assemble(
        fitted.foundation_, fitted.decider_, Fallback(verdicts, fitted.fallback_.rivals)
    )
    one, two = replay(acting.at(0.02), table), replay(rival, table)
    assert np.array_equal(one.asked, two.asked)
    assert np.array_equal(one.chosen, two.chosen)
    assert acting.verdict.chosen == BestSinglePerTask.name


def test_arrays_hold_all_of_a_fallback(fitted: RlFocal, table: ResponseTable) -> None:
    again = unpack(pack(fitted.fallback_), fitted.foundation_, CONFIG)
    for one, two in zip(again.verdicts, fitted.fallback_.verdicts, strict=True):
        assert one[1:3] == two[1:3]
        assert one.rival == two.rival
        for figure in ("utility", "rival_utility", "standard_error"):
            assert getattr(one, figure) == pytest.approx(getattr(two, figure))
    assert set(again.rivals) == set(fitted.fallback_.rivals)
    for name, rival in again.rivals.items():
        one, two = (replay(r, table) for r in (rival, fitted.fallback_.rivals[name]))
        assert np.array_equal(one.asked, two.asked)
        assert np.array_equal(one.score, two.score)


def test_every_rival_can_act_on_an_unknown_task(fitted: RlFocal, table: ResponseTable) -> None:
    unknown = table.with_tasks(table.tasks[:1])
    assert (unknown.task == 1).any()
    unknown = replace(unknown, tasks=(*table.tasks, "(unknown)"), task=unknown.task * 2)
    for name, rival in fitted.fallback_.rivals.items():
        assert replay(rival, unknown).score.mean() > 0.4, name


def test_posterior_threshold_asks_less_where_calls_are_dearer(table: ResponseTable) -> None:
    strategy = PosteriorThreshold(CONFIG).fit(table, rng=np.random.default_rng(0))
    calls = [replay(strategy.at(price), table).n_calls.mean() for price in (0.3, 0.02, 0.001)]
    assert calls == sorted(calls)
    assert calls[0] < calls[-1]


def test_verdicts_explain_themselves() -> None:
    kept = Verdict(0.1, LEARNED, LEARNED, 0.8, "best-single", 0.79, 0.02)
    assert kept.explain() == (
        "learned acts; best-single in its place: -1.0 ± 2.0 points of utility out of fold"
    )


def test_between_prices_that_disagree_the_incumbent_acts(fitted: RlFocal) -> None:
    first, *rest = fitted.fallback_.verdicts
    rest = [v._replace(chosen=v.incumbent) for v in rest]
    fallback = Fallback((first._replace(chosen="best-single"), *rest), fitted.fallback_.rivals)
    assert fallback.verdict(first.price).chosen == "best-single"
    assert fallback.verdict(0.95 * first.price).chosen == LEARNED
    assert fallback.at(0.95 * first.price) is None


def test_other_prices_than_by_default_are_judged_and_restored(table: ResponseTable) -> None:
    config = CONFIG.model_copy(
        update={"price_min": 0.01, "price_max": 0.6, "default_price": 0.05, "n_iterations": 1}
    )
    found = RlFocal(config).fit(table, rng=np.random.default_rng(0))
    assert [v.price for v in found.fallback_.verdicts] == pytest.approx(found.dials)
    assert max(found.dials) == pytest.approx(0.6)
    again = unpack(pack(found.fallback_), found.foundation_, config)
    for name in found.fallback_.rivals:
        one, two = (f.rivals[name] for f in (found.fallback_, again))
        assert np.array_equal(replay(one, table).asked, replay(two, table).asked)
    for price in found.dials:
        replay(found.at(price), table)


def test_nothing_that_a_former_fit_saw_survives(fitted: RlFocal, table: ResponseTable) -> None:
    other = table_of([[0.3, 0.9, 0.3, 0.3], [0.3, 0.9, 0.3, 0.3]], 200, seed=3)
    fresh = RlFocal(CONFIG).fit(other, rng=np.random.default_rng(1))
    view = reveal(table, np.arange(20), np.ones((20, 4), dtype=bool))
    used = RlFocal(CONFIG).assemble(fitted.foundation_, fitted.decider_, fitted.fallback_)
    used.decide(view)
    used.assemble(fresh.foundation_, fresh.decider_, fresh.fallback_)
    np.testing.assert_array_equal(used.fuse(view), fresh.fuse(view))
