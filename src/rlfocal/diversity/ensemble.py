"""Diversity of a whole ensemble from k, the number of its S members that fail a query.

Every function scores a block of masks, `failed: bool[Q, N]`, `masks: bool[B, N]` -> float64[B],
oriented so that higher = more diverse. Fleiss' kappa and generalised diversity need only the sums
of k and k^2 over queries, that is the pair counts; entropy needs every k.

An ensemble of fewer than two members has nothing to differ from: it gets the least value of the
measure, -1 or 0, whatever its member does. Other conventions at 0/0 stand with each function.

Source: Kuncheva & Whitaker, "Measures of diversity in classifier ensembles and their relationship
with the ensemble accuracy", Machine Learning 51 (2003).
"""

from __future__ import annotations

import numpy as np

from rlfocal.diversity.masks import BoolArray, FloatArray, check_failed, check_masks
from rlfocal.diversity.pairwise import pair_counts

__all__ = ["entropy", "fleiss_kappa", "generalised_diversity", "mean_pairwise"]

BLOCK_FLOATS = 2**22
"""float32 values (16 MiB) per temporary of shape [b, Q]."""


def mean_pairwise(matrix: FloatArray, masks: BoolArray, *, least: float) -> FloatArray:
    """Mean of a pairwise measure over the unordered pairs of each ensemble.

    Args:
        matrix: float64[N, N], symmetric, of a pairwise measure; the diagonal is ignored.
        masks: bool[B, N].
        least: value of an ensemble of fewer than two members; the lower end of the measure's range.

    Returns:
        float64[B], in the range of the measure.

    Raises:
        ValueError: masks of another shape or dtype.
    """
    members = check_masks(masks, len(matrix)).astype(np.float64)
    apart = matrix - np.diag(np.diag(matrix))
    size = members.sum(axis=1)
    total = ((members @ apart) * members).sum(axis=1)  # every pair twice
    return _divide(total, size * (size - 1), otherwise=least)


def fleiss_kappa(failed: BoolArray, masks: BoolArray) -> FloatArray:
    """Fleiss' kappa of the members' failures, negated: agreement beyond that of chance.

    Raw: kappa = 1 - E[k (S-k)] / (S (S-1) p (1-p)), p the members' mean failure rate; 1 when all
    always fail together, 0 when independent. Returned: -kappa.

    Returns:
        float64[B] in [-1, 1 / (S-1)]; higher is more diverse. -1 at 0/0 (nobody ever fails, or all
        always do: complete agreement) and for S < 2.

    Raises:
        ValueError: arrays of another shape or dtype, or no query.

    Source: Fleiss (1981), as the non-pairwise "interrater agreement" of Kuncheva & Whitaker (2003).
    """
    size, failures, squares = _moments(failed, masks)
    answers = size * len(failed)  # all S Q of them
    mixed = size * failures - squares  # sum of k (S-k) over queries
    chance = (size - 1) * failures * ((answers - failures) / answers.clip(min=1))
    return np.where(size < 2, -1.0, _divide(mixed, chance, otherwise=0.0) - 1.0)


def generalised_diversity(failed: BoolArray, masks: BoolArray) -> FloatArray:
    """Chance that a second member survives the failure of a first, both drawn at random.

    Raw and returned: GD = 1 - p(2) / p(1), where p(1) = E[k] / S is the chance that a random member
    fails a random query and p(2) = E[k (k-1)] / (S (S-1)) that two random members both do.

    Returns:
        float64[B] in [0, 1]; higher is more diverse. 0 at 0/0 (nobody ever fails: nothing was seen
        to differ) and for S < 2.

    Raises:
        ValueError: arrays of another shape or dtype, or no query.

    Source: Partridge & Krzanowski, "Software diversity: practical statistics for its measurement
    and exploitation", Information and Software Technology 39 (1997).
    """
    size, failures, squares = _moments(failed, masks)
    return 1.0 - _divide(squares - failures, (size - 1) * failures, otherwise=1.0)


def entropy(failed: BoolArray, masks: BoolArray) -> FloatArray:
    """How close the members come to splitting half and half, averaged over queries.

    Raw and returned: E = mean over queries of min(k, S-k) / (S - ceil(S/2)). No logarithm.

    Returns:
        float64[B] in [0, 1]; higher is more diverse. 0 for S < 2, where the divisor is 0.

    Raises:
        ValueError: arrays of another shape or dtype, or no query.

    Source: the entropy measure E of Kuncheva & Whitaker (2003).
    """
    check_masks(masks, check_failed(failed).shape[1])
    fails = failed.T.astype(np.float32)  # [N, Q]
    size = masks.sum(axis=1)
    minority = np.empty(len(masks))
    step = max(1, BLOCK_FLOATS // len(failed))
    for at in range(0, len(masks), step):
        k = masks[at : at + step].astype(np.float32) @ fails  # [b, Q]
        smaller = np.minimum(k, size[at : at + step, None].astype(np.float32) - k)
        minority[at : at + step] = smaller.sum(axis=1, dtype=np.float64)
    return _divide(minority, len(failed) * (size // 2).astype(np.float64), otherwise=0.0)


def _moments(failed: BoolArray, masks: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per mask: S, the sum of k and the sum of k^2 over queries; float64[B], whole numbers."""
    both = pair_counts(failed).n00
    members = check_masks(masks, len(both)).astype(np.float64)
    return (
        members.sum(axis=1),
        members @ np.diag(both),
        ((members @ both) * members).sum(axis=1),
    )


def _divide(numerator: FloatArray, denominator: FloatArray, *, otherwise: float) -> FloatArray:
    """Divide where the denominator is positive, `otherwise` elsewhere."""
    quotient: FloatArray = np.divide(
        numerator, denominator, out=np.full_like(numerator, otherwise), where=denominator > 0
    )
    return quotient
