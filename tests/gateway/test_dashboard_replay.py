"""What another price would have come to: played through logged requests, against the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged import logged
from stub_pool import recorded

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import replay
from rlfocal.gateway.dashboard.frontier import frontier
from rlfocal.gateway.dashboard.history import History
from rlfocal.gateway.store import FeedbackRow, RequestRow, Store, open_store
from rlfocal.live import FREE_WORDS
from rlfocal.records import ResponseTable

Pairs = list[tuple[RequestRow, FeedbackRow]]


@pytest.fixture(scope="module")
def checkpoint(trained_folder: Path) -> Checkpoint:
    return load_checkpoint(trained_folder)


@pytest.fixture(scope="module")
def table(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> ResponseTable:
    return checkpoint.table(recorded(tmp_path_factory)).take(np.arange(120))


@pytest.fixture(scope="module")
def strategy(checkpoint: Checkpoint) -> Base:
    return checkpoint.strategy


@pytest.fixture(scope="module")
def pairs(strategy: Base, table: ResponseTable) -> Pairs:
    return logged(strategy, table, policy="p1", begin=1_767_268_800.0)


@pytest.fixture
def memory_store(tmp_path: Path) -> Any:
    with open_store(str(tmp_path / "gateway.db")) as store:
        yield store


def found_in(store: Store, checkpoint: Checkpoint, pairs: Pairs) -> dict[str, Any]:
    with store.connections.write() as connection:
        for row, judgement in pairs:
            store.log.add_request(connection, row)
            store.log.put_feedback(connection, judgement)
    return frontier(store, History(store).read(), checkpoint, checkpoint.strategy, "p1")


@pytest.mark.slow
def test_what_is_played_through_is_what_would_have_happened(
    memory_store: Store,
    checkpoint: Checkpoint,
    strategy: Base,
    table: ResponseTable,
    pairs: Pairs,
) -> None:
    found = found_in(memory_store, checkpoint, pairs)
    assert (found["dial"], found["own"]) == ("price", strategy.price)
    assert found["replay"]["n"] == found["replay"]["n_as_served"] == table.n_queries
    served = replay(strategy, table)
    by_price = {one["price"]: one for one in found["replay"]["prices"]}
    assert strategy.price is not None
    assert len(by_price) == len(strategy.dials) + 1
    own = by_price[strategy.price]
    assert own["n"] == table.n_queries
    assert own["n_calls"] == own["served_n_calls"] == pytest.approx(served.n_calls.mean())
    assert own["accuracy"]["mean"] == pytest.approx(float(served.score.mean()))
    n_partial = 0
    for price in strategy.dials:
        truth = replay(strategy.at(price), table)
        known = ~(truth.asked & ~served.asked).any(axis=1) & (truth.chosen >= 0)
        one = by_price[price]
        assert one["n"] == known.sum(), price
        n_partial += 0 < one["n"] < table.n_queries
        if not one["n"]:
            continue
        assert one["n_calls"] == pytest.approx(truth.n_calls[known].mean())
        assert one["served_n_calls"] == pytest.approx(served.n_calls[known].mean())
        # An option that nobody gave has not been judged.
        judged = known & (served.asked & (table.answer == truth.chosen[:, None])).any(axis=1)
        assert known.sum() - 3 <= judged.sum() == one["accuracy"]["n"]
        for found_mean, outcome in ((one["accuracy"], truth), (one["served_accuracy"], served)):
            expected = float(outcome.score[judged].mean())
            assert found_mean["mean"] == pytest.approx(expected, abs=1e-6)
    assert n_partial, "some price has to ask others than were asked, or this shows little"


def test_requests_that_do_not_fit_are_left_out(
    memory_store: Store, checkpoint: Checkpoint, pairs: Pairs
) -> None:
    (first, _), (other, _), (words, _), (alone, _), (bare, _), (broken, _), (fine, said) = pairs[:7]
    trace = dict(words.trace or {})
    odd = [
        replace(first, policy="another"),
        replace(other, trace=dict(other.trace or {}) | {"price": 0.3}),
        replace(words, trace=trace | {"kind": FREE_WORDS}),
        replace(alone, trace=dict(alone.trace or {}) | {"circuit_open": ["hasty"]}),
        replace(bare, episode=None),
        replace(broken, episode={"version": 99}),
        fine,
    ]
    found = found_in(memory_store, checkpoint, [(row, said) for row in odd])
    assert found["replay"]["n"] == 1


def test_a_request_that_went_another_way_is_not_counted(
    memory_store: Store, checkpoint: Checkpoint, pairs: Pairs
) -> None:
    row, judgement = next(p for p in pairs if p[0].n_calls > 1)
    episode = dict(row.episode or {})
    # As if a limit had stopped it after the first call.
    episode |= {"states": episode["states"][:2], "decisions": episode["decisions"][:1]}
    found = found_in(memory_store, checkpoint, [(replace(row, episode=episode), judgement)])
    assert (found["replay"]["n"], found["replay"]["n_as_served"]) == (1, 0)
    assert found["replay"]["prices"] == []


def test_training_and_traffic_stand_beside_it(
    memory_store: Store, checkpoint: Checkpoint, strategy: Base, pairs: Pairs
) -> None:
    found = found_in(memory_store, checkpoint, pairs)
    assert strategy.price is not None
    assert found["dials"] == sorted({*strategy.dials, strategy.price})
    free = found["dials"].index(0.0)
    verdict = next(v for v in strategy.verdicts() if v["price"] == 0)
    assert found["training"][free]["acting"] == verdict["chosen"]
    both = {found["training"][free]["worth"], found["training"][free]["other_worth"]}
    assert both == {verdict["utility"], verdict["rival_utility"]}
    own = found["served"][found["dials"].index(strategy.price)]
    assert own["n"] == len(pairs)
    assert own["accuracy"]["mean"] == pytest.approx(np.mean([j.earned for _, j in pairs]))
    assert own["usd"] == pytest.approx(np.mean([r.usd for r, _ in pairs]))
    assert found["served"][free]["n"] == 0


def test_a_price_between_two_dials_is_shown_as_it_was_asked_for(
    memory_store: Store, checkpoint: Checkpoint, strategy: Base, table: ResponseTable, pairs: Pairs
) -> None:
    between = logged(strategy.at(0.02), table.take(np.arange(20)), policy="p2", begin=1_767_270_000)
    found = found_in(memory_store, checkpoint, [*pairs, *between])
    assert 0.02 not in strategy.dials
    place = found["dials"].index(0.02)
    assert found["served"][place]["n"] == 20
    assert found["served"][place]["usd"] == pytest.approx(np.mean([r.usd for r, _ in between]))
    assert sum(one["n"] for one in found["served"]) == len(pairs) + 20
    # What it would have come to on the requests that were served at the gateway's own price.
    (one,) = [one for one in found["replay"]["prices"] if one["price"] == 0.02]
    truth = replay(strategy.at(0.02), table)
    served = replay(strategy, table)
    known = ~(truth.asked & ~served.asked).any(axis=1) & (truth.chosen >= 0)
    assert one["n"] == known.sum() > 0
    each = truth.score[known].astype(float) - served.score[known]
    assert one["difference"]["mean"] == pytest.approx(each.mean(), abs=1e-6)
    half = 1.959964 * each.std(ddof=1) / np.sqrt(len(each))
    assert one["difference"]["high"] == pytest.approx(each.mean() + half, abs=1e-6)


def test_of_many_prices_the_most_frequent_stand_alone(
    memory_store: Store, checkpoint: Checkpoint, pairs: Pairs
) -> None:
    """Others count at the dial that is nearest, so that no request is counted nowhere."""
    prices = [0.011 + 0.001 * k for k in range(10)]
    many = [
        (replace(row, trace=dict(row.trace or {}) | {"price": prices[k % 10 if k < 60 else 0]}), j)
        for k, (row, j) in enumerate(pairs)
    ]
    found = found_in(memory_store, checkpoint, many)
    n_own = found["dials"].index(found["own"])
    assert len(found["dials"]) == len({*checkpoint.strategy.dials, found["own"]}) + 6
    assert found["served"][found["dials"].index(prices[0])]["n"] >= 66
    assert sum(one["n"] for one in found["served"]) == len(pairs)
    assert found["served"][n_own]["n"] == 0
