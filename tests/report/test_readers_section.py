"""The report's section on members that read others, in its text and in a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from browsing import OVERFLOW, POOR_CONTRAST, browsing
from readers import MEMBERS, READERS, Skill, dataset_with_readers

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.summaries.reading import Readings, readings_of
from rlfocal.bench.summaries.reading.summary import ReadMember
from rlfocal.records import Dataset, ResponseTable, build_table
from rlfocal.report import render, write_report
from rlfocal.report.readers import readers_section
from rlfocal.report.reading_graph import graph

EVIL = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def data() -> Dataset:
    return dataset_with_readers(200, seed=2, skill=Skill(takes_first=0.3))


@pytest.fixture(scope="module")
def pool(data: Dataset) -> ResponseTable:
    return build_table(data)


@pytest.fixture(scope="module")
def found(pool: ResponseTable) -> BenchResult:
    return run_bench(pool, ["plurality"], EvalProtocol(n_folds=2, n_resamples=100))


@pytest.fixture(scope="module")
def readings(data: Dataset, pool: ResponseTable) -> Readings:
    one = readings_of(pool, data, family={"judge": ["a"]})
    assert one is not None
    return one


def test_the_section_is_there_where_members_read(
    found: BenchResult, pool: ResponseTable, data: Dataset
) -> None:
    page = render(found, pool, dataset=data)
    assert 'id="readers">Who reads whom</h2>' in page
    for title in (
        "Do they follow who is right?", "Second thoughts", "Biases of judges",
        "Who mattered, without labels", "What each role is worth",
    ):  # fmt: skip
        assert f"<h3>{title}</h3>" in page
    assert "rewards conformity" in page
    assert "Biases of judges" not in render(found, pool)  # verdicts are of the data set


def test_it_is_not_there_where_nobody_reads(result: BenchResult, table: ResponseTable) -> None:
    assert 'id="readers"' not in render(result, table)


def test_every_link_is_drawn_once_in_either_drawing(readings: Readings) -> None:
    drawn = graph(readings.members, unit="usd")
    wide, narrow = drawn.split('class="rlf narrow"')
    n_links = sum(len(about.inputs) for about in READERS.values())
    for drawing in (wide, narrow):
        assert len(re.findall(r'class="link( own)?"', drawing)) == n_links
        assert drawing.count('class="link own"') == 1
    for name in MEMBERS:
        assert f">{name}</text>" in wide
        assert f">{name}</text>" in narrow
    assert "top (aggregate) reads d, judge" in wide


def test_boxes_overlap_nothing_and_stay_inside(readings: Readings) -> None:
    boxes = _boxes(graph(readings.members, unit="usd"))
    assert len(boxes) == len(MEMBERS)
    _apart(boxes)


@pytest.mark.parametrize("n_stages", [1, 3, 8])
@pytest.mark.parametrize("width", [1, 9])
def test_deep_and_wide_pools_are_drawn(n_stages: int, width: int) -> None:
    members = [
        _member(f"a-member-with-a-long-name-{k}-{n}", k, [f"a-member-with-a-long-name-{k - 1}-0"])
        for k in range(n_stages + 1)
        for n in range(width)
    ]
    # One that reads the first of all, past every stage between.
    members.append(_member("last", n_stages + 1, [members[0].member, members[-1].member]))
    boxes = _boxes(graph(members, unit="call"))
    assert len(boxes) == len(members)
    _apart(boxes)


def test_names_are_never_markup(readings: Readings) -> None:
    members = tuple(
        replace(one, member=EVIL if one.member == "a" else one.member,
                reads=tuple(EVIL if n == "a" else n for n in one.reads),
                first=EVIL if one.first == "a" else one.first)
        for one in readings.members
    )  # fmt: skip
    body = readers_section(replace(readings, members=members))
    assert "<script" not in body
    assert "&lt;script&gt;" in body


def test_figures_stand_in_the_tables(readings: Readings) -> None:
    body = readers_section(readings)
    (judge,) = readings.judges
    said = f"{100 * judge.by_place[0].value:.1f}\N{NARROW NO-BREAK SPACE}%"
    assert f"names the first reply</th><td>{said}" in body
    top = next(one for one in readings.following if one.reader == "top")
    assert f"{100 * top.follows_right.value:.1f}\N{NARROW NO-BREAK SPACE}%" in body


def _member(name: str, stage: int, reads: list[str]) -> ReadMember:
    return ReadMember(
        member=name, reads=tuple(reads) if stage else (), first=None,
        form="aggregate" if stage else "", stage=stage, accuracy=0.5, price=1.0,
        full_price=1.0 + stage,
    )  # fmt: skip


Box = tuple[float, float, float, float]


def _boxes(drawn: str) -> list[Box]:
    wide = drawn.split('class="rlf narrow"')[0]
    found = re.findall(
        r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)" rx="4" class="box"',
        wide,
    )
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', wide)
    assert size is not None
    boxes = [(float(x), float(y), float(x) + float(w), float(y) + float(h)) for x, y, w, h in found]
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= float(size[1])
        assert 0 <= top < bottom <= float(size[2])
    return boxes


def _apart(boxes: list[Box]) -> None:
    for i, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:i]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_on_any_screen_and_on_paper(
    found: BenchResult, pool: ResponseTable, data: Dataset, readings: Readings, chromium: str,
    tmp_path: Path, scheme: str,
) -> None:  # fmt: skip
    path = write_report(found, pool, tmp_path, dataset=data, readings=readings)
    with browsing(chromium) as browser:
        for width in (1280, 390):
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme
            )
            page = context.new_page()
            page.goto(path.as_uri())
            assert page.evaluate(OVERFLOW) <= 0
            seen = page.evaluate(POOR_CONTRAST)
            assert seen["checked"] > 50
            assert seen["poor"] == []
            shown = page.locator("#readers-graph svg.rlf").all()
            assert sum(one.is_visible() for one in shown) == 1
            page.emulate_media(media="print")
            assert page.locator("#readers-graph svg.rlf").first.is_visible() == (width > 700)
            context.close()
