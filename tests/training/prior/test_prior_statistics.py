"""Statistics of a pool: counts by hand, additivity, shrinkage, and what moves with a member."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.agents.prior.statistics import Counts, Statistics

ANSWER = np.array([[0, 0, 1], [1, 1, 1], [0, -1, 2], [2, 2, 0]], dtype=np.int16)
SCORE = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 0], [0, 0, 1]], dtype=np.float32)
TASK = np.array([0, 0, 1, 1])
EVEN = np.ones(3, dtype=np.float32)


def counts(rows=slice(None)):
    return Counts.of(ANSWER[rows], SCORE[rows], TASK[rows], 2)


def test_counts_by_hand():
    found = counts()
    assert found.known.tolist() == [[2, 2, 2], [2, 2, 2], [4, 4, 4]]
    assert found.right.tolist() == [[2, 2, 1], [0, 0, 1], [2, 2, 2]]
    assert found.answered.tolist() == [4, 3, 4]
    assert found.both[0].tolist() == [4, 3, 4]
    assert found.agree[0].tolist() == [4, 3, 1]
    assert found.agree_right[0].tolist() == [2, 2, 1]
    assert found.both_wrong[0].tolist() == [2, 1, 1]
    assert found.n_labels == 4


def test_counts_add_up():
    together = counts(slice(0, 1)).plus(counts(slice(1, 4)))
    for name, value in counts().__dict__.items():
        assert np.array_equal(together.__dict__[name], value), name
    assert np.array_equal(counts().plus(counts(), weight=0.5).known, 1.5 * counts().known)


def test_members_not_asked_and_answers_not_comparable_are_left_out():
    score = SCORE.copy()
    score[0, 0] = np.nan
    found = Counts.of(ANSWER, score, TASK, 2)
    assert found.known[-1].tolist() == [3, 4, 4]
    assert found.agree[0, 1] == 2
    apart = Counts.of(ANSWER, SCORE, TASK, 2, comparable=TASK == 0)
    assert apart.known[-1].tolist() == [4, 4, 4]
    assert apart.both[0, 2] == 2


def test_without_labels_all_members_are_alike():
    found = Statistics.of(Counts.none(2, 4), np.ones(4, dtype=np.float32))
    assert np.isfinite(found.member).all()
    assert np.isfinite(found.pair).all()
    assert (found.member == found.member[0]).all()
    assert (found.log_odds == found.log_odds[0, 0]).all()
    assert found.n_labels == 0


def test_few_labels_move_accuracies_little_and_many_fully():
    def right(times):
        answer = np.zeros((times, 2), dtype=np.int16)
        score = np.tile(np.array([[1, 0]], dtype=np.float32), (times, 1))
        made = Counts.of(answer, score, np.zeros(times, dtype=np.int64), 1)
        return Statistics.of(made, np.ones(2, dtype=np.float32)).log_odds[-1]

    assert right(1)[0] < 1.5 < 3 < right(500)[0]
    assert right(500)[1] < -3


def test_statistics_move_with_their_member():
    order = [2, 0, 1]
    first = Statistics.of(counts(), EVEN)
    second = Statistics.of(Counts.of(ANSWER[:, order], SCORE[:, order], TASK, 2), EVEN)
    np.testing.assert_allclose(second.member, first.member[order], rtol=1e-5)
    np.testing.assert_allclose(second.pair, first.pair[order][:, order], rtol=1e-5)
    assert second.log_odds == pytest.approx(first.log_odds[:, order])
