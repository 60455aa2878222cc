"""Text as HTML: escaped once, and tables that everybody can read.

The pages of a report, and what a notebook shows of a result, are made of these.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["Html", "as_html", "escape", "table"]


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
) -> Html:
    """Make a table whose first column names the rows.

    Args:
        head: column titles.
        rows: cells, each row as long as `head`.
        label: what the table shows, for readers who cannot see it.
        classes: CSS classes of the table.
        row_classes: CSS class of each row; empty for none.
    """
    titles = "".join(f'<th scope="col">{as_html(title)}</th>' for title in head)
    marks = list(row_classes) or [""] * len(rows)
    body = "\n".join(
        f'<tr class="{mark}"><th scope="row">{as_html(first)}</th>'
        + "".join(f"<td>{as_html(cell)}</td>" for cell in rest)
        + "</tr>"
        for (first, *rest), mark in zip(rows, marks, strict=True)
    )
    # A box that scrolls must be reachable by keyboard, hence the tabindex.
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">\n'
        f'<table class="{classes}"><thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody></table></div>"
    )
