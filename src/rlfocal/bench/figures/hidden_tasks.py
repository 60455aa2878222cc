"""What strategies lose where they are not told the task of a query.

A gateway knows a task only where its client names one. Knows rows and figures alone: how tasks are
hidden is `jobs`, and the outcomes either way are of the same fitted strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlfocal.bench.figures.scores import Scores, scores
from rlfocal.bench.leaderboard import LeaderboardRow, TaskHidden
from rlfocal.bench.statistics import Estimate, MeasuredMeans

__all__ = ["lost_by_hiding", "tasks_note", "with_hidden"]


def lost_by_hiding(
    given: pa.Table, hidden: pa.Table, *, n_resamples: int = 2000
) -> dict[str, Estimate]:
    """Accuracy with the task given less accuracy with it hidden, at the default dials.

    Args:
        given: per-query rows of a benchmark.
        hidden: those with tasks hidden, of the same queries.
        n_resamples: bootstrap resamples.

    Returns:
        Estimates by strategy, paired by query, over the queries measured both ways; without the
        strategies that have none.
    """
    shown, kept = _default_dials(given), _default_dials(hidden)
    both = [name for name in shown if name in kept]
    means = MeasuredMeans(
        np.column_stack([found[name].score[:, 0] for name in both for found in (shown, kept)]),
        np.column_stack([found[name].measured[:, 0] for name in both for found in (shown, kept)]),
        shown[both[0]].group,
        n_resamples=n_resamples,
    )
    places = {name: (2 * i, 2 * i + 1) for i, name in enumerate(both)}
    return {
        name: means.over(*place).difference(*place)
        for name, place in places.items()
        if means.count(*place)
    }


def with_hidden(
    rows: Sequence[LeaderboardRow],
    hidden: Sequence[LeaderboardRow],
    lost: dict[str, Estimate],
) -> tuple[LeaderboardRow, ...]:
    """The rows of a leaderboard, each with its figures where tasks are hidden.

    Args:
        rows: with tasks given.
        hidden: with tasks hidden.
        lost: as `lost_by_hiding` finds it.
    """
    other = {row.strategy: row for row in hidden}
    return tuple(
        replace(row, hidden=_figures(other[row.strategy], lost.get(row.strategy)))
        if row.strategy in other
        else row
        for row in rows
    )


def tasks_note(n_tasks: int) -> str | None:
    """A line for who compares strategies that were shown the task; None for a single task."""
    if n_tasks < 2:
        return None
    return (
        f"tasks: strategies were shown which of the {n_tasks} tasks a query is of; a gateway knows "
        "that only where its client names the task (--tasks both tests it either way)"
    )


def _figures(row: LeaderboardRow, lost: Estimate | None) -> TaskHidden:
    return TaskHidden(
        accuracy=row.accuracy,
        accuracy_ci=row.accuracy_ci,
        mean_calls=row.mean_calls,
        mean_cost_usd=row.mean_cost_usd,
        mean_rounds=row.mean_rounds,
        lost=None if lost is None else lost.value,
        lost_ci=None if lost is None else lost.ci,
    )


def _default_dials(per_query: pa.Table) -> dict[str, Scores]:
    """Scores of each strategy at its default dial, as one column; queries stand alike in all."""
    found = scores(per_query.filter(pc.is_null(per_query["dial"])))
    return {name: found.take([i]) for i, (name, _) in enumerate(found.points)}
