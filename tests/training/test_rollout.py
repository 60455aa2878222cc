"""Rollouts: weights, and credit against that of decisions that are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlfocal.agents.config import RlFocalConfig, Rounds
from rlfocal.agents.decider import Critic, Decider
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.fusion import Fusion, PriorSignal
from rlfocal.agents.known import OutOfFold
from rlfocal.agents.learned import Learned
from rlfocal.agents.nets import seeded
from rlfocal.agents.observation import Observer
from rlfocal.agents.policy import likeliest
from rlfocal.agents.statistics import Competence, PoolStatistics
from rlfocal.deliberation.replay import replay
from rlfocal.records import PoolModel, build_table, simulate
from rlfocal.training.environment import PoolEnv
from rlfocal.training.rollout import observe, rollout

N, Q = 4, 200
ROUNDS = [None, Rounds(0.05), Rounds(0.0, 1), Rounds(0.02, 2)]


@pytest.fixture(scope="module", params=ROUNDS, ids=str)
def world(request):
    """Observer, agents, environment and knowledge of a small pool; the Decider stops at random."""
    rounds = request.param
    model = PoolModel(accuracy=[[0.8, 0.7, 0.6, 0.5]], cost_usd=[1.0, 2.0, 3.0, 4.0])
    table = build_table(simulate(model, Q, rng=np.random.default_rng(0)), encode=None)
    statistics = PoolStatistics.of(table)
    fusion = seeded(
        0,
        lambda: Fusion(
            torch.ones(2, 2, N),
            torch.zeros(2, 2),
            torch.zeros(2, 2, N, N),
            n_candidates=table.n_candidates,
        ),
    )
    sizes = {"hidden": 8, "gathered": rounds is not None}
    decider, critic = seeded(1, lambda: (Decider(N, 1, **sizes), Critic(N, 1, **sizes)))
    generator = torch.Generator().manual_seed(2)
    for head in (decider.member_head, decider.stop_head):
        torch.nn.init.normal_(head.weight, std=0.5, generator=generator)
    env = PoolEnv(table, unit_cost=statistics.unit_cost, rounds=rounds)
    held_out = OutOfFold(np.zeros((Q, N), dtype=np.float32), torch.zeros(Q, dtype=torch.int64))
    return (
        Observer(statistics, fusion, PriorSignal(), rounds=rounds),
        decider,
        critic,
        env,
        held_out,
    )


def roll(world, n_episodes, *, seed=0, price=0.05, drawn=False):
    observer, decider, critic, env, held_out = world
    rows = np.random.default_rng(0).integers(Q, size=n_episodes)
    generator = torch.Generator().manual_seed(seed)

    def drawing(observation):
        """Log-probabilities with the stop drawn: certain or out of the question."""
        log_prob = decider(observation).clone()
        log_prob[:, -1] = torch.bernoulli(log_prob[:, -1].exp(), generator=generator).log()
        return log_prob

    return rollout(
        observer, drawing if drawn else decider, critic, env, held_out, rows,
        np.full(n_episodes, price, dtype=np.float32), RlFocalConfig().ppo, generator=generator,
    )  # fmt: skip


@pytest.mark.parametrize("drawn", [False, True])
def test_weights_are_what_of_the_reach_asks_and_stops(world, drawn):
    batch, _ = roll(world, 300, drawn=drawn)
    whole = batch.weight.sum(1)
    judged = whole > 0
    torch.testing.assert_close(whole[judged], batch.reach[judged])
    assert (batch.reach[~judged] > 0).all()
    assert (batch.action[:, 1] == N).all()
    first = ~batch.observation.legal[:, N]  # nobody chosen yet
    assert (batch.weight[first] == torch.tensor([1.0, 0.0])).all()
    if drawn:
        assert set(batch.weight.flatten().tolist()) == {0.0, 1.0}
        assert judged.all()
    else:
        torch.testing.assert_close(
            batch.weight[judged, 1], (batch.reach * batch.log_prob[:, 1].exp())[judged]
        )


def test_stored_log_probabilities_are_the_deciders(world):
    batch, _ = roll(world, 100)
    with torch.no_grad():
        again = world[1].evaluate(batch.observation, batch.action)[0]
    taken = batch.weight > 0
    torch.testing.assert_close(again[taken], batch.log_prob[taken])


@pytest.mark.slow
def test_drawn_stops_have_the_same_outcome_and_gradient_in_the_mean_but_more_noise(world):
    """Plain advantage estimation, which draws what a rollout takes the exact share of."""

    def gradient(batch):
        decider = world[1]
        decider.zero_grad()
        log_prob = decider.evaluate(batch.observation, batch.action)[0]
        (log_prob * batch.weight * batch.advantage).nan_to_num().sum().div(n).backward()
        return torch.cat([decider.stop_head.weight.grad.flatten(), decider.stop_head.bias.grad])

    n = 400
    ways = (False, True)
    found = {drawn: [roll(world, n, drawn=drawn, seed=s) for s in range(40)] for drawn in ways}
    means, noise = {}, {}
    for way, rolls in found.items():
        each = torch.stack([gradient(batch) for batch, _ in rolls])
        means[way], noise[way] = each.mean(0), float(each.std(0).norm())
    error = float((means[False] - means[True]).norm())
    # Both means are noisy, the quiet one as well.
    assert error < 3 * float(np.hypot(*noise.values())) / 40**0.5
    assert noise[False] < 0.6 * noise[True]
    for figure in range(4):
        both = [np.mean([e[figure].mean() for _, e in found[way]]) for way in ways]
        assert both[0] == pytest.approx(both[1], abs=0.025)


def test_episodes_by_the_likeliest_decisions_are_a_replay_of_the_policy(world):
    """What the agents train in is what they are evaluated in."""
    observer, decider, _, env, held_out = world
    rows, price = np.arange(Q), np.full(Q, 0.05, dtype=np.float32)
    view, utility = env.reset(rows, price), np.zeros(Q)
    with torch.no_grad():
        while len(env.active):
            active = env.active
            seen, answer = observe(observer, env, held_out, view)
            utility[active] += env.step(likeliest(decider(seen.observation)).numpy(), answer).reward
            view = env.view()
    nothing = Competence(np.zeros((0, N), dtype=np.float32), np.zeros(N, dtype=np.float32))
    fitted_pool = FittedPool(observer.statistics, nothing, observer.fusion, PriorSignal(), held_out)
    most, mu = (env.rounds.most, env.rounds.price) if env.rounds else (None, 0.0)
    config = RlFocalConfig(max_rounds=most, round_price=mu)
    policy = Learned(config, fitted_pool, decider, price=0.05, observer=observer, held_out=held_out)
    found = replay(policy, env.table)
    np.testing.assert_array_equal(found.asked, env.asked)
    np.testing.assert_array_equal(found.n_rounds, env.n_rounds)
    charged = 0.05 * found.cost / observer.statistics.unit_cost + mu * found.n_rounds
    np.testing.assert_allclose(utility, found.score - charged, atol=1e-5)
    if most:
        assert env.n_rounds.max() == most


def test_the_utility_expected_is_that_of_episodes_played_one_by_one(world):
    """Shares of paths and branches against decisions drawn in the environment itself."""
    observer, decider, _, env, held_out = world
    _, expected = roll(world, 2000)
    rows = np.random.default_rng(0).integers(Q, size=20000)
    view = env.reset(rows, np.full(len(rows), 0.05, dtype=np.float32))
    generator, utility = torch.Generator().manual_seed(5), np.zeros(len(rows))
    with torch.no_grad():
        while len(env.active):
            active = env.active
            seen, answer = observe(observer, env, held_out, view)
            chance = decider(seen.observation).exp()
            decision = torch.multinomial(chance, 1, generator=generator)[:, 0].numpy()
            utility[active] += env.step(decision, answer).reward
            view = env.view()
    assert expected.utility.mean() == pytest.approx(utility.mean(), abs=0.02)
    assert expected.n_calls.mean() == pytest.approx(env.asked.sum() / len(rows), abs=0.04)
    assert expected.n_rounds.mean() == pytest.approx(env.n_rounds.mean(), abs=0.04)


def test_what_stopping_earns_is_what_a_stop_is_paid(world):
    env = world[3]
    env.reset(np.arange(Q), np.full(Q, 0.1, dtype=np.float32))
    answer = np.zeros(Q, dtype=np.int64)
    assert (env.stopping_earns(answer) == 0).all()  # nobody was asked: a blind guess
    env.step(np.zeros(Q, dtype=np.int64), answer)
    if not env.ends().all():
        env.step(np.full(Q, N), answer)
    worth = env.stopping_earns(env.table.answer[:, 0].astype(np.int64))
    np.testing.assert_array_equal(worth, env.table.member_score[:, 0])
    paid = env.step(np.full(Q, N), env.table.answer[:, 0].astype(np.int64))
    np.testing.assert_array_equal(paid.reward, worth)
    assert paid.terminated.all()
