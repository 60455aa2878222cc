"""Training is reproducible and resumable; what acts is a running mean of the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rlfocal.agents.config import PpoConfig, RlFocalConfig
from rlfocal.agents.statistics import Competence, PoolStatistics
from rlfocal.errors import ConfigError
from rlfocal.features import HashingEncoder
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.tables.folds import inner_folds
from rlfocal.settings import read_toml
from rlfocal.training.trainer import Trainer
from rlfocal.training.weights import weights_of

CONFIG = RlFocalConfig(n_iterations=6, n_episodes=32, learn_from=1)


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5], [0.5, 0.7, 0.6]])
    return build_table(simulate(model, 240, rng=np.random.default_rng(0)), encode=HashingEncoder(8))


def same(one: Trainer, two: Trainer) -> bool:
    """All of the nets and of the optimizer."""
    first, second = one.state().arrays, two.state().arrays
    return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_one_seed_reproduces_a_run(table: ResponseTable) -> None:
    runs = [Trainer(table, CONFIG, seed=seed) for seed in (1, 1, 2)]
    for trainer in runs:
        trainer.train()
    assert runs[0].history == runs[1].history
    assert same(runs[0], runs[1])
    assert runs[0].history != runs[2].history


@pytest.mark.parametrize("stops", [[0], [2], [1, 3]])
@pytest.mark.parametrize("max_rounds", [None, 2])
def test_a_run_broken_off_ends_as_one_that_was_never_stopped(
    table: ResponseTable, stops: list[int], max_rounds: int | None
) -> None:
    config = CONFIG.model_copy(update={"n_iterations": 4, "max_rounds": max_rounds})
    whole = Trainer(table, config, seed=1)
    whole.train()
    part, state = Trainer(table, config, seed=1), None
    for stop in stops:
        part = Trainer(table, config, seed=1, state=state)
        part.train(stop - part.iteration)
        state = part.state()
        part.train()  # a state is a copy: going on must not change it
    part = Trainer(table, config, seed=1, state=state)
    assert part.iteration == stops[-1]
    assert not part.done
    part.train()
    assert part.history == whole.history
    assert same(part, whole)
    for name, weight in whole.averaged_decider().items():
        np.testing.assert_array_equal(part.averaged_decider()[name], weight)


def test_it_starts_from_the_prior_and_learns_weights_of_its_own(table: ResponseTable) -> None:
    trainer = Trainer(table, CONFIG, seed=1)
    prior = trainer.fitted_pool.prior.whole.prior.decider
    for name, weight in trainer.averaged_decider().items():
        np.testing.assert_array_equal(weight, prior.get(name, np.zeros_like(weight)))
    trainer.train(2)
    learned = trainer.averaged_decider()
    assert learned["own.member.weight"].shape[1] == 3
    assert learned["own.task.weight"].shape[1] == 3  # two tasks, and the unknown one
    assert all(np.any(weight != prior.get(name, 0)) for name, weight in learned.items())


def test_with_few_queries_it_acts_as_the_prior_does(table: ResponseTable) -> None:
    trainer = Trainer(table, CONFIG.model_copy(update={"learn_from": 241}), seed=1)
    assert trainer.done
    trainer.train()
    assert not trainer.history
    assert not trainer.averaged_decider()["own.member.weight"].any()


def test_what_acts_is_the_mean_of_the_weights_so_far_by_value(table: ResponseTable) -> None:
    trainer = Trainer(table, CONFIG, seed=1)
    reached = []
    for _ in range(3):
        trainer.train(1)
        reached.append(weights_of(trainer.decider))
    acting = trainer.averaged_decider()
    for name, weight in acting.items():
        mean = torch.stack([weights[name] for weights in reached]).mean(0)
        torch.testing.assert_close(torch.from_numpy(weight), mean)
    with torch.no_grad():
        for parameter in trainer.decider.parameters():
            parameter.add_(1.0)
    after = trainer.averaged_decider()
    assert all(np.array_equal(weight, acting[name]) for name, weight in after.items())


def test_training_leaves_the_global_generator_alone(table: ResponseTable) -> None:
    before = torch.random.get_rng_state()
    Trainer(table, CONFIG, seed=1).train(1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_competence_of_a_query_does_not_depend_on_its_own_label(table: ResponseTable) -> None:
    from dataclasses import replace

    fold = inner_folds(table, 3, rng=np.random.default_rng(0))
    before = Competence.out_of_fold(table, fold)
    flipped = table.candidate_score.copy()
    flipped[7] = 1 - flipped[7]
    after = Competence.out_of_fold(replace(table, candidate_score=flipped), fold)
    mine = fold == fold[7]
    assert np.array_equal(before[:, mine], after[:, mine])
    assert not np.array_equal(before[:, ~mine], after[:, ~mine])


def test_inner_folds_keep_prompts_together_and_tasks_even(table: ResponseTable) -> None:
    from dataclasses import replace

    doubled = replace(table, group=np.arange(240) // 2 % 60)
    fold = inner_folds(doubled, 3, rng=np.random.default_rng(0))
    assert all(len(set(fold[doubled.group == g])) == 1 for g in range(60))
    plain = inner_folds(table, 3, rng=np.random.default_rng(0))
    counts = np.array(
        [[((plain == k) & (table.task == t)).sum() for t in (0, 1)] for k in range(3)]
    )
    assert counts.max() - counts.min() <= 1


def test_statistics_by_hand(table: ResponseTable) -> None:
    statistics = PoolStatistics.of(table)
    np.testing.assert_allclose(statistics.accuracy, table.member_score.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(statistics.task_accuracy[-1], statistics.accuracy, rtol=1e-5)
    mean = table.member_score[:, 0].mean()
    own = table.member_score[table.task == 1, 0]
    expected = (own.sum() + 20 * mean) / (len(own) + 20)
    assert statistics.task_accuracy[1, 0] == pytest.approx(expected, rel=1e-5)
    assert statistics.relative_cost.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_episode = 5", "unknown key 'n_episode'; did you mean 'n_episodes'"),
        ("n_episodes = 0", "n_episodes = 0"),
        ("[ppo]\nclip_coef = -1", "clip_coef"),
        ("n_episodes = [", "cannot read"),
        ("hidden = 8", "hidden is a setting of an earlier build, whose agents were other nets"),
        (
            "fusion_epochs = 2\nfusion_patience = 1",
            "fusion_epochs is a setting of an earlier build",
        ),
        ("credit = 'sampled'", "credit = 'sampled' is a setting of an earlier build"),
    ],
)
def test_settings_are_checked(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        RlFocalConfig.of(read_toml(tmp_path / "c.toml"), source="c.toml")


def test_settings_of_an_earlier_build_that_are_the_only_ones_now_are_left_out() -> None:
    found = RlFocalConfig.of(
        {"credit": "counterfactual", "focal": "observation", "n_folds": 4}, source="x"
    )
    assert found == RlFocalConfig(n_folds=4)


def test_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("n_episodes = 7\n[ppo]\nclip_coef = 0.1")
    found = RlFocalConfig.of(read_toml(tmp_path / "c.toml"), source="c.toml")
    assert found == RlFocalConfig(n_episodes=7, ppo=PpoConfig(clip_coef=0.1))
