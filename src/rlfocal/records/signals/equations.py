"""Written equations such as "3 apples * $4 = $12": how many there are, and how many do not hold.

One pass over the clauses that hold an equals sign: the time grows with the text alone.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from rlfocal.records.signals.calculating import TOKEN, Amount, Calculator

__all__ = ["Checked", "check_equations"]

_MOST = 200
"""Equations looked at in a text."""
_ALIKE = {
    "\N{MULTIPLICATION SIGN}\N{MIDDLE DOT}\N{DOT OPERATOR}\N{BULLET OPERATOR}": "*",
    "\N{MULTIPLICATION X}\N{HEAVY MULTIPLICATION X}\N{ASTERISK OPERATOR}": "*",
    "\N{DIVISION SIGN}\N{DIVISION SLASH}\N{FRACTION SLASH}": "/",
    "\N{MINUS SIGN}\N{EN DASH}\N{EM DASH}": "-",
    "\N{FULLWIDTH PLUS SIGN}": "+",
    "\N{FULLWIDTH EQUALS SIGN}\N{ALMOST EQUAL TO}": "=",
    "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}": " ",
    "\N{VULGAR FRACTION ONE HALF}": "(1/2)",
    "\N{VULGAR FRACTION ONE QUARTER}": "(1/4)",
    "\N{VULGAR FRACTION THREE QUARTERS}": "(3/4)",
}
_SPELLINGS = str.maketrans({sign: plain for signs, plain in _ALIKE.items() for sign in signs})
_LATEX = re.compile(
    r"\\(?:(?P<times>times|cdot|ast)|(?P<over>div)|(?P<equals>approx|simeq)"
    r"|[dt]?frac\s?\{(?P<above>[^{}]{1,40})\}\s?\{(?P<below>[^{}]{1,40})\}"
    r"|(?:text|mathrm|textbf|mbox)\s?\{(?P<words>[^{}]{0,80})\}"
    r"|(?:left|right|quad)(?![a-z])|[,;! ()$\[\]])"
)
_CLAUSE = re.compile(r"\n|\\n(?!eq|e\b|ot\b)|[.;:!?](?=\s)|[<>=!]=?>|[<>!]=|:=")
_BULLET = re.compile(r"\s*(?:[-*•+]\s+){0,3}")
_ASIDE = re.compile(r"\([A-Za-z][A-Za-z ',/-]{0,60}\)")
_POWER = re.compile(r"(?<=[0-9)])\s?\*\*\s?(?=[0-9(])")
_TOKEN = re.compile(TOKEN)


class Checked(NamedTuple):
    """Equations of a text."""

    n: int
    n_wrong: int
    results: tuple[float, ...] = ()
    """What stands on the right of each."""


def check_equations(text: str) -> Checked:
    r"""Count the equations of a text, and those that do not hold.

    A result may be rounded to the decimals that it is written with, and 30 % may be 30 or .3.

    >>> check_equations("So 3 x $1,200 = $3,600, and 20% of 50 = 12 eggs.")
    Checked(n=2, n_wrong=1, results=(3600.0, 12.0))
    >>> check_equations(r"2x + 3 = 11, \frac{7}{2} \approx 3.50 = 3 + 1/2")
    Checked(n=2, n_wrong=0, results=(3.5, 3.5))
    """
    if not text.isascii():
        text = text.translate(_SPELLINGS)
    if "\\" in text:
        text = _LATEX.sub(_plain, text)
    if "=" not in text:
        return Checked(0, 0)
    if "**" in text:
        text = _POWER.sub("^", text).replace("**", " ")
    n_wrong = 0
    results: list[float] = []
    for clause in _CLAUSE.split(text):
        if "=" in clause:
            if "(" in clause:
                clause = _ASIDE.sub("", clause)
            for left, right in _sides(clause):
                results.append(right.value)
                n_wrong += not _holds(left, right)
            if len(results) >= _MOST:
                break
    return Checked(len(results), n_wrong, tuple(results))


def _plain(found: re.Match[str]) -> str:
    if found["above"]:
        return f"(({found['above']})/({found['below']}))"
    if found["words"]:
        return f" {found['words']} "
    return "*" if found["times"] else "/" if found["over"] else "=" if found["equals"] else " "


def _sides(clause: str) -> list[tuple[Amount, Amount]]:
    """What stands on the left and on the right of an equals sign, where both are known."""
    bullet = _BULLET.match(clause)
    calculator = Calculator()
    sides = []
    for token in _TOKEN.findall(clause, bullet.end() if bullet else 0):
        if token[0] == "=":
            sides.append(calculator.end_side())
        else:
            calculator.read(token)
    sides.append(calculator.end_side())
    return [
        (left, right)
        for (_, left), (right, _) in pairwise(sides)
        if left is not None and right is not None
    ]


def _holds(left: Amount, right: Amount) -> bool:
    """Whether both are the same, within what the rounding of the right one allows."""
    allowed = _allowed(left, right)
    given = right.value
    near = abs(left.value - given) <= allowed or abs(left.value - right.head) <= allowed
    if near:
        return True
    if right.decimals == 2 and abs(left.value - 100 * given) <= allowed:
        return True  # cents as dollars
    if right.is_share:
        return abs(left.value - 100 * given) <= 100 * allowed
    return left.is_share and abs(100 * left.value - given) <= 100 * allowed


def _allowed(left: Amount, right: Amount) -> float:
    """How far they may be apart."""
    slack = 1e-6 * max(1.0, abs(right.value))
    if right.decimals < 0:
        is_rounded = left.is_rounded or right.is_rounded
        return slack + (5e-3 * abs(right.value) if is_rounded else 0.0)
    if not left.is_rounded and abs(left.value - round(left.value)) < 1e-9:
        return slack
    unit = 10.0**-right.decimals / (100 if right.is_share else 1)
    return slack + unit * (0.5 if right.decimals == 0 else 1.0)
