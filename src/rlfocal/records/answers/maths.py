r"""A mathematical answer: found in a reply, written in one way, compared by rules and math-verify.

Reading and comparing keep apart: canonical text only settles spelling, so that nothing that could
matter is lost, and `equal` and `classes` decide what is one answer. Plain numbers, tuples, sets,
intervals, units, bases and words are compared by rule (`comparing.rules`); expressions by the
library math-verify in a process of its own (`comparing.verifier`).

Departures from math-verify: decimals are exact (.333 is not 1/3), tuples keep their order, units
and bases count where both sides have them, A is not a, i is the imaginary unit.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rlfocal.records.answers.mathematics.comparing.rules import Likeness, classes_of, compared
from rlfocal.records.answers.mathematics.comparing.verifier import Verifier, check_installed, shared
from rlfocal.records.answers.mathematics.nodes import Node
from rlfocal.records.answers.mathematics.picking import MAX_CHARS, WORDS, picked, unquoted
from rlfocal.records.answers.mathematics.structure import parsed, reduced
from rlfocal.records.answers.mathematics.units import words_of
from rlfocal.records.answers.mathematics.writing import written
from rlfocal.records.answers.replies.cleaning import without_thinking
from rlfocal.records.answers.replies.markers import marks

__all__ = ["MathExtractor"]

MAX_WORDS = 4
"""A label of more words, outside of formulas, is prose."""
MAX_PASSES = 20

_WHOLE_BOX = re.compile(
    r"""(?xs)
    [\s$]* (?: \\[(\[] )? \s* \\(?: boxed | fbox ) \s* \{ .* \} \s* (?: \\[)\]] )? [\s$.]*
    """
)
_MATH_SIGNS = re.compile(r"(?<!\\)\\[()\[\]](?![0-9]+(?:pt|ex|em)\])")
_PROSE = re.compile(r"[A-Za-z]+(?:,? [A-Za-z]+)+[^=0-9$]*[0-9$]")
"""Words before a number: a sentence rather than an answer."""
_LED_IN = re.compile(r"(?!sqrt|sin|cos|tan|log|ln|pi)[A-Za-z]{2,}[,:*]*\s[^0-9$\\=√]*[0-9$\\=√]")
"""Words before a formula or number."""
_PLAIN = re.compile(r"0|-?[1-9][0-9]{0,20}")
"""Canonical as it stands, like most answers."""


@dataclass(frozen=True)
class MathExtractor:
    r"""Expressions in LaTeX or plain text.

    Attributes:
        verifier: compares expressions; by default one for the whole process.

    Raises:
        ConfigError: math-verify is not installed.

    >>> MathExtractor().extract(r"Hence $x = \boxed{\dfrac12}$.")
    '\\frac{1}{2}'
    >>> MathExtractor().equal(r"$\{1, 2\}$", "2, 1"), MathExtractor().equal("(1, 2)", "(2, 1)")
    (True, False)
    """

    verifier: Verifier | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.verifier is None:
            check_installed()

    def extract(self, text: str, *, truncated: bool = False) -> str | None:
        """Return the canonical answer of a reply; None when there is none or it is too long."""
        return _settled(picked(text, truncated=True)) if truncated else _canonical(text)

    def read(self, answer: str) -> str | None:
        r"""Return the canonical form of a text that is one answer as a whole; None for prose.

        >>> MathExtractor().read(r"$\boxed{\text{(C)}}$"), MathExtractor().read("It follows: 5")
        ('C', None)
        """
        return _whole(answer)

    def equal(self, a: str, b: str) -> bool:
        """Say whether both are one answer, whichever comes first.

        Raises:
            ConfigError: math-verify is installed, but its process cannot run.
        """
        first, second = self._node(a), self._node(b)
        if first is None or second is None:
            return False
        return compared([(first, second)], self._compare)[0] >= Likeness.LOOSER

    def classes(self, answers: Sequence[str], label: str | None = None) -> list[int]:
        """Group the answers to one query.

        Args:
            answers: of any members, in any order, canonical or not.
            label: of the query.

        Returns:
            The number of every answer's class. With a label 0 is its class; the others follow in
            the order of their first answer. Which answers share a class does not depend on their
            order (`comparing.rules` has the rule).

        Raises:
            ConfigError: math-verify is installed, but its process cannot run.

        >>> MathExtractor().classes(["0.5", "50", "1/2", "50%"])
        [0, 1, 0, 1]
        """
        texts = [_canonical(a) or f"\\text{{{a}}}" for a in answers]
        right = None if label is None else _canonical(label) or label
        nodes = {text: _parsed(text) for text in (*texts, *([] if right is None else [right]))}
        found = classes_of(nodes, right, self._compare)
        numbers: dict[int, int] = {} if right is None else {0: 0}
        return [numbers.setdefault(found[text], len(numbers)) for text in texts]

    def _node(self, answer: str) -> Node | None:
        text = _canonical(answer)
        return None if text is None else _parsed(text)

    def _compare(self, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], bool | None]:
        return (self.verifier or shared()).compare(pairs)


def _whole(answer: str) -> str | None:
    text = unquoted(answer[: 3 * MAX_CHARS])
    if (
        not text
        or len(answer) > 2 * MAX_CHARS
        or "**" in text.rstrip("*")
        or without_thinking(text) != text
        or text[-1] in "*`"
    ):
        return None
    if _WHOLE_BOX.fullmatch(text):
        return _settled(picked(text))
    if "box" in text or any(mark.sort != "box" for mark in marks(text)):
        return None
    bare = _MATH_SIGNS.sub(" ", text)
    outside = WORDS.findall(re.sub(r"\$[^$]*\$|\\[a-z]*\{[^{}]*\}", " ", bare))
    if re.search(r"\$[^$]+\$[^$]*[a-zA-Z]{4,}[^$]*\$", bare):
        return None
    if outside and ("\n" in text or _LED_IN.match(text)):
        return None
    if outside and (_PROSE.match(bare) or len(outside) > MAX_WORDS):
        return _settled(bare) if words_of(bare) in ("none", "undefined") else None
    return _settled(bare)


def _settled(text: str | None) -> str | None:
    """What no further pass changes is canonical."""
    for _ in range(MAX_PASSES):
        if text is None or len(text) > MAX_CHARS:
            return None
        following = reduced(written(_MATH_SIGNS.sub(" ", text)))
        if following == text:
            return text if re.search("[A-Za-z0-9]", text) else None
        text = picked(following)
    return None


@functools.lru_cache(maxsize=20_000)
def _canonical(answer: str) -> str | None:
    """Of a text that is an answer as a whole, else of the answer in a reply."""
    if _PLAIN.fullmatch(answer):
        return answer
    return _whole(answer) or _settled(picked(answer))


_parsed = functools.lru_cache(maxsize=50_000)(parsed)
