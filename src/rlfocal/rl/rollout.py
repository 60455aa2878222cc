"""Play episodes: the Decider acts, Fusion answers where it stops; lay the rollout end to end.

Training walks a path on where the policy would stop with some chance, so that one path says what
stopping at each of its states would have earned and what asking on would have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlfocal.records import FloatArray, IntArray
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.credit import asking_value, shaped
from rlfocal.rl.decider import Critic, Decider, GlobalState
from rlfocal.rl.environment import PoolEnv
from rlfocal.rl.foundation import Known
from rlfocal.rl.mappo import Batch
from rlfocal.rl.observation import Observation, Observer, Seen
from rlfocal.rl.policy import likeliest
from rlfocal.strategies.protocol import View

__all__ = ["Episodes", "greedy", "look", "rollout"]


_LEAST_REACH = 0.01
"""A path ends where the policy gets further less often than this."""


class Episodes(NamedTuple):
    """What B episodes came to; in training, on average over where they stop."""

    score: FloatArray
    """float32[B]: worth of the answer."""
    n_calls: FloatArray
    """float32[B]."""
    utility: FloatArray
    """float32[B]: score minus lambda times cost."""


class _Round(NamedTuple):
    """One state of every path that is still going on."""

    active: IntArray
    seen: Seen
    action: Tensor
    """int64[A, 2]: the member asked next, and N for stopping."""
    log_prob: Tensor
    """float32[A, 2]."""
    reach: FloatArray
    """float32[A]: how often the policy gets here along this path."""
    stop_share: FloatArray
    """float32[A]: how much of that stops here; 1 where the path ends."""
    weight: FloatArray
    """float32[A, 2]: how often each action is taken."""
    worth: FloatArray
    """float32[A]: what stopping earns."""
    charge: FloatArray
    """float32[A]: what the member asked next costs, in units of worth."""


def rollout(
    observer: Observer,
    decider: Decider,
    critic: Critic,
    env: PoolEnv,
    known: Known,
    rows: IntArray,
    price: FloatArray,
    config: RlFocalConfig,
    *,
    generator: torch.Generator,
) -> tuple[Batch, Episodes]:
    """Play B training queries with exploration.

    Args:
        observer: turns views into observations.
        decider: the acting agent.
        critic: judges the states met.
        env: the environment.
        known: what training knows of its queries.
        rows: int64[B], the queries.
        price: float32[B], lambda of each.
        config: how credit is given.
        generator: samples the actions.
    """
    path = _walk(observer, decider, env, known, rows, price, config, generator)
    observations = _join([r.seen.observation for r in path])
    member_score = env.table.member_score[rows[np.concatenate([r.active for r in path])]]
    if not config.central_critic:
        member_score = np.zeros_like(member_score)
    state = GlobalState(observations, torch.from_numpy(member_score))
    with torch.no_grad():
        value = critic(state).numpy()
    shape = (len(path), len(rows))
    alive = np.zeros(shape, dtype=bool)
    for r, played in enumerate(path):
        alive[r, played.active] = True

    def grid(figures: list[FloatArray]) -> FloatArray:
        filled = np.zeros(shape, dtype=np.float32)
        filled[alive] = np.concatenate(figures)
        return filled

    worth, share = grid([r.worth for r in path]), grid([r.stop_share for r in path])
    charge = grid([r.charge for r in path])
    if config.focal == "shaping":
        chosen = [~r.seen.observation.legal[:, :-1].numpy() for r in path]
        potential = grid([observer.statistics.independence(asked) for asked in chosen])
        worth, charge = shaped(worth, charge, config.focal_coef * potential, gamma=config.ppo.gamma)
    asking = asking_value(
        worth=worth, charge=charge, stop_share=share,
        value=grid([value]), alive=alive, gamma=config.ppo.gamma,
        gae_lambda=config.ppo.gae_lambda,
    )  # fmt: skip
    outcome = np.stack([asking[alive], worth[alive]], axis=1)
    batch = Batch(
        observation=observations,
        state=state,
        reach=torch.from_numpy(np.concatenate([r.reach for r in path])),
        action=torch.cat([r.action for r in path]),
        log_prob=torch.cat([r.log_prob for r in path]),
        weight=torch.from_numpy(np.concatenate([r.weight for r in path])),
        advantage=torch.from_numpy(outcome - value[:, None]),
        value=torch.from_numpy(value),
        returns=torch.from_numpy((share * worth + (1 - share) * asking)[alive]),
    )
    return batch, _expected(path, len(rows))


@torch.no_grad()
def _walk(
    observer: Observer,
    decider: Decider,
    env: PoolEnv,
    known: Known,
    rows: IntArray,
    price: FloatArray,
    config: RlFocalConfig,
    generator: torch.Generator,
) -> list[_Round]:
    """Follow every path until it stops, or hardly ever gets further."""
    view = env.reset(rows, price)
    n_members = env.table.n_members
    reach = np.ones(len(rows), dtype=np.float32)
    path: list[_Round] = []
    while len(env.active):
        active = env.active
        seen, answer = look(observer, env, known, view)
        log_prob = decider(seen.observation)
        member = torch.multinomial(log_prob[:, :-1].softmax(1), 1, generator=generator)
        share = log_prob[:, -1].exp()
        if config.credit == "sampled":
            share = torch.bernoulli(share, generator=generator)
        stop_share, here = share.numpy(), reach[active]
        going_on = here * (1 - stop_share)
        on = going_on > _LEAST_REACH
        # A path cut short for want of reach says nothing of asking there, so neither is judged.
        judged = on | (going_on == 0)
        weight = np.stack([going_on, here * stop_share], axis=1) * judged[:, None]
        action = torch.cat([member, torch.full_like(member, n_members)], dim=1)
        worth = env.stopping_earns(answer)
        step = env.step(np.where(on, member[:, 0].numpy(), n_members), answer)
        path.append(
            _Round(
                active, seen, action, log_prob.gather(1, action), here,
                np.where(on, stop_share, np.float32(1)), weight, worth,
                np.where(on, -step.reward, np.float32(0)),
            )
        )  # fmt: skip
        reach[active] = going_on
        view = env.view()
    return path


def _expected(path: list[_Round], n_episodes: int) -> Episodes:
    score, n_calls, charged = np.zeros((3, n_episodes), dtype=np.float32)
    for r in path:
        going_on = r.reach * (1 - r.stop_share)
        score[r.active] += r.reach * r.stop_share * r.worth
        n_calls[r.active] += going_on
        charged[r.active] += going_on * r.charge
    return Episodes(score, n_calls, score - charged)


@torch.no_grad()
def greedy(
    observer: Observer,
    decider: Decider,
    env: PoolEnv,
    known: Known,
    rows: IntArray,
    price: FloatArray,
) -> Episodes:
    """Play B training queries by the likeliest decisions, as a deployed policy does."""
    view = env.reset(rows, price)
    score, utility = np.zeros((2, len(rows)), dtype=np.float32)
    while len(env.active):
        active = env.active
        seen, answer = look(observer, env, known, view)
        step = env.step(likeliest(decider(seen.observation)).numpy(), answer)
        utility[active] += step.reward
        score[active] += np.where(step.terminated, step.reward, 0)
        view = env.view()
    return Episodes(score, env.n_rounds.astype(np.float32), utility)


def look(observer: Observer, env: PoolEnv, known: Known, view: View) -> tuple[Seen, IntArray]:
    """Observe the active episodes; also int64[A], the answer Fusion would give in each."""
    rows = view.position
    seen = observer.look(view, env.price[env.active], known.competence[rows], known.fold[rows])
    # The likeliest candidate; "none of these" is no answer to give.
    best = torch.where(seen.observation.confidence > 0, seen.posterior[:, :-1].argmax(1), -1)
    return seen, best.numpy()


def _join(parts: list[Observation]) -> Observation:
    return Observation(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
