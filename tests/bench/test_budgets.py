"""Cells worked by hand: four queries, few strategies, every operating point on one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.budgets import BudgetCell, check_budgets, equal_cost
from rlfocal.bench.figures.scores import Scores
from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import PoolModel, build_table, simulate

Line = tuple[list[float], float, float]
"""Score of each query, calls and USD a query."""

LEARNED = ("rl-focal", "rl-focal-paper")
BEST: Line = ([1, 0, 0, 0], 1, 0.01)
Key = tuple[str, float | None]


def scores_of(points: dict[Key, Line]) -> Scores:
    score = np.array([s for s, _, _ in points.values()], dtype=float).T
    calls, cost = (
        np.broadcast_to(np.array([line[i] for line in points.values()], dtype=float), score.shape)
        for i in (1, 2)
    )
    known = np.ones(score.shape, dtype=bool)
    return Scores(tuple(points), np.arange(len(score)), score, calls, calls, cost, known)


TABLE = scores_of(
    {
        ("oracle", None): ([1, 1, 1, 1], 1, 0.001),
        ("random", None): ([1, 1, 1, 1], 1, 0.001),
        ("best-single", None): BEST,
        ("vote", None): ([1, 1, 0, 0], 3, 0.03),
        ("agreement", 0.5): ([1, 0, 0, 1], 2, 0.02),
        ("agreement", 0.9): ([1, 1, 1, 0], 4, 0.04),
        ("agreement", None): ([0, 0, 0, 1], 6, 0.06),
        ("rl-focal", 0.1): ([1, 0, 0, 0], 1, 0.002),
        ("rl-focal", 0.2): ([1, 1, 1, 1], 2, 0.012),
        ("rl-focal", None): ([1, 1, 0, 1], 3, 0.02),
    }
)


def shown(cells: tuple[BudgetCell, ...]) -> dict[tuple[str, float | None], tuple[object, ...]]:
    return {
        (cell.axis, None if cell.budget is None else round(cell.budget, 9)): (
            cell.accuracy, cell.rival, cell.rival_accuracy, cell.difference,
        )
        for cell in cells
    }  # fmt: skip


def test_cells_in_calls_by_hand() -> None:
    cells = equal_cost(TABLE, LEARNED, [1, 1.5, 2, 3, 5], n_resamples=200)
    assert {cell.strategy for cell in cells} == {"rl-focal"}
    assert shown(cells) == {
        # best-single alone can do with one call; the oracle and chance are no rivals.
        ("calls", 1): (0.25, "best-single", 0.25, 0),
        # agreement below its cheapest point: half best-single, half its point of two calls.
        ("calls", 1.5): (0.625, "agreement", 0.375, 0.25),
        ("calls", 2): (1, "agreement", 0.5, 0.5),
        # agreement between two and four calls: (1/2 + 3/4) / 2.
        ("calls", 3): (0.75, "agreement", 0.625, 0.125),
        # rl-focal keeps its dearest point; agreement falls towards its default, to 1/2 like vote.
        ("calls", 5): (0.75, "agreement", 0.5, 0.25),
        # without a limit agreement counts at its best point, rl-focal at its dearest.
        ("calls", None): (0.75, "agreement", 0.75, 0),
    }


def test_cells_in_dollars_are_multiples_of_what_best_single_costs() -> None:
    table = scores_of(
        {
            ("best-single", None): BEST,
            ("router", 0.0): ([0, 0, 0, 0], 1, 0.001),
            ("router", 1.0): ([1, 1, 0, 0], 1, 0.009),
            ("rl-focal", 0.1): ([0, 0, 1, 1], 1, 0.005),
            ("rl-focal", None): ([1, 1, 1, 1], 1, 0.02),
        }
    )
    cells = equal_cost(table, LEARNED, [1], priced=True, n_resamples=200)
    found = shown(tuple(cell for cell in cells if cell.axis == "usd"))
    assert list(found) == [("usd", 0.005), ("usd", 0.008), ("usd", 0.01), ("usd", None)]
    # At 0.1 and 0.25 times nothing mixes: best-single itself is dearer than the budget.
    assert found["usd", 0.005] == pytest.approx((0.5, "router", 0.25, 0.25))
    assert found["usd", 0.008] == pytest.approx((0.6, "router", 0.4375, 0.1625))
    assert found["usd", 0.01] == pytest.approx((0.5 + 0.5 / 3, "router", 0.5, 0.5 / 3))
    assert found["usd", None] == (1, "router", 0.5, 0.5)
    assert all(cell.axis == "calls" for cell in equal_cost(table, LEARNED, [1]))


def test_a_free_best_member_leaves_no_limit_but_all() -> None:
    free: dict[Key, Line] = {
        ("best-single", None): ([1, 0, 0, 0], 1, 0),
        ("rl-focal", None): ([1, 1, 0, 0], 2, 0.0),
    }
    cells = equal_cost(scores_of(free), LEARNED, priced=True, n_resamples=100)
    assert [cell.budget for cell in cells if cell.axis == "usd"] == [None]


def test_the_coin_below_the_cheapest_point_is_the_same_for_both_sides() -> None:
    same: Line = ([1, 1, 1, 0], 2.2, 0.03)
    table = scores_of(
        {("best-single", None): BEST, ("agreement", None): same, ("rl-focal", None): same}
    )
    first, *_ = equal_cost(table, LEARNED, [1.5], n_resamples=100)
    weight = 0.5 / 1.2
    assert first.accuracy == pytest.approx((1 - weight) * 0.25 + weight * 0.75)
    assert first.rival_accuracy == first.accuracy
    assert first.difference_ci == (0, 0)
    assert first.verdict == "no difference"


def test_a_strategy_left_no_query_takes_no_part() -> None:
    table = scores_of({("best-single", None): BEST, ("rl-focal", None): ([1, 1, 1, 1], 2, 0.02)})
    assert [cell.budget for cell in equal_cost(table, LEARNED, [1, 1.25], n_resamples=100)] == [
        1.25,
        None,
    ]


def test_where_no_simple_strategy_is_so_cheap_there_is_no_cell() -> None:
    table = scores_of({("best-single", None): BEST, ("rl-focal", None): ([1, 1, 0, 0], 1, 0.001)})
    cells = equal_cost(table, LEARNED, [1], priced=True, n_resamples=100)
    assert [(c.axis, c.budget) for c in cells] == [
        ("calls", 1), ("calls", None), ("usd", 0.01), ("usd", None),
    ]  # fmt: skip


@pytest.mark.parametrize("order", [("b-vote", "a-vote"), ("a-vote", "b-vote")])
def test_among_equals_the_first_by_name_is_the_rival(order: tuple[str, str]) -> None:
    lines: dict[str, Line] = {"a-vote": ([1, 1, 0, 0], 1, 0.01), "b-vote": ([0, 0, 1, 1], 1, 0.01)}
    table = scores_of(
        {
            ("best-single", None): BEST,
            **{(name, None): lines[name] for name in order},
            ("rl-focal", None): ([1, 1, 0, 0], 1, 0.01),
        }
    )
    cells = equal_cost(table, LEARNED, [1.5], n_resamples=100)
    assert [cell.rival for cell in cells] == ["a-vote", "a-vote"]
    assert [cell.difference_ci for cell in cells] == [(0, 0), (0, 0)]


def test_verdicts_follow_the_paired_interval() -> None:
    n = 400
    base, better, worse = np.zeros(n), np.zeros(n), np.zeros(n)
    base[:200], better[:260], worse[:140] = 1, 1, 1
    table = scores_of(
        {
            ("best-single", None): (base.tolist(), 1, 0.01),
            ("rl-focal", None): (better.tolist(), 1, 0.01),
            ("rl-focal-paper", None): (worse.tolist(), 1, 0.01),
        }
    )
    cells = equal_cost(table, LEARNED, [2])
    assert [(c.strategy, c.budget, c.verdict) for c in cells] == [
        ("rl-focal", 2, "better"), ("rl-focal", None, "better"),
        ("rl-focal-paper", 2, "worse"), ("rl-focal-paper", None, "worse"),
    ]  # fmt: skip
    for cell in cells:
        assert cell.difference_ci[0] < cell.difference < cell.difference_ci[1]
        assert cell.accuracy_ci[0] < cell.accuracy < cell.accuracy_ci[1]
        assert cell.difference == pytest.approx(cell.accuracy - cell.rival_accuracy)


def test_without_a_learned_strategy_there_are_no_cells() -> None:
    assert equal_cost(scores_of({("best-single", None): BEST}), LEARNED, priced=True) == ()
    table = build_table(
        simulate(PoolModel(accuracy=[[0.8, 0.6]]), 40, rng=np.random.default_rng(0))
    )
    found = run_bench(table, ["random"], EvalProtocol(n_folds=2, n_resamples=100))
    assert found.budgets == ()
    assert "At equal cost" not in found.to_markdown()


@pytest.mark.parametrize("bad", [0.99, -1.0, float("nan"), float("inf")])
def test_budgets_that_are_no_number_of_calls_are_refused_before_any_work(bad: float) -> None:
    with pytest.raises(ConfigError, match=r"at least 1, got .*\"all\""):
        check_budgets([2, bad])
    table = build_table(
        simulate(PoolModel(accuracy=[[0.8, 0.6]]), 40, rng=np.random.default_rng(0))
    )
    calls: list[tuple[int, int, str]] = []
    with pytest.raises(ConfigError, match="at least 1"):
        run_bench(
            table, ["random"], EvalProtocol(n_folds=2), budgets=[bad],
            on_progress=lambda *said: calls.append(said),
        )  # fmt: skip
    assert calls == []


@pytest.fixture
def result() -> BenchResult:
    model = PoolModel(accuracy=[[0.8, 0.6]], cost_usd=[0.001, 0.002])
    table = build_table(simulate(model, 40, rng=np.random.default_rng(0)))
    found = run_bench(table, ["plurality"], EvalProtocol(n_folds=2, n_resamples=100))
    return dataclasses.replace(
        found, budgets=equal_cost(TABLE, LEARNED, [1.5], priced=True, n_resamples=100)
    )


def test_cells_survive_a_file(result: BenchResult, tmp_path: Path) -> None:
    result.write(tmp_path)
    assert BenchResult.read(tmp_path).budgets == result.budgets
    found = json.loads((tmp_path / "bench.json").read_text())
    assert list(found["budgets"][0]) == [
        "strategy", "axis", "budget", "accuracy", "accuracy_ci", "rival", "rival_accuracy",
        "difference", "difference_ci", "verdict", "unit",
    ]  # fmt: skip
    assert [c["budget"] for c in found["budgets"] if c["axis"] == "calls"] == [1.5, None]


def test_cells_of_older_results_are_multiples_of_what_the_best_single_member_costs(
    result: BenchResult, tmp_path: Path
) -> None:
    result.write(tmp_path)
    found = json.loads((tmp_path / "bench.json").read_text())
    for cell in found["budgets"]:
        del cell["unit"]
    (tmp_path / "bench.json").write_text(json.dumps(found))
    read = BenchResult.read(tmp_path)
    base = next(row.mean_cost_usd for row in result.rows if row.strategy == "best-single")
    assert {cell.unit for cell in read.budgets if cell.axis == "usd"} == {base}
    assert {cell.unit for cell in read.budgets if cell.axis == "calls"} == {None}


def test_results_older_than_the_cells_have_none(result: BenchResult, tmp_path: Path) -> None:
    result.write(tmp_path)
    found = json.loads((tmp_path / "bench.json").read_text())
    cells = found.pop("budgets")
    (tmp_path / "bench.json").write_text(json.dumps(found))
    assert BenchResult.read(tmp_path).budgets == ()
    del cells[0]["rival"]
    (tmp_path / "bench.json").write_text(json.dumps({**found, "budgets": cells}))
    with pytest.raises(RecordError, match=r"bench\.json: not the JSON of a bench: .*rival"):
        BenchResult.read(tmp_path)


def test_markdown_has_a_table_for_each_axis(result: BenchResult) -> None:
    text = result.to_markdown()
    below = text[text.index("## At equal cost") :]
    assert "Budgets are mean calls a query." in below
    (unit,) = {cell.unit for cell in result.budgets if cell.axis == "usd"}
    assert f"what the best single member costs ({1000 * unit:.3g} USD / 1k queries)." in below
    first = result.budgets[0]
    low, high = (f"{100 * end:.1f}" for end in first.accuracy_ci)
    less, more = (f"{100 * end:+.1f}" for end in first.difference_ci)
    assert (
        f"| rl-focal | 1.5 | 62.5 [{low}, {high}] | agreement | 37.5 | +25.0 [{less}, {more}] | "
        f"{first.verdict} |"
    ) in below
    assert below.count("| all |") == 2


def test_dollar_budgets_are_labelled_in_multiples_of_best_single(result: BenchResult) -> None:
    base = next(row.mean_cost_usd for row in result.rows if row.strategy == "best-single")
    assert base is not None
    cell = dataclasses.replace(result.budgets[0], axis="usd", budget=0.25 * base)
    assert dataclasses.replace(cell, unit=base).label == "0.25"
    assert dataclasses.replace(cell, unit=None).label == f"{0.25 * base:.4g}"
    bare = dataclasses.replace(result, budgets=())
    assert bare.axis_title("usd").endswith("best single member costs")
