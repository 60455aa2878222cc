"""Every field of a checkpoint's description and every array, spoiled: refused in one sentence."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_strategy import NAMES, OF_ANOTHER_PACKAGE, fitted, pool
from numpy.typing import NDArray
from spoiling import spoiled

from rlfocal.checkpoint import load_checkpoint, read_description, save_checkpoint
from rlfocal.checkpoint.arrays import from_bytes, to_bytes
from rlfocal.errors import CheckpointError
from rlfocal.features import HashingEncoder
from rlfocal.records import build_table, calibrate

Array = NDArray[Any]

ENCODER = HashingEncoder(4)
FREE = {
    "rlfocal_version", "created", "data_name", "data_digest", "synthetic", "n_training_queries",
    "seed", "finished", "history", "verdicts",
}  # fmt: skip
"""Fields that say where a checkpoint comes from: what reads well is believed."""
BUILT_IN = [name for name in NAMES if name != OF_ANOTHER_PACKAGE]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """sound("stacking") → a folder with a sound checkpoint."""
    raw = build_table(pool(0, 60), encode=ENCODER)
    calibration, table = calibrate(raw)

    @cache
    def of(name: str) -> Path:
        folder: Path = tmp_path_factory.mktemp("sound") / name
        strategy = fitted(name, table)
        save_checkpoint(folder, strategy, raw, calibration, encoder_spec=ENCODER.spec, seed=0)
        load_checkpoint(folder)
        return folder

    return of


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
def copy(request: pytest.FixtureRequest, sound: Callable[[str], Path], tmp_path: Path) -> Path:
    """Of the checkpoint that a test names, or of one that says as much as any."""
    name = getattr(request, "param", "rl-focal")
    return Path(shutil.copytree(sound(name), tmp_path / "copy"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cost_unit": "euro"}, "cost_unit: unknown unit 'euro'"),
        ({"cost_unit": "\ud83d"}, "half of a character"),
        ({"answers": "number"}, "answers"),
        ({"answers": {"task0": "number", "task1": "x"}}, "answers: unknown kind of answer 'x'"),
        ({"answers": {"task0": "numbr"}}, "did you mean 'number'"),
        ({"encoder": {"name": "word2vec"}}, "encoder: unknown encoder 'word2vec'"),
        ({"encoder": {"name": "hashing"}}, "lacks its setting 'n_features'"),
        ({"members": ["a", "a"]}, "members: 'a' is listed 2 times"),
        ({"members": []}, "members"),
        ({"tasks": []}, "tasks"),
        ({"tasks": ["t", "t"]}, "tasks: 't' is listed 2 times"),
        ({"weights_file": "a\x00b"}, "weights_file: not the name of a file"),
        ({"weights_file": ".."}, "weights_file"),
        ({"strategy": "rl-focus"}, "unknown strategy 'rl-focus'"),
        ({"settings": {"hiddn": -1}}, "unknown (key|setting) 'hiddn'"),
        ({"settings": {"credit": "sampled"}}, "'sampled' is a setting of an earlier build"),
        ({"n_candidates": 10**300}, "n_candidates|shape"),
        ({"schema_version": 5.0}, "schema version 5.0"),
    ],
    ids=str,
)
def test_a_field_that_nobody_knows_is_named(copy: Path, changes: Any, told: str) -> None:
    described(copy, **changes)
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(copy)
    assert refusal(copy)


def test_settings_that_are_fixed_by_now_are_read(copy: Path) -> None:
    """Every checkpoint of an earlier build names them."""
    settings = json.loads((copy / "checkpoint.json").read_text())["settings"]
    assert "credit" not in settings
    earlier = {
        "credit": "counterfactual", "focal": "observation", "focal_coef": 0.5, "query_text": True,
        "task_known": True, "central_critic": True,
    }  # fmt: skip
    described(copy, settings=settings | earlier)
    assert load_checkpoint(copy).strategy.spec.settings == settings


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, "\ufeff{}", "NaN", '{"schema_version": 5, "seed": NaN}',
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
@pytest.mark.parametrize("copy", ["rl-focal", "rl-focal-prior", "stacking"], indirect=True)
def test_every_field_of_the_description_spoiled_is_refused_or_only_told(copy: Path) -> None:
    values = json.loads((copy / "checkpoint.json").read_text())
    values |= {"history": values["history"][:1], "verdicts": values["verdicts"][:1]}
    for what, changed in spoiled(values):
        if not isinstance(changed, dict):
            continue
        (copy / "checkpoint.json").write_text(json.dumps(changed), encoding="utf-8")
        if not refusal(copy):
            field = what.partition("'")[2].partition("'")[0]
            # A name may be another, and so may a setting in its range; earlier versions have no
            # `reach` and no `form`, which is the first one where it is missing.
            may = {"settings", "members", "tasks", "answers", "encoder", "reach", "form"}
            assert field in FREE | may, what


DAMAGE: dict[str, Callable[[Array], Array | None]] = {
    "dropped": lambda _: None,
    "an axis more": lambda a: a[None],
    "none left": lambda a: a.flatten()[:0],
    "doubled": lambda a: np.concatenate([a, a], axis=-1) if a.ndim else a.repeat(2),
    "float16": lambda a: np.clip(a, -9, 9).astype(np.float16),
    "int32": lambda a: np.zeros(a.shape, np.int32),
    "another kind": lambda a: np.zeros(a.shape, np.float32 if a.dtype == np.int64 else np.int8),
    "complex": lambda a: a.astype(np.complex64),
}


def with_number(value: float) -> Callable[[Array], Array]:
    def spoil(array: Array) -> Array:
        spoilt = array.copy()
        spoilt.reshape(-1)[-1] = value
        return spoilt

    return spoil


def spoiled_arrays(
    arrays: dict[str, Array], spread: set[str]
) -> Iterator[tuple[str, str, dict[str, Array]]]:
    for name, array in arrays.items():
        damage = dict(DAMAGE)
        if array.dtype.kind == "f" and array.size and name not in spread:
            damage |= {"nan": with_number(math.nan), "infinite": with_number(math.inf)}
        if array.dtype.kind == "i" and array.size and name != "training_queries":
            damage |= {"far": with_number(10_000), "negative": with_number(-2)}
        for what, spoil in damage.items():
            changed = spoil(array)
            rest = {other: value for other, value in arrays.items() if other != name}
            yield name, what, rest if changed is None else rest | {name: changed}


def put(folder: Path, weights: Path, data: bytes) -> None:
    """The sha256 is right: whoever changed the weights wrote it."""
    weights.write_bytes(data)
    described(folder, weights_sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.slow
@pytest.mark.parametrize("copy", BUILT_IN, indirect=True)
def test_every_array_spoiled_is_refused_by_its_name(copy: Path) -> None:
    (weights,) = copy.glob("weights-*")
    whole = from_bytes(weights.read_bytes())
    rows = load_checkpoint(copy).strategy.layout([name.partition(".")[2] for name in whole])
    spread = {f"strategy.{name}" for name, row in rows.items() if not row.finite}
    for name, what, arrays in spoiled_arrays(whole, spread):
        put(copy, weights, to_bytes(arrays))
        told = refusal(copy)
        if may_be(name, what):
            continue
        assert told, (name, what)
        if what != "dropped":  # where lengths differ either of two may be the odd one
            shape = what in ("doubled", "none left")
            own = re.sub(r"^strategy\.(prior\.)?(decider\.|fusion\.)?", "", name)  # torch's name
            assert (own.rpartition(".")[0] if shape else own) in told, (name, what, told)


def may_be(name: str, what: str) -> bool:
    """What cannot be told from sound."""
    return (name, what) in (
        ("training_queries", "none left"),  # fewer queries to remember
        ("training_queries", "doubled"),
        ("strategy.memory.answer", "far"),
        ("strategy.key", "far"),  # whatever it was drawn with
        ("strategy.key", "negative"),
        ("strategy.score.word", "none left"),  # words say nothing
        ("strategy.score.word", "doubled"),  # twice nothing
        ("strategy.replies.word", "none left"),
        ("strategy.replies.word", "doubled"),
        ("strategy.votes.position", "doubled"),  # of options that no query has
        ("strategy.rival.best-single.member", "dropped"),  # a rival that never applied
        ("strategy.rival.best-single-per-task.member_of_task", "dropped"),
    )


@pytest.mark.parametrize("copy", ["weighted-vote"], indirect=True)
def test_numbers_that_numpy_lacks_are_refused_by_name(copy: Path) -> None:
    (weights,) = copy.glob("weights-*")
    arrays = from_bytes(weights.read_bytes())
    half = to_bytes(arrays | {"strategy.weight": arrays["strategy.weight"].astype(np.float16)})
    length = int.from_bytes(half[:8], "little")
    header = json.loads(half[8 : 8 + length])
    header["strategy.weight"]["dtype"] = "BF16"
    fresh = json.dumps(header).encode()
    put(copy, weights, len(fresh).to_bytes(8, "little") + fresh + half[8 + length :])
    assert "'strategy.weight' holds BF16 numbers" in refusal(copy)


def test_an_array_that_belongs_to_nothing_is_refused(copy: Path) -> None:
    (weights,) = copy.glob("weights-*")
    put(copy, weights, to_bytes(from_bytes(weights.read_bytes()) | {"more": np.ones(2)}))
    assert "'more' belongs to nothing" in refusal(copy)
