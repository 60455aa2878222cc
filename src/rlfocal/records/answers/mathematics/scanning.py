r"""Brackets and relations of canonical text: where it splits, what encloses all of it.

Relations are read another way too: |x| < 3 as -3 < x < 3, and a + b = 12 as what a + b is. All is
text to text; `structure` reads the result.
"""

from __future__ import annotations

import re

from rlfocal.records.answers.mathematics.literals import number_value, number_written

__all__ = [
    "FLIPPED", "closes", "has_letters", "holes_of", "quantity_of", "split", "tokens_of",
    "unwrapped", "without_absolute",
]  # fmt: skip

_TOKEN = re.compile(r"\\[{}|]|\\[a-zA-Z]+ ?|\\.|[\s\S]")
_OPEN = ("(", "[", "{", "\\{", "\\langle", "\\lfloor", "\\lceil")
_CLOSE = (")", "]", "}", "\\}", "\\rangle", "\\rfloor", "\\rceil")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_SIGNS = ("\\le", "\\ge", "<", ">")
FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}
"""Each sign with its sides changed over."""
_ABSOLUTE = re.compile(r"\|([a-zA-Z]|\\theta ?)([+-][0-9./]+|[+-]\\frac\{[0-9]+\}\{[0-9]+\})?\|")
_POWER = r"[a-zA-Z](?:_(?:[0-9a-zA-Z]|\{[0-9a-z]+\}))?(?:\^[0-9])?"
_QUANTITY = re.compile(
    rf"{_POWER}(?:[+-]?{_POWER})+|\\frac\{{{_POWER}\}}\{{{_POWER}\}}|{_POWER}/{_POWER}"
    r"|\\(?:lim|sum|prod|int|sin|cos|tan|max|min|binom|det|gcd)(?![a-zA-Z]).+"
)
_HOLES = re.compile(
    r"(?:([a-z])\\in ?\\mathbb\{R\},)?([a-z])\\ne ?([^a-zA-Z,]+(?:,(?:\2\\ne ?)?[^a-zA-Z,]+)*)"
)
_LINE = re.compile(r"[xyz](?:[+-][xyz])+|[xyz]{2,}|[xyz]\^[0-9](?:[+-][xyz]\^[0-9])+")
"""A line, plane, circle or curve, if anything: the equation itself is the answer."""


def split(text: str, signs: tuple[str, ...]) -> list[tuple[str, str]]:
    """Split at signs outside of all brackets.

    Returns:
        Parts, each with the sign before it ("" for the first).
    """
    parts, start, depth, before = [], 0, 0, ""
    for found in _TOKEN.finditer(text):
        token = found[0].rstrip() or found[0]
        if token in _OPEN:
            depth += 1
        elif token in _CLOSE:
            depth = max(0, depth - 1)
        elif depth == 0 and token in signs:
            parts.append((before, text[start : found.start()]))
            before, start = token, found.end()
    return [*parts, (before, text[start:])]


def tokens_of(text: str) -> list[str]:
    """Every sign and command, without the blank that ends a command's name."""
    return [found[0].rstrip() for found in _TOKEN.finditer(text)]


def unwrapped(text: str) -> str:
    """Without braces around all of it."""
    text = text.strip(" .")
    while text[:1] == "{" and text[-1:] == "}" and len(split(text, ("}",))) == 1 and closes(text):
        text = text[1:-1]
    return text


def closes(text: str) -> bool:
    """Whether the first bracket is closed by the last one."""
    depth, tokens = 0, tokens_of(text)
    for position, token in enumerate(tokens):
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0:
            return position == len(tokens) - 1
    return False


def has_letters(text: str) -> bool:
    """Whether a variable stands in it, outside of words."""
    bare = _COMMAND.sub("", re.sub(r"\\text\{[^{}]*\}", "", text))
    return bool(re.search("[a-zA-Z]", bare)) or bool(
        re.search(r"\\(?:alpha|beta|theta|lambda|phi|mu|omega)(?![a-zA-Z])", text)
    )


def without_absolute(text: str) -> str:
    r"""Bounds of a name instead of one of its absolute value; other text as it is.

    >>> without_absolute(r"|x|\le3"), without_absolute("|x-2|>5")
    ('-3\\le x\\le 3', 'x<-3\\text{or}x>7')
    """
    if "|" not in text:
        return text
    sides = split(text, _SIGNS)
    if len(sides) == 3:
        return _between(text, sides)
    if len(sides) != 2:
        return text
    (_, first), (sign, last) = sides
    found = _ABSOLUTE.fullmatch(first)
    if found is None:
        found, last, sign = _ABSOLUTE.fullmatch(last), first, FLIPPED[sign]
    ends = None if found is None else _ends(found[2] or "", last)
    if found is None or ends is None:
        return text
    low, high = ends
    blank = " " if sign[0] == "\\" else ""
    if sign in ("<", "\\le"):
        return f"{low}{sign}{blank}{found[1]}{sign}{blank}{high}"
    less = FLIPPED[sign]
    return f"{found[1]}{less}{blank}{low}\\text{{or}}{found[1]}{sign}{blank}{high}"


def _between(text: str, sides: list[tuple[str, str]]) -> str:
    """Both pieces of 1 < |x| < 2."""
    (_, low), (first, middle), (last, high) = sides
    found = _ABSOLUTE.fullmatch(middle)
    least, most = number_value(low), number_value(high)
    if found is None or found[2] or not {first, last} <= {"<", "\\le"}:
        return text
    if least is None or most is None or not 0 < least < most:
        return text
    name = f" {found[1]}"
    return f"-{high}{last}{name}{first} -{low}\\text{{or}}{low}{first}{name}{last} {high}"


def _ends(shift: str, size: str) -> tuple[str, str] | None:
    """How far the name goes either way, where |name + shift| is `size`."""
    value = number_value(size)
    if value is not None and value > 0:
        at = number_value(shift) if shift else 0
        return None if at is None else (number_written(-value - at), number_written(value - at))
    if value is not None or shift or has_letters(size) or "|" in size:
        return None
    return (f"-{size}" if not re.search("[+-]", size) else f"-({size})"), size


def holes_of(text: str) -> str | None:
    r"""The real numbers without some points; None for anything else.

    >>> holes_of(r"x\ne1,2"), holes_of(r"x\ne1,x\ne2"), holes_of(r"x\ne1")
    ('\\mathbb{R}\\setminus\\{1,2\\}', '\\mathbb{R}\\setminus\\{1,2\\}', None)
    """
    text = re.sub(r"\\ne ?\\pm ?([0-9.]+)$", r"\\ne-\1,\1", text)
    found = _HOLES.fullmatch(text)
    if found is None or "," not in text:
        return None
    points = re.sub(r"[a-z]\\ne ?", "", found[3])
    return rf"\mathbb{{R}}\setminus\{{{points}\}}"


def quantity_of(text: str) -> str | None:
    r"""What a quantity of several letters, or a named operation, equals; None for equations.

    >>> quantity_of("a+b=12"), quantity_of(r"\sin A=\frac{3}{5}"), quantity_of("2x=10")
    ('12', '\\frac{3}{5}', None)
    """
    sides = [side for _, side in split(text, ("=",))]
    if len(sides) != 2 or has_letters(sides[1]) or not _QUANTITY.fullmatch(sides[0]):
        return None
    return None if _LINE.fullmatch(sides[0]) else sides[1]
