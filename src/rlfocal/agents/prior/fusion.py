"""Fusion of the prior: one net for every pool, equivariant over members and candidates.

It starts as the log-odds weighted vote and learns corrections: how far each member's statistics
can be trusted, the weight of an agreement between two members that often agree (or are wrong
together), and the pattern of all candidates' votes. Outputs that depend on a pool alone are
computed once per pool (`pooled_of`), so that the N x N layer is not run per query.

For numpy and torch alike (`agents.arrays`): it acts on weights from disk; they are the parameters
of `training.prior.nets.Fusion` while they are learned.

Axes: P pools, B queries of each, N members, C candidates, D hidden units, K pair channels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.arrays import Array, Layer, Weights, layer, namespace
from rlfocal.agents.prior.statistics import N_MEMBER_STATISTICS, N_PAIR_STATISTICS
from rlfocal.records import FloatArray

__all__ = [
    "Fused", "Pooled", "Pools", "Queries", "fuse", "layers", "mean_shift", "pooled_of", "tempered",
]  # fmt: skip

_CHANNELS = 4
"""Pair channels for members that agree on the query; as many for those that differ."""
_N_VOTER = 8
_N_CANDIDATE = 9
_N_SUMMARY = 13
_CALIBRATED = 150.0
"""Number of labels at which option scores are trusted by half."""
_START_SCALE = 0.6
_OPEN_WRONG = 8.0
"""Initial value: number of plausible wrong answers of an open query."""


class Pools(NamedTuple):
    """Statistics of P pools of the same size."""

    member: Array
    """float32[P, N, F]."""
    pair: Array
    """float32[P, N, N, K]."""


class Queries(NamedTuple):
    """The views of B queries of each of P pools."""

    log_odds: Array
    """float32[P, B, N]: of each member's accuracy on the query's task, and of its reply where that
    was read."""
    is_open: Array
    """bool[P, B]."""
    asked: Array
    """bool[P, B, N]."""
    answered: Array
    """bool[P, B, N]."""
    support: Array
    """float32[P, B, N, C]; zero where a member has not answered."""
    available: Array
    """bool[P, B, C]."""
    reply_shift: Array
    """float32[P, B, N]: how far the reply moved `log_odds`; 0 where there is none, or not read."""


class Pooled(NamedTuple):
    """Fusion's outputs that depend on the pools alone."""

    member: Array
    """float32[P, N, D]: what a voter's first layer makes of its member."""
    pair: Array
    """float32[P, N, N, 2 * channels]."""
    scale: Array
    """float32[P, 2]: corrections of the vote's log scale and of its log number of wrong answers."""


class Fused(NamedTuple):
    """Logits and the members' votes behind them."""

    logit: Array
    """float32[P, B, C + 1]; the last is "none of these", for open queries alone."""
    vote: Array
    """float32[P, B, N]: weight of each member's support; 0 where not answered."""


def layers(hidden: int) -> dict[str, Layer]:
    """The net's layers.

    Args:
        hidden: D.
    """
    return {
        "member_in": Layer(N_MEMBER_STATISTICS, hidden),
        "pair_from": Layer(hidden, hidden),
        "pair_to": Layer(hidden, hidden, bias=False),
        "pair_in": Layer(N_PAIR_STATISTICS, hidden, bias=False),
        "pair_out": Layer(hidden, 2 * _CHANNELS),
        "message": Layer(hidden, hidden),
        "member_out": Layer(2 * hidden, hidden),
        "pool_out": Layer(hidden, 2, zero=True),
        "voter_in": Layer(hidden + _N_VOTER + 2 * _CHANNELS, hidden),
        "voter_vote": Layer(hidden, 2, zero=True),
        "candidate_in": Layer(hidden + _N_CANDIDATE, hidden),
        "summary_in": Layer(hidden + _N_SUMMARY, hidden),
        "candidate_mix": Layer(hidden, hidden),
        "candidate_out": Layer(hidden, 1, zero=True),
        "none_out": Layer(hidden, 1, zero=True),
        "sharpness_out": Layer(hidden, 1, zero=True),
    }


def pooled_of(weights: Weights, pools: Pools) -> Pooled:
    """Compute the outputs that depend on the pools alone."""
    xp = namespace(pools.member)
    member = xp.relu(layer(weights, "member_in", pools.member))
    pair = xp.relu(
        layer(weights, "pair_from", member)[:, :, None]
        + layer(weights, "pair_to", member)[:, None]
        + layer(weights, "pair_in", pools.pair)
    )
    n_members = member.shape[1]
    place = xp.arange(n_members)
    off = xp.floats(place[:, None] != place)[:, :, None]
    message = xp.sum(pair * off, 2) / max(1, n_members - 1)
    message = xp.relu(layer(weights, "message", message))
    member = xp.relu(layer(weights, "member_out", xp.concat([member, message])))
    channels = layer(weights, "pair_out", pair) * off
    weight = weights["voter_in.weight"][:, : member.shape[2]]
    voter = xp.linear(member, weight, weights["voter_in.bias"])
    level = layer(weights, "pool_out", xp.sum(member, 1) / n_members)
    return Pooled(voter, channels, level)


def fuse(weights: Weights, pooled: Pooled, seen: Queries) -> Fused:
    """Compute the candidates' logits of every query."""
    xp = namespace(seen.support)
    available = xp.floats(seen.available)
    n_options = xp.at_least(xp.sum(available, 2, keepdims=True), 2)
    n_options = xp.where(seen.is_open[..., None], _OPEN_WRONG + 1, n_options)
    voter = _voters(weights, pooled, seen, n_options)
    learned = layer(weights, "voter_vote", voter)
    scale = _START_SCALE * xp.exp(pooled.scale[:, None, :1])
    wrong = 0.7 * xp.log(n_options - 1) + pooled.scale[:, None, 1:]
    vote = (scale * (seen.log_odds + wrong) + learned[..., 0]) * seen.answered
    # [P, B, C, N] @ [P, B, N, .]: voters pooled by what they back
    backing = seen.support.swapaxes(2, 3)
    tally = (backing @ vote[..., None])[..., 0]
    tally = tally + xp.sum(_log_support(seen, available) * learned[..., 1:], 2)
    candidate, summary = _features(tally, seen, n_options)
    asked = xp.floats(seen.asked)
    share = asked / xp.at_least(xp.sum(asked, 2, keepdims=True), 1)
    met = (share[:, :, None] @ voter)[:, :, 0]
    shared = layer(weights, "summary_in", xp.concat([met, summary]))
    candidate = xp.concat([backing @ voter, candidate])
    hidden = xp.relu(layer(weights, "candidate_in", candidate) + shared[:, :, None])
    around = (available[:, :, None] @ hidden)[:, :, 0]
    mixed = xp.relu(shared + layer(weights, "candidate_mix", around))
    sharper = layer(weights, "sharpness_out", mixed)
    sharpness = xp.exp(xp.at_most(xp.at_least(sharper, -2), 2))
    logit = (tally + layer(weights, "candidate_out", hidden)[..., 0]) * sharpness
    logit = xp.where(seen.available, logit, -1e9)
    none = xp.where(seen.is_open[..., None], layer(weights, "none_out", mixed), -1e9)
    return Fused(xp.concat([logit, none]), vote)


def _voters(weights: Weights, pooled: Pooled, seen: Queries, n_options: Array) -> Array:
    """float32[P, B, N, D]: members' features given which members agree; 0 if not asked.

    Args:
        weights: of the net.
        pooled: of the pools.
        seen: what has been revealed.
        n_options: float32[P, B, 1].
    """
    xp = namespace(seen.support)
    support, answered = seen.support, xp.floats(seen.answered)
    same = support @ support.swapaxes(2, 3)
    differ = answered[..., :, None] * answered[..., None, :] - same
    # [P, B, N, M] x [P, N, M, K] -> [P, N, B, K]: members side by side, queries as rows
    pair = pooled.pair
    agreeing = same.swapaxes(1, 2) @ pair[..., :_CHANNELS]
    differing = differ.swapaxes(1, 2) @ pair[..., _CHANNELS:]
    around = xp.concat([agreeing, differing]).swapaxes(1, 2) / 4
    moved = seen.reply_shift[..., None] / 2
    features = xp.stack(
        [
            seen.log_odds / 2, answered, xp.max(support, 3), (xp.sum(same, 3) - 1) / 8 * answered,
            xp.sum(differ, 3) / 8, seen.is_open[..., None], xp.log(n_options) / 3,
        ],
    )  # fmt: skip
    # The layer's part for members is in `Pooled`: it is the same for every query.
    weight = weights["voter_in.weight"][:, pooled.member.shape[2] :]
    hidden = pooled.member[:, None] + xp.linear(xp.concat([features, around, moved]), weight)
    return xp.relu(hidden) * seen.asked[..., None]


def _log_support(seen: Queries, available: Array) -> Array:
    """float32[P, B, N, C]: centred log of graded supports of options; 0 elsewhere."""
    xp = namespace(seen.support)
    graded = seen.answered & (xp.max(seen.support, 3) < 0.999) & ~seen.is_open[..., None]
    mask = available[:, :, None]
    logged = xp.log(xp.at_least(seen.support, 1e-3)) * mask
    count = xp.at_least(xp.sum(mask, 3, keepdims=True), 1)
    centred = (logged - xp.sum(logged, 3, keepdims=True) / count) * mask
    return centred * graded[..., None]


def _features(tally: Array, seen: Queries, n_options: Array) -> tuple[Array, Array]:
    """Features of each candidate float32[P, B, C, F] and of the whole float32[P, B, F'].

    Args:
        tally: float32[P, B, C], votes that candidates got.
        seen: what has been revealed.
        n_options: float32[P, B, 1].
    """
    xp = namespace(tally)
    n_answered = xp.sum(xp.floats(seen.answered), 2, keepdims=True)
    at_least_one = xp.at_least(n_answered, 1)
    backers = xp.sum(xp.floats(seen.support > 0.5), 2)
    alone = xp.floats(backers == 1)
    share = xp.sum(seen.support, 2) / at_least_one
    masked = xp.where(seen.available, tally, -1e9)
    top = xp.at_least(xp.top(masked, min(2, tally.shape[2]))[0], -20)
    best = top[..., :1]
    second = top[..., 1:2] if top.shape[2] > 1 else best * 0 - 20
    lead = tally - xp.where(tally >= best, second, best)
    replies = xp.log1p(n_answered) / 2
    candidate = xp.stack(
        [
            xp.at_most(xp.at_least(tally, -20), 20) / 4, xp.at_most(xp.at_least(lead, -20), 20) / 4,
            share, xp.log1p(backers) / 2, alone, backers == 0,
            (tally >= best) & seen.available, replies, xp.max(seen.support, 2),
        ],
    )  # fmt: skip
    n_asked = xp.sum(xp.floats(seen.asked), 2, keepdims=True)
    distinct = xp.sum(xp.floats(backers > 0), 2, keepdims=True)
    summary = xp.concat(
        [
            best / 4, xp.at_least(second, -8) / 4, xp.at_most(best - second, 20) / 4,
            xp.max(share, 2, keepdims=True), distinct / at_least_one, xp.log1p(distinct),
            replies, (n_asked - n_answered) / xp.at_least(n_asked, 1),
            xp.sum(alone, 2, keepdims=True) / at_least_one,
            xp.log1p(xp.max(backers, 2, keepdims=True)) / 2,
            xp.floats(seen.is_open)[..., None], xp.log(n_options) / 3, mean_shift(seen) / 2,
        ],
    )  # fmt: skip
    return candidate, summary


def mean_shift(seen: Queries) -> Array:
    """float32[P, B, 1]: of the replies of those that answered; low where the query is hard."""
    xp = namespace(seen.reply_shift)
    n_answered = xp.sum(xp.floats(seen.answered), 2, keepdims=True)
    return xp.sum(seen.reply_shift, 2, keepdims=True) / xp.at_least(n_answered, 1)


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
