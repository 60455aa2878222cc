"""One self-contained HTML file: no network, works from a folder, an attachment or a server.

Puts the sections into the page's frame, together with plotly.js, the two themes and the few lines
of script that draw the figures.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
import plotly.offline

from rlfocal import __version__
from rlfocal.bench import BenchResult
from rlfocal.files import check_writable
from rlfocal.markup import Html, escape
from rlfocal.records import ResponseTable
from rlfocal.report.html import Section
from rlfocal.report.sections import sections
from rlfocal.report.theme import DARK, LIGHT, template

__all__ = ["render", "write_report"]

FILE_NAME = "index.html"
SEED = 0
"""Draws subsets and queries of the diversity figure: the same report for the same result."""


def write_report(result: BenchResult, table: ResponseTable, folder: Path) -> Path:
    """Write the report of a benchmark to index.html in a folder, made where it does not exist.

    Returns:
        The path of the page, which appears whole or not at all.

    Raises:
        ConfigError: the folder cannot be written.
        ValueError: the table has other members than the result.
    """
    check_writable(folder)
    page = render(result, table)
    target = folder / FILE_NAME
    fresh = folder / f".{FILE_NAME}.part"
    fresh.write_text(page, encoding="utf-8")
    fresh.replace(target)
    return target


def render(result: BenchResult, table: ResponseTable) -> str:
    """Return the report as one HTML text.

    Raises:
        ValueError: the table has other members than the result.
    """
    if result.members != table.members:
        raise ValueError(
            f"the result has members {result.members}, the table {table.members}: "
            "pass the table that the benchmark ran on"
        )
    parts = list(sections(result, table, rng=np.random.default_rng(SEED)))
    today = datetime.now(UTC).date().isoformat()
    mark = "SYNTHETIC: " if result.synthetic else ""
    themes = {name: template(t).to_plotly_json() for name, t in (("light", LIGHT), ("dark", DARK))}
    body = Template(_asset("report.html")).substitute(
        heading=escape(f"{mark}{result.data}"),
        banner=_banner(result),
        contents="\n".join(f'<li><a href="#{s.anchor}">{escape(s.title)}</a></li>' for s in parts),
        facts=_facts(result, table),
        sections="\n".join(_section(part) for part in parts),
        footer=escape(
            f"Made by rlfocal {__version__} on {today}. This page loads nothing from anywhere."
        ),
        themes=json.dumps(themes),
        plotly=plotly.offline.get_plotlyjs(),
        script=_assets(".js"),
    )
    return Template(_shared("page.html")).substitute(
        title=escape(f"{mark}{result.data} - rlfocal report"),
        head=f"<style>\n{_shared('page.css')}{_assets('.css')}</style>",
        body=body,
    )


def _shared(name: str) -> str:
    """A file that every page of the package begins with, the dashboard's too."""
    return (resources.files("rlfocal") / name).read_text(encoding="utf-8")


def _asset(name: str) -> str:
    return (resources.files("rlfocal.report") / "assets" / name).read_text(encoding="utf-8")


def _assets(suffix: str) -> str:
    """All style sheets or scripts of the report, by name: each part of the page brings its own."""
    found = (resources.files("rlfocal.report") / "assets").iterdir()
    return "".join(_asset(name) for name in sorted(f.name for f in found) if name.endswith(suffix))


def _banner(result: BenchResult) -> Html:
    if not result.synthetic:
        return Html("")
    return Html(
        '<p class="banner" role="note"><strong>SYNTHETIC</strong>: these answers were drawn from a '
        "simulation. They say nothing about any real model.</p>"
    )


def _section(section: Section) -> str:
    return (
        f'<section aria-labelledby="{section.anchor}">\n'
        f'<h2 id="{section.anchor}">{escape(section.title)}</h2>\n{section.body}\n</section>'
    )


def _facts(result: BenchResult, table: ResponseTable) -> Html:
    protocol = result.protocol
    how = "own split" if protocol.use_split else f"{protocol.n_folds} folds"
    seeds = "1 seed" if protocol.n_seeds == 1 else f"{protocol.n_seeds} seeds"
    environment = result.environment
    facts = {
        "Queries tested": f"{result.tested['n_queries']:,}, {_count(len(table.tasks), 'task')}",
        "Members": f"{len(result.members)}: {', '.join(result.members)}",
        "Protocol": f"{how}, {seeds}, {protocol.n_resamples:,} bootstrap resamples",
    }
    if "date" in environment:
        facts["Run on"] = str(environment["date"])
    machine = [str(environment[key]) for key in ("platform", "cpu") if key in environment]
    facts["Environment"] = ", ".join([f"rlfocal {__version__}", *machine])
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return Html(f'<dl class="facts">{rows}</dl>')


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" + ("" if n == 1 else "s")
