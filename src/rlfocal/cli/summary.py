"""What a data set holds, as plain figures: a description of every recorded answer, not a test.

Best single, vote and oracle are read off all queries at once, so they flatter; `rlfocal bench`
measures them on queries that nothing was chosen on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlfocal.records import CandidateKind, Dataset, ResponseTable
from rlfocal.replay import replay
from rlfocal.strategies.protocol import unmet
from rlfocal.strategies.voting import Plurality

__all__ = ["MemberSummary", "Summary", "summarise"]


@dataclass(frozen=True, kw_only=True)
class MemberSummary:
    """One member, over all queries."""

    member: str
    accuracy: float
    """Mean score in [0, 1]; no usable answer counts 0."""
    accuracy_by_task: tuple[float, ...]
    """In the order of `Summary.tasks`."""
    n_missing: int
    """Queries without a response of this member."""
    n_unusable: int
    """Responses without a usable answer."""
    mean_cost: float
    """In `Summary.cost_unit`, per call."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What `rlfocal inspect` shows."""

    data: str
    synthetic: bool
    source: str | None
    licence: str | None
    n_queries: int
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
    best_single_accuracy: float
    plurality_accuracy: float | None
    """None where nothing can be voted on."""
    plurality_reason: str | None
    """Why there is no vote."""
    oracle_accuracy: float
    """Share that the best answer of each query would earn: the bound of choosing."""
    pools: dict[str, int]
    """Named pool → members."""
    notes: tuple[str, ...]


def summarise(dataset: Dataset, table: ResponseTable) -> Summary:
    """Describe a data set and the chosen members.

    Args:
        dataset: where the table comes from.
        table: the answers of the chosen members.
    """
    score = table.member_score
    accuracy = score.mean(axis=0, dtype=np.float64)
    best = int(accuracy.argmax())
    n_of_task = np.bincount(table.task, minlength=len(table.tasks))
    names, counts = np.unique(table.split[table.split != ""], return_counts=True)
    vote, reason = _vote(table)
    return Summary(
        data=table.name,
        synthetic=table.synthetic,
        source=dataset.info.source,
        licence=dataset.info.licence,
        n_queries=table.n_queries,
        n_repeated=table.n_queries - len(np.unique(table.group)),
        splits=dict(zip(names.tolist(), counts.tolist(), strict=True)),
        tasks=dict(zip(table.tasks, n_of_task.tolist(), strict=True)),
        kinds={
            kind.name.lower(): int(count)
            for kind in CandidateKind
            if (count := (table.kind == kind).sum())
        },
        n_labelled=table.n_queries - dataset.queries["label"].null_count,
        n_without_credit=int((score.max(axis=1) <= 0).sum()),
        cost_unit=table.cost_unit,
        members=_members(dataset, table),
        best_single=table.members[best],
        best_single_accuracy=float(accuracy[best]),
        plurality_accuracy=vote,
        plurality_reason=reason,
        oracle_accuracy=float(score.max(axis=1).mean(dtype=np.float64)),
        pools={name: len(members) for name, members in dataset.pools.items()},
        notes=(*table.notes, *_source_notes(dataset)),
    )


def _source_notes(dataset: Dataset) -> tuple[str, ...]:
    """What an importer left in the description."""
    notes = (dataset.info.model_extra or {}).get("notes", [])
    return tuple(map(str, notes)) if isinstance(notes, list) else (str(notes),)


def _vote(table: ResponseTable) -> tuple[float | None, str | None]:
    plurality = Plurality()
    reason = unmet(plurality, table)
    if reason is not None:
        return None, reason
    plurality.fit(table, rng=np.random.default_rng(0))  # ties follow accuracy: nothing is drawn
    return float(replay(plurality, table).score.mean(dtype=np.float64)), None


def _members(dataset: Dataset, table: ResponseTable) -> tuple[MemberSummary, ...]:
    score = table.member_score
    by_task = np.zeros((len(table.tasks), table.n_members))
    np.add.at(by_task, table.task, score)
    by_task /= np.bincount(table.task, minlength=len(table.tasks))[:, None]
    counts = dataset.responses["member"].value_counts().to_pylist()
    n_given = {row["values"]: row["counts"] for row in counts}
    unusable = (~table.answered).sum(axis=0)
    return tuple(
        MemberSummary(
            member=name,
            accuracy=float(score[:, n].mean(dtype=np.float64)),
            accuracy_by_task=tuple(by_task[:, n].tolist()),
            n_missing=table.n_queries - n_given[name],
            n_unusable=int(unusable[n]) - (table.n_queries - n_given[name]),
            mean_cost=float(table.cost[:, n].mean(dtype=np.float64)),
        )
        for n, name in enumerate(table.members)
    )
