"""A plot: axes around an area, and in it series of marks and lines with their names beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rlfocal.markup import Html
from rlfocal.report.drawing.colours import own_style
from rlfocal.report.drawing.placement import Box, Label, Spot, place
from rlfocal.report.drawing.scales import Scale, tick_labels
from rlfocal.report.drawing.svg import group, line_path, tag, text, text_width, titled

__all__ = [
    "FONT_PX",
    "Frame",
    "Mark",
    "Series",
    "colour",
    "drawn",
    "frame",
    "named",
    "rule",
    "sheet",
    "swatch",
]

FONT_PX = 13
_LINE_PX = 17
_TICK_GAP = 8
_PX_A_TICK = (64, 36)
"""Room for a tick of the x and of the y axis."""
_MOST_TICKS = 9
_MARGIN = 16.0
_BOLD = 1.2
"""Names are set bold, which takes more room than plain text."""
_MARK, _MAIN = 2.6, 5.5
"""Radii of marks."""
_ROOM_OF_NAME = 4
_ON_QUIET = 0.4
"""How bad it is for a name to lie on something grey, where 1 is usual."""


@dataclass(frozen=True)
class Mark:
    """One point of a series, in the units of the axes."""

    x: float
    y: float
    title: str
    """Shown over it."""
    interval: tuple[float, float] | None = None
    """Ends of a whisker along y."""
    is_main: bool = False
    """Whether it is drawn large: what the series is known by."""


@dataclass(frozen=True)
class Series:
    """Marks that belong together."""

    name: str
    marks: tuple[Mark, ...]
    """In the order of the line through them."""
    hue: int | None = None
    """1 to 6; None for one of the grey crowd."""


@dataclass(frozen=True)
class Frame:
    """The area of a plot, its scales, and its axes as SVG."""

    width: float
    height: float
    area: Box
    x: Scale
    y: Scale
    axes: tuple[Html, ...] = field(repr=False)

    def at(self, mark: Mark) -> tuple[float, float]:
        """The place of a mark, in pixels."""
        return self.x(mark.x), self.y(mark.y)

    def shows(self, mark: Mark) -> bool:
        """Whether a mark lies within the axes."""
        return self.x.holds(mark.x) and self.y.holds(mark.y)

    def clipped(self, parts: Sequence[str]) -> Html:
        """Cut off what lies outside the area."""
        left, top, right, bottom = self.area
        width, height = right - left, bottom - top
        # A nested drawing clips without an id, which two drawings on one page would share.
        return tag(
            "svg", *parts, x=left, y=top, width=width, height=height,
            viewBox=f"{left:.1f} {top:.1f} {width:.1f} {height:.1f}",
        )  # fmt: skip


def frame(
    width: float,
    height: float,
    *,
    xs: Sequence[float],
    ys: Sequence[float],
    x_title: str,
    y_title: str,
    below: int = 0,
    may_be_log: bool = False,
) -> Frame:
    """Axes over all values, with round ticks.

    Args:
        width: in pixels.
        height: in pixels.
        xs: finite values that the x axis shows.
        ys: finite values of the y axis.
        x_title: stands below, in the middle.
        y_title: stands on top, where it can be read without turning the head; may be empty.
        below: lines of text that are left free under the x title.
        may_be_log: whether the x axis is logarithmic where its values differ much.
    """
    top, bottom = (1.6 if y_title else 0.5) * _LINE_PX, height - (2.5 + 1.15 * below) * _LINE_PX
    x_room = 0.04 if max(xs) > min(xs) else 0.5
    y = Scale.covering(ys, bottom, top)
    y_ticks = y.ticks(max(2, int((bottom - top) / _PX_A_TICK[1])))
    y_names = tick_labels(y_ticks)
    left = max(text_width(name, FONT_PX) for name in y_names) + _TICK_GAP
    right = width - _TICK_GAP
    x = Scale.covering(xs, left, right, room=x_room, may_be_log=may_be_log)
    x_ticks = x.ticks(min(_MOST_TICKS, max(2, int((right - left) / _PX_A_TICK[0]))))
    parts = [
        tag("path", d=line_path([(left, y(t)), (right, y(t))]), class_="grid") for t in y_ticks
    ]
    parts += [
        tag("path", d=line_path([(x(t), bottom), (x(t), bottom + 4)]), class_="grid")
        for t in x_ticks
    ]
    parts.append(tag("path", d=line_path([(left, bottom), (right, bottom)]), class_="grid"))
    parts += [
        text(name, left - _TICK_GAP, y(t) + FONT_PX / 3, anchor="end")
        for name, t in zip(y_names, y_ticks, strict=True)
    ]
    parts += [
        text(name, x(t), bottom + _LINE_PX, anchor="middle")
        for name, t in zip(tick_labels(x_ticks, alike=not x.is_log), x_ticks, strict=True)
    ]
    if y_title:
        parts.append(text(y_title, 0, _LINE_PX * 0.8))
    parts.append(text(x_title, (left + right) / 2, bottom + 2.1 * _LINE_PX, anchor="middle"))
    return Frame(width, height, Box(left, top, right, bottom), x, y, tuple(parts))


def rule(frame: Frame, y: float) -> Html:
    """A dotted line across, at a value worth comparing with."""
    left, _, right, _ = frame.area
    return tag("path", d=line_path([(left, frame.y(y)), (right, frame.y(y))]), class_="rule")


def named(frame: Frame, series: Sequence[Series], taken: Sequence[Box] = ()) -> list[Spot | None]:
    """Places of the series' names: the first ones choose first."""
    lines = []
    for one in series:
        weight = _ON_QUIET if one.hue is None else 1.0
        line = [frame.at(mark) for mark in one.marks if frame.x.holds(mark.x)]
        if line:
            lines.append((line, weight))
        lines += [
            ([frame.at(mark)], 3 * weight) for mark in one.marks if mark.is_main or not line[1:]
        ]
    labels = [
        Label(
            _anchors(frame, one),
            _BOLD * text_width(one.name, FONT_PX) + 2 * _ROOM_OF_NAME,
            _LINE_PX - 1,
        )
        for one in series
    ]
    return place(labels, area=frame.area, lines=lines, taken=taken)


def _anchors(frame: Frame, series: Series) -> tuple[tuple[float, float], ...]:
    """What a name may stand beside, what the series is known by first, then the line's end."""
    shown = [mark for mark in series.marks if frame.shows(mark)]
    main = [mark for mark in shown if mark.is_main]
    return tuple(frame.at(mark) for mark in (*main, *shown[::-1]))


def drawn(frame: Frame, series: Series, spot: Spot | None, *, key: int) -> Html:
    """One series: its line, marks and whiskers, and its name where there is room for one.

    Args:
        frame: of the plot.
        series: what to draw.
        spot: from `named`.
        key: tells a page's script which entry of the legend it belongs to.
    """
    places = [frame.at(mark) for mark in series.marks]
    parts = []
    if len(places) > 1:
        path = line_path(places)
        parts += [tag("path", d=path, class_="line"), tag("path", d=path, class_="reach")]
    for mark, (x, _) in zip(series.marks, places, strict=True):
        if mark.interval is not None:
            low, high = (frame.y(end) for end in mark.interval)
            parts.append(tag("path", d=line_path([(x, low), (x, high)]), class_="whisker"))
    ordered = sorted(zip(series.marks, places, strict=True), key=lambda pair: pair[0].is_main)
    parts += [_mark(mark, x, y, series.hue) for mark, (x, y) in ordered]
    if spot is not None:
        if spot.leader is not None:
            parts.append(tag("path", d=line_path(spot.leader), class_="leader"))
        x = spot.x + {"start": _ROOM_OF_NAME, "end": -_ROOM_OF_NAME}.get(spot.anchor, 0)
        y = (spot.box.top + spot.box.bottom) / 2 + FONT_PX / 3
        parts.append(text(series.name, x, y, anchor=spot.anchor, class_="name"))
    look = f"series {colour(series.hue)}"
    return group(parts, class_=look, title=series.name, data_series=key)


def _mark(mark: Mark, x: float, y: float, hue: int | None) -> Html:
    if not mark.is_main:
        return tag("circle", titled(mark.title), cx=x, cy=y, r=_MARK, class_="mark")
    shape = _SHAPES[(hue or 1) - 1]
    outline = [(x + _MAIN * dx, y + _MAIN * dy) for dx, dy in shape]
    return tag("path", titled(mark.title), d=line_path(outline) + "Z", class_="main")


def colour(hue: int | None) -> str:
    """The class of what has a hue, or is one of the grey crowd."""
    return "grey" if hue is None else f"h{hue}"


def swatch(colour: str) -> Html:
    """A series' mark for a legend; decoration, since its name stands beside it."""
    is_hue = colour.startswith("h")
    outline = line_path(
        (_MAIN * x, _MAIN * y) for x, y in _SHAPES[int(colour[1:]) - 1 if is_hue else 0]
    )
    mark = tag("g", tag("path", d=f"{outline}Z", class_="mark"), class_=colour)
    return tag("svg", mark, viewBox="-8 -8 16 16", class_="rlf swatch", aria_hidden="true")


def sheet(
    width: float, height: float, parts: Sequence[str], *, class_: str = "", title: str | None = None
) -> Html:
    """A whole drawing.

    Args:
        width: in pixels.
        height: in pixels.
        parts: what is on it.
        class_: further classes.
        title: for a drawing that stands in a file of its own: it gets this head, a margin, a ground
            and colours; None for one in a page that has all that.
    """
    space, look = "http://www.w3.org/2000/svg", f"rlf {class_}".strip()
    if title is None:
        return tag("svg", *parts, xmlns=space, viewBox=f"0 0 {width:g} {height:g}", class_=look)
    left, top = -_MARGIN, -_MARGIN - 1.5 * _LINE_PX
    width, height = width + 2 * _MARGIN, height - top + _MARGIN
    paper = tag("rect", x=left, y=top, width=width, height=height, class_="paper")
    head = text(title, 0, top + _MARGIN + 0.7 * _LINE_PX, class_="head")
    return tag(
        "svg", Html(f"<style>\n{own_style()}\n</style>"), paper, head, *parts,
        xmlns=space, viewBox=f"{left:g} {top:g} {width:g} {height:g}",
        width=width, height=height, role="img", aria_label=title, class_=look,
    )  # fmt: skip


def _regular(corners: int, turn: float, size: float) -> tuple[tuple[float, float], ...]:
    """Corners of a regular polygon around the origin."""
    angles = (2 * math.pi * (i + turn) / corners for i in range(corners))
    return tuple((size * math.sin(angle), -size * math.cos(angle)) for angle in angles)


_SHAPES = (
    _regular(24, 0, 1.0), _regular(4, 0.5, 1.25), _regular(4, 0, 1.3), _regular(3, 0, 1.45),
    _regular(3, 0.5, 1.45), _regular(6, 0, 1.1),
)  # fmt: skip
"""Outlines of one size to the eye, one for each hue: colour alone tells nobody anything."""
