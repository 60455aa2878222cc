"""What a data set holds, as plain figures: a description of every recorded answer, not a test.

Best single, vote and oracle are read off all queries at once, so they flatter; `rlfocal bench`
measures them on queries that nothing was chosen on. Where responses are missing, a member's figures
are over what it answered, and the vote's over the queries that all answered, if these are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlfocal.bench.summaries.copies import copies_note
from rlfocal.deliberation.protocol import unmet
from rlfocal.deliberation.replay import replay
from rlfocal.markup import Displayed, Grid, Sheet
from rlfocal.records import BoolArray, CandidateKind, Dataset, ResponseTable
from rlfocal.strategies.single import sound_accuracy
from rlfocal.strategies.voting import Plurality

__all__ = ["MemberSummary", "Summary", "summarise"]

_TASKS_SHOWN = 4
_ENOUGH = 30
"""Fewer queries in common compare nothing."""


@dataclass(frozen=True, kw_only=True)
class MemberSummary:
    """One member, over all queries."""

    member: str
    accuracy: float | None
    """Mean score in [0, 1] over the queries that it answered; no usable answer counts 0."""
    accuracy_by_task: tuple[float | None, ...]
    """In the order of `Summary.tasks`; None where it answered none."""
    coverage: float
    """Share of the queries that it answered, in [0, 1]."""
    n_missing: int
    """Queries without a response of this member."""
    n_unusable: int
    """Responses without a usable answer."""
    mean_cost: float
    """In `Summary.cost_unit`, per call."""


@dataclass(frozen=True, kw_only=True)
class Summary(Displayed):
    """What `rlfocal inspect` shows."""

    data: str
    synthetic: bool
    source: str | None
    licence: str | None
    n_queries: int
    """That figures are of: a label, or the score of some response, says what is right."""
    n_unjudged: int
    """Further queries of which nothing says what is right; they are in no figure."""
    n_repeated: int
    """Queries whose prompt stands in an earlier query; folds keep them together."""
    splits: dict[str, int]
    """Queries of the source's "train" and "test"; empty where it has no split."""
    tasks: dict[str, int]
    """Task → queries."""
    kinds: dict[str, int]
    """"options", "answers" (free-form) and "responses" (only scores are known) → queries."""
    n_labelled: int
    """Queries with a label; the others are known by the scores of their responses alone."""
    n_without_credit: int
    """Queries on which no member scored above 0: they say nothing about whom to ask."""
    cost_unit: str
    members: tuple[MemberSummary, ...]
    best_single: str
    """The member of the highest accuracy, one with few answers drawn to the pool's mean."""
    best_single_accuracy: float
    """Over the queries that it answered."""
    n_complete: int
    """Queries that every member answered."""
    n_compared: int
    """Queries that vote and oracle are of: those that every member answered; where these are fewer
    than 30, all of which any answer is recorded."""
    plurality_accuracy: float | None
    """None where nothing can be voted on."""
    plurality_reason: str | None
    """Why there is no vote."""
    oracle_accuracy: float
    """Share that the best answer of each query would earn: the bound of choosing."""
    pools: dict[str, int]
    """Named pool → members."""
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        queries, members = f"{self.n_queries:,} queries", f"{len(self.members)} members"
        return f"Summary({self.data!r}: {queries}, {members})"

    def _sheet(self) -> Sheet:
        def percent(share: float | None) -> str:
            return "-" if share is None else f"{100 * share:.1f}"

        rows = sorted(self.members, key=lambda row: -(row.accuracy or 0.0))
        largest = sorted(self.tasks, key=lambda name: -self.tasks[name])[:_TASKS_SHOWN]
        shown = [*self.tasks].index
        tasks = [(name, shown(name)) for name in largest] if len(self.tasks) > 1 else []
        vote = f"plurality vote {percent(self.plurality_accuracy)} %"
        return Sheet(
            f"{self.data}: {self.n_queries:,} queries, {self.n_labelled:,} with a label, "
            f"{len(self.tasks)} task{'s' if len(self.tasks) > 1 else ''}",
            (
                Grid(
                    "members",
                    ("member", "accuracy %", "missing", "unusable", *(name for name, _ in tasks)),
                    [
                        (
                            row.member,
                            percent(row.accuracy),
                            f"{row.n_missing:,}",
                            f"{row.n_unusable:,}",
                            *(percent(row.accuracy_by_task[place]) for _, place in tasks),
                        )
                        for row in rows
                    ],
                ),
                f"best single {percent(self.best_single_accuracy)} % ({self.best_single}), {vote}, "
                f"a right answer if any member gave one {percent(self.oracle_accuracy)} %",
            ),
            self.notes,
        )


def summarise(dataset: Dataset, table: ResponseTable) -> Summary:
    """Describe a data set and the members of a table made from it."""
    score = np.where(table.scored, table.member_score, 0)
    best = int(np.where(table.coverage > 0, sound_accuracy(table), -1).argmax())
    kind = np.where(_emptied(dataset, table), CandidateKind.ANSWERS, table.kind)
    compared = _compared(table)
    n_of_task = np.bincount(table.task, minlength=len(table.tasks))
    names, counts = np.unique(table.split[table.split != ""], return_counts=True)
    vote, reason = _vote(compared)
    copies = copies_note(table) if vote is not None else None
    return Summary(
        data=table.name,
        synthetic=table.synthetic,
        source=dataset.info.source,
        licence=dataset.info.licence,
        n_queries=table.n_queries,
        n_unjudged=dataset.queries.num_rows - table.n_queries,
        n_repeated=table.n_queries - len(np.unique(table.group)),
        splits=dict(zip(names.tolist(), counts.tolist(), strict=True)),
        tasks=dict(zip(table.tasks, n_of_task.tolist(), strict=True)),
        kinds={
            one.name.lower(): int(count) for one in CandidateKind if (count := (kind == one).sum())
        },
        n_labelled=dataset.queries.num_rows - dataset.queries["label"].null_count,
        n_without_credit=int((score.max(axis=1) <= 0).sum()),
        cost_unit=table.cost_unit,
        members=_members(dataset, table),
        best_single=table.members[best],
        best_single_accuracy=float(table.member_accuracy[best]),
        n_complete=int(table.complete.sum()),
        n_compared=compared.n_queries,
        plurality_accuracy=vote,
        plurality_reason=reason,
        oracle_accuracy=float(compared.member_score.max(axis=1).mean(dtype=np.float64)),
        pools={name: len(members) for name, members in dataset.pools.items()},
        notes=(
            *table.notes,
            *_overlaps(table),
            *(() if copies is None else (copies,)),
            *dataset.info.noted,
        ),
    )


def _compared(table: ResponseTable) -> ResponseTable:
    """The queries that ways to use the whole pool can be compared on."""
    if table.is_complete:
        return table
    complete: BoolArray = table.complete
    rows = complete if complete.sum() >= _ENOUGH else np.asarray(table.scored.any(axis=1))
    return table.take(rows)


def _overlaps(table: ResponseTable) -> tuple[str, ...]:
    """Say which members were asked different queries, so that they cannot be compared."""
    if table.is_complete:
        return ()
    known = table.scored.astype(np.float32)
    first, second = np.nonzero(np.triu(known.T @ known < min(_ENOUGH, table.n_queries), k=1))
    if not len(first):
        return ()
    one, other = table.members[first[0]], table.members[second[0]]
    in_common = int(known[:, first[0]] @ known[:, second[0]])
    pairs = f"{len(first)} pairs of members" if len(first) > 1 else "two members"
    return (
        f"{pairs} have too few queries in common to be compared ({one} and {other}: {in_common})",
    )


def _vote(table: ResponseTable) -> tuple[float | None, str | None]:
    plurality = Plurality()
    reason = unmet(plurality, table)
    if reason is not None:
        return None, reason
    plurality.fit(table, rng=np.random.default_rng(0))  # ties follow accuracy: nothing is drawn
    outcome = replay(plurality, table)
    return float(outcome.score[outcome.measured].mean(dtype=np.float64)), None


def _emptied(dataset: Dataset, table: ResponseTable) -> BoolArray:
    """bool[Q]: labelled open queries to which no reply held a usable answer.

    The table has them as texts judged by their scores, of which there are none.
    """
    own = table.kind == CandidateKind.RESPONSES
    if not own.any() or dataset.responses["score"].null_count < dataset.responses.num_rows:
        return np.zeros_like(own)
    labelled = pc.filter(dataset.queries["query_id"], dataset.queries["label"].is_valid())
    ids = pa.array(table.query_ids.tolist(), pa.string())
    known = pc.is_in(ids, value_set=labelled.combine_chunks())
    return np.asarray(own & np.asarray(known.to_numpy(zero_copy_only=False), dtype=bool))


def _members(dataset: Dataset, table: ResponseTable) -> tuple[MemberSummary, ...]:
    by_task = table.member_task_accuracy.tolist()
    usable = table.answered & ~_emptied(dataset, table)[:, None]
    unusable = (table.recorded & ~usable).sum(axis=0)
    n_missing = (~table.scored).sum(axis=0)
    return tuple(
        MemberSummary(
            member=name,
            accuracy=float(table.member_accuracy[n]) if table.coverage[n] else None,
            accuracy_by_task=tuple(None if np.isnan(share) else share for share in by_task[n]),
            coverage=float(table.coverage[n]),
            n_missing=int(n_missing[n]),
            n_unusable=int(unusable[n]),
            mean_cost=float(table.mean_cost[n]),
        )
        for n, name in enumerate(table.members)
    )
