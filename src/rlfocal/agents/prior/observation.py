"""The Decider's observation: features per member and shared ones, from a pool and its queries.

Training and serving call the same function, in torch and in numpy (`agents.arrays`), so they cannot
disagree. Everything comes from the pool's statistics and from what has been revealed; nothing from
members not asked.

Axes: P pools, B queries of each, K = P * B, N members, C candidates.
"""

from __future__ import annotations

from typing import NamedTuple

from rlfocal.agents.arrays import Array, namespace
from rlfocal.agents.prior.fusion import Fused, Pools, Queries, mean_shift
from rlfocal.agents.prior.statistics import N_MEMBER_STATISTICS

__all__ = ["N_MEMBER_FEATURES", "N_SHARED_FEATURES", "Observation", "observe"]

_PAIR_FEATURES = 5
"""The first ones of a pair's statistics."""
N_MEMBER_FEATURES = 11 + N_MEMBER_STATISTICS + 2 * _PAIR_FEATURES
N_SHARED_FEATURES = 28


class Observation(NamedTuple):
    """The Decider's input."""

    member: Array
    """float32[K, N, F]; the first feature is 1 where the member was asked."""
    shared: Array
    """float32[K, G]."""
    preference: Array
    """float32[K, N]: expected score of each member's answer minus its price."""
    confidence: Array
    """float32[K]: posterior of the leading candidate."""
    next_price: Array
    """float32[K]: cost of asking the preferred remaining member, in units of worth."""
    legal: Array
    """bool[K, N + 1]: members that can be chosen now; stopping, once one has been chosen."""
    task: Array
    """int64[K], T for an unknown task; read by agents that have trained on the pool."""
    pending: Array | None = None
    """float32[K, N]: 1 where a member is chosen for the round to come; None where each member that
    is chosen is asked at once."""
    hurry: Array | None = None
    """float32[K, 2]: share of members pending, and 1 over the rounds left (0 without a limit)."""


def observe(
    pools: Pools,
    relative_cost: Array,
    seen: Queries,
    fused: Fused,
    price: Array,
    *,
    task: Array,
    chosen: Array | None = None,
    ready: Array | None = None,
) -> Observation:
    """Make the observation of all queries.

    Args:
        pools: statistics.
        relative_cost: float32[P, N], known beforehand.
        seen: what has been revealed.
        fused: what Fusion makes of it.
        price: float32[P, B], lambda.
        task: int64[P, B].
        chosen: bool[P, B, N], members asked, or chosen to be; None for those asked.
        ready: bool[P, B, N], members that can be asked at once; None where nobody reads others.
    """
    xp = namespace(seen.support)
    chosen = seen.asked if chosen is None else chosen
    posterior = xp.softmax(fused.logit)
    candidates = posterior[..., :-1]
    k = min(3, candidates.shape[2])
    top, place = xp.top(candidates, k)
    # [P, B, C, 2]: which are the first and the second; of a single one, it is both
    leading = place[..., None, :2] == xp.arange(candidates.shape[2])[:, None]
    backing = seen.support @ xp.floats(leading)
    if k < 3:
        nothing = top[..., :1] * 0
        top = xp.concat([top, *[nothing] * (3 - k)])
        backing = backing if k == 2 else xp.concat([backing, backing])
    cost = price[..., None] * relative_cost[:, None]
    preference = xp.sigmoid(seen.log_odds) - cost
    left = ~chosen if ready is None else ~chosen & ready
    next_up = xp.where(left, preference, -1e9)
    preferred = next_up.argmax(2)[..., None] == xp.arange(left.shape[2])
    next_price = xp.sum(cost * preferred, 2, keepdims=True)
    next_odds = xp.sum(seen.log_odds * preferred, 2, keepdims=True)
    best_left = xp.max(next_up, 2, keepdims=True)
    member = _member_features(pools, seen, fused, backing, preference - best_left, cost, chosen)
    following = xp.concat([next_odds / 2, 4 * xp.at_most(next_price, 1)]) * left.any(2)[..., None]
    shared = _shared_features(
        pools, relative_cost, seen, fused, backing, price, top, posterior, chosen
    )
    n_states = left.shape[0] * left.shape[1]
    return Observation(
        member=member.reshape(n_states, *member.shape[2:]),
        shared=xp.concat([shared, following, mean_shift(seen) / 2]).reshape(n_states, -1),
        preference=preference.reshape(n_states, -1),
        confidence=top[..., 0].reshape(n_states),
        next_price=next_price.reshape(n_states),
        legal=xp.concat([left, chosen.any(2)[..., None]]).reshape(n_states, -1),
        task=task.reshape(n_states),
    )


def _member_features(
    pools: Pools, seen: Queries, fused: Fused, backing: Array, ahead: Array, cost: Array,
    chosen: Array,
) -> Array:  # fmt: skip
    """float32[P, B, N, F].

    Args:
        pools: statistics.
        seen: what has been revealed.
        fused: what Fusion makes of it.
        backing: float32[P, B, N, 2], support of the two leading candidates.
        ahead: float32[P, B, N], how far a member is to be preferred to the best remaining one.
        cost: float32[P, B, N].
        chosen: bool[P, B, N].
    """
    xp = namespace(seen.support)
    asked, leaders = xp.floats(chosen), xp.floats(backing[..., 0] > 0.5)
    related = []
    for members in (asked, leaders):
        share = members / xp.at_least(xp.sum(members, 2, keepdims=True), 1)
        # [P, 1, B, M] x [P, N, M, K] -> [P, N, B, K]: members side by side, queries as rows
        related.append((share[:, None] @ pools.pair[..., :_PAIR_FEATURES]).swapaxes(1, 2))
    n_members = asked.shape[2]
    level = xp.sum(seen.log_odds, 2, keepdims=True) / n_members
    own = xp.stack(
        [
            asked, seen.answered, backing[..., 0], backing[..., 1],
            seen.log_odds / 2, seen.log_odds - level,
            4 * xp.at_most(xp.at_least(ahead, -1), 1), 4 * xp.at_most(cost, 1), fused.vote / 4,
            fused.vote * leaders / 4,
        ],
    )  # fmt: skip
    known = xp.broadcast_to(pools.member[:, None], (*asked.shape, pools.member.shape[2]))
    return xp.concat([own, *related, known, seen.reply_shift[..., None] / 2])


def _shared_features(
    pools: Pools, relative_cost: Array, seen: Queries, fused: Fused, backing: Array,
    price: Array, top: Array, posterior: Array, chosen: Array,
) -> Array:  # fmt: skip
    """float32[P, B, G - 3]."""
    xp = namespace(seen.support)
    asked = xp.floats(chosen)
    n_members = asked.shape[2]
    n_asked = xp.sum(asked, 2, keepdims=True)
    n_silent = xp.sum(xp.floats(seen.asked & ~seen.answered), 2, keepdims=True)
    none = posterior[..., -1:]
    rest = xp.at_least(1 - xp.sum(top, 2, keepdims=True) - none, 0)
    parts = xp.at_least(xp.concat([top, none, rest]), 1e-6)
    entropy = -xp.sum(parts * xp.log(parts), 2, keepdims=True)
    first = xp.at_most(xp.at_least(top[..., :1], 1e-4), 1 - 1e-4)
    n_distinct = xp.sum(xp.floats((seen.support > 0.5).any(2)), 2, keepdims=True)
    backers = xp.sum(xp.floats(backing > 0.5), 2)
    strength = xp.sum(fused.vote[..., None] * backing, 2)
    # Weight that the remaining members could still add, in a log-odds vote.
    left_weight = 0.6 * xp.at_least(seen.log_odds + 1, 0) * (1 - asked)
    left_weight = xp.sum(left_weight, 2, keepdims=True)
    lead = strength[..., :1] - strength[..., 1:2] * (top[..., 1:2] > 0)
    spent = xp.sum(asked * relative_cost[:, None], 2, keepdims=True)
    lam = price[..., None]
    pool_level = xp.broadcast_to(pools.member[:, None, 0, 6:9], (*lam.shape[:2], 3))
    n_options = xp.sum(xp.floats(seen.available), 2, keepdims=True)
    is_open = xp.floats(seen.is_open)[..., None]
    return xp.concat(
        [
            top, none, entropy, xp.log(first / (1 - first)) / 4,
            xp.log(parts[..., :1] / parts[..., 1:2]) / 4,
            n_asked / n_members, xp.log1p(n_asked) / 2, xp.log1p(n_members - n_asked) / 2,
            n_silent / xp.at_least(n_asked, 1), xp.log1p(n_distinct),
            xp.log1p(backers) / 2, lead / 4,
            xp.at_most(xp.at_least(lead / (left_weight + 0.5), -2), 2),
            xp.log1p(left_weight), xp.log1p(spent) / 2,
            xp.log(xp.at_least(lam, 1e-5)) / 4, 4 * lam, is_open,
            xp.log1p(n_options * (1 - is_open)) / 3, pool_level,
        ],
    )  # fmt: skip
