"""The few strategies that a picture shows in colour; all others are grey, and there on demand.

Those that a reader decides between: the one advised, the best single member, the most accurate
simple one, what was learned and nothing beats at its cost; then others that nothing beats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlfocal.advice import Advice
from rlfocal.bench import BenchResult, LeaderboardRow
from rlfocal.bench.budgets import REFERENCES
from rlfocal.bench.statistics import BEST_SINGLE
from rlfocal.report.drawing.colours import N_HUES

__all__ = ["Point", "efficient", "highlights"]


@dataclass(frozen=True)
class Point:
    """One setting of one strategy."""

    strategy: str
    x: float
    """Mean calls or mean dollars a query."""
    accuracy: float
    """In [0, 1]."""
    dial: float | None = None
    """The setting; None for the default one, or where there is no dial."""


def efficient(points: Sequence[Point]) -> list[bool]:
    """Say which points no other beats, being as accurate and cheaper or as cheap and more accurate.

    >>> efficient([Point("a", 1, .5), Point("b", 2, .5), Point("c", 3, .9)])
    [True, False, True]
    """
    x = np.array([p.x for p in points])
    y = np.array([p.accuracy for p in points])
    no_worse = (x[None] <= x[:, None]) & (y[None] >= y[:, None])
    better = (x[None] < x[:, None]) | (y[None] > y[:, None])
    beaten = (no_worse & better).sum(axis=1)
    return [count == 0 for count in beaten.tolist()]


def highlights(result: BenchResult, advice: Advice | None) -> dict[str, int]:
    """Hue of each strategy that matters, from 1; in a report it has the same one everywhere.

    Args:
        result: a benchmark.
        advice: `advise(result)`.

    Returns:
        At most 6 strategies, the most important first, each with a hue that no other has.
    """
    rows = [row for row in result.rows if row.strategy not in REFERENCES]
    simple = [row for row in rows if not row.learned and row.strategy != BEST_SINGLE]
    unbeaten = _unbeaten(result, rows)
    order = [
        *([advice.strategy] if advice is not None else []),
        *(row.strategy for row in rows if row.strategy == BEST_SINGLE),
        *(row.strategy for row in simple[:1]),
        *(row.strategy for row in rows if row.learned and row.strategy in unbeaten),
        *(row.strategy for row in rows if row.strategy in unbeaten),
    ]
    return {name: i + 1 for i, name in enumerate(dict.fromkeys(order)) if i < N_HUES}


def _unbeaten(result: BenchResult, rows: Sequence[LeaderboardRow]) -> set[str]:
    """Strategies with a setting that no setting of any strategy beats in calls and accuracy."""
    points = [Point(row.strategy, row.mean_calls, row.accuracy) for row in rows]
    points += [
        Point(row.strategy, setting.mean_calls, setting.accuracy, setting.dial)
        for row in rows
        for setting in result.frontiers.get(row.strategy, ())
    ]
    return {p.strategy for p, kept in zip(points, efficient(points), strict=True) if kept}
