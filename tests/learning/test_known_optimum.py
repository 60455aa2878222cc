"""Learning on simulated pools whose best policy is known."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.records import PoolModel, build_table, simulate
from rlfocal.replay import replay
from rlfocal.rl.strategy import RlFocal

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rl_focal_finds_each_tasks_expert(seed):
    """One expert a task: the optimum asks it, and nobody else."""
    accuracy = np.full((4, 4), 0.4)
    np.fill_diagonal(accuracy, 0.95)
    rng = np.random.default_rng(seed)
    table = build_table(simulate(PoolModel(accuracy=accuracy.tolist()), 5000, rng=rng))
    train, test = table.take(np.arange(1500)), table.take(np.arange(1500, 5000))
    fitted = RlFocal().fit(train, rng=np.random.default_rng(seed)).at(0.05)
    outcome = replay(fitted, test)
    optimum = test.member_score[np.arange(test.n_queries), test.task].mean()
    assert outcome.score.mean() >= optimum - 0.01
    assert outcome.n_calls.mean() <= 1.1
