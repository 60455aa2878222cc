from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.figures.calibration import (
    N_BINS,
    Calibration,
    calibrations,
    expected_calibration_error,
    reliability,
)
from rlfocal.records import PoolModel, build_table, simulate


def measure(
    confidence: list[float] | np.ndarray,
    score: list[float] | np.ndarray,
    group: list[int] | np.ndarray | None = None,
) -> Calibration:
    """The calibration of one strategy with these rows."""
    n_rows = len(confidence)
    rows = pa.table(
        {
            "strategy": pa.array(["mine"] * n_rows),
            "dial": pa.nulls(n_rows, pa.float64()),
            "confidence": pa.array(confidence, pa.float64()),
            "score": pa.array(score, pa.float64()),
            "group": pa.array(range(n_rows) if group is None else group, pa.int64()),
        }
    )
    (found,) = calibrations(rows, ["mine"])
    return found


def test_a_bin_holds_the_answers_of_one_confidence_where_few_values_occur() -> None:
    found = measure([0.6, 0.9, 0.6, 0.9, 0.6, 0.6, 0.9, 0.9], [1, 1, 0, 1, 0, 0, 1, 0])
    assert [(one.count, one.accuracy) for one in found.bins] == [(4, 0.25), (4, 0.75)]
    assert [one.confidence for one in found.bins] == pytest.approx([0.6, 0.9])
    assert found.ece == pytest.approx((0.35 + 0.15) / 2)
    assert found.mean_confidence == pytest.approx(0.75)
    assert found.brier == pytest.approx((0.16 + 3 * 0.36 + 3 * 0.01 + 0.81) / 8)
    # In both bins the confidence c varies by c (1 - c), and four prompts halve what is left.
    assert found.ece_by_chance == pytest.approx(
        np.sqrt(2 / np.pi) * (np.sqrt(0.24) + np.sqrt(0.09)) / 2 / 2
    )


def test_distances_of_opposite_sign_do_not_cancel() -> None:
    found = measure([0.25] * 4 + [0.75] * 4, [1, 1, 0, 0] * 2)
    assert found.mean_confidence == 0.5
    assert found.ece == 0.25


def test_bins_are_of_equal_count_where_all_confidences_differ() -> None:
    confidence = np.linspace(0.2, 0.9, 70)
    bins = reliability(confidence, np.ones(70), np.arange(70))
    assert [one.count for one in bins] == [7] * N_BINS
    assert bins[0].confidence == pytest.approx(confidence[:7].mean())


def test_ties_stay_together_even_where_that_makes_a_bin_large() -> None:
    confidence = np.concatenate([np.linspace(0.1, 0.6, 50), np.full(50, 0.95)])
    bins = reliability(confidence, np.ones(100), np.arange(100))
    assert [one.count for one in bins] == [10, 10, 10, 10, 10, 50]
    assert bins[-1].confidence == pytest.approx(0.95)


def test_what_breaks_a_tie_of_votes_makes_no_bin() -> None:
    confidence = 0.5 + 1e-6 * np.arange(40)
    assert len(reliability(confidence, np.ones(40), np.arange(40))) == 1


def test_the_interval_is_that_of_distinct_prompts_so_seeds_do_not_narrow_it() -> None:
    once = measure([0.5] * 100, [1, 0] * 50)
    thrice = measure([0.5] * 300, [1, 0] * 150, [*range(100)] * 3)
    assert once.bins[0].accuracy_ci == pytest.approx((0.404, 0.596), abs=5e-4)
    assert thrice.bins[0].accuracy_ci == once.bins[0].accuracy_ci
    assert (thrice.bins[0].count, thrice.bins[0].n_groups) == (300, 100)
    assert thrice.ece_by_chance == pytest.approx(once.ece_by_chance)


def test_accuracy_on_the_surest_answers_and_the_area_under_risk_and_coverage() -> None:
    found = measure([0.9, 0.8, 0.7, 0.6, 0.5], [1, 1, 0, 1, 0])
    assert found.accuracy_at_80 == pytest.approx(3 / 4)
    assert found.risk_coverage_area == pytest.approx((0 + 0 + 1 / 3 + 1 / 4 + 2 / 5) / 5)
    tied = measure([0.9, 0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0, 0])
    assert tied.accuracy_at_80 == pytest.approx((1 + 3 / 4) / 4)  # three of four, at random


def test_confidence_of_0_or_1_is_not_graded() -> None:
    found = measure([1, 0, 1, 1], [1, 0, 0, 1])
    assert not found.graded
    assert found.ece == pytest.approx(0.25)
    assert [one.count for one in found.bins] == [1, 3]
    assert measure([1, 0.5], [1, 0]).graded


graded_rows = st.lists(
    st.tuples(
        st.floats(0, 1, width=32),
        st.sampled_from([0.0, 0.25, 1.0]),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=80,
)


@settings(deadline=None)
@given(graded_rows)
def test_every_figure_lies_in_its_range_and_bins_hold_every_answer(
    rows: list[tuple[float, float, int]],
) -> None:
    confidence, score, group = (np.array(column) for column in zip(*rows, strict=True))
    found = measure(confidence, score, group)
    for value in (found.ece, found.brier, found.accuracy_at_80, found.risk_coverage_area):
        assert 0 <= value <= 1
    assert 1 <= len(found.bins) <= min(N_BINS, len(np.unique(confidence.round(3))))
    assert sum(one.count for one in found.bins) == len(rows)
    assert sum(one.count * one.accuracy for one in found.bins) == pytest.approx(score.sum())
    assert [one.confidence for one in found.bins] == sorted(one.confidence for one in found.bins)
    for one in found.bins:
        low, high = one.accuracy_ci
        assert 0 <= low <= one.accuracy <= high <= 1
        assert 1 <= one.n_groups <= one.count
    # Binning can only let distances cancel.
    assert found.ece <= np.abs(confidence - score).mean() + 1e-9
    assert abs(found.mean_confidence - score.mean()) <= found.ece + 1e-9


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(200, 2000), st.sampled_from([1, 3, 50, 10**6]))
def test_a_calibrated_strategy_has_an_error_of_chance(
    seed: int, n_rows: int, n_values: int
) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.uniform(0.1, 0.9, n_values)
    confidence = rng.choice(levels, n_rows)
    found = measure(confidence, (rng.random(n_rows) < confidence).astype(float))
    # With one bin this is 6.4 standard deviations; with ten far more.
    assert found.ece <= 8 * found.ece_by_chance
    assert found.ece <= 0.3


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_overconfidence_by_so_much_is_an_error_of_so_much(seed: int, too_much: float) -> None:
    confidence = np.random.default_rng(seed).uniform(0.3, 1, 300)
    found = measure(confidence, confidence - too_much)
    assert found.ece == pytest.approx(too_much, abs=1e-9)
    assert found.brier == pytest.approx(too_much**2, abs=1e-9)


def test_the_error_by_chance_is_the_mean_error_of_calibrated_strategies(
    rng: np.random.Generator,
) -> None:
    confidence = rng.uniform(0.2, 0.95, 400)
    group = np.arange(400)
    errors = [
        expected_calibration_error(
            reliability(confidence, (rng.random(400) < confidence).astype(float), group)
        )
        for _ in range(300)
    ]
    found = measure(confidence, np.ones(400))
    assert np.mean(errors) == pytest.approx(found.ece_by_chance, rel=0.05)


@pytest.fixture(scope="module")
def result() -> BenchResult:
    model = PoolModel(accuracy=[[0.8, 0.6, 0.55, 0.5]])
    table = build_table(simulate(model, 120, rng=np.random.default_rng(0)))
    protocol = EvalProtocol(n_folds=2, n_seeds=2, n_resamples=100)
    return run_bench(table, ["random", "plurality", "agreement"], protocol)


def test_a_benchmark_has_the_calibration_of_every_strategy_at_its_default_dial(
    result: BenchResult,
) -> None:
    assert [c.strategy for c in result.calibration] == [row.strategy for row in result.rows]
    n_answers = {c.strategy: sum(one.count for one in c.bins) for c in result.calibration}
    assert n_answers == {
        "oracle": 120, "best-single": 120, "plurality": 120, "agreement": 120, "random": 240,
    }  # fmt: skip
    for row, found in zip(result.rows, result.calibration, strict=True):
        mean = sum(one.count * one.accuracy for one in found.bins) / n_answers[row.strategy]
        assert mean == pytest.approx(row.accuracy)
    graded = {c.strategy: c.graded for c in result.calibration}
    assert graded["plurality"]
    assert graded["agreement"]
    assert not graded["oracle"]
    assert not graded["best-single"]


def test_calibration_is_written_and_read_and_older_results_have_none(
    result: BenchResult, tmp_path: Path
) -> None:
    result.write(tmp_path)
    assert BenchResult.read(tmp_path).calibration == result.calibration
    path = tmp_path / "bench.json"
    old = json.loads(path.read_text("utf-8"))
    assert list(old["calibration"][0]) == [f.name for f in dataclasses.fields(Calibration)]
    del old["calibration"]
    path.write_text(json.dumps(old), "utf-8")
    assert BenchResult.read(tmp_path).calibration == ()
