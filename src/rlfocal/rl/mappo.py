"""MAPPO: clipped policy gradients for every agent, advantages from one centralised critic.

Actors see observations, the critic sees the global state; both are updated on the same rollout.
Knows neither queries nor members: an agent is anything with `evaluate(observation, action)`.

Sources: Yu et al. 2022, "The surprising effectiveness of PPO in cooperative multi-agent games";
Schulman et al. 2016 (generalised advantage estimation) and 2017 (PPO).

Axes: R rounds, B episodes, K decisions of a rollout laid end to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlfocal.rl.config import PpoConfig

__all__ = ["Agent", "Batch", "Diagnostics", "anneal", "gae", "rows_of", "update"]

Tree = TypeVar("Tree", bound=Any)


class Agent(Protocol):
    """An actor: a network that can judge actions it took."""

    def evaluate(self, observation: Any, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability float32[K] of the actions, and the policy's entropy float32[K]."""
        ...


class Batch(NamedTuple):
    """A rollout's decisions, laid end to end."""

    observation: Any
    """NamedTuple of tensors with first axis K: what the actor saw."""
    state: Any
    """The same, for the critic."""
    action: Tensor
    """[K, ...]."""
    log_prob: Tensor
    """float32[K]: of the action under the policy that took it; stored, never recomputed."""
    advantage: Tensor
    """float32[K]."""
    returns: Tensor
    """float32[K]: the critic's targets."""


@dataclass(frozen=True)
class Diagnostics:
    """How an update went."""

    policy_loss: float
    value_loss: float
    entropy: float
    approx_kl: float
    """Mean of (r - 1) - log r over the last epoch (k3 of Schulman's note on estimating KL)."""
    clip_fraction: float
    """Share of decisions whose ratio left [1 - clip_coef, 1 + clip_coef]."""
    first_ratio_error: float
    """Largest |ratio - 1| of the first minibatch: 0, or stored log-probabilities are wrong."""


def gae(
    reward: NDArray[np.float32],
    value: NDArray[np.float32],
    alive: NDArray[np.bool_],
    *,
    gamma: float,
    gae_lambda: float,
) -> NDArray[np.float32]:
    """Generalised advantages of B episodes that end on their own (terminated, never truncated).

    Args:
        reward: float32[R, B].
        value: float32[R, B], the critic's, at the state the decision was taken in.
        alive: bool[R, B], True where a decision was taken; the last True of a column terminates.
        gamma: discount per round.
        gae_lambda: decay.

    Returns:
        float32[R, B]; 0 where no decision was taken.
    """
    advantage = np.zeros_like(reward)
    running = np.zeros(reward.shape[1], dtype=np.float32)
    next_value = np.zeros(reward.shape[1], dtype=np.float32)
    for r in range(len(reward) - 1, -1, -1):
        delta = reward[r] + gamma * next_value - value[r]
        running = np.where(alive[r], delta + gamma * gae_lambda * running, 0)
        advantage[r] = running
        next_value = np.where(alive[r], value[r], 0)
    return advantage


def update(
    agent: nn.Module,
    critic: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: PpoConfig,
    *,
    ent_coef: float,
    rng: np.random.Generator,
) -> Diagnostics:
    """One PPO update of one agent and of the critic.

    Args:
        agent: an `Agent`; only its own parameters receive the policy's gradient.
        critic: global state → float32[K].
        optimizer: over the parameters of both.
        batch: the rollout.
        config: settings.
        ent_coef: entropy weight of this update (annealed by the caller).
        rng: orders the minibatches.
    """
    n_decisions = len(batch.action)
    advantage = (batch.advantage - batch.advantage.mean()) / (
        batch.advantage.std(correction=0) + 1e-8
    )
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    first_ratio_error = -1.0
    logs: list[Tensor] = []
    for _ in range(config.n_epochs):
        logs = []
        order = torch.from_numpy(rng.permutation(n_decisions))
        for chosen in torch.split(order, config.minibatch_size):
            log_prob, entropy = agent.evaluate(
                rows_of(batch.observation, chosen), batch.action[chosen]
            )  # type: ignore[operator]
            log_ratio = log_prob - batch.log_prob[chosen]
            ratio = log_ratio.exp()
            if first_ratio_error < 0:
                first_ratio_error = float((ratio.detach() - 1).abs().max())
            clipped = ratio.clamp(1 - config.clip_coef, 1 + config.clip_coef)
            gain = torch.minimum(ratio * advantage[chosen], clipped * advantage[chosen])
            policy_loss = -gain.mean()
            value = critic(rows_of(batch.state, chosen))
            value_loss = 0.5 * (value - batch.returns[chosen]).square().mean()
            loss = policy_loss + config.vf_coef * value_loss - ent_coef * entropy.mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
            optimizer.step()
            with torch.no_grad():
                approx_kl = ((ratio - 1) - log_ratio).mean()
                outside = ((ratio - 1).abs() > config.clip_coef).float().mean()
                losses = [policy_loss, value_loss, entropy.mean(), approx_kl, outside]
                logs.append(torch.stack([figure.detach() for figure in losses]))
        if config.target_kl is not None and _mean(logs)[3] > config.target_kl:
            break
    last = _mean(logs)
    return Diagnostics(
        policy_loss=last[0],
        value_loss=last[1],
        entropy=last[2],
        approx_kl=last[3],
        clip_fraction=last[4],
        first_ratio_error=first_ratio_error,
    )


def _mean(logs: list[Tensor]) -> list[float]:
    figures: list[float] = torch.stack(logs).mean(0).tolist()
    return figures


def anneal(optimizer: torch.optim.Optimizer, config: PpoConfig, *, progress: float) -> float:
    """Set the step size for `progress` in [0, 1] and return the entropy weight to go with it."""
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * (1 - 0.9 * progress)
    return config.ent_coef * (1 - progress)


def rows_of(tree: Tree, rows: Tensor) -> Tree:
    """The given rows of every tensor in a (nested) NamedTuple."""
    if isinstance(tree, Tensor):
        return cast(Tree, tree[rows])
    return cast(Tree, type(tree)(*(rows_of(part, rows) for part in tree)))
