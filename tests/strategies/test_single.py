"""One member: the best, the best per task, a random one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.records import CandidateKind
from rlfocal.strategies.single import BestSingle, BestSinglePerTask, RandomMember, task_accuracy


def _scored(make_table, score):
    """Score-only table in which every member answers and scores as given, float[Q, N]."""
    score = np.asarray(score, dtype=np.float32)
    table = make_table(CandidateKind.RESPONSES, n_queries=len(score), n_members=score.shape[1])
    answer = np.tile(np.arange(score.shape[1], dtype=np.int16), (len(score), 1))
    support = (answer[:, :, None] == np.arange(score.shape[1])).astype(np.float32)
    return replace(table, answer=answer, support=support, candidate_score=score)


def test_the_best_member_is_asked_once(make_table, rng):
    train, test = make_table(seed=1), make_table(seed=2)
    best = train.member_score.mean(axis=0).argmax()
    outcome = replay(BestSingle().fit(train, rng=rng), test)
    assert (outcome.asked == (np.arange(5) == best)).all()
    assert (outcome.n_rounds == 1).all()
    assert np.array_equal(outcome.score, test.member_score[:, best])


def test_where_the_member_fails_one_asked_in_its_place_answers(make_table, rng):
    """As live, where the next best is asked once the one wanted has failed."""
    table = make_table(seed=3)
    best = BestSingle().fit(table, rng=rng)
    other = (best.member_ + 1) % 5
    rows = np.flatnonzero((table.answer[:, best.member_] < 0) & (table.answer[:, other] >= 0))
    asked = np.isin(np.arange(5), [best.member_, other]) & np.ones((len(rows), 1), dtype=bool)
    view = reveal(table, rows, asked, n_rounds=np.full(len(rows), 2))
    assert len(rows)
    assert np.array_equal(best.decide(view).answer.argmax(axis=1), view.answer[:, other])


def test_equal_members_the_cheaper_one_is_taken(make_table, rng):
    table = _scored(make_table, np.ones((4, 3)))
    table = replace(table, cost=np.tile(np.array([3, 1, 2], dtype=np.float32), (4, 1)))
    assert BestSingle().fit(table, rng=rng).member_ == 1


def test_task_accuracy_by_hand(make_table):
    # Task 0: two queries, both right by member 0; task 1: two queries, both wrong by member 0.
    table = _scored(make_table, [[1, 0], [1, 0], [0, 1], [0, 0]])
    table = replace(table, task=np.array([0, 0, 1, 1]))
    expected = [[(2 + 2 * 0.5) / 4, (0 + 2 * 0.25) / 4], [(0 + 2 * 0.5) / 4, (1 + 2 * 0.25) / 4]]
    np.testing.assert_allclose(task_accuracy(table, pseudo_counts=2), expected, rtol=1e-6)
    unseen = replace(table, task=np.zeros(4, dtype=np.int64))
    np.testing.assert_allclose(task_accuracy(unseen)[1], [0.5, 0.25], rtol=1e-6)


def test_each_task_gets_its_member(make_table, rng):
    score = np.zeros((80, 3))
    task = np.arange(80) % 2
    score[task == 0, 2] = score[task == 1, 1] = 1
    table = replace(_scored(make_table, score), task=task)
    outcome = replay(BestSinglePerTask().fit(table, rng=rng), table)
    assert (outcome.asked.argmax(axis=1) == np.where(task == 0, 2, 1)).all()
    assert (outcome.n_calls == 1).all()
    assert outcome.score.mean() == 1


def test_random_members_are_drawn_evenly_and_repeatably(make_table):
    table = make_table(n_queries=2000)
    first = replay(RandomMember().fit(table, rng=np.random.default_rng(0)), table)
    again = replay(RandomMember().fit(table, rng=np.random.default_rng(0)), table)
    other = replay(RandomMember().fit(table, rng=np.random.default_rng(1)), table)
    assert np.array_equal(first.asked, again.asked)
    assert not np.array_equal(first.asked, other.asked)
    assert (first.n_calls == 1).all()
    np.testing.assert_allclose(first.asked.mean(axis=0), 0.2, atol=0.04)
    assert first.score.mean() == pytest.approx(table.member_score.mean(), abs=0.04)
