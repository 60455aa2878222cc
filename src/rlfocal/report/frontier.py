"""Accuracy against cost: the few strategies that matter in colour, all others in thin grey.

The axes show the band in which what matters lies; what is far off is named under the plot instead
of squeezing it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rlfocal.advice import advise
from rlfocal.bench import BenchResult, FrontierPoint, LeaderboardRow
from rlfocal.bench.budgets import REFERENCES
from rlfocal.bench.statistics import BEST_SINGLE, Axis
from rlfocal.markup import Html, table
from rlfocal.report.drawing import plot
from rlfocal.report.drawing.plot import Mark, Series
from rlfocal.report.drawing.svg import text, text_width
from rlfocal.report.highlights import highlights
from rlfocal.report.html import Choice, chart, legend, paragraphs
from rlfocal.report.labels import interval, money, number, percent

__all__ = ["cost_picture", "cost_section"]

_SIZES = {"wide": (960.0, 500.0), "narrow": (360.0, 380.0)}
_ABOVE, _BELOW = 0.6, 0.9
"""How far the band reaches beyond the strategies that matter, in multiples of their range."""
_LEAST_RANGE = 0.02
"""Strategies that tie still get so much of the accuracy axis, or noise would look like news."""
_UNITS: Mapping[Axis, str] = {"calls": "calls a query", "usd": "USD per 1,000 queries"}
_HEADS: Mapping[Axis, str] = {"calls": "Calls", "usd": "USD / 1k queries"}
_NOTE_PX = 17


def cost_section(result: BenchResult, hues: Mapping[str, int]) -> Html:
    """The chart for each axis of cost that is known, its legend, and its numbers as tables.

    Args:
        result: a benchmark.
        hues: from `highlights`.
    """
    choices = []
    for axis, unit in _UNITS.items():
        view = _view(result, axis, hues)
        if not view.series:
            continue
        drawings = [_drawing(view, *size, variant) for variant, size in _SIZES.items()]
        numbers = table(
            ["Strategy", "Setting", _HEADS[axis], "Accuracy", "95 % interval"],
            list(_cells(result, axis)),
            label="Accuracy against cost",
        )
        keys = legend([(one.name, plot.colour(one.hue)) for one in view.series])
        choices.append(Choice(f"mean {unit}", Html("".join(drawings)), numbers, keys))
    if not choices:
        return paragraphs(["No strategy but the references ran."])
    return chart("frontier", _aid(result, hues), choices, pick="Cost as")


def cost_picture(
    result: BenchResult,
    *,
    by: Axis = "calls",
    hues: Mapping[str, int] | None = None,
    width: float = 860,
    height: float = 460,
) -> str:
    """Draw accuracy against cost as an SVG text of its own, with colours and ground, light or dark.

    Args:
        result: a benchmark.
        by: what the x axis is: "calls", or "usd" where the data set prices every member.
        hues: strategies in colour, from 1 to 6; None for those that matter, as in the report.
        width: in pixels, without the margin; text keeps its size, so that a narrow drawing can be
            read on a phone.
        height: in pixels, without the margin and the head.

    Raises:
        ValueError: there is nothing to draw: no strategy but the references ran, or dollars are
            asked for and prices are not known.
    """
    view = _view(result, by, highlights(result, advise(result)) if hues is None else hues)
    if not view.series:
        raise ValueError(f"there is nothing to draw: no strategy with known {_UNITS[by]} ran")
    title = f"{result.data}: accuracy against cost"
    return _drawing(view, width, height, "", title=title)


@dataclass(frozen=True)
class _View:
    """What one axis of cost shows."""

    series: tuple[Series, ...]
    """Those with a mark in the band, the most important first."""
    band: tuple[float, float]
    """Accuracies in per cent."""
    base: float | None
    """Accuracy of the best single member, in per cent."""
    far_off: str
    """Names what the band leaves out; empty where there is nothing."""
    x_title: str


def _view(result: BenchResult, axis: Axis, hues: Mapping[str, int]) -> _View:
    rows = _rows(result, axis)
    ranked = sorted(rows, key=lambda row: hues.get(row.strategy, len(hues) + 1))
    series = [
        Series(
            row.strategy,
            tuple(sorted(_marks(result, row, axis, hues), key=lambda mark: mark.x)),
            hues.get(row.strategy),
        )
        for row in ranked
        if row.strategy not in REFERENCES
    ]
    low, high = _band(series) if series else (0.0, 100.0)
    return _View(
        series=tuple(one for one in series if any(low <= m.y <= high for m in one.marks)),
        band=(low, high),
        base=next((100 * row.accuracy for row in rows if row.strategy == BEST_SINGLE), None),
        far_off=_far_off(rows, low, high),
        x_title=f"mean {_UNITS[axis]}",
    )


def _aid(result: BenchResult, hues: Mapping[str, int]) -> str:
    """How to read the chart: nothing that is not in it."""
    said = ["Up and to the left is better."]
    if any(name in hues for name in result.frontiers):
        said.append("A line is one strategy, fitted once and run at several settings of its dial.")
    said.append("A large mark is a default setting with its 95 % interval.")
    others = [row for row in result.rows if row.strategy not in (*hues, *REFERENCES)]
    if others:
        said.append("Grey strategies show their names when pointed at or chosen below.")
    if BEST_SINGLE in hues:
        said.append("The dotted line is the best single member.")
    return " ".join(said)


def _spent(found: LeaderboardRow | FrontierPoint, axis: Axis) -> float | None:
    """Calls a query, or dollars for a thousand, of a row or a setting; None where not known."""
    if axis == "calls":
        return found.mean_calls
    return None if found.mean_cost_usd is None else 1000 * found.mean_cost_usd


def _rows(result: BenchResult, axis: Axis) -> list[LeaderboardRow]:
    return [row for row in result.rows if _spent(row, axis) is not None]


def _marks(
    result: BenchResult, row: LeaderboardRow, axis: Axis, hues: Mapping[str, int]
) -> Iterator[Mark]:
    """Marks of a strategy with known costs: the default setting, then those of its dial."""
    spent, is_main = _spent(row, axis), row.strategy in hues
    assert spent is not None
    words = f"{percent(row.accuracy)} {interval(row.accuracy_ci)}"
    bounds = (100 * row.accuracy_ci[0], 100 * row.accuracy_ci[1]) if is_main else None
    title = f"{row.strategy}: {words} at {spent:.3g} {_UNITS[axis]}"
    yield Mark(spent, 100 * row.accuracy, title, bounds, is_main)
    for setting in result.frontiers.get(row.strategy, ()):
        spent = _spent(setting, axis)
        if spent is not None:
            words = f"{percent(setting.accuracy)} at {spent:.3g} {_UNITS[axis]}"
            title = f"{row.strategy}, dial {setting.dial:g}: {words}"
            yield Mark(spent, 100 * setting.accuracy, title)


def _cells(result: BenchResult, axis: Axis) -> Iterator[list[str]]:
    """Each strategy's default setting, then all of its dial."""
    for row in _rows(result, axis):
        default = _cost_cell(row, axis), percent(row.accuracy), interval(row.accuracy_ci)
        yield [row.strategy, "default", *default]
        for setting in result.frontiers.get(row.strategy, ()):
            if _spent(setting, axis) is not None:
                found = _cost_cell(setting, axis), percent(setting.accuracy), ""
                yield [row.strategy, f"{setting.dial:g}", *found]


def _cost_cell(found: LeaderboardRow | FrontierPoint, axis: Axis) -> str:
    usd = math.nan if found.mean_cost_usd is None else found.mean_cost_usd
    return number(found.mean_calls, 2) if axis == "calls" else money(usd)


def _band(series: Sequence[Series]) -> tuple[float, float]:
    """The accuracies, in per cent, that the axis shows."""
    core = [m.y for one in series if one.hue is not None for m in one.marks if m.is_main]
    core = core or [mark.y for one in series for mark in one.marks]
    spread = max(max(core) - min(core), 100 * _LEAST_RANGE)
    low, high = min(core) - _BELOW * spread, max(core) + _ABOVE * spread
    near = [mark.y for one in series for mark in one.marks if low <= mark.y <= high]
    near += [end for one in series for m in one.marks if m.interval for end in m.interval]
    return min(near), max(near)


def _drawing(
    view: _View, width: float, height: float, variant: str, *, title: str | None = None
) -> Html:
    notes = _wrapped(view.far_off if title is None else _explained(view), width)
    low, high = view.band
    frame = plot.frame(
        width,
        height,
        xs=[mark.x for one in view.series for mark in one.marks if low <= mark.y <= high],
        ys=view.band,
        x_title=view.x_title,
        y_title="accuracy, %",
        below=len(notes),
        may_be_log=True,
    )
    spots = plot.named(frame, view.series)
    inside = [] if view.base is None else [plot.rule(frame, view.base)]
    # Drawn later is above: the grey ones below all others, the most important one on top.
    for key, one in [*enumerate(view.series)][::-1]:
        inside.append(plot.drawn(frame, one, spots[key], key=key))
    under = [
        text(line, 0, height - _NOTE_PX * (len(notes) - i - 0.6)) for i, line in enumerate(notes)
    ]
    return plot.sheet(
        width, height, [*frame.axes, frame.clipped(inside), *under], class_=variant, title=title
    )


def _far_off(rows: Sequence[LeaderboardRow], low: float, high: float) -> str:
    """Name what the plot does not show."""
    above = [row for row in rows if 100 * row.accuracy > high]
    below = [row for row in rows if 100 * row.accuracy < low]
    rest = [r for r in rows if r.strategy in REFERENCES and r not in (*above, *below)]
    said = [
        ", ".join(f"{row.strategy} {percent(row.accuracy)}" for row in found) + f" ({side})"
        for side, found in (("above", above), ("below", below), ("not drawn", rest))
        if found
    ]
    return f"Off the plot: {'; '.join(said)}" if said else ""


def _explained(view: _View) -> str:
    """What a picture without a caption and a legend has to say for itself."""
    grey = sum(one.hue is None for one in view.series)
    others = [f"Grey: {grey} other strateg{'y' if grey == 1 else 'ies'}."] if grey else []
    far_off = [f"{view.far_off}."] if view.far_off else []
    return " ".join(["Bars: 95 % intervals.", *others, *far_off])


def _wrapped(words: str, width: float) -> list[str]:
    """Break a line where it gets wider than the drawing."""
    lines: list[str] = []
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, plot.FONT_PX) <= width:
            lines[-1] = longer
        elif word:
            lines.append(word)
    return lines
