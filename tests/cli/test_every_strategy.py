"""Every strategy: trained, evaluated and explained by the same verbs, as its replay says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_strategy import QUICK, every_strategy, installed, pool

from rlfocal.checkpoint import load_checkpoint, save_checkpoint, training
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Outcome
from rlfocal.deliberation.replay import replay
from rlfocal.records.folders import write_dataset

__all__ = ["installed"]

pytestmark = pytest.mark.usefixtures("installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("data")
    write_dataset(pool(0, 120), folder / "train")
    write_dataset(pool(1, 60), folder / "other")
    return folder


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Base]:
    """Strategies as they were fitted, before they went to disk."""
    strategies: list[Base] = []

    def save(folder: Path, strategy: Base, **rest: Any) -> Path:
        strategies.append(strategy)
        return save_checkpoint(folder, strategy, **rest)

    monkeypatch.setattr(training, "save_checkpoint", save)
    return strategies


@every_strategy
def test_evaluate_and_explain_say_what_replay_of_the_fitted_one_says(
    name: str, run: Any, data: Path, kept: list[Base], tmp_path: Path
) -> None:
    out = tmp_path / "checkpoint"
    pairs = [("--set", f"{key}={value}") for key, value in QUICK.get(name, {}).items()]
    given = [part for pair in pairs for part in pair]
    ran = run("train", data / "train", "--strategy", name, *given, "-o", out)
    assert ran.code == 0, ran.err
    ran = run("evaluate", out, data / "other", "--json", "-")
    assert ran.code == 0, ran.err
    figures = json.loads(ran.out)
    table = load_checkpoint(out).table(pool(1, 60))
    (strategy,) = kept
    outcome = replay(strategy, table)
    assert figures["strategy"] == name
    assert figures["mean_rounds"] == outcome.n_rounds.mean()
    check(figures, outcome)
    assert [point["dial"] for point in figures["frontier"]] == list(strategy.dials)
    for point in figures["frontier"]:
        check(point, replay(strategy.with_dial(point["dial"]), table))
    dial = {"price": "price of a call"}.get(strategy.dial, strategy.dial)
    assert not strategy.dials or dial in run("evaluate", out, data / "other").out
    ran = run("explain", out, data / "other", "--query", "pool1-00007", "--json")
    assert ran.code == 0, ran.err
    trace = json.loads(ran.out)
    asked = {call["member"] for part in trace["rounds"] for call in part["asked"]}
    assert asked == {table.members[n] for n in np.flatnonzero(outcome.asked[7])}
    assert trace["score"] == outcome.score[7]
    assert trace["confidence"] == pytest.approx(float(outcome.confidence[7]), abs=1e-6)


def check(figures: dict[str, Any], outcome: Outcome) -> None:
    assert figures["accuracy"] == float(outcome.score.mean())
    assert figures["mean_calls"] == outcome.n_calls.mean()


def test_a_price_is_refused_where_there_is_nothing_to_set(
    run: Any, data: Path, tmp_path: Path
) -> None:
    assert run("train", data / "train", "--strategy", "plurality", "-o", tmp_path / "out").code == 0
    for verb in (("explain", "--query", "pool1-00007"), ("evaluate",)):
        ran = run(verb[0], tmp_path / "out", data / "other", *verb[1:], "--price", "0.1")
        assert ran.code == 2
        assert "plurality has no price of a call" in ran.err


def test_a_price_chooses_the_threshold(run: Any, data: Path, tmp_path: Path) -> None:
    """The same at every price as a replay of the strategy at that price, and dear means few."""
    out = tmp_path / "out"
    assert run("train", data / "train", "--strategy", "agreement", "-o", out).code == 0
    loaded = load_checkpoint(out)
    table, calls = loaded.table(pool(1, 60)), []
    for price in (0.0, 0.02, 0.9):
        ran = run("evaluate", out, data / "other", "--price", price, "--json", "-")
        assert ran.code == 0, ran.err
        figures = json.loads(ran.out)
        assert figures["price"] == price
        check(figures, replay(loaded.strategy.at(price), table))
        calls.append(figures["mean_calls"])
        ran = run(
            "explain", out, data / "other", "--query", "pool1-00007", "--price", price, "--json"
        )
        assert json.loads(ran.out)["price"] == price
    assert calls[0] >= calls[1] >= calls[2] == 1
