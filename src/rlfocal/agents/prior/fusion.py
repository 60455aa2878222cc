"""Fusion of the prior: one net for every pool, equivariant over members and candidates.

It starts as the log-odds weighted vote and learns corrections: how far each member's statistics
can be trusted, the weight of an agreement between two members that often agree (or are wrong
together), and the pattern of all candidates' votes. Outputs that depend on a pool alone are
computed once per pool (`Fusion.pool`), so that the N x N layer is not run per query.

Axes: P pools, B queries of each, N members, C candidates, D hidden units, K pair channels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rlfocal.agents.nets import zeroed
from rlfocal.agents.prior.statistics import N_MEMBER_STATISTICS, N_PAIR_STATISTICS
from rlfocal.records import FloatArray

__all__ = ["Fused", "Fusion", "Pooled", "Pools", "Queries", "nll", "tempered"]

_CHANNELS = 4
"""Pair channels for members that agree on the query; as many for those that differ."""
_N_VOTER = 7
_N_CANDIDATE = 9
_N_SUMMARY = 12
_CALIBRATED = 150.0
"""Number of labels at which option scores are trusted by half."""
_START_SCALE = 0.6
_OPEN_WRONG = 8.0
"""Initial value: number of plausible wrong answers of an open query."""


class Pools(NamedTuple):
    """Statistics of P pools of the same size."""

    member: Tensor
    """float32[P, N, F]."""
    pair: Tensor
    """float32[P, N, N, K]."""


class Queries(NamedTuple):
    """The views of B queries of each of P pools."""

    log_odds: Tensor
    """float32[P, B, N]: of each member's accuracy on the query's task."""
    is_open: Tensor
    """bool[P, B]."""
    asked: Tensor
    """bool[P, B, N]."""
    answered: Tensor
    """bool[P, B, N]."""
    support: Tensor
    """float32[P, B, N, C]; zero where a member has not answered."""
    available: Tensor
    """bool[P, B, C]."""


class Pooled(NamedTuple):
    """Fusion's outputs that depend on the pools alone."""

    member: Tensor
    """float32[P, N, D]."""
    pair: Tensor
    """float32[P, N, N, 2 * channels]."""
    scale: Tensor
    """float32[P, 2]: corrections of the vote's log scale and of its log number of wrong answers."""


class Fused(NamedTuple):
    """Logits and the members' votes behind them."""

    logit: Tensor
    """float32[P, B, C + 1]; the last is "none of these", for open queries alone."""
    vote: Tensor
    """float32[P, B, N]: weight of each member's support; 0 where not answered."""


class Fusion(nn.Module):
    """One Fusion for all pools.

    Args:
        hidden: D.
    """

    def __init__(self, *, hidden: int = 48) -> None:
        super().__init__()
        self.hidden = hidden
        self.member_in = nn.Linear(N_MEMBER_STATISTICS, hidden)
        self.pair_from = nn.Linear(hidden, hidden)
        self.pair_to = nn.Linear(hidden, hidden, bias=False)
        self.pair_in = nn.Linear(N_PAIR_STATISTICS, hidden, bias=False)
        self.pair_out = nn.Linear(hidden, 2 * _CHANNELS)
        self.message = nn.Linear(hidden, hidden)
        self.member_out = nn.Linear(2 * hidden, hidden)
        self.pool_out = zeroed(nn.Linear(hidden, 2))
        self.voter_in = nn.Linear(hidden + _N_VOTER + 2 * _CHANNELS, hidden)
        self.voter_vote = zeroed(nn.Linear(hidden, 2))
        self.candidate_in = nn.Linear(hidden + _N_CANDIDATE, hidden)
        self.summary_in = nn.Linear(hidden + _N_SUMMARY, hidden)
        self.candidate_mix = nn.Linear(hidden, hidden)
        self.candidate_out = zeroed(nn.Linear(hidden, 1))
        self.none_out = zeroed(nn.Linear(hidden, 1))
        self.sharpness_out = zeroed(nn.Linear(hidden, 1))

    def pool(self, pools: Pools) -> Pooled:
        """Compute the outputs that depend on the pools alone."""
        member = torch.relu(self.member_in(pools.member))
        pair = torch.relu(
            self.pair_from(member)[:, :, None]
            + self.pair_to(member)[:, None]
            + self.pair_in(pools.pair)
        )
        n_members = member.shape[1]
        off = 1 - torch.eye(n_members)
        message = (pair * off[:, :, None]).sum(2) / max(1, n_members - 1)
        member = torch.relu(
            self.member_out(torch.cat([member, torch.relu(self.message(message))], dim=2))
        )
        channels = self.pair_out(pair) * off[:, :, None]
        return Pooled(member, channels, self.pool_out(member.mean(1)))

    def forward(self, pooled: Pooled, seen: Queries) -> Fused:
        """Compute the candidates' logits of every query."""
        support, answered = seen.support, seen.answered.float()
        n_options = torch.where(
            seen.is_open, _OPEN_WRONG + 1, seen.available.sum(2).clamp_min(2).float()
        )
        voter = self._voters(pooled, seen, n_options)
        scale = _START_SCALE * torch.exp(pooled.scale[:, None, :1])
        wrong = 0.7 * torch.log(n_options - 1) + pooled.scale[:, 1:]
        learned = self.voter_vote(voter)
        vote = (scale * (seen.log_odds + wrong[:, :, None]) + learned[..., 0]) * answered
        # [P, B, C, N] @ [P, B, N, .]: voters pooled by what they back
        backing = support.transpose(2, 3)
        tally = (backing @ vote[..., None])[..., 0]
        tally = tally + (_log_support(seen) * learned[..., 1:]).sum(2)
        pooled_voters = backing @ voter
        candidate, summary = _features(tally, seen, n_options)
        asked = seen.asked.float()[..., None]
        met = (voter * asked).sum(2) / asked.sum(2).clamp_min(1)
        shared = self.summary_in(torch.cat([met, summary], dim=2))
        hidden = torch.relu(
            self.candidate_in(torch.cat([pooled_voters, candidate], dim=3)) + shared[:, :, None]
        )
        present = seen.available.float()[..., None]
        around = (hidden * present).sum(2)
        mixed = torch.relu(shared + self.candidate_mix(around))
        sharpness = torch.exp(self.sharpness_out(mixed).clamp(-2, 2))
        logit = (tally + self.candidate_out(hidden)[..., 0]) * sharpness
        logit = logit.masked_fill(~seen.available, -1e9)
        none = self.none_out(mixed).masked_fill(~seen.is_open[..., None], -1e9)
        return Fused(torch.cat([logit, none], dim=2), vote)

    def _voters(self, pooled: Pooled, seen: Queries, n_options: Tensor) -> Tensor:
        """float32[P, B, N, D]: members' features given which members agree; 0 if not asked."""
        support, answered = seen.support, seen.answered.float()
        same = support @ support.transpose(2, 3)
        both = answered[..., :, None] * answered[..., None, :]
        n_rows = support.shape[1]
        # [P, B, N, M] x [P, N, M, K] -> [P, N, B, K]: members side by side, queries as rows
        pair = pooled.pair
        agreeing = same.transpose(1, 2) @ pair[..., :_CHANNELS]
        differing = (both - same).transpose(1, 2) @ pair[..., _CHANNELS:]
        around = torch.cat([agreeing, differing], dim=3).transpose(1, 2) / 4
        features = torch.stack(
            [
                seen.log_odds / 2, answered, support.amax(3), (same.sum(3) - 1) / 8 * answered,
                ((both - same).sum(3)) / 8, seen.is_open.float()[..., None].expand_as(answered),
                (torch.log(n_options) / 3)[..., None].expand_as(answered),
            ], dim=3,
        )  # fmt: skip
        shape = (-1, n_rows, -1, -1)
        member = pooled.member[:, None].expand(shape)
        hidden = torch.relu(self.voter_in(torch.cat([member, features, around], dim=3)))
        return hidden * seen.asked[..., None]

    def posterior(self, pooled: Pooled, seen: Queries) -> Tensor:
        """float32[P, B, C + 1]: probability of each candidate, the last one of none of them."""
        return torch.softmax(self(pooled, seen).logit, dim=2)


def _log_support(seen: Queries) -> Tensor:
    """float32[P, B, N, C]: centred log of graded supports of options; 0 elsewhere."""
    top = seen.support.amax(3)
    graded = seen.answered & (top < 0.999) & ~seen.is_open[..., None]
    mask = seen.available[:, :, None].float()
    logged = torch.log(seen.support.clamp_min(1e-3)) * mask
    count = mask.sum(3, keepdim=True).clamp_min(1)
    centred = (logged - logged.sum(3, keepdim=True) / count) * mask
    return centred * graded[..., None]


def _features(tally: Tensor, seen: Queries, n_options: Tensor) -> tuple[Tensor, Tensor]:
    """Features of each candidate float32[P, B, C, F] and of the whole float32[P, B, F']."""
    n_answered = seen.answered.float().sum(2, keepdim=True)
    at_least_one = n_answered.clamp_min(1)
    backers = (seen.support > 0.5).float().sum(2)
    share = seen.support.sum(2) / at_least_one
    masked = tally.masked_fill(~seen.available, -1e9)
    top = masked.topk(min(2, tally.shape[2]), dim=2).values.clamp_min(-20)
    best = top[..., :1]
    second = top[..., 1:2] if top.shape[2] > 1 else torch.full_like(best, -20.0)
    lead = (tally - torch.where(tally >= best, second, best)).clamp(-20, 20)
    replies = torch.log1p(n_answered) / 2
    candidate = torch.stack(
        [
            tally.clamp(-20, 20) / 4, lead / 4, share, torch.log1p(backers) / 2,
            (backers == 1).float(), (backers == 0).float(),
            (tally >= best).float() * seen.available, replies.expand_as(tally),
            seen.support.amax(2),
        ], dim=3,
    )  # fmt: skip
    n_asked = seen.asked.float().sum(2, keepdim=True)
    distinct = (backers > 0).float().sum(2, keepdim=True)
    summary = torch.cat(
        [
            best / 4, second.clamp_min(-8) / 4, (best - second).clamp_max(20) / 4,
            share.amax(2, keepdim=True), distinct / at_least_one, torch.log1p(distinct),
            replies, (n_asked - n_answered) / n_asked.clamp_min(1),
            (backers == 1).float().sum(2, keepdim=True) / at_least_one,
            torch.log1p(backers.amax(2, keepdim=True)) / 2,
            seen.is_open[..., None].float(), torch.log(n_options)[..., None] / 3,
        ], dim=2,
    )  # fmt: skip
    return candidate, summary


def tempered(support: FloatArray, answer: NDArray[np.int16], n_labels: float) -> FloatArray:
    """Options' supports, trusted as far as labels can have calibrated them; else the answer alone.

    Args:
        support: float32[B, N, C].
        answer: int16[B, N], -1 for none.
        n_labels: labelled queries of the pool.
    """
    trust = np.float32(n_labels / (n_labels + _CALIBRATED))
    one_hot = (answer[:, :, None] == np.arange(support.shape[2])).astype(np.float32)
    return np.asarray(one_hot + trust * (support - one_hot), dtype=np.float32)


def nll(logit: Tensor, worth: Tensor) -> Tensor:
    """float32[...]: negative log-likelihood of the right candidates.

    Args:
        logit: float32[..., C + 1].
        worth: float32[..., C + 1] in [0, 1]: score of each candidate; last, of none of them.
    """
    put = functional.log_softmax(logit, dim=-1)
    return -(put + torch.log(worth.clamp_min(1e-12))).logsumexp(-1)
