"""Pieces of the page: figures with a text alternative, and what folds away.

Every text handed in is escaped here, once; only `Html` passes through as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rlfocal.markup import Html, as_html, escape
from rlfocal.report.drawing.plot import swatch

__all__ = ["Choice", "Section", "chart", "details", "legend", "panel", "panels", "paragraphs"]


@dataclass(frozen=True)
class Section:
    """One section of the page."""

    anchor: str
    title: str
    body: Html


@dataclass(frozen=True)
class Choice:
    """One of the charts that a reader can switch between."""

    label: str
    drawing: Html
    """SVG or a table."""
    alternative: str = ""
    """The same numbers as a table, where the drawing is none."""
    legend: str = ""
    """From `legend`."""


def paragraphs(texts: Iterable[str], *, first_class: str = "") -> Html:
    """Wrap each text in a paragraph; the first one may get a class."""
    classes = itertools.chain([first_class], itertools.repeat(""))
    return Html(
        "\n".join(
            f'<p class="{name}">{as_html(text)}</p>' if name else f"<p>{as_html(text)}</p>"
            for text, name in zip(texts, classes, strict=False)
        )
    )


def details(summary: str, body: str) -> Html:
    """Fold something away behind a line that opens it."""
    return Html(f"<details><summary>{as_html(summary)}</summary>\n{as_html(body)}</details>")


def chart(anchor: str, aid: str, choices: Sequence[Choice], *, pick: str = "") -> Html:
    """Make a figure with how to read it and its numbers as tables.

    Args:
        anchor: unique name within the page.
        aid: one sentence or two on how to read it.
        choices: one chart or several to switch between.
        pick: label of the switch.
    """
    if not choices:
        raise ValueError(f"chart {anchor!r} needs at least one drawing")
    switch = ""
    if len(choices) > 1:
        options = "".join(
            f'<option value="{i}">{escape(c.label)}</option>' for i, c in enumerate(choices)
        )
        switch = f'<p class="pick"><label>{escape(pick)} <select>{options}</select></label></p>\n'
    drawings = _each([_drawing(choice, aid) for choice in choices])
    tables = _each([choice.alternative for choice in choices])
    numbers = details("Show the numbers as a table", tables) if choices[0].alternative else ""
    return Html(
        f'<figure class="chart" id="{anchor}" data-chart>\n{switch}{drawings}\n'
        f"<figcaption>{escape(aid)}</figcaption>\n{numbers}</figure>"
    )


def legend(keys: Sequence[tuple[str, str]]) -> Html:
    """Make the switches of a drawing's series.

    Args:
        keys: name and colour (a class of the drawing) of each series, in the order of the drawing;
            those that are "grey" show little of themselves until they are switched on.
    """
    buttons = "".join(
        f'<button type="button" data-series="{i}" aria-pressed="{str(colour != "grey").lower()}">'
        f"{swatch(colour)}{escape(name)}</button>"
        for i, (name, colour) in enumerate(keys)
    )
    return Html(f'<p class="legend" role="group" aria-label="Show or hide">{buttons}</p>')


def panel(heading: str, drawing: Html, *, label: str, colour: str = "") -> Html:
    """A small drawing under its heading.

    Args:
        heading: what it is of.
        drawing: SVG.
        label: the same in words, for readers who cannot see it.
        colour: of the series that it shows.
    """
    mark = swatch(colour) if colour else ""
    return Html(
        f'<div class="panel"><h4>{mark}{escape(heading)}</h4>\n'
        f'<div role="img" aria-label="{escape(label)}">{drawing}</div></div>'
    )


def panels(drawings: Iterable[Html]) -> Html:
    """Set small drawings side by side, as many as there is room for."""
    shown = "\n".join(drawings)
    return Html(f'<div class="panels">\n{shown}\n</div>')


def _drawing(choice: Choice, aid: str) -> Html:
    if not choice.drawing.startswith("<svg"):
        return Html(f"{choice.legend}{choice.drawing}")
    # A browser shows one of the variants; to readers who see neither both are this label.
    label = escape(f"{choice.label}. {aid}")
    return Html(
        f'<div class="drawing" role="img" aria-label="{label}">\n{choice.drawing}</div>\n'
        f"{choice.legend}"
    )


def _each(bodies: Sequence[str]) -> Html:
    """All alternatives, of which the page shows the one that is chosen."""
    return Html(
        "\n".join(
            f'<div data-choice="{i}"{" hidden" if i else ""}>{body}</div>'
            for i, body in enumerate(bodies)
        )
    )
