"""Figures of the pool itself: member accuracies, pairwise diversity, focal diversity of subsets.

They describe all recorded answers and know nothing of strategies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from rlfocal.bench.summaries.subsets import SubsetScores
from rlfocal.markup import escape
from rlfocal.numbers import Float64Array, wilson
from rlfocal.records import IntArray
from rlfocal.report.figures import ticks
from rlfocal.report.labels import number
from rlfocal.report.theme import blank, colour_bar

__all__ = [
    "focal_figure",
    "focal_sentence",
    "member_figure",
]


def member_figure(
    mean: Float64Array, n_queries: int | IntArray, *, members: Sequence[str]
) -> go.Figure:
    """Draw each member's accuracy with its 95 % interval, the most accurate on top.

    Args:
        mean: float64[N] in [0, 1].
        n_queries: queries behind each mean; int64[N] where they differ.
        members: N names.
    """
    order = np.argsort(-mean, kind="stable")
    low, high = wilson(mean, n_queries)
    figure = blank(height_px=80 + 24 * len(order), showlegend=False)
    figure.add_scatter(
        x=100 * mean[order],
        y=list(range(len(order))),
        error_x={
            "type": "data",
            "symmetric": False,
            "array": 100 * (high - mean)[order],
            "arrayminus": 100 * (mean - low)[order],
            "thickness": 1.5,
            "width": 0,
        },
        mode="markers",
        marker={"size": 8},
        customdata=[escape(members[i]) for i in order],
        hovertemplate="%{customdata}: %{x:.1f} %<extra></extra>",
    )
    figure.update_xaxes(title_text="accuracy, %")
    figure.update_yaxes(range=[len(order) - 0.5, -0.5], **ticks([members[i] for i in order]))
    return figure


def focal_figure(scores: SubsetScores) -> go.Figure:
    """Draw focal diversity against vote accuracy: one dot a subset, coloured by its size."""
    figure = blank(height_px=480, showlegend=False, hovermode="closest")
    figure.add_scatter(
        x=scores.focal,
        y=100 * scores.vote,
        mode="markers",
        marker={
            "size": 5,
            "opacity": 0.8,
            "color": scores.size,
            "showscale": True,
            "colorbar": colour_bar("members in the subset"),
        },
        customdata=scores.size,
        hovertemplate="%{customdata} members<br>focal diversity %{x:.3f}, vote %{y:.1f} %"
        "<extra></extra>",
    )
    figure.update_xaxes(title_text="focal diversity")
    figure.update_yaxes(title_text="accuracy of the plurality vote, %")
    return figure


def focal_sentence(scores: SubsetScores) -> str:
    """State in words how focal diversity goes with vote accuracy among subsets of one size."""
    plain, partial = scores.correlations(), scores.correlations(given_members=True)
    if not plain:
        return "No size has enough subsets to correlate focal diversity with vote accuracy."
    r = float(np.median(list(plain.values())))
    limits = (
        " Both are measured on the same answers: this describes the pool in hindsight and does not "
        "show that choosing by diversity would help on new queries."
    )
    said = (
        f"Among subsets of one size, {_direction(r)}: the correlation is {number(r)} in the median"
        " over sizes."
    )
    if not partial:
        return said + limits
    given = float(np.median(list(partial.values())))
    return (
        f"{said} Among subsets whose members are also equally accurate on average, "
        f"{_direction(given)}: the partial correlation is {number(given)}.{limits}"
    )


def _direction(correlation: float) -> str:
    """Put a correlation into words; the borders 0.2 and 0.5 are ours."""
    if abs(correlation) < 0.2:
        return "focal diversity says hardly anything about how well a subset votes"
    strength = "somewhat" if abs(correlation) < 0.5 else "clearly"
    return f"more diverse ones vote {strength} {'more' if correlation > 0 else 'less'} accurately"
