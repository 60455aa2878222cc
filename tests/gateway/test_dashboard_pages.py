"""The dashboard in a browser: figures, slider, keyboard, contrast, layout, hostile names."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from browsing import OVERFLOW, POOR_CONTRAST, READY, Tab, browsing, until
from serving import Served, serving
from stub_pool import pool_file, questions

from rlfocal.errors import DatabaseError
from rlfocal.gateway.judged import labels
from rlfocal.gateway.store import FeedbackRow, RequestRow

pytestmark = [pytest.mark.chromium, pytest.mark.slow]

Ask = Callable[..., Any]
Serve = Callable[..., Any]
MakeRow = Callable[..., RequestRow]
EVIL = "<img src=x onerror=alert(1)>"


def asked_and_judged(served: Served, ask: Ask, n: int = 12) -> list[dict[str, Any]]:
    """So many requests, most of them judged; each asked for twice gets the same."""
    rows = questions().slice(0, n).to_pylist()
    replies = []
    for k, row in enumerate(rows):
        own = {"task": row["task"]} | ({"choices": row["choices"]} if row["choices"] else {})
        replies.append(ask(served, row["prompt"], extension=own).json())
        if k % 4:
            body = {"id": replies[-1]["id"], "answer": row["label"]}
            url = f"{served.url}/v1/feedback"
            assert (
                httpx2.post(url, json=body, headers=served.headers, timeout=60).status_code == 200
            )
    return replies


def put(served: Served, *rows: RequestRow | FeedbackRow) -> None:
    log = served.store.log
    with served.store.connections.write() as connection:
        for row in rows:
            if isinstance(row, RequestRow):
                log.add_request(connection, row)
            else:
                log.put_feedback(connection, row)


def figures_of(served: Served, path: str = "/dashboard/figures?window=1h") -> Any:
    return httpx2.get(served.url + path, headers=served.headers, timeout=30).json()


def cells(page: Any, table: str, row: str) -> list[str]:
    found = page.locator(f"#{table} tbody tr").filter(has=page.locator("th", has_text=row)).first
    return list(found.locator("th, td").all_inner_texts())


def test_the_page_shows_the_figures(serve: Serve, ask: Ask, chromium: str) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        replies = asked_and_judged(served, ask)
        tab = Tab(browser, served)
        page = tab.open()
        until(page, "document.querySelectorAll('#requests-table a').length === 12")
        found, saved = figures_of(served), figures_of(served)["savings"]
        tiles = page.locator("#tiles .big").all_inner_texts()
        accuracy = found["accuracy"]
        assert accuracy["n"] == 9
        assert tiles == [
            "0", "12", tiles[2], f"{100 * accuracy['mean']:.1f} %", f"{saved['n_calls'] / 12:.2f}",
            tiles[5],
        ]  # fmt: skip
        assert tiles[2].endswith("s")
        assert float(tiles[5].strip("$")) == pytest.approx(saved["usd"], rel=0.01)
        assert f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f} %" in page.inner_text(
            "#accuracy-text"
        )
        everybody = cells(page, "savings-table", "Everybody asked")
        assert everybody[1] == "4.00"
        assert everybody[3] == str(saved["everybody"]["calls_saved"])
        if saved["everybody"]["usd_saved"] is None:
            assert everybody[4] == "not known"
        else:
            shown = float(everybody[4].strip("$"))
            assert shown == pytest.approx(saved["everybody"]["usd_saved"], rel=0.01)
        for member in found["members"]:
            row = cells(page, "members-table", member["name"])
            assert row[1] == "closed"
            assert row[2] == f"{100 * member['share_first']:.1f} %"
            assert row[3] == f"{100 * member['share_asked']:.1f} %"
        links = page.locator("#requests-table a")
        hrefs = [links.nth(k).get_attribute("href") for k in range(12)]
        assert hrefs == [f"/requests/{reply['id']}" for reply in reversed(replies)]
        tab.was_quiet()


def test_the_key_is_asked_for_and_wrong_ones_are_told(
    serve: Serve, ask: Ask, chromium: str
) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        ordinary = served.add_key("ordinary")
        page = Tab(browser, served).page
        page.goto(served.url)
        page.wait_for_selector("#door:not([hidden])")
        assert page.evaluate("document.activeElement.id") == "key"
        assert page.inner_text("#refused") == ""
        for key, words in ((f"rlf_abcdefgh_{'x' * 43}", "not known"), (ordinary, "--admin")):
            page.keyboard.type(key)
            page.keyboard.press("Enter")
            until(page, f"document.querySelector('#refused').textContent.includes('{words}')")
            page.wait_for_selector("#door:not([hidden])")
            assert page.evaluate("sessionStorage.getItem('rlfocal-key')") is None
        page.keyboard.type(served.key)
        page.keyboard.press("Enter")
        page.wait_for_selector("#figures:not([hidden])")
        # Nothing was asked yet.
        assert page.is_visible("#welcome")
        assert not page.is_visible("#requests")
        assert f"curl -s {served.url}/v1/chat/completions" in page.inner_text("#curl")
        assert "no feedback yet" in page.inner_text("#tiles")
        assert page.evaluate("localStorage.length") == 0
        assert page.context.cookies() == []
        assert served.key not in page.url
        ask(served)
        page.wait_for_selector("#requests-table a")
        assert not page.is_visible("#welcome")
        assert page.is_visible("#requests")


def test_the_slider_shows_other_prices(serve: Serve, ask: Ask, chromium: str) -> None:
    with serve(explore=1e-6) as (served, _), browsing(chromium) as browser:
        asked_and_judged(served, ask)
        tab = Tab(browser, served)
        page = tab.open()
        found = figures_of(served, "/dashboard/frontier")
        assert found["replay"]["n_as_served"] == 12
        dial = page.locator("#dial")
        assert dial.get_attribute("aria-valuetext").startswith("500 calls; price of a call 0.002")
        dial.focus()
        seen = {}
        page.keyboard.press("Home")
        for k, price in enumerate(reversed(found["dials"])):
            one = next(p for p in found["replay"]["prices"] if p["price"] == price)
            facts = page.text_content("#price-facts")
            assert f"{one['n']} of 12 requests could be played through" in facts
            said = page.inner_text("#price-says") + page.inner_text("#price-evidence")
            assert page.is_visible("#price-change") == bool(one["n"])
            if one["n"]:
                calls = cells(page, "price-change", "Calls a request")
                is_own = price == found["own"]  # there nothing would change
                both = [f"{one['served_n_calls']:.2f}", f"{one['n_calls']:.2f}"]
                assert calls[1:3] == both[: 1 if is_own else 2]
                right = cells(page, "price-change", "Right answers")
                if one["accuracy"]["n"] and not is_own:
                    assert right[2] == f"{100 * one['accuracy']['mean']:.1f} %"
            assert page.is_visible("#price-facts") is False
            seen[price] = said + facts
            assert dial.input_value() == str(k)
            page.keyboard.press("ArrowRight")
        assert len(set(seen.values())) == len(found["dials"])
        assert "everybody" in seen[0.0]
        assert "500 calls, as now" not in page.inner_text("#dial-text")
        tab.was_quiet()


def filled(served: Served, n: int = 150) -> None:
    """Logged requests over the last minutes, one of which failed and one that is unpriced."""
    checkpoint = served.gateway.checkpoint
    rng = np.random.default_rng(2)
    members = checkpoint.description.members
    now = time.time()
    rows: list[RequestRow | FeedbackRow] = []
    for k in range(n):
        given = [m for m in members if rng.random() < 0.6] or [members[0]]
        asked = [
            {"member": m, "answer": "B", "support": 1.0, "cost": 1.0, "latency_s": 0.5,
             "cost_usd": 0.01, "n_prompt_tokens": 9, "n_completion_tokens": 2}
            for m in given
        ]  # fmt: skip
        if k % 20 == 5:
            asked[0] |= {"answer": None, "failure": "timeout", "detail": "no reply in time"}
        trace = {
            "strategy": "rl-focal", "price": 0.002, "rounds": [
                {"asked": [one], "probabilities": {"B": 0.9}, "spent": i + 1.0,
                 "probability_of_stopping": 0.5}
                for i, one in enumerate(asked)
            ],
            "stopped": "it has enough", "answer": "B", "shut": [], "kind": "choice",
        }  # fmt: skip
        row = RequestRow(
            id=f"r{k}", key_id=None, created_at=now - 3000 + 20 * k, model="rlfocal",
            task="choices", policy="p", status=200, n_calls=len(asked), n_rounds=len(asked),
            usd=0.01 * len(asked), latency_s=0.5 * len(asked), own_s=0.004, trace=trace,
        )  # fmt: skip
        rows.append(replace(row, status=504, error="deadline_exceeded") if k % 40 == 7 else row)
        if k % 2:
            worth = {m: float(rng.random() < 0.4) for m in given}
            rows.append(
                FeedbackRow(
                    request_id=row.id, key_id=None, created_at=now, earned=float(k % 5 > 0),
                    score=float(k % 5 > 0), task="choices", given={}, member_scores=worth,
                )
            )  # fmt: skip
    put(served, *rows)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(serve: Serve, chromium: str, tmp_path: Path, scheme: str) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        filled(served)
        for width, height in ((1440, 900), (390, 844)):
            viewport = {"width": width, "height": height}
            tab = Tab(browser, served, viewport=viewport, color_scheme=scheme)
            page = tab.open()
            page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
            for path, ready in (("/", READY), ("/requests/r5", ".round")):
                if path != "/":
                    page = tab.open(path, ready)
                page.wait_for_timeout(200)
                assert page.evaluate(OVERFLOW) <= 0, f"{path} scrolls sideways at {width}"
                contrast = page.evaluate(POOR_CONTRAST)
                assert contrast["poor"] == []
                assert contrast["checked"] > 30
                name = tmp_path / f"{scheme}-{width}{path.replace('/', '-')}.png"
                page.screenshot(path=name, full_page=True)
                assert name.stat().st_size > 20_000
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            expected = {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 25, 30)"}
            assert ground == expected[scheme]
            tab.was_quiet()


CUT = """() => {
  const cut = [];
  for (const node of document.querySelectorAll("main *")) {
    const style = getComputedStyle(node);
    if (node.closest("svg, [hidden], details:not([open])") || style.display === "inline") continue;
    if (node.scrollWidth <= node.clientWidth + 1 || node.clientWidth === 0) continue;
    const scrolls = ["auto", "scroll"].includes(style.overflowX);
    const name = node.id || node.getAttribute("aria-label") || node.className || node.tagName;
    const shown = style.maskImage !== "none" && node.classList.contains("is-cut");
    if (!scrolls && style.textOverflow !== "ellipsis") cut.push(`${name} is cut`);
    if (scrolls && !shown) cut.push(`${name} does not show that it scrolls`);
  }
  return cut;
}"""
"""Boxes that hold more than can be seen, unless they scroll and show it."""
SCROLLING = """[...document.querySelectorAll(".scroll")]
  .filter((node) => node.scrollWidth > node.clientWidth + 1 && !node.closest("details:not([open])"))
  .map((node) => node.getAttribute("aria-label"))"""


def test_nothing_is_cut_off_at_any_width(serve: Serve, chromium: str) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        filled(served)
        page = Tab(browser, served).open()
        page.wait_for_selector("#keys-table tbody tr")
        for folds in ("false", "true"):
            page.evaluate(
                f"document.querySelectorAll('details').forEach((d) => (d.open = {folds}))"
            )
            for width in (320, 390, 480, 640, 768, 900, 1024, 1200, 1366, 1440, 1680, 1920):
                page.set_viewport_size({"width": width, "height": 900})
                page.wait_for_timeout(150)
                assert page.evaluate(CUT) == [], width
                assert page.evaluate(OVERFLOW) <= 0, width
                if folds == "false" and width >= 1024:
                    assert page.evaluate(SCROLLING) == [], width
        # At the right end there is no more to come.
        page.set_viewport_size({"width": 320, "height": 900})
        box = page.locator(".scroll[aria-label='Members']")
        page.wait_for_timeout(150)
        assert "is-cut" in box.get_attribute("class")
        box.evaluate("(node) => node.scrollTo(node.scrollWidth, 0)")
        until(page, "!document.querySelector(\".scroll[aria-label='Members']\").matches('.is-cut')")


def test_charts_over_time_say_what_the_figures_say(serve: Serve, ask: Ask, chromium: str) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        filled(served, 60)
        tab = Tab(browser, served)
        page = tab.open()
        page.wait_for_selector("#latency-members-plot svg")
        found = figures_of(served, "/dashboard/traffic?window=1h")
        busy = [one for one in found["intervals"] if one["outcomes"]]
        assert sum(sum(one["outcomes"].values()) for one in busy) == 60
        titles = page.locator("#requests-plot .hover title").all_text_contents()
        assert len(titles) == len(found["intervals"])
        assert sum("answered" in title for title in titles) == len(busy)
        assert any("1 failed" in title for title in titles)
        label = page.locator("#latency-plot svg").get_attribute("aria-label")
        assert "median 1" in label or "median 5" in label
        names = page.locator("#latency-members-plot .name title").all_text_contents()
        asked = {name for one in busy for name in one["members"]}
        assert names == [name for name in found["members"] if name in asked]
        rows = page.locator("#traffic-table tbody tr")
        assert rows.count() == len(found["intervals"])
        # What failed, by its kind.
        kinds = page.locator("#failures-plot .fail-late title").all_text_contents()
        n_late = sum(m["failures"].get("timeout", 0) for m in figures_of(served)["members"])
        assert n_late == sum(int(title.split(": ")[1].split()[0]) for title in kinds) > 0
        page.select_option("#window", "15m")
        until(page, "document.querySelectorAll('#traffic-table tbody tr').length < 35")
        tab.was_quiet()


def test_a_column_that_nobody_fills_is_not_there(serve: Serve, row: MakeRow, chromium: str) -> None:
    head = "[...document.querySelectorAll('#requests-table thead th')].map((th) => th.textContent)"
    with serve() as (served, _), browsing(chromium) as browser:
        put(served, row("r1", None, created_at=time.time(), task=""))
        page = Tab(browser, served).open()
        page.wait_for_selector("#requests-table a")
        assert "Task" not in page.evaluate(head)
        put(served, row("r2", None, created_at=time.time(), task="sums"))
        until(page, f"{head}.includes('Task')")
        assert cells(page, "requests-table", "")[2] == "sums"


def test_an_empty_gateway_shows_a_command_that_works(serve: Serve, chromium: str) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        page = Tab(browser, served).open()
        page.wait_for_selector("#welcome:not([hidden])")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.click("button[data-copies=curl]")
        until(page, "document.querySelector('button[data-copies=curl]').textContent === 'Copied'")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.inner_text("#curl")
        assert served.key not in copied
        command = copied.replace("What is 17 times 23?", "3 + 4 =")
        done = subprocess.run(
            ["bash", "-c", command], env=os.environ | {"KEY": served.key}, capture_output=True,
            check=True, timeout=120,
        )  # fmt: skip
        assert json.loads(done.stdout)["choices"]
        names: dict[str, Any] = {"KEY": served.key}
        code = page.text_content("#python").replace("What is 17 times 23?", "3 + 4 =")
        exec(compile(code, "welcome", "exec"), names)
        names["client"].close()
        page.wait_for_selector("#requests-table a")
        assert not page.is_visible("#welcome")


def test_a_start_without_labels_says_when_to_train(
    row: MakeRow, chromium: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "ENOUGH", 3)
    path = pool_file(tmp_path, "http://127.0.0.1:9/v1")
    with (
        serving(None, path, str(tmp_path / "g.db"), keep_prompts=True, poll_s=0.1) as served,
        browsing(chromium) as browser,
    ):

        def judge(k: int, prompt: str | None) -> None:
            trace = {"rounds": [{"asked": [{"member": "plain", "answer": "7"}]}], "kind": "number"}
            asked = row(f"r{k}", None, created_at=time.time(), prompt=prompt, trace=trace)
            given = {"given": {"plain": 0}, "member_scores": {"plain": 1.0}}
            judged = FeedbackRow(
                request_id=f"r{k}", key_id=None, created_at=time.time(), score=1.0, earned=1.0,
                task="sums", **given,
            )  # fmt: skip
            put(served, asked, judged)

        tab = Tab(browser, served)
        page = tab.open(ready="#labels:not([hidden])")
        assert page.inner_text("#h-labels") == "Started without labels: no answer judged yet"
        judge(0, None)
        judge(1, "3 + 4 =")
        until(page, "document.querySelector('#h-labels').textContent.includes('2 answers judged')")
        said = page.inner_text("#labels-text")
        assert "from 3 judged answers on" in said
        assert "So far there are 1; of 1 more the prompts were not kept" in said
        assert page.evaluate("document.querySelector('#labels-bar').value") == 1
        assert not page.is_visible("#labels-command")
        judge(2, "4 + 5 =")
        judge(3, "5 + 6 =")
        until(page, "document.querySelector('#h-labels').textContent.startsWith('Enough')")
        assert "rlfocal train" in page.inner_text("#labels-command")
        assert page.evaluate(OVERFLOW) <= 0
        tab.was_quiet()


def test_keys_are_listed_with_what_they_spent(serve: Serve, ask: Ask, chromium: str) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        plain = served.add_key("web-shop", usd=5.0, period="day")
        served.add_key(EVIL)
        ask(served, key=plain)
        ask(served)
        tab = Tab(browser, served)
        page = tab.open()
        until(page, "document.querySelectorAll('#keys-table tbody tr').length === 3")
        found = {one["name"]: one for one in figures_of(served, "/dashboard/traffic")["keys"]}
        web = cells(page, "keys-table", "web-shop")
        assert web[1:3] == ["active", "1"]
        assert float(web[3].strip("$")) == pytest.approx(found["web-shop"]["usd"], rel=0.01)
        assert web[4] == "$5.00 a day"
        assert float(web[5].strip("$")) == pytest.approx(found["web-shop"]["left_usd"], abs=0.006)
        assert cells(page, "keys-table", EVIL)[-1] == "never"
        assert plain not in page.content()
        assert page.locator("img").count() == 0
        tab.was_quiet()


def test_it_can_be_used_by_keyboard_alone(serve: Serve, chromium: str) -> None:
    focus = """() => {
      const node = document.activeElement;
      const style = getComputedStyle(node);
      const box = node.getBoundingClientRect();
      const name = node.id || node.getAttribute("aria-label") || node.textContent;
      const leads = node.closest("#requests-table") ? node.getAttribute("href") : name;
      return [leads, style.outlineStyle, parseFloat(style.outlineWidth), box.width];
    }"""
    with serve() as (served, _), browsing(chromium) as browser:
        filled(served, 60)
        tab = Tab(browser, served)
        page = tab.open()
        reached: list[str] = []
        for _ in range(120):
            page.keyboard.press("Tab")
            name, style, width, box = page.evaluate(focus)
            if page.evaluate("document.activeElement === document.body"):
                break  # past the last one
            reached.append(name)
            assert style != "none", f"focus on {name} cannot be seen"
            assert width >= 1
            assert box > 0
        assert reached[0] == "Skip to the figures"
        for wanted in ("Requests", "window", "dial", "Latest requests", "Members", "Keys"):
            assert wanted in reached
        links = [name for name in reached if name.startswith("/requests/")]
        assert len(links) >= 40
        page.locator("#requests-table a").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".round")
        assert page.url.endswith("/requests/r59")
        # The skip link leads to the figures.
        page.goto(served.url)
        page.wait_for_selector(READY, state="attached")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "now"
        tab.was_quiet()


def test_nothing_moves_and_focus_stays_while_figures_come_in(
    serve: Serve, ask: Ask, chromium: str
) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        filled(served, 60)
        tab = Tab(browser, served)
        page = tab.open()
        link = page.locator("#requests-table a[href='/requests/r59']")
        link.focus()
        for _ in range(3):
            ask(served)
            page.wait_for_timeout(1500)
        until(page, "document.querySelectorAll('#requests-table a').length === 50")
        until(page, "!document.querySelector('#requests-table a').href.includes('/requests/r')")
        assert page.evaluate("document.activeElement.getAttribute('href')") == "/requests/r59"
        assert page.evaluate("window.shifted") < 0.05
        tab.was_quiet()


def test_a_page_out_of_view_asks_for_nothing(serve: Serve, chromium: str) -> None:
    with serve() as (served, _), browsing(chromium) as browser:
        tab = Tab(browser, served)
        page = tab.open()
        page.evaluate("Object.defineProperty(document, 'hidden', {value: true, writable: true})")
        page.wait_for_timeout(300)
        before = len(tab.asked)
        page.wait_for_timeout(4500)
        assert len(tab.asked) == before
        page.evaluate(
            "document.hidden = false; document.dispatchEvent(new Event('visibilitychange'))"
        )
        page.wait_for_timeout(500)
        assert len(tab.asked) > before


def test_names_that_are_markup_stay_text(
    serve: Serve, row: MakeRow, ask: Ask, chromium: str
) -> None:
    def edit(pool: str) -> str:
        return f"{pool}\n[[members]]\nname = '{EVIL}'\nendpoint = 'stub'\nmodel = 'plain'\n"

    said = {
        "member": EVIL, "answer": EVIL, "support": 1.0, "cost": 1.0, "failure": EVIL,
        "detail": EVIL, "cost_usd": 0.1,
    }  # fmt: skip
    trace = {
        "strategy": EVIL, "price": 0.1, "policy": EVIL, "why": EVIL, "stopped": EVIL,
        "answer": EVIL, "shut": [EVIL], "not_asked": [EVIL], "kind": EVIL, "synthesis": said,
        "rounds": [{"asked": [said], "probabilities": {EVIL: 1.0}, "spent": 1.0}],
    }  # fmt: skip
    with serve(edit=edit) as (served, _), browsing(chromium) as browser:
        for model in (EVIL, "rlfocal"):
            reply = ask(served, "3 + 4 =", model=model, extension={"task": EVIL})
            assert reply.status_code == 200
        put(
            served,
            row(
                "evil", None, created_at=time.time(), model=f"rlfocal:{EVIL}", task=EVIL,
                policy=EVIL, error=EVIL, prompt=EVIL, trace=trace, n_calls=2, usd=0.2,
                given={EVIL: 0}, candidates=[EVIL], chosen=0,
            ),
            row("worse", None, created_at=time.time(), status=500, error=EVIL, trace=trace),
            FeedbackRow(
                request_id="evil", key_id=None, created_at=1.0, answer=EVIL, earned=1.0,
                task=EVIL, given={EVIL: 0}, member_scores={EVIL: 1.0},
            ),
        )  # fmt: skip
        tab = Tab(browser, served)
        page = tab.open()
        page.wait_for_selector("#requests-table a")
        assert page.locator("#requests-table", has_text=EVIL).count() == 1
        assert cells(page, "members-table", EVIL)[0].startswith(EVIL)
        assert page.locator("img").count() == 0
        for request_id in ("evil", "worse"):
            page = tab.open(f"/requests/{request_id}", ".round")
            assert page.locator("img").count() == 0
            assert page.locator("#figures", has_text=EVIL).count() == 1
        assert page.evaluate("document.querySelectorAll('script').length") == 1
        tab.was_quiet()


def test_errors_are_told_and_pass(
    serve: Serve, ask: Ask, chromium: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = threading.Event()

    with serve() as (served, _), browsing(chromium) as browser:
        connections = served.store.connections
        read = connections.read

        @contextmanager
        def sometimes() -> Iterator[Any]:
            if gone.is_set():
                raise DatabaseError("gone")
            with read() as connection:
                yield connection

        monkeypatch.setattr(connections, "read", sometimes)
        reply = ask(served)
        tab = Tab(browser, served)
        page = tab.open()
        assert not page.is_visible("#trouble")
        gone.set()
        page.wait_for_selector("#trouble:not([hidden])", timeout=15_000)
        assert "database is away" in page.inner_text("#trouble")
        assert "What you see is from" in page.inner_text("#trouble")
        gone.clear()
        page.wait_for_selector("#trouble[hidden]", state="attached", timeout=15_000)
        page.goto(f"{served.url}/requests/none")
        page.wait_for_selector("#trouble:not([hidden])")
        assert "no request of that id" in page.inner_text("#trouble")
        page.goto(f"{served.url}/requests/{reply.json()['id']}")
        page.wait_for_selector(".round")
        assert not page.is_visible("#trouble")
