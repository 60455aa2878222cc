"""MAPPO: clipped policy gradients for every agent, against one centralised critic.

Actors see observations, the critic sees the global state; both are updated on the same rollout.
Knows neither queries nor members: an agent is anything with `evaluate(observation, action)`.

At a state, one sampled action may be judged, or several, each weighted by how often the policy that
made the rollout takes it. Summed over all actions that is the policy gradient without the noise of
drawing one.

Sources: Yu et al. 2022, "The surprising effectiveness of PPO in cooperative multi-agent games";
Schulman et al. 2017 (PPO).

Axes: K states of a rollout laid end to end, A actions judged at each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from rlfocal.agents.config import PpoConfig

__all__ = ["Agent", "Batch", "Diagnostics", "anneal", "joined", "rows_of", "update"]

Tree = TypeVar("Tree", bound=Any)


class Agent(Protocol):
    """An actor: a network that gives log-probabilities of actions taken."""

    def evaluate(self, observation: Any, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of the actions, shaped like `Batch.log_prob`; entropy float32[K]."""
        ...


class Batch(NamedTuple):
    """A rollout's states, concatenated."""

    observation: Any
    """NamedTuple of tensors with first axis K, or of None: the actor's observations."""
    state: Any
    """The same, for the critic."""
    reach: Tensor
    """float32[K] in [0, 1]: how often the state is met; weighs the critic's error and the bonus."""
    action: Tensor
    """[K, ...]: what `Agent.evaluate` takes."""
    log_prob: Tensor
    """float32[K] or [K, A]: of the actions under the policy that made the rollout; stored, never
    recomputed."""
    weight: Tensor
    """Of the same shape: how often an action was taken; `reach` where it was sampled."""
    advantage: Tensor
    """Of the same shape."""
    value: Tensor
    """float32[K]: the critic's, when the rollout was made."""
    returns: Tensor
    """float32[K]: the critic's targets."""


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics of an update."""

    policy_loss: float
    value_loss: float
    entropy: float
    approx_kl: float
    """Mean of (r - 1) - log r over the last epoch (k3 of Schulman's note on estimating KL)."""
    clip_fraction: float
    """Share of actions whose ratio left [1 - clip_coef, 1 + clip_coef]."""
    first_ratio_error: float
    """Largest |ratio - 1| of the first minibatch: 0, or stored log-probabilities are wrong."""


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
    batch = batch._replace(advantage=_normalised(batch.advantage, batch.weight))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    first_ratio_error = -1.0
    logs: list[Tensor] = []
    for _ in range(config.n_epochs):
        logs = []
        order = torch.from_numpy(rng.permutation(len(batch.action)))
        mixed = _reordered(batch, order, {})
        for start in range(0, len(order), config.minibatch_size):
            part = rows_of(mixed, slice(start, start + config.minibatch_size))
            log_prob, entropy = agent.evaluate(part.observation, part.action)  # type: ignore[operator]
            log_ratio = log_prob - part.log_prob
            ratio = log_ratio.exp()
            if first_ratio_error < 0:
                first_ratio_error = float((ratio.detach() - 1).abs().max())
            clipped = ratio.clamp(1 - config.clip_coef, 1 + config.clip_coef)
            gain = torch.minimum(ratio * part.advantage, clipped * part.advantage)
            policy_loss = -_mean(gain, part.weight)
            value_loss = 0.5 * _mean((critic(part.state) - part.returns).square(), part.reach)
            bonus = _mean(entropy, part.reach)
            loss = policy_loss + config.vf_coef * value_loss - ent_coef * bonus
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
            optimizer.step()
            with torch.no_grad():
                approx_kl = _mean((ratio - 1) - log_ratio, part.weight)
                outside = _mean(((ratio - 1).abs() > config.clip_coef).float(), part.weight)
                losses = [policy_loss, value_loss, bonus, approx_kl, outside]
                logs.append(torch.stack([figure.detach() for figure in losses]))
        if config.target_kl is not None and _average(logs)[3] > config.target_kl:
            break
    last = _average(logs)
    return Diagnostics(
        policy_loss=last[0],
        value_loss=last[1],
        entropy=last[2],
        approx_kl=last[3],
        clip_fraction=last[4],
        first_ratio_error=first_ratio_error,
    )


def _mean(figure: Tensor, weight: Tensor) -> Tensor:
    return (figure * weight).sum() / weight.sum().clamp_min(1e-8)


def _normalised(advantage: Tensor, weight: Tensor) -> Tensor:
    centred = advantage - _mean(advantage, weight)
    return centred / (_mean(centred.square(), weight).sqrt() + 1e-8)


def _average(logs: list[Tensor]) -> list[float]:
    figures: list[float] = torch.stack(logs).mean(0).tolist()
    return figures


def anneal(optimizer: torch.optim.Optimizer, config: PpoConfig, *, progress: float) -> float:
    """Set the step size for `progress` in [0, 1] and return the entropy weight to go with it."""
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * (1 - 0.9 * progress)
    return config.ent_coef * (1 - progress)


def joined(trees: Sequence[Tree]) -> Tree:
    """Rows of (nested) NamedTuples of tensors, or of None, one after the other."""
    first = trees[0]
    if first is None or isinstance(first, Tensor):
        return cast(Tree, first if first is None else torch.cat(list(trees)))
    return cast(Tree, type(first)(*(joined(parts) for parts in zip(*trees, strict=True))))


def rows_of(tree: Tree, rows: Tensor | slice) -> Tree:
    """The given rows of every tensor in a (nested) NamedTuple; of a slice, without a copy."""
    if tree is None:
        return tree
    if isinstance(tree, Tensor):
        return cast(Tree, tree[rows])
    return cast(Tree, type(tree)(*(rows_of(part, rows) for part in tree)))


def _reordered(tree: Tree, order: Tensor, done: dict[int, Tensor]) -> Tree:
    """As `rows_of`; a tensor that stands in several places, as an observation does, is copied once.

    Once an epoch, so that minibatches are slices: taking rows costs as much as a layer.
    """
    if tree is None:
        return tree
    if isinstance(tree, Tensor):
        if id(tree) not in done:
            done[id(tree)] = tree[order]
        return cast(Tree, done[id(tree)])
    return cast(Tree, type(tree)(*(_reordered(part, order, done) for part in tree)))
