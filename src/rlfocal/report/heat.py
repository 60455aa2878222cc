"""A matrix as a table whose cells are shaded: everybody can read it, and it needs no picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlfocal.markup import Html, escape
from rlfocal.numbers import Float64Array
from rlfocal.report.labels import number, short_names

__all__ = ["N_SHADES", "heat_table"]

N_SHADES = 7
_DENSE_FROM = 16
"""More columns than this are set small, so that a screen shows as many as can be read."""
_NAME, _COLUMN = 26, 22
"""Longest names of rows and columns; longer ones are cut, and shown whole when pointed at."""


def heat_table(
    values: Float64Array,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    label: str,
    bounds: tuple[float, float] | None = None,
    digits: int = 0,
) -> Html:
    """Show a matrix as shaded cells with their numbers, the first row on top.

    Args:
        values: float64[R, K]; NaN cells stay empty.
        rows: R names.
        columns: K names.
        label: what the numbers are.
        bounds: values of the palest and the strongest shade; None for the least and the greatest.
        digits: decimals of the numbers.
    """
    if bounds is None:
        finite = values[np.isfinite(values)]
        bounds = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    head = "".join(
        f'<th scope="col"{_whole(name, short)}><span>{escape(short)}</span></th>'
        for name, short in zip(columns, short_names(columns, limit=_COLUMN), strict=True)
    )
    body = "\n".join(
        f'<tr><th scope="row"{_whole(name, short)}>{escape(short)}</th>'
        + "".join(_cell(float(value), bounds, digits) for value in line)
        + "</tr>"
        for name, short, line in zip(rows, short_names(rows, limit=_NAME), values, strict=True)
    )
    look = "heat dense" if len(columns) > _DENSE_FROM else "heat"
    return Html(
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">\n'
        f'<table class="{look}"><thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody></table></div>"
    )


def _whole(name: str, short: str) -> str:
    return "" if name == short else f' title="{escape(name)}"'


def _cell(value: float, bounds: tuple[float, float], digits: int) -> str:
    if not np.isfinite(value):
        return "<td></td>"
    # A wide matrix has no room for zeros that say nothing.
    shown = number(value, digits).replace("0.", ".", 1) if abs(value) < 1 else number(value, digits)
    return f"<td class=s{shade(value, bounds)}>{shown}</td>"


def shade(value: float, bounds: tuple[float, float]) -> int:
    """Which shade a value gets, from 0 to 6; values beyond the bounds get the last ones.

    >>> shade(0.0, (0, 1)), shade(0.5, (0, 1)), shade(2.0, (0, 1))
    (0, 3, 6)
    """
    low, high = bounds
    share = (value - low) / (high - low) if high > low else 0.5
    return min(max(int(share * N_SHADES), 0), N_SHADES - 1)
