"""Variants that leave one part of rl-focal out: what is left out does not matter any more."""

from __future__ import annotations

import copy
import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from rlfocal.agents.decider import Decider, GlobalState
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.known import Known
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import Memory, View
from rlfocal.features import HashingEncoder
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.focal.stand_ins import LEARNED
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

_SPEC = importlib.util.spec_from_file_location(
    "ablations", Path(__file__).parents[2] / "benchmarks" / "ablations.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
ablations = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ablations)

SMALL = {
    "n_iterations": 4, "n_episodes": 64, "fusion_epochs": 2, "hidden": 8,
    "learn_from": 1,
}  # fmt: skip
N = 4


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    """Two tasks, each with its own expert, whose texts differ."""
    model = PoolModel(accuracy=[[0.9, 0.6, 0.5, 0.3], [0.3, 0.5, 0.6, 0.9]], correlation=0.3)
    return build_table(simulate(model, 200, rng=np.random.default_rng(0)), encode=HashingEncoder(8))


@cache
def once(table: ResponseTable, name: str = "") -> RlFocal:
    kind = ablations.VARIANTS[name].kind if name else RlFocal
    return kind.of(SMALL).fit(table, rng=np.random.default_rng(0))


def fitted(table: ResponseTable, name: str = "") -> RlFocal:
    found = once(table, name)
    decider = copy.deepcopy(found.decider_)
    torch.nn.init.normal_(decider.member_head.weight)  # as if it had learned for long
    return ruled(found, found.fitted_pool_, decider, LEARNED)


def ruled(found: RlFocal, fitted_pool: FittedPool, decider: Decider, name: str) -> RlFocal:
    """Somebody acts at every price: the learned policy itself, or who stands in for it."""
    verdicts = tuple(v._replace(chosen=name) for v in found.fallback_.verdicts)
    fallback = found.fallback_._replace(verdicts=verdicts)
    return type(found)(found.config).assemble(fitted_pool, decider, fallback).at(0.02)


def some_view(table: ResponseTable) -> View:
    asked = np.random.default_rng(1).random((table.n_queries, N)) < 0.4
    return reveal(table, np.arange(table.n_queries), asked, n_rounds=asked.sum(axis=1))


def both(strategy: RlFocal, view: View) -> np.ndarray:
    """What it decides and what it makes of the answers."""
    found = strategy.decide(view)
    return np.hstack([found.chance, found.answer])


@pytest.mark.slow
def test_by_default_nothing_is_hidden(table):
    strategy, view = fitted(table), some_view(table)
    for other in (other_task(view), other_text(view)):
        assert (both(strategy, view) != both(strategy, other)).any()


def other_task(view: View) -> View:
    """The same queries, said to be of the other task; a third one is unknown."""
    return replace(view, task=(view.task + 1) % 3)


def other_text(view: View) -> View:
    features = np.random.default_rng(2).normal(size=view.features.shape)
    return replace(view, features=features.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "other"), [("task unknown", other_task), ("no query text", other_text)]
)
def test_what_is_left_out_moves_neither_decisions_nor_answers(table, name, other):
    strategy, view = fitted(table, name), some_view(table)
    np.testing.assert_array_equal(both(strategy, view), both(strategy, other(view)))
    rival = ruled(strategy, strategy.fitted_pool_, strategy.decider_, "stacking")
    np.testing.assert_array_equal(both(rival, view), both(rival, other(view)))


def test_without_the_task_training_does_not_depend_on_it_either(table):
    """Tasks dealt at random teach the same; folds of training are the same without them."""
    shuffled = replace(table, task=np.random.default_rng(2).permutation(table.task))
    one, two = (once(t, "task unknown") for t in (table, shuffled))
    assert list(one.history) == list(two.history)


def test_without_the_task_what_is_remembered_lacks_it_too(table):
    strategy = fitted(table, "task unknown")
    memory = Memory.of(table, 100)
    moved = replace(memory, task=1 - memory.task)
    view, (one, two) = some_view(table), (strategy.follow(m) for m in (memory, moved))
    np.testing.assert_array_equal(both(one, view), both(two, view))


def test_without_query_text_competence_is_zero(table):
    assert (fitted(table, "no query text").fitted_pool_.held_out.competence == 0).all()


def test_focal_features_are_those_of_joint_failures_and_nothing_else(table):
    fitted_pool = fitted(table).fitted_pool_
    view, price = some_view(table), np.full(table.n_queries, 0.02, dtype=np.float32)
    competence = np.zeros((table.n_queries, N), dtype=np.float32)
    statistics = fitted_pool.statistics
    moved = replace(statistics, joint_failure=statistics.joint_failure[::-1, ::-1].copy())
    plain, other = (
        replace(fitted_pool.observer, statistics=s)
        .observe(view, price, Known(competence))
        .observation.member
        for s in (statistics, moved)
    )
    changed = (plain != other).any(dim=1).any(dim=0)
    assert torch.nonzero(changed)[:, 0].tolist() == list(range(plain.shape[2])[ablations.FOCAL])


def test_unless_observed_focal_diversity_moves_no_decision(table):
    for strategy, sees in ((fitted(table), True), (fitted(table, "focal none"), False)):
        before = strategy.chances(some_view(table))
        statistics = strategy.fitted_pool_.statistics
        moved = replace(statistics, joint_failure=1 - statistics.joint_failure)
        fitted_pool = replace(strategy.fitted_pool_, statistics=moved)
        other = ruled(strategy, fitted_pool, strategy.decider_, LEARNED)
        assert np.array_equal(before, other.chances(some_view(table))) != sees


def test_a_local_critic_does_not_see_hidden_scores(table):
    observation = fitted(table).observe(some_view(table)).observation
    scores = torch.from_numpy(table.member_score.copy())
    for kind, sees in ((RlFocal, True), (ablations.WithoutCentralCritic, False)):
        critic = kind.nets[1](N, 2, hidden=8)
        with torch.no_grad():
            one, two = (critic(GlobalState(observation, s)) for s in (scores, 1 - scores))
        assert torch.equal(one, two) != sees


def test_a_decider_that_does_not_see_focal_diversity_has_the_same_weights():
    assert Decider(N, 2, hidden=8).state_dict().keys() == (
        ablations.DeciderWithoutFocal(N, 2, hidden=8).state_dict().keys()
    )
