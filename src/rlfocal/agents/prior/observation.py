"""The prior's observation: features per member and shared ones, from a pool and its queries.

Training and serving call the same function, so they cannot disagree. Everything comes from the
pool's statistics and from what has been revealed; nothing from members not asked.

Axes: P pools, B queries of each, K = P * B, N members, C candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from rlfocal.agents.prior.fusion import Fused, Pools, Queries
from rlfocal.agents.prior.statistics import N_MEMBER_STATISTICS

__all__ = ["N_MEMBER_FEATURES", "N_SHARED_FEATURES", "Observation", "observe"]

_PAIR_FEATURES = (0, 1, 2, 3)
N_MEMBER_FEATURES = 10 + N_MEMBER_STATISTICS + 2 * len(_PAIR_FEATURES)
N_SHARED_FEATURES = 27


class Observation(NamedTuple):
    """The Decider's input."""

    member: Tensor
    """float32[K, N, F]; the first feature is 1 where the member was asked."""
    shared: Tensor
    """float32[K, G]."""
    preference: Tensor
    """float32[K, N]: expected score of each member's answer minus its price."""
    confidence: Tensor
    """float32[K]: posterior of the leading candidate."""
    next_price: Tensor
    """float32[K]: cost of asking the preferred remaining member, in units of worth."""
    legal: Tensor
    """bool[K, N + 1]: members not asked yet; stopping, once a member has been asked."""


def observe(
    pools: Pools, relative_cost: Tensor, seen: Queries, fused: Fused, price: Tensor
) -> Observation:
    """Make the observation of all queries.

    Args:
        pools: statistics.
        relative_cost: float32[P, N], known beforehand.
        seen: what has been revealed.
        fused: what Fusion makes of it.
        price: float32[P, B], lambda.
    """
    posterior = torch.softmax(fused.logit, dim=2)
    candidates = posterior[..., :-1]
    k = min(3, candidates.shape[2])
    top, place = candidates.topk(k, dim=2)
    if k < 3:
        top, place = functional.pad(top, (0, 3 - k)), functional.pad(place, (0, 3 - k))
    # [P, B, N, C] gathered at two places of C
    n_members = seen.asked.shape[2]
    index = place[:, :, None, :2].expand(-1, -1, n_members, -1)
    backing = seen.support.gather(3, index)
    cost = price[..., None] * relative_cost[:, None]
    preference = torch.sigmoid(seen.log_odds) - cost
    left = ~seen.asked
    any_left = left.any(2)
    preferred = preference.masked_fill(~left, -1e9).argmax(2, keepdim=True)
    member = _member_features(pools, seen, fused, backing, preference, cost)
    shared = _shared_features(pools, relative_cost, seen, fused, backing, price, top, posterior)
    following = torch.cat(
        [
            seen.log_odds.gather(2, preferred) / 2,
            4 * cost.gather(2, preferred).clamp_max(1),
        ], dim=2,
    )  # fmt: skip
    shared = torch.cat([shared, following * any_left[..., None]], dim=2)
    return Observation(
        member=member.flatten(0, 1),
        shared=shared.flatten(0, 1),
        preference=preference.flatten(0, 1),
        confidence=top[..., 0].flatten(),
        next_price=cost.gather(2, preferred)[..., 0].flatten(),
        legal=torch.cat([left, seen.asked.any(2, keepdim=True)], dim=2).flatten(0, 1),
    )


def _member_features(
    pools: Pools, seen: Queries, fused: Fused, backing: Tensor, preference: Tensor, cost: Tensor
) -> Tensor:
    """float32[P, B, N, F]."""
    asked = seen.asked.float()
    leaders = (backing[..., 0] > 0.5).float()
    related: list[Tensor] = []
    for members in (asked, leaders):
        count = members.sum(2, keepdim=True).clamp_min(1)
        for k in _PAIR_FEATURES:
            related.append(members @ pools.pair[..., k].transpose(1, 2) / count)
    best_left = preference.masked_fill(seen.asked, -1e9).amax(2, keepdim=True)
    own = torch.stack(
        [
            asked, seen.answered.float(), backing[..., 0], backing[..., 1],
            seen.log_odds / 2, seen.log_odds - seen.log_odds.mean(2, keepdim=True),
            4 * (preference - best_left).clamp(-1, 1), 4 * cost.clamp_max(1), fused.vote / 4,
            fused.vote * leaders / 4,
            *related,
        ], dim=3,
    )  # fmt: skip
    known = pools.member[:, None].expand(-1, asked.shape[1], -1, -1)
    return torch.cat([own, known], dim=3)


def _shared_features(
    pools: Pools, relative_cost: Tensor, seen: Queries, fused: Fused, backing: Tensor,
    price: Tensor, top: Tensor, posterior: Tensor,
) -> Tensor:  # fmt: skip
    """float32[P, B, G - 2]."""
    asked, answered = seen.asked.float(), seen.answered.float()
    n_members = asked.shape[2]
    n_asked, n_answered = asked.sum(2, keepdim=True), answered.sum(2, keepdim=True)
    n_left = n_members - n_asked
    none = posterior[..., -1:]
    rest = (1 - top.sum(2, keepdim=True) - none).clamp_min(0)
    parts = torch.cat([top, none, rest], dim=2).clamp_min(1e-6)
    entropy = -(parts * parts.log()).sum(2, keepdim=True)
    first = top[..., :1].clamp(1e-4, 1 - 1e-4)
    n_distinct = (seen.support > 0.5).any(2).float().sum(2, keepdim=True)
    backers = (backing > 0.5).float().sum(2)
    strength = (fused.vote[..., None] * backing).sum(2)
    # Weight that the remaining members could still add, in a log-odds vote.
    left_weight = (0.6 * (seen.log_odds + 1).clamp_min(0) * (1 - asked)).sum(2, keepdim=True)
    lead = strength[..., :1] - strength[..., 1:2] * (top[..., 1:2] > 0)
    spent = (asked * relative_cost[:, None]).sum(2, keepdim=True)
    lam = price[..., None]
    pool_level = pools.member[:, None, 0, 6:9].expand(-1, asked.shape[1], -1)
    n_options = seen.available.float().sum(2, keepdim=True)
    is_open = seen.is_open.float()[..., None]
    return torch.cat(
        [
            top, none, entropy, torch.log(first / (1 - first)) / 4,
            torch.log(parts[..., :1] / parts[..., 1:2]) / 4,
            n_asked / n_members, torch.log1p(n_asked) / 2, torch.log1p(n_left) / 2,
            (n_asked - n_answered) / n_asked.clamp_min(1), torch.log1p(n_distinct),
            torch.log1p(backers) / 2, lead / 4, (lead / (left_weight + 0.5)).clamp(-2, 2),
            torch.log1p(left_weight), torch.log1p(spent) / 2,
            torch.log(lam.clamp_min(1e-5)) / 4, 4 * lam, is_open,
            torch.log1p(n_options * (1 - is_open)) / 3, pool_level,
        ], dim=2,
    )  # fmt: skip
