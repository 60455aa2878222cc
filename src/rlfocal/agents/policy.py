"""The decision of both Deciders: stop, or ask which member; log-probabilities of N + 1 actions.

It starts as a sound rule, to which heads add what they learn: members in order of preference, and a
stop where the posterior passes a threshold that falls with the price of a call. Where labels are
few, what the prior learned takes the rule's place.

For numpy and torch alike (`agents.arrays`). Axes: B queries, N members.
"""

from __future__ import annotations

import math

from rlfocal.agents.arrays import Array, namespace

__all__ = ["action_log_prob", "likeliest", "logits_of", "promised", "rule", "taken"]

_ORDER_GAIN = 20.0
"""Start: five points of expected accuracy make a member e times as likely to be asked first."""
_STOP_GAIN = 10.0
_GAIN_PER_CALL = 0.25
"""Start: another call turns about a quarter of the remaining doubt into right answers."""
_EVEN = math.log(0.5)


def rule(preference: Array, confidence: Array, price: Array) -> Array:
    """float32[B, N + 1]: logits to start from: of asking each member, and of stopping (last).

    Args:
        preference: float32[B, N], expected score of each member's answer minus its price.
        confidence: float32[B], posterior of the leading candidate.
        price: float32[B], of the next call.
    """
    xp = namespace(preference)
    threshold = 1 - xp.at_most(price / _GAIN_PER_CALL, 1)
    stop = _STOP_GAIN * (confidence - threshold)
    return xp.concat([_ORDER_GAIN * preference, stop[:, None]])


def promised(confidence: Array, expected: Array, pending: Array) -> Array:
    """float32[B]: the confidence that `rule` goes by where members are pending.

    The best of them alone may be relied on; each further one takes its share of the doubt away.

    Args:
        confidence: float32[B], posterior of the leading candidate.
        expected: float32[B, N], expected score of each member's answer.
        pending: bool[B, N], members chosen whose answers are still to come.
    """
    xp = namespace(expected)
    n_pending = xp.sum(xp.floats(pending), 1)
    best = xp.maximum(confidence, xp.max(expected * pending, 1))
    doubt = (1 - best) * (1 - _GAIN_PER_CALL) ** (n_pending - 1)
    return xp.where(n_pending > 0, 1 - doubt, confidence)


def logits_of(log_prob: Array) -> Array:
    """float32[B, N + 1]: logits that `action_log_prob` turns into these log-probabilities again."""
    xp = namespace(log_prob)
    stop = xp.at_most(log_prob[:, -1:], -1e-6)
    logit = xp.concat([log_prob[:, :-1], stop - xp.log1p(-xp.exp(stop))])
    return xp.at_most(xp.at_least(logit, -30), 30)


def action_log_prob(*, start: Array, legal: Array, logit: Array) -> Array:
    """Log-probabilities of asking each member, and of stopping (last).

    Args:
        start: float32[B, N + 1], what to do unless learned otherwise: logits of the members
            against each other, and of stopping against going on.
        legal: bool[B, N + 1], members not asked yet; stopping, once a member has been.
        logit: float32[B, N + 1], learned correction.

    Returns:
        float32[B, N + 1].
    """
    xp = namespace(logit)
    logit = start + logit
    score, stop = logit[:, :-1], logit[:, -1:]
    open_to = legal[:, :-1]
    # With all members asked none is legal: the row is never used, only kept finite.
    which = xp.log_softmax(xp.where(open_to, score, -1e9))
    stop = xp.where(legal[:, -1:], stop, -1e9)
    stop = xp.where(open_to.any(1)[:, None], stop, 1e9)
    every = xp.concat([which + xp.log_sigmoid(-stop), xp.log_sigmoid(stop)])
    return xp.where(legal, every, -1e9)


def taken(log_prob: Array, action: Array) -> tuple[Array, Array]:
    """Log-probability float32[B, A] of actions int64[B, A], and the policy's entropy float32[B]."""
    xp = namespace(log_prob)
    entropy = -xp.sum(xp.exp(log_prob) * xp.at_least(log_prob, -50), 1)
    return xp.take(log_prob, action), entropy


def likeliest(log_prob: Array) -> Array:
    """Stop where that is likelier than asking on, else ask the likeliest member; int64[B].

    Not the likeliest of the N + 1 actions: similar members share the chance of asking, and
    stopping would win against each of them alone though going on is likelier.

    Args:
        log_prob: float32[B, N + 1], as of `action_log_prob`.
    """
    n_members = log_prob.shape[1] - 1
    member = log_prob[:, :-1].argmax(1)
    return namespace(log_prob).where(log_prob[:, -1] > _EVEN, n_members, member)
