"""What the script and the style sheets of charts do in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import browsing, until

from rlfocal.bench import BenchResult
from rlfocal.records import ResponseTable
from rlfocal.report import cost_picture, write_report

pytestmark = [pytest.mark.slow, pytest.mark.chromium]

SHOWN = "(at) => [...document.querySelectorAll(at)].filter(e => e.checkVisibility()).length"
CLIPPED = """(variant) => [...document.querySelectorAll(`#frontier .rlf.${variant} .name`)]
    .filter(name => name.checkVisibility({ visibilityProperty: true }))
    .filter(name => {
      const own = name.getBoundingClientRect();
      const area = name.closest("svg").getBoundingClientRect();
      return own.left < area.left - 1 || own.right > area.right + 1;
    }).map(name => name.textContent)"""
"""Names that the edge of the plot cuts, in the font that this machine has."""


@pytest.fixture(scope="module")
def tab(
    result: BenchResult, table: ResponseTable, chromium: str, tmp_path_factory: Any
) -> Iterator[Any]:
    priced = replace(
        result,
        rows=tuple(replace(row, mean_cost_usd=0.002 * row.mean_calls) for row in result.rows),
    )
    page = write_report(priced, table, tmp_path_factory.mktemp("charts"))
    with browsing(chromium) as browser:
        tab = browser.new_page(viewport={"width": 1366, "height": 900})
        tab.goto(page.as_uri())
        yield tab


def test_the_screen_chooses_the_drawing(tab: Any) -> None:
    for width, variant, other in ((1366, "wide", "narrow"), (390, "narrow", "wide")):
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate(SHOWN, f"#frontier .rlf.{variant}") == 1
        assert tab.evaluate(SHOWN, f"#frontier .rlf.{other}") == 0
        size = tab.evaluate(f"""() => {{
            const text = document.querySelector('#frontier .rlf.{variant} text');
            return text.getBoundingClientRect().height;
        }}""")
        assert 11 <= size <= 22, "text of a drawing is as large as other text"
        assert tab.evaluate(CLIPPED, variant) == []


def test_a_legend_hides_what_has_a_colour_and_shows_what_is_grey(tab: Any) -> None:
    tab.set_viewport_size({"width": 1366, "height": 900})
    chart = tab.locator("#frontier [data-choice='0']").first
    states = [key.get_attribute("aria-pressed") for key in chart.locator("button").all()]
    coloured, grey = states.index("true"), states.index("false")

    key, series = chart.locator("button").nth(coloured), f".rlf.wide g[data-series='{coloured}']"
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    assert not chart.locator(series).is_visible()
    key.click()
    assert chart.locator(series).is_visible()

    key, name = chart.locator("button").nth(grey), f".rlf.wide g[data-series='{grey}'] .name"
    tab.mouse.move(0, 0)
    assert not chart.locator(name).is_visible()
    key.click()
    key.blur()
    tab.mouse.move(0, 0)
    assert chart.locator(name).is_visible()
    assert key.get_attribute("aria-pressed") == "true"
    key.click()


def test_pointing_at_the_legend_lets_all_others_fade(tab: Any) -> None:
    key = tab.locator("#frontier [data-choice='0'] button").nth(1)
    key.hover()
    assert tab.locator("#frontier.pointed").count() == 1
    assert tab.locator("#frontier .rlf.wide .series.hot").count() == 1
    tab.mouse.move(0, 0)
    assert tab.locator("#frontier.pointed").count() == 0


def test_the_switch_changes_drawing_legend_and_numbers_together(tab: Any) -> None:
    tab.select_option("#frontier select", index=1)
    assert tab.evaluate(SHOWN, "#frontier [data-choice='0']") == 0
    assert "USD per 1,000" in tab.locator("#frontier [data-choice='1'] .rlf.wide").text_content()
    tab.select_option("#frontier select", index=0)
    tab.select_option("#pairs select", index=4)
    assert tab.locator("#pairs [data-choice='4']").is_visible()


def test_a_box_with_more_to_the_right_says_so_until_its_end(tab: Any) -> None:
    tab.set_viewport_size({"width": 280, "height": 844})
    box = tab.locator("#pairs .scroll:visible")
    until(tab, "document.querySelector('#pairs .scroll.more') !== null")
    box.evaluate("box => { box.scrollLeft = box.scrollWidth }")
    until(tab, "document.querySelector('#pairs .scroll.more') === null")


def test_the_head_of_the_column_pointed_at_stands_out(tab: Any) -> None:
    tab.set_viewport_size({"width": 1366, "height": 900})
    tab.locator("#member-tasks tbody tr").nth(2).locator("td").nth(1).hover()
    assert tab.locator("#member-tasks thead th.hot").count() == 1


def test_a_picture_of_its_own_has_colours_and_a_ground(
    tab: Any, result: BenchResult, tmp_path: Path
) -> None:
    path = tmp_path / "cost.svg"
    path.write_text(cost_picture(result), encoding="utf-8")
    for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 25, 30)")):
        tab.emulate_media(color_scheme=scheme)
        tab.goto(path.as_uri())
        found = tab.evaluate("getComputedStyle(document.querySelector('.paper')).fill")
        assert found == ground
        line = tab.evaluate("getComputedStyle(document.querySelector('.h1 .main')).fill")
        assert line not in ("rgb(0, 0, 0)", ground)
