"""The Decider of one pool: the prior until it learns, equivariant, legal, in numpy as in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.agents.arrays import Weights, checked
from rlfocal.agents.policy import action_log_prob, logits_of, rule
from rlfocal.agents.prior.decider import decide, layers, own_layers
from rlfocal.agents.prior.observation import N_MEMBER_FEATURES, N_SHARED_FEATURES, Observation
from rlfocal.agents.prior.weights import shipped_prior
from rlfocal.training.mappo import rows_of
from rlfocal.training.nets import Decider, GlobalState, Own, PoolCritic
from rlfocal.training.weights import seeded

B, N, T = 6, 4, 2
CLOSE = 1e-5


def observed(
    asked: np.ndarray, *, price: float = 0.02, seed: int = 0, gathered: bool = False
) -> Observation:
    """Random features of queries of which some members were asked."""
    rng = np.random.default_rng(seed)
    n_queries, n_members = asked.shape

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    member = drawn(n_queries, n_members, N_MEMBER_FEATURES)
    member[:, :, 0] = asked
    return Observation(
        member=member,
        shared=drawn(n_queries, N_SHARED_FEATURES),
        preference=rng.random((n_queries, n_members)).astype(np.float32),
        confidence=rng.random(n_queries).astype(np.float32),
        next_price=np.full(n_queries, price, dtype=np.float32),
        legal=np.hstack([~asked, asked.any(axis=1, keepdims=True)]),
        task=rng.integers(T + 1, size=n_queries),
        pending=(drawn(n_queries, n_members) > 0.5).astype(np.float32) if gathered else None,
        hurry=np.abs(drawn(n_queries, 2)) if gathered else None,
    )


def tensors(seen: Observation) -> Observation:
    return Observation(*(None if part is None else torch.from_numpy(part) for part in seen))


def some_asked(n_members: int = N, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((B, n_members)) < 0.5


def drawn_weights(own: Own, seed: int = 0) -> Weights:
    """Of a Decider whose weights, its own included, are nowhere zero."""

    def make() -> Decider:
        made = Decider(hidden=8, own=own)
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        return made

    return seeded(seed, make).exported()


# What it starts from ------------------------------------------------------------------------------


@pytest.mark.parametrize("gathered", [False, True])
def test_before_it_learns_it_acts_exactly_as_the_prior(gathered: bool) -> None:
    weights = shipped_prior().decider
    made = Decider.from_prior(weights, Own(N, T, gathered=gathered))
    own = {name for name in made.exported() if name.startswith("own.")}
    assert len(own) == (9 if gathered else 7)
    assert all(not made.exported()[name].any() for name in own)
    assert made.training
    assert all(parameter.requires_grad for parameter in made.parameters())
    seen = observed(some_asked(), gathered=gathered)
    np.testing.assert_array_equal(decide(made.exported(), seen), decide(weights, seen))
    with torch.no_grad():
        learning = made(tensors(seen)).numpy()
    np.testing.assert_allclose(learning, decide(weights, seen), atol=CLOSE)


def test_training_it_leaves_the_shipped_weights_as_they_are() -> None:
    weights = shipped_prior().decider
    made = Decider.from_prior(weights, Own(N, T))
    before = weights["stop_head.weight"].copy()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(1.0)
    np.testing.assert_array_equal(weights["stop_head.weight"], before)


def test_its_arrays_are_those_of_its_layers() -> None:
    for gathered in (False, True):
        own = Own(N, T, gathered=gathered)
        expected = {**layers(8), **own_layers(N, T, 8, gathered=gathered)}
        assert checked(drawn_weights(own), expected)
    with pytest.raises(RuntimeError, match=r"own\.member"):
        checked(drawn_weights(Own(N + 1, T)), {**layers(8), **own_layers(N, T, 8, gathered=False)})


def test_the_rule_it_starts_by_prefers_and_stops_later_at_a_lower_price() -> None:
    fresh = seeded(0, lambda: Decider(hidden=8, own=Own(N, T))).exported()
    seen = observed(some_asked())
    chance = decide(fresh, seen)[:, :-1]
    open_to = seen.legal[:, :-1]
    for row in np.flatnonzero(open_to.any(axis=1)):
        wanted = np.where(open_to[row], seen.preference[row], -1)
        assert chance[row].argmax() == wanted.argmax()
    asked = np.tile([True, False, False, False], (B, 1))
    stops = [decide(fresh, observed(asked, price=p))[:, -1] for p in (0.001, 0.02, 0.2)]
    assert (stops[0] < stops[1]).all()
    assert (stops[1] < stops[2]).all()


# What it does with weights of its own -------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.booleans())
def test_numpy_and_torch_decide_alike(seed: int, n_members: int, gathered: bool) -> None:
    own = Own(n_members, T, gathered=gathered)
    weights = drawn_weights(own, seed)
    net = Decider.from_prior(weights, own)
    seen = observed(some_asked(n_members, seed), seed=seed, gathered=gathered)
    mine = decide(weights, seen)
    assert mine.dtype == np.float32
    with torch.no_grad():
        theirs = net(tensors(seen)).numpy()
    np.testing.assert_allclose(np.exp(mine), np.exp(theirs), rtol=0, atol=CLOSE)


@pytest.mark.parametrize(
    "part",
    [
        "own.member",
        "own.task",
        "own.pending",
        "own.hurry",
        "own.member_head",
        "own.task_member",
        "own.task_stop",
    ],
)
def test_each_layer_of_its_own_is_read(part: str) -> None:
    weights = dict(drawn_weights(Own(N, T, gathered=True)))
    seen = observed(some_asked(), gathered=True)
    assert seen.pending is not None
    before = decide(weights, seen)
    weights[f"{part}.weight"] = -weights[f"{part}.weight"]
    assert not np.allclose(decide(weights, seen), before, atol=1e-3)


@pytest.mark.parametrize("part", ["own.task", "own.task_member", "own.task_stop"])
def test_a_task_has_its_own_weights_and_so_has_the_unknown_one(part: str) -> None:
    weights = dict(drawn_weights(Own(N, T)))
    one_asked = np.tile([True, False, False, False], (B, 1))
    seen = observed(one_asked)._replace(task=np.array([0, 0, 1, 1, T, T]))
    before = decide(weights, seen)
    moved = weights[f"{part}.weight"].copy()
    of_unknown = moved[T] if part == "own.task_stop" else moved[:, T]
    of_unknown += np.arange(len(of_unknown))
    weights[f"{part}.weight"] = moved
    changed = (decide(weights, seen) != before).any(axis=1)
    assert changed.tolist() == [False, False, False, False, True, True]


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(N)), st.booleans(), st.integers(0, 1000))
def test_what_belongs_to_a_member_moves_with_it(
    order: list[int], gathered: bool, seed: int
) -> None:
    weights = dict(drawn_weights(Own(N, T, gathered=gathered), seed))
    seen = observed(some_asked(), gathered=gathered, seed=seed)
    moved = seen._replace(
        member=seen.member[:, order],
        preference=seen.preference[:, order],
        legal=seen.legal[:, [*order, N]],
        pending=None if seen.pending is None else seen.pending[:, order],
    )
    before = decide(weights, seen)
    unmoved = decide(weights, moved)
    weights["own.member.weight"] = weights["own.member.weight"][:, order]
    for name in ("own.member_head.weight", "own.member_head.bias", "own.task_member.weight"):
        weights[name] = weights[name][order]
    after = decide(weights, moved)
    np.testing.assert_allclose(after, before[:, [*order, N]], rtol=1e-4, atol=1e-5)
    if order != list(range(N)):  # its own weights tell members apart
        assert not np.allclose(unmoved, after, atol=1e-3)


def test_states_do_not_depend_on_each_other() -> None:
    weights = drawn_weights(Own(N, T, gathered=True))
    seen = observed(some_asked(), gathered=True)
    alone = [decide(weights, rows_of_arrays(seen, k)) for k in range(B)]
    np.testing.assert_allclose(np.concatenate(alone), decide(weights, seen), rtol=0, atol=CLOSE)


def rows_of_arrays(seen: Observation, k: int) -> Observation:
    return Observation(*(None if part is None else part[k : k + 1] for part in seen))


def test_probabilities_sum_to_one_over_legal_actions() -> None:
    seen = observed(some_asked())
    chance = np.exp(decide(drawn_weights(Own(N, T)), seen))
    np.testing.assert_allclose(chance.sum(axis=1), 1, atol=1e-5)
    assert (chance[~seen.legal] == 0).all()


def test_nobody_asked_means_no_stop_and_everybody_asked_means_stop() -> None:
    weights = drawn_weights(Own(N, T))
    first = np.exp(decide(weights, observed(np.zeros((B, N), dtype=bool))))
    assert (first[:, -1] == 0).all()
    last = np.exp(decide(weights, observed(np.ones((B, N), dtype=bool))))
    np.testing.assert_allclose(last[:, -1], 1)


def test_logits_and_log_probabilities_lead_to_each_other() -> None:
    seen = observed(some_asked())
    none = np.zeros((B, N + 1), dtype=np.float32)
    start = rule(seen.preference, seen.confidence, seen.next_price)
    before = action_log_prob(start=start, legal=seen.legal, logit=none)
    again = action_log_prob(start=logits_of(before), legal=seen.legal, logit=none)
    np.testing.assert_allclose(np.exp(again), np.exp(before), atol=1e-5, rtol=1e-4)


# Its critic ---------------------------------------------------------------------------------------


def test_only_the_critic_depends_on_hidden_scores() -> None:
    critic = seeded(0, lambda: PoolCritic(Own(N, T)))
    seen, worth = tensors(observed(some_asked())), torch.zeros(B)
    low = critic(GlobalState(seen, torch.zeros(B, N), worth))
    high = critic(GlobalState(seen, torch.ones(B, N), worth))
    stopping = critic(GlobalState(seen, torch.zeros(B, N), worth + 1))
    assert (low != high).all()
    assert (low != stopping).all()


@pytest.mark.parametrize("gathered", [False, True])
def test_gradients_reach_every_layer_of_its_own(gathered: bool) -> None:
    own = Own(N, T, gathered=gathered)
    decider = Decider.from_prior(shipped_prior().decider, own)
    critic = seeded(1, lambda: PoolCritic(own, hidden=8))
    one_asked = np.tile([True, False, False, False], (B, 1))
    seen = tensors(observed(one_asked, gathered=gathered))
    either = torch.tensor([[1, N]] * B)
    log_prob, _ = decider.evaluate(rows_of(seen, slice(1, 5)), either[1:5])
    log_prob.clamp_min(-50).sum().backward()
    critic(GlobalState(seen, torch.zeros(B, N), torch.zeros(B))).sum().backward()
    for net in (decider, critic):
        for name, parameter in net.named_parameters():
            if net is critic or name.startswith("own."):
                assert parameter.grad is not None, name
                assert parameter.grad.abs().max() > 0, name
