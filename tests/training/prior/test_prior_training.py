"""Training runs end to end in seconds, reports, and writes a prior that loads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from rlfocal.agents.prior.weights import load_prior
from rlfocal.training.prior import pretraining, reinforcement, train
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
    monkeypatch.setattr(pretraining, "draw_pool_batch", small)
    monkeypatch.setattr(reinforcement, "draw_pool_batch", small)
    monkeypatch.setattr(
        train, "held_out", lambda seed, n_labels, readers: [small(np.random.default_rng(seed))] * 2
    )


@pytest.mark.slow
def test_the_command_writes_a_prior_that_loads(tmp_path):
    app = train.typer.Typer()
    app.command()(train.main)
    done = CliRunner().invoke(app, ["--out", str(tmp_path), "--minutes", "0.02", "--seed", "1"])
    assert done.exit_code == 0, done.output
    card = load_prior(tmp_path).card
    assert card.seed == 1
    assert card.simulator_version >= 1
    assert 0 < card.validation["25 labels"]["decider_utility"] < 1


@pytest.mark.slow
def test_training_changes_the_weights_and_leaves_the_frozen_fusion_as_it_was():
    told = []
    fusion = train_fusion(minutes=0.02, seed=0, hidden=8, on_progress=told.append)
    before = weights_of(fusion)
    assert float(before["voter_vote.weight"].abs().max()) > 0
    decider = train_decider(fusion, minutes=0.02, seed=0, hidden=8, on_progress=told.append)
    assert float(decider.stop_head.weight.detach().abs().max()) > 0
    assert all(torch.equal(before[name], value) for name, value in fusion.state_dict().items())
    assert {progress.phase for progress in told} <= {"fusion", "decider"}
    assert all(parameter.requires_grad for parameter in fusion.parameters())
