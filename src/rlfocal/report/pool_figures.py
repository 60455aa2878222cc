"""Figures of the pool itself: member accuracies, pairwise diversity, focal diversity of subsets.

They describe all recorded answers and know nothing of strategies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from rlfocal.records import ResponseTable
from rlfocal.report.figures import cells_figure
from rlfocal.report.labels import escape, number, short_names
from rlfocal.report.subsets import SubsetScores
from rlfocal.report.theme import styled

__all__ = [
    "diversity_figure",
    "focal_figure",
    "focal_sentence",
    "member_figure",
    "member_task_figure",
    "task_accuracies",
    "wilson",
]

FloatArray = NDArray[np.float64]
Z_95 = 1.959964


def wilson(mean: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """95 % Wilson score interval of a share; for graded scores an upper bound on its width.

    Args:
        mean: float64[...] in [0, 1].
        n: number of queries, at least 1.

    Returns:
        Lower and upper bounds, in [0, 1].

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    >>> [round(float(b), 3) for b in wilson(np.array(0.5), 100)]
    [0.404, 0.596]
    """
    centre = (mean + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * np.sqrt(mean * (1 - mean) / n + Z_95**2 / (4 * n**2))
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def task_accuracies(table: ResponseTable) -> FloatArray:
    """Mean score of each member on each task: float64[N, T], NaN for a task without queries."""
    total = np.zeros((len(table.tasks), table.n_members))
    np.add.at(total, table.task, table.member_score.astype(np.float64))
    count = np.bincount(table.task, minlength=len(table.tasks)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        mean: FloatArray = (total / count[:, None]).T
    return mean


def member_figure(mean: FloatArray, n_queries: int, *, members: Sequence[str]) -> go.Figure:
    """Draw each member's accuracy with its 95 % interval, the most accurate on top.

    Args:
        mean: float64[N] in [0, 1].
        n_queries: queries behind each mean.
        members: N names.
    """
    order = np.argsort(-mean, kind="stable")
    low, high = wilson(mean, n_queries)
    names = short_names(members, limit=26)
    figure = go.Figure(
        go.Scatter(
            x=100 * mean[order],
            y=list(range(len(order))),
            error_x={
                "type": "data", "symmetric": False, "thickness": 1.5, "width": 0,
                "array": 100 * (high - mean)[order], "arrayminus": 100 * (mean - low)[order],
            },
            mode="markers",
            marker={"size": 8},
            customdata=[escape(members[i]) for i in order],
            hovertemplate="%{customdata}: %{x:.1f} %<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="accuracy, %")
    figure.update_yaxes(
        tickvals=list(range(len(order))),
        ticktext=[escape(names[i]) for i in order],
        autorange="reversed",
        zeroline=False,
    )
    return styled(figure, height_px=100 + 24 * len(order), showlegend=False)


def member_task_figure(
    accuracy: FloatArray, *, members: Sequence[str], tasks: Sequence[str]
) -> go.Figure:
    """Draw each member's accuracy (float64[N, T]) on each task."""
    return cells_figure(100 * accuracy, rows=members, columns=tasks, title="accuracy, %")


def diversity_figure(values: FloatArray, *, members: Sequence[str], title: str) -> go.Figure:
    """Draw a pairwise measure between members, higher = more diverse; the diagonal stays empty.

    Args:
        values: float64[N, N], symmetric.
        members: N names.
        title: name of the measure.
    """
    off = np.where(np.eye(len(values), dtype=bool), np.nan, values)
    return cells_figure(off, rows=members, columns=members, title=title, digits=2)


def focal_figure(scores: SubsetScores) -> go.Figure:
    """Draw focal diversity against vote accuracy: one dot a subset, coloured by its size."""
    figure = go.Figure(
        go.Scatter(
            x=scores.focal,
            y=100 * scores.vote,
            mode="markers",
            marker={
                "size": 5,
                "opacity": 0.75,
                "color": scores.size,
                "showscale": True,
                "colorbar": {
                    "orientation": "h", "title": {"text": "members in the subset", "side": "top"},
                    "thickness": 10, "outlinewidth": 0, "len": 0.6,
                    "y": 1.0, "yanchor": "bottom", "x": 0, "xanchor": "left",
                },
            },
            customdata=scores.size,
            hovertemplate="%{customdata} members<br>focal diversity %{x:.3f}, vote %{y:.1f} %"
            "<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text="focal diversity")
    figure.update_yaxes(title_text="accuracy of the plurality vote, %")
    return styled(figure, height_px=470, showlegend=False, hovermode="closest")


def focal_sentence(scores: SubsetScores) -> str:
    """State in words how focal diversity goes with vote accuracy among subsets of one size."""
    found = scores.correlations()
    if not found:
        return "No size has enough subsets to correlate focal diversity with vote accuracy."
    listed = ", ".join(f"{size}: {number(r)}" for size, r in found.items())
    median = float(np.median(list(found.values())))
    strength = "hardly" if abs(median) < 0.2 else "weakly" if abs(median) < 0.5 else "clearly"
    if strength == "hardly":
        gist = "focal diversity says hardly anything about how well a subset votes"
    else:
        direction = "better" if median > 0 else "worse"
        gist = f"more diverse subsets vote {strength} {direction}"
    return (
        f"Among subsets of one size, {gist}: the correlation is {number(median)} in the median"
        f" (by number of members {listed})."
    )
