"""One recorded query, answered round by round by what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlfocal.checkpoint.files import Checkpoint
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.trace import CallRecord, Deliberation, Trace
from rlfocal.errors import ConfigError, nearest
from rlfocal.markup import Displayed, Sheet
from rlfocal.records import ResponseTable

__all__ = ["Explanation", "explain_query"]


@dataclass(frozen=True, kw_only=True)
class Explanation(Displayed):
    """How a checkpoint answers one recorded query."""

    query: str
    """Its id."""
    task: str
    trained_on: bool
    """Whether the checkpoint was trained on it."""
    labelled: bool
    """Whether a label, or the score of some response, says what is right."""
    score: float | None
    """Of the answer, in [0, 1]; None where nothing says what is right, or nobody asked has a
    record."""
    trace: Trace
    """Who was asked, what was said, why it stopped."""

    def __repr__(self) -> str:
        return f"Explanation({self.query!r}: {self.trace.answer!r}, {self.verdict})"

    def _sheet(self) -> Sheet:
        title, parts, _ = self.trace._sheet()
        seen = "the checkpoint was trained on this query" if self.trained_on else ""
        return Sheet(f"{self.query} (task {self.task}): {title}", (seen, *parts, self.verdict))

    @property
    def verdict(self) -> str:
        """What is known of the answer, as a line."""
        if not self.labelled:
            return "no label: nobody knows whether that is right"
        if self.score is None:
            return "nothing is recorded of the members that it asked"
        right = {0.0: "wrong", 1.0: "right"}.get(self.score, f"score {self.score:.2f}")
        return f"that is {right}"

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, the trace's fields among the others."""
        return {
            "query": self.query,
            "task": self.task,
            "trained_on": self.trained_on,
            "labelled": self.labelled,
            "score": self.score,
            **self.trace.as_json(),
        }


def explain_query(
    loaded: Checkpoint, table: ResponseTable, query: str, *, price: float | None = None
) -> Explanation:
    """Replay one query and note every round.

    Args:
        loaded: what was trained.
        table: recorded answers of its pool, as `Checkpoint.table` gives them.
        query: the query's id.
        price: of a call; None for the checkpoint's own.

    Raises:
        ConfigError: there is no such query, or the strategy knows no such price.
    """
    found = (table.query_ids == query).nonzero()[0]
    if not len(found):
        raise ConfigError(
            f"{table.name}: no query '{query}'; {nearest(query, table.query_ids.tolist())}"
        )
    row = int(found[0])
    rows, asked = np.array([row]), np.zeros((1, table.n_members), dtype=bool)
    names = table.candidates[row]
    deliberation = Deliberation(loaded.strategy.at_price(price), table.members, table.cost_unit)
    view = reveal(table, rows, asked)
    wanted = deliberation.first(view)
    while wanted.any():
        asked, called = asked | wanted, np.flatnonzero(wanted).tolist()
        view = reveal(table, rows, asked, n_rounds=np.array([deliberation.n_rounds + 1]))
        slots = candidates_of(table, rows, asked, np.arange(int(view.available.sum()))[None])[0]
        calls = [_call(table, row, n) for n in called if table.recorded[row, n]]
        wanted = deliberation.record_round(view, calls, [names[slot] for slot in slots.tolist()])
    trace = deliberation.trace
    place = -1 if trace.answer is None else names.index(trace.answer)
    chosen = np.full(table.n_queries, place)
    score = float(table.measured_score(chosen, asked & table.recorded)[row])
    return Explanation(
        query=str(table.query_ids[row]),
        task=table.tasks[table.task[row]],
        trained_on=bool(loaded.was_trained_on(table)[row]),
        labelled=bool(table.judged[row]),
        score=None if np.isnan(score) else score,
        trace=trace,
    )


def _call(table: ResponseTable, row: int, member: int) -> CallRecord:
    answer = int(table.answer[row, member])
    return CallRecord(
        member=table.members[member],
        answer=None if answer < 0 else table.candidates[row][answer],
        support=None if answer < 0 else float(table.support[row, member, answer]),
        cost=float(table.cost[row, member]),
    )
