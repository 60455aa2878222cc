r"""What an answer is made of: a number with a unit, a tuple, an interval, an equation, words.

It reads canonical text (`writing.written`) and computes nothing: values of plain numbers are read,
all other expressions stay text, to be compared by `verifier`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from rlfocal.records.answers.mathematics.literals import number_value
from rlfocal.records.answers.mathematics.nodes import Based, Group, Node, Relation, Scalar, Words
from rlfocal.records.answers.mathematics.scanning import (
    FLIPPED,
    closes,
    has_letters,
    holes_of,
    split,
    tokens_of,
    unwrapped,
    without_absolute,
)
from rlfocal.records.answers.mathematics.units import unit_of, word_value, words_of

__all__ = ["parsed", "reduced"]

MAX_PARTS = 60
MAX_DEPTH = 12

_NAME = re.compile(
    r"""(?x)
    (?: \\?[a-zA-Z] | \\(?: alpha | beta | gamma | delta | theta | lambda | mu | phi | omega
      | sigma | epsilon | rho ) ) [ ]?
    (?: _ (?: [0-9a-zA-Z] | \{[^{}]*\} ) )?                   # x_1
    (?: '+ | \^\{-1\} (?=\() )?                               # f', f^{-1}(x)
    (?: \( (?: [a-z0-9] (?: ,[a-z0-9] )* ) \) )?              # f(x,y)
    """
)
_NAMES = re.compile(r"\([a-z](?:_[0-9])?(?:,[a-z](?:_[0-9])?)+\)")
_LONG_NAME = re.compile(
    r"(?:\\text\{[^{}]*\}|[A-Z]{2,3}|\\(?:angle|overline|triangle).*|[A-Za-z]+\([^()]*\)|\|[^|]*\|)"
)
_LEADING = re.compile(r"\A(?:=|\\approx ?)+")
_RELATIONS = ("\\le", "\\ge", "\\ne", "\\in", "\\approx", "\\equiv", "<", ">", "=")
_BASED = re.compile(r"\(?([0-9A-Fa-f]+)\)?_(?:\{(?:\\text\{)?([0-9]+|[a-z]+)\}?\}|([0-9]))")
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
          "ten": 10, "twelve": 12, "sixteen": 16}  # fmt: skip
_MATRIX = re.compile(
    r"\\begin\{([pbvBV]?matrix|smallmatrix|array)\}(?:\{[^{}]*\})?(.*)\\end\{\1\}", re.DOTALL
)
_WORD = re.compile(r"[A-Za-z]{4,}|[A-Z][A-Za-z]{2,}|[Yy]es|[Nn]o|[Oo]dd|[Aa]ll")
_HOLES = re.compile(
    r"\\(?:mathbb\{R\}|R)(?:\\(?:setminus|backslash|smallsetminus) ?|-)\\\{([^{}]+)\\\}"
)
_HALF = re.compile(
    r"""(?x)
    \\(?: mathbb\{R\} | R ) [\^_] (?: \{ (?: ([+-]) | ( [<>] | \\[lg]e[ ]? ) 0 ) \} | ([+-]) )
    | \\text\{ (?: all[ ] )? ( positive | negative | non-?negative | non-?positive )
      [ ](?: real[ ]numbers | reals ) \}
    """
)
_NOTHING = ("\\emptyset", "\\{\\}")
_REALS = ("\\mathbb{R}", "\\R", "\\Re", "(-\\infty,\\infty)")
_REAL_WORDS = ("all real numbers", "all reals", "all real x", "real numbers", "all real values")
_ENDLESS = ("infinitely many", "infinitely many solutions", "infinite", "infinity")
_ZERO, _PLUS, _MINUS = Scalar("0", Fraction(0)), Scalar("\\infty"), Scalar("-\\infty")
_LINE = Group("()", (_MINUS, _PLUS))
_HALVES = {
    sign: Group(shape, ends)
    for shape, ends, signs in (
        ("()", (_ZERO, _PLUS), "+ > positive"),
        ("[)", (_ZERO, _PLUS), "\\ge nonnegative"),
        ("()", (_MINUS, _ZERO), "- < negative"),
        ("(]", (_MINUS, _ZERO), "\\le nonpositive"),
    )
    for sign in signs.split()
}


def parsed(text: str, depth: int = 0) -> Node:
    """Read the structure of a canonical text; what has none is one expression."""
    text = unwrapped(text)
    if depth > MAX_DEPTH:
        return Scalar(text)
    for read in _READERS:
        found = read(text, depth + 1)
        if found is not None:
            return found
    return _scalar(text)


def reduced(text: str) -> str:
    """What an equation of numbers ends on: "2+3=5" answers 5, and so does "a+b=2+3=5"."""
    text = _LEADING.sub("", text)
    sides = [s for _, s in split(text, ("=",))]
    if len(sides) == 1 or not all(sides) or "\\text" in "".join(sides[:-1]):
        return text
    if len(split(text, (",", ";"))) > 1:
        return text
    if not has_letters(sides[0]):
        return sides[-1]
    if len(sides) > 2 and not has_letters(sides[-1]):
        return f"{sides[0]}={sides[-1]}" if _NAME.fullmatch(sides[0]) else sides[-1]
    return text


def _words(text: str, depth: int) -> Node | None:
    if text in _NOTHING:
        return Words("none")
    if text in _REALS or words_of(text.removeprefix("\\text{").rstrip("}")) in _REAL_WORDS:
        return _LINE
    if half := _HALF.fullmatch(text):
        sign = next(group for group in half.groups() if group).strip()
        return _HALVES[sign.replace("-", "") if len(sign) > 1 else sign]
    inside = re.fullmatch(r"\\text\{([^{}]*)\}", text)
    words = inside[1] if inside else text
    value = word_value(words)
    if words_of(words) in _ENDLESS:
        return _PLUS
    if inside is None and value is None and not _WORD.fullmatch(text):
        return None
    return Words(words_of(words)) if value is None else Scalar(str(value), Fraction(value))


def _option(text: str, depth: int) -> Node | None:
    """A letter with what it stands for, as AMC's labels have it: (C) 12."""
    found = re.fullmatch(r"\(([A-E])\)(?=[0-9$]|\\(?:frac|text|sqrt|\$|pi))(.+)", text)
    if found is None:
        return None
    return Group("option", (Scalar(found[1]), parsed(found[2], depth)))


def _matrix(text: str, depth: int) -> Node | None:
    found = _MATRIX.fullmatch(text)
    if found is None or len(found[2]) != len(found[2].replace("\\begin", "")):
        return None
    rows = [r for r in re.split(r"\\\\(?:\[[^\[\]]*\])?", found[2].replace("\\hline", "")) if r]
    cells = [tuple(parsed(c, depth) for c in row.split("&")) for row in rows[:MAX_PARTS]]
    shape = "determinant" if found[1] in ("vmatrix", "Vmatrix") else "matrix"
    return Group(shape, tuple(Group("row", row) for row in cells))


def _list(text: str, depth: int) -> Node | None:
    if holes := holes_of(text):
        return _union(holes, depth)
    marked = text.replace("\\text{or}", "\0")
    chosen = [p for _, p in split(marked, ("\0",))]
    if 1 < len(chosen) <= MAX_PARTS:
        parts = [parsed(p, depth) for p in chosen if p]
        if all(isinstance(p, Group) and _is_interval(p) for p in parts):
            return Group("union", tuple(replace(p, name="") for p in parts), name=parts[0].name)
        return _flat(parts)
    pieces = [p for _, p in split(text, (",", ";"))]
    if not 1 < len(pieces) <= MAX_PARTS:
        return None
    if all(p.strip() for p in pieces):
        return _flat([parsed(p, depth) for p in pieces])
    return _flat([parsed(p, depth) for p in pieces if p.strip()])


def _flat(parts: list[Node]) -> Node:
    r"""Lists in lists are one: `3,\pm 2`, "x = 3 or x = -3"; a common name is said once."""
    flat: list[Node] = []
    for part in parts:
        inner = list(part.parts) if isinstance(part, Group) and part.shape == "list" else [part]
        flat += [replace(p, name=p.name or part.name) for p in inner]
    if len(flat) == 1:
        return flat[0]
    names = {re.sub(r"_(?:\d|\{\d+\})$", "", part.name) for part in flat}
    if len(names - {""}) == 1:
        name = next(iter(names - {""}))
        return Group("list", tuple(replace(p, name="") for p in flat), name=name)
    return Group("list", tuple(flat))


def _is_interval(node: Node) -> bool:
    return (
        isinstance(node, Group) and node.shape in ("()", "(]", "[)", "[]") and len(node.parts) == 2
    )


def _relation(text: str, depth: int) -> Node | None:
    text = without_absolute(text)
    if "\\text{or}" in text:  # |x| > 3
        return _list(text, depth)
    found = split(text, _RELATIONS)
    if len(found) == 1:
        return None
    signs, sides = [s for s, _ in found[1:]], [s for _, s in found]
    if not all(s.strip() for s in sides):
        return Relation(text)
    if all(s in ("=", "\\approx", "\\equiv") for s in signs):
        return _equation(text, sides, depth)
    if signs == ["\\in"]:
        return replace(parsed(sides[1], depth), name=sides[0].strip())
    return _interval(signs, sides, depth) or Relation(text)


def _equation(text: str, sides: list[str], depth: int) -> Node:
    first, last = sides[0], sides[-1]
    if _NAME.fullmatch(last) and not _NAME.fullmatch(first) and len(sides) == 2:
        first, last = last, first
    if _NAME.fullmatch(first) or _LONG_NAME.fullmatch(first) or _NAMES.fullmatch(first):
        name = first.strip()
        inner = parsed(last, depth)
        if not inner.name:
            return replace(inner, name=name)
    elif not has_letters(first):  # 2 + 3 = 5
        return parsed(last, depth)
    return Relation(text)


def _interval(signs: list[str], sides: list[str], depth: int) -> Node | None:
    r"""An interval for x > 3 or 1 < x \le 5."""
    named = [k for k, side in enumerate(sides) if _NAME.fullmatch(side)]
    if len(named) != 1 or any(has_letters(s) for k, s in enumerate(sides) if k != named[0]):
        return None
    at, name = named[0], sides[named[0]]
    if signs == ["\\ne"]:
        point = parsed(sides[1 - at], depth)
        if isinstance(point, Group):
            return None
        return Group(
            "union", (Group("()", (_MINUS, point)), Group("()", (point, _PLUS))), name=name
        )
    below, above = _bound(signs, sides, at, ("<", "\\le")), _bound(signs, sides, at, (">", "\\ge"))
    if below is None or above is None or len(sides) > 3:
        return None
    ends = tuple(parsed(bound[0], depth) for bound in (below, above))
    return Group(("[" if below[1] else "(") + ("]" if above[1] else ")"), ends, name=name)


def _bound(
    signs: list[str], sides: list[str], at: int, wanted: tuple[str, str]
) -> tuple[str, bool] | None:
    """The bound below (signs < <=) or above of the side `at`, and whether it belongs to it."""
    found = []
    if at > 0:
        found.append((signs[at - 1], sides[at - 1]))
    if at < len(signs):
        found.append((FLIPPED.get(signs[at], ""), sides[at + 1]))
    if any(sign not in FLIPPED for sign, _ in found):
        return None
    mine = [(side, sign == wanted[1]) for sign, side in found if sign in wanted]
    if len(mine) > 1:
        return None
    return mine[0] if mine else ("-\\infty" if wanted[0] == "<" else "\\infty", False)


def _union(text: str, depth: int) -> Node | None:
    if holes := _HOLES.fullmatch(text):
        points = holes[1].split(",")
        values = [number_value(point) for point in points]
        if len(points) > 1 and None in values:
            return None
        points = [p for _, p in sorted(zip(values, points, strict=True))] if values[1:] else points
        ends = ["-\\infty", *points, "\\infty"]
        text = "\\cup".join(f"({low},{high})" for low, high in pairwise(ends))
    pieces = [p for _, p in split(text, ("\\cup",))]
    if not 1 < len(pieces) <= MAX_PARTS:
        return None
    return Group("union", tuple(parsed(p, depth) for p in pieces))


def _plus_minus(text: str, depth: int) -> Node | None:
    if ("\\pm" not in text and "\\mp" not in text) or (text[:2] == "\\{" and closes(text)):
        return None
    swapped = re.sub(r"\\(pm|mp)(?![a-zA-Z]) ?", lambda f: "+" if f[1] == "pm" else "-", text)
    other = re.sub(r"\\(pm|mp)(?![a-zA-Z]) ?", lambda f: "-" if f[1] == "pm" else "+", text)
    if swapped == text:
        return None
    return Group("list", tuple(parsed(t.lstrip("+"), depth) for t in (swapped, other)))


def _bracketed(text: str, depth: int) -> Node | None:
    tokens = tokens_of(text)
    if len(tokens) < 2 or tokens[0] not in ("(", "[", "\\{", "\\langle") or not closes(text):
        return None
    opened, closed = tokens[0], tokens[-1]
    inside = text[len(opened) : len(text) - len(closed)].strip()
    if opened == "\\{":
        condition = split(inside, ("|", ":", "\\mid"))
        if len(condition) == 2:
            return parsed(condition[1][1], depth)
        found = _flat([parsed(p, depth) for _, p in split(inside, (",", ";"))])
        if isinstance(found, Group) and found.shape == "list":
            return Group("set", found.parts, name=found.name)
        return found
    parts = [parsed(p, depth) for _, p in split(inside, (",", ";"))]
    if len(parts) == 1:
        return parts[0] if (opened, closed) in (("(", ")"), ("[", "]")) else None
    if len(parts) > MAX_PARTS:
        return None
    shape = "()" if opened == "\\langle" else opened + closed
    return Group(shape, tuple(parts))


def _based(text: str, depth: int) -> Node | None:
    found = _BASED.fullmatch(text)
    if found is None or not re.search("[0-9]", found[1]):
        return None
    base = found[2] or found[3]
    number = int(base) if base.isdigit() else _BASES.get(base)
    return None if number is None else Based(found[1].upper().lstrip("0") or "0", number)


def _colon(text: str, depth: int) -> Node | None:
    unit = re.search(r"\\text\{[^{}]*\}$", text)
    bare = (text[: unit.start()] if unit else text).replace("\\text{to}", ":")
    pieces = [p for _, p in split(bare, (":", "\\colon"))]
    if not 1 < len(pieces) <= 6 or not all(pieces):
        return None
    name = unit_of("1" + unit[0])[1] if unit else ""
    return Group(f"colon {name}".strip(), tuple(_scalar(p) for p in pieces))


def _scalar(text: str) -> Scalar:
    bare, unit = unit_of(text)
    while bare[:1] in "([" and bare[1:] and closes(bare):
        bare = bare[1:-1]
    bare = bare.lstrip("+")
    return Scalar(bare, number_value(bare), unit)


_READERS = (
    _words, _option, _matrix, _list, _relation, _union, _plus_minus, _bracketed, _based, _colon,
)  # fmt: skip
"""In the order in which a text is tried to be one of them."""
