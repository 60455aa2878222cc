"""Play episodes: the Decider acts, Fusion answers where it stops; lay the rollout end to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlfocal.records import FloatArray, IntArray
from rlfocal.rl.config import PpoConfig
from rlfocal.rl.decider import Critic, Decider, GlobalState, likeliest
from rlfocal.rl.environment import PoolEnv
from rlfocal.rl.mappo import Batch, gae
from rlfocal.rl.observation import Observation, Observer, Seen

__all__ = ["Episodes", "Known", "greedy", "rollout"]


@dataclass(frozen=True, eq=False)
class Known:
    """What training knows of its queries beside the table."""

    competence: FloatArray
    """float32[Q, N], out of fold."""
    fold: Tensor
    """int64[Q]: the Fusion net that never saw the query."""


class Episodes(NamedTuple):
    """What B episodes came to."""

    score: FloatArray
    """float32[B]: worth of the answer."""
    n_calls: IntArray
    """int64[B]."""
    utility: FloatArray
    """float32[B]: score minus lambda times cost."""


class _Round(NamedTuple):
    active: IntArray
    seen: Seen
    action: Tensor
    log_prob: Tensor


def rollout(
    observer: Observer,
    decider: Decider,
    critic: Critic,
    env: PoolEnv,
    known: Known,
    rows: IntArray,
    price: FloatArray,
    config: PpoConfig,
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
        config: gamma and gae_lambda.
        rows: int64[B], the queries.
        price: float32[B], lambda of each.
        generator: samples the actions.
    """
    rounds, rewards = _play(observer, decider, env, known, rows, price, generator)
    n_rounds, n_episodes = len(rounds), len(rows)
    reward = np.zeros((n_rounds, n_episodes), dtype=np.float32)
    value, alive = np.zeros_like(reward), np.zeros(reward.shape, dtype=bool)
    observations = _join([r.seen.observation for r in rounds])
    owners = [r.active for r in rounds]
    member_score = torch.from_numpy(env.table.member_score[rows[np.concatenate(owners)]])
    state = GlobalState(observations, member_score)
    with torch.no_grad():
        values = critic(state).numpy()
    ends = np.cumsum([len(active) for active in owners])[:-1]
    for r, (active, earned, part) in enumerate(
        zip(owners, rewards, np.split(values, ends), strict=True)
    ):
        reward[r, active], value[r, active], alive[r, active] = earned, part, True
    advantage = gae(reward, value, alive, gamma=config.gamma, gae_lambda=config.gae_lambda)
    flat = torch.from_numpy(advantage[alive])
    batch = Batch(
        observation=observations,
        state=state,
        action=torch.cat([r.action for r in rounds]),
        log_prob=torch.cat([r.log_prob for r in rounds]),
        advantage=flat,
        returns=flat + torch.from_numpy(value[alive]),
    )
    return batch, _episodes(env, reward)


def greedy(
    observer: Observer,
    decider: Decider,
    env: PoolEnv,
    known: Known,
    rows: IntArray,
    price: FloatArray,
) -> Episodes:
    """Play B training queries by the likeliest decisions, as a deployed policy does."""
    rounds, rewards = _play(observer, decider, env, known, rows, price, None)
    reward = np.zeros((len(rounds), len(rows)), dtype=np.float32)
    for r, (played, earned) in enumerate(zip(rounds, rewards, strict=True)):
        reward[r, played.active] = earned
    return _episodes(env, reward)


@torch.no_grad()
def _play(
    observer: Observer,
    decider: Decider,
    env: PoolEnv,
    known: Known,
    rows: IntArray,
    price: FloatArray,
    generator: torch.Generator | None,
) -> tuple[list[_Round], list[NDArray[np.float32]]]:
    view = env.reset(rows, price)
    rounds: list[_Round] = []
    rewards: list[NDArray[np.float32]] = []
    while len(env.active):
        active = env.active
        seen = observer.look(
            view, env.price[active], known.competence[view.position], known.fold[view.position]
        )
        log_prob = decider(seen.observation)
        if generator is None:
            action = likeliest(log_prob)
        else:
            action = torch.multinomial(log_prob.exp(), 1, generator=generator)[:, 0]
        taken = log_prob.gather(1, action[:, None])[:, 0]
        rounds.append(_Round(active, seen, action, taken))
        # The answer Fusion would give: the likeliest candidate; "none" is no answer to give.
        best = torch.where(seen.observation.confidence > 0, seen.posterior[:, :-1].argmax(1), -1)
        rewards.append(env.step(action.numpy(), best.numpy()).reward)
        view = env.view()
    return rounds, rewards


def _join(parts: list[Observation]) -> Observation:
    return Observation(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _episodes(env: PoolEnv, reward: NDArray[np.float32]) -> Episodes:
    utility = reward.sum(axis=0)
    # Every reward but the last is a charge; the score is what is left when they are taken back.
    score = utility + np.where(reward < 0, -reward, 0).sum(axis=0)
    return Episodes(score, env.n_rounds.copy(), utility)
