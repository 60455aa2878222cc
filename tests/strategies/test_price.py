"""One scale for all: `at(price)` picks the setting that earned most in training, less its calls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from every_strategy import REFERENCES, every_strategy, fitted, installed, pool

from rlfocal.deliberation.base import Base, OneRound
from rlfocal.deliberation.protocol import Outcome, Spec
from rlfocal.deliberation.registry import create, create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import View
from rlfocal.features import HashingEncoder
from rlfocal.records import ResponseTable, build_table
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.routing import KnnRouter, LogisticRouter, RoutedVote
from rlfocal.strategies.sampled.consistency import SelfConsistency
from rlfocal.strategies.static import StaticSubset

from .conftest import _make_table

__all__ = ["installed"]

PRICES = (0.0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.5, 3.0)
DIALLED = {
    "agreement": {},
    "agreement, in pairs": {"members_per_round": 2, "order": "cost"},
    "agreement-capped": {},
    "static-subset": {},
    "routed-vote": {},
    "knn-router": {},
    "kmeans-router": {},
    "hiershrink-router": {},
    "logistic-router": {},
    "best-of-n": {},
    "score-cascade": {},
    "evidence-cascade": {},
}


def seeded() -> np.random.Generator:
    return np.random.default_rng(0)


def three_in_turn(n_queries: int = 120) -> ResponseTable:
    """Three members, each wrong on another fifth of the queries: any two right ones are a vote."""
    table = _make_table(n_queries=n_queries, n_members=3)
    wrong = (np.arange(n_queries) % 5)[:, None] == np.arange(3)
    answer = np.where(wrong, np.arange(3), 3).astype(np.int16)  # the last one: no tie finds it
    score = np.zeros_like(table.candidate_score)
    score[:, 3] = 1
    return replace(
        table,
        task=np.zeros(n_queries, dtype=np.int64),
        features=np.zeros((n_queries, 0), dtype=np.float32),
        candidate_score=score,
        answer=answer,
        support=(answer[:, :, None] == np.arange(table.n_candidates)).astype(np.float32),
        cost=np.ones_like(table.cost),
    )


def dear_and_cheap() -> ResponseTable:
    """The dear member, nine times the price of the other, is right .9 of the time; that one .6."""
    table = _make_table(n_queries=200, n_members=2)
    place = np.arange(200) % 10
    answer = np.stack([np.where(place < 9, 0, 1), np.where(place < 6, 0, 2)], axis=1)
    score = np.zeros_like(table.candidate_score)
    score[:, 0] = 1
    return replace(
        table,
        task=np.zeros(200, dtype=np.int64),
        features=np.zeros((200, 0), dtype=np.float32),
        candidate_score=score,
        answer=answer.astype(np.int16),
        support=(answer[:, :, None] == np.arange(table.n_candidates)).astype(np.float32),
        cost=np.tile(np.array([9, 1], dtype=np.float32), (200, 1)),
    )


def outcome_of(strategy: Base, table: ResponseTable) -> Outcome:
    if isinstance(strategy, SelfConsistency):
        return strategy.outcome(table)
    return replay(strategy, table)


def utility(strategy: Base, table: ResponseTable, price: float) -> float:
    found = outcome_of(strategy, table)
    score, cost = found.score.mean(dtype=np.float64), found.cost.mean(dtype=np.float64)
    return float(score - price * cost / table.call_cost())


@pytest.mark.parametrize(
    ("price", "threshold", "calls"), [(0.0, 0.5, 2.4), (0.14, 0.5, 2.4), (0.15, 0.0, 1.0)]
)
def test_agreement_by_hand(price: float, threshold: float, calls: float) -> None:
    """One call is right 4 times in 5, 2.4 calls always: worth it up to .2 / 1.4."""
    table = three_in_turn()
    found = Agreement().fit(table, rng=seeded()).at(price)
    assert (found.threshold, found.price, found.setting) == (threshold, price, threshold)
    assert replay(found, table).n_calls.mean() == pytest.approx(calls)


@pytest.mark.parametrize(("price", "size"), [(0.0, 3), (0.09, 3), (0.11, 1), (0.9, 1)])
def test_static_subset_and_routed_vote_by_hand(price: float, size: int) -> None:
    """Two members are right no more often than one, three always: worth it up to .2 / 2."""
    table = three_in_turn()
    subset = StaticSubset().fit(table, rng=seeded()).at(price)
    vote = RoutedVote().fit(table, rng=seeded()).at(price)
    assert (subset.max_size, vote.n_calls) == (size, size)
    assert subset.price == vote.price == price


@pytest.mark.parametrize(("price", "dear"), [(0.0, True), (0.18, True), (0.2, False)])
def test_a_router_reckons_in_average_calls(price: float, dear: bool) -> None:
    """The dear member earns .3 more for 8 / 5 of an average call: worth it up to .1875."""
    table = dear_and_cheap()
    found = LogisticRouter().fit(table, rng=seeded()).at(price)
    assert found.cost_weight == pytest.approx(price * 9 / 5)
    assert (replay(found, table).asked[:, 0] == dear).all()


@pytest.mark.parametrize("name", ["agreement", "agreement, in pairs"])
@pytest.mark.parametrize("price", PRICES)
def test_no_other_threshold_earns_more(name: str, price: float) -> None:
    table = _make_table(n_queries=150, n_members=6, seed=4)
    strategy = create_strategy(Spec("agreement", DIALLED[name])).fit(table, rng=seeded())
    best = max(utility(strategy.with_dial(dial), table, price) for dial in strategy.dials)
    assert utility(strategy.at(price), table, price) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("price", PRICES)
def test_no_other_number_of_samples_earns_more(price: float) -> None:
    table = _make_table(n_queries=150, seed=4, graded=True)
    reference = SelfConsistency().fit(table, rng=seeded())
    best = max(utility(reference.with_dial(dial), table, price) for dial in reference.dials)
    assert utility(reference.at(price), table, price) == pytest.approx(best, abs=1e-6)


def test_what_every_setting_earned_is_as_its_replay_says() -> None:
    table = _make_table(n_queries=150, n_members=6, seed=5)
    for strategy in (Agreement(), StaticSubset()):
        strategy.fit(table, rng=seeded())
        for setting, score, cost in strategy.measured_:
            found = replay(strategy.with_dial(setting), table)
            assert score == pytest.approx(found.score.mean(), abs=1e-6)
            assert cost == pytest.approx(found.cost.mean() / table.call_cost(), abs=1e-5)


@pytest.mark.parametrize("name", DIALLED)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_higher_price_never_buys_more(name: str, seed: int) -> None:
    table = _make_table(n_queries=150, n_members=6, seed=seed, replies=True)
    table = replace(table, cost=np.tile(np.linspace(2, 0.5, 6, dtype=np.float32), (150, 1)))
    strategy = create_strategy(Spec(name.split(",")[0], DIALLED[name])).fit(table, rng=seeded())
    prices = [p for p in PRICES if strategy.dial != "price" or p <= 0.3]
    cost = [float(replay(strategy.at(price), table).cost.mean()) for price in prices]
    assert (np.diff(cost) <= 1e-6).all()
    assert cost[-1] < cost[0]


def test_the_setting_itself_has_no_price() -> None:
    table = three_in_turn()
    priced = Agreement().fit(table, rng=seeded()).at(0.05)
    pinned = priced.with_dial(0.7)
    assert (pinned.threshold, pinned.price, pinned.setting) == (0.7, None, 0.7)
    assert (priced.threshold, priced.price) == (0.5, 0.05)


@pytest.mark.parametrize("price", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("make", [Agreement, KnnRouter])
def test_what_is_no_price_is_refused(make: type[Base], price: float) -> None:
    strategy = make().fit(_make_table(), rng=seeded())
    with pytest.raises(ValueError, match="the price of a call must be finite and >= 0"):
        strategy.at(price)


class Unmeasured(OneRound):
    """A strategy of somebody else's, whose fit does not measure its dial."""

    name = "unmeasured"
    dial = "size"
    size = 2.0

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Unmeasured:
        return self

    def fuse(self, view: View) -> np.ndarray:
        return np.zeros(view.available.shape, dtype=np.float32)


def test_a_dial_that_was_not_measured_takes_no_price_and_says_so() -> None:
    strategy = Unmeasured().fit(_make_table(), rng=seeded())
    with pytest.raises(ValueError, match=r"unmeasured takes no price: .* set 'size' itself"):
        strategy.at(0.02)
    assert strategy.with_dial(3).size == 3


@pytest.mark.usefixtures("installed")
@every_strategy
def test_every_strategy_takes_a_price_and_keeps_it_through_a_checkpoint(name: str) -> None:
    train, test = (build_table(pool(*at), encode=HashingEncoder(32)) for at in ((0, 120), (1, 60)))
    strategy = fitted(name, train)
    again = create_strategy(strategy.spec).restore(strategy.state())
    for price in (0.0, 0.02, 0.2):
        one, two = strategy.at(price), again.at(price)
        assert one.price == two.price
        assert (one is strategy) == (not strategy.dial)
        assert one.setting == two.setting
        first, second = replay(one, test), replay(two, test)
        assert np.array_equal(first.asked, second.asked)
        assert np.array_equal(first.chosen, second.chosen)


@pytest.mark.parametrize("name", REFERENCES)
def test_points_of_comparison_take_a_price_as_well(name: str) -> None:
    table = _make_table(graded=True)
    reference = create(name).fit(table, rng=seeded())
    for price in (0.0, 0.02, 0.2):
        assert reference.at(price).outcome(table).n_calls.sum() > 0
