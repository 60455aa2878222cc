"""Who reads whom, as a drawing: members in columns by stage, a line from each to who reads it.

In a narrow space the members stand below each other, and arcs lead down to who reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from rlfocal.bench.summaries.reading.summary import ReadMember
from rlfocal.markup import Html
from rlfocal.report.drawing import plot
from rlfocal.report.drawing.svg import group, tag, text, text_width, titled
from rlfocal.report.labels import DASH, money, number, percent, short_names

__all__ = ["graph", "price_of"]

_WIDE, _NARROW = 960.0, 360.0
_BOX, _GAP, _LANE, _PAD = 42.0, 12.0, 16.0, 10.0
"""Heights of a box, of room around it and of passing links; and room within a box."""
_WIDEST, _LEAST_WIDTH, _LINKS = 240.0, 120.0, 64.0
"""Widths of boxes, and the least room for links between two columns."""
_ROW, _ARCS = 40.0, 96.0
"""In a narrow space: height of a member, and room for arcs."""
_EDGE = 1.0
"""Left free at both sides, for half of a frame's line."""
_BOLD = 1.15
_HUES = {
    "judge": 2, "pairwise": 2, "verify": 4, "criticise": 4, "debate": 3, "refine": 5,
}  # fmt: skip
_OTHERS = 1

Point = tuple[float, float]


def graph(members: Sequence[ReadMember], *, unit: str) -> Html:
    """Draw a pool with readers, for wide and for narrow spaces.

    Args:
        members: in the pool's order.
        unit: of prices.
    """
    return Html(_columns(members, unit) + _arcs(members))


def price_of(price: float, unit: str) -> str:
    """A price: dollars of a thousand calls, calls, or seconds."""
    return money(price) if unit == "usd" else f"{price:.3g}"


def _said(member: ReadMember, unit: str) -> str:
    accuracy = DASH if member.accuracy is None else percent(member.accuracy)
    price = price_of(member.price, unit)
    full = price_of(member.full_price, unit)
    return f"{accuracy}, {price}" + (f" → {full}" if full != price else "")


def _reads(member: ReadMember) -> tuple[str, ...]:
    return (*member.reads, *([] if member.first is None else [member.first]))


def _colour(member: ReadMember) -> str:
    return plot.colour(_HUES.get(member.form, _OTHERS) if member.form else None)


def _title(member: ReadMember) -> str:
    if not member.form:
        return f"{member.member} reads nobody"
    own = [] if member.first is None else [f"its own first reply ({member.first})"]
    return f"{member.member} ({member.form}) reads {', '.join([*member.reads, *own])}"


# Wide ------------------------------------------------------------------------------------------


def _columns(members: Sequence[ReadMember], unit: str) -> Html:
    plan = _placed(members)
    n_links = max(1, len(plan) - 1)
    width = min(_WIDEST, (_WIDE - n_links * _LINKS) / len(plan))
    width = max(width, _LEAST_WIDTH)
    step = max(width + _LINKS, (_WIDE - 2 * _EDGE - width) / n_links)
    height = max(sum(map(_height, column)) for column in plan)
    middle: dict[_Slot, Point] = {}
    for k, column in enumerate(plan):
        y = (height - sum(map(_height, column))) / 2
        for slot in column:
            middle[slot] = (k * step, y + _height(slot) / 2)
            y += _height(slot)
    names = [member.member for member in members]
    limit = max(5, int((width - 2 * _PAD) / (_BOLD * text_width("n", plot.FONT_PX))))
    shown = dict(zip(names, short_names(names, limit=limit), strict=True))
    stage = {member.member: member.stage for member in members}
    links = [_links(member, middle, stage, width) for member in members if member.form]
    boxes = [
        _box(member, shown[member.member], middle[_Slot(member.member)], width, unit)
        for member in members
    ]
    whole = tag("g", *links, *boxes, transform=f"translate({_EDGE:g} 0)")
    full_width = step * (len(plan) - 1) + width + 2 * _EDGE
    return plot.sheet(full_width, height, [whole], class_="wide")


class _Slot(NamedTuple):
    """A place in a column: of a member, or of links from a member that pass through the column."""

    member: str
    passes: int = 0
    """The column that is passed; 0 for the member itself."""


def _height(slot: _Slot) -> float:
    return _LANE if slot.passes else _BOX + _GAP


def _placed(members: Sequence[ReadMember]) -> list[list[_Slot]]:
    """Columns by stage; within one, near those it reads."""
    last = {name: member.stage for member in _by_stage(members) for name in _reads(member)}
    columns: list[list[_Slot]] = []
    height: dict[_Slot, float] = {}
    for stage, of in groupby(_by_stage(members), key=lambda member: member.stage):
        wanted: dict[_Slot, float] = {}
        for member in of:
            before = [_before(name, stage, members) for name in _reads(member)]
            wanted[_Slot(member.member)] = (
                sum(height[slot] for slot in before) / len(before) if before else len(wanted)
            )
        for member in members:
            if member.stage < stage < last.get(member.member, 0):
                wanted[_Slot(member.member, stage)] = height[_before(member.member, stage, members)]
        column = sorted(wanted, key=lambda slot: wanted[slot])
        height |= {slot: (i + 0.5) / len(column) for i, slot in enumerate(column)}
        columns.append(column)
    return columns


def _by_stage(members: Sequence[ReadMember]) -> list[ReadMember]:
    return sorted(members, key=lambda member: member.stage)


def _before(name: str, stage: int, members: Sequence[ReadMember]) -> _Slot:
    """Where links of a member come from in the column before a stage."""
    own = next(member.stage for member in members if member.member == name)
    return _Slot(name, stage - 1 if own < stage - 1 else 0)


def _links(
    member: ReadMember, middle: Mapping[_Slot, Point], stage: Mapping[str, int], width: float
) -> Html:
    x, y = middle[_Slot(member.member)]
    parts = []
    for name in _reads(member):
        at_x, at_y = middle[_Slot(name)]
        path = f"M{at_x + width:.1f} {at_y:.1f}"
        passed = [middle[_Slot(name, k)] for k in range(stage[name] + 1, member.stage)]
        start = (at_x + width, at_y)
        for to_x, to_y in (*passed, (x, y)):
            bend = (to_x - start[0]) / 2
            path += f"C{start[0] + bend:.1f} {start[1]:.1f} {to_x - bend:.1f} {to_y:.1f} "
            path += f"{to_x:.1f} {to_y:.1f}"
            start = (to_x + width, to_y)
            if (to_x, to_y) != (x, y):
                path += f"L{start[0]:.1f} {to_y:.1f}"
        parts.append(tag("path", d=path, class_=_look(member, name)))
    head = f"M{x - 7:.1f} {y - 4:.1f}L{x:.1f} {y:.1f}L{x - 7:.1f} {y + 4:.1f}Z"
    parts.append(tag("path", d=head, class_="mark"))
    return group(parts, class_=_colour(member), title=_title(member))


def _look(member: ReadMember, read: str) -> str:
    return "link own" if read == member.first else "link"


def _box(member: ReadMember, name: str, at: Point, width: float, unit: str) -> Html:
    x, y = at[0], at[1] - _BOX / 2
    said = _said(member, unit)
    with_form = f"{member.form}: {said}" if member.form else said
    if text_width(with_form, plot.FONT_PX) <= width - 2 * _PAD:
        said = with_form
    frame = tag("rect", x=x, y=y, width=width, height=_BOX, rx=4, class_="box")
    return group(
        [
            frame,
            text(name, x + _PAD, y + 17, class_="head"),
            text(said, x + _PAD, y + 34),
        ],
        class_=_colour(member),
        title=_title(member),
    )


# Narrow ----------------------------------------------------------------------------------------


def _arcs(members: Sequence[ReadMember]) -> Html:
    ordered = _by_stage(members)
    row = {member.member: (i + 0.5) * _ROW for i, member in enumerate(ordered)}
    limit = int((_NARROW - _ARCS - 70) / (_BOLD * text_width("n", plot.FONT_PX)))
    names = short_names([*row], limit=limit)
    parts = []
    for member in ordered:
        y = row[member.member]
        curves = [
            tag(
                "path",
                d=_arc(row[name], y, reach=_ARCS * (y - row[name]) / (_ROW * len(ordered))),
                class_=_look(member, name),
            )
            for name in _reads(member)
        ]
        dot = tag("circle", titled(_title(member)), cx=_ARCS, cy=y, r=4, class_="mark")
        parts.append(group([*curves, dot], class_=_colour(member), title=_title(member)))
    for member, name in zip(ordered, names, strict=True):
        y = row[member.member]
        accuracy = DASH if member.accuracy is None else percent(member.accuracy)
        parts += [
            text(name, _ARCS + 12, y - 1, class_="head"),
            text(member.form or "reads nobody", _ARCS + 12, y + 14),
            text(accuracy, _NARROW - 4, y + 5, anchor="end"),
        ]
    return plot.sheet(_NARROW, _ROW * len(ordered), parts, class_="narrow")


def _arc(start: float, end: float, *, reach: float) -> str:
    x = _ARCS - 4
    left = x - 18 - 1.2 * reach
    return (
        f"M{x:.1f} {number(start, 1)}C{left:.1f} {start:.1f} {left:.1f} {end:.1f} {x:.1f} {end:.1f}"
    )
