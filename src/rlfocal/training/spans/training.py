"""Proximal policy optimisation of a policy over spans, on prompts whose replies can be judged.

An episode is a reply: at the start of each span weights are drawn, and at its end comes the reward.
Source: RLAE (arXiv:2506.00439); the update is `rlfocal.training.mappo`.

Axes: K situations of a rollout, M models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from rlfocal.agents.config import PpoConfig
from rlfocal.errors import Failure, MemberError
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.policy import Agents, SpanPolicy
from rlfocal.pool.blends.situations import N_OF_MODEL, N_SHARED, seen
from rlfocal.pool.blends.voices import Voice
from rlfocal.pool.blends.weighing import Situation, Weighed
from rlfocal.pool.types import Request, Response
from rlfocal.settings import Settings
from rlfocal.training.mappo import Batch, Diagnostics, anneal, update
from rlfocal.training.spans.actors import Choice, SpanActor, SpanCritic, choose
from rlfocal.training.weights import one_thread

__all__ = ["Iteration", "Judged", "SpanConfig", "train_spans"]

Count = Annotated[int, Field(ge=1, strict=True)]
Reward = Callable[[int, Response], float]
"""Number of a prompt and its reply → what that is worth, in [0, 1] as a rule."""


class SpanConfig(Settings):
    """How a policy over spans is trained."""

    agents: Agents = "one"
    """One agent that draws all weights, or one for each model (MAPPO)."""
    span: Count = 4
    """Tokens for which weights hold."""
    n_hidden: Count = 32
    n_iterations: Count = 20
    """Rollouts, each followed by an update."""
    n_episodes: Count = 32
    """Replies of a rollout."""
    ppo: PpoConfig = PpoConfig(
        learning_rate=1e-2, n_epochs=4, minibatch_size=64, gae_lambda=0.95, target_kl=0.1
    )


class Judged(NamedTuple):
    """Prompts, and what replies to them are worth."""

    requests: Sequence[Request]
    reward: Reward


class Iteration(NamedTuple):
    """What is told of one."""

    number: int
    reward: float
    """Mean over the replies of its rollout, with drawn weights."""
    n_evaluated: int
    """Tokens that all models read for them."""
    diagnostics: Diagnostics
    policy: SpanPolicy
    """After it."""
    n_failed: int
    """Prompts of the rollout that could not be asked: more than a model takes, as a rule."""


@dataclass
class _Drawing:
    """Draws weights, and keeps what it saw and drew."""

    policy: SpanPolicy
    spread: NDArray[np.float64]
    rng: np.random.Generator
    inputs: list[NDArray[np.float32]] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)

    def weigh(self, situation: Situation) -> NDArray[np.float64]:
        found = seen(situation)
        choice = choose(self.policy.outputs(found), self.policy, self.spread, self.rng)
        self.inputs.append(np.concatenate([found.shared, found.of_model.ravel()]))
        self.choices.append(choice)
        return choice.weights


class _Episode(NamedTuple):
    inputs: NDArray[np.float32]
    choices: list[Choice]
    reward: float
    n_evaluated: int


async def train_spans(
    voices: Sequence[Voice],
    judged: Judged,
    config: SpanConfig,
    *,
    seed: int = 0,
    on_iteration: Callable[[Iteration], None] | None = None,
) -> SpanPolicy:
    """Train a policy.

    Args:
        voices: the models, opened.
        judged: prompts to train on.
        config: settings.
        seed: of the nets, the prompts and the draws.
        on_iteration: told of each.

    Returns:
        The policy after the last iteration.

    Raises:
        MemberError: a model does not reply; or no prompt of a rollout can be asked.
        ValueError: there are no prompts.
    """
    if not judged.requests:
        raise ValueError("no prompts to train on")
    rng = np.random.default_rng(seed)
    n_models = len(voices)
    actor = SpanActor(
        SpanPolicy.fresh(
            config.agents, span=config.span, n_models=n_models, n_hidden=config.n_hidden, seed=seed
        )
    )
    critic = SpanCritic.fresh(N_SHARED + n_models * N_OF_MODEL, config.n_hidden, seed=seed)
    optimizer = torch.optim.Adam(
        [*actor.parameters(), *critic.parameters()], lr=config.ppo.learning_rate
    )
    for number in range(config.n_iterations):
        policy, spread = actor.policy(), actor.spread
        episodes, refused = list[_Episode](), list[MemberError]()
        for prompt in rng.integers(len(judged.requests), size=config.n_episodes).tolist():
            drawing = _Drawing(policy, spread, np.random.default_rng(rng.integers(2**63)))
            try:
                episodes.append(await _episode(voices, judged, prompt, drawing, config.span))
            except MemberError as exc:
                if exc.failure != Failure.BAD_REQUEST:
                    raise
                refused.append(exc)  # that prompt is too long: the others can be learned from
        if not episodes:
            raise refused[-1]
        with one_thread():
            ent_coef = anneal(optimizer, config.ppo, progress=number / config.n_iterations)
            batch = _batch(episodes, critic, config.ppo)
            told = update(actor, critic, optimizer, batch, config.ppo, ent_coef=ent_coef, rng=rng)
        if on_iteration is not None:
            reward = float(np.mean([episode.reward for episode in episodes]))
            n_evaluated = sum(episode.n_evaluated for episode in episodes)
            on_iteration(Iteration(number, reward, n_evaluated, told, actor.policy(), len(refused)))
    return actor.policy()


async def _episode(
    voices: Sequence[Voice], judged: Judged, prompt: int, drawing: _Drawing, span: int
) -> _Episode:
    reply = await write(judged.requests[prompt], voices, Weighed(drawing, span=span))
    reward = judged.reward(prompt, reply.response)
    inputs = np.stack(drawing.inputs)
    return _Episode(inputs, drawing.choices, reward, reply.counts.n_evaluated)


def _batch(episodes: Sequence[_Episode], critic: SpanCritic, config: PpoConfig) -> Batch:
    inputs = torch.from_numpy(np.concatenate([episode.inputs for episode in episodes]))
    with torch.no_grad():
        value = critic(inputs)
    advantage, start = [], 0
    for episode in episodes:
        n = len(episode.choices)
        own = value[start : start + n].numpy().astype(np.float64)
        advantage.append(_advantage(own, episode.reward, config))
        start += n
    gain = torch.from_numpy(np.concatenate(advantage).astype(np.float32))
    choices = [choice for episode in episodes for choice in episode.choices]
    log_prob = torch.from_numpy(np.stack([choice.log_prob for choice in choices]))
    of_agents = gain[:, None].expand_as(log_prob) if log_prob.shape[1] > 1 else gain
    log_prob = log_prob if log_prob.shape[1] > 1 else log_prob[:, 0]
    return Batch(
        observation=inputs,
        state=inputs,
        reach=torch.ones(len(inputs)),
        action=torch.from_numpy(np.stack([choice.action for choice in choices])),
        log_prob=log_prob,
        weight=torch.ones_like(log_prob),
        advantage=of_agents.clone(),
        value=value,
        returns=gain + value,
    )


def _advantage(value: NDArray[np.float64], reward: float, config: PpoConfig) -> NDArray[np.float64]:
    """Generalised advantage estimates of one reply, whose reward comes after its last span."""
    found, ahead = np.zeros(len(value)), 0.0
    after = np.append(value[1:], 0.0)
    for k in range(len(value) - 1, -1, -1):
        gained = reward if k == len(value) - 1 else 0.0
        ahead = (
            gained + config.gamma * after[k] - value[k] + config.gamma * config.gae_lambda * ahead
        )
        found[k] = ahead
    return found
