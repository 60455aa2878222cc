"""The gymnasium adapter keeps gymnasium's rules and pays what `PoolEnv` pays."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rlfocal.agents.config import Rounds
from rlfocal.records import PoolModel, build_table, simulate
from rlfocal.simulator.known import KnownPool
from rlfocal.strategies.voting import WeightedVote
from rlfocal.training.environment import PoolEnv
from rlfocal.training.gym_adapter import PoolGymEnv

N_MEMBERS = 3
STOP = N_MEMBERS
WAYS = [None, Rounds(0.05), Rounds(0.0, 1), Rounds(0.05, 2)]


@pytest.fixture(scope="module")
def table():
    accuracy = [[0.9, 0.6, 0.4], [0.8, 0.7, 0.5]]
    model = PoolModel(accuracy=accuracy, cost_usd=[2.0, 1.0, 1.0])
    return build_table(simulate(model, 100, rng=np.random.default_rng(0)), encode=None)


@pytest.fixture(scope="module")
def vote(table):
    return WeightedVote().fit(table, rng=np.random.default_rng(0))


@pytest.fixture
def env(table, vote):
    return PoolGymEnv(table, vote, price=0.04, unit_cost=1.0)


@pytest.mark.parametrize("rounds", WAYS)
@pytest.mark.parametrize("price", [0.04, (0.001, 0.3), (0.001, 1.0), 1.0])
def test_gymnasium_finds_no_fault(table, vote, price, rounds):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = PoolGymEnv(table, vote, price=price, rounds=rounds)
        check_env(env, skip_render_check=True)


def test_rewards_by_hand(env, table):
    for row in range(20):
        env.reset(options={"row": row})
        assert env.step(0)[1] == pytest.approx(-0.08)
        assert env.step(0)[1] == pytest.approx(-0.08)  # again: costs, reveals nothing
        assert env.step(1)[1] == pytest.approx(-0.04)
        _, reward, terminated, truncated, _ = env.step(STOP)
        assert (terminated, truncated) == (True, False)
        # The best member outweighs the second.
        assert reward == table.member_score[row, 0]


def test_stopping_first_earns_nothing_and_dawdling_is_cut(env, table):
    for row in range(table.n_queries):
        env.reset(options={"row": row})
        assert env.step(STOP)[1:4] == (0.0, True, False)
    env.reset(seed=1)
    ends = [env.step(2)[2:4] for _ in range(6)]
    assert ends == [(False, False)] * 5 + [(False, True)]


@pytest.mark.parametrize("rounds", WAYS)
def test_the_same_actions_earn_what_pool_env_pays(table, vote, rng, rounds):
    """Random actions, illegal ones among them, in both environments, over a range of prices."""
    gym = PoolGymEnv(table, vote, price=(0.01, 0.2), rounds=rounds)
    gym.reset(seed=0)
    native = PoolEnv(table, unit_cost=float(table.cost.mean()), rounds=rounds)
    prices = set()
    for _ in range(60):
        _, info = gym.reset()
        prices.add(info["price"])
        view = native.reset(np.array([info["row"]]), np.array([info["price"]]))
        while True:
            action = int(rng.integers(N_MEMBERS + 1))
            if native.ends()[0]:
                view = native.last_view(np.array([0]))
            best = vote.fuse(view).argmax(1) if view.answered.any() else np.array([-1])
            paid = native.step(np.array([action]), best)
            _, reward, terminated, truncated, _ = gym.step(action)
            assert reward == pytest.approx(float(paid.reward[0]), abs=1e-7)
            assert terminated == bool(paid.terminated[0])
            if terminated or truncated:
                break
            view = native.view()
    assert len(prices) == 60
    assert 0.01 <= min(prices) < 0.02
    assert 0.1 < max(prices) <= 0.2


def test_observation_by_hand(env, table, vote):
    """Asked, answered, agreement, task, top three, log lambda; members who disagree are shown."""
    rows = np.flatnonzero((table.task == 1) & (table.answer[:, 0] != table.answer[:, 1]))
    first, _ = env.reset(options={"row": int(rows[0])})
    assert first.dtype == np.float32
    assert first[-1] == pytest.approx(np.log(0.04))
    assert first[:-1].tolist() == [0] * 9 + [0, 1] + [0] * 3
    env.step(0)
    seen, *_ = env.step(1)
    assert seen[:3].tolist() == seen[3:6].tolist() == [1, 1, 0]
    assert seen[6:9].tolist() == [1, 0, 0]  # the best member leads, the second disagrees
    top = seen[11:14]
    assert top[0] > top[1] >= top[2] > 0
    repeated, *_ = env.step(1)
    assert np.array_equal(repeated, seen)


def test_pending_members_and_rounds_left_come_first(table, vote):
    row = int(np.flatnonzero(table.answer[:, 0] != table.answer[:, 1])[0])
    env = PoolGymEnv(table, vote, price=0.04, unit_cost=1.0, rounds=Rounds(0.5, 2))
    first, _ = env.reset(options={"row": row})
    assert first[: N_MEMBERS + 1].tolist() == [0, 0, 0, 1]
    seen, reward, *_ = env.step(1)
    assert reward == pytest.approx(-0.54)
    assert seen[: N_MEMBERS + 1].tolist() == [0, 1, 0, 1]
    assert (seen[N_MEMBERS + 1 :] == first[N_MEMBERS + 1 :]).all()  # nothing is revealed
    seen, reward, terminated, *_ = env.step(STOP)
    assert (reward, terminated) == (0, False)
    assert seen[: 2 * N_MEMBERS + 1].tolist() == [0, 0, 0, 0.5, 0, 1, 0]
    env.step(0)
    _, reward, terminated, *_ = env.step(STOP)
    # The best member outweighs the second: the answer is fused from what the last round brings.
    assert (reward, terminated) == (table.member_score[row, 0], True)


def test_the_observation_tells_nothing_of_members_not_asked(table, vote):
    """Other answers of the third member: the same observations until it is asked."""
    answer = table.answer
    one = np.flatnonzero((answer[:, 0] == 0) & (answer[:, 1] == 1) & (table.task == 0))
    unlike = [r for r in one if answer[r, 2] != answer[one[0], 2]]
    looks = []
    for row in (one[0], unlike[0]):
        env = PoolGymEnv(table, vote, price=0.04)
        looks.append([env.reset(options={"row": int(row)})[0], env.step(0)[0], env.step(1)[0]])
        looks[-1].append(env.step(2)[0])
    same = [np.array_equal(a, b) for a, b in zip(*looks, strict=True)]
    assert same == [True, True, True, False]


def test_the_seed_alone_decides_the_draws(table, vote):
    def draws(seed):
        env = PoolGymEnv(table, vote, price=(0.01, 0.2))
        return [env.reset(seed=seed)[1], *(env.reset()[1] for _ in range(5))]

    assert draws(3) == draws(3)
    assert draws(3) != draws(4)


@pytest.mark.parametrize("price", [0.0, 1.5, (0.2, 0.1), float("nan")])
def test_impossible_prices_are_refused(table, vote, price):
    with pytest.raises(ValueError, match="price must lie in"):
        PoolGymEnv(table, vote, price=price)


def test_unknown_rows_are_refused(env):
    with pytest.raises(ValueError, match=r"row must lie in 0\.\.99, got -1"):
        env.reset(options={"row": -1})


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


def test_an_answer_without_a_call_earns_nothing(table):
    env = PoolEnv(table, unit_cost=1.0)
    env.reset(np.arange(50), np.full(50, 0.1))
    step = env.step(np.full(50, 3), np.zeros(50, dtype=np.int64))
    assert (step.reward == 0).all()
    assert step.terminated.all()


@pytest.mark.parametrize("rounds", WAYS)
def test_gymnasium_finds_no_fault_where_members_read(rounds):
    table = KnownPool((0.7, 0.7), (0, 1), follows=0.9).draw(60, rng=np.random.default_rng(0))
    vote = WeightedVote().fit(table, rng=np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = PoolGymEnv(table, vote, price=0.04, rounds=rounds)
        check_env(env, skip_render_check=True)


def test_asking_a_reader_asks_those_first_whom_it_reads():
    table = KnownPool((0.7, 0.7), (0, 1), follows=0.9).draw(60, rng=np.random.default_rng(0))
    vote = WeightedVote().fit(table, rng=np.random.default_rng(0))
    env = PoolGymEnv(table, vote, price=0.04)
    env.reset(options={"row": 3})
    assert env.step(2)[1] == pytest.approx(-3 * 0.04)
    env.reset(options={"row": 3})
    env.step(0)
    assert env.step(2)[1] == pytest.approx(-2 * 0.04)
    in_rounds = PoolGymEnv(table, vote, price=0.04, rounds=Rounds(0.1))
    seen, _ = in_rounds.reset(options={"row": 3})
    seen, reward, *_ = in_rounds.step(2)
    assert reward == pytest.approx(-0.1 - 2 * 0.04)
    assert seen[:3].tolist() == [1, 1, 0]  # pending: the reader itself comes in the next round
    in_rounds.step(3)
    assert in_rounds.step(2)[1] == pytest.approx(-0.1 - 0.04)
