"""The gymnasium adapter keeps gymnasium's rules and pays what `PoolEnv` pays."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rlfocal.records import PoolModel, build_table, simulate
from rlfocal.rl.environment import PoolEnv
from rlfocal.rl.gym_adapter import PoolGymEnv
from rlfocal.strategies.voting import WeightedVote


@pytest.fixture(scope="module")
def table():
    model = PoolModel(accuracy=[[0.9, 0.6, 0.4]], cost_usd=[2.0, 1.0, 1.0])
    return build_table(simulate(model, 100, rng=np.random.default_rng(0)))


@pytest.fixture
def env(table):
    vote = WeightedVote().fit(table, rng=np.random.default_rng(0))
    return PoolGymEnv(table, vote.fuse, price=0.04, unit_cost=1.0)


def test_gymnasium_finds_no_fault(env):
    check_env(env, skip_render_check=True)


def test_rewards_by_hand(env, table):
    for row in range(20):
        env.reset(options={"row": row})
        assert env.step(0)[1] == pytest.approx(-0.08)
        assert env.step(0)[1] == pytest.approx(-0.08)  # again: costs, reveals nothing
        assert env.step(1)[1] == pytest.approx(-0.04)
        _, reward, terminated, truncated, _ = env.step(3)
        assert (terminated, truncated) == (True, False)
        # The best member outweighs the second.
        assert reward == table.member_score[row, 0]


def test_stopping_first_earns_nothing_and_dawdling_is_cut(env):
    env.reset(seed=1)
    assert env.step(3)[1:3] == (0.0, True)
    env.reset(seed=1)
    ends = [env.step(2)[2:4] for _ in range(6)]
    assert ends == [(False, False)] * 5 + [(False, True)]


def test_pool_env_refuses_wrong_decisions(table):
    env = PoolEnv(table, unit_cost=1.0)
    env.reset(np.arange(2), np.full(2, 0.1))
    with pytest.raises(ValueError, match=r"0\.\.3"):
        env.step(np.array([4, 0]), np.array([-1, -1]))
    with pytest.raises(ValueError, match="2 episodes are active"):
        env.step(np.array([0]), np.array([-1]))
    step = env.step(np.array([3, 1]), np.array([-1, -1]))
    assert step.terminated.tolist() == [True, False]
    assert env.active.tolist() == [1]
