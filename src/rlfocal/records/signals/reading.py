"""Numbers of a text, and where an answer stands in it: what several families of signals ask.

Only the end of a long text is read, so that the time for one is bounded.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.records.signals.reply import SeenReply

__all__ = ["END", "Numbers", "answer_spans", "number_of", "numbers_in", "numbers_of_prompt"]

END = 16_000
"""Characters of a text that are read, the last ones."""
_LONGEST = 200
"""Characters of an answer that is looked for."""
_NUMBER = re.compile(r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?")
_MOST_SPANS = 50


class Numbers(NamedTuple):
    """Numbers of a text in order, without their signs."""

    values: list[float]
    spans: list[tuple[int, int]]
    """[start, end) of each in the text."""


def numbers_in(text: str) -> Numbers:
    """The numbers of a text, of its end at most.

    >>> numbers_in("1,200 apples at $.50 or 3.5, 7.").values
    [1200.0, 50.0, 3.5, 7.0]
    """
    found = list(_NUMBER.finditer(text, max(0, len(text) - END)))
    return Numbers(
        [float(each[0].replace(",", "")) for each in found], [each.span() for each in found]
    )


@lru_cache(maxsize=64)
def numbers_of_prompt(prompt: str) -> frozenset[float]:
    """Distinct numbers of a prompt; kept, because the replies to a query follow one another."""
    return frozenset(numbers_in(prompt).values)


def number_of(answer: str | None) -> float | None:
    """The number that an answer in canonical form is; None where it is none.

    >>> number_of("-1750"), number_of("seven"), number_of("1_0"), number_of("nan")
    (-1750.0, None, None, None)
    """
    if answer is None or len(answer) > _LONGEST:
        return None
    sign, digits = (-1.0, answer[1:]) if answer.startswith("-") else (1.0, answer)
    found = _NUMBER.fullmatch(digits)
    return None if found is None else sign * float(digits.replace(",", ""))


def answer_spans(reply: SeenReply, numbers: Numbers | None = None) -> list[tuple[int, int]]:
    """Where the answer stands in the text: [start, end) of each place, the last one first.

    A number counts however it is written, a letter where it stands alone, and where it does not,
    the text of its option. Empty where the answer is not found, or there is none.

    Args:
        reply: with its text.
        numbers: of that text, where they are known already.
    """
    text, answer = reply.text, reply.answer
    if not text or not answer or len(answer) > _LONGEST:
        return []
    begin = max(0, len(text) - END)
    if reply.kind == "choice":
        return _letters(text, begin, answer, reply.choices)
    number = number_of(answer)
    if number is None:
        return _words(text, begin, answer)
    numbers = numbers or numbers_in(text)
    same = [span for value, span in zip(*numbers, strict=True) if value == abs(number)]
    return same[-_MOST_SPANS:][::-1]


def _letters(text: str, begin: int, answer: str, choices: tuple[str, ...]) -> list[tuple[int, int]]:
    alone = _alone(text, _places(text, begin, answer))
    place = OPTION_LETTERS.find(answer) if len(answer) == 1 else -1
    if alone or not 0 <= place < len(choices):
        return alone
    return _words(text, begin, choices[place][:_LONGEST])


def _words(text: str, begin: int, part: str) -> list[tuple[int, int]]:
    """Where a part stands as words of its own; within others where it never does."""
    found = _places(text.lower(), begin, part.lower())
    return _alone(text, found) or found


def _alone(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [
        (start, end)
        for start, end in spans
        if not (text[max(0, start - 1) : start].isalnum() or text[end : end + 1].isalnum())
    ]


def _places(text: str, begin: int, part: str) -> list[tuple[int, int]]:
    """Where a part stands, from the end on, without overlaps."""
    found: list[tuple[int, int]] = []
    end = len(text)
    while part and len(found) < _MOST_SPANS:
        start = text.rfind(part, begin, end)
        if start < 0:
            break
        found.append((start, start + len(part)))
        end = start
    return found
