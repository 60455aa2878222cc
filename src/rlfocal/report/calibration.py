"""Whether confidence means what it says: the reliability diagram and its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from rlfocal.bench import BenchResult
from rlfocal.bench.calibration import Calibration, ReliabilityBin
from rlfocal.markup import Html, escape, table
from rlfocal.report.html import Choice, chart, paragraphs
from rlfocal.report.labels import interval, number, percent, points
from rlfocal.report.theme import LIGHT, REFERENCE, blank

__all__ = ["calibration", "reliability_figure"]

HEIGHT_PX, LEGEND_PX = 450, 10
"""Height of the figure, and what each name of the legend adds, so that it squeezes no plot."""
# A second strategy of the same hue differs in its line and its marks.
_DASHES = ("solid", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "diamond-open", "square", "x-open")

_ERRORS_HEAD = (
    "Strategy", "Calibration error, points", "By chance alone", "Confidence less accuracy, points",
    "Brier score", "Accuracy on the surest 80\N{NO-BREAK SPACE}%", "Area under risk and coverage",
)  # fmt: skip
_BINS_HEAD = ("Strategy", "Confidence", "Accuracy", "95 % interval", "Answers")


def calibration(result: BenchResult) -> Html:
    """Make the section: errors of each strategy, the diagram, and who is left out."""
    graded = [found for found in result.calibration if found.graded]
    plain = [found.strategy for found in result.calibration if not found.graded]
    left_out = paragraphs(
        [f"Left out, because their confidence is always 0 or 1: {', '.join(plain)}."]
        if plain
        else []
    )
    if not graded:
        return Html(f"{paragraphs(['No strategy gave graded confidence.'])}\n{left_out}")
    said = (
        "The calibration error is the mean distance between confidence and accuracy over bins of "
        "about equal count. With so many queries even a perfectly calibrated strategy would show "
        'about the error that stands under "by chance alone". Confidence above accuracy is '
        "overconfidence as a whole."
    )
    aid = (
        "On the dashed line confidence means what it says, so that of the answers given with 80 % "
        "confidence 80 % are right; below it a strategy is overconfident, above it underconfident."
    )
    figure = chart("reliability", aid, _choices(graded), pick="Show")
    errors = table(
        _ERRORS_HEAD,
        [_errors(found) for found in graded],
        label="Calibration errors",
        classes="leaderboard",
    )
    return Html("\n".join([paragraphs([said]), errors, figure, left_out]))


def _choices(graded: Sequence[Calibration]) -> list[Choice]:
    """All curves in one figure, then each on its own with the intervals of its dots."""
    curves = {found.strategy: found.bins for found in graded}
    return [
        Choice("all strategies", reliability_figure(curves), _bins(curves)),
        *(
            Choice(
                f"{name}, with intervals",
                reliability_figure({name: bins}, with_intervals=True),
                _bins({name: bins}),
            )
            for name, bins in curves.items()
        ),
    ]


def _errors(found: Calibration) -> list[str]:
    accuracy = sum(one.count * one.accuracy for one in found.bins)
    accuracy /= sum(one.count for one in found.bins)
    return [
        found.strategy,
        number(100 * found.ece, 1),
        number(100 * found.ece_by_chance, 1),
        points(found.mean_confidence - accuracy),
        number(found.brier, 3),
        percent(found.accuracy_at_80),
        number(found.risk_coverage_area, 3),
    ]


def _bins(curves: Mapping[str, Sequence[ReliabilityBin]]) -> Html:
    rows = [
        [
            name,
            percent(one.confidence),
            percent(one.accuracy),
            Html(f'<span class="ci">{interval(one.accuracy_ci)}</span>'),
            f"{one.count:,}",
        ]
        for name, bins in curves.items()
        for one in bins
    ]
    return table(_BINS_HEAD, rows, label="Reliability")


def reliability_figure(
    curves: Mapping[str, Sequence[ReliabilityBin]], *, with_intervals: bool = False
) -> go.Figure:
    """Draw accuracy against confidence: a line for each strategy, the diagonal dashed.

    Args:
        curves: bins of each strategy, by rising confidence; at least one strategy.
        with_intervals: whether each dot has its 95 % interval; for few curves.
    """
    figure = blank(height_px=HEIGHT_PX + LEGEND_PX * len(curves), hovermode="closest")
    for index, (name, bins) in enumerate(curves.items()):
        turn = index // len(LIGHT.hues)
        above = [100 * (one.accuracy_ci[1] - one.accuracy) for one in bins]
        below = [100 * (one.accuracy - one.accuracy_ci[0]) for one in bins]
        figure.add_scatter(
            x=[100 * one.confidence for one in bins],
            y=[100 * one.accuracy for one in bins],
            customdata=[f"{one.count:,} answers" for one in bins],
            error_y={"array": above, "arrayminus": below, "thickness": 1.2, "width": 3}
            if with_intervals
            else None,
            name=escape(name),
            mode="lines+markers",
            showlegend=True,
            line={"width": 2, "dash": _DASHES[turn % len(_DASHES)]},
            marker={"size": 6, "symbol": _SYMBOLS[turn % len(_SYMBOLS)]},
            hovertemplate="%{y:.1f} % right at %{x:.1f} % confidence<br>%{customdata}",
        )
    low = _lowest(curves, with_intervals=with_intervals)
    figure.add_shape(
        type="line", x0=low, y0=low, x1=100, y1=100, layer="below",
        line={"color": REFERENCE, "dash": "dash", "width": 1.4},
    )  # fmt: skip
    # Room on both sides keeps the labels of the two axes apart, and the last one on the page.
    figure.update_xaxes(title_text="confidence, %", range=[low - 2, 102])
    figure.update_yaxes(title_text="accuracy, %", range=[low - 2, 102])
    return figure


def _lowest(curves: Mapping[str, Sequence[ReliabilityBin]], *, with_intervals: bool) -> float:
    """Where both axes start, in per cent: below everything drawn, on a multiple of ten."""
    drawn = [
        min(one.confidence, one.accuracy_ci[0] if with_intervals else one.accuracy)
        for bins in curves.values()
        for one in bins
    ]
    return max(10 * ((100 * min(drawn) - 1) // 10), 0.0)
