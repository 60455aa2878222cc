"""Votes against hand counts, naive loops and the model whose optimum they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.deliberation.protocol import unmet
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.errors import ConfigError
from rlfocal.records import CandidateKind, PoolModel, build_table, simulate
from rlfocal.strategies.voting import (
    MeanProbability,
    Plurality,
    WeightedVote,
    WeightedVotePerTask,
    fit_vote_weights,
    rank_members,
    tally,
    vote_accuracy,
)


def _everything(table):
    asked = np.ones((table.n_queries, table.n_members), dtype=bool)
    return reveal(table, np.arange(table.n_queries), asked)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 7), st.booleans())
def test_tally_equals_a_loop(seed, n_members, n_slots, per_row):
    rng = np.random.default_rng(seed)
    answer = rng.integers(-1, n_slots, size=(5, n_members)).astype(np.int16)
    weight = rng.normal(size=(5, n_members) if per_row else n_members)
    expected = np.zeros((5, n_slots))
    for q in range(5):
        for n in range(n_members):
            if answer[q, n] >= 0:
                expected[q, answer[q, n]] += weight[q, n] if per_row else weight[n]
    np.testing.assert_allclose(tally(answer, weight, n_slots), expected, atol=1e-12)


def test_plurality_equals_a_loop_with_ties_to_the_best_member(make_table, rng):
    for kind in (CandidateKind.OPTIONS, CandidateKind.ANSWERS):
        train, test = make_table(kind, seed=1), make_table(kind, seed=2, n_queries=200)
        strategy = Plurality().fit(train, rng=rng)
        order = sorted(range(5), key=lambda n: -train.member_score[:, n].mean())
        chosen = []
        for row in test.answer.tolist():
            votes = [a for a in row if a >= 0]
            most = max((votes.count(a) for a in votes), default=0)
            leaders = (row[n] for n in order if row[n] >= 0 and votes.count(row[n]) == most)
            chosen.append(next(leaders, -1))
        outcome = replay(strategy, test)
        assert outcome.chosen.tolist() == chosen
        assert outcome.n_calls.tolist() == [5] * 200


def test_plurality_gives_shares_of_the_votes(make_table, rng):
    table = make_table(seed=3)
    fused = Plurality().fit(table, rng=rng).decide(_everything(table)).answer
    votes = tally(table.answer, np.ones(5), 4)
    np.testing.assert_allclose(
        fused, votes / np.maximum(votes.sum(axis=1, keepdims=True), 1), atol=1e-3
    )


def test_members_rank_by_accuracy_then_price(make_table):
    table = make_table(CandidateKind.RESPONSES)
    score = np.tile(np.array([0.2, 0.5, 0.5, 0.5, 0.9], dtype=np.float32), (60, 1))
    cost = np.tile(np.array([1, 3, 2, 2, 9], dtype=np.float32), (60, 1))
    answer = np.tile(np.arange(5, dtype=np.int16), (60, 1))
    support = (answer[:, :, None] == np.arange(5)).astype(np.float32)
    table = replace(table, candidate_score=score, cost=cost, answer=answer, support=support)
    assert rank_members(table).tolist() == [4, 2, 3, 1, 0]


def test_vote_accuracy_counts_given_answers_only(make_table):
    table = make_table(seed=5)
    for n in range(5):
        given = table.answer[:, n] >= 0
        right = table.member_score[given, n].sum()
        assert vote_accuracy(table)[n] == pytest.approx((right + 1) / (given.sum() + 2))


def _pool(accuracy, n_queries, seed, **model):
    rng = np.random.default_rng(seed)
    model = PoolModel(accuracy=[accuracy], **model)
    return build_table(simulate(model, n_queries, rng=rng))


def test_weights_are_log_odds_with_k_and_scale_from_the_data(rng):
    # Independent errors spread evenly over 3 wrong options: the true model has K = 4, scale 1.
    table = _pool([0.8, 0.6, 0.55, 0.5, 0.45], 20_000, seed=0, n_options=4)
    weight = fit_vote_weights(table, vote_accuracy(table))[0]
    p = vote_accuracy(table)
    slope, offset = np.polyfit(np.log(p / (1 - p)), weight, 1)
    assert slope == pytest.approx(1, abs=0.15)
    assert 2.5 <= np.exp(offset / slope) + 1 <= 6
    fused = WeightedVote().fit(table, rng=rng).decide(_everything(table)).answer
    # Calibrated: stated confidence is the accuracy.
    assert fused.max(axis=1).mean() == pytest.approx(
        replay(WeightedVote().fit(table, rng=rng), table).score.mean(), abs=0.02
    )


def test_the_weighted_vote_is_the_best_vote_where_members_differ(rng):
    train = _pool([0.9, 0.5, 0.45, 0.45, 0.45], 3000, seed=1, n_options=4, shared_distractor=0.8)
    test = _pool([0.9, 0.5, 0.45, 0.45, 0.45], 3000, seed=2, n_options=4, shared_distractor=0.8)
    weighted = replay(WeightedVote().fit(train, rng=rng), test).score.mean()
    plain = replay(Plurality().fit(train, rng=rng), test).score.mean()
    assert weighted > plain + 0.05
    assert weighted >= test.member_score[:, 0].mean() - 0.005


def test_per_task_weights_follow_the_task(rng):
    accuracy = [[0.9, 0.5, 0.5], [0.5, 0.9, 0.5]]
    tables = [
        build_table(simulate(PoolModel(accuracy=accuracy), 2000, rng=np.random.default_rng(s)))
        for s in (3, 4)
    ]
    per_task = WeightedVotePerTask().fit(tables[0], rng=rng)
    assert per_task.weight_[0].argmax() == 0
    assert per_task.weight_[1].argmax() == 1
    overall = replay(WeightedVote().fit(tables[0], rng=rng), tables[1]).score.mean()
    assert replay(per_task, tables[1]).score.mean() > overall + 0.04


def test_a_query_that_nobody_answers_gets_no_answer(make_table, rng):
    table = make_table(seed=6)
    silent = replace(
        table, answer=np.full_like(table.answer, -1), support=np.zeros_like(table.support)
    )
    for cls in (Plurality, WeightedVote, WeightedVotePerTask, MeanProbability):
        outcome = replay(cls().fit(table, rng=rng), silent)
        assert (outcome.chosen == -1).all()
        assert (outcome.confidence == 0).all()


def test_training_on_silent_members_gives_finite_weights(make_table):
    table = make_table(seed=6)
    silent = replace(
        table, answer=np.full_like(table.answer, -1), support=np.zeros_like(table.support)
    )
    assert np.isfinite(fit_vote_weights(silent, vote_accuracy(silent))).all()


def test_mean_probability_is_the_mean_over_those_who_answered(make_table, rng):
    table = make_table(seed=7, graded=True)
    fused = MeanProbability().fit(table, rng=rng).decide(_everything(table)).answer
    for q in range(table.n_queries):
        given = table.answer[q] >= 0
        expected = table.support[q][given].mean(axis=0) if given.any() else np.zeros(4)
        np.testing.assert_allclose(fused[q], expected, atol=1e-6)


def test_votes_need_answers_and_mean_probability_graded_supports(make_table):
    scores_only, plain = make_table(CandidateKind.RESPONSES), make_table()
    for cls in (Plurality, WeightedVote, WeightedVotePerTask, MeanProbability):
        assert unmet(cls(), scores_only) is not None
    assert unmet(MeanProbability(), plain) is not None
    assert unmet(MeanProbability(), make_table(graded=True)) is None
    assert unmet(WeightedVote(), plain) is None


@pytest.mark.parametrize("value", [0.0, -5.0, float("nan"), float("inf")])
def test_pseudo_counts_that_weigh_nothing_are_refused_before_any_work(value: float) -> None:
    with pytest.raises(ConfigError, match="weighted-vote-per-task: pseudo_counts must be finite"):
        WeightedVotePerTask.of({"pseudo_counts": value})
