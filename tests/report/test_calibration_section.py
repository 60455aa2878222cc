from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rlfocal.bench import BenchResult
from rlfocal.bench.calibration import ReliabilityBin
from rlfocal.records import ResponseTable
from rlfocal.report import render
from rlfocal.report.calibration import calibration, reliability_figure
from rlfocal.report.labels import percent


def one_bin(confidence: float, accuracy: float) -> ReliabilityBin:
    return ReliabilityBin(
        confidence=confidence, accuracy=accuracy, accuracy_ci=(accuracy - 0.1, accuracy + 0.05),
        count=1234, n_groups=617,
    )  # fmt: skip


BINS = (one_bin(0.55, 0.45), one_bin(0.8, 0.9))


def test_the_section_follows_the_costs_and_is_left_out_of_older_results(
    result: BenchResult, table: ResponseTable
) -> None:
    page = render(result, table)
    assert page.index('id="cost"') < page.index('id="calibration"') < page.index('id="members"')
    assert 'id="calibration"' not in render(replace(result, calibration=()), table)


def test_errors_stand_in_a_row_and_bins_in_the_table_below(result: BenchResult) -> None:
    plurality = next(c for c in result.calibration if c.strategy == "plurality")
    made_up = replace(
        plurality, ece=0.1234, ece_by_chance=0.02, mean_confidence=0.7, brier=0.2,
        accuracy_at_80=0.75, risk_coverage_area=0.125, bins=BINS,
    )  # fmt: skip
    html = calibration(replace(result, calibration=(made_up,)))
    row = next(line for line in html.splitlines() if "12.3" in line)
    cells = [part.split("<")[0] for part in row.split("<td>")[1:]]
    assert cells == ["12.3", "2.0", "+2.5", "0.200", percent(0.75), "0.125"]
    assert html.count("[80.0, 95.0]") == 2  # among all strategies, and on its own
    assert html.count("<td>1,234</td>") == 4
    assert '<option value="1">plurality, with intervals</option>' in html


def test_who_is_always_certain_is_left_out_and_named(result: BenchResult) -> None:
    html = calibration(result)
    named = re.search(r"always 0 or 1: (.*?)\.</p>", html)
    assert named is not None
    assert set(named[1].split(", ")) == {"oracle", "random", "best-single", "best-single-per-task"}
    assert {*re.findall(r"<option[^>]*>([^<]*), with", html)} == {"plurality", "agreement"}
    certain = tuple(c for c in result.calibration if not c.graded)
    html = calibration(replace(result, calibration=certain))
    assert "No strategy gave graded confidence" in html
    assert "<figure" not in html


def test_the_figure_has_a_line_for_each_strategy_and_the_diagonal_dashed() -> None:
    figure = reliability_figure({"<b>": BINS, "b": BINS[1:]})
    assert [trace.name for trace in figure.data] == ["&lt;b&gt;", "b"]
    assert figure.data[0].x == pytest.approx([55, 80])
    assert figure.data[0].y == pytest.approx([45, 90])
    assert figure.data[0].error_y.array is None
    assert not any(trace.line.color for trace in figure.data)  # the page's theme supplies them
    (diagonal,) = figure.layout.shapes
    assert (diagonal.x0, diagonal.x1) == (diagonal.y0, diagonal.y1) == (40, 100)
    assert diagonal.line.dash == "dash"
    assert figure.layout.xaxis.range == figure.layout.yaxis.range


def test_a_curve_on_its_own_has_intervals_inside_the_axes() -> None:
    figure = reliability_figure({"a": BINS}, with_intervals=True)
    assert figure.data[0].error_y.array == pytest.approx([5, 5])
    assert figure.data[0].error_y.arrayminus == pytest.approx([10, 10])
    assert figure.layout.yaxis.range[0] == 28


def test_strategies_of_one_hue_differ_in_line_and_marks() -> None:
    traces = reliability_figure({str(i): BINS for i in range(20)}).data
    looks = {(i % 7, t.line.dash, t.marker.symbol) for i, t in enumerate(traces)}
    assert len(looks) == 20
    assert "dash" not in {t.line.dash for t in traces}  # the diagonal's
