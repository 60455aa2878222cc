"""The prior's nets are equivariant over members and candidates, and bounded by what is legal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlfocal.agents.nets import seeded
from rlfocal.agents.prior.decider import Critic, Decider, GlobalState
from rlfocal.agents.prior.fusion import Fusion, Pools, nll
from rlfocal.agents.prior.observation import observe
from rlfocal.training.prior.episodes import play, rollout
from rlfocal.training.prior.pool_batches import Scene, draw_scene, subsets


def shaken(module):
    """Weights that differ from the starting rule."""
    generator = torch.Generator().manual_seed(7)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data.add_(0.2 * noise)
    return module.eval()


@pytest.fixture(scope="module")
def fusion():
    return shaken(seeded(0, lambda: Fusion(hidden=12)))


@pytest.fixture(scope="module")
def decider():
    return shaken(seeded(1, lambda: Decider(hidden=12)))


def scene_of(seed, n_members=5):
    return draw_scene(
        np.random.default_rng(seed), n_pools=2, n_queries=6, n_members=n_members, n_labels=20
    )


def members_moved(scene: Scene, order: torch.Tensor) -> Scene:
    pools = Pools(scene.pools.member[:, order], scene.pools.pair[:, order][:, :, order])
    return scene._replace(
        pools=pools, log_odds=scene.log_odds[..., order], answered=scene.answered[..., order],
        support=scene.support[:, :, order], member_score=scene.member_score[..., order],
        charge=scene.charge[..., order], relative_cost=scene.relative_cost[:, order],
    )  # fmt: skip


def judged(fusion, decider, scene, asked, price=0.02):
    with torch.no_grad():
        seen = scene.reveal(asked)
        fused = fusion(fusion.pool(scene.pools), seen)
        prices = torch.full(scene.is_open.shape, price)
        observation = observe(scene.pools, scene.relative_cost, seen, fused, prices)
        return torch.softmax(fused.logit, 2), decider(observation).exp()


def some(scene, seed=0):
    return subsets(scene, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(4))
def test_what_belongs_to_a_member_moves_with_it(fusion, decider, seed):
    scene, order = scene_of(seed), torch.tensor([3, 0, 4, 1, 2])
    asked = some(scene)
    posterior, chance = judged(fusion, decider, scene, asked)
    moved, moved_chance = judged(fusion, decider, members_moved(scene, order), asked[..., order])
    torch.testing.assert_close(moved, posterior, rtol=1e-4, atol=1e-5)
    expected = torch.cat([chance[:, :-1][:, order], chance[:, -1:]], dim=1)
    torch.testing.assert_close(moved_chance, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_candidates_carry_no_meaning_in_their_order(fusion, decider, seed):
    scene = scene_of(seed)
    order = torch.randperm(scene.exists.shape[2], generator=torch.Generator().manual_seed(seed))
    asked = some(scene)
    posterior, chance = judged(fusion, decider, scene, asked)
    moved = scene._replace(support=scene.support[..., order], exists=scene.exists[..., order])
    shuffled, moved_chance = judged(fusion, decider, moved, asked)
    torch.testing.assert_close(shuffled[..., :-1], posterior[..., order], rtol=1e-4, atol=1e-5)
    # Where two candidates tie, either may be called the first.
    top = posterior[..., :-1].topk(min(3, len(order)), dim=2).values
    clear = ((top[..., :-1] - top[..., 1:]) > 1e-4).all(2).flatten()
    torch.testing.assert_close(moved_chance[clear], chance[clear], rtol=1e-3, atol=1e-5)


def test_unasked_members_change_nothing(fusion, decider):
    scene = scene_of(3)
    asked = some(scene)
    hidden = ~asked
    tampered = scene._replace(
        support=torch.where(hidden[..., None], scene.support.flip(3), scene.support),
        answered=torch.where(hidden, ~scene.answered, scene.answered),
        member_score=1 - scene.member_score, worth=1 - scene.worth, charge=scene.charge * 3,
    )  # fmt: skip
    for mine, theirs in zip(
        judged(fusion, decider, scene, asked),
        judged(fusion, decider, tampered, asked),
        strict=True,
    ):
        assert torch.equal(mine, theirs)


def test_legal_actions_share_all_probability(fusion, decider):
    scene = scene_of(4)
    none, everybody = torch.zeros_like(scene.answered), torch.ones_like(scene.answered)
    _, first = judged(fusion, decider, scene, none)
    _, last = judged(fusion, decider, scene, everybody)
    torch.testing.assert_close(first.sum(1), torch.ones(len(first)))
    assert (first[:, -1] == 0).all()
    torch.testing.assert_close(last[:, -1], torch.ones(len(last)))


def test_untrained_it_is_a_vote_that_asks_the_best_first_and_stops_later_at_a_lower_price():
    fusion, decider = seeded(0, lambda: (Fusion(hidden=8), Decider(hidden=8)))
    scene = scene_of(5)
    scene = scene._replace(relative_cost=torch.ones_like(scene.relative_cost))
    _, chance = judged(fusion, decider, scene, torch.zeros_like(scene.answered))
    best = scene.log_odds.flatten(0, 1).argmax(1)
    assert torch.equal(chance[:, :-1].argmax(1), best)
    asked = some(scene)
    part = asked.flatten(0, 1).sum(1) < 5
    cheap = judged(fusion, decider, scene, asked, price=0.005)[1][part, -1]
    dear = judged(fusion, decider, scene, asked, price=0.1)[1][part, -1]
    assert (dear > cheap).all()


def test_no_candidate_means_none_of_these(fusion):
    scene = scene_of(0)
    scene = scene._replace(is_open=torch.ones_like(scene.is_open))
    posterior = torch.softmax(
        fusion(fusion.pool(scene.pools), scene.reveal(torch.zeros_like(scene.answered))).logit, 2
    )
    torch.testing.assert_close(posterior[..., -1], torch.ones(scene.is_open.shape))


def test_the_loss_of_a_certain_right_answer_is_zero():
    logit = torch.tensor([[30.0, -30.0, -1e9]])
    assert float(nll(logit, torch.tensor([[1.0, 0.0, 0.0]]))) == pytest.approx(0, abs=1e-6)
    assert float(nll(logit, torch.tensor([[0.0, 1.0, 0.0]]))) > 20


def test_rollouts_and_greedy_play_pay_for_what_they_ask(fusion, decider):
    scene = scene_of(6)
    price = torch.full(scene.is_open.shape, 0.05)
    critic = seeded(3, lambda: Critic(hidden=12))
    generator = torch.Generator().manual_seed(0)
    batch, figures = rollout(decider, critic, fusion, scene, price, generator=generator)
    assert isinstance(batch.state, GlobalState)
    assert len(batch.reach) == len(batch.log_prob) == len(batch.advantage)
    assert figures["n_calls"] >= 1
    assert figures["utility"] < figures["score"]
    played = play(decider, fusion, scene, price)
    assert (played.n_calls >= 1).all()
    assert (played.utility < played.score).all()
