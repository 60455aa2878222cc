"""Figures of what strategies did: the frontier, matrices of shares, training curves.

Each function takes plain numbers and returns one plotly figure without text around it. Nothing here
knows where the numbers came from; names are escaped on the way in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from rlfocal.markup import escape
from rlfocal.numbers import Float64Array
from rlfocal.report.labels import percent, short_names
from rlfocal.report.theme import LIGHT, REFERENCE, blank, colour_bar

__all__ = [
    "Point",
    "Run",
    "cells_figure",
    "efficient",
    "frontier_figure",
    "median_curve",
    "ticks",
    "training_figure",
]

SLANTED_PX = 5
"""Height that one character of a slanted column name takes."""
MAX_NUMBERED_COLUMNS = 16
"""More columns than this leave no room for numbers in the cells."""


@dataclass(frozen=True)
class Point:
    """One setting of one strategy."""

    strategy: str
    x: float
    """Mean calls or mean dollars a query."""
    accuracy: float
    """In [0, 1]."""
    dial: float | None = None
    """The setting; None for the default one, or where there is no dial."""


@dataclass(frozen=True, eq=False)
class Run:
    """One training run's value of one quantity."""

    strategy: str
    label: str
    """Which run: fold and seed."""
    step: Float64Array
    """float64[K], increasing."""
    value: Float64Array
    """float64[K]."""


def efficient(points: Sequence[Point]) -> list[bool]:
    """Say which points no other beats, being as accurate and cheaper or as cheap and more accurate.

    >>> efficient([Point("a", 1, .5), Point("b", 2, .5), Point("c", 3, .9)])
    [True, False, True]
    """
    x = np.array([p.x for p in points])
    y = np.array([p.accuracy for p in points])
    no_worse = (x[None] <= x[:, None]) & (y[None] >= y[:, None])
    better = (x[None] < x[:, None]) | (y[None] > y[:, None])
    beaten = (no_worse & better).sum(axis=1)
    return [count == 0 for count in beaten.tolist()]


def frontier_figure(
    points: Sequence[Point],
    *,
    references: Mapping[str, float],
    x_title: str,
    named: Collection[str] = (),
) -> go.Figure:
    """Draw accuracy against cost: a line for each dialled strategy, a dot for every other one.

    Args:
        points: all settings of all strategies, references left out; at least one.
        references: accuracy of reference strategies, drawn as lines across; one that lies far off
            is named at the edge instead, so that it does not squeeze everything else.
        x_title: what x is.
        named: strategies whose dot is always labelled; the efficient ones are anyway.
    """
    figure = blank(height_px=480, hovermode="closest")
    kept = efficient(points)
    dialled = list(dict.fromkeys(p.strategy for p in points if p.dial is not None))
    for name in dialled:
        line = sorted((p for p in points if p.strategy == name), key=lambda p: p.x)
        figure.add_scatter(
            x=[p.x for p in line],
            y=[100 * p.accuracy for p in line],
            customdata=["as fitted" if p.dial is None else f"dial {p.dial:g}" for p in line],
            name=escape(name),
            mode="lines+markers",
            line={"width": 2},
            marker={"size": 6},
            hovertemplate="%{y:.1f} % at %{x:.3~g}<br>%{customdata}",
        )
    dots = [(p, k) for p, k in zip(points, kept, strict=True) if p.strategy not in dialled]
    for is_kept, name, marker in (
        (True, "one setting, efficient", {"size": 10, "symbol": "diamond"}),
        (False, "one setting, dominated", {"size": 8, "symbol": "circle-open", "color": REFERENCE}),
    ):
        shown = [p for p, k in dots if k is is_kept]
        if shown:
            figure.add_trace(_dots(shown, name, marker, named=None if is_kept else named))
    low, high = _accuracy_range(points)
    for name, accuracy in references.items():
        _add_reference(figure, name, accuracy, low, high)
    figure.update_xaxes(title_text=x_title, range=[0, 1.06 * max(p.x for p in points)])
    figure.update_yaxes(title_text="accuracy, %", range=[100 * low, 100 * high])
    return figure


def _dots(
    points: Sequence[Point], name: str, marker: dict[str, object], *, named: Collection[str] | None
) -> go.Scatter:
    """Draw dots; `named` None labels all of them, above; others are labelled below."""
    labels = _labels([p for p in points if named is None or p.strategy in named])
    middle = (min(p.x for p in points) + max(p.x for p in points)) / 2
    side = "top" if named is None else "bottom"
    return go.Scatter(
        x=[p.x for p in points],
        y=[100 * p.accuracy for p in points],
        text=[labels.get(p.strategy, "") for p in points],
        customdata=[escape(p.strategy) for p in points],
        name=name,
        mode="markers+text",
        # Labels point inwards, so that those at the edges stay inside the plot.
        textposition=[f"{side} left" if p.x > max(middle, 1) else f"{side} right" for p in points],
        textfont={"size": 11},
        marker=marker,
        hovertemplate="%{customdata}<br>%{y:.1f} % at %{x:.3~g}<extra></extra>",
    )


def _labels(points: Sequence[Point]) -> dict[str, str]:
    """Label points by strategy; those that would lie on top of each other share the first's."""
    places: dict[tuple[float, float], list[str]] = {}
    for p in points:
        places.setdefault((round(p.x, 2), round(p.accuracy, 3)), []).append(p.strategy)
    return {names[0]: escape(" = ".join(names)) for names in places.values()}


def _accuracy_range(points: Sequence[Point]) -> tuple[float, float]:
    """Range of the accuracy axis: that of the points, and room for labels on either side."""
    accuracy = [p.accuracy for p in points]
    low, high = min(accuracy), max(accuracy)
    room = max(0.16 * (high - low), 0.005)
    return low - room, high + room


def _add_reference(figure: go.Figure, name: str, accuracy: float, low: float, high: float) -> None:
    text = f"{escape(name)} {percent(accuracy)}"
    if low <= accuracy <= high:
        figure.add_hline(y=100 * accuracy, line={"color": REFERENCE, "dash": "dot", "width": 1.2})
    else:
        text += ", above the plot ↑" if accuracy > high else ", below the plot ↓"
    figure.add_annotation(
        text=text, font={"size": 11}, showarrow=False,
        xref="paper", x=1, xanchor="right",
        y=100 * min(max(accuracy, low), high), yanchor="top" if accuracy > high else "bottom",
    )  # fmt: skip


def cells_figure(
    values: Float64Array,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    bounds: tuple[float, float] | None = None,
    digits: int = 0,
) -> go.Figure:
    """Draw a matrix as coloured cells with their numbers, the first row on top.

    Args:
        values: float64[R, K]; NaN cells stay empty.
        rows: R names.
        columns: K names.
        title: what the colour means.
        bounds: values of the palest and the strongest colour; None for the least and the greatest.
        digits: decimals of the numbers.
    """
    if bounds is None:
        finite = values[np.isfinite(values)]
        bounds = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    has_numbers = len(columns) <= MAX_NUMBERED_COLUMNS
    colours: dict[str, object] = {
        "zmin": bounds[0],
        "zmax": bounds[1],
        "colorbar": colour_bar(title),
    }
    if has_numbers:
        colours = {"coloraxis": "coloraxis", "texttemplate": f"%{{z:.{digits}f}}"}
    figure = blank(
        height_px=120 + 26 * len(rows) + SLANTED_PX * max(map(len, short_names(columns, limit=26))),
        coloraxis={"cmin": bounds[0], "cmax": bounds[1], "colorbar": colour_bar(title)},
    )
    figure.add_heatmap(
        z=[[float(v) if np.isfinite(v) else None for v in row] for row in values],
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        customdata=[[f"{escape(r)}<br>{escape(c)}" for c in columns] for r in rows],
        **colours,
        textfont={"size": 11},
        hoverongaps=False,
        hovertemplate=f"%{{customdata}}<br>%{{z:.{max(digits, 1)}f}}<extra></extra>",
    )
    figure.update_xaxes(showgrid=False, side="bottom", tickangle=-40, **ticks(columns))
    figure.update_yaxes(showgrid=False, autorange="reversed", **ticks(rows))
    return figure


def ticks(names: Sequence[str]) -> dict[str, object]:
    """Ticks by position, because names that look like numbers or repeat would confuse an axis."""
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [escape(name) for name in short_names(names, limit=26)],
        "zeroline": False,
    }


def median_curve(runs: Sequence[Run]) -> tuple[Float64Array, Float64Array]:
    """Return the median of runs over the steps that at least half of them reached.

    Runs may stop early and log at different steps, so each is interpolated between its own.

    Returns:
        float64[K] steps and float64[K] medians.
    """
    steps = np.unique(np.concatenate([run.step for run in runs]))
    values = np.array(
        [np.interp(steps, run.step, run.value, left=np.nan, right=np.nan) for run in runs]
    )
    reached = np.isfinite(values).sum(axis=0) * 2 >= len(runs)
    median: Float64Array = np.nanmedian(values[:, reached], axis=0)
    return steps[reached], median


def training_figure(runs: Sequence[Run], *, y_title: str) -> go.Figure:
    """Draw training curves: every run thin, the median of each strategy's runs thick."""
    figure = blank(height_px=380, hovermode="closest")
    for index, name in enumerate(dict.fromkeys(run.strategy for run in runs)):
        of_name = [run for run in runs if run.strategy == name]
        hue = {"hue": index % len(LIGHT.hues)}  # lets a page recolour all runs of a strategy alike
        colour = LIGHT.hues[hue["hue"]]
        for run in of_name if len(of_name) > 1 else ():
            figure.add_scatter(
                x=run.step, y=run.value, mode="lines", opacity=0.4, showlegend=False,
                line={"width": 1, "color": colour}, legendgroup=name, hoverinfo="skip", meta=hue,
            )  # fmt: skip
        step, median = median_curve(of_name)
        figure.add_scatter(
            x=step, y=median, mode="lines", line={"width": 2.6, "color": colour},
            name=escape(name), legendgroup=name, meta=hue, showlegend=True,
            hovertemplate="step %{x}: %{y:.3~g}",
        )  # fmt: skip
    figure.update_xaxes(title_text="training step", rangemode="tozero")
    figure.update_yaxes(title_text=y_title)
    return figure
