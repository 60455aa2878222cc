"""Text as HTML: escaped once, and tables that everybody can read.

The pages of a report are made of these, and so is what an object shows of itself: `print` and a
notebook draw one `Sheet`, as text and as HTML.
"""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Code", "Displayed", "Grid", "Html", "Sheet", "as_html", "escape", "one_line", "table"]

_WIDTH = 80
_MOST_ROWS = 40
_MOST_NOTES = 5
_NUMBER = re.compile(r"[-+]?[\d.,]+( .*|%)?|-?")


class Html(str):
    """A string that is HTML already."""

    __slots__ = ()


def escape(text: str) -> str:
    """Escape a text for HTML, attributes included.

    >>> escape('<b>"x"</b>')
    '&lt;b&gt;&#34;x&#34;&lt;/b&gt;'
    """
    return html.escape(text, quote=False).replace('"', "&#34;").replace("'", "&#39;")


def as_html(text: str) -> str:
    """Escape a text, unless it is HTML already."""
    return text if isinstance(text, Html) else escape(text)


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    label: str,
    classes: str = "",
    row_classes: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> Html:
    """Make a table whose first column names the rows.

    Args:
        head: column titles.
        rows: cells, each row as long as `head`.
        label: what the table shows, for readers who cannot see it.
        classes: CSS classes of the table.
        row_classes: CSS class of each row; empty for none.
        styles: inline style of each column, where no style sheet is at hand; empty for none.
    """
    styled = [f' style="{style}"' for style in styles] or [""] * len(head)
    titles = "".join(
        f'<th scope="col"{style}>{as_html(title)}</th>'
        for title, style in zip(head, styled, strict=True)
    )
    marks = list(row_classes) or [""] * len(rows)
    body = "\n".join(
        f'<tr class="{mark}"><th scope="row"{styled[0]}>{as_html(first)}</th>'
        + "".join(
            f"<td{style}>{as_html(cell)}</td>" for cell, style in zip(rest, styled[1:], strict=True)
        )
        + "</tr>"
        for (first, *rest), mark in zip(rows, marks, strict=True)
    )
    # A box that scrolls must be reachable by keyboard, hence the tabindex.
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">\n'
        f'<table class="{classes}"><thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody></table></div>"
    )


def one_line(text: str, most: int = 60) -> str:
    r"""A text as the cell of a table: blanks and line breaks as one blank, cut with dots.

    >>> one_line("The answer\n is 4", 12)
    'The answ ...'
    """
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 4].rstrip()} ..."


class Code(str):
    """A line of commands."""

    __slots__ = ()


class Grid(NamedTuple):
    """A table whose first column names the rows."""

    label: str
    """What it shows."""
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    """Cells, each row as long as `head`."""


class Sheet(NamedTuple):
    """What an object shows of itself: a title, then sentences, tables and commands, then notes."""

    title: str
    parts: tuple[str | Grid, ...] = ()
    notes: tuple[str, ...] = ()
    """Folded up in a notebook; in a terminal the first few."""

    def text(self) -> str:
        """For a terminal; sentences are wrapped at 80 columns."""
        parts = [_as_text(part) for part in (self.title, *self.parts) if part]
        parts += [_as_text(f"note: {note}") for note in self.notes[:_MOST_NOTES]]
        if len(self.notes) > _MOST_NOTES:
            parts.append(f"... and {len(self.notes) - _MOST_NOTES:,} more notes")
        return re.sub("\n{3,}", "\n\n", "\n".join(parts)).rstrip("\n")

    def html(self) -> Html:
        """For a notebook, whose own colours it keeps, light or dark."""
        parts = [_part_as_html(part) for part in self.parts if part]
        if self.notes:
            count = f"{len(self.notes):,} note{'s' if len(self.notes) > 1 else ''}"
            items = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
            parts.append(f"<details><summary>{count}</summary><ul>{items}</ul></details>")
        return Html("\n".join([f"<div><p><b>{escape(self.title)}</b></p>", *parts, "</div>"]))


class Displayed:
    """Whatever derives from it says once, in `_sheet`, what `print` and a notebook show of it."""

    __slots__ = ()

    def _sheet(self) -> Sheet:
        raise NotImplementedError

    def __str__(self) -> str:
        return self._sheet().text()

    def _repr_html_(self) -> str:
        return self._sheet().html()


def _cut(grid: Grid) -> tuple[Sequence[Sequence[str]], str]:
    """The first rows, and what is said of the rest."""
    more = len(grid.rows) - _MOST_ROWS
    return grid.rows[:_MOST_ROWS], f"... and {more:,} more" if more > 0 else ""


def _sides(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Where the cells of each column stand: figures to the right, words to the left."""
    return [
        "right" if place and all(_NUMBER.fullmatch(row[place]) for row in rows) else "left"
        for place in range(len(head))
    ]


def _part_as_html(part: str | Grid) -> str:
    if isinstance(part, Grid):
        rows, more = _cut(part)
        styles = [
            f"text-align: {side}; padding: .1em .8em .1em 0" for side in _sides(part.head, rows)
        ]
        made = table(part.head, rows, label=part.label, styles=styles)
        return made + (f"<p>{more}</p>" if more else "")
    return (
        f'<pre style="white-space: pre-wrap">{escape(part)}</pre>'
        if isinstance(part, Code)
        else f"<p>{escape(part)}</p>"
    )


def _as_text(part: str | Grid) -> str:
    if isinstance(part, Code):
        return textwrap.indent(part, "    ")
    if not isinstance(part, Grid):
        return textwrap.fill(part, _WIDTH, break_long_words=False, break_on_hyphens=False)
    rows, more = _cut(part)
    padded: list[list[str]] = []
    for side, *column in zip(_sides(part.head, rows), part.head, *rows, strict=True):
        width = max(map(len, column))
        padded.append([f"{cell:{'>' if side == 'right' else '<'}{width}}" for cell in column])
    lines = ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]
    return "\n".join(["", *lines, *([more] if more else []), ""])
