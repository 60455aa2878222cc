"""Every field of a checkpoint's description and every array, spoiled: refused in one sentence."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from spoiling import spoiled
from torch import Tensor

from rlfocal.errors import CheckpointError
from rlfocal.features import HashingEncoder
from rlfocal.records import PoolModel, ResponseTable, build_table, calibrate, simulate
from rlfocal.rl.checkpoint import load_checkpoint, read_description, save_checkpoint
from rlfocal.rl.config import PaperConfig, PriorConfig, RlFocalConfig
from rlfocal.rl.paper.strategy import RlFocalPaper
from rlfocal.rl.prior.strategy import RlFocalPrior
from rlfocal.rl.strategy import RlFocal

TINY = RlFocalConfig(n_iterations=1, n_episodes=8, fusion_epochs=1, hidden=8)
ENCODER = HashingEncoder(4)
FREE = {
    "rlfocal_version", "created", "data_name", "data_digest", "synthetic", "n_training_queries",
    "seed", "finished", "history", "fallback",
}  # fmt: skip
"""Fields that say where a checkpoint comes from: what reads well is believed."""
SPREAD = {"memory.member_score", "fallback.evidence"}
"""Arrays that may hold a number that is none: what was never measured."""


@pytest.fixture(scope="module", params=["rl-focal", "rl-focal-paper", "rl-focal-prior"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound checkpoint."""
    pool = PoolModel(accuracy=[[0.8, 0.6], [0.5, 0.7]], correlation=0.2)
    raw = build_table(simulate(pool, 60, rng=np.random.default_rng(0)), encode=ENCODER)
    calibration, table = calibrate(raw)
    folder: Path = tmp_path_factory.mktemp("sound") / request.param
    strategy = fitted(request.param, table)
    save_checkpoint(folder, strategy, table, calibration, encoder_spec=ENCODER.spec, seed=0)
    load_checkpoint(folder)
    return folder


def fitted(preset: str, table: ResponseTable) -> RlFocal | RlFocalPaper | RlFocalPrior:
    rng = np.random.default_rng(0)
    if preset == "rl-focal":
        return RlFocal(TINY).fit(table, rng=rng)
    if preset == "rl-focal-paper":
        return RlFocalPaper(PaperConfig(n_passes=1, n_streams=2)).fit(table, rng=rng)
    return RlFocalPrior(config=PriorConfig(zero_shot=True)).fit(table, rng=rng)


def refusal(folder: Path) -> str:
    """Why it is refused, in one line that names the file and the remedy; empty if it is not."""
    try:
        load_checkpoint(folder)
    except CheckpointError as exc:
        said = str(exc)
        assert "\n" not in said
        assert str(folder) in said
        assert "train" in said
        assert len(said) < 1000
        said.encode()  # it can be printed
        return said
    return ""


def described(folder: Path, **changes: Any) -> None:
    path = folder / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cost_unit": "euro"}, "cost_unit: unknown unit 'euro'"),
        ({"answers": "x"}, "answers: unknown kind of answer 'x'"),
        ({"answers": {"task0": "numbr"}}, "did you mean 'number'"),
        ({"encoder": {"name": "word2vec"}}, "encoder: unknown encoder 'word2vec'"),
        ({"encoder": {"name": "hashing"}}, "lacks its setting 'n_features'"),
        ({"members": ["a", "a"]}, "members: 'a' is listed 2 times"),
        ({"members": []}, "members"),
        ({"tasks": []}, "tasks"),
        ({"tasks": ["t", "t"]}, "tasks: 't' is listed 2 times"),
        ({"weights_file": "a\x00b"}, "weights_file: not the name of a file"),
        ({"weights_file": ".."}, "weights_file"),
        ({"preset": "rl-focus"}, "unknown preset 'rl-focus'"),
        ({"config": {"hidden": -1}}, "config"),
        ({"n_candidates": 10**300}, "n_candidates|shape"),
        ({"schema_version": 4.0}, "schema version 4.0"),
    ],
    ids=str,
)
def test_a_field_that_nobody_knows_is_named(copy: Path, changes: Any, told: str) -> None:
    described(copy, **changes)
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(copy)
    assert refusal(copy)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "\ufeff{}", "NaN", '{"schema_version": 4, "seed": NaN}',
     '{"schema_version": ' + "9" * 5000 + "}", "\x00"],
    ids=range(7),
)  # fmt: skip
def test_text_that_is_no_description_is_refused(copy: Path, text: str) -> None:
    (copy / "checkpoint.json").write_text(text, encoding="utf-8")
    assert refusal(copy)


def test_numbers_that_are_none_come_back_as_such(copy: Path) -> None:
    """JSON has no word for them; a history with one has to be readable all the same."""
    described(copy, history=[{"step": 1.0, "explained_variance": None}])
    (row,) = read_description(copy).history
    assert row["step"] == 1
    assert math.isnan(row["explained_variance"])


@pytest.mark.slow
def test_every_field_of_the_description_spoiled_is_refused_or_only_told(copy: Path) -> None:
    values = json.loads((copy / "checkpoint.json").read_text())
    values |= {"history": values["history"][:1], "fallback": values["fallback"][:1]}
    for what, changed in spoiled(values):
        if not isinstance(changed, dict):
            continue
        (copy / "checkpoint.json").write_text(json.dumps(changed), encoding="utf-8")
        if not refusal(copy):
            field = what.partition("'")[2].partition("'")[0]
            # A name may be another, and so may a setting in its range.
            assert field in FREE | {"config", "members", "tasks", "answers", "encoder"}, what


DAMAGE: dict[str, Callable[[Tensor], Tensor | None]] = {
    "dropped": lambda _: None,
    "an axis more": lambda t: t[None].clone(),
    "none left": lambda t: t.flatten()[:0].clone(),
    "doubled": lambda t: torch.cat([t, t], dim=-1) if t.ndim else t.repeat(2),
    "bfloat16": lambda t: t.to(torch.bfloat16),
    "float16": lambda t: t.to(torch.float16),
    "int32": lambda t: t.to(torch.int32),
    "complex": lambda t: t.to(torch.float32) if t.dtype == torch.int64 else t.to(torch.int8),
}


def with_number(value: float) -> Callable[[Tensor], Tensor | None]:
    def spoil(tensor: Tensor) -> Tensor | None:
        spoilt = tensor.clone()
        spoilt.view(-1)[-1] = value
        return spoilt

    return spoil


def spoiled_arrays(tensors: dict[str, Tensor]) -> Iterator[tuple[str, str, dict[str, Tensor]]]:
    for name, tensor in tensors.items():
        damage = dict(DAMAGE)
        if tensor.is_floating_point() and tensor.numel() and name not in SPREAD:
            damage |= {"nan": with_number(math.nan), "infinite": with_number(math.inf)}
        if tensor.dtype in (torch.int64, torch.int16) and name != "training_queries":
            damage |= {"far": with_number(10_000), "negative": with_number(-2)}
        for what, spoil in damage.items():
            changed = spoil(tensor)
            rest = {other: value for other, value in tensors.items() if other != name}
            yield name, what, rest if changed is None else rest | {name: changed.contiguous()}


@pytest.mark.slow
def test_every_array_spoiled_is_refused_by_its_name(copy: Path) -> None:
    """The sha256 is right each time: whoever changed the weights wrote it."""
    (weights,) = copy.glob("weights-*")
    whole = load(weights.read_bytes())
    for name, what, tensors in spoiled_arrays(whole):
        data = save(tensors)
        weights.write_bytes(data)
        described(copy, weights_sha256=hashlib.sha256(data).hexdigest())
        told = refusal(copy)
        if may_be(name, what):
            continue
        assert told, (name, what)
        if what != "dropped":  # where lengths differ either of two may be the odd one
            shape = what in ("doubled", "none left")
            own = re.sub(r"^(prior\.)?(decider|fusion)\.", "", name)  # torch's name for it
            assert (own.rpartition(".")[0] if shape else own) in told, (name, what, told)


def may_be(name: str, what: str) -> bool:
    """What cannot be told from sound: fewer queries to remember, or a rival that never applied."""
    if what == "none left":
        return name in ("training_queries",)
    if name == "memory.answer" and what == "far":
        return True
    if what == "doubled":
        return name in ("training_queries",)
    alone = ("rival.best-single.member", "rival.best-single-per-task.member_of_task")
    return name in alone and what == "dropped"
