"""What the published code of RLAE does (github fyqqyf/RLAE at cca1fd6), for comparison.

Its "ratio" is that of weights, new over old, not of their probabilities: the softmax of the net is
the action itself, nothing is drawn. The reward stands in for the advantage, there is no critic; as
weights add up to 1, the mean of such ratios grows where they become alike, whatever the reward.
Each of five "spans" writes the whole reply anew with its weights, and does not see the text so far:
what spans do together is never tried.

This is no reproduction of its nets or data: what `training` trains is trained in that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.policy import SpanPolicy
from rlfocal.pool.blends.situations import N_OF_MODEL, N_SHARED, Seen, seen
from rlfocal.pool.blends.voices import Voice
from rlfocal.pool.blends.weighing import Fixed, Situation, Weighed
from rlfocal.training.spans.actors import SpanActor
from rlfocal.training.spans.training import Judged, SpanConfig
from rlfocal.training.weights import one_thread

__all__ = ["N_SPANS", "ReleasedPolicy", "train_released"]

N_SPANS = 5
"""Of an episode."""


@dataclass(frozen=True, eq=False)
class ReleasedPolicy:
    """Weights by question and number of the span; neither the text nor the models are seen."""

    inner: SpanPolicy

    @property
    def span(self) -> int:
        """Tokens for which weights hold."""
        return self.inner.span

    def weigh(self, situation: Situation) -> NDArray[np.float64]:
        """float64[M]: the softmax of the net."""
        return _softmax(self.inner.outputs(_question(situation)))


async def train_released(
    voices: Sequence[Voice], judged: Judged, config: SpanConfig, *, seed: int = 0
) -> ReleasedPolicy:
    """Train a policy as the published code does.

    Args:
        voices: the models, opened.
        judged: prompts to train on.
        config: settings; a reply here counts as many episodes as it has "spans".
        seed: of the nets and the prompts.

    Raises:
        MemberError: a model cannot be asked.
    """
    rng = np.random.default_rng(seed)
    start = SpanPolicy.fresh(
        "each", span=config.span, n_models=len(voices), n_hidden=config.n_hidden, seed=seed
    )
    first = start.weights["out.weight"]
    # With an output layer of zeros all weights would be alike, and nothing would ever differ.
    out = rng.normal(size=first.shape, scale=1 / np.sqrt(first.shape[1])).astype(np.float32)
    actor = SpanActor(replace(start, weights={**start.weights, "out.weight": out}))
    optimizer = torch.optim.Adam(actor.parameters(), lr=config.ppo.learning_rate)
    for _ in range(config.n_iterations):
        policy = actor.policy()
        inputs, weights, rewards = [], [], []
        for _ in range(max(1, config.n_episodes // N_SPANS)):
            prompt = int(rng.integers(len(judged.requests)))
            request = judged.requests[prompt]
            for span in range(N_SPANS):
                at = _question(Situation(request.text, b"", span, [None] * len(voices)))
                weight = _softmax(policy.outputs(at))
                reply = await write(request, voices, Weighed(Fixed(tuple(weight.tolist()))))
                inputs.append(np.concatenate([at.shared, at.of_model.ravel()]))
                weights.append(weight)
                rewards.append(judged.reward(prompt, reply.response))
        with one_thread():
            _update(actor, optimizer, np.stack(inputs), np.stack(weights), rewards, config)
    return ReleasedPolicy(actor.policy())


def _update(
    actor: SpanActor,
    optimizer: torch.optim.Optimizer,
    inputs: NDArray[np.float32],
    weights: NDArray[np.float64],
    rewards: Sequence[float],
    config: SpanConfig,
) -> None:
    put, old = torch.from_numpy(inputs), torch.from_numpy(weights.astype(np.float32))
    gain = torch.tensor(rewards, dtype=torch.float32)[:, None]
    for _ in range(config.ppo.n_epochs):
        new = torch.softmax(actor.out(torch.tanh(actor.hidden(put))), dim=-1)
        ratio = new / old
        clipped = ratio.clamp(1 - config.ppo.clip_coef, 1 + config.ppo.clip_coef)
        loss = -torch.minimum(ratio * gain, clipped * gain).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _question(situation: Situation) -> Seen:
    """What the released net sees: the question, and the number of the span."""
    found = seen(situation._replace(text=b"", proposals=[None] * len(situation.proposals)))
    assert len(found.shared) == N_SHARED
    return Seen(found.shared, np.zeros((len(situation.proposals), N_OF_MODEL), dtype=np.float32))


def _softmax(out: NDArray[np.float32]) -> NDArray[np.float64]:
    part = np.exp(out.astype(np.float64) - out.max())
    return np.asarray(part / part.sum())
