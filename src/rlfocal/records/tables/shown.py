"""A table as people look at it: a line, a sheet of its members, rows for data frames.

Knows the arrays of a `ResponseTable`, which inherits all this.

Axes: Q queries, N members, C candidate slots.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlfocal.markup import Displayed, Grid, Sheet
from rlfocal.records.tables.known import Known

__all__ = ["Shown"]


class Shown(Known, Displayed):
    """What `print`, notebooks and data frames show of a table."""

    name: str
    members: tuple[str, ...]
    query_ids: NDArray[np.str_]
    candidates: NDArray[np.object_]
    answer: NDArray[np.int16]
    cost_unit: str
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        queries, members = f"{len(self.task):,} queries", f"{len(self.members)} members"
        return f"ResponseTable({self.name!r}: {queries}, {members})"

    def _sheet(self) -> Sheet:
        n_tasks, judged = len(np.unique(self.task)), int(self.judged.sum())
        missing = (~self.recorded).sum(axis=0).tolist()
        unusable = (self.recorded & (self.answer < 0)).sum(axis=0).tolist()
        order = np.argsort(-self.member_accuracy, kind="stable").tolist()
        tasks = f"{n_tasks} task{'s' if n_tasks > 1 else ''}"
        return Sheet(
            f"{self.name}: {len(self.task):,} queries, {len(self.members)} members, {tasks}",
            (
                Grid(
                    "members",
                    ("member", "accuracy %", "missing", "unusable", f"cost ({self.cost_unit})"),
                    [
                        (
                            self.members[n],
                            f"{100 * self.member_accuracy[n]:.1f}" if self.coverage[n] else "-",
                            f"{missing[n]:,}",
                            f"{unusable[n]:,}",
                            f"{self.mean_cost[n]:.4g}",
                        )
                        for n in order
                    ],
                ),
                "" if judged == len(self.task) else f"{judged:,} queries have a label or a score",
            ),
            self.notes,
        )

    def to_arrow(self) -> pa.Table:
        """The responses as rows for pandas (`.to_pandas()`), polars (`pl.from_arrow`) and others.

        Returns:
            A row per query and member, queries first: query_id, task, member, answer (null for no
            usable one), score in [0, 1] (null where nothing says what is right or no response is
            recorded), recorded, cost in the table's unit (null where nothing is recorded).
        """
        n_queries, n_members = self.answer.shape
        rows = zip(self.candidates.tolist(), self.answer.tolist(), strict=True)
        columns: dict[str, Any] = {
            "query_id": pa.array(np.repeat(self.query_ids, n_members).tolist(), pa.string()),
            "task": pa.array([self.tasks[t] for t in np.repeat(self.task, n_members)]),
            "member": pa.array([*self.members] * n_queries, pa.string()),
            "answer": pa.array(
                [None if slot < 0 else names[slot] for names, row in rows for slot in row],
                pa.string(),
            ),
            "score": pa.array(self.member_score.ravel(), mask=~self.scored.ravel()),
            "recorded": pa.array(self.recorded.ravel()),
            "cost": pa.array(self.cost.ravel(), mask=~self.recorded.ravel()),
        }
        return pa.table(columns)
