from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from browsing import OVERFLOW, POOR_CONTRAST, browsing, until
from unpacking import joined, unpacked

from rlfocal.advice import advise
from rlfocal.bench import BenchResult, EvalProtocol
from rlfocal.bench.budgets import BudgetCell
from rlfocal.errors import ConfigError
from rlfocal.records import CandidateKind, Dataset, ResponseTable, demo_dataset
from rlfocal.report import render, write_report

VOID = {"meta", "link", "br", "hr", "img", "input"}
"""Elements without an end tag."""
FETCHING = ("src", "href", "action", "poster", "data", "srcset")
EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Checks that tags balance; gathers what a browser would load, ids, and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.visible: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [v or "" for k, v in attrs if k in FETCHING]
        self.ids += [v or "" for k, v in attrs if k == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.visible.append(data)


@pytest.fixture(scope="module")
def page_path(
    result: BenchResult, table: ResponseTable, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A report in which every kind of name tries to be markup."""
    members = (EVIL, "<img src=x onerror=alert(1)>", *table.members[2:])
    tasks = ('"><script>alert(2)</script>', *table.tasks[1:])
    bad = replace(
        result,
        members=members,
        data="</title><b>demo</b>",
        notes=("</script><script>alert(3)</script>",),
        not_applicable={"self-consistency": "<i>no samples</i>"},
        budgets=(
            BudgetCell(
                strategy="rl-focal",
                axis="calls",
                budget=1.5,
                accuracy=0.57,
                accuracy_ci=(0.55, 0.59),
                rival="<u>rival</u>",
                rival_accuracy=0.56,
                difference=0.01,
                difference_ci=(-0.01, 0.03),
                verdict="no difference",
            ),
        ),
    )
    folder = tmp_path_factory.mktemp("report") / "made" / "on the way"
    asked = demo_dataset(600)
    prompts = [EVIL, "<img src=x onerror=alert(1)>", *asked.queries["prompt"].to_pylist()[2:]]
    place = asked.queries.column_names.index("prompt")
    queries = asked.queries.set_column(place, "prompt", pa.array(prompts))
    return write_report(
        bad,
        replace(table, members=members, tasks=tasks),
        folder,
        dataset=Dataset(asked.name, queries, asked.responses, asked.info),
    )


@pytest.fixture(scope="module")
def page(page_path: Path) -> Page:
    return Page(page_path.read_text(encoding="utf-8"))


def test_tags_balance_and_ids_are_unique(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("h1") == 1
    assert page.tags.count("figure") >= 6


def test_nothing_is_loaded_from_anywhere(page: Page, page_path: Path) -> None:
    assert set(page.loads) - {"data:,"} == {load for load in page.loads if load.startswith("#")}
    for link in page.loads:
        if not link.startswith("#browse"):  # as the viewer's script reads it
            assert link == "data:," or link[1:] in page.ids, f"{link} leads nowhere"
    text = page_path.read_text(encoding="utf-8")
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_names_from_the_data_are_shown_and_never_run(page: Page, page_path: Path) -> None:
    text = page_path.read_text("utf-8")
    n_blocks = len(unpacked(text))
    assert n_blocks == 1 + 2 * 2  # an index, and two for every 500 questions
    assert page.tags.count("script") == n_blocks + 1  # and our own
    assert "img" not in page.tags
    assert EVIL in "".join(page.visible)
    assert "<u>rival</u>" in "".join(page.visible)
    assert "<script>alert" not in page_path.read_text(encoding="utf-8")


def test_the_page_forbids_every_request_and_all_scripts_but_its_own(page_path: Path) -> None:
    text = page_path.read_text("utf-8")
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    (own,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}'; ")


def test_prompts_are_in_the_page_and_it_says_so_unless_left_out(
    page: Page, page_path: Path, result: BenchResult, table: ResponseTable
) -> None:
    text = page_path.read_text("utf-8")
    asked = joined(unpacked(text), "asked")
    assert asked["prompt"][:2] == [EVIL, "<img src=x onerror=alert(1)>"]
    assert "This file holds the prompts of 600 questions." in "".join(page.visible)
    assert "Browse all 600 questions" in "".join(page.visible)
    without = render(result, table)
    assert not unpacked(without)
    assert "This file holds" not in without
    assert "Browse" not in without
    assert len(without) < 1_500_000


def test_the_advice_stands_on_top_with_the_commands_that_serve_it(
    page: Page, result: BenchResult
) -> None:
    advice = advise(result)
    assert advice is not None
    text = "".join(page.visible)
    assert advice.sentence() in text
    assert advice.command is not None
    assert text.index(advice.sentence()) < text.index("Queries tested")
    assert advice.command.replace(" && ", "\n") in text


def test_every_strategy_and_member_is_named(
    page: Page, result: BenchResult, table: ResponseTable
) -> None:
    text = "".join(page.visible)
    for name in (*(row.strategy for row in result.rows), *table.members[2:], "self-consistency"):
        assert name in text


def test_simulated_answers_are_labelled_in_title_heading_and_banner(
    page: Page, page_path: Path
) -> None:
    text = page_path.read_text(encoding="utf-8")
    assert re.search(r"<title>SYNTHETIC: ", text)
    assert re.search(r"<h1>SYNTHETIC: ", text)
    assert re.search(r'class="banner".*?SYNTHETIC', text)


def test_recorded_answers_are_not_called_synthetic(
    result: BenchResult, table: ResponseTable, tmp_path: Path
) -> None:
    recorded = replace(result, synthetic=False, data="recorded", notes=(), histories=())
    path = write_report(recorded, replace(table, synthetic=False, name="recorded"), tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "SYNTHETIC" not in text
    assert 'id="training"' not in text


def test_the_same_result_makes_the_same_page(
    result: BenchResult, table: ResponseTable, tmp_path: Path
) -> None:
    first = write_report(result, table, tmp_path / "a").read_bytes()
    assert write_report(result, table, tmp_path / "b").read_bytes() == first
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["index.html"]


def test_a_table_of_another_pool_is_refused(
    result: BenchResult, table: ResponseTable, tmp_path: Path
) -> None:
    other = replace(table, members=("x", *table.members[1:]))
    with pytest.raises(ValueError, match="pass the table that the benchmark ran on"):
        write_report(result, other, tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(
    result: BenchResult, table: ResponseTable, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_report(result, table, tmp_path / "file")


def test_dollars_can_be_chosen_where_prices_are_known(
    result: BenchResult, table: ResponseTable
) -> None:
    assert "USD" not in "".join(Page(render(result, table)).visible)
    priced = replace(
        result,
        rows=tuple(replace(row, mean_cost_usd=0.002 * row.mean_calls) for row in result.rows),
        frontiers={
            name: tuple(replace(p, mean_cost_usd=0.002 * p.mean_calls) for p in points)
            for name, points in result.frontiers.items()
        },
    )
    page = render(priced, table)
    assert "USD per 1,000 queries" in page
    assert "USD / 1k queries" in page
    assert "$" not in "".join(Page(page).visible)


def test_where_answers_cannot_be_compared_there_is_no_vote_to_show(
    result: BenchResult, table: ResponseTable
) -> None:
    kind = np.full_like(table.kind, CandidateKind.RESPONSES)
    page = render(result, replace(table, kind=kind))
    assert 'id="focal"' not in page
    assert "Answers cannot be compared on this data" in page


def test_a_source_split_is_called_so(result: BenchResult, table: ResponseTable) -> None:
    page = render(replace(result, protocol=EvalProtocol(use_split=True, n_seeds=3)), table)
    assert "own split, 3 seeds" in page
    assert "fitted on train, tested on test" in page


INK = "getComputedStyle(document.body).color"


@pytest.mark.slow
@pytest.mark.chromium
def test_the_page_fits_draws_everything_and_stays_silent(page_path: Path, chromium: str) -> None:
    """At phone and laptop width, light and dark, also when these change under an open page."""
    said: list[str] = []
    asked: list[str] = []
    with browsing(chromium) as browser:
        tab = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="light")
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: said.append(dialog.message))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page_path.as_uri())
        assert tab.evaluate(OVERFLOW) <= 0, "the page scrolls sideways on a phone"
        assert tab.evaluate(INK) == "rgb(29, 37, 44)"
        heads = tab.locator(".ranks thead th:visible")
        assert heads.all_inner_texts() == ["Strategy", "Accuracy, %", "Gain, points", "Calls"]
        edges = [box["x"] + box["width"] for box in (h.bounding_box() for h in heads.all()) if box]
        assert len(edges) == 4
        assert max(edges) <= 390, "strategy, accuracy, gain and calls are there without scrolling"
        tab.check("#all-columns")
        assert tab.locator(".ranks thead th:visible").count() > 8

        tab.emulate_media(color_scheme="dark")
        until(tab, f"{INK} === 'rgb(217, 223, 229)'")
        assert tab.evaluate(POOR_CONTRAST)["poor"] == []
        tab.set_viewport_size({"width": 1280, "height": 800})
        assert tab.evaluate(OVERFLOW) <= 0, "the page scrolls sideways on a laptop"
        assert not tab.is_visible("#all-columns")
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
