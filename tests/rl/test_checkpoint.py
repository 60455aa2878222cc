"""Checkpoints: what is loaded decides as what was saved; damage and other pools are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlfocal.deliberation.replay import replay
from rlfocal.errors import CheckpointError
from rlfocal.features import HashingEncoder
from rlfocal.records import Calibration, Dataset, PoolModel, ResponseTable, build_table, simulate
from rlfocal.rl.checkpoint import SCHEMA_VERSION, load_checkpoint, save_checkpoint
from rlfocal.rl.config import PaperConfig, RlFocalConfig
from rlfocal.rl.paper.strategy import RlFocalPaper
from rlfocal.rl.session import train_rl_focal
from rlfocal.rl.strategy import RlFocal
from rlfocal.rl.trainer import Trainer

TINY = RlFocalConfig(n_iterations=4, n_episodes=32, fusion_epochs=2, hidden=8, learn_from=1)
ENCODER = HashingEncoder(16)


def pool(seed: int, n_queries: int = 160) -> Dataset:
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5], [0.5, 0.7, 0.6]], correlation=0.2)
    return simulate(model, n_queries, rng=np.random.default_rng(seed), name=f"pool{seed}")


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return build_table(pool(0), encode=ENCODER)


@pytest.fixture(scope="module", params=["rl-focal", "rl-focal-paper"])
def strategy(request: pytest.FixtureRequest, table: ResponseTable) -> RlFocal | RlFocalPaper:
    made = RlFocal(TINY) if request.param == "rl-focal" else RlFocalPaper(PaperConfig(n_passes=1))
    return made.fit(table, rng=np.random.default_rng(0))


def saved(folder: Path, strategy: RlFocal | RlFocalPaper, table: ResponseTable) -> Path:
    calibration = Calibration.fit(table)
    save_checkpoint(folder, strategy, table, calibration, encoder_spec=ENCODER.spec, seed=0)
    return folder


def test_a_loaded_checkpoint_decides_as_the_saved_strategy(
    tmp_path: Path, strategy: RlFocal | RlFocalPaper, table: ResponseTable
) -> None:
    loaded = load_checkpoint(saved(tmp_path, strategy, table))
    other = pool(1)
    new = loaded.table(other)
    before, after = replay(strategy, new), replay(loaded.strategy, new)
    assert np.array_equal(before.asked, after.asked)
    assert np.array_equal(before.chosen, after.chosen)
    np.testing.assert_allclose(before.confidence, after.confidence, atol=1e-6)
    assert loaded.strategy.history_ == strategy.history_
    assert loaded.description.synthetic


def test_a_checkpoint_knows_its_training_queries(
    tmp_path: Path, strategy: RlFocal | RlFocalPaper, table: ResponseTable
) -> None:
    part = table.take(np.arange(100))
    loaded = load_checkpoint(saved(tmp_path, strategy, part))
    assert loaded.was_trained_on(table).tolist() == [True] * 100 + [False] * 60


def test_another_pool_is_refused_and_members_may_stand_in_any_order(
    tmp_path: Path, strategy: RlFocal | RlFocalPaper, table: ResponseTable
) -> None:
    loaded = load_checkpoint(saved(tmp_path, strategy, table))
    wide = simulate(
        PoolModel(accuracy=[[0.5] * 5, [0.5] * 5]), 40, rng=np.random.default_rng(2), name="wide"
    )
    assert loaded.table(wide).members == table.members
    narrow = simulate(PoolModel(accuracy=[[0.5, 0.5]]), 40, rng=np.random.default_rng(2))
    with pytest.raises(
        CheckpointError, match=r"another pool: synthetic has no responses of model-3"
    ):
        loaded.table(narrow)


def test_data_are_priced_as_in_training(
    tmp_path: Path, strategy: RlFocal | RlFocalPaper, table: ResponseTable
) -> None:
    """A checkpoint that counts calls does so on priced data; one that needs prices says so."""
    loaded = load_checkpoint(saved(tmp_path, strategy, table))
    model = PoolModel(accuracy=[[0.5] * 3], cost_usd=[0.1, 0.2, 0.3])
    priced = simulate(model, 40, rng=np.random.default_rng(2))
    assert (loaded.table(priced).cost == 1).all()
    dear = replace(loaded, description=loaded.description.model_copy(update={"cost_unit": "usd"}))
    unpriced = simulate(replace(model, cost_usd=None), 40, rng=np.random.default_rng(2))
    with pytest.raises(CheckpointError, match="prices a call in usd"):
        dear.table(unpriced)


def test_unknown_tasks_are_answered(
    tmp_path: Path, strategy: RlFocal | RlFocalPaper, table: ResponseTable
) -> None:
    loaded = load_checkpoint(saved(tmp_path, strategy, table))
    model = PoolModel(accuracy=[[0.7] * 3] * 3, n_options=6)  # a third task, and more options
    new = loaded.table(simulate(model, 90, rng=np.random.default_rng(2)))
    assert set(new.task.tolist()) == {0, 1, 2}
    assert new.tasks[2] == "(unknown)"
    assert (replay(loaded.strategy, new).chosen >= 0).all()


def test_a_truncated_file_of_weights_is_refused(
    tmp_path: Path, strategy: RlFocal | RlFocalPaper, table: ResponseTable
) -> None:
    weights = next(saved(tmp_path, strategy, table).glob("weights-*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": SCHEMA_VERSION + 1}, f"schema version {SCHEMA_VERSION + 1}"),
        ({"weights_file": "../weights.safetensors"}, "same folder"),
        ({"weights_file": "gone.safetensors"}, "cannot be read"),
        ({"members": 3}, "members"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_description_that_lies_is_refused(
    tmp_path: Path, strategy: RlFocal, table: ResponseTable, change: dict, message: str
) -> None:
    path = saved(tmp_path, strategy, table) / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path)


def test_no_checkpoint_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="rlfocal train"):
        load_checkpoint(tmp_path)


def test_saving_again_replaces_the_weights(tmp_path: Path, table: ResponseTable) -> None:
    first = RlFocal(TINY).fit(table, rng=np.random.default_rng(0))
    second = RlFocal(TINY).fit(table, rng=np.random.default_rng(1))
    saved(tmp_path, first, table)
    saved(tmp_path, second, table)
    assert len(list(tmp_path.glob("weights-*.safetensors"))) == 1
    new = load_checkpoint(tmp_path)
    weight = new.strategy.decider_.state_dict()["body.shared_out.weight"]
    assert np.array_equal(weight, second.decider_.state_dict()["body.shared_out.weight"])


@pytest.mark.slow
def test_an_interrupted_run_is_kept_and_goes_on_to_the_same_end(
    tmp_path: Path, table: ResponseTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    train_rl_focal(whole, table, TINY, seed=3, encoder_spec=ENCODER.spec)
    part = tmp_path / "part"
    iterate = Trainer._iterate

    def interrupted(trainer: Trainer) -> None:
        if trainer.iteration == 2:
            raise KeyboardInterrupt
        iterate(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_iterate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_rl_focal(part, table, TINY, seed=3, encoder_spec=ENCODER.spec)
    kept = load_checkpoint(part)
    assert not kept.description.finished
    assert len(kept.strategy.history_) == 2
    with pytest.raises(CheckpointError, match="other data, settings or seed"):
        train_rl_focal(part, table, TINY, seed=4, encoder_spec=ENCODER.spec)
    train_rl_focal(part, table, TINY, seed=3, encoder_spec=ENCODER.spec)
    ends = [load_checkpoint(folder).description for folder in (whole, part)]
    assert ends[0].weights_sha256 == ends[1].weights_sha256
    assert ends[0].history == ends[1].history
    assert not (part / "training.safetensors").exists()


def test_a_damaged_unfinished_run_says_what_to_delete(tmp_path: Path, table: ResponseTable) -> None:
    (tmp_path / "training.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="delete this file"):
        train_rl_focal(tmp_path, table, TINY, seed=0, encoder_spec=ENCODER.spec)
