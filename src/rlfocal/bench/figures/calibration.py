"""Calibration of strategies' confidences: reliability, Brier score, risk and coverage.

Computed from the per-query rows at the default dial, the rows of several seeds pooled: a confidence
belongs to one answer, so seeds are not averaged before. Knows nothing of folds, files or figures.

Sources: Guo et al., "On calibration of modern neural networks" (2017), for the expected calibration
error; Brier, "Verification of forecasts expressed in terms of probability" (1950); Geifman and
El-Yaniv, "Selective classification for deep neural networks" (2017), for risk and coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.numbers import wilson
from rlfocal.records import IntArray

__all__ = [
    "N_BINS",
    "Calibration",
    "ReliabilityBin",
    "calibrations",
    "expected_calibration_error",
    "reliability",
]

_Floats = NDArray[np.float64]

N_BINS = 10
"""Bins of equal count, where confidences differ enough to fill them."""
_DECIMALS = 3
"""Confidences equal to so many decimals count as one: votes break ties by differences below."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Answers given with about the same confidence."""

    confidence: float
    """Their mean confidence, in [0, 1]."""
    accuracy: float
    """Their mean score, in [0, 1]."""
    accuracy_ci: tuple[float, float]
    """95 % Wilson interval over distinct prompts, so that further seeds do not narrow it."""
    count: int
    """How many answers: tested queries, times seeds for a strategy with randomness."""
    n_groups: int
    """Distinct prompts among them."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration of a strategy's confidence, at its default dial."""

    strategy: str
    graded: bool
    """Whether any confidence is neither 0 nor 1; without grades there is no curve to read."""
    mean_confidence: float
    """Above the accuracy: overconfident as a whole."""
    ece: float
    """Expected calibration error: mean distance of confidence and accuracy, bins by count."""
    ece_by_chance: float
    """About the mean that a perfectly calibrated strategy of these confidences would show on as
    many prompts; a smaller error is no evidence."""
    brier: float
    """Mean squared distance of confidence and score."""
    accuracy_at_80: float
    """Accuracy on the 80 % of answers with the highest confidence; ties are cut at random."""
    risk_coverage_area: float
    """Mean, over all coverages, of the share of wrong answers among the most confident ones."""
    bins: tuple[ReliabilityBin, ...]
    """By rising confidence; at most 10."""


def calibrations(per_query: pa.Table, strategies: Sequence[str]) -> tuple[Calibration, ...]:
    """Measure the calibration of strategies at their default dial.

    Args:
        per_query: rows of a benchmark.
        strategies: names, in the order in which they shall stand; each has rows, and was measured
            on some.
    """
    rows = per_query.select(["strategy", "confidence", "score", "group"]).filter(
        pc.is_null(per_query["dial"])
    )
    found = []
    for name in strategies:
        own = rows.filter(pc.equal(rows["strategy"], name)).filter(pc.field("score").is_valid())
        confidence, score = (
            own[column].to_numpy().astype(np.float64) for column in ("confidence", "score")
        )
        found.append(_calibration(name, confidence, score, own["group"].to_numpy()))
    return tuple(found)


def _calibration(name: str, confidence: _Floats, score: _Floats, group: IntArray) -> Calibration:
    rounded = confidence.round(_DECIMALS)
    bins = reliability(confidence, score, group)
    kept = _cumulative(confidence, score)
    coverage = np.arange(1, len(kept) + 1)
    return Calibration(
        strategy=name,
        graded=bool(((rounded > 0) & (rounded < 1)).any()),
        mean_confidence=float(confidence.mean()),
        ece=expected_calibration_error(bins),
        ece_by_chance=_by_chance(confidence, bins),
        brier=float(np.square(confidence - score).mean()),
        accuracy_at_80=float((kept / coverage)[max(round(0.8 * len(kept)), 1) - 1]),
        risk_coverage_area=float(np.clip(1 - kept / coverage, 0, 1).mean()),
        bins=bins,
    )


def reliability(confidence: _Floats, score: _Floats, group: IntArray) -> tuple[ReliabilityBin, ...]:
    """Bin answers by confidence, with equal counts where possible.

    Equal confidences (to 3 decimals) stay together, so there are fewer bins where few values occur,
    and bins of unequal count where one value is frequent.

    Args:
        confidence: float64[R] in [0, 1].
        score: float64[R] in [0, 1], of the same answers.
        group: int64[R]; answers to the same prompt have the same number.

    Returns:
        The bins that hold answers, at most `N_BINS`, by rising confidence.
    """
    place = _bin_of(confidence)
    count = np.bincount(place)
    mean_confidence, accuracy = (
        np.clip(np.bincount(place, values) / count, 0, 1) for values in (confidence, score)
    )
    pairs = np.unique(np.stack([place, group], axis=1), axis=0)
    n_groups = np.bincount(pairs[:, 0])
    low, high = wilson(accuracy, n_groups)
    return tuple(
        ReliabilityBin(
            confidence=c, accuracy=a, accuracy_ci=(below, above), count=n, n_groups=distinct
        )
        for c, a, below, above, n, distinct in zip(
            *(column.tolist() for column in (mean_confidence, accuracy, low, high)),
            count.tolist(),
            n_groups.tolist(),
            strict=True,
        )
    )


def _bin_of(confidence: _Floats) -> IntArray:
    """Bin of each answer, int64[R], numbered without gaps.

    The middle rank of a value's answers says in which of `N_BINS` equal shares it lies.
    """
    _, value, count = np.unique(
        confidence.round(_DECIMALS), return_inverse=True, return_counts=True
    )
    twice_middle = 2 * np.cumsum(count) - count  # whole numbers, so no rounding at the edges
    share = twice_middle * N_BINS // (2 * len(confidence))
    _, place = np.unique(share, return_inverse=True)
    return np.asarray(place[value], dtype=np.int64)


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Mean distance between confidence and accuracy, in [0, 1]; each bin weighs its answers."""
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.confidence - one.accuracy) for one in bins) / total


def _by_chance(confidence: _Floats, bins: Sequence[ReliabilityBin]) -> float:
    """Mean error of a calibrated strategy: distances are half-normal, seeds add no evidence."""
    count = np.array([one.count for one in bins])
    n_groups = np.array([one.n_groups for one in bins])
    place = np.repeat(np.arange(len(bins)), count)
    ordered = np.sort(confidence)
    variance = np.bincount(place, ordered * (1 - ordered)) / count
    return float((count * np.sqrt(2 / np.pi * variance / n_groups)).sum() / count.sum())


def _cumulative(confidence: _Floats, score: _Floats) -> _Floats:
    """Expected summed score of the k most confident answers, float64[R]; ties in random order."""
    _, value, count = np.unique(-confidence, return_inverse=True, return_counts=True)
    mean = np.bincount(value, score) / count
    return np.asarray(np.cumsum(np.repeat(mean, count)))
