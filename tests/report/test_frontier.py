from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from rlfocal.bench import BenchResult, FrontierPoint, LeaderboardRow
from rlfocal.report.frontier import cost_picture, cost_section

SVG = "{http://www.w3.org/2000/svg}"
HUES = {"agreement": 1, "best-single": 2}


def row(strategy: str, accuracy: float, calls: float, usd: float | None = None) -> LeaderboardRow:
    return LeaderboardRow(
        strategy=strategy, accuracy=accuracy, accuracy_ci=(accuracy - 0.02, accuracy + 0.01),
        mean_calls=calls, mean_cost_usd=usd, mean_rounds=1.0, gain_over_best_single=0.0,
        gain_ci=(0, 0), oracle_gap_closed=None, fit_s=0.1, replay_s=0.1,
    )  # fmt: skip


@pytest.fixture
def costs(result: BenchResult) -> BenchResult:
    """One line in colour, one dot in colour, grey ones near, one far below, the oracle above."""
    rows = (
        row("oracle", 0.97, 1), row("agreement", 0.80, 2, 0.002), row("plurality", 0.79, 8),
        row("<b>&\"'", 0.74, 1.5), row("best-single", 0.72, 1, 0.001), row("self", 0.2, 3),
    )  # fmt: skip
    settings = tuple(
        FrontierPoint(dial=dial, accuracy=accuracy, mean_calls=calls, mean_cost_usd=None)
        for dial, accuracy, calls in ((0.1, 0.72, 1.0), (0.9, 0.81, 4.0))
    )
    return replace(result, rows=rows, frontiers={"agreement": settings}, data="<data>")


def series(drawing: str) -> dict[str, ElementTree.Element]:
    """Groups of the drawing by name, whatever their order."""
    root = ElementTree.fromstring(drawing)
    groups = [g for g in root.iter(f"{SVG}g") if g.get("data-series") is not None]
    return {g.findtext(f"{SVG}title") or "": g for g in groups}


def titles(group: ElementTree.Element) -> list[str]:
    return [title.text or "" for title in group.iter(f"{SVG}title")][1:]


def test_a_dialled_strategy_is_a_line_and_others_are_marks(costs: BenchResult) -> None:
    drawn = series(cost_picture(costs, hues=HUES))
    line = drawn["agreement"].find(f"{SVG}path[@class='line']")
    assert line is not None
    x = [float(x) for x in re.findall(r"[ML]([\d.]+) ", line.get("d", ""))]
    assert len(x) == 3
    assert x == sorted(x)
    assert drawn["plurality"].find(f"{SVG}path[@class='line']") is None
    assert titles(drawn["plurality"]) == ["plurality: 79.0\u202f% [77.0, 80.0] at 8 calls a query"]
    assert "agreement, dial 0.9: 81.0\u202f% at 4 calls a query" in titles(drawn["agreement"])


def test_names_are_shown_as_they_are_and_nothing_is_loaded(costs: BenchResult) -> None:
    drawing = cost_picture(costs, hues=HUES)
    assert "<b>&\"'" in series(drawing)
    root = ElementTree.fromstring(drawing)
    assert root.get("aria-label") == "<data>: accuracy against cost"
    assert "url(" not in drawing
    assert "href" not in drawing
    assert (root.get("width"), root.get("height")) == ("892", "517.5")


def test_what_is_far_off_is_named_under_the_plot_and_stretches_nothing(costs: BenchResult) -> None:
    drawing = cost_picture(costs, hues=HUES)
    assert "self" not in series(drawing)
    texts = [t.text or "" for t in ElementTree.fromstring(drawing).iter(f"{SVG}text")]
    said = "Off the plot: oracle 97.0\u202f% (above); self 20.0\u202f% (below)"
    assert f"Bars: 95 % intervals. Grey: 2 other strategies. {said}." in texts
    assert said in cost_section(costs, HUES)
    ticks = [float(t) for t in texts if re.fullmatch(r"\d\d(\.\d)?", t)]
    assert 65 < min(ticks) < max(ticks) < 90
    # A narrow drawing breaks the line and loses no word of it.
    narrow = ElementTree.fromstring(cost_picture(costs, hues=HUES, width=250)).iter(f"{SVG}text")
    assert "oracle 97.0\u202f% (above); self 20.0\u202f% (below)" in " ".join(
        t.text or "" for t in narrow
    )


def test_a_reference_within_the_band_is_not_drawn_but_named(costs: BenchResult) -> None:
    html = cost_section(replace(costs, rows=(*costs.rows, row("random", 0.76, 1))), HUES)
    assert "<title>random" not in html
    assert "; random 76.0\u202f% (not drawn)" in html


def test_highlighted_defaults_have_intervals_and_own_colours(costs: BenchResult) -> None:
    html = cost_section(costs, HUES)
    for look, n_whiskers in (("h1", 1), ("h2", 1), ("grey", 0)):
        found = re.findall(rf'<g class="series {look}"(.*?)</g>', html)
        assert found
        assert all(group.count('class="whisker"') == n_whiskers for group in found)
    assert html.count('class="series h1"') == html.count('class="series h2"') == 4  # wide, narrow
    assert html.count('class="rlf wide"') == html.count('class="rlf narrow"') == 2


def test_the_legend_switches_every_series_of_its_drawing(costs: BenchResult) -> None:
    calls = cost_section(costs, HUES).split('data-choice="1"')[0]
    keys = re.findall(r'<button type="button" data-series="(\d)" aria-pressed="(\w+)"', calls)
    assert keys == [("0", "true"), ("1", "true"), ("2", "false"), ("3", "false")]
    assert set(re.findall(r'<g class="series [^>]*data-series="(\d)"', calls)) == set("0123")


def test_money_is_what_a_thousand_queries_cost(costs: BenchResult) -> None:
    html = cost_section(costs, HUES)
    assert '<option value="1">mean USD per 1,000 queries</option>' in html
    # Whatever has no price is on the axis of calls alone.
    dollars = html.split('data-choice="1"')
    assert "agreement: 80.0\u202f% [78.0, 81.0] at 2 USD per 1,000 queries" in dollars[1]
    assert "plurality" not in dollars[1].split("<figcaption>")[0]
    assert "<td>default</td><td>2</td>" in dollars[2]


def test_the_caption_speaks_of_nothing_that_is_not_there(costs: BenchResult) -> None:
    assert "A line is one strategy" in cost_section(costs, HUES)
    plain = replace(
        costs,
        frontiers={},
        rows=(costs.rows[0], row("agreement", 0.8, 2), row("best-single", 0.7, 1)),
    )
    html = cost_section(plain, HUES)
    assert "A line is" not in html
    assert "Grey" not in html
    assert "<select>" not in html


def test_without_strategies_there_is_no_picture(result: BenchResult) -> None:
    bare = replace(result, rows=(row("oracle", 1, 1),), frontiers={})
    assert "No strategy but the references ran" in cost_section(bare, {})
    with pytest.raises(ValueError, match="no strategy with known USD"):
        cost_picture(result, by="usd")


def test_many_strategies_on_one_spot_keep_their_names_apart(costs: BenchResult) -> None:
    rows = tuple(row(f"strategy-{i}", 0.8, 2.0 + 0.01 * i) for i in range(12))
    hues = {f"strategy-{i}": i + 1 for i in range(6)}
    drawing = cost_picture(replace(costs, rows=rows, frontiers={}), hues=hues)
    names = [
        (float(t.get("x", 0)), float(t.get("y", 0)))
        for t in ElementTree.fromstring(drawing).iter(f"{SVG}text")
        if t.get("class") == "name"
    ]
    assert len(names) >= 10
    assert len({(round(x), round(y / 4)) for x, y in names}) == len(names)
