"""Focal diversity of subsets of a pool, compared with their vote accuracy.

A description of the recorded answers, not an evaluation: every query counts, nothing is fitted. The
pool's subsets of two or more members are all scored when there are few, else a seeded sample in
which every size is drawn equally often.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlfocal.diversity.focal import FailureCounts
from rlfocal.diversity.masks import masks_from_codes
from rlfocal.records import ResponseTable
from rlfocal.strategies.static import VoteAccuracy
from rlfocal.strategies.voting import rank_members

__all__ = ["SubsetScores", "draw_masks", "score_subsets"]

ALL_UP_TO_MEMBERS = 10
"""Pools of at most this many members have all their subsets scored (at most 1,013)."""
SAMPLE_SIZE = 2000
"""Subsets drawn from larger pools; a picture with more dots shows no more."""
MAX_QUERIES = 3000
"""Queries (drawn with the same seed) that subsets are scored on, so that a report takes seconds."""

MIN_SUBSETS = 5
NO_SPREAD = 1e-9

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SubsetScores:
    """Focal diversity and vote accuracy of B subsets of a pool."""

    size: NDArray[np.int64]
    """int64[B], members in the subset, 2 or more."""
    focal: FloatArray
    """float64[B] in [0, 1]; higher is more diverse."""
    vote: FloatArray
    """float64[B] in [0, 1]: plurality-vote accuracy; ties go to what the best member backs."""
    member_mean: FloatArray
    """float64[B] in [0, 1]: mean accuracy of the subset's members."""
    is_sample: bool
    """True when the pool has more subsets than these."""
    n_queries: int
    """Queries they were scored on: some of those that every member answered."""

    def correlations(self, *, given_members: bool = False) -> dict[int, float]:
        """Correlate focal diversity with vote accuracy (Pearson), for each size.

        Args:
            given_members: take the members' mean accuracy out of both first: partial correlation.

        Returns:
            Only sizes with at least 5 subsets and some spread in both.
        """
        found = {}
        for size in np.unique(self.size).tolist():
            of_size = self.size == size
            focal, vote = self.focal[of_size], self.vote[of_size]
            if given_members:
                mean = self.member_mean[of_size]
                focal, vote = _residual(focal, mean), _residual(vote, mean)
            if len(focal) >= MIN_SUBSETS and min(focal.std(), vote.std()) > NO_SPREAD:
                found[size] = float(np.corrcoef(focal, vote)[0, 1])
        return found


def _residual(values: FloatArray, on: FloatArray) -> FloatArray:
    """Residuals of `values` after a linear regression on `on`."""
    centred, x = values - values.mean(), on - on.mean()
    spread = float(x @ x)
    rest: FloatArray = centred - x * (x @ centred / spread) if spread > NO_SPREAD**2 else centred
    return rest


def draw_masks(
    n_members: int, *, rng: np.random.Generator, n_masks: int = SAMPLE_SIZE
) -> tuple[BoolArray, bool]:
    """Choose the subsets to score.

    Args:
        n_members: size of the pool, N.
        rng: source of the sample.
        n_masks: draws for a pool too large to enumerate; repeated draws are merged.

    Returns:
        bool[B, N] of distinct subsets with 2 or more members, and whether they are a sample.
    """
    if n_members <= ALL_UP_TO_MEMBERS:
        masks = masks_from_codes(np.arange(1 << n_members), n_members)
        return masks[masks.sum(axis=1) >= 2], False
    size = rng.integers(2, n_members + 1, size=n_masks)
    rank = rng.random((n_masks, n_members)).argsort(axis=1).argsort(axis=1)
    return np.unique(rank < size[:, None], axis=0), True


def score_subsets(table: ResponseTable, *, rng: np.random.Generator) -> SubsetScores | None:
    """Score the subsets of a table's pool.

    Args:
        table: the recorded answers.
        rng: draws subsets and queries where there are too many.

    Returns:
        None where no query's answers can be compared, of those that every member answered: how
        members fail together is known nowhere else.
    """
    rows = np.flatnonzero(table.comparable & table.complete)
    if not len(rows):
        return None
    if len(rows) > MAX_QUERIES:
        rows = np.sort(rng.choice(rows, size=MAX_QUERIES, replace=False))
    part = table.take(rows)
    masks, is_sample = draw_masks(table.n_members, rng=rng)
    return SubsetScores(
        size=masks.sum(axis=1),
        focal=FailureCounts.from_failed(part.failed).focal(masks),
        vote=VoteAccuracy(part, rank_members(part))(masks),
        member_mean=masks @ part.member_accuracy / masks.sum(axis=1),
        is_sample=is_sample,
        n_queries=len(rows),
    )
