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


@pytest.mark.slow
def test_stopping_half_way_changes_nothing(table: ResponseTable) -> None:
    whole = Trainer(table, CONFIG, seed=1)
    whole.train()
    first = Trainer(table, CONFIG, seed=1)
    first.train(3)
    state = first.state()
    first.train()  # a state is a copy: going on must not change it
    second = Trainer(table, CONFIG, seed=1, state=state)
    assert not second.done
    second.train()
    assert second.history == whole.history
    assert same(second, whole)


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
    ],
)
def test_settings_are_checked(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        RlFocalConfig.of(read_toml(tmp_path / "c.toml"), source="c.toml")


def test_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("n_episodes = 7\n[ppo]\nclip_coef = 0.1")
    found = RlFocalConfig.of(read_toml(tmp_path / "c.toml"), source="c.toml")
    assert found == RlFocalConfig(n_episodes=7, ppo=PpoConfig(clip_coef=0.1))
