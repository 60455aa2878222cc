"""What a training came to on held-out queries, by hand and as replay has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlfocal.bench.held_out import Parts, hold_out
from rlfocal.bench.summaries.training import SIMPLE, TrainingSummary, summarise_training
from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.checkpoint.training import train
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate


def experts(n_queries: int = 300) -> ResponseTable:
    """An expert for each of two tasks."""
    model = PoolModel(accuracy=[[0.95, 0.3, 0.5], [0.3, 0.9, 0.5]])
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(0)))


def trained(
    folder: Path, name: str, table: ResponseTable, share: float | None = None
) -> tuple[Checkpoint, Parts, TrainingSummary | None]:
    spec = Spec(name, {})
    parts = hold_out(table, create_strategy(spec), share)
    train(folder, spec, parts.train)
    loaded = load_checkpoint(folder)
    return loaded, parts, summarise_training(loaded, parts.train, parts.held_out)


def test_figures_are_of_held_out_queries_and_rivals_are_chosen_in_training(tmp_path: Path) -> None:
    loaded, parts, found = trained(tmp_path, "plurality", experts())
    assert found is not None
    assert found.n_held_out == 60
    assert found.trained is not None
    assert found.best_single is not None
    assert found.best_simple is not None
    score = parts.held_out.member_score[:, loaded.best_member]
    assert found.best_single.name == "model-1"
    assert found.best_single.accuracy.value == pytest.approx(score.mean())
    assert found.best_single.mean_calls == 1
    outcome = replay(loaded.strategy, loaded.calibration.apply(parts.held_out))
    assert found.trained.accuracy.value == pytest.approx(outcome.score.mean())
    assert found.trained.mean_calls == 3
    lead = (outcome.score - score).mean()
    assert found.best_single.lead is not None
    assert found.best_single.lead.value == pytest.approx(lead, abs=1e-6)
    assert found.best_single.lead.low < lead < found.best_single.lead.high
    # With an expert for each task, one member suffices, and votes of three cannot reach it.
    assert found.best_simple.name == "best-single-per-task"
    assert found.best_simple.verdict == "worse"
    assert found.asked == {f"model-{n}": 1.0 for n in (1, 2, 3)}


def test_labels_of_held_out_queries_choose_nothing(tmp_path: Path) -> None:
    table = experts()
    loaded, parts, found = trained(tmp_path, "plurality", table)
    wrong = experts(600).take(np.arange(300, 360))  # other queries in their place
    other = summarise_training(loaded, parts.train, wrong)
    assert found is not None
    assert other is not None
    names = [
        (each.best_single and each.best_single.name, each.best_simple and each.best_simple.name)
        for each in (found, other)
    ]
    assert names[0] == names[1]


def test_what_was_trained_is_no_rival_of_itself(tmp_path: Path) -> None:
    for name in ("best-single", *SIMPLE[:2]):
        _, _, found = trained(tmp_path / name, name, experts())
        assert found is not None
        assert found.best_simple is not None
        assert found.best_simple.name != name
        assert (found.best_single is None) == (name == "best-single")


def test_of_too_few_queries_nothing_is_said(tmp_path: Path) -> None:
    for share in (0, 0.03):  # none, and nine
        _, _, found = trained(tmp_path / str(share), "plurality", experts(), share)
        assert found is None


def test_two_queries_are_enough_to_train_on(tmp_path: Path) -> None:
    _, _, found = trained(tmp_path, "plurality", experts(20), 0.9)
    assert found is not None
    assert found.trained is not None


def test_what_used_no_label_leaves_the_best_member_to_the_training_queries(tmp_path: Path) -> None:
    loaded, parts, _ = trained(tmp_path, "plurality", experts())
    about = loaded.description.model_copy(update={"n_training_queries": 0})
    blind = replace(loaded, ranking=loaded.ranking[::-1], description=about)
    found = summarise_training(blind, parts.train, parts.held_out)
    assert found is not None
    assert found.best_single is not None
    assert found.best_single.name == "model-1"
