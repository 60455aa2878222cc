"""Find the best ensembles for any objective: try all of them where that is possible, else evolve.

An objective scores a block of masks; what it means (focal diversity, vote accuracy, a weighted sum
of both) is the caller's business. Both ways rank ensembles by the same rule, ties included.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rlfocal.diversity.genetic import Evolution
from rlfocal.diversity.masks import BoolArray, FloatArray
from rlfocal.diversity.ranking import BLOCK_MASKS, Objective, ScoreBook, keep_best, score_masks

__all__ = ["Method", "SubsetRanking", "best_subsets", "weighted_sum"]

Method = Literal["auto", "exhaustive", "genetic"]

MAX_EXHAUSTIVE = 2**18
"""`auto` tries every ensemble up to this many: any size of 18 members, pairs of a large pool."""


@dataclass(frozen=True, eq=False)
class SubsetRanking:
    """The best ensembles found, best first.

    Attributes:
        masks: bool[K, N].
        scores: float64[K], descending.
        n_scored: ensembles that the objective was asked about.
        method: how they were found; "exhaustive" is certain, "genetic" is not.
    """

    masks: BoolArray
    scores: FloatArray
    n_scored: int
    method: Literal["exhaustive", "genetic"]

    @property
    def mask(self) -> BoolArray:
        """The best ensemble, bool[N]."""
        best: BoolArray = self.masks[0]
        return best

    @property
    def score(self) -> float:
        """Its score."""
        return float(self.scores[0])


def best_subsets(
    objective: Objective,
    n_members: int,
    *,
    sizes: tuple[int, int] | None = None,
    top: int = 1,
    method: Method = "auto",
    rng: np.random.Generator | None = None,
    evolution: Evolution | None = None,
) -> SubsetRanking:
    """Rank the ensembles of a pool by an objective.

    Args:
        objective: scores a block of masks; called with up to 4096 at once.
        n_members: size of the pool, N.
        sizes: least and most members of an ensemble, inclusive; (1, N) by default.
        top: ensembles wanted; fewer come back where there are fewer (or, searching genetically,
            where fewer were seen).
        method: "exhaustive", "genetic", or "auto": exhaustive up to 2^18 ensembles.
        rng: drives the genetic search, and is required for it.
        evolution: settings of the genetic search.

    Returns:
        The ranking, at least one ensemble long.

    Raises:
        ValueError: sizes or top out of range, no rng for the genetic search, or an objective that
            returns NaN or another shape.

    >>> accuracy = np.array([0.5, 0.9, 0.7])
    >>> best = best_subsets(lambda masks: masks @ accuracy / masks.sum(axis=1), 3, sizes=(2, 3))
    >>> best.mask.tolist(), round(best.score, 3), best.n_scored
    ([False, True, True], 0.8, 4)
    """
    low, high = sizes or (1, n_members)
    if not 1 <= low <= high <= n_members:
        raise ValueError(f"sizes must satisfy 1 <= least <= most <= {n_members}, got {low}..{high}")
    if top < 1:
        raise ValueError(f"top must be >= 1, got {top}")
    n_ensembles = sum(math.comb(n_members, size) for size in range(low, high + 1))
    if method == "exhaustive" or (method == "auto" and n_ensembles <= MAX_EXHAUSTIVE):
        return _exhaustive(objective, n_members, sizes=(low, high), top=top)
    if rng is None:
        raise ValueError(
            f"{n_ensembles} ensembles are searched genetically, which needs rng;"
            " pass a numpy Generator, or narrow sizes"
        )
    book = ScoreBook(objective, n_members)
    (evolution or Evolution()).run(book, sizes=(low, high), rng=rng)
    masks, scores = book.best(top=top, sizes=(low, high))
    return SubsetRanking(masks, scores, n_scored=len(book), method="genetic")


def weighted_sum(*terms: tuple[float, Objective]) -> Objective:
    """Combine objectives, e.g. RL-Focal's ensemble score from focal diversity and vote accuracy.

    Args:
        *terms: weight and objective of each term; at least one.

    Returns:
        The objective that is the weighted sum of the terms.

    Raises:
        ValueError: no term.

    >>> size = lambda masks: masks.sum(axis=1).astype(float)
    >>> weighted_sum((0.5, size), (-1.0, lambda masks: size(masks) ** 2))(np.ones((1, 4), bool))
    array([-14.])
    """
    if not terms:
        raise ValueError("weighted_sum needs at least one (weight, objective) term")

    def combined(masks: BoolArray) -> FloatArray:
        total = np.zeros(len(masks))
        for weight, objective in terms:
            total += weight * objective(masks)
        return total

    return combined


def _exhaustive(
    objective: Objective, n_members: int, *, sizes: tuple[int, int], top: int
) -> SubsetRanking:
    """Score every ensemble in blocks, keeping the best `top`."""
    masks, scores = np.zeros((0, n_members), np.bool_), np.zeros(0)
    n_scored = 0
    for block in _combinations(n_members, sizes):
        n_scored += len(block)
        masks, scores = keep_best(
            np.concatenate([masks, block]),
            np.concatenate([scores, score_masks(objective, block)]),
            top=top,
        )
    return SubsetRanking(masks, scores, n_scored=n_scored, method="exhaustive")


def _combinations(n_members: int, sizes: tuple[int, int]) -> Iterator[BoolArray]:
    """All masks of sizes[0] to sizes[1] members, in blocks."""
    for size in range(sizes[0], sizes[1] + 1):
        chosen = itertools.combinations(range(n_members), size)
        while rows := list(itertools.islice(chosen, BLOCK_MASKS)):
            block = np.zeros((len(rows), n_members), np.bool_)
            np.put_along_axis(block, np.array(rows), True, axis=1)
            yield block
