"""MAPPO: what an update does and does not move."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rlfocal.agents.config import PpoConfig
from rlfocal.training import mappo
from rlfocal.training.mappo import Batch, anneal, joined, rows_of, update
from rlfocal.training.weights import seeded, weights_of


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
        return log_prob.gather(1, action.view(len(action), -1)).view_as(action), entropy


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
    once = torch.ones(64)
    batch = Batch(
        observation=seen, state=seen, reach=once, action=action, log_prob=log_prob, weight=once,
        advantage=advantage, value=torch.zeros(64), returns=advantage.clone(),
    )  # fmt: skip
    return actor, critic, batch


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


def test_all_actions_by_their_probability_give_the_gradient_of_the_expectation():
    actor, critic, batch = made()
    generator = torch.Generator().manual_seed(4)
    worth = torch.randn(64, 3, generator=generator)
    every = torch.arange(3).expand(64, 3)
    with torch.no_grad():
        log_prob = actor.evaluate(batch.observation, every)[0]
    chance = torch.softmax(actor.net(batch.observation.inputs), dim=1)
    centred = worth - (chance * worth).mean(0).sum().detach()
    scale = (chance.detach() * centred.square()).sum().div(64).sqrt()
    (chance * worth / scale).sum(1).mean().backward()
    expected = [p.grad.clone() for p in actor.parameters()]
    before = [p.detach().clone() for p in actor.parameters()]
    batch = batch._replace(
        action=every, log_prob=log_prob, weight=log_prob.exp(), advantage=worth
    )  # fmt: skip
    run(actor, critic, batch, n_epochs=1, minibatch_size=64, rate=1e-3, max_grad_norm=1e9)
    for was, now, gradient in zip(before, actor.parameters(), expected, strict=True):
        torch.testing.assert_close((now.detach() - was) / 1e-3, gradient, atol=2e-4, rtol=1e-2)


def test_what_has_no_weight_changes_nothing():
    ends = []
    for junk in (0.0, 100.0):
        actor, critic, batch = made()
        keep = torch.arange(64) < 32
        weight = keep.float()
        batch = batch._replace(
            weight=weight, reach=weight, advantage=torch.where(keep, batch.advantage, junk),
            returns=torch.where(keep, batch.returns, junk),
        )  # fmt: skip
        run(actor, critic, batch, ent_coef=0.01)
        ends.append((weights_of(actor)["net.weight"], weights_of(critic)["net.weight"]))
    assert torch.equal(ends[0][0], ends[1][0])
    assert torch.equal(ends[0][1], ends[1][1])


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


class Partly(NamedTuple):
    inner: Seen
    pending: Tensor | None


def test_what_is_none_stays_none_and_the_rest_is_taken_joined_and_reordered():
    tree = Partly(Seen(torch.arange(12).view(4, 3)), None)
    order = torch.tensor([2, 0, 3, 1])
    whole = joined([rows_of(tree, slice(0, 1)), rows_of(tree, slice(1, 4))])
    for found, expected in (
        (whole, tree.inner.inputs),
        (rows_of(tree, order), tree.inner.inputs[order]),
        (mappo._reordered(tree, order, {}), tree.inner.inputs[order]),
    ):
        assert isinstance(found, Partly)
        assert found.pending is None
        assert torch.equal(found.inner.inputs, expected)


def test_a_tensor_in_several_places_is_reordered_once():
    shared = torch.arange(4)
    order, done = torch.tensor([3, 2, 1, 0]), {}
    found = mappo._reordered(Partly(Seen(shared), shared), order, done)
    assert found.pending is found.inner.inputs
    assert found.pending.tolist() == [3, 2, 1, 0]
