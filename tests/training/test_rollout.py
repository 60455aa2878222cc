"""Rollouts: weights, and credit against that of decisions that are drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

import rlfocal.training.rollout as module
from rlfocal.agents.config import RlFocalConfig, Rounds
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.fusion import PriorOnPool, Votes
from rlfocal.agents.known import OutOfFold
from rlfocal.agents.learned import Learned
from rlfocal.agents.observation import Observer
from rlfocal.agents.policy import likeliest
from rlfocal.agents.prior.decider import decide
from rlfocal.agents.prior.observation import Observation
from rlfocal.agents.statistics import Competence, PoolStatistics
from rlfocal.deliberation.replay import replay
from rlfocal.records import PoolModel, build_table, simulate
from rlfocal.training.environment import PoolEnv
from rlfocal.training.nets import Decider, Own, PoolCritic
from rlfocal.training.rollout import observe
from rlfocal.training.weights import seeded

N, Q = 4, 200
ROUNDS = [None, Rounds(0.05), Rounds(0.0, 1), Rounds(0.02, 2)]


class World(NamedTuple):
    """What a rollout needs."""

    observer: Observer
    decider: Decider
    critic: PoolCritic
    env: PoolEnv
    held_out: OutOfFold

    @property
    def fitted_pool(self) -> FittedPool:
        statistics = PoolStatistics.of(self.env.table)
        nothing = Competence(np.zeros((2, 0, N)), np.zeros((2, N)))
        return FittedPool(
            statistics, nothing, self.observer.prior, self.observer.votes, self.held_out
        )

    def decide(self, observation: Observation) -> np.ndarray:
        return np.asarray(decide(self.decider.exported(), observation))


@pytest.fixture(scope="module", params=ROUNDS, ids=str)
def world(request):
    """Observer, agents, environment and knowledge of a small pool; the Decider stops at random."""
    rounds = request.param
    model = PoolModel(accuracy=[[0.8, 0.7, 0.6, 0.5], [0.6] * N], cost_usd=[1.0, 2.0, 3.0, 4.0])
    table = build_table(simulate(model, Q, rng=np.random.default_rng(0)), encode=None)
    fold = np.arange(Q) % 2
    prior = PriorOnPool.fit(table, fold, 2)
    weight = np.ones((3, 3, N + 1), dtype=np.float32)
    weight[..., -1] = 0.2
    votes = Votes(
        weight, np.zeros((3, 3), dtype=np.float32), np.zeros((3, 3, N + 1, N), dtype=np.float32),
        np.zeros((3, 3, 0), dtype=np.float32), reads_replies=False,
    )  # fmt: skip
    own = Own(N, 2, gathered=rounds is not None)
    decider, critic = seeded(1, lambda: (Decider(hidden=8, own=own), PoolCritic(own, hidden=8)))
    generator = torch.Generator().manual_seed(2)
    for head in (decider.member_head, decider.stop_head):
        torch.nn.init.normal_(head.weight, std=0.5, generator=generator)
    env = PoolEnv(table, unit_cost=PoolStatistics.of(table).unit_cost, rounds=rounds)
    held_out = OutOfFold(np.zeros((2, Q, N), dtype=np.float32), 2, fold)
    return World(Observer(prior, votes, rounds=rounds), decider, critic, env, held_out)


def roll(world, n_episodes, *, seed=0, price=0.05, drawn=False):
    """A rollout in which one query of four does not say of which task it is."""
    rng = np.random.default_rng(0)
    rows, untold = rng.integers(Q, size=n_episodes), rng.random(n_episodes) < 0.25
    rng = np.random.default_rng(seed)

    def drawing(weights, observation):
        """Log-probabilities with the stop drawn: certain or out of the question."""
        log_prob = decide(weights, observation).copy()
        stops = rng.random(len(log_prob)) < np.exp(log_prob[:, -1])
        log_prob[:, -1] = np.where(stops, 0, -np.inf)
        return log_prob

    with pytest.MonkeyPatch.context() as patch:
        if drawn:
            patch.setattr(module, "decide", drawing)
        return module.rollout(
            world.observer, world.decider.exported(), world.critic, world.env, world.held_out,
            rows, np.full(n_episodes, price, dtype=np.float32), untold, RlFocalConfig().ppo,
            rng=rng,
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
        again = world.decider.evaluate(batch.observation, batch.action)[0]
    taken = batch.weight > 0
    torch.testing.assert_close(again[taken], batch.log_prob[taken])


@pytest.mark.slow
def test_drawn_stops_have_the_same_outcome_and_gradient_in_the_mean_but_more_noise(world):
    """Plain advantage estimation, which draws what a rollout takes the exact share of."""

    def gradient(batch):
        decider = world.decider
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
    while len(env.active):
        active = env.active
        seen, answer = observe(observer, env, held_out, view)
        utility[active] += env.step(likeliest(world.decide(seen.observation)), answer).reward
        view = env.view()
    fitted_pool = world.fitted_pool
    most, mu = (env.rounds.most, env.rounds.price) if env.rounds else (None, 0.0)
    config = RlFocalConfig(max_rounds=most, round_price=mu)
    policy = Learned(
        config, fitted_pool, decider.exported(), price=0.05, observer=observer, held_out=held_out
    )
    found = replay(policy, env.table)
    np.testing.assert_array_equal(found.asked, env.asked)
    np.testing.assert_array_equal(found.n_rounds, env.n_rounds)
    charged = 0.05 * found.cost / fitted_pool.statistics.unit_cost + mu * found.n_rounds
    np.testing.assert_allclose(utility, found.score - charged, atol=1e-5)
    if most:
        assert env.n_rounds.max() == most


def test_the_utility_expected_is_that_of_episodes_played_one_by_one(world):
    """Shares of paths and branches against decisions drawn in the environment itself."""
    observer, _, _, env, held_out = world
    _, expected = roll(world, 2000)
    rng = np.random.default_rng(5)
    rows, untold = rng.integers(Q, size=10000), rng.random(10000) < 0.25
    view = env.reset(rows, np.full(len(rows), 0.05, dtype=np.float32), untold)
    utility = np.zeros(len(rows))
    while len(env.active):
        active = env.active
        seen, answer = observe(observer, env, held_out, view)
        chance = np.exp(world.decide(seen.observation)).cumsum(axis=1)
        decision = (chance < rng.random((len(chance), 1)) * chance[:, -1:]).sum(axis=1)
        utility[active] += env.step(decision, answer).reward
        view = env.view()
    assert expected.utility.mean() == pytest.approx(utility.mean(), abs=0.02)
    assert expected.n_calls.mean() == pytest.approx(env.asked.sum() / len(rows), abs=0.04)
    assert expected.n_rounds.mean() == pytest.approx(env.n_rounds.mean(), abs=0.04)


def test_what_stopping_earns_is_what_a_stop_is_paid(world):
    env = world.env
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
