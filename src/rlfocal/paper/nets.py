"""The paper's three small networks: Decider, Fusion, and the centralised critic it names.

Axes: K decisions, N members, L leading candidates, F inputs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PaperCritic", "PaperDecider", "PaperFusion", "PaperObservation", "PaperState"]


class PaperObservation(NamedTuple):
    """Input of an actor."""

    inputs: Tensor
    """float32[K, F]."""
    legal: Tensor
    """bool[K, A]: actions that exist (members, or leading candidates)."""


class PaperState(NamedTuple):
    """Input of the critic: the observation, and scores that no actor may see."""

    inputs: Tensor
    """float32[K, F]."""
    hidden: Tensor
    """float32[K, H]: every member's score, or every candidate's."""


class PaperDecider(nn.Module):
    """N independent yes/no decisions, given that not all of them are no.

    One hidden layer, ReLU. Inputs: previous mask, its ensemble score, its size.
    """

    def __init__(self, n_members: int, *, hidden: int) -> None:
        super().__init__()
        self.n_members = n_members
        self.net = nn.Sequential(
            nn.Linear(n_members + 2, hidden), nn.ReLU(), nn.Linear(hidden, n_members)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """float32[K, N]: log-odds of asking each member."""
        logit: Tensor = self.net(inputs)
        return logit

    def evaluate(self, observation: PaperObservation, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of masks float32[K, N] and the entropy of the free decisions."""
        logit = self(observation.inputs)
        log_yes, log_no = functional.logsigmoid(logit), functional.logsigmoid(-logit)
        log_prob = torch.where(action > 0.5, log_yes, log_no).sum(1)
        some = torch.log(-torch.expm1(log_no.sum(1).clamp(max=-1e-6)))
        entropy = -(log_yes.exp() * log_yes + log_no.exp() * log_no).sum(1)
        return log_prob - some, entropy

    def sample(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Masks float32[K, N], none empty: empty draws are drawn again."""
        chance = torch.sigmoid(self(inputs))
        mask = torch.bernoulli(chance, generator=generator)
        empty = mask.sum(1) == 0
        mask[empty] = _first_yes(chance[empty], generator)
        return mask

    @torch.inference_mode()
    def likeliest(self, inputs: Tensor) -> Tensor:
        """The likeliest non-empty mask, float32[K, N]."""
        logit = self(inputs)
        best = functional.one_hot(logit.argmax(1), logit.shape[1]).bool()
        mask: Tensor = (logit > 0) | best
        return mask.float()


def _first_yes(chance: Tensor, generator: torch.Generator) -> Tensor:
    """Draw masks given that they are not empty: the place of the first yes, then the rest."""
    before = torch.cumprod(torch.cat([torch.ones_like(chance[:, :1]), 1 - chance], 1), 1)[:, :-1]
    first = torch.multinomial((before * chance).clamp_min(1e-30), 1, generator=generator)
    place = torch.arange(chance.shape[1])
    mask = torch.bernoulli(chance, generator=generator)
    return torch.where(place == first, 1.0, torch.where(place < first, 0.0, mask))


class PaperFusion(nn.Module):
    """Two hidden layers over the chosen members' supports, softmax over the leading candidates."""

    def __init__(self, n_members: int, n_leading: int, *, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_members * n_leading, hidden), nn.ReLU(),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, n_leading),
        )  # fmt: skip

    def forward(self, observation: PaperObservation) -> Tensor:
        """float32[K, L]: log-probabilities; candidates that do not exist have about none."""
        logit = self.net(observation.inputs).masked_fill(~observation.legal, -1e9)
        return torch.log_softmax(logit, dim=1)

    def evaluate(self, observation: PaperObservation, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability float32[K] of the chosen candidates int64[K], and the entropy."""
        log_prob = self(observation)
        entropy = -(log_prob.exp() * log_prob.clamp_min(-50)).sum(1)
        return log_prob.gather(1, action[:, None])[:, 0], entropy


class PaperCritic(nn.Module):
    """Value of a state, from the observation and the hidden truth (training only)."""

    def __init__(self, n_inputs: int, *, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, state: PaperState) -> Tensor:
        """float32[K]."""
        value: Tensor = self.net(torch.cat([state.inputs, state.hidden], dim=1))
        return value.squeeze(1)
