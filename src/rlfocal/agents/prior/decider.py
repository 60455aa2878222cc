"""The Decider: one net for every pool, equivariant over members.

It starts as a simple rule and learns corrections to it: members in order of expected score minus
price, and a stop where the posterior passes a threshold that falls with the price of the next call.
The prior has no weights of one member, task or pool, and knows them by statistics alone.

It has a body, which embeds a state, and heads, which act on what it makes of it. A pool trains
heads alone: the prior's go on, and each member and task gets one of its own, which starts at zero
(`own_layers`). They are linear in the embedding, so that a few thousand labels suffice for them.

For numpy and torch alike (`agents.arrays`): it acts on weights from disk; they are the parameters
of `training.nets` while they are learned.

Axes: K states, N members, T tasks, H hidden units.
"""

from __future__ import annotations

from typing import NamedTuple

from rlfocal.agents.arrays import Array, Layer, Weights, layer, namespace
from rlfocal.agents.policy import action_log_prob, rule
from rlfocal.agents.prior.observation import N_MEMBER_FEATURES, N_SHARED_FEATURES, Observation

__all__ = [
    "Embedded", "act", "body", "body_layers", "decide", "embed", "head_layers", "layers",
    "own_layers",
]  # fmt: skip


class Embedded(NamedTuple):
    """What the heads act on."""

    member: Array
    """float32[K, N, H]: what the body makes of each member."""
    shared: Array
    """float32[K, H]: of the state."""
    start: Array
    """float32[K, N + 1]: logits of the rule; see `policy.rule`."""
    legal: Array
    """bool[K, N + 1]: as of `Observation`."""
    task: Array
    """int64[K]: the same."""
    hurry: Array | None = None
    """float32[K, 2]: the same."""


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


def head_layers(hidden: int) -> dict[str, Layer]:
    """The layers that turn what the body makes of a state into logits.

    Args:
        hidden: H.
    """
    return {"member_head": Layer(hidden, 1, zero=True), "stop_head": Layer(hidden, 1, zero=True)}


def layers(hidden: int) -> dict[str, Layer]:
    """The net's layers.

    Args:
        hidden: H.
    """
    return {**body_layers(N_MEMBER_FEATURES, N_SHARED_FEATURES, hidden), **head_layers(hidden)}


def own_layers(n_members: int, n_tasks: int, hidden: int, *, gathered: bool) -> dict[str, Layer]:
    """The heads that a pool has beside those of `head_layers`.

    Args:
        n_members: N.
        n_tasks: T.
        hidden: H.
        gathered: whether choices are gathered into rounds, so that there is more to see.
    """
    own = {
        "own.member": Layer(hidden, n_members, zero=True),
        "own.task_member": Layer(n_tasks + 1, n_members, bias=False, zero=True),
        "own.task_stop": Layer(hidden, n_tasks + 1, zero=True),
    }
    if gathered:
        own["own.hurry_member"] = Layer(hidden, 2, zero=True)
        own["own.hurry_stop"] = Layer(hidden, 2, zero=True)
    return own


def decide(weights: Weights, observation: Observation) -> Array:
    """float32[K, N + 1]: log-probabilities of asking each member, and of stopping (last)."""
    return act(weights, embed(weights, observation))


def embed(weights: Weights, observation: Observation) -> Embedded:
    """What the body makes of states; the weights of heads are not read."""
    member, shared = body(weights, observation)
    start = rule(observation.preference, observation.confidence, observation.next_price)
    return Embedded(
        member, shared, start, observation.legal, observation.task, observation.hurry
    )  # fmt: skip


def act(weights: Weights, embedded: Embedded) -> Array:
    """As of `decide`, from what the body has made of the states; its weights are not read."""
    member, shared, task = embedded.member, embedded.shared, embedded.task
    xp = namespace(member)
    ask = layer(weights, "member_head", member)[:, :, 0]
    stop = layer(weights, "stop_head", shared)
    if "own.member.weight" in weights:
        ask = ask + xp.sum(member * weights["own.member.weight"], 2) + weights["own.member.bias"]
        ask = ask + weights["own.task_member.weight"].swapaxes(0, 1)[task]
        of_task = shared * weights["own.task_stop.weight"][task]
        stop = stop + xp.sum(of_task, 1, keepdims=True) + weights["own.task_stop.bias"][task, None]
        if embedded.hurry is not None:
            hurry = embedded.hurry
            ask = ask + xp.sum(layer(weights, "own.hurry_member", member) * hurry[:, None], 2)
            hurried = layer(weights, "own.hurry_stop", shared) * hurry
            stop = stop + xp.sum(hurried, 1, keepdims=True)
    return action_log_prob(
        start=embedded.start, legal=embedded.legal, logit=xp.concat([ask, stop])
    )  # fmt: skip


def body(weights: Weights, seen: Observation) -> tuple[Array, Array]:
    """What the members have in common mixed into each of them, and into the state.

    Args:
        weights: of a net with `body_layers`.
        seen: the observation; a critic's holds more features.

    Returns:
        float32[K, N, H] per member and float32[K, H] shared.
    """
    member = seen.member
    xp = namespace(member)
    shared = layer(weights, "body.shared_in", seen.shared)
    of_member = layer(weights, "body.member_in", member)
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
