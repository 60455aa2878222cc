"""Episodes on simulated pools: the Decider acts, the frozen Fusion answers where it stops.

A path goes on where the policy would stop with some chance, so that it shows at each of its states
what stopping would have earned and what asking on would have (`training.credit`).

Loops of their own beside `deliberation.replay` and `training.rollout`: the queries of several pools
are played side by side as tensors, without a `ResponseTable` of each pool that is met only once.

Axes: P pools, B queries of each, E = P * B episodes, K states, R rounds, N members.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlfocal.agents.policy import likeliest
from rlfocal.agents.prior.observation import Observation, observe
from rlfocal.records import FloatArray
from rlfocal.training.credit import credit
from rlfocal.training.mappo import Batch, joined, rows_of
from rlfocal.training.nets import Critic, Decider, Fusion, GlobalState
from rlfocal.training.prior.pool_batches import PoolBatch

__all__ = ["GreedyEpisodes", "play", "rollout"]

_LEAST_REACH = 0.01
"""A path ends where the policy gets further less often than this."""
_GAE_LAMBDA = 0.95


class GreedyEpisodes(NamedTuple):
    """Results of greedy episodes."""

    score: Tensor
    """float32[P, B]: worth of the answer."""
    n_calls: Tensor
    """float32[P, B]."""
    utility: Tensor
    """float32[P, B]: score minus lambda times cost."""


class _Round(NamedTuple):
    active: Tensor
    state: GlobalState
    action: Tensor
    log_prob: Tensor
    reach: Tensor
    stop_share: Tensor
    weight: Tensor
    charge: Tensor


class _Observed(NamedTuple):
    observation: Observation
    worth: Tensor
    """float32[E]: what stopping now would earn."""


class _Environment:
    """A batch of pools with its prices and Fusion's part that depends on the pools alone.

    Args:
        pool_batch: pools and queries.
        fusion: frozen.
        price: float32[P, B], lambda.
        expected: in training, an answer's worth is Fusion's posterior of it with all members
            asked. That is its expected score given all answers, without the noise of this query's
            label, which no policy could know; where another call changes the answer, the
            difference is measured with a fraction of the noise.
    """

    def __init__(
        self, pool_batch: PoolBatch, fusion: Fusion, price: Tensor, *, expected: bool = False
    ) -> None:
        self.pool_batch, self.fusion, self.price = pool_batch, fusion, price
        self.pooled = fusion.pool(pool_batch.pools)
        self.worth = pool_batch.worth
        if expected:
            all_asked = pool_batch.reveal(torch.ones_like(pool_batch.answered))
            self.worth = fusion.posterior(self.pooled, all_asked)[..., :-1]
        self.charge = (price[..., None] * pool_batch.charge).flatten(0, 1)
        self.no_task = torch.zeros(price.shape, dtype=torch.long)

    def observe(self, asked: Tensor) -> _Observed:
        pool_batch = self.pool_batch
        seen = pool_batch.reveal(asked)
        fused = self.fusion(self.pooled, seen)
        # The likeliest candidate there is; "none of these" is no answer to give.
        best = fused.logit[..., :-1].argmax(2, keepdim=True)
        worth = (self.worth * seen.available).gather(2, best)[..., 0] * asked.any(2)
        observation = observe(
            pool_batch.pools, pool_batch.relative_cost, seen, fused, self.price,
            task=self.no_task, ready=pool_batch.ready(asked),
        )  # fmt: skip
        return _Observed(observation, worth.flatten())


@torch.no_grad()
def _walk(
    decider: Decider,
    fusion: Fusion,
    pool_batch: PoolBatch,
    price: Tensor,
    generator: torch.Generator,
) -> list[_Round]:
    environment = _Environment(pool_batch, fusion, price, expected=True)
    shape = pool_batch.answered.shape
    n_members = shape[2]
    asked = torch.zeros(shape, dtype=torch.bool)
    flat = asked.view(-1, n_members)
    score = pool_batch.member_score.flatten(0, 1)
    reach = torch.ones(len(flat))
    active = torch.arange(len(flat))
    path: list[_Round] = []
    while len(active):
        seen = environment.observe(asked)
        observation = rows_of(seen.observation, active)
        log_prob = decider(observation)
        member = torch.multinomial(log_prob[:, :-1].softmax(1), 1, generator=generator)
        share, here = log_prob[:, -1].exp(), reach[active]
        going_on = here * (1 - share)
        on = going_on > _LEAST_REACH
        # A path cut short for low reach shows no outcome of asking there: neither choice is judged.
        judged = (on | (going_on == 0)).float()
        weight = torch.stack([going_on, here * share], dim=1) * judged[:, None]
        action = torch.cat([member, torch.full_like(member, n_members)], dim=1)
        charge = environment.charge[active].gather(1, member)[:, 0]
        path.append(
            _Round(
                active, GlobalState(observation, score[active], seen.worth[active]), action,
                log_prob.gather(1, action), here, torch.where(on, share, 1.0), weight,
                torch.where(on, charge, 0.0),
            )
        )  # fmt: skip
        reach[active] = going_on
        active, member = active[on], member[on, 0]
        flat[active, member] = True
    return path


def rollout(
    decider: Decider, critic: Critic, fusion: Fusion, pool_batch: PoolBatch, price: Tensor,
    *, generator: torch.Generator,
) -> tuple[Batch, dict[str, float]]:  # fmt: skip
    """Play every query of a pool_batch with exploration.

    Args:
        decider: the acting agent.
        critic: values the states met.
        fusion: frozen.
        pool_batch: pools and queries.
        price: float32[P, B], lambda of each episode.
        generator: samples the members asked.

    Returns:
        The states concatenated, and the mean score, calls and utility of the policy.
    """
    path = _walk(decider, fusion, pool_batch, price, generator)
    state = joined([r.state for r in path])
    with torch.no_grad():
        value = critic(state)
    grid_shape = (len(path), pool_batch.is_open.numel())
    alive = np.zeros(grid_shape, dtype=bool)
    for r, played in enumerate(path):
        alive[r, played.active.numpy()] = True

    def grid(figures: Tensor) -> FloatArray:
        filled = np.zeros(grid_shape, dtype=np.float32)
        filled[alive] = figures.numpy()
        return filled

    share = torch.cat([r.stop_share for r in path])
    charge, reach = torch.cat([r.charge for r in path]), torch.cat([r.reach for r in path])
    asking = credit(
        worth=grid(state.worth), charge=grid(charge), stop_share=grid(share), value=grid(value),
        alive=alive, gamma=1.0, gae_lambda=_GAE_LAMBDA,
    ).asking  # fmt: skip
    going = torch.from_numpy(asking[alive])
    outcome = torch.stack([going, state.worth], dim=1)
    batch = Batch(
        observation=state.observation,
        state=state,
        reach=reach,
        action=torch.cat([r.action for r in path]),
        log_prob=torch.cat([r.log_prob for r in path]),
        weight=torch.cat([r.weight for r in path]),
        advantage=outcome - value[:, None],
        value=value,
        returns=share * state.worth + (1 - share) * going,
    )
    n_episodes = grid_shape[1]
    score = float((reach * share * state.worth).sum()) / n_episodes
    paid = float((reach * (1 - share) * charge).sum()) / n_episodes
    calls = float((reach * (1 - share)).sum()) / n_episodes
    return batch, {"score": score, "n_calls": calls, "utility": score - paid}


@torch.inference_mode()
def play(decider: Decider, fusion: Fusion, pool_batch: PoolBatch, price: Tensor) -> GreedyEpisodes:
    """Play every query by the likeliest decisions, as the strategy does."""
    environment = _Environment(pool_batch, fusion, price)
    shape = pool_batch.answered.shape
    n_members = shape[2]
    asked = torch.zeros(shape, dtype=torch.bool)
    flat = asked.view(-1, n_members)
    score, paid = torch.zeros(2, len(flat))
    active = torch.arange(len(flat))
    while len(active):
        seen = environment.observe(asked)
        decision = likeliest(decider(rows_of(seen.observation, active)))
        stop = decision == n_members
        score[active[stop]] = seen.worth[active[stop]]
        active, member = active[~stop], decision[~stop]
        paid[active] += environment.charge[active, member]
        flat[active, member] = True
    grid = shape[:2]
    calls = asked.float().sum(2)
    return GreedyEpisodes(score.view(grid), calls, (score - paid).view(grid))
