from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from rlfocal.bench import (
    BenchResult,
    EvalProtocol,
    FrontierPoint,
    History,
    LeaderboardRow,
    run_bench,
)
from rlfocal.errors import ConfigError, RecordError
from rlfocal.files import check_writable
from rlfocal.records import PoolModel, build_table, simulate


@pytest.fixture(scope="module")
def result() -> BenchResult:
    model = PoolModel(accuracy=[[0.8, 0.6]])
    table = build_table(simulate(model, 40, rng=np.random.default_rng(0)))
    found = run_bench(table, ["random"], EvalProtocol(n_folds=2, n_resamples=100))
    point = FrontierPoint(dial=0.5, accuracy=0.75, mean_calls=1.5, mean_cost_usd=None)
    history = History(strategy="random", fold=1, seed=0, iterations=({"loss": 0.5}, {"loss": 0.25}))
    return dataclasses.replace(
        found,
        frontiers={"random": (point,)},
        not_applicable={"topla": "no answers"},
        histories=(history,),
    )


def test_json_has_the_documented_shape(result: BenchResult) -> None:
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert set(found) == {
        "data", "members", "protocol", "rows", "frontiers", "environment", "not_applicable",
        "synthetic", "notes", "budgets", "calibration", "missing", "hidden",
    }  # fmt: skip
    assert found["budgets"] == []  # nothing learned ran; test_budgets.py pins the cells
    assert found["data"] == "synthetic"
    assert found["members"] == ["model-1", "model-2"]
    assert found["protocol"] == {
        "n_folds": 2, "use_split": False, "n_seeds": 1, "fold_seed": 0, "n_resamples": 100,
        "tasks": "given", "n_queries": 40, "n_groups": 40,
    }  # fmt: skip
    assert found["frontiers"] == {
        "random": [{"dial": 0.5, "accuracy": 0.75, "mean_calls": 1.5, "mean_cost_usd": None}]
    }
    assert found["not_applicable"] == {"topla": "no answers"}
    assert found["synthetic"] is True
    for row in found["rows"]:
        assert list(row) == [
            "strategy", "accuracy", "accuracy_ci", "mean_calls", "mean_cost_usd", "mean_rounds",
            "gain_over_best_single", "gain_ci", "oracle_gap_closed", "fit_s", "replay_s",
            "n_measured", "n_compared", "withheld", "learned", "command", "hidden",
        ]  # fmt: skip
        assert row["mean_cost_usd"] is None  # no prices: calls are not dollars
        low, high = row["accuracy_ci"]
        assert 0 <= low <= row["accuracy"] <= high <= 1
        low, high = row["gain_ci"]
        assert low <= row["gain_over_best_single"] <= high


def test_environment_names_versions_and_nobody(result: BenchResult) -> None:
    import getpass
    import platform

    assert {"rlfocal", "python", "numpy", "platform", "cpu", "cores"} <= set(result.environment)
    said = json.dumps(result.to_json())
    assert platform.node() not in said
    assert str(Path.home()) not in said
    assert f'"{getpass.getuser()}"' not in said


def test_what_is_written_is_read_back(result: BenchResult, tmp_path: Path) -> None:
    result.write(tmp_path / "new" / "folder")
    found = BenchResult.read(tmp_path / "new" / "folder")
    for field in dataclasses.fields(BenchResult):
        mine, theirs = getattr(result, field.name), getattr(found, field.name)
        assert mine.equals(theirs) if field.name == "per_query" else mine == theirs, field.name
    assert found.per_query.schema.metadata[b"members"] == b"model-1\nmodel-2"
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == [
        "bench.json", "history.json", "leaderboard.md", "rows.parquet",
    ]  # fmt: skip


def test_markdown_marks_the_bound_and_says_what_is_simulated(result: BenchResult) -> None:
    text = result.to_markdown()
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[2].startswith("| oracle (bound) | ")
    assert len({line.count("|") for line in lines}) == 1
    assert "Synthetic data" in text
    assert "- not applicable: topla: no answers" in text


@pytest.mark.parametrize(
    ("gain_ci", "verdict"),
    [
        ((0.01, 0.02), "better"),
        ((0.0, 0.02), "no difference"),
        ((1e-15, 0.02), "no difference"),
        ((-0.02, 0.02), "no difference"),
        ((-0.02, 0.0), "no difference"),
        ((-0.02, -0.01), "worse"),
    ],
)
def test_better_needs_an_interval_that_excludes_zero(
    gain_ci: tuple[float, float], verdict: str, result: BenchResult
) -> None:
    row = dataclasses.replace(result.rows[-1], strategy="plurality", gain_ci=gain_ci)
    assert isinstance(row, LeaderboardRow)
    assert row.verdict == verdict


def test_an_unwritable_place_is_refused_early(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match=r"file.*cannot be written: .*name another folder"):
            check_writable(folder)
    assert (tmp_path / "file").read_text() == "mine"
    check_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_failed_write_leaves_what_was_there(
    result: BenchResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result.write(tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rlfocal.bench.result.pq.write_table", full)
    with pytest.raises(ConfigError, match=r"rows\.parquet: cannot be written: No space left"):
        result.write(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_damaged_results_are_refused_with_the_file(result: BenchResult, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"bench\.json: cannot be read"):
        BenchResult.read(tmp_path)
    result.write(tmp_path)
    whole = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "rows.parquet").write_bytes(whole[:100])
    with pytest.raises(RecordError, match=r"rows\.parquet: cannot be read"):
        BenchResult.read(tmp_path)
    (tmp_path / "rows.parquet").write_bytes(whole)
    (tmp_path / "bench.json").write_text('{"data": "x"}')
    with pytest.raises(RecordError, match=r"bench\.json: not the JSON of a bench: .*protocol"):
        BenchResult.read(tmp_path)
