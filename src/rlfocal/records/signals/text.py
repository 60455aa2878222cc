"""What the wording of a reply tells: its length, its sums, and how sure of itself it sounds.

Phrases are English; of a reply in another language they tell nothing, and are 0. Of a long text the
last characters are read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlfocal.records.signals.equations import check_equations
from rlfocal.records.signals.reading import (
    END,
    answer_spans,
    number_of,
    numbers_in,
    numbers_of_prompt,
)
from rlfocal.records.signals.registry import Family
from rlfocal.records.signals.reply import SeenReply

__all__ = ["TEXT"]

_PHRASES = {
    "hedges": (
        "perhaps", "maybe", "might", "probably", "not sure", "unclear", "i think", "i believe",
        "seems", "possibly", "presumably",
    ),
    "corrections": (
        "wait", "mistake", "actually", "correction", "let me re", "let's re", "incorrect",
        "apologi", "double-check", "however", "oops",
    ),
    "assumptions": ("assum", "suppose", "if we take", "interpret"),
    "approximations": ("approx", "roughly", "round", "about ", "estimate"),
    "conclusions": ("therefore", "thus", "hence", "in total", "answer is", "in conclusion"),
}  # fmt: skip
_REFUSALS = (
    "i cannot", "i can't", "i'm unable", "i am unable", "i'm sorry", "not enough information",
    "cannot be determined", "can't be determined", "insufficient information", "impossible to",
)  # fmt: skip
_LATEX = ("\\frac", "\\times", "\\cdot", "\\boxed", "\\(", "\\[", "\\text{", "$$")
_OPEN_ENDS = frozenset(",;:-+*/=([{<&\N{MULTIPLICATION SIGN}\N{DIVISION SIGN}")
"""Characters that no reply ends with on purpose."""

NAMES = (
    "length", "lines", "numbers", "prompt_numbers_used", "equations", "wrong_equations",
    "wrong_share", *_PHRASES, "refusal", "code", "latex", "distinct_words", "answer_place",
    "answer_count", "answer_computed", "answer_concluded", "unfinished",
)  # fmt: skip


def _read(reply: SeenReply) -> Sequence[float]:
    """See `NAMES`: counts as log(1 + count), shares in [0, 1], the rest 0 or 1."""
    if reply.text is None:
        known = math.nan if reply.n_chars is None else math.log1p(max(0, reply.n_chars))
        return [known, *[math.nan] * (len(NAMES) - 1)]
    text = reply.text[-END:]
    lower = text.lower()
    numbers = numbers_in(reply.text)
    asked = numbers_of_prompt(reply.prompt)
    n, n_wrong, results = check_equations(text)
    spans = answer_spans(reply, numbers)
    words = lower.split()
    return [
        math.log1p(len(reply.text)),
        math.log1p(text.count("\n") + text.count("\\n")),
        math.log1p(len(numbers.values)),
        len(asked.intersection(numbers.values)) / len(asked) if asked else math.nan,
        math.log1p(n),
        math.log1p(n_wrong),
        n_wrong / n if n else math.nan,
        *[math.log1p(sum(map(lower.count, phrases))) for phrases in _PHRASES.values()],
        float(any(phrase in lower for phrase in _REFUSALS)),
        float("```" in text),
        float(any(mark in text for mark in _LATEX)),
        len(set(words)) / len(words) if words else math.nan,
        spans[0][1] / len(reply.text) if spans else math.nan,
        math.log1p(len(spans)) if reply.answer else math.nan,
        _is_among(results, reply.answer),
        _is_among(results[-1:], reply.answer),
        float(_is_unfinished(text, spans[0][1] - len(reply.text) if spans else None)),
    ]


def _is_among(results: Sequence[float], answer: str | None) -> float:
    """Whether a number is what one of these equations comes to; NaN where there is none."""
    number = number_of(answer)
    if number is None or not results:
        return math.nan
    return float(any(abs(result - number) <= 1e-6 * max(1.0, abs(number)) for result in results))


def _is_unfinished(text: str, answer_end: int | None) -> bool:
    """Whether a text ends in the middle of a sentence, or of a block of code.

    `answer_end` counts from the end of the text, which an answer may be without a full stop.
    """
    end = text.rstrip()
    if not end or text.count("```") % 2:
        return True
    if answer_end is not None and text[len(text) + answer_end :].strip() in ("", "**", "*"):
        return False
    return end[-1] in _OPEN_ENDS or (end[-1].isalpha() and " " in end)


TEXT = Family(tuple(f"text.{name}" for name in NAMES), _read)
"""Numbers about the wording of a reply; all NaN but the length where there is no text."""
