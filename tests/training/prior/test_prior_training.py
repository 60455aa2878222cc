"""Training runs end to end in seconds, reports, and writes a prior that loads."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rlfocal.agents.prior.weights import load_prior
from rlfocal.executor import SerialExecutor
from rlfocal.training.prior import measuring, pretraining, scenes, train
from rlfocal.training.prior.pool_batches import draw_labels, draw_pool_batch
from rlfocal.training.prior.pretraining import train_fusion
from rlfocal.training.prior.reinforcement import train_decider
from rlfocal.training.weights import weights_of


def test_scenes_are_reproducible_and_their_labels_lie_in_0_to_1000():
    first, second = (
        draw_pool_batch(np.random.default_rng(3), n_pools=2, n_queries=5) for _ in range(2)
    )
    assert torch.equal(first.support, second.support)
    assert torch.equal(first.pools.pair, second.pools.pair)
    rng = np.random.default_rng(0)
    labels = np.array([draw_labels(rng) for _ in range(500)])
    assert labels.min() == 0
    assert labels.max() <= 1000
    assert np.median(labels) < 100


def small(rng, *, readers=False, **_):
    return draw_pool_batch(rng, n_pools=2, n_queries=4, n_members=4, n_labels=10, readers=readers)


@pytest.fixture(autouse=True)
def small_scenes(monkeypatch):
    """The real ones take seconds each."""
    monkeypatch.setattr(scenes, "draw_pool_batch", small)
    held_out = pretraining.held_out
    monkeypatch.setattr(
        measuring, "held_out", lambda seed, **how: held_out(seed, n_batches=2, **how)
    )


class Counted(SerialExecutor):
    """Counts its calls, by the function."""

    def __init__(self):
        self.calls = Counter()

    def map(self, function, jobs, *, shared):
        self.calls[function.__name__] += 1
        return super().map(function, jobs, shared=shared)


def run(folder, *words):
    app = train.typer.Typer()
    app.command()(train.main)
    return CliRunner().invoke(app, ["--out", str(folder), "--minutes", "0.02", *words])


@pytest.mark.slow
def test_the_command_writes_a_prior_that_loads(tmp_path, monkeypatch):
    executor = Counted()
    monkeypatch.setattr(train, "executor_at", {"ray:there": executor}.__getitem__)
    done = run(tmp_path, "--seed", "1", "--on", "ray:there")
    assert done.exit_code == 0, done.output
    assert executor.calls == {"_block": 2, "measured": 1}
    card = load_prior(tmp_path).card
    assert card.seed == 1
    assert card.simulator_version >= 1
    assert set(card.validation) >= {"0 labels", "25 labels", "500 labels, readers"}
    assert 0 < card.validation["25 labels"]["decider_utility"] < 1


def test_a_place_that_is_none_is_said_before_the_training(tmp_path):
    done = run(tmp_path, "--on", "mars:4")
    assert done.exit_code == 1
    assert "--on mars:4: no such place" in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_training_changes_the_weights_and_leaves_the_frozen_fusion_as_it_was():
    told = []
    here = SerialExecutor()
    fusion = train_fusion(minutes=0.02, seed=0, executor=here, hidden=8, on_progress=told.append)
    before = weights_of(fusion)
    assert float(before["voter_vote.weight"].abs().max()) > 0
    decider = train_decider(
        fusion, minutes=0.02, seed=0, executor=here, hidden=8, on_progress=told.append
    )
    assert float(decider.stop_head.weight.detach().abs().max()) > 0
    assert all(torch.equal(before[name], value) for name, value in fusion.state_dict().items())
    assert {progress.phase for progress in told} <= {"fusion", "decider"}
    assert all(parameter.requires_grad for parameter in fusion.parameters())
