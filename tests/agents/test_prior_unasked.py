"""Accuracies where a policy has chosen whom to ask, and a prior that begins without labels."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.agents.prior.statistics import Counts
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.agents.prior.unasked import as_if_all_were_asked, even_accuracy
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Memory
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate


def score_of(rng: np.random.Generator, n_queries: int) -> np.ndarray:
    """float32[Q, 3]: three members alike, on queries of which some are hard for all."""
    ease = rng.choice([0.3, 0.9], size=n_queries)
    return (rng.random((n_queries, 3)) < ease[:, None]).astype(np.float32)


def asked_late(score: np.ndarray) -> np.ndarray:
    """The same where the last member is asked only if the first two did not both do well."""
    seen = score.copy()
    seen[score[:, :2].sum(axis=1) == 2, 2] = np.nan
    return seen


def test_who_is_asked_on_hard_queries_alone_is_not_taken_for_worse() -> None:
    score = score_of(np.random.default_rng(0), 2000)
    seen = asked_late(score)
    truth, plain = score.mean(axis=0)[2], np.nanmean(seen, axis=0)[2]
    assert plain < truth - 0.15
    even = even_accuracy(seen)
    assert abs(even[2] - truth) < (truth - plain) / 2
    assert np.abs(even[:2] - score.mean(axis=0)[:2]).max() < 0.03


def test_the_order_of_members_and_queries_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    seen = asked_late(score_of(rng, 50))
    members, queries = rng.permutation(3), rng.permutation(50)
    assert even_accuracy(seen[queries][:, members]) == pytest.approx(even_accuracy(seen)[members])


def test_counts_of_complete_queries_stay_as_they_are() -> None:
    score = score_of(np.random.default_rng(2), 40)
    counts = Counts.of((1 - score).astype(np.int16), score, np.zeros(40, dtype=np.int64), 1)
    assert as_if_all_were_asked(counts, score) is counts
    moved = as_if_all_were_asked(counts, asked_late(score))
    assert (moved.known == counts.known).all()
    assert (moved.right >= 0).all()
    assert (moved.right <= moved.known).all()


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    """The first of three members is never right, the others nearly always."""
    model = PoolModel(accuracy=[[0.02, 0.9, 0.9]])
    return build_table(simulate(model, 200, rng=np.random.default_rng(3)))


def start(table: ResponseTable) -> RlFocalPrior:
    return RlFocalPrior().fit(table.take(np.zeros(0, dtype=np.int64)), rng=np.random.default_rng(0))


def chance(strategy: RlFocalPrior) -> np.ndarray:
    """Believed accuracies on the one task."""
    return strategy._pool_state.statistics.log_odds[0]


def test_one_judged_answer_moves_what_is_believed_of_those_asked(table: ResponseTable) -> None:
    now = start(table)
    assert np.ptp(chance(now)) == 0
    answer = np.array([[0, -1, -1]], dtype=np.int16)
    for worth in (0.0, 1.0):
        score = np.array([[worth, np.nan, np.nan]], dtype=np.float32)
        after = now.follow(Memory(np.zeros(1, dtype=np.int64), answer, score))
        moved = chance(after)[0] - chance(after)[1]
        assert moved < 0 if worth == 0 else moved > 0


def test_decisions_follow_what_was_judged(table: ResponseTable) -> None:
    """As a gateway does it: only those who were asked are judged, one query after another."""
    now = first = start(table)
    asked = np.zeros(table.answer.shape, dtype=bool)
    n = 30
    for k in range(n):
        asked[k] = replay(now, table.take(np.array([k]))).asked[0]
        known = Memory.of(table.take(np.arange(k + 1)), k + 1)
        score = np.where(asked[: k + 1], known.member_score, np.float32(np.nan))
        answer = np.where(asked[: k + 1], known.answer, np.int16(-1))
        now = first.follow(Memory(known.task, answer, score))
    rest = table.take(np.arange(n, table.n_queries))
    before, after = replay(first, rest), replay(now, rest)
    assert before.asked[:, 0].all()  # the first of equals
    assert after.asked[:, 0].mean() < 0.5
    assert after.score.mean() > before.score.mean() + 0.02
    assert after.n_calls.mean() < before.n_calls.mean()


def test_a_price_orders_equal_members(table: ResponseTable) -> None:
    cost = np.array([10.0, 1.0, 3.0], dtype=np.float32)
    priced = start(table).priced(cost)
    assert priced.ranking.tolist() == [1, 2, 0]
    assert priced.relative_cost_.mean() == pytest.approx(1)
    outcome = replay(priced, table)
    assert outcome.asked[:, 1].mean() > outcome.asked[:, 0].mean()
