"""Let a frozen policy follow drift: what recent labelled queries say of members shifts their trust.

No weight is trained. A window of labelled queries gives every member a recent accuracy; where it
departs from the one in training by more than luck explains, the member's statistics and the weight
of its votes move by the difference in log-odds. Without drift next to nothing moves.

Axes: N members, W remembered queries.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import FloatArray
from rlfocal.rl.foundation import Foundation
from rlfocal.rl.observation import Observer
from rlfocal.rl.statistics import PoolStatistics
from rlfocal.strategies.protocol import Memory

__all__ = ["adapted", "log_odds_shift"]

_PSEUDO_COUNTS = 10.0
"""Queries' worth of the accuracy in training that is mixed into the window's."""
_DOUBT = 2.0
"""A departure of z standard errors counts z² / (z² + this) of itself."""
_PRIOR_SLOPE = 0.6
"""What a point of log-odds is worth in a vote where a pool's own weights do not say."""

Float64Array = NDArray[np.float64]


def adapted(foundation: Foundation, memory: Memory) -> Observer:
    """Look at queries with the eyes of a pool whose members are as good as they were lately.

    Args:
        foundation: fitted on training queries.
        memory: recent labelled queries.
    """
    statistics = foundation.statistics
    shift = log_odds_shift(statistics.task_accuracy, memory)
    moved = replace(
        statistics,
        accuracy=_moved(statistics.accuracy, shift),
        task_accuracy=_moved(statistics.task_accuracy, shift),
        joint_failure=_joint_failure(statistics, memory),
    )
    weight = foundation.fusion.start_weights().mean(axis=(0, 1))
    trust = (_slope(statistics.accuracy, weight) * shift).astype(np.float32)
    return Observer(moved, foundation.fusion, foundation.hints, trust)


def log_odds_shift(task_accuracy: FloatArray, memory: Memory) -> Float64Array:
    """float64[N]: how far each member's log-odds of being right have moved since training.

    What was to be expected is the accuracy in training on the very tasks that are remembered: other
    tasks than before are no drift.

    Args:
        task_accuracy: float32[T + 1, N].
        memory: recent labelled queries; their tasks lie in 0..T.

    >>> memory = Memory(
    ...     task=np.zeros(100, dtype=np.int64), answer=np.zeros((100, 2), dtype=np.int16),
    ...     member_score=np.tile(np.array([[0.0, 0.5]], dtype=np.float32), (100, 1)),
    ... )
    >>> log_odds_shift(np.array([[0.8, 0.5]], dtype=np.float32), memory).round(1).tolist()
    [-3.9, 0.0]
    """
    known = ~np.isnan(memory.member_score)
    count = known.sum(axis=0)
    total = np.where(known, memory.member_score, 0).sum(axis=0, dtype=np.float64)
    expected = np.where(known, task_accuracy[memory.task], 0).sum(axis=0, dtype=np.float64)
    before = np.clip(expected / np.maximum(count, 1), 0.01, 0.99)
    recent = (total + _PSEUDO_COUNTS * before) / (count + _PSEUDO_COUNTS)
    recent = np.clip(recent, 0.01, 0.99)
    error = np.sqrt(before * (1 - before) / np.maximum(count, 1))
    z_squared = ((total / np.maximum(count, 1) - before) / error) ** 2
    sure = np.where(count > 0, z_squared / (z_squared + _DOUBT), 0)
    return np.asarray(sure * (_logit(recent) - _logit(before)))


def _moved(accuracy: FloatArray, shift: Float64Array) -> FloatArray:
    logit = _logit(np.clip(accuracy.astype(np.float64), 0.001, 0.999)) + shift
    return np.asarray(1 / (1 + np.exp(-logit)), dtype=np.float32)


def _logit(chance: Float64Array) -> Float64Array:
    return np.asarray(np.log(chance / (1 - chance)))


def _joint_failure(statistics: PoolStatistics, memory: Memory) -> FloatArray:
    """The window's failures, with those of training as the prior."""
    failed = np.where(np.isnan(memory.member_score), False, memory.member_score < 0.5)
    counts = failed.astype(np.float64)
    both = counts.T @ counts
    prior = 2 * _PSEUDO_COUNTS
    joint = (both + prior * statistics.joint_failure) / (counts.sum(axis=0)[:, None] + prior)
    return np.asarray(joint, dtype=np.float32)


def _slope(accuracy: FloatArray, weight: FloatArray) -> float:
    """What a point of log-odds is worth in this pool's votes: least squares over its members."""
    odds = _logit(np.clip(accuracy.astype(np.float64), 0.02, 0.98))
    centred = odds - odds.mean()
    along = float(centred @ (weight - weight.mean())) + _PRIOR_SLOPE
    return float(np.clip(along / (float(centred @ centred) + 1), 0.2, 1.5))
