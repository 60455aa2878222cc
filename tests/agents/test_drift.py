"""A frozen policy follows drift through its memory, and moves little where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.drift import adapted, find_drift
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Memory
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

pytestmark = pytest.mark.slow

CONFIG = RlFocalConfig(n_iterations=10, n_episodes=128, learn_from=1)
ACCURACY = [[0.8, 0.75, 0.7, 0.65, 0.6], [0.6, 0.55, 0.5, 0.45, 0.4]]


def table_of(n_queries: int, seed: int) -> ResponseTable:
    model = PoolModel(accuracy=ACCURACY, n_options=4)
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(seed)), encode=None)


def given(table: ResponseTable, answer: np.ndarray) -> ResponseTable:
    support = np.eye(4, dtype=np.float32)[np.maximum(answer, 0)] * (answer >= 0)[:, :, None]
    return replace(table, answer=answer.astype(np.int16), support=support.astype(np.float32))


def colluding(table: ResponseTable, seed: int) -> ResponseTable:
    """The two best members give the same wrong answer to every query."""
    rng = np.random.default_rng(seed)
    right = table.candidate_score.argmax(axis=1)
    answer = table.answer.copy()
    answer[:, :2] = ((right + rng.integers(1, 4, size=len(right))) % 4)[:, None]
    return given(table, answer)


def repeated(table: ResponseTable) -> ResponseTable:
    """The two worst members repeat the third, so that it has three votes."""
    answer = table.answer.copy()
    answer[:, 3:] = answer[:, 2:3]
    return given(table, answer)


@pytest.fixture(scope="module")
def fitted() -> RlFocal:
    return RlFocal(CONFIG).fit(table_of(1000, 0), rng=np.random.default_rng(0)).at(0.005)


def shift_of(policy: RlFocal, memory: Memory) -> np.ndarray:
    shift = adapted(policy.fitted_pool_, memory).observer.shift
    assert shift is not None
    return np.asarray(shift)


# Who has changed ----------------------------------------------------------------------------------


def window(n_right: list[int], n_queries: int = 100) -> np.ndarray:
    """float64[W, N]: member n is right on n_right[n] of the queries, spread evenly."""
    before, after = (
        np.floor((np.arange(n_queries)[:, None] + more) * np.array(n_right) / n_queries)
        for more in (0, 1)
    )
    return np.asarray(after - before)


def test_a_window_as_expected_moves_nothing_and_a_broken_member_far() -> None:
    expected = np.full((100, 2), 0.8)
    drift = find_drift(window([80, 80]), expected)
    assert (drift.chance < 0.05).all()
    np.testing.assert_allclose(drift.shift, 0, atol=0.05)
    assert (drift.since < 0.05).all()
    drift = find_drift(window([80, 10]), expected)
    assert drift.chance[0] < 0.05
    assert drift.chance[1] > 0.999
    # log-odds of .1 are 3.6 below those of .8
    assert drift.shift[1] == pytest.approx(-3.6, abs=0.4)
    assert drift.since[:, 1].max() < 0.05  # it was so from the first query on


def test_labels_from_before_a_change_no_longer_count() -> None:
    right = np.vstack([window([56, 56], 70), window([24, 0], 30)])
    drift = find_drift(right, np.full((100, 2), 0.8))
    assert drift.since[60, 1] > 0.99
    assert drift.since[75, 1] < 0.05
    assert drift.since[:, 0].max() < 0.05
    only_late = find_drift(right[70:], np.full((30, 2), 0.8))
    assert drift.shift[1] == pytest.approx(only_late.shift[1], abs=0.1)


def test_what_was_to_be_expected_is_a_matter_of_the_task() -> None:
    score = window([50, 80])
    assert abs(find_drift(score, np.full((100, 2), [0.5, 0.8])).shift[0]) < 0.05
    # On a task where the first member was right on a fifth only, the same window is a gain.
    assert find_drift(score, np.full((100, 2), [0.2, 0.8])).shift[0] > 1


def test_a_member_never_asked_lately_and_an_empty_window_say_nothing() -> None:
    score = window([10, 10])
    score[:, 1] = np.nan
    drift = find_drift(score, np.full((100, 2), 0.8))
    assert abs(drift.shift[1]) < 1e-9
    nothing = find_drift(np.zeros((0, 2)), np.zeros((0, 2)))
    assert nothing.since.shape == (0, 2)
    np.testing.assert_array_equal(nothing.shift, 0)
    np.testing.assert_array_equal(nothing.chance, 0)


def test_the_posterior_is_that_of_a_sum_over_all_changes() -> None:
    rng = np.random.default_rng(0)
    right, expected = (rng.random((4, 1)) < 0.3).astype(float), np.full((4, 1), 0.7)
    size, spread = np.linspace(-6, 6, 25), 1.5
    prior = np.exp(-((size / spread) ** 2) / 2)
    prior /= prior.sum()
    likelihood = np.zeros((4, 25))  # of a change of each size just before each query
    for start in range(4):
        for g, shift in enumerate(size):
            chance = expected.copy()
            chance[start:] = 1 / (1 + np.exp(-(np.log(0.7 / 0.3) + shift)))
            all_right = np.prod(np.where(right == 1, chance, 1 - chance))
            likelihood[start, g] = all_right * prior[g] * (0.02 if start == 0 else 1e-3)
    same = np.prod(np.where(right == 1, expected, 1 - expected))
    posterior = likelihood / (likelihood.sum() + same)
    drift = find_drift(right, expected)
    assert drift.chance[0] == pytest.approx(posterior.sum())
    assert drift.shift[0] == pytest.approx((posterior.sum(axis=0) * size).sum())
    assert drift.since[1, 0] == pytest.approx(posterior[2:].sum())


def test_labels_from_before_a_change_count_for_no_statistics(fitted: RlFocal) -> None:
    """Neither those of training, nor those of the window: the others keep both."""
    old, new = Memory.of(table_of(75, 8), 75), Memory.of(colluding(table_of(25, 9), 5), 25)
    prior, counts = fitted.fitted_pool_.prior.whole, fitted.fitted_pool_.prior.whole.counts_
    found = adapted(fitted.fitted_pool_, joined(old, new)).observer.prior.whole
    believed = 1 / (1 + np.exp(-found._pool_state.statistics.log_odds[-1]))
    assert (believed[:2] < 0.2).all()
    usual = counts.right[-1] / counts.known[-1]
    np.testing.assert_allclose(believed[2:], usual[2:], atol=0.1)
    # Who has not changed is known by all labels; pairs by the window as much as by training.
    assert found._pool_state.statistics.n_labels == pytest.approx(1100, abs=50)
    assert np.log1p(175) / 4 < found._pool_state.statistics.pair[2, 3, 6] < np.log1p(205) / 4
    assert prior._pool_state.statistics.n_labels == 1000


def joined(old: Memory, new: Memory) -> Memory:
    return Memory(
        np.concatenate([old.task, new.task]),
        np.concatenate([old.answer, new.answer]),
        np.concatenate([old.member_score, new.member_score]),
    )


# What a policy makes of it ------------------------------------------------------------------------


def test_an_empty_memory_changes_no_decision(fitted: RlFocal) -> None:
    test = table_of(300, 1)
    nothing = Memory.of(test, 0)
    plain, empty = replay(fitted, test), replay(fitted.follow(nothing), test)
    observer = adapted(fitted.fitted_pool_, nothing).observer
    np.testing.assert_allclose(shift_of(fitted, nothing), 0)
    assert observer.prior.whole is fitted.fitted_pool_.prior.whole
    assert observer.votes is fitted.fitted_pool_.votes
    if fitted.acting.name == "learned":
        assert (plain.asked == empty.asked).mean() > 0.99


def test_colluders_lose_their_votes(fitted: RlFocal) -> None:
    clean, broken = table_of(1500, 2), colluding(table_of(1500, 2), 3)
    memory = Memory.of(colluding(table_of(100, 4), 5), 100)
    before = replay(fitted, clean).score.mean()
    frozen = replay(fitted, broken).score.mean()
    followed = replay(fitted.follow(memory), broken).score.mean()
    # Three honest members are left; the best that can be had of them is what a vote of them gets.
    rest = np.eye(4)[broken.answer[:, 2:]].sum(axis=1).argmax(axis=1)
    possible = broken.score_of(rest.astype(np.int16)).mean()
    assert frozen < before - 0.3
    assert followed > possible - 0.03


def test_without_drift_a_memory_costs_next_to_nothing(fitted: RlFocal) -> None:
    test, memory = table_of(1500, 6), Memory.of(table_of(100, 7), 100)
    plain, followed = replay(fitted, test), replay(fitted.follow(memory), test)
    assert followed.score.mean() > plain.score.mean() - 0.015


def test_a_change_is_followed_before_it_fills_the_window(fitted: RlFocal) -> None:
    old, new = Memory.of(table_of(75, 8), 75), Memory.of(colluding(table_of(25, 9), 5), 25)
    late, whole = shift_of(fitted, joined(old, new)), shift_of(fitted, new)
    np.testing.assert_allclose(late[:2], whole[:2], atol=0.4)
    assert (late[:2] < -1).all()
    np.testing.assert_allclose(late[2:], 0, atol=0.4)


def test_members_that_repeat_another_share_its_vote(fitted: RlFocal) -> None:
    """Nobody's accuracy tells of it: the third member is as good as it was, the others better."""
    everybody, test = fitted.at(0), repeated(table_of(1500, 10))
    memory = Memory.of(repeated(table_of(100, 11)), 100)
    gained = replay(everybody.follow(memory), test).score.mean() - replay(everybody, test).score
    assert gained.mean() > 0.03


@pytest.mark.slow
def test_a_member_that_never_answered_in_training_is_trusted_once_labels_speak_for_it() -> None:
    silent = table_of(1000, 12).answer.copy()
    silent[:, 0] = -1
    policy = RlFocal(CONFIG).fit(given(table_of(1000, 12), silent), rng=np.random.default_rng(0))
    known = Memory.of(table_of(25, 13), 25)
    observer = adapted(policy.fitted_pool_, known).observer
    assert policy.fitted_pool_.statistics.accuracy[0] == 0
    odds = observer.prior.whole._pool_state.statistics.log_odds[-1, 0]
    assert abs(1 / (1 + np.exp(-odds)) - known.accuracy()[0]) < 0.3
    test = table_of(1500, 14)
    without, added = replay(policy, test), replay(policy.follow(known), test)
    assert added.asked[:, 0].mean() > without.asked[:, 0].mean() + 0.1
    assert added.score.mean() > without.score.mean()


def test_queries_that_nobody_got_right_say_nothing_of_votes(fitted: RlFocal) -> None:
    memory = Memory.of(table_of(60, 15), 60)
    lost = replace(memory, member_score=np.zeros_like(memory.member_score))
    shift = shift_of(fitted, lost)
    assert np.isfinite(shift).all()
    assert (shift < 0).all()  # by their accuracies alone
