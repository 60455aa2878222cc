"""The prior's Decider and its critic: one net for every pool, equivariant over members.

The Decider starts as a simple rule and learns corrections to it: members in order of expected score
minus price, and a stop where the posterior passes a threshold that falls with the price of the next
call. It has no weights of one member, task or pool, and knows them by statistics alone.

Axes: K states, N members, H hidden units.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlfocal.agents.nets import zeroed
from rlfocal.agents.policy import action_log_prob, rule, taken
from rlfocal.agents.prior.observation import N_MEMBER_FEATURES, N_SHARED_FEATURES, Observation

__all__ = ["Critic", "Decider", "GlobalState"]


class GlobalState(NamedTuple):
    """Input of the centralised critic, in training only."""

    observation: Observation
    member_score: Tensor
    """float32[K, N] in [0, 1]: score of each member's answer, asked or not."""
    worth: Tensor
    """float32[K]: reward of stopping now."""


class _Body(nn.Module):
    def __init__(self, n_member: int, n_shared: int, hidden: int) -> None:
        super().__init__()
        self.member_in = nn.Linear(n_member, hidden)
        self.shared_in = nn.Linear(n_shared, hidden)
        self.member_mix = nn.Linear(hidden, hidden)
        self.pool_mix = nn.Linear(3 * hidden, hidden)
        self.shared_mix = nn.Linear(4 * hidden, hidden)
        self.shared_out = nn.Linear(hidden, hidden)

    def forward(self, member: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Returns float32[K, N, H] per member and float32[K, H] shared."""
        shared = self.shared_in(shared)
        hidden = torch.relu(self.member_in(member) + shared[:, None])
        asked = member[:, :, :1]
        n_asked, left = asked.sum(1), 1 - asked
        n_left = left.sum(1)
        pool = torch.cat(
            [
                (hidden * asked).sum(1) / n_asked.clamp_min(1),
                (hidden * left).sum(1) / n_left.clamp_min(1),
                (hidden * left).amax(1),
            ], dim=1,
        )  # fmt: skip
        mixed = torch.relu(self.member_mix(hidden) + self.pool_mix(pool)[:, None])
        shared = torch.relu(self.shared_mix(torch.cat([torch.relu(shared), pool], dim=1)))
        return mixed, torch.relu(self.shared_out(shared))


class Decider(nn.Module):
    """The acting agent.

    Args:
        hidden: H.
    """

    def __init__(self, *, hidden: int = 56) -> None:
        super().__init__()
        self.hidden = hidden
        self.body = _Body(N_MEMBER_FEATURES, N_SHARED_FEATURES, hidden)
        self.member_head, self.stop_head = (zeroed(nn.Linear(hidden, 1)) for _ in range(2))

    def forward(self, observation: Observation) -> Tensor:
        """float32[K, N + 1]: log-probabilities of asking each member, and of stopping (last)."""
        members, shared = self.body(observation.member, observation.shared)
        start = rule(observation.preference, observation.confidence, observation.next_price)
        logit = torch.cat([self.member_head(members).squeeze(2), self.stop_head(shared)], dim=1)
        return action_log_prob(start=start, legal=observation.legal, logit=logit)

    def evaluate(self, observation: Observation, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability float32[K, A] of actions int64[K, A], and entropy float32[K]."""
        return taken(self(observation), action)


class Critic(nn.Module):
    """Centralised value of a state; it also sees the scores of members' answers."""

    def __init__(self, *, hidden: int = 56) -> None:
        super().__init__()
        self.body = _Body(N_MEMBER_FEATURES + 1, N_SHARED_FEATURES + 1, hidden)
        self.head = nn.Linear(2 * hidden, 1)

    def forward(self, state: GlobalState) -> Tensor:
        """float32[K]: expected return."""
        seen = state.observation
        member = torch.cat([seen.member, state.member_score[:, :, None] - 0.5], dim=2)
        shared = torch.cat([seen.shared, state.worth[:, None] - 0.5], dim=1)
        members, shared = self.body(member, shared)
        value: Tensor = self.head(torch.cat([members.mean(1), shared], dim=1))
        return value.squeeze(1)
