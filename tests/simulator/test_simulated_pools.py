"""Simulated pools are what was drawn, reproducible, and fit for every strategy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rlfocal.deliberation.replay import replay
from rlfocal.records import CandidateKind
from rlfocal.simulator import draw_answers, draw_pool, summarise, to_table
from rlfocal.simulator.ranges import draw_size
from rlfocal.strategies.agreement import Agreement

every_kind = pytest.mark.parametrize("is_open", [True, False])


def drawn(seed, n_queries=300, **kind):
    rng = np.random.default_rng(seed)
    spec = draw_pool(rng, **kind)
    return spec, draw_answers(spec, n_queries, rng=rng)


@every_kind
@pytest.mark.parametrize("seed", range(4))
def test_accuracies_come_out_as_drawn(is_open, seed):
    """Of the answers given, over the whole stream: up to the noise of 4,000 draws."""
    spec, pool = drawn(seed, 4000, n_members=6, is_open=is_open)
    given = pool.answer >= 0
    found = pool.member_score.sum(axis=0) / given.sum(axis=0)
    error = np.sqrt(spec.accuracy * (1 - spec.accuracy) / given.sum(axis=0))
    assert (np.abs(found - spec.accuracy) < 4 * error).all()


@every_kind
def test_a_seed_reproduces_every_array(is_open):
    for first, second in zip(
        drawn(5, is_open=is_open, graded=True)[1],
        drawn(5, is_open=is_open, graded=True)[1],
        strict=True,
    ):
        assert np.array_equal(first, second)


@every_kind
@pytest.mark.parametrize("graded", [True, False])
def test_every_pool_is_a_consistent_synthetic_table(is_open, graded):
    """Building the table checks supports, answers and candidates against one another."""
    for seed in range(6):
        spec, pool = drawn(seed, 60, is_open=is_open, graded=graded)
        table = to_table(pool)
        assert table.synthetic
        assert table.has_graded_support == graded
        assert (table.kind == (CandidateKind.ANSWERS if is_open else CandidateKind.OPTIONS)).all()
        assert table.n_members == spec.n_members
        assert np.array_equal(table.member_score, pool.member_score)
        assert ((table.candidate_score > 0).sum(axis=1) <= 1).all()


def test_strategies_run_on_it():
    _, pool = drawn(3, n_members=5)
    table = to_table(pool)
    outcome = replay(Agreement().fit(table, rng=np.random.default_rng(0)), table)
    assert (outcome.n_calls >= 1).all()


def test_graded_support_puts_most_on_the_answer():
    _, pool = drawn(1, is_open=True, graded=True)
    answered = pool.answer >= 0
    rows, members = np.nonzero(answered)
    own = pool.support[rows, members, pool.answer[rows, members]]
    assert np.allclose(own, pool.support[rows, members].max(axis=1))


def test_only_the_last_queries_have_supports_where_so_asked():
    rng = np.random.default_rng(0)
    pool = draw_answers(draw_pool(rng), 50, rng=rng, n_graded=8)
    assert len(pool.support) == 8
    with pytest.raises(ValueError, match="n_graded=None"):
        to_table(pool)


def test_copies_err_together_and_others_less():
    rng = np.random.default_rng(0)
    spec = draw_pool(rng, n_members=6, is_open=True, graded=False)
    spec = dataclasses.replace(
        spec, accuracy=np.full(6, 0.6), family=np.array([0, 0, 0, 1, 2, 3]),
        copying=np.array([0.95, 0.95, 0.95, 0, 0, 0]), difficulty_slope=np.ones(6),
        topic_skill=np.zeros((1, 6)), task_skill=np.zeros_like(spec.task_skill),
        drift=np.zeros(6), abstain=np.zeros(6),
    )  # fmt: skip
    wrong = 1 - draw_answers(spec, 3000, rng=rng).member_score
    correlation = np.corrcoef(wrong.T)
    assert correlation[:3, :3][np.triu_indices(3, 1)].min() > 0.75
    assert correlation[3:, 3:][np.triu_indices(3, 1)].max() < 0.75


def test_drifting_members_change_along_the_stream():
    rng = np.random.default_rng(0)
    spec = draw_pool(rng, n_members=4, is_open=False)
    spec = dataclasses.replace(
        spec, accuracy=np.full(4, 0.6), drift=np.array([3.0, -3.0, 0, 0]), drift_is_sudden=True
    )
    score = draw_answers(spec, 2000, rng=rng).member_score
    gained = score[1000:].mean(axis=0) - score[:1000].mean(axis=0)
    assert gained[0] > 0.1
    assert gained[1] < -0.1
    assert np.abs(gained[2:]).max() < 0.08


def test_sizes_lie_in_2_to_48_and_mostly_in_3_to_24():
    rng = np.random.default_rng(0)
    size = np.array([draw_size(rng) for _ in range(2000)])
    assert size.min() >= 2
    assert size.max() > 40
    assert size.max() <= 48
    assert np.mean((size >= 3) & (size <= 24)) > 0.8
    with pytest.raises(ValueError, match=r"2\.\.48"):
        draw_pool(rng, n_members=1)


def test_the_summary_by_hand():
    """Three members, two queries: the vote is right once, the best single member always."""
    _, pool = drawn(0, 2, n_members=3, is_open=False)
    pool = pool._replace(
        answer=np.array([[0, 0, 1], [0, 1, 1]], dtype=np.int16),
        exists=np.ones((2, 2), dtype=bool),
        worth=np.array([[1, 0], [1, 0]], dtype=np.float32),
        support=np.eye(2, dtype=np.float32)[np.array([[0, 0, 1], [0, 1, 1]])],
        task=np.zeros(2, dtype=np.int64),
        cost=np.ones((2, 3), dtype=np.float32),
    )
    found = summarise(to_table(pool))
    assert found.mean_accuracy == pytest.approx(0.5)
    assert found.vote_gain == pytest.approx(-0.5)
    assert found.oracle_gain == pytest.approx(0)
    assert found.same_wrong == pytest.approx(1)
    assert found.n_distinct == pytest.approx(2)
    assert found.abstention == 0
