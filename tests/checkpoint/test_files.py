"""Checkpoints: what is loaded decides as what was saved; damage and other pools are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from every_strategy import OF_ANOTHER_PACKAGE, every_strategy, fitted, installed, pool, quick_spec

from rlfocal.checkpoint import SCHEMA_VERSION, Checkpoint, load_checkpoint, save_checkpoint
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import State
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.errors import CheckpointError, ConfigError
from rlfocal.features import HashingEncoder
from rlfocal.records import Calibration, PoolModel, ResponseTable, build_table, calibrate, simulate
from rlfocal.strategies.single import BestSingle

__all__ = ["installed"]

ENCODER = HashingEncoder(16)
pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return build_table(pool(0, 120), encode=ENCODER)


@pytest.fixture
def best(table: ResponseTable) -> Base:
    return fitted("best-single", table)


def saved(folder: Path, strategy: Base, table: ResponseTable) -> Path:
    calibration = Calibration.fit(table)
    save_checkpoint(folder, strategy, table, calibration, encoder_spec=ENCODER.spec, seed=0)
    return folder


@every_strategy
def test_a_loaded_checkpoint_decides_as_the_saved_strategy(
    name: str, tmp_path: Path, table: ResponseTable
) -> None:
    strategy = fitted(name, calibrate(table)[1])
    loaded = load_checkpoint(saved(tmp_path, strategy, table))
    new = loaded.table(pool(1, 80))
    for dial in (None, *strategy.dials[:2]):
        mine = strategy if dial is None else strategy.with_dial(dial)
        same = loaded.strategy if dial is None else loaded.strategy.with_dial(dial)
        before, after = replay(mine, new), replay(same, new)
        assert np.array_equal(before.asked, after.asked)
        assert np.array_equal(before.chosen, after.chosen)
        assert np.array_equal(before.confidence, after.confidence)
    assert loaded.strategy.spec == strategy.spec
    assert loaded.strategy.verdicts() == strategy.verdicts() == loaded.description.verdicts
    assert loaded.description.history == list(strategy.history)
    assert sorted(loaded.ranking.tolist()) == [0, 1, 2]
    assert loaded.description.synthetic


@every_strategy
def test_settings_read_back_from_json(name: str) -> None:
    spec = create_strategy(quick_spec(name)).spec
    plain = json.loads(json.dumps(dict(spec.settings), allow_nan=False))
    assert create_strategy(spec._replace(settings=plain)).spec == spec


def test_without_torch_what_needs_none_is_read(tmp_path: Path, table: ResponseTable) -> None:
    folder = saved(tmp_path, fitted("stacking", table), table)
    code = (
        "import sys; from pathlib import Path; from rlfocal.checkpoint import load_checkpoint\n"
        f"load_checkpoint(Path({str(folder)!r})); print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_checkpoint_knows_its_training_queries(tmp_path: Path, table: ResponseTable) -> None:
    part = table.take(np.arange(100))
    loaded = load_checkpoint(saved(tmp_path, fitted("plurality", part), part))
    assert loaded.was_trained_on(table).tolist() == [True] * 100 + [False] * 20


def test_training_queries_are_told_by_their_texts_not_by_ids_that_other_data_have_too(
    tmp_path: Path, table: ResponseTable
) -> None:
    texts = np.array([f"question {i}" for i in range(table.n_queries)], dtype=np.object_)
    known = replace(table, prompts=texts)
    part = known.take(np.arange(100))
    loaded = load_checkpoint(saved(tmp_path, fitted("plurality", part), part))
    others = replace(known, prompts=np.array([f"other {t}" for t in texts], dtype=np.object_))
    assert not loaded.was_trained_on(others).any()
    renamed = replace(known, query_ids=np.array([f"x{i}" for i in range(table.n_queries)]))
    assert loaded.was_trained_on(renamed).tolist() == [True] * 100 + [False] * 20


def test_the_best_member_is_the_most_accurate_in_training(
    tmp_path: Path, best: Base, table: ResponseTable
) -> None:
    loaded = load_checkpoint(saved(tmp_path, best, table))
    assert loaded.best_member == table.member_score.mean(axis=0).argmax()


def test_another_pool_is_refused_and_members_may_stand_in_any_order(
    tmp_path: Path, best: Base, table: ResponseTable
) -> None:
    loaded = load_checkpoint(saved(tmp_path, best, table))
    wide = simulate(
        PoolModel(accuracy=[[0.5] * 5, [0.5] * 5]), 40, rng=np.random.default_rng(2), name="wide"
    )
    assert loaded.table(wide).members == table.members
    narrow = simulate(PoolModel(accuracy=[[0.5, 0.5]]), 40, rng=np.random.default_rng(2))
    with pytest.raises(
        CheckpointError, match=r"another pool: synthetic has no responses of model-3"
    ):
        loaded.table(narrow)


def test_data_are_priced_as_in_training(tmp_path: Path, best: Base, table: ResponseTable) -> None:
    """A checkpoint that counts calls does so on priced data; one that needs prices says so."""
    loaded = load_checkpoint(saved(tmp_path, best, table))
    model = PoolModel(accuracy=[[0.5] * 3], cost_usd=[0.1, 0.2, 0.3])
    priced = simulate(model, 40, rng=np.random.default_rng(2))
    assert (loaded.table(priced).cost == 1).all()
    dear = replace(loaded, description=loaded.description.model_copy(update={"cost_unit": "usd"}))
    unpriced = simulate(replace(model, cost_usd=None), 40, rng=np.random.default_rng(2))
    with pytest.raises(CheckpointError, match="prices a call in usd"):
        dear.table(unpriced)


@every_strategy
def test_unknown_tasks_are_answered(name: str, tmp_path: Path, table: ResponseTable) -> None:
    loaded = load_checkpoint(saved(tmp_path, fitted(name, table), table))
    model = PoolModel(accuracy=[[0.7] * 3] * 3, n_options=6)  # a third task, and more options
    new = loaded.table(simulate(model, 90, rng=np.random.default_rng(2)))
    assert set(new.task.tolist()) == {0, 1, 2}
    assert new.tasks[2] == "(unknown)"
    assert (replay(loaded.strategy, new).chosen >= 0).all()


def test_a_truncated_file_of_weights_is_refused(
    tmp_path: Path, best: Base, table: ResponseTable
) -> None:
    weights = next(saved(tmp_path, best, table).glob("weights-*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged or truncated"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": SCHEMA_VERSION + 1}, f"schema version {SCHEMA_VERSION + 1}"),
        ({"schema_version": 4}, r"schema version 4, but .* train again"),
        ({"weights_file": "../weights.safetensors"}, "same folder"),
        ({"weights_file": "gone.safetensors"}, "cannot be read"),
        ({"members": 3}, "members"),
        ({"surprise": 1}, "surprise"),
        ({"strategy": "oracle"}, "point of comparison"),
        ({"strategy": "best-singl"}, "did you mean 'best-single'"),
    ],
)
def test_a_description_that_lies_is_refused(
    tmp_path: Path, best: Base, table: ResponseTable, change: dict, message: str
) -> None:
    path = saved(tmp_path, best, table) / "checkpoint.json"
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


def test_saving_again_replaces_the_weights(
    tmp_path: Path, best: Base, table: ResponseTable
) -> None:
    saved(tmp_path, best, table)
    saved(tmp_path, fitted("plurality", table), table)
    assert len(list(tmp_path.glob("weights-*.safetensors"))) == 1
    assert load_checkpoint(tmp_path).strategy.name == "plurality"


class Unknown(BestSingle):
    """In no registry."""

    name = "nobody-knows-me"


class OwnState(BestSingle):
    """Says itself what it keeps."""

    def state(self) -> State:
        return {**super().state(), "kept": np.array([1j])}


@pytest.mark.parametrize("kept", ["a word", np.array([1, np.nan]), np.array([1j])], ids=str)
def test_what_could_not_be_read_back_is_not_saved(
    kept: object, tmp_path: Path, table: ResponseTable
) -> None:
    odd = BestSingle().fit(table, rng=np.random.default_rng(0))
    odd.kept_ = kept
    with pytest.raises(CheckpointError, match=r"cannot be saved: .*kept"):
        saved(tmp_path, odd, table)
    found = OwnState().fit(table, rng=np.random.default_rng(0))
    with pytest.raises(
        CheckpointError, match=r"'strategy\.kept' holds complex128, no real numbers"
    ):
        saved(tmp_path, found, table)
    with pytest.raises(ConfigError, match="unknown strategy 'nobody-knows-me'"):
        saved(tmp_path, Unknown().fit(table, rng=np.random.default_rng(0)), table)
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_is_gone_is_named(
    tmp_path: Path, table: ResponseTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path, fitted(OF_ANOTHER_PACKAGE, table), table)
    assert isinstance(load_checkpoint(folder), Checkpoint)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=f"unknown strategy '{OF_ANOTHER_PACKAGE}'"):
        load_checkpoint(folder)
