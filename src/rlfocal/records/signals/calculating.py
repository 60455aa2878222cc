"""Working out what stands beside an equals sign, one token after another, by operator precedence.

Whatever is not certain comes to nothing: an unknown, a word that stands for a number, two numbers
side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["TOKEN", "Amount", "Calculator"]

TOKEN = (
    r"(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?|\.[0-9]+)(?: ?\\?%|[A-Za-z]+)?"  # a number, its unit
    r"|[A-Za-z][A-Za-z0-9_']*(?:[ /-][A-Za-z][A-Za-z0-9_']*)*"  # words
    r"|=+| ?\(|[-+*/^)]|[^\s$€£¥₹]"
)
"""Tokens of a clause; currencies are left out."""
_BINDS = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2, "^": 3}
_SPOKEN = {"x": "*", "X": "*", "times": "*", "plus": "+", "minus": "-"}
_TURNING = frozenset({
    "of", "twice", "thrice", "half", "double", "triple", "quarter", "third", "by", "than", "root",
    "squared", "cubed", "sqrt", "mod", "log", "ln", "sin", "cos", "tan", "max", "min", "sum",
    "average",
})  # fmt: skip
"""Words before a calculation that make it another one."""
_MOST = 60
"""Operators and open parentheses of one calculation."""
_LARGEST = 1e15
"""Beyond it whole numbers are no longer exact."""


class Amount(NamedTuple):
    """What a side of an equation comes to."""

    value: float
    decimals: int
    """Of a single number; -1 for a calculation."""
    is_share: bool
    """Whether it is a percentage alone."""
    is_rounded: bool
    """Whether it was divided, or calculated from decimals."""
    head: float
    """The number that it begins with: 3 + 4 = 7 * 2 = 14 is how people write what they do."""


class Calculator:
    """Follows a clause from token to token, and says at an equals sign what its side comes to."""

    def __init__(self) -> None:
        self._is_first_side = True
        self._begin_side()

    def read(self, token: str) -> None:
        """Take a token in, of `TOKEN`, other than an equals sign."""
        _READ_AS.get(token[0], Calculator._pause)(self, token)

    def end_side(self) -> tuple[Amount | None, Amount | None]:
        """At an equals sign or the end: what the side begins with, and what it ends with."""
        # A lone number with its unit may be turned into another one: 1 hour = 60 minutes.
        is_whole = not (self._has_first or self._words or self._is_first_side)
        if self._is_turned or not (self._n_operators or is_whole):
            last = None
            first = self._first if self._has_first else self._amount()
        else:
            last = self._amount()
            first = self._first if self._has_first else last
        self._is_first_side = False
        self._begin_side()
        return first, last

    def _begin_side(self) -> None:
        self._first: Amount | None = None
        self._has_first = False
        self._restart()
        self._at_start = True

    def _restart(self) -> None:
        self._values: list[float] = []
        self._operators: list[str] = []
        self._wants_value, self._is_unknown = True, False
        self._words = self._n_operators = self._decimals = 0
        self._is_share = self._is_rounded = False
        self._head = math.nan
        self._at_start = self._is_aside = self._is_turned = False

    def _finish(self) -> None:
        """End a calculation; the first of a side is what stands behind its equals sign."""
        if not self._has_first:
            self._first, self._has_first = self._amount(), True
        self._restart()

    def _pause(self, token: str) -> None:
        """What follows has nothing to do with what came before."""
        self._finish()

    def _unknown(self, token: str = "") -> None:
        self._is_unknown, self._wants_value, self._words = True, False, 0

    def _number(self, token: str) -> None:
        if token == ".":
            self._finish()
            return
        if not self._wants_value:
            if not self._words:
                self._unknown()
                return
            self._finish()
        if token.isdigit():
            self._take(float(token), 0, is_share=False)
            return
        digits = token.rstrip(_AFTER)
        unit = token[len(digits) :]
        value = float(digits.replace(",", ""))
        decimals = len(digits.partition(".")[2])
        if unit.endswith("%"):
            self._take(value / 100, decimals, is_share=True)
            return
        self._take(value, decimals, is_share=False)
        if unit:
            self._unit(unit)

    def _take(self, value: float, decimals: int, *, is_share: bool) -> None:
        if decimals:
            self._is_rounded = True
        if not (self._values or self._operators):
            self._head = value
        self._values.append(value)
        self._decimals, self._is_share = decimals, is_share
        self._wants_value, self._words = False, 0

    def _unit(self, unit: str) -> None:
        if unit in ("x", "X"):
            self._operator("*")
        elif len(unit) == 1 or not unit.islower():  # 2y, 2Pa
            self._unknown()
        else:
            self._words = 1

    def _word(self, token: str) -> None:
        words = token.split(" ")
        if self._wants_value and not self._operators:
            self._at_start = False
            self._is_turned = words[-1].lower() in _TURNING
            if _is_name(words[-1]):
                self._unknown()
            return
        for word in words:
            if self._wants_value and self._operators:
                self._behind_operator(word)
            elif not self._wants_value:
                self._behind_value(word)

    def _behind_operator(self, word: str) -> None:
        sign = self._operators[-1]
        if sign not in "/-" or not self._values or _is_name(word):
            self._unknown()
            return
        self._operators.pop()
        self._n_operators -= 1
        self._wants_value = False
        if sign == "-":  # a dash
            self._finish()
        else:  # dollars/hour
            self._words = 1

    def _behind_value(self, word: str) -> None:
        sign = _SPOKEN.get(word)
        if word == "of" and not self._words and (self._is_share or "/" in self._operators):
            sign = "*"
        if sign is not None:
            self._operator(sign)
        elif _is_name(word):
            self._unknown()
        elif word in _TURNING:
            self._finish()
            self._is_turned = True
        else:
            self._words += 1
            if self._is_unknown and self._words > 1:
                self._finish()

    def _operator(self, sign: str) -> None:
        if self._wants_value:
            if sign == "-" and self._at_start and not (self._values or self._operators):
                self._values.append(0.0)
            elif sign != "+" or not self._operators:
                self._unknown()
                return
        if self._n_operators >= _MOST:
            self._unknown()
            return
        self._reduce(_BINDS[sign] + (sign == "^"))
        self._operators.append(sign)
        self._n_operators += 1
        self._wants_value, self._words = True, 0

    def _opening(self, token: str) -> None:
        if not self._wants_value:
            if self._words or token != "(":
                self._finish()
                self._is_aside = True
            else:
                self._operator("*")
        if len(self._operators) < _MOST:
            self._operators.append("(")
        else:
            self._unknown()

    def _closing(self, token: str) -> None:
        if self._wants_value or "(" not in self._operators:
            self._finish()
            return
        self._reduce(1)
        if self._operators and self._operators[-1] == "(":
            self._operators.pop()
        self._words, self._is_share = 0, False
        if self._is_aside and not self._operators:
            self._finish()
            self._is_turned = True

    def _amount(self) -> Amount | None:
        if self._is_unknown or self._wants_value or not self._values:
            return None
        self._reduce(1)
        value = self._values[-1]
        if len(self._values) > 1 or not abs(value) <= _LARGEST:
            return None
        is_single = self._n_operators == 0
        return Amount(
            value,
            self._decimals if is_single else -1,
            self._is_share and is_single,
            self._is_rounded,
            self._head,
        )

    def _reduce(self, binds: int) -> None:
        """Carry out what binds at least as much, down to the last open parenthesis."""
        while self._operators and _BINDS[self._operators[-1]] >= binds:
            sign = self._operators.pop()
            if len(self._values) < 2:
                self._unknown()
                return
            right, left = self._values.pop(), self._values.pop()
            self._values.append(_calculated(left, sign, right))
            self._is_rounded |= sign == "/"


_AFTER = " \\%ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_READ_AS: Mapping[str, Callable[[Calculator, str], None]] = {
    **dict.fromkeys("0123456789.", Calculator._number),
    **dict.fromkeys(_AFTER[3:], Calculator._word),
    **dict.fromkeys("+-*/^", Calculator._operator),
    **dict.fromkeys("( ", Calculator._opening),
    ")": Calculator._closing,
    ":": Calculator._unknown,  # a time, or a ratio
}


def _is_name(word: str) -> bool:
    """Whether a word stands for a number, as x and V2 do."""
    return word != "a" and (len(word) == 1 or word[1].isdigit())


def _calculated(left: float, sign: str, right: float) -> float:
    """The result; NaN where there is none, or it is not worth the work."""
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    if sign == "/":
        return left / right if right else math.nan
    if not (abs(right) <= 20 and 0 < abs(left) <= 1e6) or (left < 0 and right % 1):
        return math.nan
    return float(left**right)
