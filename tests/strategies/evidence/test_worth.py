"""How far shifts are believed: what the votes say of them, and little where they say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from told import told_pool

from rlfocal.strategies.evidence import worth
from rlfocal.strategies.evidence.worth import _not_worse, factor_of


def test_true_shifts_are_believed_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    told = told_pool(400, (1.2,) * 4, rng=rng)
    noise = rng.permutation(told.truth.ravel()).reshape(told.truth.shape)
    assert factor_of(told.table, told.truth, rng=rng) > 0.8
    assert factor_of(told.table, noise, rng=rng) < 0.05


def test_shifts_that_change_nothing_are_believed_as_before_anything_is_seen() -> None:
    told = told_pool(50, (1.0,) * 4, rng=np.random.default_rng(0))
    found = factor_of(told.table, np.zeros_like(told.truth), rng=np.random.default_rng(0))
    # Half a chance of nothing, the other half even over .1, .2, ... 1.
    assert found == pytest.approx(0.5 * 0.55, abs=1e-6)


def test_few_labels_move_belief_little() -> None:
    told = told_pool(6, (1.0,) * 4, rng=np.random.default_rng(7))
    found = factor_of(told.table, told.truth, rng=np.random.default_rng(0))
    assert 0.05 < found < 0.7


def test_shifts_that_lead_votes_astray_are_not_believed_for_their_likelihood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # They say which queries are hard, the same of all replies: sharper votes, none the wiser.
    told = told_pool(400, (0.0,) * 4, rng=np.random.default_rng(2))
    score = told.table.member_score.astype(np.float64)
    hard = np.repeat(score.mean(axis=1, keepdims=True) - score.mean(), 4, axis=1)
    found = factor_of(told.table, hard, rng=np.random.default_rng(0))
    monkeypatch.setattr(worth, "_not_worse", lambda gain: 1.0)
    by_likelihood = factor_of(told.table, hard, rng=np.random.default_rng(0))
    assert by_likelihood > 0.9
    assert found < 0.5


def test_a_loss_counts_the_more_the_less_it_can_be_chance() -> None:
    assert _not_worse(np.zeros(10)) == 1
    assert _not_worse(np.array([1.0, -1.0, 1.0])) == 1
    # Three lost of three moved: 3 / sqrt(3 + 1) = 1.5 deviations, 2 * 0.0668.
    assert _not_worse(np.array([-1.0, -1.0, -1.0, 0.0])) == pytest.approx(0.1336, abs=1e-3)
