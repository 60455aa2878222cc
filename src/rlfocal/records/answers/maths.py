r"""A mathematical expression in LaTeX, brought to one way of writing it.

Rules: the last \boxed{...} or \fbox{...} of the text (Hendrycks et al., MATH, arXiv:2103.03874,
`last_boxed_only_string`), else what follows "final answer is" (Minerva, as in
lm-evaluation-harness's minerva_math), else the last $...$, else a text that is short enough to be
an answer itself. Then the rewriting of MATH's `is_equiv`: spacing and sizing commands, degrees,
units, dollars and percent signs vanish, dfrac and tfrac become frac, missing braces and leading
zeros are added, "x = 5" becomes 5, a/b becomes \frac{a}{b}.

Departures: numbers are compared by value (0.25, 1/4, \frac{2}{8} are one answer; MATH knows 0.5
only). No expression is ever evaluated: only literal numbers are read, of bounded length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["MathExtractor", "number_value"]

MAX_CHARS = 500
"""A longer expression is prose, no answer."""
MAX_DIGITS = 40
"""Longer numbers are compared as text."""
MAX_EXPONENT = 99

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(\{|[^\s{}$])")
_FINAL = re.compile(r"answer\s+is:?", re.IGNORECASE)
_INLINE = re.compile(r"\$([^$]+)\$")
_VANISHING = re.compile(
    r"\\[!,;:]|\\ |\\left(?![a-zA-Z])|\\right(?![a-zA-Z])|\^\{?\\circ\}?|\\degree|"
    r"\\?[$%]|\\(?:quad|qquad|displaystyle)(?![a-zA-Z])|[\s~]"
)
_UNIT = re.compile(r"\\(?:text|mbox|mathrm)\{ ")
_WRAPPED = re.compile(r"\\(?:text|mbox|textbf|mathrm|mathbf)\{([^{}\\]*)\}")
_BARE_FRAC = re.compile(r"\\frac(?:([0-9a-zA-Z])|(\{[^{}]*\}))([0-9a-zA-Z])")
_BARE_FIRST = re.compile(r"\\frac([0-9a-zA-Z])\{")
_BARE_SQRT = re.compile(r"\\sqrt([0-9a-zA-Z])")
_POINT = re.compile(r"(?<![0-9])\.(?=[0-9])")
_ASSIGNMENT = re.compile(r"^[a-zA-Z]{1,2}(?:\\in)?=(?=[^=]*$)")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+)(?:\.[0-9]*)?")
_FRACTION = re.compile(r"([+-]?)\\frac\{([^{}]+)\}\{([^{}]+)\}")
_SLASH = re.compile(r"([+-]?[0-9]+)/([0-9]+)")
_POWER = re.compile(r"([+-]?[0-9]{1,6})\^(?:\{(-?[0-9]+)\}|([0-9]))")


@dataclass(frozen=True)
class MathExtractor:
    r"""Expressions in LaTeX.

    >>> MathExtractor().extract(r"Hence $x = \boxed{\dfrac12}$.")
    '\\frac{1}{2}'
    """

    def extract(self, text: str) -> str | None:
        """Return the canonical expression; None when there is none or it is too long."""
        current = text
        # Each pass may uncover work for the next; what no pass changes is canonical.
        for _ in range(20):
            picked = _pick(current)
            if picked is None or len(picked) > MAX_CHARS:
                return None
            following = _rewrite(picked)
            if following == current:
                return current or None
            current = following
        return None

    def equal(self, a: str, b: str) -> bool:
        """Say whether both are written alike, or are tuples or numbers of equal values."""
        first, second = self.extract(a), self.extract(b)
        if first is None or second is None:
            return False
        return first == second or _parts(first) == _parts(second)


def number_value(text: str) -> Fraction | None:
    r"""Read a literal number: 3, -0.25, 1,000, \frac{a}{b}, a/b or a power like 10^{6}.

    Returns:
        The exact value; None for anything else, or beyond `MAX_DIGITS` or `MAX_EXPONENT`.
    """
    if len(text) > 3 * MAX_DIGITS:
        return None
    if _DECIMAL.fullmatch(text):
        digits = text.replace(",", "")
        return Fraction(digits) if len(digits) <= MAX_DIGITS else None
    if found := _FRACTION.fullmatch(text):
        above, below = number_value(found[2]), number_value(found[3])
        if above is None or not below:
            return None
        return (-1 if found[1] == "-" else 1) * above / below
    if (found := _SLASH.fullmatch(text)) and int(found[2]):
        return Fraction(int(found[1]), int(found[2]))
    if found := _POWER.fullmatch(text):
        base, exponent = int(found[1].lstrip("+-")), int(found[2] or found[3])
        if abs(exponent) <= MAX_EXPONENT and (base or exponent > 0):
            # -2^2 is -(2^2)
            return (-1 if found[1].startswith("-") else 1) * Fraction(base) ** exponent
    return None


def _pick(text: str) -> str | None:
    box = None
    for found in _BOX.finditer(text):
        box = found
    if box is not None:
        return box[1] if box[1] != "{" else _balanced(text, box.end())
    mark = None
    for found in _FINAL.finditer(text):
        mark = found
    if mark is not None:
        text = text[mark.end() : mark.end() + 4 * MAX_CHARS].strip()
        if inline := _INLINE.match(text):
            return inline[1]
        return re.split(r"\.(?:\s|$)|\n", text, maxsplit=1)[0]
    last = None
    for found in _INLINE.finditer(text):
        last = found[1]
    if last is not None:
        return last
    return text if len(text) <= MAX_CHARS else None


def _balanced(text: str, start: int) -> str | None:
    """Text from `start` to the brace that closes the one just before it; None if none does."""
    depth = 1
    for position in range(start, min(len(text), start + MAX_CHARS + 1)):
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[start:position]
    return None


def _rewrite(text: str) -> str:
    text = _UNIT.split(text, maxsplit=1)[0] or text
    text = text.replace("\\\\", "\\").replace("tfrac", "frac").replace("dfrac", "frac")
    text = _VANISHING.sub("", text).rstrip(".")
    text = _WRAPPED.sub(r"\1", text)
    text = _ASSIGNMENT.sub("", text)
    text = _POINT.sub("0.", text)
    text = _BARE_SQRT.sub(r"\\sqrt{\1}", text)
    text = _BARE_FRAC.sub(lambda f: rf"\frac{f[2] or '{' + f[1] + '}'}{{{f[3]}}}", text)
    text = _BARE_FIRST.sub(r"\\frac{\1}{", text)
    value = number_value(text)
    return text if value is None else _written(value)


def _written(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _parts(text: str) -> list[Fraction | str]:
    """Brackets and elements of a tuple or interval, numbers by value."""
    parts: list[Fraction | str] = []
    for piece in re.split(r"([()\[\],])", text):
        value = number_value(piece)
        parts.append(piece if value is None else value)
    return parts
