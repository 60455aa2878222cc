"""A frozen policy follows drift through its memory, and moves little where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.replay import replay
from rlfocal.rl.adaptation import adapted, log_odds_shift
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.strategy import RlFocal
from rlfocal.strategies.protocol import Memory

CONFIG = RlFocalConfig(n_iterations=10, n_episodes=128, fusion_epochs=5, hidden=16)


def table_of(n_queries: int, seed: int) -> ResponseTable:
    accuracy = [[0.8, 0.75, 0.7, 0.65, 0.6], [0.6, 0.55, 0.5, 0.45, 0.4]]
    model = PoolModel(accuracy=accuracy, n_options=4)
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(seed)), encode=None)


def colluding(table: ResponseTable, seed: int) -> ResponseTable:
    """The two best members give the same wrong answer to every query."""
    rng = np.random.default_rng(seed)
    right = table.candidate_score.argmax(axis=1)
    wrong = (right + rng.integers(1, 4, size=len(right))) % 4
    answer = table.answer.copy()
    answer[:, :2] = wrong[:, None]
    return replace(table, answer=answer, support=np.eye(4, dtype=np.float32)[np.maximum(answer, 0)])


@pytest.fixture(scope="module")
def fitted() -> RlFocal:
    return RlFocal(CONFIG).fit(table_of(1000, 0), rng=np.random.default_rng(0)).at(0.005)


def memory_of(score: np.ndarray, task: int = 0) -> Memory:
    rows = len(score)
    return Memory(
        np.full(rows, task), np.zeros(score.shape, dtype=np.int16), score.astype(np.float32)
    )


def test_a_window_like_training_moves_nothing_and_a_broken_member_far() -> None:
    accuracy = np.array([[0.5, 0.8], [0.2, 0.8]], dtype=np.float32)
    score = np.zeros((100, 2))
    score[:50, 0] = score[:80, 1] = 1
    np.testing.assert_allclose(log_odds_shift(accuracy, memory_of(score)), 0, atol=1e-6)
    # On task 1 the first member was right on a fifth only: the same window is a gain there.
    gained = log_odds_shift(accuracy, memory_of(score, task=1))
    assert gained[0] > 1
    assert gained[1] == pytest.approx(0, abs=1e-6)
    score[:, 1] = 0
    assert log_odds_shift(accuracy, memory_of(score))[1] < -3


def test_a_member_never_asked_lately_keeps_its_trust() -> None:
    accuracy = np.array([[0.5, 0.8]], dtype=np.float32)
    score = np.zeros((50, 2))
    score[:, 1] = np.nan
    assert log_odds_shift(accuracy, memory_of(score))[1] == 0


def test_an_empty_memory_changes_no_decision(fitted: RlFocal) -> None:
    test = table_of(300, 1)
    nothing = Memory.of(test, 0)
    plain, empty = replay(fitted, test), replay(fitted, test, memory=nothing)
    eyes = adapted(fitted.foundation_, nothing)
    np.testing.assert_allclose(eyes.shift, 0)
    np.testing.assert_allclose(
        eyes.statistics.accuracy, fitted.foundation_.statistics.accuracy, atol=1e-6
    )
    if fitted.verdict.chosen == "learned":
        assert (plain.asked == empty.asked).mean() > 0.99


def test_colluders_lose_their_votes(fitted: RlFocal) -> None:
    clean, broken = table_of(1500, 2), colluding(table_of(1500, 2), 3)
    memory = Memory.of(colluding(table_of(100, 4), 5), 100)
    before = replay(fitted, clean).score.mean()
    frozen = replay(fitted, broken).score.mean()
    followed = replay(fitted, broken, memory=memory).score.mean()
    # Three honest members are left; the best that can be had of them is what a vote of them gets.
    rest = np.eye(4)[broken.answer[:, 2:]].sum(axis=1).argmax(axis=1)
    possible = broken.score_of(rest.astype(np.int16)).mean()
    assert frozen < before - 0.3
    assert followed > possible - 0.03


def test_without_drift_a_memory_costs_next_to_nothing(fitted: RlFocal) -> None:
    test = table_of(1500, 6)
    memory = Memory.of(table_of(100, 7), 100)
    plain, followed = replay(fitted, test), replay(fitted, test, memory=memory)
    assert followed.score.mean() > plain.score.mean() - 0.015
