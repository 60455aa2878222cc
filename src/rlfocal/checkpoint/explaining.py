"""One recorded query, answered round by round by what was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from rlfocal.checkpoint.files import Checkpoint
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.replay import stages
from rlfocal.deliberation.trace import CallRecord, Deliberation, Trace, named_by
from rlfocal.errors import ConfigError, nearest
from rlfocal.markup import Displayed, Sheet
from rlfocal.records import BoolArray, Dataset, ResponseTable

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
    loaded: Checkpoint,
    table: ResponseTable,
    query: str,
    *,
    price: float | None = None,
    dataset: Dataset | None = None,
) -> Explanation:
    """Replay one query and note every round.

    Args:
        loaded: what was trained.
        table: recorded answers of its pool, as `Checkpoint.table` gives them.
        query: the query's id.
        price: of a call; None for the checkpoint's own.
        dataset: that the table was made of: it says what members that read others were shown.

    Raises:
        ConfigError: there is no such query, or the strategy knows no such price.
    """
    found = (table.query_ids == query).nonzero()[0]
    if not len(found):
        raise ConfigError(
            f"{table.name}: no query '{query}'; {nearest(query, table.query_ids.tolist())}"
        )
    row = int(found[0])
    shown = {} if dataset is None or table.reads is None else _shown(dataset, query)
    trace, asked = _replayed(loaded, table, row, price, shown)
    place = -1 if trace.answer is None else table.candidates[row].index(trace.answer)
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


def _replayed(
    loaded: Checkpoint,
    table: ResponseTable,
    row: int,
    price: float | None,
    shown: Mapping[str, Mapping[str, Any]],
) -> tuple[Trace, BoolArray]:
    """What happened, and bool[1, N]: who was asked in the end."""
    rows, asked = np.array([row]), np.zeros((1, table.n_members), dtype=bool)
    names, reads, n_turns = table.candidates[row], table.reads, 0
    deliberation = Deliberation(
        loaded.strategy.at_price(price), table.members, table.cost_unit, reads=reads
    )
    wanted = deliberation.first(reveal(table, rows, asked))
    while wanted.any():
        n_turns += 1
        stages_left = list(stages(reads, wanted[None], asked))
        for number, now in enumerate(stages_left, start=1):
            asked = asked | now
            view = reveal(table, rows, asked, n_rounds=np.array([n_turns]))
            slots = candidates_of(table, rows, asked, np.arange(int(view.available.sum()))[None])
            recorded = np.flatnonzero(now[0] & table.recorded[row]).tolist()
            calls = [_call(table, row, n, shown.get(table.members[n])) for n in recorded]
            wanted = deliberation.record_round(
                view,
                calls,
                [names[slot] for slot in slots[0].tolist()],
                goes_on=number < len(stages_left),
            )
    return deliberation.trace, asked


def _shown(dataset: Dataset, query: str) -> dict[str, Mapping[str, Any]]:
    """Member → what it was shown of one query, and whom it named."""
    rows = dataset.responses.filter(pc.equal(dataset.responses["query_id"], query))
    known = [name for name in ("member", "shown", "verdicts") if name in rows.column_names]
    return {row["member"]: row for row in rows.select(known).to_pylist() if row.get("shown")}


def _call(
    table: ResponseTable, row: int, member: int, shown: Mapping[str, Any] | None
) -> CallRecord:
    answer = int(table.answer[row, member])
    call = CallRecord(
        member=table.members[member],
        answer=None if answer < 0 else table.candidates[row][answer],
        support=None if answer < 0 else float(table.support[row, member, answer]),
        cost=float(table.cost[row, member]),
    )
    if shown is None:
        return call
    read = tuple(tuple(names or ()) for names in shown["shown"])
    verdicts = shown.get("verdicts")
    if verdicts is None:
        return replace(call, read=read)
    return replace(call, read=read, verdict=tuple(map(named_by, read, verdicts)))
