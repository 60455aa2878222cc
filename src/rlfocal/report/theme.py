"""One look for every figure, in a light and a dark form that differ in colours only.

Figures carry no colours of their own wherever plotly lets a template supply them, so a page can
turn from light to dark by exchanging the template. Hues are those of Okabe and Ito, which people
with the common forms of colour blindness can tell apart, shifted where they would not contrast with
the ground.

Source: Okabe & Ito, "Color Universal Design" (2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go

__all__ = ["DARK", "LIGHT", "REFERENCE", "Theme", "blank", "colour_bar", "template"]

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
    """Sequential colours from low to high, for filled cells: ink is readable on all of them."""
    strong: tuple[str, ...]
    """Sequential colours for filled cells without numbers, which can use the whole range."""
    marks: tuple[str, ...]
    """Sequential colours from low to high, for small marks: all contrast with the ground."""


_COLOURS: dict[str, tuple[Any, Any]] = {
    "ink": ("#1d252c", "#d9dfe5"),
    "grid": ("#e2e6ea", "#2c343c"),
    "ground": ("#ffffff", "#15191e"),
    "hues": (
        ("#0072b2", "#d55e00", "#009e73", "#b8548c", "#a87400", "#2c86c0", "#5b6670"),
        ("#56b4e9", "#f08a3c", "#2cc295", "#dd8fbd", "#e6a91f", "#8ab4f8", "#a3adb8"),
    ),
    "shades": (
        ("#f5f8fb", "#cfe2f1", "#9ec7e6", "#57a0d5"),
        ("#1a2027", "#1b374c", "#1d4f74", "#1f6699"),
    ),
    "strong": (
        ("#f5f8fb", "#b9d6ea", "#6aabd5", "#2277ad", "#084a78"),
        ("#1c252e", "#1f4560", "#2a719f", "#56a9dd", "#b5dcf6"),
    ),
    "marks": (
        ("#d98200", "#cf4a55", "#9b2f86", "#5a2a91", "#221a55"),
        ("#8470e0", "#c968b8", "#ef7f78", "#f7b25c", "#f5ec80"),
    ),
}
"""Of each field, light and dark."""
LIGHT, DARK = (Theme(**{name: pair[k] for name, pair in _COLOURS.items()}) for k in (0, 1))


def _scale(colours: tuple[str, ...]) -> list[list[float | str]]:
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


@lru_cache(maxsize=2)
def template(theme: Theme) -> go.layout.Template:
    """Return the plotly template of a theme: transparent ground, quiet grid, its colours."""
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zerolinecolor": theme.grid,
        "ticks": "",
        "automargin": True,
        "title": {"standoff": 10, "font": {"size": 13}},
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": theme.ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(theme.hues),
            "coloraxis": {"colorscale": _scale(theme.shades)},
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
            "heatmap": [
                go.Heatmap(
                    xgap=1,
                    ygap=1,
                    textfont={"color": theme.ink},
                    colorscale=_scale(theme.strong),
                )
            ],
        },
    )


def blank(*, height_px: int, **layout: object) -> go.Figure:
    """Return an empty figure with the light template, its height, and tight margins."""
    return go.Figure(
        layout={
            "template": template(LIGHT),
            "height": height_px,
            "margin": {"l": 8, "r": 8, "t": 10, "b": 8},
            "dragmode": False,
            **layout,
        }
    )


def colour_bar(title: str) -> dict[str, object]:
    """Return a colour bar that lies above the plot, where it fits a phone as well."""
    return {
        "orientation": "h",
        "title": {"text": title, "side": "top", "font": {"size": 13}},
        "thickness": 10,
        "outlinewidth": 0,
        "len": 0.6,
        "x": 0,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
    }
