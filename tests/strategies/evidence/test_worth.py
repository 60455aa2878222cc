"""How far shifts are believed: what the votes say of them, and little where they say nothing."""

from __future__ import annotations

import numpy as np
import pytest
from told import told_pool

from rlfocal.strategies.evidence.worth import factor_of


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
