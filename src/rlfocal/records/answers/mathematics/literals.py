r"""Plain numbers read by value: decimals, fractions, mixed numbers, powers of ten.

Nothing is evaluated: a literal of bounded length stands for one rational number, and whatever
needs arithmetic beyond that (roots, sums, factorials) is for math-verify.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

__all__ = ["MAX_DIGITS", "MAX_EXPONENT", "number_value", "number_written"]

MAX_DIGITS = 40
"""Longer numbers are compared as text."""
MAX_EXPONENT = 99

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")


def number_value(text: str) -> Fraction | None:
    r"""Read a literal number, written without blanks.

    Args:
        text: 3, -0.25, \frac{a}{b}, a/b, 2\frac{1}{2}, 10^{6}, 1.2\times10^{5}, 0.\overline{3}.

    Returns:
        The exact value; None for anything else, or beyond `MAX_DIGITS` or `MAX_EXPONENT`.

    >>> number_value(r"2\frac{1}{2}"), number_value(r"1.2\times10^{5}"), number_value("x")
    (Fraction(5, 2), Fraction(120000, 1), None)
    """
    if len(text) > 3 * MAX_DIGITS:
        return None
    if _DECIMAL.fullmatch(text):
        return Fraction(text.rstrip(".")) if len(text) <= MAX_DIGITS + 2 else None
    for shape, read in _READERS:
        if found := shape.fullmatch(text):
            return read(found)
    return None


def number_written(value: Fraction) -> str:
    r"""Write a number in the one way that canonical answers use.

    >>> number_written(Fraction(-1, 2)), number_written(Fraction(3))
    ('-\\frac{1}{2}', '3')
    """
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def _quotient(above: Fraction | None, below: Fraction | None) -> Fraction | None:
    return above / below if above is not None and below else None


def _fraction(found: re.Match[str]) -> Fraction | None:
    value = _quotient(number_value(found[2]), number_value(found[3]))
    return None if value is None else _signed(found[1], value)


def _mixed(found: re.Match[str]) -> Fraction | None:
    part = _quotient(Fraction(found[3]), Fraction(found[4]))
    # 2\frac{7}{3} is a product, if anything
    return None if part is None or part >= 1 else _signed(found[1], Fraction(found[2]) + part)


def _power(found: re.Match[str]) -> Fraction | None:
    base, exponent = Fraction(found[2]), int(found[3] or found[4])
    if abs(exponent) > MAX_EXPONENT or (not base and exponent <= 0):
        return None
    return _signed(found[1], base**exponent)  # -2^2 is -(2^2)


def _scientific(found: re.Match[str]) -> Fraction | None:
    exponent = int(found[2] or found[3] or found[4])
    if abs(exponent) > MAX_EXPONENT:
        return None
    return Fraction(found[1].rstrip(".")) * Fraction(10) ** exponent


def _repeating(found: re.Match[str]) -> Fraction:
    whole, fixed, again = found[2] or "0", found[3], found[4]
    tail = Fraction(int(again), 10 ** len(fixed) * (10 ** len(again) - 1))
    return _signed(found[1], Fraction(f"{whole}.{fixed or '0'}") + tail)


_READERS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Fraction | None]], ...] = (
    (re.compile(r"([+-]?)\\frac\{([^{}]+)\}\{([^{}]+)\}"), _fraction),
    (re.compile(r"([+-]?)([0-9.]+)/([0-9.]+)"), _fraction),
    (re.compile(r"([+-]?)([0-9]+)\\frac\{([0-9]+)\}\{([0-9]+)\}"), _mixed),
    (re.compile(r"([+-]?)([0-9]{1,6})\^(?:\{([+-]?[0-9]+)\}|([0-9]))"), _power),
    (
        re.compile(
            r"([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)"
            r"(?:\\(?:times|cdot)10\^(?:\{([+-]?[0-9]+)\}|([0-9]))|[eE]([+-]?[0-9]+))"
        ),
        _scientific,
    ),
    (re.compile(r"([+-]?)([0-9]*)\.([0-9]*)\\overline\{([0-9]+)\}"), _repeating),
)
"""How numbers are written, each with what reads it."""
