"""Statistics of a pool: counts by hand, additivity, shrinkage, and what moves with a member."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.agents.prior.statistics import Counts, Statistics, _failing_together

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
    assert found.both_right[0].tolist() == [2, 2, 1]
    assert (found.both_known == 4).all()
    assert found.right_beside.tolist() == [[2] * 3] * 3
    assert found.n_labels == 4


def test_counts_add_up():
    together = counts(slice(0, 1)).plus(counts(slice(1, 4)))
    for name, value in counts().__dict__.items():
        assert np.array_equal(together.__dict__[name], value), name
    assert np.array_equal(counts().plus(counts().times(0.5)).known, 1.5 * counts().known)


def test_a_share_of_a_members_queries_is_kept_and_of_a_pair_the_less():
    whole, part = counts(), counts().kept(np.array([1.0, 0.5, 0.0]))
    assert part.known[-1].tolist() == [4, 2, 0]
    assert part.right[0].tolist() == [2, 1, 0]
    assert part.answered.tolist() == [4, 1.5, 0]
    assert part.both.tolist() == [[4, 1.5, 0], [1.5, 1.5, 0], [0, 0, 0]]
    for name, value in whole.kept(np.ones(3)).__dict__.items():
        assert np.array_equal(value, whole.__dict__[name]), name
    few = whole.kept(np.full(3, 0.25)).__dict__
    assert all(
        np.array_equal(few[name], value) for name, value in whole.times(0.25).__dict__.items()
    )


def test_members_not_asked_and_answers_not_comparable_are_left_out():
    score = SCORE.copy()
    score[0, 0] = np.nan
    found = Counts.of(ANSWER, score, TASK, 2)
    assert found.known[-1].tolist() == [3, 4, 4]
    assert found.agree[0, 1] == 2
    assert found.both_known.tolist() == [[3, 3, 3], [3, 4, 4], [3, 4, 4]]
    assert found.right_beside.tolist() == [[1, 1, 1], [1, 2, 2], [2, 2, 2]]
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


# Failing together ---------------------------------------------------------------------------------


def together(score):
    """Of members with these scores float[Q, N] on one task; NaN where a member was not asked."""
    answer = np.where(np.isnan(score), -1, 0).astype(np.int16)
    score = np.asarray(score, dtype=np.float32)
    return _failing_together(Counts.of(answer, score, np.zeros(len(score), dtype=np.int64), 1))


def test_failing_together_by_hand():
    """Ten queries: the first fails on the first four, the second on the first two and one more."""
    score = np.ones((10, 2), dtype=np.float32)
    score[:4, 0] = 0
    score[[0, 1, 5], 1] = 0
    # Both are right on five of ten; .5 - .6 * .7 = .08, five labels of independence: 10 / 15.
    covariance = 0.08 * 10 / 15
    found = together(score)
    assert found[0, 1] == pytest.approx(covariance / 0.3)
    assert found[1, 0] == pytest.approx(covariance / 0.4)
    assert found[0, 0] == pytest.approx(0.24 * 10 / 15 / 0.4)


def test_with_many_labels_it_is_how_much_more_often_one_fails_where_the_other_does():
    rng = np.random.default_rng(0)
    hard = rng.random(5000) < 0.4
    score = (rng.random((5000, 3)) > np.where(hard, 0.7, 0.1)[:, None]).astype(np.float32)
    found, failed = together(score), 1 - score
    for i, j in ((0, 1), (2, 0)):
        where = failed[failed[:, j] == 1, i].mean()
        assert found[i, j] == pytest.approx(where - failed[:, i].mean(), abs=0.002)


def test_independent_members_have_none_of_it_and_copies_most():
    rng = np.random.default_rng(1)
    score = (rng.random((4000, 3)) < [0.6, 0.8, 0.5]).astype(np.float32)
    score = np.column_stack([score, score[:, 0]])
    found = together(score)
    independent = ~np.eye(4, dtype=bool)
    independent[0, 3] = independent[3, 0] = False
    assert np.abs(found[independent]).max() < 0.05
    assert found[0, 3] == pytest.approx(0.6, abs=0.03)  # where the copy fails, it surely does


def test_without_labels_and_of_members_that_never_fail_there_is_nothing_to_see():
    assert not _failing_together(Counts.none(2, 3)).any()
    assert not together(np.ones((30, 2))).any()
    rare = np.ones((1000, 2))
    rare[0] = 0  # one common failure is no habit: it counts as one in fifty at most
    assert together(rare).max() < 0.03


def test_queries_of_which_a_record_is_missing_count_for_those_recorded():
    rng = np.random.default_rng(2)
    hard = rng.random(4000) < 0.5
    score = (rng.random((4000, 3)) > np.where(hard, 0.8, 0.1)[:, None]).astype(np.float32)
    whole = together(score)
    holes = np.where(rng.random(score.shape) < 0.3, np.nan, score)
    np.testing.assert_allclose(together(holes), whole, atol=0.04)
    unknown = score.copy()
    unknown[:, 2] = np.nan
    found = together(unknown)
    np.testing.assert_allclose(found[:2, :2], whole[:2, :2], atol=1e-9)
    np.testing.assert_allclose(found[2], 0, atol=1e-9)
    np.testing.assert_allclose(found[:, 2], 0, atol=1e-9)


def test_who_is_asked_on_hard_queries_alone_does_not_seem_to_fail_with_others():
    """Of independent members the last is asked where the first failed: nothing follows of it."""
    rng = np.random.default_rng(3)
    score = (rng.random((4000, 3)) < 0.6).astype(np.float32)
    score[score[:, 0] == 1, 2] = np.nan
    found = together(score)
    assert np.abs(found[~np.eye(3, dtype=bool)]).max() < 0.05


def test_of_one_member_alone_it_is_its_own_successes():
    found = together(np.array([[1.0], [0.0]]))
    assert found[0, 0] == pytest.approx(0.25 * 2 / 7 / 0.5)


def test_the_fifth_statistic_of_a_pair_is_it():
    found = Statistics.of(counts(), EVEN)
    np.testing.assert_allclose(found.pair[:, :, 4], 4 * _failing_together(counts()), rtol=1e-6)
