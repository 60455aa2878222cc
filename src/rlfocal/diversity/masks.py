"""A mask says which members form an ensemble; here masks are checked, enumerated and numbered.

`masks: bool[B, N]` is a block of B ensembles over the N members of a pool. The code of a mask is
the integer whose bit i is set when member i belongs to it, so the 2^N codes enumerate a pool's
ensembles, the empty one first. This module knows nothing about queries beyond the shape of
`failed: bool[Q, N]`, True where member n fails query q, from which every measure starts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "FloatArray", "IntArray", "check_failed", "check_masks", "masks_from_codes"]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_CODE_BITS = 62
"""Members whose masks an int64 code can number."""


def check_failed(failed: BoolArray, *, min_queries: int = 1) -> BoolArray:
    """Check that `failed` is bool[Q, N] with enough queries and at least one member.

    Args:
        failed: bool[Q, N], True where member n fails query q. Fractional correctness is for the
            caller to threshold: what counts as a failure is a decision, not a conversion.
        min_queries: the least Q accepted.

    Returns:
        `failed` itself.

    Raises:
        ValueError: another dtype or shape, no member, or too few queries.
    """
    failed = np.asarray(failed)
    if failed.dtype != np.bool_:
        raise ValueError(
            f"failed must be bool, got {failed.dtype}; threshold it first, e.g. correct < 0.5"
        )
    if failed.ndim != 2 or failed.shape[1] == 0:
        raise ValueError(f"failed must be bool[Q, N] with N >= 1, got shape {failed.shape}")
    if len(failed) < min_queries:
        raise ValueError(f"failed must hold at least {min_queries} queries, got {len(failed)}")
    return failed


def check_masks(masks: BoolArray, n_members: int) -> BoolArray:
    """Check that `masks` is bool[B, n_members].

    Args:
        masks: a block of masks, one per row.
        n_members: size of the pool, N.

    Returns:
        `masks` itself.

    Raises:
        ValueError: another dtype or shape.
    """
    masks = np.asarray(masks)
    if masks.dtype != np.bool_ or masks.ndim != 2 or masks.shape[1] != n_members:
        raise ValueError(
            f"masks must be bool[B, {n_members}], got {masks.dtype}{list(masks.shape)};"
            " a single mask is the block mask[None]"
        )
    return masks


def masks_from_codes(codes: IntArray, n_members: int) -> BoolArray:
    """Turn mask codes into masks.

    Args:
        codes: int64[B], each in 0 .. 2^n_members - 1.
        n_members: size of the pool, N, at most 62.

    Returns:
        bool[B, N]; entry (b, i) is bit i of code b.

    Raises:
        ValueError: a code out of range, or a pool too large to number.

    >>> masks_from_codes(np.array([0, 5]), 3).tolist()
    [[False, False, False], [True, False, True]]
    """
    codes = np.asarray(codes, dtype=np.int64)
    if not 1 <= n_members <= MAX_CODE_BITS:
        raise ValueError(f"n_members must be in 1..{MAX_CODE_BITS}, got {n_members}")
    if codes.size and not 0 <= codes.min() <= codes.max() < 1 << n_members:
        raise ValueError(f"codes must be in 0..{(1 << n_members) - 1}, found {codes.max()}")
    bits: BoolArray = (codes[:, None] >> np.arange(n_members)) & 1 == 1
    return bits
