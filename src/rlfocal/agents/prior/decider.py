"""The Decider: one net for every pool, equivariant over members.

It starts as a simple rule and learns corrections to it: members in order of expected score minus
price, and a stop where the posterior passes a threshold that falls with the price of the next call.
The prior has no weights of one member, task or pool, and knows them by statistics alone. Trained on
a pool, all its weights go on from there, and each member and task gets some of its own, which start
at zero (`own_layers`): what it adds to the state, and a head of its own.

For numpy and torch alike (`agents.arrays`): it acts on weights from disk; they are the parameters
of `training.nets.Decider` while they are learned.

Axes: K states, N members, T tasks, H hidden units.
"""

from __future__ import annotations

from rlfocal.agents.arrays import Array, Layer, Weights, layer, namespace
from rlfocal.agents.policy import action_log_prob, rule
from rlfocal.agents.prior.observation import N_MEMBER_FEATURES, N_SHARED_FEATURES, Observation

__all__ = ["body", "body_layers", "decide", "layers", "own_layers"]


def body_layers(n_member: int, n_shared: int, hidden: int) -> dict[str, Layer]:
    """The layers of `body`, which the Decider and its critic have one each of.

    Args:
        n_member: features of each member.
        n_shared: features of the state.
        hidden: H.
    """
    return {
        "body.member_in": Layer(n_member, hidden),
        "body.shared_in": Layer(n_shared, hidden),
        "body.member_mix": Layer(hidden, hidden),
        "body.pool_mix": Layer(3 * hidden, hidden),
        "body.shared_mix": Layer(4 * hidden, hidden),
        "body.shared_out": Layer(hidden, hidden),
    }


def layers(hidden: int) -> dict[str, Layer]:
    """The net's layers.

    Args:
        hidden: H.
    """
    return {
        **body_layers(N_MEMBER_FEATURES, N_SHARED_FEATURES, hidden),
        "member_head": Layer(hidden, 1, zero=True),
        "stop_head": Layer(hidden, 1, zero=True),
    }


def own_layers(n_members: int, n_tasks: int, hidden: int, *, gathered: bool) -> dict[str, Layer]:
    """What a Decider that trains on one pool has beside `layers`.

    Args:
        n_members: N.
        n_tasks: T.
        hidden: H.
        gathered: whether choices are gathered into rounds, so that there is more to see.
    """
    own = {
        "own.member": Layer(n_members, hidden, bias=False, zero=True),
        "own.task": Layer(n_tasks + 1, hidden, bias=False, zero=True),
        "own.member_head": Layer(hidden, n_members, zero=True),
        "own.task_member": Layer(n_tasks + 1, n_members, bias=False, zero=True),
        "own.task_stop": Layer(hidden, n_tasks + 1, zero=True),
    }
    if gathered:
        own["own.pending"] = Layer(1, hidden, bias=False, zero=True)
        own["own.hurry"] = Layer(2, hidden, bias=False, zero=True)
    return own


def decide(weights: Weights, observation: Observation) -> Array:
    """float32[K, N + 1]: log-probabilities of asking each member, and of stopping (last)."""
    xp = namespace(observation.member)
    members, shared = body(weights, observation)
    start = rule(observation.preference, observation.confidence, observation.next_price)
    ask = layer(weights, "member_head", members)[:, :, 0]
    stop = layer(weights, "stop_head", shared)
    if "own.member_head.weight" in weights:
        task = observation.task
        of_member = xp.sum(members * weights["own.member_head.weight"], 2)
        ask = ask + of_member + weights["own.member_head.bias"]
        ask = ask + weights["own.task_member.weight"].swapaxes(0, 1)[task]
        of_task = xp.sum(shared * weights["own.task_stop.weight"][task], 1, keepdims=True)
        stop = stop + of_task + weights["own.task_stop.bias"][task, None]
    logit = xp.concat([ask, stop])
    return action_log_prob(start=start, legal=observation.legal, logit=logit)


def body(weights: Weights, seen: Observation) -> tuple[Array, Array]:
    """What the members have in common mixed into each of them, and into the state.

    Args:
        weights: of a net with `body_layers`, and perhaps `own_layers`.
        seen: the observation; a critic's holds more features.

    Returns:
        float32[K, N, H] per member and float32[K, H] shared.
    """
    member = seen.member
    xp = namespace(member)
    shared = layer(weights, "body.shared_in", seen.shared)
    of_member = layer(weights, "body.member_in", member)
    if "own.member.weight" in weights:
        shared = shared + weights["own.task.weight"].swapaxes(0, 1)[seen.task]
        of_member = of_member + weights["own.member.weight"].swapaxes(0, 1)
        if seen.pending is not None:
            shared = shared + layer(weights, "own.hurry", seen.hurry)
            of_member = of_member + layer(weights, "own.pending", seen.pending[:, :, None])
    hidden = xp.relu(of_member + shared[:, None])
    asked = member[:, :, 0]
    left = 1 - asked
    means = [
        ((group / xp.at_least(xp.sum(group, 1, keepdims=True), 1))[:, None] @ hidden)[:, 0]
        for group in (asked, left)
    ]
    pool = xp.concat([*means, xp.max(hidden * left[:, :, None], 1)])
    pooled = layer(weights, "body.pool_mix", pool)[:, None]
    mixed = xp.relu(layer(weights, "body.member_mix", hidden) + pooled)
    shared = layer(weights, "body.shared_mix", xp.concat([xp.relu(shared), pool]))
    return mixed, xp.relu(layer(weights, "body.shared_out", xp.relu(shared)))
