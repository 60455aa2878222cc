"""MurmurHash3 of many texts at once: the hash that places words among a fixed number of features.

Source: Austin Appleby's MurmurHash3 (x86, 32 bits), in the public domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["murmur"]

_FEW = 256
"""Terms of one short text: to hash them one by one takes no longer, and most of them come again."""


def murmur(terms: Sequence[bytes]) -> NDArray[np.int64]:
    """Hash T terms with seed 0 → int64[T], numbers of 32 bits with a sign.

    >>> murmur([b"", b"hello"]).tolist()
    [0, 613153351]
    """
    if len(terms) <= _FEW:
        return np.array([_hash_of(bytes(term)) for term in terms], dtype=np.int64)
    size = np.array([len(term) for term in terms], dtype=np.int64)
    # In blocks of four bytes, the last one padded.
    padded = b"".join(term.ljust(-(-len(term) // 4) * 4, b"\0") for term in terms)
    block = np.frombuffer(padded, dtype="<u4").astype(np.uint32) * np.uint32(0xCC9E2D51)
    block = (block << np.uint32(15) | block >> np.uint32(17)) * np.uint32(0x1B873593)
    end = np.cumsum(-(-size // 4))
    mixed, begin, whole = block.tolist(), (end + size // -4).tolist(), (size // 4).tolist()
    hashed = np.array(
        [_chain(mixed[i : i + n]) for i, n in zip(begin, whole, strict=True)], dtype=np.uint32
    )
    cut = size % 4 > 0
    hashed[cut] ^= block[end[cut] - 1]
    hashed ^= size.astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        hashed = (hashed ^ hashed >> np.uint32(shift)) * np.uint32(factor)
    return hashed.view(np.int32).astype(np.int64)


@lru_cache(maxsize=1 << 15)
def _hash_of(term: bytes) -> int:
    n = len(term) // 4 * 4
    mixed = []
    for start in range(0, len(term), 4):
        block = int.from_bytes(term[start : start + 4], "little") * 0xCC9E2D51 & 0xFFFFFFFF
        mixed.append(((block << 15 | block >> 17) & 0xFFFFFFFF) * 0x1B873593 & 0xFFFFFFFF)
    hashed = _chain(mixed[: n // 4])
    if len(term) > n:
        hashed ^= mixed[-1]
    hashed ^= len(term)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        hashed = (hashed ^ hashed >> shift) * factor & 0xFFFFFFFF
    return hashed - (hashed >> 31 << 32)


def _chain(blocks: Sequence[int]) -> int:
    """Each block turns what came before: this cannot be done for all at once."""
    hashed = 0
    for block in blocks:
        hashed ^= block
        hashed = ((hashed << 13 | hashed >> 19) * 5 + 0xE6546B64) & 0xFFFFFFFF
    return hashed
