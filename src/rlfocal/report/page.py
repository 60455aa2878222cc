"""One self-contained HTML file: no network, works from a folder, an attachment or a server.

Puts the sections into the page's frame, together with its style sheets and few lines of script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np

from rlfocal import __version__
from rlfocal.advice import advise
from rlfocal.bench import BenchResult
from rlfocal.bench.summaries.reading import Readings, readings_of
from rlfocal.files import replace_file
from rlfocal.markup import Html, escape
from rlfocal.records import Dataset, ResponseTable
from rlfocal.report.html import Section
from rlfocal.report.place import PAGE, TITLE_END, check_page
from rlfocal.report.questions import questions_of
from rlfocal.report.sections import sections
from rlfocal.report.verdict import finding

__all__ = ["render", "write_report"]

SEED = 0
"""Draws subsets and queries of the diversity figure: the same report for the same result."""


def write_report(
    result: BenchResult,
    table: ResponseTable,
    folder: str | Path,
    *,
    dataset: Dataset | None = None,
    readings: Readings | None = None,
    overwrite: bool = True,
) -> Path:
    """Write the report of a benchmark to index.html in a folder, made where it does not exist.

    Args:
        result: of the benchmark.
        table: the one it ran on.
        folder: where to; its other files stay as they are.
        dataset: what the table was built from, for a page in which every question can be looked at,
            with replies where it was read `with_text`; None for a page without any prompt.
        readings: what `readings_of` found of members that read others; None to find that out of
            what is given here.
        overwrite: replace the report that is there, as running a notebook again does. A page that
            is no report is never replaced.

    Returns:
        The path of the page, which appears whole or not at all.

    Raises:
        ConfigError: the folder cannot or must not be written.
        ValueError: the table has other members than the result, or the data set other queries.
    """
    folder = Path(folder)
    check_page(folder, overwrite=overwrite)
    page = render(result, table, dataset=dataset, readings=readings)
    target = folder / PAGE
    replace_file(target, lambda fresh: fresh.write_text(page, encoding="utf-8"))
    return target


def render(
    result: BenchResult,
    table: ResponseTable,
    *,
    dataset: Dataset | None = None,
    readings: Readings | None = None,
) -> str:
    """Return the report as one HTML text; see `write_report`.

    Raises:
        ValueError: the table has other members than the result, or the data set other queries.
    """
    if result.members != table.members:
        raise ValueError(
            f"the result has members {result.members}, the table {table.members}: "
            "pass the table that the benchmark ran on"
        )
    advice = advise(result)
    rng = np.random.default_rng(SEED)
    readings = readings_of(table, dataset) if readings is None else readings
    parts = list(sections(result, table, advice, rng=rng, readings=readings))
    questions = None if dataset is None else questions_of(result, table, dataset, advice)
    if questions is not None:
        place = next((i for i, part in enumerate(parts) if part.anchor == "members"), len(parts))
        parts.insert(place, questions.section)
    today = datetime.now(UTC).date().isoformat()
    mark = "SYNTHETIC: " if result.synthetic else ""
    scripts = [_assets(".js")]
    body = Template(_asset("report.html")).substitute(
        heading=escape(f"{mark}{result.data}"),
        banner=_banner(result),
        contents="\n".join(f'<li><a href="#{s.anchor}">{escape(s.title)}</a></li>' for s in parts),
        finding=finding(result, advice),
        facts=_facts(result, table),
        notice="" if questions is None else Html(f'<p class="notice">{questions.notice}</p>'),
        sections="\n".join(_section(part) for part in parts),
        footer=escape(
            f"Made by rlfocal {__version__} on {today}. This page loads nothing from anywhere."
        ),
        viewer="" if questions is None else questions.viewer,
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )
    return Template(_shared("page.html")).substitute(
        title=escape(f"{mark}{result.data} {TITLE_END}"),
        head=f"{_policy(scripts)}\n<style>\n{_shared('page.css')}{_assets('.css')}</style>",
        body=body,
    )


def _policy(scripts: Sequence[str]) -> Html:
    """Forbid every request, and every script but those of the page itself."""
    own = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {own}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">')


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


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
    tasks = result.tasks_shown()
    facts = {
        "Queries tested": f"{result.tested['n_queries']:,}, {_count(len(table.tasks), 'task')}"
        f"{tasks and f', {tasks} to strategies'}",
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
