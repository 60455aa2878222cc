"""A short text, compared as question answering benchmarks do.

Rules: the line that follows "the answer is", without the final full stop (BIG-Bench Hard, as in
lm-evaluation-harness's bbh tasks), else the whole text; then SQuAD's normaliser (its official
evaluation script): lower case, no ASCII punctuation, no articles, single spaces.

Departure: the last "the answer is" counts, not the first, because reasoning ends on its conclusion.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

__all__ = ["TextExtractor"]

MAX_CHARS = 1000
"""A longer text is prose, no answer."""

_MARK = re.compile(r"\bthe\s+answer\s+is\b:?", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class TextExtractor:
    """Exact text.

    Attributes:
        normalise: apply SQuAD's normaliser. Without it only white space is evened out, for answers
            that are punctuation (BIG-Bench Hard's dyck_languages) or whose case counts.

    >>> TextExtractor().extract("Let's see. So the answer is The  Eiffel Tower.")
    'eiffel tower'
    """

    normalise: bool = True

    def extract(self, text: str) -> str | None:
        """Return the canonical text; None when nothing is left or it is too long."""
        rest = text
        for found in _MARK.finditer(text):
            rest = text[found.end() : found.end() + MAX_CHARS + 1]
        if rest is not text:
            rest = rest.strip().partition("\n")[0]
        if len(rest) > MAX_CHARS:
            return None
        return self._canonical(rest) or None

    def equal(self, a: str, b: str) -> bool:
        """Say whether both have the same canonical form."""
        return self.extract(a) is not None and self.extract(a) == self.extract(b)

    def _canonical(self, text: str) -> str:
        if self.normalise:
            text = text.lower().translate(_NO_PUNCTUATION)
            text = _ARTICLE.sub(" ", text)
        return " ".join(text.split()).rstrip(". ")
