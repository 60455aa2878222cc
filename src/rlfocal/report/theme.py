"""One look for every figure, in a light and a dark form that differ in colours only.

Figures carry no colours of their own wherever plotly lets a template supply them, so a page can
turn from light to dark by exchanging the template. Hues are those of Okabe and Ito, which people
with the common forms of colour blindness can tell apart, shifted where they would not contrast with
the ground.

Source: Okabe & Ito, "Color Universal Design" (2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import plotly.graph_objects as go

__all__ = ["DARK", "LIGHT", "REFERENCE", "Theme", "styled", "template"]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Helvetica Neue', sans-serif"

REFERENCE = "#808a94"
"""A grey that reads on both grounds, for reference lines."""


@dataclass(frozen=True)
class Theme:
    """Colours of one appearance."""

    ink: str
    """Text."""
    grid: str
    """Grid lines and axes."""
    ground: str
    """What figures lie on; they are transparent, only hover boxes and outlines use it."""
    hues: tuple[str, ...]
    """Categorical colours, in order of use."""
    shades: tuple[str, ...]
    """Sequential colours from low to high, for filled cells: low ones fade into the ground."""
    marks: tuple[str, ...]
    """Sequential colours from low to high, for small marks: all contrast with the ground."""


LIGHT = Theme(
    ink="#1d252c",
    grid="#e2e6ea",
    ground="#ffffff",
    hues=("#0072b2", "#d55e00", "#009e73", "#b8548c", "#a87400", "#2c86c0", "#5b6670"),
    shades=("#eef4f9", "#b9d6ea", "#6aabd5", "#2277ad", "#084a78"),
    marks=("#7db8dd", "#2f86bd", "#0a5a91", "#1c2f5c", "#25123f"),
)
DARK = Theme(
    ink="#d9dfe5",
    grid="#2c343c",
    ground="#15191e",
    hues=("#56b4e9", "#f08a3c", "#2cc295", "#dd8fbd", "#e6a91f", "#8ab4f8", "#a3adb8"),
    shades=("#1c252e", "#1f4560", "#2a719f", "#56a9dd", "#b5dcf6"),
    marks=("#2d7fb5", "#56b4e9", "#9cd3f3", "#dcebc0", "#f5e663"),
)


def _scale(colours: tuple[str, ...]) -> list[list[float | str]]:
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def template(theme: Theme) -> go.layout.Template:
    """Return the plotly template of a theme: transparent ground, quiet grid, its colours."""
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zerolinecolor": theme.grid,
        "ticks": "",
        "automargin": True,
        "title": {"standoff": 10},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": theme.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(theme.hues),
            "coloraxis": {"colorscale": _scale(theme.shades), "colorbar": {"outlinewidth": 0}},
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": theme.ground,
                "bordercolor": theme.grid,
                "font": {"color": theme.ink, "family": FONT},
            },
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
            },
        },
        data={
            "scatter": [go.Scatter(marker={"colorscale": _scale(theme.marks)})],
            "heatmap": [go.Heatmap(xgap=1, ygap=1)],
        },
    )


def styled(figure: go.Figure, *, height_px: int, **layout: object) -> go.Figure:
    """Give a figure the light template, its height, and tight margins; return it."""
    figure.update_layout(
        template=template(LIGHT),
        height=height_px,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        dragmode=False,
        **layout,
    )
    return figure
