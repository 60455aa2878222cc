"""The statements that need more than a line, and keys in chunks that every engine takes.

Each runs in the transaction it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from rlfocal.records.database.keys import digest_of, query_key_of
from rlfocal.records.database.rows import FailureCounts, MemberCounts
from rlfocal.records.database.schema import errors, members, responses

__all__ = [
    "CHUNK",
    "chunks",
    "failure_counts",
    "last_failures",
    "member_counts",
    "present",
    "query_row",
]

CHUNK = 5000
"""Keys per statement: below every engine's limit of parameters."""


def query_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `queries` with its keys; unknown columns are left out."""
    query_id, prompt, choices = row["query_id"], row["prompt"], row.get("choices")
    task, label = row.get("task"), row.get("label")
    return {
        "digest": digest_of(query_id, prompt, choices, label, task),
        "query_key": query_key_of(prompt, choices),
        "query_id": query_id,
        "task": "all" if task is None else task,
        "split": row.get("split"),
        "prompt": prompt,
        "choices": None if choices is None else list(choices),
        "label": label,
    }


def last_failures(names: Collection[str] | None) -> sa.Subquery:
    """Key, member and failure of the last attempt at every call that has no response."""
    newest = sa.select(sa.func.max(errors.c.position)).group_by(errors.c.key)
    no_response = ~sa.exists().where(responses.c.key == errors.c.key)
    statement = sa.select(errors.c.key, errors.c.member, errors.c.failure)
    statement = statement.where(errors.c.position.in_(newest), no_response)
    if names is not None:
        statement = statement.where(errors.c.member.in_(list(names)))
    return statement.subquery()


def present(
    connection: sa.Connection,
    statement: sa.Select[Any],
    column: sa.Column[Any],
    keys: Iterable[str],
) -> set[str]:
    """Those of the keys that the statement finds in its column."""
    found: set[str] = set()
    for chunk in chunks(keys):
        found.update(connection.scalars(statement.where(column.in_(chunk))))
    return found


def chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    """The distinct keys in order, as many at a time as a statement takes."""
    listed = sorted(set(keys))
    for start in range(0, len(listed), CHUNK):
        yield listed[start : start + CHUNK]


def member_counts(connection: sa.Connection) -> dict[str, MemberCounts]:
    """How far every member is, by name."""
    r = responses.c
    unusable = r.answer.is_(None) & r.choice_scores.is_(None) & r.score.is_(None)
    n_unusable = sa.func.count(sa.case((unusable, 1)))
    answered = sa.select(r.member, sa.func.count(), n_unusable).group_by(r.member)
    last = last_failures(None)
    failing = sa.select(last.c.member, sa.func.count()).group_by(last.c.member)
    names = sorted(connection.scalars(sa.select(members.c.name).distinct()))
    done = {name: (n, bad) for name, n, bad in connection.execute(answered)}
    failed: dict[str, int] = {name: n for name, n in connection.execute(failing)}
    everybody = dict.fromkeys([*names, *sorted(done), *sorted(failed)])
    return {m: MemberCounts(*done.get(m, (0, 0)), failed.get(m, 0)) for m in everybody}


def failure_counts(connection: sa.Connection, names: Collection[str] | None) -> list[FailureCounts]:
    """How often calls failed, by member, kind and status; with the latest message of each."""
    e = errors.c
    unanswered = sa.case((responses.c.key.is_(None), e.key))
    groups = sa.select(
        e.member, e.failure, e.status,
        sa.func.count(sa.distinct(unanswered)).label("n_left"),
        sa.func.count().label("n_failures"),
        sa.func.min(e.created_at).label("first_at"),
        sa.func.max(e.position).label("newest"),
    )  # fmt: skip
    groups = groups.select_from(errors.outerjoin(responses, responses.c.key == e.key))
    if names is not None:
        groups = groups.where(e.member.in_(list(names)))
    found = groups.group_by(e.member, e.failure, e.status).subquery()
    f = found.c
    statement = sa.select(
        f.member, f.failure, f.status, f.n_left, f.n_failures, e.message, f.first_at, e.created_at
    )
    statement = statement.select_from(found.join(errors, e.position == f.newest))
    statement = statement.order_by(f.member, f.n_left.desc(), f.failure, f.newest)
    return [FailureCounts(*row) for row in connection.execute(statement)]
