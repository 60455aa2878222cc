"""A headless Chromium, and what tests of pages ask of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from serving import Served

BROWSER_ARGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run",
)  # fmt: skip

READY = "#price-table tbody tr"
"""Is there once the front page of a dashboard shows everything."""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
"""Adds up how much the layout has shifted, whoever was the cause."""

POOR_CONTRAST = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const light = ([r, g, b]) => {
    const part = (v) => (v / 255 <= 0.04045 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const poor = [];
  const check = (node, colour, least) => {
    if (node.getClientRects().length === 0) return;
    const found = ratio(parse(colour), ground(node));
    if (found < least) {
      const what = `${node.tagName}.${node.getAttribute("class")}`;
      poor.push(`${what} ${node.textContent.slice(0, 30)}: ${found.toFixed(2)}`);
    }
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    const isText = walk.currentNode.textContent.trim() !== "";
    if (!isText || node.closest("script, style, title, noscript")) continue;
    const style = getComputedStyle(node);
    check(node, node.closest("svg") ? style.fill : style.color, 4.5);
    checked += 1;
  }
  for (const mark of document.querySelectorAll("svg .fill-first, svg .fill-second, svg .dot")) {
    check(mark, getComputedStyle(mark).fill, 3);
  }
  return { checked, poor };
}"""
"""Texts whose colour contrasts less with their ground than AA asks for, and marks of charts."""


@contextmanager
def browsing(chromium: str) -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(BROWSER_ARGS))
        yield browser
        browser.close()


class Tab:
    """A page under watch: what it logs, and what it asks for."""

    def __init__(self, browser: Any, served: Served, **options: Any) -> None:
        options = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"} | options
        self.page = browser.new_page(**options)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.add_init_script(SHIFTS)
        self.served = served

    def know(self, key: str) -> None:
        self.page.add_init_script(f"sessionStorage.setItem('rlfocal-key', '{key}')")

    def open(self, path: str = "/", ready: str = READY) -> Any:
        self.know(self.served.key)
        self.page.goto(self.served.url + path)
        self.page.wait_for_selector(ready, state="attached", timeout=30_000)
        return self.page

    def was_quiet(self) -> None:
        assert self.said == []
        assert all(url.startswith((self.served.url, "data:")) for url in self.asked)


def until(page: Any, condition: str, most_s: float = 60) -> None:
    """Wait; Playwright's own way evaluates a text in the page, which its policy forbids."""
    deadline = time.monotonic() + most_s
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)
