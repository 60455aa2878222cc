from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from rlfocal.bench import BenchResult
from rlfocal.bench.figures.calibration import Calibration, ReliabilityBin
from rlfocal.records import ResponseTable
from rlfocal.report import render
from rlfocal.report.calibration import calibration, reliability
from rlfocal.report.labels import percent

SVG = "{http://www.w3.org/2000/svg}"


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
    html = calibration(replace(result, calibration=(made_up,)), {})
    row = next(line for line in html.splitlines() if "12.3" in line)
    cells = [part.split("<")[0] for part in row.split("<td>")[1:]]
    assert cells == ["12.3", "2.0", "+2.5", "0.200", percent(0.75), "0.125"]
    assert html.count('<span class="ci">[80.0, 95.0]</span>') == 1
    assert html.count("<td>1,234</td>") == 2


def test_who_is_always_certain_is_left_out_and_named(result: BenchResult) -> None:
    html = calibration(result, {"agreement": 2})
    named = re.search(r"always 0 or 1: (.*?)\.</p>", html)
    assert named is not None
    assert set(named[1].split(", ")) == {"oracle", "random", "best-single", "best-single-per-task"}
    drawn = html.index("agreement</h4>")
    assert drawn < html.index("Diagrams of other strategies (1)") < html.index("plurality</h4>")
    certain = tuple(c for c in result.calibration if not c.graded)
    html = calibration(replace(result, calibration=certain), {})
    assert "No strategy gave graded confidence" in html
    assert "<figure" not in html


def panel(*bins: ReliabilityBin, low: float = 20.0) -> ElementTree.Element:
    found = Calibration(
        strategy="<b>", graded=True, mean_confidence=0.7, ece=0.1, ece_by_chance=0.02, brier=0.2,
        accuracy_at_80=0.75, risk_coverage_area=0.1, bins=bins,
    )  # fmt: skip
    return ElementTree.fromstring(reliability(found, low, 3))


def test_a_diagram_has_a_line_with_intervals_and_the_diagonal_dotted() -> None:
    root = panel(*BINS)
    heading = root.find("h4")
    assert heading is not None
    assert heading[0].tail == "<b>"
    paths = {p.get("class"): p.get("d", "") for p in root.iter(f"{SVG}path")}
    assert {"rule", "line", "whisker"} <= set(paths)
    (x0, y0), (x1, y1) = points_of(paths["rule"])
    for (x, y), one in zip(points_of(paths["line"]), BINS, strict=True):
        # Both axes have one scale each, so that a point's place follows from the diagonal's ends.
        assert x == pytest.approx(x0 + (x1 - x0) * (100 * one.confidence - 20) / 80, abs=0.1)
        assert y == pytest.approx(y0 + (y1 - y0) * (100 * one.accuracy - 20) / 80, abs=0.1)
    low, high = points_of(paths["whisker"])
    assert low[0] == high[0]
    assert (high[1] - low[1]) / (y1 - y0) * 80 == pytest.approx(15, abs=0.2)
    titles = [t.text for t in root.iter(f"{SVG}title")]
    assert any("45.0" in (t or "") and "1,234 answers" in (t or "") for t in titles)


def points_of(path: str) -> list[tuple[float, float]]:
    pairs = [pair.split(" ") for pair in path.removeprefix("M").split("L")]
    return [(float(x), float(y)) for x, y in pairs]
