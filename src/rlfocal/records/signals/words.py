"""Hashed words and word pairs of replies, as sparse rows: what a learned score reads.

Axes: R replies, D places that words are hashed to, K words counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.murmur import murmur

__all__ = ["N_PLACES", "Words", "words_of"]

N_PLACES = 1 << 15
"""D."""
_END = 1500
"""Characters read, the last ones: what decides an answer stands near it."""
_BLOCK = 512
"""Texts hashed at a time."""
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
        begin = np.append(self.start[:-1], 0)[rows]
        size = np.append(np.diff(self.start), 0)[rows]
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
    # In blocks, so that what is sorted fits into a cache, and memory does not grow with all texts.
    begins = range(0, max(1, len(texts)), _BLOCK)
    return Words.concat([_hashed(texts[begin : begin + _BLOCK]) for begin in begins])


def _hashed(texts: Sequence[str | None]) -> Words:
    found = [_WORD.findall(text[-_END:].lower()) if text else [] for text in texts]
    number: dict[str, int] = {}
    word = np.array(
        [number.setdefault(each, len(number)) for each in chain.from_iterable(found)],
        dtype=np.int64,
    )
    one = murmur([_spelt(each) for each in number])[word]
    row = np.repeat(np.arange(len(found)), [len(each) for each in found])
    within = row[1:] == row[:-1]
    hashed = np.concatenate([one, _paired(one[:-1], one[1:])[within]])
    row = np.concatenate([row, row[1:][within]])
    # Terms of a row that share a place are added up; their signs let collisions cancel. The sign is
    # the last bit of what is sorted.
    key = np.sort((row * N_PLACES + np.abs(hashed) % N_PLACES) * 2 + (hashed < 0))
    first = np.flatnonzero(np.diff(key // 2, prepend=-1))
    total = np.add.reduceat(1.0 - 2.0 * (key % 2), first) if len(key) else np.zeros(0)
    row, place = np.divmod(key[first] // 2, N_PLACES)
    total = np.sign(total) * np.log1p(np.abs(total))
    length = np.sqrt(np.bincount(row, total**2, minlength=len(found)))
    value = total / np.maximum(length[row], 1e-9)
    start = np.searchsorted(row, np.arange(len(found) + 1))
    return Words(start.astype(np.int64), place.astype(np.int32), value.astype(np.float32))


def _spelt(word: str) -> bytes:
    return b"0" * len(word) if word[0].isdigit() else word.encode(errors="replace")


def _paired(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Hash pairs of hashed words, as MurmurHash3 ends: numbers of 32 bits with a sign."""
    mixed = first.astype(np.uint32) * np.uint32(0xCC9E2D51)
    mixed = (mixed << np.uint32(15) | mixed >> np.uint32(17)) + second.astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        mixed = (mixed ^ mixed >> np.uint32(shift)) * np.uint32(factor)
    return mixed.view(np.int32).astype(np.int64)
