"""The prior's nets are equivariant over members and candidates, and bounded by what is legal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlfocal.agents.prior.fusion import Pools
from rlfocal.agents.prior.observation import observe
from rlfocal.training.nets import Critic, Decider, Fusion, GlobalState, nll
from rlfocal.training.prior.episodes import play, rollout
from rlfocal.training.prior.pool_batches import PoolBatch, draw_pool_batch, subsets
from rlfocal.training.weights import seeded


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
    return draw_pool_batch(
        np.random.default_rng(seed), n_pools=2, n_queries=6, n_members=n_members, n_labels=20
    )


def members_moved(batch: PoolBatch, order: torch.Tensor) -> PoolBatch:
    pools = Pools(batch.pools.member[:, order], batch.pools.pair[:, order][:, :, order])
    return batch._replace(
        pools=pools, log_odds=batch.log_odds[..., order], answered=batch.answered[..., order],
        support=batch.support[:, :, order], member_score=batch.member_score[..., order],
        charge=batch.charge[..., order], relative_cost=batch.relative_cost[:, order],
        reply_shift=batch.reply_shift[..., order],
    )  # fmt: skip


def judged(fusion, decider, pool_batch, asked, price=0.02):
    with torch.no_grad():
        seen = pool_batch.reveal(asked)
        fused = fusion(fusion.pool(pool_batch.pools), seen)
        prices = torch.full(pool_batch.is_open.shape, price)
        observation = observe(
            pool_batch.pools, pool_batch.relative_cost, seen, fused, prices,
            task=torch.zeros(prices.shape, dtype=torch.int64),
        )  # fmt: skip
        return torch.softmax(fused.logit, 2), decider(observation).exp()


def some(pool_batch, seed=0):
    return subsets(pool_batch, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(4))
def test_what_belongs_to_a_member_moves_with_it(fusion, decider, seed):
    pool_batch, order = scene_of(seed), torch.tensor([3, 0, 4, 1, 2])
    asked = some(pool_batch)
    posterior, chance = judged(fusion, decider, pool_batch, asked)
    moved, moved_chance = judged(
        fusion, decider, members_moved(pool_batch, order), asked[..., order]
    )
    torch.testing.assert_close(moved, posterior, rtol=1e-4, atol=1e-5)
    expected = torch.cat([chance[:, :-1][:, order], chance[:, -1:]], dim=1)
    torch.testing.assert_close(moved_chance, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_candidates_carry_no_meaning_in_their_order(fusion, decider, seed):
    pool_batch = scene_of(seed)
    order = torch.randperm(
        pool_batch.exists.shape[2], generator=torch.Generator().manual_seed(seed)
    )
    asked = some(pool_batch)
    posterior, chance = judged(fusion, decider, pool_batch, asked)
    moved = pool_batch._replace(
        support=pool_batch.support[..., order], exists=pool_batch.exists[..., order]
    )
    shuffled, moved_chance = judged(fusion, decider, moved, asked)
    torch.testing.assert_close(shuffled[..., :-1], posterior[..., order], rtol=1e-4, atol=1e-5)
    # Where two candidates tie, either may be called the first.
    top = posterior[..., :-1].topk(min(3, len(order)), dim=2).values
    clear = ((top[..., :-1] - top[..., 1:]) > 1e-4).all(2).flatten()
    torch.testing.assert_close(moved_chance[clear], chance[clear], rtol=1e-3, atol=1e-5)


def test_unasked_members_change_nothing(fusion, decider):
    pool_batch = scene_of(3)
    asked = some(pool_batch)
    hidden = ~asked
    tampered = pool_batch._replace(
        support=torch.where(hidden[..., None], pool_batch.support.flip(3), pool_batch.support),
        answered=torch.where(hidden, ~pool_batch.answered, pool_batch.answered),
        member_score=1 - pool_batch.member_score, worth=1 - pool_batch.worth,
        charge=pool_batch.charge * 3,
        reply_shift=torch.where(hidden, pool_batch.reply_shift + 1, pool_batch.reply_shift),
    )  # fmt: skip
    for mine, theirs in zip(
        judged(fusion, decider, pool_batch, asked),
        judged(fusion, decider, tampered, asked),
        strict=True,
    ):
        assert torch.equal(mine, theirs)


def test_legal_actions_share_all_probability(fusion, decider):
    pool_batch = scene_of(4)
    none, everybody = torch.zeros_like(pool_batch.answered), torch.ones_like(pool_batch.answered)
    _, first = judged(fusion, decider, pool_batch, none)
    _, last = judged(fusion, decider, pool_batch, everybody)
    torch.testing.assert_close(first.sum(1), torch.ones(len(first)))
    assert (first[:, -1] == 0).all()
    torch.testing.assert_close(last[:, -1], torch.ones(len(last)))


def test_untrained_it_is_a_vote_that_asks_the_best_first_and_stops_later_at_a_lower_price():
    fusion, decider = seeded(0, lambda: (Fusion(hidden=8), Decider(hidden=8)))
    pool_batch = scene_of(5)
    pool_batch = pool_batch._replace(relative_cost=torch.ones_like(pool_batch.relative_cost))
    _, chance = judged(fusion, decider, pool_batch, torch.zeros_like(pool_batch.answered))
    best = pool_batch.log_odds.flatten(0, 1).argmax(1)
    assert torch.equal(chance[:, :-1].argmax(1), best)
    asked = some(pool_batch)
    part = asked.flatten(0, 1).sum(1) < 5
    cheap = judged(fusion, decider, pool_batch, asked, price=0.005)[1][part, -1]
    dear = judged(fusion, decider, pool_batch, asked, price=0.1)[1][part, -1]
    assert (dear > cheap).all()


def test_no_candidate_means_none_of_these(fusion):
    pool_batch = scene_of(0)
    pool_batch = pool_batch._replace(is_open=torch.ones_like(pool_batch.is_open))
    posterior = torch.softmax(
        fusion(
            fusion.pool(pool_batch.pools), pool_batch.reveal(torch.zeros_like(pool_batch.answered))
        ).logit,
        2,
    )
    torch.testing.assert_close(posterior[..., -1], torch.ones(pool_batch.is_open.shape))


def test_the_loss_of_a_certain_right_answer_is_zero():
    logit = torch.tensor([[30.0, -30.0, -1e9]])
    assert float(nll(logit, torch.tensor([[1.0, 0.0, 0.0]]))) == pytest.approx(0, abs=1e-6)
    assert float(nll(logit, torch.tensor([[0.0, 1.0, 0.0]]))) > 20


def test_rollouts_and_greedy_play_pay_for_what_they_ask(fusion, decider):
    pool_batch = scene_of(6)
    price = torch.full(pool_batch.is_open.shape, 0.05)
    critic = seeded(3, lambda: Critic(hidden=12))
    generator = torch.Generator().manual_seed(0)
    batch, figures = rollout(decider, critic, fusion, pool_batch, price, generator=generator)
    assert isinstance(batch.state, GlobalState)
    assert len(batch.reach) == len(batch.log_prob) == len(batch.advantage)
    assert figures["n_calls"] >= 1
    assert figures["utility"] < figures["score"]
    played = play(decider, fusion, pool_batch, price)
    assert (played.n_calls >= 1).all()
    assert (played.utility < played.score).all()
