"""The letter of the option that a text settles on.

Rules of MMLU-Pro's evaluation script (TIGER-AI-Lab/MMLU-Pro, `extract_answer` and its two
fallbacks): first "answer is (X)", then "Answer: X", then the last letter that stands alone.

Departures:
- the letter after "answer is" must stand alone ("the answer is Always" is no A);
- a boxed letter counts before the last resort, because later models box their answers;
- without any letter the answer is None, never a random guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["ChoiceExtractor"]


@dataclass(frozen=True)
class ChoiceExtractor:
    r"""Option letters.

    Attributes:
        n_options: letters after the n-th are no answers; 1 to 26.

    >>> ChoiceExtractor().extract("Between B and C, the answer is (C).")
    'C'
    """

    n_options: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.n_options <= len(OPTION_LETTERS):
            raise ValueError(f"n_options is {self.n_options}; it must be 1 to 26")

    def extract(self, text: str) -> str | None:
        """Return the letter, upper case; None when no rule finds one."""
        plain = text.replace("**", "")
        letter = f"[A-{OPTION_LETTERS[self.n_options - 1]}]"
        found = re.search(rf"answer is \(?({letter})\b", plain)
        return (
            (found and found[1])
            or _last_on_first_line(re.compile(rf"[aA]nswer:\s*\(?({letter})\b"), plain)
            or _last(re.compile(rf"\\boxed\{{(?:\\text\{{)?\(?({letter})\b"), plain)
            or _last(re.compile(rf"\b({letter})\b"), plain)
        )

    def equal(self, a: str, b: str) -> bool:
        """Say whether both are the same letter."""
        return self.extract(a) is not None and self.extract(a) == self.extract(b)


def _last(pattern: re.Pattern[str], text: str) -> str | None:
    last = None
    for found in pattern.finditer(text):
        last = found[1]
    return last


def _last_on_first_line(pattern: re.Pattern[str], text: str) -> str | None:
    """What ".*pattern" finds, in linear time: on the first line with a match, the last one."""
    last, line_end = None, len(text)
    for found in pattern.finditer(text):
        if last is None:
            end = text.find("\n", found.start())
            line_end = len(text) if end < 0 else end
        if found.start() > line_end:
            break
        last = found[1]
    return last
