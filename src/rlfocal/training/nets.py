"""The agents' nets while they learn: parameters in torch for the functions that act in numpy.

Nothing is computed here: `agents.prior.fusion` and `agents.prior.decider` have the forward passes.

Axes: P pools, B queries of each, K states, N members, T tasks, C candidates.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from rlfocal.agents.arrays import Layers, Weights
from rlfocal.agents.policy import taken
from rlfocal.agents.prior import decider, fusion
from rlfocal.agents.prior.fusion import Fused, Pooled, Pools, Queries
from rlfocal.agents.prior.observation import N_MEMBER_FEATURES, N_SHARED_FEATURES, Observation
from rlfocal.training.weights import arrays_of, weights_from, zeroed

__all__ = ["Critic", "Decider", "Fusion", "GlobalState", "Own", "PoolCritic", "nll"]


class _Net(nn.Module):
    """The parameters of layers, by the names that the forward passes know them by."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        for name, layer in layers.items():
            made = nn.Linear(layer.n_in, layer.n_out, bias=layer.bias)
            room, _, own = name.rpartition(".")
            if room and not hasattr(self, room):
                self.add_module(room, nn.Module())
            self.get_submodule(room).add_module(own, zeroed(made) if layer.zero else made)

    @property
    def weights(self) -> Weights:
        """The parameters themselves, so that gradients reach them."""
        return dict(self.named_parameters())

    def exported(self) -> Weights:
        """Their values, as numpy arrays."""
        return arrays_of(self)


class Fusion(_Net):
    """One Fusion for all pools.

    Args:
        hidden: D.
    """

    def __init__(self, *, hidden: int = 48) -> None:
        super().__init__(fusion.layers(hidden))

    def pool(self, pools: Pools) -> Pooled:
        """Compute the outputs that depend on the pools alone."""
        return fusion.pooled_of(self.weights, pools)

    def forward(self, pooled: Pooled, seen: Queries) -> Fused:
        """Compute the candidates' logits of every query."""
        return fusion.fuse(self.weights, pooled, seen)

    def posterior(self, pooled: Pooled, seen: Queries) -> Tensor:
        """float32[P, B, C + 1]: probability of each candidate, the last one of none of them."""
        return torch.softmax(self(pooled, seen).logit, dim=2)


class Own(NamedTuple):
    """The pool that a Decider and its critic train on, and have weights of their own for."""

    n_members: int
    """N."""
    n_tasks: int
    """T; index T stands for an unknown task."""
    gathered: bool = False
    """Whether choices are gathered into rounds."""

    def layers(self, hidden: int) -> Layers:
        """The layers that come on top, H units wide."""
        return decider.own_layers(self.n_members, self.n_tasks, hidden, gathered=self.gathered)


class Decider(_Net):
    """The acting agent.

    Args:
        hidden: H.
        own: the pool; None for a net of any pool.
    """

    def __init__(self, *, hidden: int = 56, own: Own | None = None) -> None:
        super().__init__({**decider.layers(hidden), **(own.layers(hidden) if own else {})})

    @classmethod
    def from_prior(cls, weights: Weights, own: Own) -> Self:
        """A net for one pool that acts as a net of any pool does, until it has learned."""
        made = cls(hidden=len(weights["stop_head.weight"][0]), own=own)
        return weights_from(made, {**made.exported(), **weights}).train()

    def forward(self, observation: Observation) -> Tensor:
        """float32[K, N + 1]: log-probabilities of asking each member, and of stopping (last)."""
        log_prob: Tensor = decider.decide(self.weights, observation)
        return log_prob

    def evaluate(self, observation: Observation, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability float32[K, A] of actions int64[K, A], and entropy float32[K]."""
        return taken(self(observation), action)


class GlobalState(NamedTuple):
    """Input of the centralised critic, in training only."""

    observation: Observation
    member_score: Tensor
    """float32[K, N] in [0, 1]: score of each member's answer, asked or not."""
    worth: Tensor
    """float32[K]: reward of stopping now."""


class Critic(_Net):
    """Centralised value of a state of any pool; it also sees the scores of members' answers.

    Args:
        hidden: H.
    """

    def __init__(self, *, hidden: int = 56) -> None:
        super().__init__(decider.body_layers(N_MEMBER_FEATURES + 1, N_SHARED_FEATURES + 1, hidden))
        self.head = nn.Linear(2 * hidden, 1)

    def forward(self, state: GlobalState) -> Tensor:
        """float32[K]: expected return."""
        seen = state.observation
        member = torch.cat([seen.member, state.member_score[:, :, None] - 0.5], dim=2)
        shared = torch.cat([seen.shared, state.worth[:, None] - 0.5], dim=1)
        global_view = seen._replace(member=member, shared=shared)
        members, shared = decider.body(self.weights, global_view)
        value: Tensor = self.head(torch.cat([members.mean(1), shared], dim=1))
        return value.squeeze(1)


class PoolCritic(nn.Module):
    """Centralised value of a state of one pool, where each member has a place of its own.

    Two layers over what is shared and a few numbers of each member. After a dozen iterations on
    simulated pools of 8 and 28 members they explain .77 and .82 of the returns' variance, a net
    like the Decider .67 and .77, at several times the cost.

    Args:
        own: the pool.
        hidden: H.
    """

    def __init__(self, own: Own, *, hidden: int = 64) -> None:
        super().__init__()
        n_of_member, n_more = (5, 2) if own.gathered else (4, 0)
        n_inputs = N_SHARED_FEATURES + 1 + n_more + n_of_member * own.n_members
        self.seen_in = nn.Linear(n_inputs, hidden)
        self.task = zeroed(nn.Linear(own.n_tasks + 1, hidden, bias=False))
        self.mix = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, 1)

    def forward(self, state: GlobalState) -> Tensor:
        """float32[K]: expected return."""
        seen, score = state.observation, state.member_score - 0.5
        open_to = seen.legal[:, :-1].float()
        worth = state.worth[:, None] - 0.5
        parts = [seen.shared, worth, score, score * open_to, open_to, seen.preference]
        if seen.pending is not None:
            parts += [seen.pending, seen.hurry]
        first = self.seen_in(torch.cat(parts, dim=1)) + self.task.weight.T[seen.task]
        value: Tensor = self.head(torch.relu(self.mix(torch.relu(first))))
        return value.squeeze(1)


def nll(logit: Tensor, worth: Tensor) -> Tensor:
    """float32[...]: negative log-likelihood of the right candidates.

    Args:
        logit: float32[..., C + 1].
        worth: float32[..., C + 1] in [0, 1]: score of each candidate; last, of none of them.
    """
    put = functional.log_softmax(logit, dim=-1)
    return -(put + torch.log(worth.clamp_min(1e-12))).logsumexp(-1)
