"""Tested queries whose tasks are hidden: by hand, either way at once, and for every strategy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from every_strategy import every_strategy, installed, pool, quick_spec

from rlfocal.advice import advise
from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.entrants import Entrants
from rlfocal.bench.figures.hidden_tasks import lost_by_hiding
from rlfocal.bench.folds import Fold
from rlfocal.bench.jobs import BenchInput, Job, run_job
from rlfocal.bench.protocol import TasksShown
from rlfocal.bench.scenarios import run_scenarios
from rlfocal.deliberation.registry import create_strategy
from rlfocal.errors import ConfigError
from rlfocal.features import HashingEncoder
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

__all__ = ["installed"]

WAYS: tuple[TasksShown, ...] = ("given", "hidden", "both")
PER_TASK = ["best-single-per-task", "weighted-vote-per-task", "agreement", "random"]


def experts(n_queries: int = 90) -> ResponseTable:
    """Three tasks of as many queries; one member is right on two of them, the other on the third.

    So the best single member is right on two thirds, the best of each task on all.
    """
    always, never = 1 - 1e-12, 1e-12
    model = PoolModel(accuracy=[[always, never], [always, never], [never, always]])
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(0)))


def protocol(tasks: TasksShown = "given") -> EvalProtocol:
    return EvalProtocol(n_folds=3, n_seeds=2, n_resamples=200, tasks=tasks)


@pytest.fixture(scope="module")
def found() -> dict[TasksShown, BenchResult]:
    table = build_table(pool(1, 90))
    return {tasks: run_bench(table, PER_TASK, protocol(tasks)) for tasks in WAYS}


def of(result: BenchResult, strategy: str) -> Any:
    return next(row for row in result.rows if row.strategy == strategy)


def test_the_best_of_each_task_is_the_best_single_where_no_task_is_told() -> None:
    row = of(run_bench(experts(), "best-single-per-task", protocol("both")), "best-single-per-task")
    assert row.accuracy == 1
    assert row.gain_over_best_single == pytest.approx(1 / 3)
    assert row.hidden.accuracy == pytest.approx(2 / 3)
    assert row.hidden.lost == pytest.approx(1 / 3)
    assert row.hidden.lost_ci[0] > 0
    assert row.hidden.mean_calls == 1
    hidden = run_bench(experts(), "best-single-per-task", protocol("hidden"))
    alone = of(hidden, "best-single-per-task")
    assert alone.accuracy == pytest.approx(2 / 3)
    assert (alone.gain_over_best_single, alone.verdict) == (0, "no difference")
    assert alone.hidden is None


def test_both_is_the_two_single_runs_row_by_row(found: dict[TasksShown, BenchResult]) -> None:
    given, hidden, both = (found[tasks] for tasks in WAYS)
    assert both.hidden is not None
    assert given.hidden is hidden.hidden is both.hidden.hidden is None
    assert both.per_query.equals(given.per_query)
    assert both.hidden.per_query.equals(hidden.per_query)
    assert not given.per_query.equals(hidden.per_query)
    for one, other in ((given, both), (hidden, both.hidden)):
        assert one.frontiers == other.frontiers
        assert one.calibration == other.calibration
        for row, same in zip(one.rows, other.rows, strict=True):
            assert row == replace(same, hidden=None, fit_s=row.fit_s, replay_s=row.replay_s)
    for row in both.rows:
        figures, alone = row.hidden, of(hidden, row.strategy)
        assert figures is not None
        assert (figures.accuracy, figures.accuracy_ci) == (alone.accuracy, alone.accuracy_ci)
        assert figures.mean_calls == alone.mean_calls
        assert figures.lost == pytest.approx(row.accuracy - alone.accuracy)


def test_what_is_lost_is_paired_by_query() -> None:
    model = PoolModel(accuracy=[[0.85, 0.6, 0.5], [0.5, 0.75, 0.6]])
    table = build_table(simulate(model, 90, rng=np.random.default_rng(1)))
    both = run_bench(table, PER_TASK, protocol("both"))
    assert both.hidden is not None
    given, hidden = both.per_query, both.hidden.per_query
    lost = lost_by_hiding(given, hidden)
    for name in ("best-single", "agreement", "oracle", "random"):  # they look at no task
        assert tuple(lost[name]) == (0, 0, 0)
    mean = {
        tasks: np.mean(rows.filter(pc.equal(rows["strategy"], "best-single-per-task"))["score"])
        for tasks, rows in (("given", given), ("hidden", hidden))
    }
    assert lost["best-single-per-task"].value == pytest.approx(mean["given"] - mean["hidden"])
    other = lost_by_hiding(given, hidden.filter(pc.equal(hidden["strategy"], "oracle")))
    assert list(other) == ["oracle"]
    unmeasured = pa.array([None] * len(hidden), pa.float32())
    place = hidden.schema.get_field_index("score")
    assert lost_by_hiding(given, hidden.set_column(place, "score", unmeasured)) == {}


def test_rows_name_the_true_task_and_how_it_was_shown(
    found: dict[TasksShown, BenchResult],
) -> None:
    for tasks, shown in (("given", found["given"]), ("hidden", found["hidden"])):
        assert set(shown.per_query["task"].unique().to_pylist()) == {"task0", "task1"}
        assert shown.per_query.schema.metadata[b"tasks"].decode() == tasks
        assert shown.to_json()["protocol"]["tasks"] == tasks
        assert f"(tasks {tasks})" in shown.describe()
    both = found["both"].to_json()
    assert both["protocol"]["tasks"] == "both"
    assert both["hidden"]["protocol"]["tasks"] == "hidden"
    assert "(tasks given and hidden)" in found["both"].describe()
    assert "task hidden %" in found["both"].to_markdown()
    assert "task hidden %" in str(found["both"])
    assert "task hidden" not in found["given"].to_markdown() + str(found["given"])


def test_a_note_says_that_tasks_were_shown_where_there_are_several(
    found: dict[TasksShown, BenchResult],
) -> None:
    said = {
        tasks: [note for note in found[tasks].notes if "--tasks both" in note] for tasks in WAYS
    }
    assert [len(said[tasks]) for tasks in WAYS] == [1, 0, 0]
    assert "2 tasks" in said["given"][0]
    one = build_table(simulate(PoolModel(accuracy=[[0.9, 0.5]]), 60, rng=np.random.default_rng(0)))
    single = run_bench(one, "plurality", protocol())
    assert not any("--tasks" in note for note in single.notes)
    assert single.tasks_shown() == ""


def test_what_is_written_is_read_back(found: dict[TasksShown, BenchResult], tmp_path: Path) -> None:
    found["both"].write(tmp_path)
    read = BenchResult.read(tmp_path)
    assert read.rows == found["both"].rows
    assert read.hidden is not None
    assert read.hidden.per_query.equals(found["hidden"].per_query)
    assert read.hidden.protocol.tasks == "hidden"
    assert json.loads((tmp_path / "bench.json").read_text()) == json.loads(
        json.dumps(found["both"].to_json())
    )
    found["given"].write(tmp_path)  # none of the former figures stays
    assert not (tmp_path / "rows-hidden.parquet").exists()
    assert BenchResult.read(tmp_path).hidden is None


def test_columns_have_both_figures(found: dict[TasksShown, BenchResult]) -> None:
    both, given = found["both"].leaderboard(), found["given"].leaderboard()
    assert both["hidden_accuracy"].null_count == both["lost_low"].null_count == 0
    assert given["hidden_accuracy"].null_count == len(given)
    assert both.schema == given.schema


def test_advice_says_where_no_task_was_named() -> None:
    result = run_bench(experts(), "best-single-per-task", protocol("both"))
    assert result.hidden is not None
    given, hidden = advise(result), advise(result.hidden)
    assert given is not None
    assert hidden is not None
    assert (given.strategy, given.tasks) == ("best-single-per-task", "given")
    assert (hidden.strategy, hidden.tasks) == ("best-single", "hidden")
    assert hidden.sentence().startswith("Where no task is named, use your best single model")


def test_other_ways_and_scenarios_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"given, hidden or both, got 'none'"):
        EvalProtocol(tasks="none")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="scenarios show tasks"):
        run_scenarios(experts(), ["steady"], protocol("hidden"))


@every_strategy
@pytest.mark.usefixtures("installed")
def test_no_strategy_can_tell_hidden_tasks(name: str) -> None:
    table = build_table(pool(1, 130), encode=HashingEncoder(32))
    fold = Fold(np.arange(100), np.arange(100, 130))
    made = create_strategy(quick_spec(name))
    outcomes = []
    for seed in (None, 0, 1):  # tested queries are of other tasks than they are
        task = table.task.copy()
        if seed is not None:
            task[100:] = np.random.default_rng(seed).permutation(task[100:])
        shared = BenchInput(
            replace(table, task=task), (fold,), Entrants((name,), {name: made}), "hidden"
        )
        assert (shared.tests(0)["hidden"].task == len(table.tasks)).all()
        outcomes.append([point.outcome for point in run_job(shared, Job(name, 0, 0)).points])
    for others in outcomes[1:]:
        for outcome, other in zip(outcomes[0], others, strict=True):
            assert np.array_equal(outcome.asked_in, other.asked_in)
            assert np.array_equal(outcome.chosen, other.chosen)
            assert np.array_equal(outcome.confidence, other.confidence)
