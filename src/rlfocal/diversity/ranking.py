"""One rule says which of two ensembles ranks higher, so that every search gives the same answer.

Higher score first; scores that agree to 12 decimals are ties, because the rounding of a matrix
product depends on the block a mask stands in; then fewer members; then the members that come first
in the pool.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlfocal.diversity.masks import BoolArray, FloatArray, IntArray

__all__ = ["Objective", "ScoreBook", "keep_best", "rank", "remembered", "score_masks"]

Objective = Callable[[BoolArray], FloatArray]
"""masks: bool[B, N], none empty -> float64[B], higher is better, no NaN; `counts.focal` is one."""

BLOCK_MASKS = 4096
"""Masks that an objective is asked about at once, at most."""

TIE_DECIMALS = 12


def score_masks(objective: Objective, masks: BoolArray) -> FloatArray:
    """Ask the objective about masks in blocks, and check what it says.

    Args:
        objective: what to ask.
        masks: bool[B, N].

    Returns:
        float64[B].

    Raises:
        ValueError: the objective returned NaN, or another shape.
    """
    scores = np.empty(len(masks))
    for at in range(0, len(masks), BLOCK_MASKS):
        block = masks[at : at + BLOCK_MASKS]
        found = np.asarray(objective(block), np.float64)
        if found.shape != (len(block),):
            raise ValueError(f"an objective must return float[{len(block)}], got {found.shape}")
        if np.isnan(found).any():
            members = np.flatnonzero(block[np.isnan(found)][0]).tolist()
            raise ValueError(f"an objective must not return NaN, as for members {members}")
        scores[at : at + BLOCK_MASKS] = found
    return scores


def remembered(objective: Objective) -> Objective:
    """An objective that works no second time on a block of masks, as searches of all ensembles ask.

    >>> asked = []
    >>> size = remembered(lambda masks: asked.append(1) or masks.sum(axis=1).astype(float))
    >>> size(np.eye(3, dtype=bool)), size(np.eye(3, dtype=bool)), len(asked)
    (array([1., 1., 1.]), array([1., 1., 1.]), 1)
    """
    known: dict[tuple[int, ...], dict[bytes, FloatArray]] = {}

    def found(masks: BoolArray) -> FloatArray:
        of_shape = known.setdefault(masks.shape, {})
        key = np.packbits(masks).tobytes()
        if key not in of_shape:
            of_shape[key] = objective(masks)
        return of_shape[key]

    return found


def rank(masks: BoolArray, scores: FloatArray) -> IntArray:
    """Order ensembles best first.

    Args:
        masks: bool[B, N].
        scores: float64[B].

    Returns:
        int64[B], the indices of the ensembles, best first.

    >>> rank(np.array([[0, 1], [1, 1], [1, 0]], dtype=bool), np.array([0.5, 0.5, 0.5])).tolist()
    [2, 0, 1]
    """
    # lexsort takes its last key first.
    by_members = [~masks[:, n] for n in range(masks.shape[1] - 1, -1, -1)]
    return np.lexsort([*by_members, masks.sum(axis=1), -scores.round(TIE_DECIMALS)])


def keep_best(masks: BoolArray, scores: FloatArray, *, top: int) -> tuple[BoolArray, FloatArray]:
    """Keep the best `top` ensembles, best first.

    Args:
        masks: bool[B, N].
        scores: float64[B].
        top: how many to keep, at least 1.

    Returns:
        The masks and scores kept, min(B, top) of each.
    """
    if len(scores) > top:  # sorting all is slow where few are wanted
        rounded = scores.round(TIE_DECIMALS)
        candidates = rounded >= np.partition(rounded, -top)[-top]
        masks, scores = masks[candidates], scores[candidates]
    order = rank(masks, scores)[:top]
    return masks[order], scores[order]


class ScoreBook:
    """Remembers the score of every mask an objective was asked about, so that it is asked once."""

    def __init__(self, objective: Objective, n_members: int) -> None:
        """Start with nothing asked.

        Args:
            objective: what to ask.
            n_members: size of the pool, N.
        """
        self.n_members = n_members
        self._objective = objective
        self._scores: dict[bytes, float] = {}

    def __len__(self) -> int:
        """Masks asked about so far."""
        return len(self._scores)

    def __call__(self, masks: BoolArray) -> FloatArray:
        """Score masks `bool[B, N]`, asking the objective only about new ones; float64[B]."""
        keys = [row.tobytes() for row in masks]
        new = {key: row for row, key in enumerate(keys) if key not in self._scores}
        if new:
            found = score_masks(self._objective, masks[list(new.values())])
            self._scores.update(zip(new, found.tolist(), strict=True))
        return np.array([self._scores[key] for key in keys])

    def best(self, *, top: int, sizes: tuple[int, int]) -> tuple[BoolArray, FloatArray]:
        """The best `top` ensembles asked about with sizes[0] to sizes[1] members, best first."""
        masks = np.frombuffer(b"".join(self._scores), np.bool_).reshape(-1, self.n_members)
        size = masks.sum(axis=1)
        fits = (size >= sizes[0]) & (size <= sizes[1])
        return keep_best(masks[fits], np.array(list(self._scores.values()))[fits], top=top)
