"""Nets of a policy over spans and of its critic, and how weights are drawn.

Axes: K situations, M models, I inputs of the nets.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Dirichlet, Normal
from torch.nn import functional

from rlfocal.pool.blends.policy import LEAST, SpanPolicy
from rlfocal.training.weights import seeded

__all__ = ["Choice", "SpanActor", "SpanCritic", "choose"]

_SPREAD = math.log(0.7)
"""Log of the standard deviation of scores, at first."""


class Choice(NamedTuple):
    """Weights that were drawn, and how likely that was."""

    weights: NDArray[np.float64]
    """float64[M], adding up to 1."""
    action: NDArray[np.float32]
    """float32[M]: what was drawn: the weights, or scores of which they are the softmax."""
    log_prob: NDArray[np.float32]
    """float32[1]; or, of each of several agents, float32[M]."""


class SpanActor(nn.Module):
    """The trainable form of a `SpanPolicy`: an `Agent` of `mappo`, or M agents with one body.

    Args:
        policy: where it starts.
    """

    def __init__(self, policy: SpanPolicy) -> None:
        super().__init__()
        self._start = policy
        n_hidden, n_in = policy.weights["hidden.weight"].shape
        self.hidden = nn.Linear(n_in, n_hidden)
        self.out = nn.Linear(n_hidden, policy.n_models)
        named = {name: torch.from_numpy(np.array(w)) for name, w in policy.weights.items()}
        self.load_state_dict(named)
        self.log_spread = nn.Parameter(torch.full((policy.n_models,), _SPREAD))

    def evaluate(self, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of what was drawn, and the entropy.

        Args:
            observation: float32[K, I].
            action: float32[K, M].

        Returns:
            float32[K] of one agent or float32[K, M] of several; float32[K].
        """
        out = self.out(torch.tanh(self.hidden(observation)))
        if self._start.agents == "one":
            drawn_from = Dirichlet(functional.softplus(out) + LEAST, validate_args=False)
            return drawn_from.log_prob(action), drawn_from.entropy()  # type: ignore[no-untyped-call]
        scores = Normal(out, self.log_spread.exp(), validate_args=False)
        return scores.log_prob(action), scores.entropy().sum(-1)  # type: ignore[no-untyped-call]

    def policy(self) -> SpanPolicy:
        """What it has learned, by value; it acts without torch."""
        weights = {
            name: value.detach().numpy().copy()
            for name, value in self.state_dict().items()
            if name != "log_spread"
        }
        start = self._start
        return SpanPolicy(start.agents, start.span, start.n_models, weights)

    @property
    def spread(self) -> NDArray[np.float64]:
        """float64[M]: standard deviations of scores."""
        return np.exp(self.log_spread.detach().numpy().astype(np.float64))


class SpanCritic(nn.Module):
    """What a reply is expected to be worth, from a situation of it.

    Args:
        n_in: inputs.
        n_hidden: units of its hidden layer.
    """

    def __init__(self, n_in: int, n_hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_in, n_hidden), nn.Tanh(), nn.Linear(n_hidden, 1))

    @classmethod
    def fresh(cls, n_in: int, n_hidden: int, *, seed: int) -> SpanCritic:
        """One that depends on the seed alone."""
        return seeded(seed, lambda: cls(n_in, n_hidden))

    def forward(self, state: Tensor) -> Tensor:
        """float32[K, I] → float32[K]."""
        value: Tensor = self.net(state)[:, 0]
        return value


def choose(
    out: NDArray[np.float32],
    policy: SpanPolicy,
    spread: NDArray[np.float64],
    rng: np.random.Generator,
) -> Choice:
    """Draw weights.

    Args:
        out: float32[M], what the policy's net says.
        policy: whose.
        spread: float64[M], standard deviations of scores, of several agents.
        rng: for the draw.
    """
    middle = out.astype(np.float64)
    if policy.agents == "one":
        concentration = np.logaddexp(0.0, middle) + LEAST
        # A weight of exactly 0 would have no density.
        action = np.clip(rng.dirichlet(concentration), 1e-6, None)
        action /= action.sum()
        weights = action
    else:
        action = rng.normal(middle, spread)
        weights = np.exp(action - action.max())
        weights /= weights.sum()
    as_floats = torch.from_numpy(action.astype(np.float32))[None]
    with torch.no_grad():
        log_prob = _log_prob(torch.from_numpy(np.array(out))[None], as_floats, policy, spread)
    return Choice(weights, action.astype(np.float32), log_prob.reshape(-1).numpy())


def _log_prob(
    out: Tensor, action: Tensor, policy: SpanPolicy, spread: NDArray[np.float64]
) -> Tensor:
    if policy.agents == "one":
        found: Tensor = Dirichlet(functional.softplus(out) + LEAST, validate_args=False).log_prob(
            action
        )  # type: ignore[no-untyped-call]
        return found
    scale = torch.from_numpy(spread.astype(np.float32))
    found = Normal(out, scale, validate_args=False).log_prob(action)  # type: ignore[no-untyped-call]
    return found
