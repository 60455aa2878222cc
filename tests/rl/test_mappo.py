"""Advantages against a direct double sum, and what a clipped update may and may not do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rlfocal.rl.config import PpoConfig
from rlfocal.rl.mappo import Batch, gae, update


def naive_gae(reward, value, length, gamma, lam):
    """A_t = sum over l of (gamma lam)^l delta_{t+l}, one episode at a time."""
    out = np.zeros_like(reward)
    for b, n in enumerate(length):
        following = np.append(value[1:n, b], 0)
        delta = reward[:n, b] + gamma * following - value[:n, b]
        for t in range(n):
            out[t, b] = sum((gamma * lam) ** k * delta[t + k] for k in range(n - t))
    return out


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("lam", [0.0, 0.95, 1.0])
def test_gae_is_the_double_sum(gamma, lam, rng):
    length = np.array([5, 1, 3, 4])
    alive = np.arange(5)[:, None] < length
    reward, value = (rng.normal(size=(5, 4)).astype(np.float32) * alive for _ in range(2))
    found = gae(reward, value, alive, gamma=gamma, gae_lambda=lam)
    np.testing.assert_allclose(found, naive_gae(reward, value, length, gamma, lam), atol=1e-5)


class Seen(NamedTuple):
    x: Tensor


class Actor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 3)

    def evaluate(self, observation, action):
        log_prob = torch.log_softmax(self.net(observation.x), 1)
        entropy = -(log_prob.exp() * log_prob).sum(1)
        return log_prob.gather(1, action[:, None])[:, 0], entropy


class Value(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 1)

    def forward(self, state):
        return self.net(state.x)[:, 0]


def made(seed=0, n=64):
    torch.manual_seed(seed)
    actor, critic = Actor(), Value()
    seen = Seen(torch.randn(n, 2))
    action = torch.randint(3, (n,))
    with torch.no_grad():
        log_prob, _ = actor.evaluate(seen, action)
    advantage = (action == 1).float() * 2 - 1
    batch = Batch(seen, seen, action, log_prob, advantage, torch.randn(n))
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=0.05)
    return actor, critic, optimizer, batch


def run(actor, critic, optimizer, batch, **settings):
    config = PpoConfig(**{"minibatch_size": 16, "target_kl": None, **settings})
    return update(
        actor, critic, optimizer, batch, config, ent_coef=0.0, rng=np.random.default_rng(0)
    )


def test_the_ratio_is_one_on_the_first_minibatch_and_not_later():
    how = run(*made(), n_epochs=5)
    assert how.first_ratio_error < 1e-6
    assert how.approx_kl > 1e-3
    assert how.clip_fraction > 0


def test_better_actions_become_likelier():
    actor, critic, optimizer, batch = made()
    run(actor, critic, optimizer, batch, n_epochs=5)
    after, _ = actor.evaluate(batch.observation, batch.action)
    assert (after > batch.log_prob)[batch.action == 1].float().mean() > 0.8


def test_samples_clipped_on_the_binding_side_have_no_gradient():
    actor, critic, _, batch = made()
    # Good actions already much likelier, bad ones much less likely than when they were taken.
    shifted = batch._replace(log_prob=batch.log_prob - batch.advantage)
    optimizer = torch.optim.SGD(actor.parameters(), lr=1.0)
    before = actor.net.weight.detach().clone()
    run(actor, critic, optimizer, shifted, n_epochs=1)
    assert torch.equal(actor.net.weight, before)


def test_target_kl_stops_the_epochs():
    free, bound = made(), made()
    run(*free, n_epochs=10)
    run(*bound, n_epochs=10, target_kl=1e-4)
    start = made()[0].net.weight
    assert (bound[0].net.weight - start).norm() < (free[0].net.weight - start).norm()


def test_the_same_seed_gives_the_same_weights():
    one, two = made(), made()
    run(*one)
    run(*two)
    assert torch.equal(one[0].net.weight, two[0].net.weight)
