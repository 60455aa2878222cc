"""The Decider: ask which member next, or stop. The critic, in training only, also sees scores.

Both share one shape of network, equivariant over members: what belongs to a member (its embedding
too) moves with it. The Decider starts as a sound rule and learns corrections to it: members in
order of expected score minus price, and a stop where the posterior passes a threshold that falls
with the price of a call.

Axes: B queries, N members, F and G features, H hidden units.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlfocal.agents.nets import zeroed
from rlfocal.agents.observation import Observation, feature_counts
from rlfocal.agents.policy import action_log_prob, taken

__all__ = ["Critic", "Decider", "GlobalState"]

_EMBEDDING = 8


class GlobalState(NamedTuple):
    """What the centralised critic sees: the observation, and every member's hidden score."""

    observation: Observation
    member_score: Tensor
    """float32[B, N] in [0, 1]: what each member's answer is worth, asked or not."""


class _Body(nn.Module):
    """Members float32[B, N, F] and shared features float32[B, G] → hidden ones, equivariant."""

    def __init__(
        self, n_members: int, n_tasks: int, n_features: tuple[int, int], hidden: int
    ) -> None:
        super().__init__()
        self.member_embedding = nn.Embedding(n_members, _EMBEDDING)
        self.task_embedding = nn.Embedding(n_tasks + 1, _EMBEDDING)
        for embedding in (self.member_embedding, self.task_embedding):
            nn.init.normal_(embedding.weight, std=0.1)
        self.member_in = nn.Linear(n_features[0] + _EMBEDDING, hidden)
        self.shared_in = nn.Linear(n_features[1] + _EMBEDDING, hidden)
        self.shared_out = nn.Linear(3 * hidden, hidden)

    def forward(self, member: Tensor, observation: Observation) -> tuple[Tensor, Tensor, Tensor]:
        """Returns float32[B, N, H] per member, their pool float32[B, 2 H] and float32[B, H] shared.

        The pool is the mean of the members asked and of those not asked.
        """
        shared = torch.cat([observation.shared, self.task_embedding(observation.task)], dim=1)
        shared = self.shared_in(shared)
        # A member's name counts the same in every row: it is added, not repeated row by row.
        weight, n_features = self.member_in.weight, member.shape[2]
        of_features, of_name = weight[:, :n_features].contiguous(), weight[:, n_features:]
        name = functional.linear(self.member_embedding.weight, of_name, self.member_in.bias)
        hidden = functional.linear(member, of_features).add_(name).add_(shared[:, None]).relu_()
        asked = member[:, :, 0]
        groups = torch.stack([asked, 1 - asked], dim=1)
        pool = torch.bmm(groups / groups.sum(2, keepdim=True).clamp_min(1), hidden).flatten(1)
        out = self.shared_out(torch.cat([torch.relu(shared), pool], dim=1))
        return hidden, pool, torch.relu(out)


class Decider(nn.Module):
    """The acting agent.

    Args:
        n_members: N.
        n_tasks: T; index T stands for an unknown task.
        hidden: H.
        gathered: whether choices are gathered into rounds, so that there is more to see.
        reads_replies: whether there is more to see in the replies.
    """

    def __init__(
        self,
        n_members: int,
        n_tasks: int,
        *,
        hidden: int,
        gathered: bool = False,
        reads_replies: bool = False,
    ) -> None:
        super().__init__()
        n_features = feature_counts(gathered=gathered, reads_replies=reads_replies)
        self.body = _Body(n_members, n_tasks, n_features, hidden)
        self.member_mix = nn.Linear(hidden, hidden)
        self.pool_mix = nn.Linear(2 * hidden, hidden)
        self.member_head, self.stop_head = (zeroed(nn.Linear(hidden, 1)) for _ in range(2))

    def forward(self, observation: Observation) -> Tensor:
        """float32[B, N + 1]: log-probabilities of choosing each member, and of enough (last)."""
        hidden, pool, shared = self.body(observation.member, observation)
        members = self.member_mix(hidden).add_(self.pool_mix(pool)[:, None]).relu_()
        logit = torch.cat([self.member_head(members).squeeze(2), self.stop_head(shared)], dim=1)
        log_prob: Tensor = action_log_prob(
            start=observation.start, legal=observation.legal, logit=logit
        )
        return log_prob

    def evaluate(self, observation: Observation, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability float32[B, A] of actions int64[B, A], and entropy float32[B]."""
        return taken(self(observation), action)


class Critic(nn.Module):
    """Centralised value of a state: it also sees what unasked members would say is worth.

    One number for all members together: it needs no second layer for each of them.
    """

    def __init__(
        self,
        n_members: int,
        n_tasks: int,
        *,
        hidden: int,
        gathered: bool = False,
        reads_replies: bool = False,
    ) -> None:
        super().__init__()
        of_member, shared = feature_counts(gathered=gathered, reads_replies=reads_replies)
        self.body = _Body(n_members, n_tasks, (of_member + 1, shared), hidden)
        self.head = nn.Linear(hidden, 1)

    def forward(self, state: GlobalState) -> Tensor:
        """float32[B]: expected return."""
        hidden = state.member_score[:, :, None] - 0.5
        member = torch.cat([state.observation.member, hidden], dim=2)
        value: Tensor = self.head(self.body(member, state.observation)[2])
        return value.squeeze(1)
