"""Settings that leave one part of rl-focal out: what is left out does not matter any more."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.decider import Critic, Decider, GlobalState
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.observation import FOCAL_FEATURES
from rlfocal.agents.statistics import PoolStatistics
from rlfocal.checkpoint import load_checkpoint, save_checkpoint
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import Memory, View
from rlfocal.features import HashingEncoder
from rlfocal.focal.posterior_threshold import PosteriorThreshold
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.focal.stand_ins import LEARNED
from rlfocal.records import Calibration, PoolModel, ResponseTable, build_table, simulate
from rlfocal.training.credit import credit, shaped
from rlfocal.training.rollout import rollout
from rlfocal.training.trainer import Trainer

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


def config(**changes: object) -> RlFocalConfig:
    return RlFocalConfig(**(SMALL | changes))


@cache
def once(table: ResponseTable, **changes: object) -> RlFocal:
    return RlFocal(config(**changes)).fit(table, rng=np.random.default_rng(0))


def fitted(table: ResponseTable, **changes: object) -> RlFocal:
    found = once(table, **changes)
    decider = copy.deepcopy(found.decider_)
    torch.nn.init.normal_(decider.member_head.weight)  # as if it had learned for long
    return ruled(found, found.fitted_pool_, decider, LEARNED)


def ruled(found: RlFocal, fitted_pool: FittedPool, decider: Decider, name: str) -> RlFocal:
    """Somebody acts at every price: the learned policy itself, or who stands in for it."""
    verdicts = tuple(v._replace(chosen=name) for v in found.fallback_.verdicts)
    fallback = found.fallback_._replace(verdicts=verdicts)
    return RlFocal(found.config).assemble(fitted_pool, decider, fallback).at(0.02)


def trained(table: ResponseTable, **changes: object) -> Trainer:
    trainer = Trainer(table, config(**changes), seed=0)
    trainer.train()
    return trainer


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


@pytest.mark.slow
def test_without_the_task_neither_decisions_nor_answers_depend_on_it(table):
    strategy, view = fitted(table, task_known=False), some_view(table)
    np.testing.assert_array_equal(both(strategy, view), both(strategy, other_task(view)))
    rival = ruled(strategy, strategy.fitted_pool_, strategy.decider_, "stacking")
    np.testing.assert_array_equal(both(rival, view), both(rival, other_task(view)))


def test_without_the_task_training_does_not_depend_on_it_either(table):
    """Tasks dealt at random teach the same; folds of training are the same without them."""
    shuffled = replace(table, task=np.random.default_rng(2).permutation(table.task))
    one, two = (trained(t, task_known=False) for t in (table, shuffled))
    assert one.history == two.history


def test_without_the_task_what_is_remembered_lacks_it_too(table):
    strategy = fitted(table, task_known=False)
    memory = Memory.of(table, 100)
    moved = replace(memory, task=1 - memory.task)
    view, (one, two) = some_view(table), (strategy.follow(m) for m in (memory, moved))
    np.testing.assert_array_equal(both(one, view), both(two, view))


def test_the_threshold_shares_what_is_hidden(table):
    strategy = PosteriorThreshold(config(task_known=False, query_text=False))
    strategy = strategy.fit(table, rng=np.random.default_rng(0)).at(0.02)
    view = some_view(table)
    other = other_text(other_task(view))
    for one, two in zip(strategy.decide(view)[:2], strategy.decide(other)[:2], strict=True):
        np.testing.assert_array_equal(one, two)


def test_without_query_text_competence_is_zero_and_the_text_does_not_matter(table):
    strategy, view = fitted(table, query_text=False), some_view(table)
    assert (strategy.fitted_pool_.held_out.competence == 0).all()
    np.testing.assert_array_equal(both(strategy, view), both(strategy, other_text(view)))


def test_focal_features_are_those_of_joint_failures_and_nothing_else(table):
    fitted_pool = fitted(table).fitted_pool_
    view, price = some_view(table), np.full(table.n_queries, 0.02, dtype=np.float32)
    competence = np.zeros((table.n_queries, N), dtype=np.float32)
    statistics = fitted_pool.statistics
    moved = replace(statistics, joint_failure=statistics.joint_failure[::-1, ::-1].copy())
    plain, other = (
        replace(fitted_pool.observer, statistics=s)
        .observe(view, price, competence)
        .observation.member
        for s in (statistics, moved)
    )
    changed = (plain != other).any(dim=1).any(dim=0)
    assert torch.nonzero(changed)[:, 0].tolist() == list(FOCAL_FEATURES)


@pytest.mark.parametrize("focal", ["shaping", "none"])
def test_unless_observed_focal_diversity_moves_no_decision(table, focal):
    for strategy, sees in ((fitted(table), True), (fitted(table, focal=focal), False)):
        torch.nn.init.normal_(strategy.decider_.member_head.weight)
        before = strategy.chances(some_view(table))
        statistics = strategy.fitted_pool_.statistics
        moved = replace(statistics, joint_failure=1 - statistics.joint_failure)
        fitted_pool = replace(strategy.fitted_pool_, statistics=moved)
        other = ruled(strategy, fitted_pool, strategy.decider_, LEARNED)
        assert np.array_equal(before, other.chances(some_view(table))) != sees


def test_independence_by_hand():
    statistics = PoolStatistics(
        accuracy=np.array([0.5, 0.6, 0.9], dtype=np.float32),
        task_accuracy=np.zeros((1, 3), dtype=np.float32),
        relative_cost=np.ones(3, dtype=np.float32),
        unit_cost=1.0,
        joint_failure=np.array([[1, 0.8, 0.1], [1, 1, 0.1], [0.5, 0.4, 1]], dtype=np.float32),
    )
    asked = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=bool)
    # 0 and 1 mostly fail together: 0.4 - 0.8 and 0.5 - 1.0; 2 fails as often with them as ever.
    np.testing.assert_allclose(
        statistics.independence(asked), [0, 0, -0.45, 0, -0.9 / 6], atol=1e-6
    )


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_shaped_returns_telescope(gamma):
    """Whatever the path and wherever it stops, only the potential of its first state is left."""
    rng = np.random.default_rng(0)
    alive = np.arange(5)[:, None] < np.array([1, 5, 3])
    worth, charge, potential, share = rng.random((4, 5, 3)).astype(np.float32) * alive
    share[alive & ~np.vstack([alive[1:], np.zeros((1, 3), bool)])] = 1
    settings = {
        "stop_share": share, "value": np.zeros_like(worth), "alive": alive, "gamma": gamma,
        "gae_lambda": 1.0,
    }  # fmt: skip
    plain = credit(worth=worth, charge=charge, **settings).asking
    new_worth, new_charge = shaped(worth, charge, potential, gamma=gamma)
    moved = credit(worth=new_worth, charge=new_charge, **settings).asking
    goes_on = alive & (share < 1)
    np.testing.assert_allclose(moved[goes_on], (plain - potential)[goes_on], atol=1e-5)
    np.testing.assert_allclose(new_worth[alive], (worth - potential)[alive], atol=1e-6)


def rolled(trainer: Trainer, critic: Critic, **changes: object):
    rows = np.arange(100)
    price = np.full(len(rows), 0.002, dtype=np.float32)  # cheap enough to ask several
    return rollout(
        trainer.fitted_pool.observer, trainer.decider, critic, trainer._env,
        trainer.fitted_pool.held_out, rows, price, config(**changes),
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def test_shaping_changes_what_is_learned_from_but_neither_episodes_nor_first_returns(table):
    trainer = trained(table)
    critic = Critic(N, 2, hidden=8)
    for parameter in critic.parameters():
        torch.nn.init.zeros_(parameter)  # so that the returns are those of the paths alone
    one = {"ppo": {"gae_lambda": 1.0, "n_epochs": 1}}
    (plain, before), (moved, after) = (
        rolled(trainer, critic, focal=focal, **one) for focal in ("none", "shaping")
    )
    np.testing.assert_array_equal(before.utility, after.utility)
    first = plain.observation.shared[:, 6] == 0  # nobody asked: no potential
    torch.testing.assert_close(plain.returns[first], moved.returns[first])
    assert (plain.returns[~first] - moved.returns[~first]).abs().max() > 0.01


def test_without_a_central_critic_hidden_scores_do_not_matter(table):
    """The critic's values, and so advantages, are the same whoever is right."""
    trainer = trained(table)
    critic = trainer._critic
    states = {
        central: rolled(trainer, critic, central_critic=central)[0].state
        for central in (True, False)
    }
    assert (states[False].member_score == 0).all()
    assert (states[True].member_score != 0).any()
    values = critic(GlobalState(states[True].observation, states[False].member_score))
    torch.testing.assert_close(values, critic(states[False]))


def test_settings_survive_a_checkpoint(table, tmp_path):
    """Ablated strategies are served as they were fitted."""
    changes = {"task_known": False, "query_text": False, "focal": "none"}
    strategy, folder = once(table, **changes).at(0.02), tmp_path / "checkpoint"
    calibration = Calibration.fit(table)
    save_checkpoint(folder, strategy, table, calibration, encoder_spec=None, seed=0)
    loaded = load_checkpoint(folder).strategy.at(0.02)
    view = some_view(table)
    np.testing.assert_allclose(both(loaded, view), both(strategy, view), atol=1e-6)


def test_a_decider_that_does_not_see_focal_diversity_has_the_same_weights():
    assert Decider(N, 2, hidden=8).state_dict().keys() == (
        Decider(N, 2, hidden=8, focal=False).state_dict().keys()
    )
