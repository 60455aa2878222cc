"""Checkpoints of other builds: agents that are no more are told by one sentence with the remedy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlfocal.checkpoint import load_checkpoint, save_checkpoint
from rlfocal.checkpoint.arrays import to_bytes
from rlfocal.checkpoint.training import train
from rlfocal.cli.main import main
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create
from rlfocal.errors import CheckpointError
from rlfocal.records import Calibration, PoolModel, build_table, simulate
from rlfocal.strategies.single import BestSingle

PPO = {
    "learning_rate": 0.003, "n_epochs": 2, "minibatch_size": 1024, "clip_coef": 0.2,
    "ent_coef": 0.01, "vf_coef": 0.5, "gamma": 1.0, "gae_lambda": 0.95, "max_grad_norm": 0.5,
    "target_kl": 0.03,
}  # fmt: skip
OF_THE_POOL = {
    "ppo": PPO, "n_iterations": 150, "n_episodes": 512, "price_min": 0.001, "price_max": 0.3,
    "default_price": 0.002, "round_price": 0.0, "max_rounds": None, "learn_from": 500,
    "n_folds": 3, "fusion_epochs": 60, "fusion_patience": 8, "hidden": 64,
}  # fmt: skip
"""Settings as the build before wrote them, the epochs and widths of its nets among them."""
FUSION = {
    "statistics.joint_failure": (3, 3),
    "fusion.gate.weight": (3, 2, 3),
    "decider.body.member_in.weight": (64, 34),
}
PRIOR = {"counts.known": (2, 3), "fusion.encode.weight": (48, 21), "decider.stop_head.bias": (1,)}
CARD = {"name": "rl-focal-prior", "simulator_version": 1, "fusion_hidden": 48, "decider_hidden": 56}
EARLIER: dict[str, tuple[dict[str, Any], dict[str, tuple[int, ...]]]] = {
    "rl-focal": (OF_THE_POOL, FUSION),
    "posterior-threshold": (OF_THE_POOL, FUSION),
    "rl-focal-prior": ({"default_price": 0.005, "zero_shot": False}, PRIOR),
}
"""Settings, and some of the arrays with their shapes."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of three members, by this build."""
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5]])
    table = build_table(simulate(model, 60, rng=np.random.default_rng(0)))
    strategy = BestSingle().fit(table, rng=np.random.default_rng(0))
    out = tmp_path / "my ensemble"
    save_checkpoint(out, strategy, table, Calibration.fit(table), encoder_spec=None, seed=0)
    return out


def rewrite(folder: Path, **changes: Any) -> None:
    """Change what describes a checkpoint; earlier builds did not write a form."""
    path = folder / "checkpoint.json"
    found = json.loads(path.read_text("utf-8"))
    del found["form"]
    path.write_text(json.dumps(found | changes), "utf-8")


def of_earlier_build(folder: Path, name: str) -> None:
    """Make a checkpoint what the build before would have written of a strategy."""
    settings, shapes = EARLIER[name]
    arrays = {f"strategy.{key}": np.zeros(shape, np.float32) for key, shape in shapes.items()}
    card = np.frombuffer(json.dumps(CARD).encode(), dtype=np.uint8)
    data = to_bytes(arrays | {"strategy.card": card, "ranking": np.arange(3)})
    (folder / "weights-old.safetensors").write_bytes(data)
    rewrite(
        folder, strategy=name, settings=settings, created="2026-11-20T08:00:00+00:00",
        weights_file="weights-old.safetensors", weights_sha256=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip


@pytest.mark.parametrize("name", EARLIER)
def test_agents_of_an_earlier_build_are_refused_with_what_to_do(folder: Path, name: str) -> None:
    of_earlier_build(folder, name)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert str(caught.value) == (
        f"{folder}/checkpoint.json: a checkpoint of {name} that an earlier build wrote "
        "(2026-11-20T08:00:00+00:00): its agents were other nets, which this one does not have; "
        f"train it again: rlfocal train DATA --strategy {name} -o '{folder}'"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "{folder}", "demo"),
        ("explain", "{folder}", "demo", "--query", "0"),
        ("ask", "{folder}", "{pool}", "3 + 4 ="),
        ("serve", "{folder}", "{pool}", "--db", "{pool}.db"),
    ],
)
def test_every_verb_says_so_in_one_line(
    folder: Path, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    of_earlier_build(folder, "rl-focal")
    pool = tmp_path / "pool.toml"
    members = [f'[[members]]\nname = "model-{n}"\nendpoint = "e"\n' for n in (1, 2, 3)]
    pool.write_text("\n".join(['[endpoints.e]\nbase_url = "http://127.0.0.1:9/v1"\n', *members]))
    with pytest.raises(SystemExit) as left:
        main([word.format(folder=folder, pool=pool) for word in words])
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, ""), err
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert "its agents were other nets" in line


def test_the_remedy_works_in_the_same_folder(folder: Path) -> None:
    of_earlier_build(folder, "rl-focal-prior")
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5]])
    table = build_table(simulate(model, 60, rng=np.random.default_rng(0)))
    train(folder, Spec("rl-focal-prior", {}), table)
    assert load_checkpoint(folder).strategy.name == "rl-focal-prior"
    assert not (folder / "weights-old.safetensors").exists()


def test_what_a_later_build_wrote_in_another_form_is_refused_too(folder: Path) -> None:
    rewrite(folder, form=2)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert str(caught.value) == (
        f"{folder}/checkpoint.json: a checkpoint of best-single that a later build wrote, in form "
        "2; this one reads form 1: use the later one, or train it again: rlfocal train DATA "
        f"--strategy best-single -o '{folder}'"
    )


def test_strategies_that_are_what_they_were_are_read_as_before(folder: Path) -> None:
    rewrite(folder)
    assert load_checkpoint(folder).description.form == 1


@pytest.mark.parametrize("form", [0, -1, "two"])
def test_a_form_that_none_can_have_is_damage(folder: Path, form: object) -> None:
    rewrite(folder, form=form)
    with pytest.raises(CheckpointError, match=r"checkpoint\.json: form: .*; train again"):
        load_checkpoint(folder)


def test_who_learned_with_other_nets_says_so() -> None:
    for name in EARLIER:
        assert getattr(create(name), "former") == ("its agents were other nets",)  # noqa: B009
