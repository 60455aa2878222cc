"""SVG as text: elements, paths, and how wide a text will be.

What is made here is well-formed XML, whatever the names in it, so that it stands in a page of HTML
and in a file of its own alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rlfocal.markup import Html, escape

__all__ = ["group", "line_path", "tag", "text", "text_width", "titled"]

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 forbids, even escaped."""
_WIDTHS = {
    **dict.fromkeys("iljtfr.,:;|!'()[] -", 0.36),
    **dict.fromkeys("mwMW@%", 0.92),
    **dict.fromkeys("ABCDEFGHKNOPQRSUVXYZ&_=+", 0.7),
}
"""Widths of characters in ems, on the wide side for the common system fonts."""
_WIDTH, _WIDE = 0.58, 1.05
_WIDE_FROM = "\u1100"


def tag(name: str, *children: str, **attributes: object) -> Html:
    """One element; children are markup already, attributes are escaped.

    Args:
        name: of the element.
        children: what stands in it.
        attributes: `class_` is class, `stroke_width` stroke-width; numbers are cut to a tenth of a
            pixel; those that are None are left out.

    >>> tag("circle", cx=1.2345, r=4, class_="dot")
    '<circle cx="1.2" r="4" class="dot"/>'
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(children)
    return Html(f"<{name}{said}>{inside}</{name}>" if inside else f"<{name}{said}/>")


def group(children: Iterable[str], *, class_: str, title: str = "", **attributes: object) -> Html:
    """Several elements as one, with the words that a browser shows over them."""
    return tag("g", *([titled(title)] if title else ()), *children, class_=class_, **attributes)


def titled(words: str) -> Html:
    """What a browser shows while the pointer rests on the element around it."""
    return Html(f"<title>{_clean(words)}</title>")


def text(words: str, x: float, y: float, *, anchor: str = "start", class_: str = "") -> Html:
    """A line of text whose base line starts, centres or ends (`anchor`) at a place."""
    return Html(
        f'<text x="{_number(x)}" y="{_number(y)}"'
        + (f' class="{class_}"' if class_ else "")
        + ("" if anchor == "start" else f' text-anchor="{anchor}"')
        + f">{_clean(words)}</text>"
    )


def line_path(points: Iterable[tuple[float, float]]) -> str:
    """The `d` of a path through points, in order.

    >>> line_path([(0, 1), (2.25, 3)])
    'M0 1L2.2 3'
    """
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points)


def text_width(words: str, size: float) -> float:
    """About how many pixels a text is wide, rather too many than too few.

    Fonts differ from machine to machine, so nothing exact can be known here.

    >>> round(text_width("ab", 10), 1)
    11.6
    """
    return size * sum(
        _WIDTHS.get(character, _WIDE if character >= _WIDE_FROM else _WIDTH) for character in words
    )


def _value(value: object) -> str:
    return _number(value) if isinstance(value, int | float) else _clean(str(value))


def _number(value: float) -> str:
    """At most one decimal, which is less than an eye can see."""
    shown = f"{value:.1f}".removesuffix(".0")
    return "0" if shown == "-0" else shown


def _clean(words: str) -> str:
    return escape(_NO_XML.sub("\ufffd", words))
