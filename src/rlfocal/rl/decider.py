"""The Decider: whom to ask next, or to stop. The critic, in training only, also sees who is right.

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

from rlfocal.rl.observation import N_MEMBER_FEATURES, N_SHARED_FEATURES, Observation

__all__ = ["Critic", "Decider", "GlobalState", "likeliest"]

_EMBEDDING = 8
_ORDER_GAIN = 20.0
"""Start: five points of expected accuracy make a member e times as likely to be asked first."""
_STOP_GAIN = 10.0
_GAIN_PER_CALL = 0.25
"""Start: another call turns about a quarter of the remaining doubt into right answers."""


class GlobalState(NamedTuple):
    """What the centralised critic sees: the observation, and every member's hidden score."""

    observation: Observation
    member_score: Tensor
    """float32[B, N] in [0, 1]: what each member's answer is worth, asked or not."""


class _Body(nn.Module):
    """Members float32[B, N, F] and shared features float32[B, G] → hidden ones, equivariant."""

    def __init__(self, n_members: int, n_tasks: int, n_member_features: int, hidden: int) -> None:
        super().__init__()
        self.member_embedding = nn.Embedding(n_members, _EMBEDDING)
        self.task_embedding = nn.Embedding(n_tasks + 1, _EMBEDDING)
        for embedding in (self.member_embedding, self.task_embedding):
            nn.init.normal_(embedding.weight, std=0.1)
        self.member_in = nn.Linear(n_member_features + _EMBEDDING, hidden)
        self.shared_in = nn.Linear(N_SHARED_FEATURES + _EMBEDDING, hidden)
        self.member_mix = nn.Linear(hidden, hidden)
        self.pool_mix = nn.Linear(2 * hidden, hidden)
        self.shared_out = nn.Linear(3 * hidden, hidden)

    def forward(self, member: Tensor, observation: Observation) -> tuple[Tensor, Tensor]:
        """Returns float32[B, N, H] per member and float32[B, H] shared."""
        n_rows, n_members = member.shape[:2]
        names = self.member_embedding.weight.expand(n_rows, n_members, _EMBEDDING)
        shared = torch.cat([observation.shared, self.task_embedding(observation.task)], dim=1)
        shared = self.shared_in(shared)
        hidden = torch.relu(self.member_in(torch.cat([member, names], dim=2)) + shared[:, None])
        asked = member[:, :, :1]
        n_asked = asked.sum(1)
        pool = torch.cat(
            [(hidden * asked).sum(1) / n_asked.clamp_min(1),
             (hidden * (1 - asked)).sum(1) / (n_members - n_asked).clamp_min(1)], dim=1
        )  # fmt: skip
        mixed = torch.relu(self.member_mix(hidden) + self.pool_mix(pool)[:, None])
        return mixed, torch.relu(self.shared_out(torch.cat([torch.relu(shared), pool], dim=1)))


class Decider(nn.Module):
    """The acting agent.

    Args:
        n_members: N.
        n_tasks: T; index T stands for an unknown task.
        hidden: H.
    """

    def __init__(self, n_members: int, n_tasks: int, *, hidden: int) -> None:
        super().__init__()
        self.body = _Body(n_members, n_tasks, N_MEMBER_FEATURES, hidden)
        self.member_head = nn.Linear(hidden, 1)
        self.stop_head = nn.Linear(hidden, 1)
        for head in (self.member_head, self.stop_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, observation: Observation) -> Tensor:
        """float32[B, N + 1]: log-probabilities of asking each member, and of stopping (last)."""
        members, shared = self.body(observation.member, observation)
        score = _ORDER_GAIN * observation.preference + self.member_head(members).squeeze(2)
        open_to = observation.legal[:, :-1]
        # A query with everybody asked has no legal member: its row is never used, only kept finite.
        which = torch.log_softmax(score.masked_fill(~open_to, -1e9), dim=1)
        threshold = 1 - (observation.price / _GAIN_PER_CALL).clamp(max=1)
        stop = _STOP_GAIN * (observation.confidence - threshold) + self.stop_head(shared).squeeze(1)
        stop = torch.where(observation.legal[:, -1], stop, -1e9)
        stop = torch.where(open_to.any(1), stop, 1e9)
        which = which + functional.logsigmoid(-stop)[:, None]
        every = torch.cat([which, functional.logsigmoid(stop)[:, None]], dim=1)
        return every.masked_fill(~observation.legal, -1e9)

    def evaluate(self, observation: Observation, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability float32[B, A] of actions int64[B, A], and entropy float32[B]."""
        log_prob = self(observation)
        entropy = -(log_prob.exp() * log_prob.clamp_min(-50)).sum(1)
        return log_prob.gather(1, action), entropy


def likeliest(log_prob: Tensor) -> Tensor:
    """Stop where that is likelier than asking anybody, else ask the likeliest member; int64[B].

    Not the likeliest of the N + 1 actions: members who are alike share the chance of asking, and
    stopping would win against each of them alone though going on is likelier.

    Args:
        log_prob: float32[B, N + 1], as of `Decider`.
    """
    n_members = log_prob.shape[1] - 1
    member = log_prob[:, :-1].argmax(1)
    return torch.where(log_prob[:, -1].exp() > 0.5, n_members, member)


class Critic(nn.Module):
    """Centralised value of a state: it also sees what unasked members would say is worth."""

    def __init__(self, n_members: int, n_tasks: int, *, hidden: int) -> None:
        super().__init__()
        self.body = _Body(n_members, n_tasks, N_MEMBER_FEATURES + 1, hidden)
        self.head = nn.Linear(2 * hidden, 1)

    def forward(self, state: GlobalState) -> Tensor:
        """float32[B]: expected return."""
        hidden = state.member_score[:, :, None] - 0.5
        member = torch.cat([state.observation.member, hidden], dim=2)
        members, shared = self.body(member, state.observation)
        value: Tensor = self.head(torch.cat([members.mean(1), shared], dim=1))
        return value.squeeze(1)
