"""Hashed words and word pairs of replies, as sparse rows: what a learned score reads.

Axes: R replies, D places that words are hashed to, K words counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.murmur import murmur

__all__ = ["N_PLACES", "Words", "words_of"]

N_PLACES = 1 << 15
"""D."""
_END = 1500
"""Characters read, the last ones: what decides an answer stands near it."""
_WORD = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)?|[^\w\s]")


class Words(NamedTuple):
    """Sparse float32[R, D], rows of length 1 or of zeros."""

    start: NDArray[np.int64]
    """int64[R + 1]: row r is what lies between start[r] and start[r + 1]."""
    place: NDArray[np.int32]
    """int32[K] in [0, D)."""
    value: NDArray[np.float32]
    """float32[K]."""

    @property
    def n_rows(self) -> int:
        """R."""
        return len(self.start) - 1

    def dot(self, weight: NDArray[np.floating]) -> NDArray[np.float64]:
        """float64[R]: the product with a weight float[D]."""
        row = np.repeat(np.arange(self.n_rows), np.diff(self.start))
        product = weight[self.place] * self.value
        return np.bincount(row, product, minlength=self.n_rows).astype(np.float64)

    def take(self, rows: NDArray[np.integer]) -> Words:
        """The rows int[K], -1 for one of zeros."""
        known = rows >= 0
        begin = np.where(known, self.start[:-1][np.maximum(rows, 0)], 0)
        size = np.where(known, np.diff(self.start)[np.maximum(rows, 0)], 0)
        start = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        at = np.arange(start[-1]) + np.repeat(begin - start[:-1], size)
        return Words(start, self.place[at], self.value[at])

    @classmethod
    def concat(cls, parts: Sequence[Words]) -> Words:
        """Rows of several, one after another."""
        ends = np.cumsum([0, *(part.start[-1] for part in parts)])
        starts = [part.start[:-1] + end for part, end in zip(parts, ends, strict=False)]
        return cls(
            np.concatenate([*starts, ends[-1:]]).astype(np.int64),
            np.concatenate([part.place for part in parts]),
            np.concatenate([part.value for part in parts]),
        )


def words_of(texts: Sequence[str | None]) -> Words:
    """Hash the words and word pairs of R texts; those of a missing text are none.

    Digits stand for their number of digits: which number it is says little of whether it is right.

    >>> words = words_of(["so 17 apples", None])
    >>> words.n_rows, words.start.tolist()
    (2, [0, 5, 5])
    """
    terms = [_terms(text) if text else [] for text in texts]
    number: dict[str, int] = {}
    term = np.array(
        [number.setdefault(each, len(number)) for each in chain.from_iterable(terms)],
        dtype=np.int64,
    )
    hashed = murmur([each.encode(errors="replace") for each in number])[term]
    row = np.repeat(np.arange(len(terms)), [len(each) for each in terms])
    # Terms of a row that share a place are added up; their signs let collisions cancel.
    key, which = np.unique(row * N_PLACES + np.abs(hashed) % N_PLACES, return_inverse=True)
    total = np.bincount(which, np.where(hashed < 0, -1.0, 1.0), minlength=len(key))
    row, place = np.divmod(key, N_PLACES)
    total = np.sign(total) * np.log1p(np.abs(total))
    length = np.sqrt(np.bincount(row, total**2, minlength=len(terms)))
    value = total / np.maximum(length[row], 1e-9)
    start = np.searchsorted(row, np.arange(len(terms) + 1))
    return Words(start.astype(np.int64), place.astype(np.int32), value.astype(np.float32))


def _terms(text: str) -> list[str]:
    found = _WORD.findall(text[-_END:].lower())
    words = ["0" * len(word) if word[0].isdigit() else word for word in found]
    return words + [f"{first} {second}" for first, second in pairwise(words)]
