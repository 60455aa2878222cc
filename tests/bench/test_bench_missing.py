"""A benchmark on incomplete data: measured where it can be, and no verdict where too much lacks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.figures.scores import scores
from rlfocal.bench.scenarios import run_scenarios
from rlfocal.bench.statistics import MeasuredMeans, accuracy_at, bootstrap_means
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

WHOLE = build_table(
    simulate(
        PoolModel(accuracy=[[0.55, 0.5, 0.5, 0.45]], n_options=4), 240,
        rng=np.random.default_rng(0),
    )
)  # fmt: skip
PROTOCOL = EvalProtocol(n_folds=2, n_resamples=200)
STRATEGIES = ("plurality", "weighted-vote", "agreement", "random")


def lacking(share: float) -> ResponseTable:
    return WHOLE.without(np.random.default_rng(1).random(WHOLE.answer.shape) < share)


@pytest.fixture(scope="module")
def holes() -> BenchResult:
    return run_bench(lacking(0.4), STRATEGIES, PROTOCOL)


def test_where_much_is_missing_every_verdict_is_withheld(holes: BenchResult) -> None:
    full = run_bench(WHOLE, STRATEGIES, PROTOCOL)
    assert {r.verdict for r in full.rows if r.strategy == "plurality"} == {"better"}
    verdicts = {row.strategy: row.verdict for row in holes.rows}
    assert verdicts.pop("oracle") == "bound"
    assert verdicts.pop("best-single") == "reference"
    assert set(verdicts.values()) == {"withheld"}
    assert "too much is missing for a verdict" in holes.notes[0]
    assert "--complete compares on the" in holes.notes[0]


def test_figures_are_over_what_was_measured(holes: BenchResult) -> None:
    table = lacking(0.4)
    rows = {row.strategy: row for row in holes.rows}
    assert rows["plurality"].n_measured == table.recorded.any(axis=1).sum()
    single = rows["best-single"]
    assert single.n_measured == single.n_compared < 240
    assert single.mean_calls == 1
    assert rows["plurality"].n_compared == single.n_measured
    # A loop over the rows: gain over the queries on which both have a score.
    found = {name: dict[str, float]() for name in ("plurality", "best-single")}
    for row in holes.per_query.select(["strategy", "query_id", "score"]).to_pylist():
        if row["strategy"] in found and row["score"] is not None:
            found[row["strategy"]][row["query_id"]] = row["score"]
    both = found["plurality"].keys() & found["best-single"].keys()
    gain = np.mean([found["plurality"][q] - found["best-single"][q] for q in both])
    assert rows["plurality"].gain_over_best_single == pytest.approx(gain)
    assert rows["plurality"].accuracy == pytest.approx(np.mean(list(found["plurality"].values())))


def test_a_few_missing_responses_leave_the_verdict_and_are_named() -> None:
    found = run_bench(lacking(0.01), STRATEGIES, PROTOCOL)
    assert {r.verdict for r in found.rows if r.strategy == "plurality"} == {"better"}
    assert found.missing is not None
    assert not found.missing.withheld
    assert "% of the responses are missing" in found.notes[0]


def test_complete_data_say_nothing_of_what_is_missing() -> None:
    found = run_bench(WHOLE, ("plurality",), PROTOCOL)
    assert found.missing is None
    assert {row.n_measured for row in found.rows} == {240}
    assert "measured" not in found.to_markdown()


def test_what_is_written_is_read_again(holes: BenchResult, tmp_path: Path) -> None:
    holes.write(tmp_path)
    again = BenchResult.read(tmp_path)
    assert again.rows == holes.rows
    assert again.missing == holes.missing
    assert json.loads((tmp_path / "bench.json").read_text())["missing"]["n_queries"] == 240
    assert "| withheld |" in (tmp_path / "leaderboard.md").read_text()
    lines = [x for x in again.to_markdown().splitlines() if x.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_two_members_with_disjoint_halves_gain_nothing_that_anybody_could_call_better() -> None:
    pair = build_table(
        simulate(PoolModel(accuracy=[[0.9, 0.3]]), 120, rng=np.random.default_rng(2))
    )
    half = (np.arange(120) % 2)[:, None] == np.arange(2)
    found = run_bench(pair.without(~half), ("plurality", "weighted-vote"), PROTOCOL)
    for row in found.rows:
        assert row.verdict in ("withheld", "reference", "bound")
    plurality = next(row for row in found.rows if row.strategy == "plurality")
    # On the only queries where both can be measured they give the same answers.
    assert plurality.gain_over_best_single == 0


def test_a_strategy_measured_nowhere_is_not_applicable() -> None:
    table = WHOLE
    gone = np.zeros(table.answer.shape, dtype=bool)
    gone[:, 1:] = True
    gone[0, 1:] = False
    found = run_bench(table.without(gone), ("plurality",), PROTOCOL)
    assert {row.strategy for row in found.rows} >= {"best-single", "oracle", "plurality"}


def test_measured_means_are_those_of_the_rows_where_all_were_measured() -> None:
    rng = np.random.default_rng(3)
    values, group = rng.random((40, 3)), np.arange(40)
    measured = rng.random((40, 3)) < 0.6
    means = MeasuredMeans(np.where(measured, values, 0), measured, group, n_resamples=100)
    both = measured[:, 0] & measured[:, 2]
    assert means.count(0, 2) == both.sum()
    naive = bootstrap_means(values[both][:, [0, 2]], group[both], n_resamples=100)
    assert means.over(0, 2).difference(0, 2) == naive.difference(0, 1)
    assert means.over(1).mean(1).value == pytest.approx(values[measured[:, 1], 1].mean())


def test_points_are_compared_where_both_were_measured(holes: BenchResult) -> None:
    found = scores(holes.per_query)
    assert not found.measured.all()
    assert found.measured_everywhere().measured.all()
    compared = accuracy_at(holes.per_query, "agreement", 1.5, n_resamples=100)
    assert compared is None or 0 <= compared.accuracy.value <= 1


def test_scenarios_play_what_every_member_answered() -> None:
    gone = np.zeros(WHOLE.answer.shape, dtype=bool)
    gone[:200, 3] = True
    played = run_scenarios(WHOLE.without(gone), ("failed-1",), PROTOCOL, strategies=("plurality",))
    assert played.n_queries == 20  # the first of two folds
    assert "only the 40 of 240 queries that all 4 members answered are used" in played.notes
