"""Hashed runs of one to three words with nothing left out: how a text is put, not only its topic.

Made to tell a query unlike all those of training. There the little words, the signs, the beginning
and the end of a text count as much as its topic, and which number stands in it does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rlfocal.features.hashing import HashedEncoder, counted, ends, of_length_one

__all__ = ["RunsEncoder"]

_DIGITS = re.compile(r"\d+")
_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_START, _END = "\0", "\1"


class RunsEncoder(HashedEncoder):
    """Counts of hashed runs of words, damped by a logarithm, rows of length 1 and nowhere negative.

    Two texts that share no run are near 0, as collisions have it; the same text with other numbers
    is at 1. Very long texts are read as `HashingEncoder` reads them.

    Args:
        n_features: D.

    >>> sum_, other, song = RunsEncoder()(["What is 17 + 4?", "What is 8 + 25?", "Sing a song"])
    >>> f"{sum_ @ other:.1f} {sum_ @ song:.1f}"
    '1.0 0.1'
    """

    name: ClassVar = "runs"

    def __init__(self, n_features: int = 1024) -> None:
        super().__init__(n_features)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → float32[Q, D]."""
        rows = counted([_runs(ends(text)) for text in texts], self.n_features, signed=False)
        return of_length_one(np.log1p(rows))


def _runs(text: str) -> list[str]:
    words = [_START, *_WORD.findall(_DIGITS.sub("0", text.lower())), _END]
    pairs = pairwise(words)
    triples = zip(words, words[1:], words[2:], strict=False)
    return words[1:-1] + [" ".join(run) for run in (*pairs, *triples)]
