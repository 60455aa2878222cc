"""Who reads whom, and what came of it: everything that is reported of readers, in one place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rlfocal.bench.summaries.reading.following import Following, followings
from rlfocal.bench.summaries.reading.importance import Importance, importance_of
from rlfocal.bench.summaries.reading.judging import (
    JudgeBias,
    judge_biases,
    named_by,
    verdicts_of,
)
from rlfocal.bench.summaries.reading.roles import RoleValue, role_values
from rlfocal.bench.summaries.reading.shares import Share
from rlfocal.errors import ConfigError, nearest
from rlfocal.records import Dataset, ResponseTable
from rlfocal.records.schema import JUDGING

__all__ = ["ReadMember", "Readings", "readings_of"]

CONFORMITY = (
    "Importance knows no labels: it is passed to who is named or agreed with, right or wrong, so "
    "it rewards conformity"
)


@dataclass(frozen=True, kw_only=True)
class ReadMember:
    """One member of a pool with readers."""

    member: str
    reads: tuple[str, ...]
    """Whom it reads, its own first reply left out."""
    first: str | None
    """Whose reply it is shown as its own."""
    form: str
    """What it does with what it reads: "judge", ...; "" where it reads nobody."""
    stage: int
    """0 where it reads nobody, else one more than the latest of those it reads."""
    accuracy: float | None
    """In [0, 1]; None where nothing is recorded, and of critics that give no answer."""
    price: float
    """Of a call, in the table's unit."""
    full_price: float
    """With those of all whom it has to wait for."""


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What readers made of what they read, on all judged queries."""

    cost_unit: str
    members: tuple[ReadMember, ...]
    following: tuple[Following, ...]
    judges: tuple[JudgeBias, ...]
    """Of those that choose between replies; empty where no verdicts are recorded or at hand."""
    importance: Importance | None
    roles: tuple[RoleValue, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        found: dict[str, Any] = _plain(asdict(_Unfolded(self)))["of"]
        return found


@dataclass(frozen=True)
class _Unfolded:
    of: Readings


def _plain(value: Any) -> Any:
    if isinstance(value, Share):
        return value.as_json()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def readings_of(
    table: ResponseTable,
    dataset: Dataset | None = None,
    *,
    family: Mapping[str, Collection[str]] | None = None,
) -> Readings | None:
    """Describe the readers of a pool; None where nobody reads.

    Args:
        table: recorded and judged answers.
        dataset: what it was built from, for verdicts and lengths of replies; without it judges are
            looked at as all other readers.
        family: judge → members that share its model. Where it says nothing of a judge that is shown
            its own earlier reply, or that of a member which is shown the judge's, these are taken.

    Raises:
        ConfigError: a family is of somebody who is no judge, or names an unknown member.
    """
    reads = table.reads
    if reads is None:
        return None
    judges = [name for n, name in enumerate(table.members) if reads.forms[n] in JUDGING]
    verdicts = {}
    if dataset is not None:
        verdicts = {name: verdicts_of(table, dataset, name) for name in judges}
    kin = _families(table, judges, family or {})
    named = named_by(table, verdicts) if any(verdicts.values()) else None
    return Readings(
        cost_unit=table.cost_unit,
        members=_members(table),
        following=followings(table),
        judges=() if dataset is None else judge_biases(table, dataset, verdicts, family=kin),
        importance=importance_of(table, named),
        roles=role_values(table),
    )


def _members(table: ResponseTable) -> tuple[ReadMember, ...]:
    reads = table.reads
    assert reads is not None
    infos, answers = reads.infos, np.asarray(table.answered.any(axis=0))
    return tuple(
        ReadMember(
            member=name,
            reads=tuple(infos[name].reads) if name in infos else (),
            first=infos[name].first if name in infos else None,
            form=reads.forms[n],
            stage=int(reads.stage[n]),
            accuracy=float(table.member_accuracy[n]) if table.coverage[n] and answers[n] else None,
            price=float(table.mean_cost[n]),
            full_price=float(table.mean_full_cost[n]),
        )
        for n, name in enumerate(table.members)
    )


def _families(
    table: ResponseTable, judges: Collection[str], given: Mapping[str, Collection[str]]
) -> dict[str, Collection[str]]:
    """Judge → members of its family, as far as anybody says."""
    reads = table.reads
    assert reads is not None
    for judge, names in given.items():
        if judge not in judges:
            known = ", ".join(judges) or "none"
            raise ConfigError(f"family: '{judge}' judges nothing; judges: {known}")
        for name in names:
            if name not in table.members:
                near = nearest(name, table.members)
                raise ConfigError(f"family of '{judge}': unknown member '{name}'; {near}")
    found = dict(given)
    for judge in judges:
        n = table.members.index(judge)
        own = {int(reads.first[n]), *np.flatnonzero(np.asarray(reads.first == n)).tolist()} - {-1}
        if own and judge not in found:
            found[judge] = {table.members[m] for m in own}
    return found
