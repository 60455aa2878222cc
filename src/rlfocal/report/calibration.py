"""Whether confidence means what it says: reliability diagrams and their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rlfocal.bench import BenchResult
from rlfocal.bench.figures.calibration import Calibration
from rlfocal.markup import Html, table
from rlfocal.report.drawing import plot
from rlfocal.report.drawing.plot import Mark, Series
from rlfocal.report.drawing.svg import line_path, tag
from rlfocal.report.html import Choice, chart, details, panel, panels, paragraphs
from rlfocal.report.labels import interval, number, percent, points

__all__ = ["calibration", "reliability"]

_SIZE = (300.0, 260.0)
_ERRORS_HEAD = (
    "Strategy", "Calibration error, points", "By chance alone", "Confidence less accuracy, points",
    "Brier score", "Accuracy on the surest 80\N{NO-BREAK SPACE}%", "Area under risk and coverage",
)  # fmt: skip
_BINS_HEAD = ("Strategy", "Confidence", "Accuracy", "95 % interval", "Answers")


def calibration(result: BenchResult, hues: Mapping[str, int]) -> Html:
    """Make the section: errors of each strategy, a diagram for each that matters, who is left out.

    Args:
        result: a benchmark.
        hues: from `highlights`; diagrams of other strategies fold away.
    """
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
    errors = table(
        _ERRORS_HEAD,
        [_errors(found) for found in graded],
        label="Calibration errors",
        classes="leaderboard",
    )
    return Html("\n".join([paragraphs([said]), errors, _diagrams(graded, hues), left_out]))


def _diagrams(graded: Sequence[Calibration], hues: Mapping[str, int]) -> Html:
    matter = [found for found in graded if found.strategy in hues] or list(graded[:1])
    others = [found for found in graded if found not in matter]
    low = _lowest(graded)
    shown, folded = (
        panels([reliability(found, low, hues.get(found.strategy)) for found in group])
        for group in (matter, others)
    )
    aid = (
        "On the dotted line confidence means what it says, so that of the answers given with 80 % "
        "confidence 80 % are right; below it a strategy is overconfident, above it underconfident. "
        "Bars are 95 % intervals."
    )
    if others:
        shown = Html(f"{shown}\n{details(f'Diagrams of other strategies ({len(others)})', folded)}")
    return chart("reliability", aid, [Choice("reliability", shown, _bins(graded))])


def _errors(found: Calibration) -> list[str]:
    return [
        found.strategy,
        number(100 * found.ece, 1),
        number(100 * found.ece_by_chance, 1),
        points(found.mean_confidence - _accuracy(found)),
        number(found.brier, 3),
        percent(found.accuracy_at_80),
        number(found.risk_coverage_area, 3),
    ]


def _accuracy(found: Calibration) -> float:
    right = sum(one.count * one.accuracy for one in found.bins)
    return right / sum(one.count for one in found.bins)


def _bins(graded: Sequence[Calibration]) -> Html:
    rows = [
        [
            found.strategy,
            percent(one.confidence),
            percent(one.accuracy),
            Html(f'<span class="ci">{interval(one.accuracy_ci)}</span>'),
            f"{one.count:,}",
        ]
        for found in graded
        for one in found.bins
    ]
    return table(_BINS_HEAD, rows, label="Reliability")


def reliability(found: Calibration, low: float, hue: int | None) -> Html:
    """Draw accuracy against confidence, with intervals; the diagonal dotted.

    Args:
        found: a strategy's calibration.
        low: where both axes start, in per cent.
        hue: of the strategy.
    """
    frame = plot.frame(
        *_SIZE, xs=[low, 100], ys=[low, 100], x_title="confidence, %", y_title="accuracy, %"
    )
    ends = [(frame.x(end), frame.y(end)) for end in (low, 100)]
    marks = tuple(
        Mark(
            100 * one.confidence, 100 * one.accuracy,
            f"{percent(one.accuracy)} {interval(one.accuracy_ci)} right at "
            f"{percent(one.confidence)} confidence, {one.count:,} answers",
            interval=(100 * one.accuracy_ci[0], 100 * one.accuracy_ci[1]),
        )
        for one in found.bins
    )  # fmt: skip
    line = plot.drawn(frame, Series(found.strategy, marks, hue), None, key=0)
    parts = [tag("path", d=line_path(ends), class_="rule"), line]
    drawing = plot.sheet(*_SIZE, [*frame.axes, frame.clipped(parts)])
    label = f"Reliability of {found.strategy}: error {number(100 * found.ece, 1)} points"
    return panel(found.strategy, drawing, label=label, colour=plot.colour(hue))


def _lowest(graded: Sequence[Calibration]) -> float:
    """Where all axes start, in per cent: below everything drawn, on a multiple of ten."""
    drawn = [min(one.confidence, one.accuracy_ci[0]) for found in graded for one in found.bins]
    return min(max(10 * ((100 * min(drawn) - 1) // 10), 0.0), 90.0)
