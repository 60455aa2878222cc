"""What an extracted answer tells beside its question: its size, and whether it is new.

A number that stands in the question already, or is far larger than all of them, is seldom right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.records.signals.reading import number_of, numbers_of_prompt
from rlfocal.records.signals.registry import Family
from rlfocal.records.signals.reply import SeenReply

__all__ = ["ANSWER"]

_LARGEST = 40.0
"""Logarithms are cut here, so that a hostile number weighs no more than a large one."""
_READ = 16_000
"""Characters of a prompt in which an answer is looked for."""

NAMES = (
    "length", "integer", "negative", "magnitude", "over_prompt", "in_prompt", "option_length",
)  # fmt: skip


def _read(reply: SeenReply) -> Sequence[float]:
    """See `NAMES`.

    `magnitude` is log(1 + |number|), `over_prompt` the logarithm of the number over the largest of
    the prompt, `option_length` that of the chosen option's length over the mean of all.
    """
    answer = reply.answer
    if answer is None:
        return [math.nan] * len(NAMES)
    is_option = reply.kind == "choice" or bool(reply.choices)
    number = None if is_option else number_of(answer)
    if number is None:
        chosen = _option(reply) if is_option else answer
        found = math.nan
        if chosen:
            found = float(chosen[:200].lower() in reply.prompt[-_READ:].lower())
        return [
            math.log1p(len(chosen or answer)), *[math.nan] * 4, found,
            _option_length(reply, chosen) if is_option else math.nan,
        ]  # fmt: skip
    asked = numbers_of_prompt(reply.prompt)
    largest = max(asked, default=math.nan)
    return [
        math.log1p(len(answer)),
        float(number == math.floor(number)) if math.isfinite(number) else 1.0,
        float(number < 0),
        _cut(math.log1p(abs(number))),
        _cut(math.log1p(abs(number)) - math.log1p(largest)),
        float(abs(number) in asked) if asked else math.nan,
        math.nan,
    ]


def _option(reply: SeenReply) -> str | None:
    """Text of the chosen option; None where it is not known."""
    answer = reply.answer or ""
    place = OPTION_LETTERS.find(answer) if len(answer) == 1 else -1
    return reply.choices[place] if 0 <= place < len(reply.choices) else None


def _option_length(reply: SeenReply, chosen: str | None) -> float:
    if chosen is None:
        return math.nan
    mean = sum(map(len, reply.choices)) / len(reply.choices)
    return math.log1p(len(chosen)) - math.log1p(mean)


def _cut(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value)) if value == value else math.nan


ANSWER = Family(tuple(f"answer.{name}" for name in NAMES), _read)
"""Numbers about an extracted answer; NaN where there is none, or it is of another kind."""
