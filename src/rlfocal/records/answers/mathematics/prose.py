"""What an unmarked reply without formulas ends on: an expression behind a verb, or a number.

Only the last line counts, and of it what does not merely explain ("which is 4 more than 20").
"""

from __future__ import annotations

import re

from rlfocal.records.answers.replies.settling import is_refusal

__all__ = ["MAX_LINE", "concluded", "last_number"]

MAX_LINE = 300
"""A longer last line is no conclusion."""

_ROOT_OR_PI = (
    r"(?:\u221a(?:[0-9]+|\([^()]{1,50}\))|sqrt\([^()]{1,50}\)|\\sqrt\{[^{}]{1,50}\}|\u03c0|\\?pi\b)"
)
_NUMBER = re.compile(
    r"\([^()]{0,40}[\u221a\u03c0][^()]{1,40}\) ?/ ?[0-9]{1,9}|"
    rf"(?<![\w.)])[-\u2212]?(?:[0-9]{{1,9}} ?[-+] ?)?(?:[0-9]{{1,9}}(?:\.[0-9]{{1,9}})? ?\*? ?)?"
    rf"{_ROOT_OR_PI}(?: ?/ ?[0-9]{{1,9}})?"
    r"|(?<![\w.)])[-+\u2212]?\\?\$?[0-9][0-9,]*(?:\.[0-9]+)?(?:\s?/\s?[0-9]+|\s?\\?%|\u00b0)?"
    r"|\$?[0-9][0-9,]*(?:\.[0-9]+)?(?:/[0-9]+|\\?%)?"
    r"|-?\\[dt]?frac\{[^{}]{1,50}\}\{[^{}]{1,50}\}"
    r"|[(\[][-0-9./ ]{1,30}(?:,[-0-9./ ]{1,30}){1,3}[)\]]"
)
_VERB = re.compile(
    r"\b(?:is|are|equals?|be|get|obtain|gives?|yields?|at)\s+(?:also\s+|just\s+)?", re.I
)
_WORDS = re.compile(r"(?<![a-zA-Z])(?!(?:sqrt|sin|cos|tan|log|and)(?![a-zA-Z]))[a-zA-Z]{2,}")
_OPERATOR = re.compile(r"[0-9a-z)] ?[-+*/^=<>:,] ?[-0-9a-z(]|\band\b")
_ASIDE = re.compile(
    r",? \(?(?:because|since|"
    r"which (?:is|are|was|were|means)(?! \S*[0-9]\S*(?: [a-zA-Z%]+){0,2}[.!]?\Z)|i\.e\.|"
    r"that is,|rather than|instead of|but (?:I|not)|not)(?=[ '])"
)
_CONCLUSION = re.compile(r"\b(?:so|thus|hence|therefore|total|get|left|altogether)\b|=", re.I)


def concluded(text: str) -> str | None:
    """The answer that the last line holds; None where it holds none.

    >>> concluded("Thus the solutions are x = 1 and x = 4."), concluded("It has 8, not 9 faces.")
    ('x = 1 and x = 4', '8')
    """
    line = text.rstrip()[-MAX_LINE - 1 :].rpartition("\n")[2].strip()
    head = _without_aside(line)
    if not line or len(line) > MAX_LINE or is_refusal(head):
        return None
    found = _expression(line) or last_number(head)
    if found is not None:
        return found
    return line if len(line.split()) <= 3 else None


def last_number(sentence: str) -> str | None:
    """The last number, root or multiple of pi."""
    found = None
    for number in _NUMBER.finditer(sentence):
        found = number[0]
    return found


def _expression(line: str) -> str | None:
    """What stands behind the last verb, when that is a formula without its signs."""
    verbs = list(_VERB.finditer(line))
    if not verbs:
        return None
    tail = line[verbs[-1].end() :].strip().rstrip(".!")
    if "$" in tail or "\\" in tail or _WORDS.search(tail) or not _OPERATOR.search(tail):
        return None
    return tail


def _without_aside(line: str) -> str:
    """The line up to a remark on a number, unless a conclusion follows the remark."""
    found = _ASIDE.search(line)
    if found is None or not last_number(line[: found.start()]):
        return line
    return line if _CONCLUSION.search(line, found.end()) else line[: found.start()]
