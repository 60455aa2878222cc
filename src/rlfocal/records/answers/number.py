"""The number that a text ends on.

Rules of GSM8K's own script (openai/grade-school-math: what follows "####", commas removed), then
those of lm-evaluation-harness for gsm8k: "The answer is N" (strict-match of the chain-of-thought
variant) and the last number anywhere (flexible-extract).

Departures:
- a boxed number comes before the last resort;
- a minus sign between digits is a range or a subtraction, no sign: "5-10" ends on 10;
- 18, 18.0 and $18.00 are one number; what is no number (1.2.3 and the like) is never returned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["NumberExtractor", "canonical_number"]

MAX_CHARS = 100
"""A longer run of digits is noise, no answer."""

_NUMBER = r"(?<![\w.)])-?\$?[0-9][0-9,]*(?:\.[0-9]+)?|\$?[0-9][0-9,]*(?:\.[0-9]+)?|-?\$?\.[0-9]+"
_NUMBERS = re.compile(_NUMBER)
_HASHES = re.compile(rf"####\s*({_NUMBER})")
_MARKED = re.compile(rf"[aA]nswer is:? *\(?({_NUMBER})")
_BOXED = re.compile(rf"\\boxed\{{\\?({_NUMBER})")
_SHAPE = re.compile(r"(-?)([0-9]*)(?:\.([0-9]*))?")


@dataclass(frozen=True)
class NumberExtractor:
    """Plain numbers, integer or decimal.

    Attributes:
        strict: accept only what follows "####", as GSM8K's own script does.

    >>> NumberExtractor().extract("so 3 * 1,200 = $3,600.00 in all")
    '3600'
    """

    strict: bool = False

    def extract(self, text: str) -> str | None:
        """Return the number, without separators, leading or trailing zeros; None without one."""
        plain = text.replace("\N{MINUS SIGN}", "-").replace("**", "")
        rules = (_HASHES,) if self.strict else (_HASHES, _MARKED, _BOXED)
        for rule in rules:
            found = rule.search(plain)
            number = found and canonical_number(found[1])
            if number is not None:
                return number
        if self.strict:
            return canonical_number(plain.strip())
        for found in reversed(list(_NUMBERS.finditer(plain))):
            number = canonical_number(found[0])
            if number is not None:
                return number
        return None

    def equal(self, a: str, b: str) -> bool:
        """Say whether both are the same number."""
        return canonical_number(a) is not None and canonical_number(a) == canonical_number(b)


def canonical_number(text: str) -> str | None:
    """Write a decimal number in the one shortest way.

    Args:
        text: digits with an optional sign, "$", thousands separators, point and final stop.

    Returns:
        The canonical number, or None when the text is none or longer than `MAX_CHARS`.

    >>> canonical_number("-$1,000.50")
    '-1000.5'
    """
    if len(text) > MAX_CHARS:
        return None
    shape = _SHAPE.fullmatch(text.strip().replace(",", "").replace("$", "").removesuffix("."))
    if shape is None or not (shape[2] or shape[3]):
        return None
    whole = shape[2].lstrip("0") or "0"
    part = (shape[3] or "").rstrip("0")
    number = f"{whole}.{part}" if part else whole
    return number if number == "0" else shape[1] + number
