"""Variants that leave one part of rl-focal out: what is left out does not matter any more."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from rlfocal.agents.arrays import Weights
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.prior import statistics
from rlfocal.agents.prior.statistics import Counts, Statistics
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import Memory, View
from rlfocal.features import HashingEncoder
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.focal.stand_ins import LEARNED
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.training import trainer
from rlfocal.training.nets import GlobalState, Own

_SPEC = importlib.util.spec_from_file_location(
    "ablations", Path(__file__).parents[2] / "benchmarks" / "ablations.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
ablations = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ablations)

SMALL = {"n_iterations": 4, "n_episodes": 64, "learn_from": 1}
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
    rng = np.random.default_rng(1)
    learned = {  # as if it had learned for long
        name: rng.normal(size=found.decider_[name].shape).astype(np.float32)
        for name in ("member_head.weight", "own.task.weight")
    }
    return ruled(found, found.fitted_pool_, {**found.decider_, **learned}, LEARNED)


def ruled(found: RlFocal, fitted_pool: FittedPool, decider: Weights, name: str) -> RlFocal:
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


def counts(table: ResponseTable) -> Counts:
    return Counts.of(table.answer, table.member_score, table.task, len(table.tasks))


def test_the_focal_statistic_alone_is_taken_away(table):
    relative_cost = np.ones(N, dtype=np.float32)
    plain = Statistics.of(counts(table), relative_cost)
    with ablations.without_focal():
        without = Statistics.of(counts(table), relative_cost)
    changed = np.argwhere((plain.pair != without.pair).any(axis=(0, 1)))
    assert changed.ravel().tolist() == [4]
    assert (without.pair[..., 4] == 0).all()
    # and in the members' statistics its mean over the others
    changed = np.argwhere((plain.member != without.member).any(axis=0)).ravel().tolist()
    off = ~np.eye(N, dtype=bool)
    mean = (plain.pair[..., 4] * off).sum(axis=1) / (N - 1)
    assert len(changed) == 1
    np.testing.assert_allclose(plain.member[:, changed[0]], mean, rtol=1e-5)
    assert (without.member[:, changed[0]] == 0).all()


def test_unless_observed_focal_diversity_moves_no_decision(table, monkeypatch):
    strategy, view = fitted(table), some_view(table)

    def decided() -> np.ndarray:
        """After the statistics of the same counts were computed anew."""
        state = strategy.fitted_pool_.prior.whole.state()
        whole = type(strategy.fitted_pool_.prior.whole)().restore(state)
        prior = replace(strategy.fitted_pool_.prior, copies=(whole,))
        pool = replace(strategy.fitted_pool_, prior=prior)
        return both(ruled(strategy, pool, strategy.decider_, LEARNED), view)

    before = decided()
    with ablations.without_focal():
        without = decided()
    failing = statistics._failing_together
    monkeypatch.setattr(statistics, "_failing_together", lambda c: 1 - failing(c))
    assert (decided() != before).any()
    with ablations.without_focal():
        np.testing.assert_array_equal(decided(), without)


def test_a_local_critic_does_not_see_hidden_scores(table):
    found = fitted(table).observe(some_view(table)).observation
    parts = (None if part is None else torch.from_numpy(part) for part in found)
    observation = type(found)(*parts)
    score = torch.from_numpy(table.member_score.copy())
    worth = score.mean(dim=1)
    for name, sees in (("", True), ("no central critic", False)):
        kind = ablations.VARIANTS[name].kind if name else RlFocal
        critic = kind().critic_type(trainer)(Own(N, 2), hidden=8)
        with torch.no_grad():
            one, *others = (
                critic(GlobalState(observation, *told))
                for told in ((score, worth), (1 - score, worth), (score, 1 - worth))
            )
        for other in others:
            assert torch.equal(one, other) != sees


def test_without_rivals_the_learned_policy_acts_at_every_price_but_nothing(table):
    strategy = once(table, "no rivals")
    at = {price: strategy.at(price).acting.name for price in strategy.dials}
    assert {name for price, name in at.items() if price > 0} == {LEARNED}


def test_the_decider_of_the_prior_is_left_as_it_came(table):
    name = "prior's decider"
    settings = {**SMALL, **ablations.VARIANTS[name].settings}
    found = RlFocal.of(settings).fit(table, rng=np.random.default_rng(0))
    prior = found.fitted_pool_.prior.whole.prior.decider
    for key, weight in prior.items():
        np.testing.assert_array_equal(found.decider_[key], weight)


def test_what_a_variant_is_compared_with_is_measured_too():
    for name, variant in ablations.VARIANTS.items():
        assert variant.versus in {ablations.DEFAULT, *ablations.VARIANTS}, name
