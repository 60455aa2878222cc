"""The rows of all jobs together: what was measured everywhere, and notes on what was not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import pyarrow as pa

from rlfocal.bench.protocol import Tasks
from rlfocal.bench.rows import JobRows, RowLayout
from rlfocal.bench.statistics import BEST_SINGLE
from rlfocal.errors import ConfigError

__all__ = ["LaidOut"]


class LaidOut(NamedTuple):
    """Jobs whose test queries were all shown in one way, their outcomes as rows."""

    per_query: pa.Table
    results: tuple[JobRows, ...]
    """Without rows."""
    not_applicable: Mapping[str, str]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        layout: RowLayout,
        name: str,
        not_applicable: Mapping[str, str],
        results: Sequence[JobRows],
        *,
        tasks: Tasks,
    ) -> Self:
        """Lay out what can be measured.

        Args:
            layout: that made the rows.
            name: of the data, as messages name them.
            not_applicable: strategies to leave out, with the reason.
            results: of all jobs.
            tasks: how the queries were shown.

        Raises:
            ConfigError: the best single member was measured on no query.
        """
        results = [result for result in results if result.job.strategy not in not_applicable]
        results, dropped = _common_dials(results)
        results, unmeasured = _measured(name, results)
        return cls(
            layout.joined(results, tasks=tasks),
            tuple(result._replace(points=(), hidden=()) for result in results),
            {**not_applicable, **unmeasured},
            tuple(dropped),
        )


def _common_dials(results: Sequence[JobRows]) -> tuple[list[JobRows], list[str]]:
    """Keep the dials that a strategy offered in all its jobs, and note which are left out.

    A point of a frontier is measured on every tested query, or it is none.
    """
    offered: dict[str, list[set[float]]] = {}
    for result in results:
        dials = {point.dial for point in result.points if point.dial is not None}
        offered.setdefault(result.job.strategy, []).append(dials)
    common = {name: set.intersection(*of_job) for name, of_job in offered.items()}
    notes = []
    for name, of_job in offered.items():
        partial = sorted(set.union(*of_job) - common[name])
        if partial:
            shown = ", ".join(f"{dial:g}" for dial in partial)
            notes.append(f"{name}: dials offered in some folds only are left out: {shown}")
    kept = [
        result._replace(
            points=tuple(
                point
                for point in result.points
                if point.dial is None or point.dial in common[result.job.strategy]
            )
        )
        for result in results
    ]
    return kept, notes


def _measured(name: str, results: Sequence[JobRows]) -> tuple[list[JobRows], dict[str, str]]:
    """Leave out operating points without a measured query, with a note.

    Raises:
        ConfigError: that is the best single member, so there is nothing to compare with.
    """
    ever: dict[tuple[str, float | None], bool] = {}
    for result in results:
        for point in result.points:
            key = result.job.strategy, point.dial
            ever[key] = ever.get(key, False) or point.any_measured
    if all(ever.values()):
        return list(results), {}
    if not ever[BEST_SINGLE, None]:
        raise ConfigError(
            f"{name}: nothing is recorded of the best single member on any tested query, so "
            "nothing can be compared with it; use --complete, other --members, or record more"
        )
    why = "nothing is recorded of the members that it asks, on any tested query"
    left_out = {strategy: why for (strategy, dial), was in ever.items() if dial is None and not was}
    kept = [
        result._replace(points=tuple(p for p in result.points if ever[result.job.strategy, p.dial]))
        for result in results
        if result.job.strategy not in left_out
    ]
    return kept, left_out
