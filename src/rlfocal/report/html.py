"""Pieces of the page: figures with a text alternative, and what folds away.

Every text handed in is escaped here, once; only `Html` passes through as it is.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from rlfocal.markup import Html, as_html, escape

__all__ = ["Choice", "Section", "chart", "details", "paragraphs"]


@dataclass(frozen=True)
class Section:
    """One section of the page."""

    anchor: str
    title: str
    body: Html


@dataclass(frozen=True, eq=False)
class Choice:
    """One of the figures that a reader can switch between."""

    label: str
    figure: go.Figure
    alternative: Html
    """The same numbers as a table."""


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


def chart(
    anchor: str, aid: str, choices: Sequence[Choice], *, pick: str = "", min_width_px: int = 0
) -> Html:
    """Make a figure that the page's script draws, with how to read it and its numbers as tables.

    Args:
        anchor: unique name within the page.
        aid: one sentence on how to read it.
        choices: one figure or several to switch between.
        pick: label of the switch.
        min_width_px: narrower screens scroll the figure inside its box; 0 where it always fits.
    """
    if not choices:
        raise ValueError(f"chart {anchor!r} needs at least one figure")
    switch = ""
    if len(choices) > 1:
        options = "".join(
            f'<option value="{i}">{escape(c.label)}</option>' for i, c in enumerate(choices)
        )
        switch = f'<p class="pick"><label>{escape(pick)} <select>{options}</select></label></p>\n'
    specs = [_spec(choice.figure) for choice in choices]
    payload = json.dumps(specs, separators=(",", ":")).replace("<", "\\u003c")
    style = f' style="min-width:{min_width_px}px"' if min_width_px else ""
    focus = ' tabindex="0"' if min_width_px else ""
    tables = "".join(
        f'<div data-choice="{i}"{" hidden" if i else ""}>{choice.alternative}</div>'
        for i, choice in enumerate(choices)
    )
    return Html(
        f'<figure class="chart" id="{anchor}" data-chart>\n{switch}'
        f'<div class="box"{focus}><div class="plot" role="img" aria-label="{escape(aid)}"{style}>'
        f"</div></div>\n"
        f'<script type="application/json">{payload}</script>\n'
        f"<figcaption>{escape(aid)}</figcaption>\n"
        f"{details('Show the numbers as a table', Html(tables))}</figure>"
    )


def _spec(figure: go.Figure) -> dict[str, object]:
    """Return data and layout without the template: the page supplies one that suits its theme."""
    spec: dict[str, object] = json.loads(figure.to_json())
    layout = spec["layout"]
    assert isinstance(layout, dict)
    layout.pop("template", None)
    return spec
