"""MAPPO: advantages against sums written out, and what an update does and does not move."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rlfocal.rl.config import PpoConfig
from rlfocal.rl.mappo import Batch, anneal, gae, rows_of, update
from rlfocal.rl.nets import seeded, weights_of

GRID = list(product([0.0, 0.5, 0.9, 1.0], [0.0, 0.3, 0.95, 1.0]))


def episodes(rng: np.random.Generator, lengths: list[int]) -> tuple[np.ndarray, ...]:
    """Rewards, values and who is alive for episodes of these lengths; noise where nobody is."""
    shape = (max(lengths), len(lengths))
    alive = np.arange(shape[0])[:, None] < np.array(lengths)
    reward, value = rng.normal(size=(2, *shape)).astype(np.float32)
    return np.where(alive, reward, 0).astype(np.float32), value, alive


@pytest.mark.parametrize(("gamma", "lam"), GRID)
def test_gae_is_the_double_sum_of_discounted_errors(gamma, lam, rng):
    lengths = [1, 5, 3, 2, 5]
    reward, value, alive = episodes(rng, lengths)
    value = np.where(alive, value, 0).astype(np.float32)
    got = gae(reward, value, alive, gamma=gamma, gae_lambda=lam)
    expected = np.zeros_like(got)
    for b, length in enumerate(lengths):
        for t in range(length):
            for k in range(t, length):
                following = value[k + 1, b] if k + 1 < length else 0.0
                delta = reward[k, b] + gamma * following - value[k, b]
                expected[t, b] += (gamma * lam) ** (k - t) * delta
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert (got[~alive] == 0).all()


def test_gae_lambda_one_is_the_return_less_the_value_and_zero_one_step(rng):
    reward, value, alive = episodes(rng, [4, 4])
    to_go = reward[::-1].cumsum(axis=0)[::-1]
    monte_carlo = gae(reward, value, alive, gamma=1.0, gae_lambda=1.0)
    np.testing.assert_allclose(monte_carlo, to_go - value, atol=1e-5)
    one_step = gae(reward, value, alive, gamma=0.9, gae_lambda=0.0)
    following = np.vstack([value[1:], np.zeros((1, 2), dtype=np.float32)])
    np.testing.assert_allclose(one_step, reward + 0.9 * following - value, atol=1e-5)
    myopic = gae(reward, value, alive, gamma=0.0, gae_lambda=0.7)
    np.testing.assert_allclose(myopic, reward - value, atol=1e-6)


def test_gae_of_an_episode_ignores_longer_ones_beside_it(rng):
    reward, value, alive = episodes(rng, [2, 6])
    both = gae(reward, value, alive, gamma=0.9, gae_lambda=0.9)
    alone = gae(reward[:2, :1], value[:2, :1], alive[:2, :1], gamma=0.9, gae_lambda=0.9)
    np.testing.assert_array_equal(both[:2, :1], alone)


class Seen(NamedTuple):
    inputs: Tensor


class Actor(nn.Module):
    """A softmax over three actions."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 3)

    def evaluate(self, observation: Seen, action: Tensor) -> tuple[Tensor, Tensor]:
        log_prob = torch.log_softmax(self.net(observation.inputs), dim=1)
        entropy = -(log_prob.exp() * log_prob).sum(1)
        return log_prob.gather(1, action[:, None])[:, 0], entropy


class Value(nn.Module):
    """A linear value."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(4, 1)

    def forward(self, state: Seen) -> Tensor:
        value: Tensor = self.net(state.inputs).squeeze(1)
        return value


def made() -> tuple[Actor, Value, Batch]:
    """An actor, a critic and a rollout of theirs in which action 0 is the good one."""
    actor, critic = seeded(1, lambda: (Actor(), Value()))
    generator = torch.Generator().manual_seed(2)
    seen = Seen(torch.randn(64, 4, generator=generator))
    with torch.no_grad():
        chance = torch.softmax(actor.net(seen.inputs), dim=1)
        action = torch.multinomial(chance, 1, generator=generator)[:, 0]
        log_prob = actor.evaluate(seen, action)[0]
    advantage = torch.where(action == 0, 1.0, -1.0)
    return actor, critic, Batch(seen, seen, action, log_prob, advantage, advantage.clone())


def run(
    actor: Actor, critic: nn.Module, batch: Batch, *, ent_coef: float = 0.0, rate: float = 0.05,
    **settings: object,
):  # fmt: skip
    """One update with plain gradient steps, so that sizes of steps can be told apart."""
    config = PpoConfig(**{"n_epochs": 4, "minibatch_size": 16, "target_kl": None} | settings)
    optimizer = torch.optim.SGD([*actor.parameters(), *critic.parameters()], lr=rate)
    rng = np.random.default_rng(3)
    return update(actor, critic, optimizer, batch, config, ent_coef=ent_coef, rng=rng)


def moved(before: dict[str, Tensor], module: nn.Module) -> float:
    after = module.state_dict()
    return max(float((after[name] - before[name]).abs().max()) for name in before)


def test_the_ratio_is_one_on_the_first_minibatch_and_not_later():
    actor, critic, batch = made()
    how = run(actor, critic, batch, rate=0.5)
    assert how.first_ratio_error < 1e-6
    assert how.approx_kl > 1e-4
    assert how.clip_fraction > 0


def test_stored_log_probabilities_of_another_policy_show():
    actor, critic, batch = made()
    how = run(actor, critic, batch._replace(log_prob=batch.log_prob - 0.3), rate=1e-9)
    assert how.first_ratio_error == pytest.approx(np.exp(0.3) - 1, rel=1e-4)
    assert how.clip_fraction == 1.0
    assert how.approx_kl == pytest.approx(np.exp(0.3) - 1 - 0.3, rel=1e-3)


def test_an_update_makes_good_actions_likelier_and_the_critic_better():
    actor, critic, batch = made()
    before = critic(batch.state)
    run(actor, critic, batch, rate=0.1)
    with torch.no_grad():
        gain = actor.evaluate(batch.observation, batch.action)[0] - batch.log_prob
        loss = (critic(batch.state) - batch.returns).square().mean()
    assert gain[batch.action == 0].mean() > 0 > gain[batch.action != 0].mean()
    assert loss < (before - batch.returns).square().mean()


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_sample_clipped_on_the_binding_side_has_no_policy_gradient(sign):
    """Good actions already likelier than 1 + clip, and bad ones less likely than 1 - clip."""
    actor, critic, batch = made()
    good = batch.advantage > 0
    shift = torch.where(good, -0.5, 0.5) * sign
    before = weights_of(actor)
    run(actor, critic, batch._replace(log_prob=batch.log_prob + shift), n_epochs=1)
    if sign > 0:
        assert moved(before, actor) == 0
    else:  # beyond the clip on the other side the gradient pulls back
        assert moved(before, actor) > 1e-3


def test_gradients_reach_the_agent_and_the_critic_but_no_other_agent():
    actor, critic, batch = made()
    other = seeded(9, Actor)
    with torch.no_grad():
        other.net.weight.add_(1.0)
    inputs = other.net(batch.observation.inputs).detach().requires_grad_()
    assert inputs.requires_grad
    before = weights_of(other)
    optimizer = torch.optim.SGD(
        [p for net in (actor, critic, other) for p in net.parameters()], lr=0.1
    )
    starts = weights_of(actor), weights_of(critic)
    update(
        actor, critic, optimizer, batch, PpoConfig(target_kl=None), ent_coef=0.01,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert moved(before, other) == 0
    assert all(p.grad is None for p in other.parameters())
    assert moved(starts[0], actor) > 0
    assert moved(starts[1], critic) > 0


def test_without_advantages_the_entropy_bonus_flattens_and_its_lack_leaves_the_policy():
    _, _, batch = made()
    flat = batch._replace(advantage=torch.ones(64))
    entropies = {}
    for ent_coef in (-0.5, 0.0, 0.5):
        actor, critic, _ = made()
        run(actor, critic, flat, ent_coef=ent_coef, rate=0.1, max_grad_norm=100.0)
        with torch.no_grad():
            entropies[ent_coef] = float(actor.evaluate(batch.observation, batch.action)[1].mean())
    assert entropies[-0.5] < entropies[0.0] - 1e-3 < entropies[0.5] - 2e-3


def test_target_kl_stops_the_epochs():
    calls = {}
    for target_kl in (1e-6, 1e3):
        actor, critic, batch = made()
        evaluate, count = actor.evaluate, []
        actor.evaluate = lambda *a, evaluate=evaluate, count=count: count.append(1) or evaluate(*a)
        run(actor, critic, batch, target_kl=target_kl, n_epochs=5)
        calls[target_kl] = len(count)
    assert calls == {1e-6: 4, 1e3: 20}  # four minibatches an epoch


def test_the_size_of_a_step_is_bounded_by_max_grad_norm():
    actor, critic, batch = made()
    before = [p.detach().clone() for net in (actor, critic) for p in net.parameters()]
    run(actor, critic, batch, n_epochs=1, minibatch_size=64, max_grad_norm=1e-3, rate=1.0)
    after = [p.detach() for net in (actor, critic) for p in net.parameters()]
    step = torch.cat([(a - b).flatten() for a, b in zip(after, before, strict=True)]).norm()
    assert float(step) == pytest.approx(1e-3, rel=1e-2)


def test_the_same_generator_gives_the_same_weights_and_another_one_does_not():
    ends = []
    for seed in (0, 0, 1):
        actor, critic, batch = made()
        optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=0.01)
        update(
            actor, critic, optimizer, batch, PpoConfig(minibatch_size=16), ent_coef=0.01,
            rng=np.random.default_rng(seed),
        )  # fmt: skip
        ends.append(weights_of(actor)["net.weight"])
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_step_size_falls_to_a_tenth_and_the_entropy_weight_to_nothing():
    optimizer = torch.optim.SGD(Actor().parameters(), lr=1.0)
    config = PpoConfig(learning_rate=0.2, ent_coef=0.04)
    met = []
    for progress in (0.0, 0.5, 1.0):
        ent_coef = anneal(optimizer, config, progress=progress)
        met.append((optimizer.param_groups[0]["lr"], ent_coef))
    np.testing.assert_allclose(met, [(0.2, 0.04), (0.11, 0.02), (0.02, 0.0)], atol=1e-12)


class Nested(NamedTuple):
    inner: Seen
    flag: Tensor


def test_rows_are_taken_from_every_tensor_of_a_nested_tuple():
    tree = Nested(Seen(torch.arange(12).view(4, 3)), torch.tensor([True, False, True, False]))
    got = rows_of(tree, torch.tensor([3, 0]))
    assert isinstance(got, Nested)
    assert isinstance(got.inner, Seen)
    assert got.inner.inputs.tolist() == [[9, 10, 11], [0, 1, 2]]
    assert got.flag.tolist() == [False, True]
