"""Steps from one version of the tables to the next; a step is never edited once it was released.

Each describes the few columns it touches by itself: the tables of today are not those it meets.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from rlfocal.database import JsonText, Key, Position, SafeText, TokenBytes, columns
from rlfocal.records.database.keys import key_of, settings_key_of

__all__ = [
    "with_readings",
    "with_sharing",
    "with_tokens",
    "with_tools",
    "with_turns",
    "without_addresses",
]

_log = logging.getLogger(__name__)

_BATCH = 5000
_MANY = 20_000
"""Replies that take seconds."""
_MOST_SAMPLES = 64
"""Samples of a call that are looked for among failures, which do not say theirs."""

_members = sa.table(
    "members",
    sa.column("position"), sa.column("name"), sa.column("settings_key"),
    sa.column("settings", JsonText), sa.column("added_at"),
)  # fmt: skip
_responses = sa.table(
    "responses",
    sa.column("key"), sa.column("query_key"), sa.column("member"), sa.column("settings_key"),
    sa.column("sample"),
)  # fmt: skip
_errors = sa.table("errors", sa.column("key"), sa.column("member"))
_queries = sa.table("queries", sa.column("query_key"))
_INDEXES = {"ix_queries_same": "query_id, query_key", "ix_queries_registered": "registered"}
_SHARING = sa.MetaData()
sa.Table(
    "spending",
    _SHARING,
    sa.Column("owner", SafeText, primary_key=True),
    sa.Column("budget", SafeText, nullable=False, index=True),
    *columns(sa.Double(), "spent_usd", "allowed_usd", "until"),
)
sa.Table(
    "moments",
    _SHARING,
    sa.Column("name", Key, primary_key=True),
    sa.Column("next_s", sa.Double, nullable=False),
)


def without_addresses(connection: sa.Connection) -> None:
    """From version 1 to 2: a server's address is no part of how a member was asked.

    A server on another port says what it said, so its replies are not asked again. Members that
    were asked alike at several addresses become one. Where two of their replies now have one key,
    that of the settings added last gets it, and the other stays as it is, under its old key:
    nothing that was paid for is thrown away. Claims stay: they last for minutes only.
    """
    n_stored = connection.scalar(sa.select(sa.func.count()).select_from(_responses)) or 0
    if n_stored > _MANY:
        _log.warning("%d replies get keys without their servers' addresses, once", n_stored)
    m = _members.c
    # Those added last come first: they get the keys.
    rows = connection.execute(
        sa.select(_members).order_by(sa.func.coalesce(m.added_at, "").desc(), m.position.desc())
    ).all()
    moved: list[tuple[str, str, str]] = []
    for row in rows:
        settings = row.settings
        if not isinstance(settings, Mapping) or settings.get("kind") != "openai":
            continue
        if "base_url" not in settings:
            continue
        new = {name: value for name, value in settings.items() if name != "base_url"}
        new_key = settings_key_of(new)
        moved.append((row.name, row.settings_key, new_key))
        n_left = _move_responses(connection, row.name, row.settings_key, new_key)
        _move_member(connection, row, new, new_key, n_left=n_left)
    _move_failures(connection, moved)


def with_tokens(connection: sa.Connection) -> None:
    """From version 2 to 3: replies may bring their tokens' log-probabilities and own signals.

    What is stored has none, and is not asked again for their sake.
    """
    _add(connection, "responses", {"tokens": TokenBytes, "signals": JsonText})


def with_tools(connection: sa.Connection) -> None:
    """From version 5 to 6: queries may offer functions to be called. None of those stored did."""
    _add(connection, "queries", {"tools": SafeText})


def with_sharing(connection: sa.Connection) -> None:
    """From version 6 to 7: collectors share dollars and moments; rows of one query are found."""
    for table in _SHARING.tables.values():
        table.create(connection, checkfirst=True)
    there = {index["name"] for index in sa.inspect(connection).get_indexes("queries")}
    for name, of in _INDEXES.items():
        if name not in there:
            connection.exec_driver_sql(f"CREATE INDEX {name} ON queries ({of})")


def with_turns(connection: sa.Connection) -> None:
    """From version 3 to 4: a query's task and label may return to what they were.

    Of what is stored the latest is what came last.
    """
    there = {column["name"] for column in sa.inspect(connection).get_columns("queries")}
    if "registered" not in there:
        kind = Position.compile(connection.dialect)
        connection.exec_driver_sql(
            f"ALTER TABLE queries ADD COLUMN registered {kind} NOT NULL DEFAULT 0"
        )
        connection.exec_driver_sql("UPDATE queries SET registered = position")


def with_readings(connection: sa.Connection) -> None:
    """From version 4 to 5: members may read others. Nobody of those stored did."""
    added = {"shown": JsonText, "shown_key": SafeText, "verdict": sa.Integer()}
    _add(connection, "responses", {**added, "readings": JsonText})


def _add(connection: sa.Connection, table: str, added: Mapping[str, Any]) -> None:
    there = {column["name"] for column in sa.inspect(connection).get_columns(table)}
    for name, of_type in added.items():
        if name not in there:
            kind = sa.Column(name, of_type).type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


def _move_responses(connection: sa.Connection, member: str, old: str, new: str) -> int:
    """Give a member's replies their new keys; how many could not, since theirs is taken."""
    r, last, n_left = _responses.c, "", 0
    mine = sa.select(r.key, r.query_key, r.sample).where(r.member == member, r.settings_key == old)
    update = (
        sa.update(_responses)
        .where(r.key == sa.bindparam("was"))
        .values(key=sa.bindparam("now"), settings_key=new)
    )
    while True:
        # In the order of keys from the last on: what was moved is not met again.
        block = connection.execute(mine.where(r.key > last).order_by(r.key).limit(_BATCH)).all()
        if not block:
            return n_left
        last = block[-1].key
        pairs = {key_of(row.query_key, member, new, row.sample): row.key for row in block}
        taken = set(connection.scalars(sa.select(r.key).where(r.key.in_(list(pairs)))))
        n_left += len(block) - len(pairs) + len(taken)
        values = [{"was": was, "now": now} for now, was in pairs.items() if now not in taken]
        if values:
            connection.execute(update, values)


def _move_member(
    connection: sa.Connection, row: Any, settings: dict[str, Any], key: str, *, n_left: int
) -> None:
    m = _members.c
    same = (m.name == row.name) & (m.settings_key == key)
    there = connection.scalar(sa.select(sa.func.count()).select_from(_members).where(same))
    own = m.position == row.position
    if not there:
        values = {"settings": settings, "settings_key": key}
        connection.execute(sa.update(_members).where(own).values(**values))
    elif not n_left:
        connection.execute(sa.delete(_members).where(own))


def _move_failures(connection: sa.Connection, moved: list[tuple[str, str, str]]) -> None:
    """Give failures their new keys; these are hashes, so what they are of is found by trying."""
    queries = list(connection.scalars(sa.select(_queries.c.query_key).distinct()))
    e, r = _errors.c, _responses.c
    update = sa.update(_errors).where(e.key == sa.bindparam("was")).values(key=sa.bindparam("now"))
    for member, old, new in moved:
        left = set(connection.scalars(sa.select(e.key).where(e.member == member).distinct()))
        stored = connection.scalar(sa.select(sa.func.max(r.sample)).where(r.member == member))
        for sample in range(_MOST_SAMPLES):
            keys = {key_of(query, member, old, sample): query for query in queries} if left else {}
            found = [key for key in keys if key in left]
            if not found and sample > (stored or 0):
                break
            if found:
                left.difference_update(found)
                now = [key_of(keys[key], member, new, sample) for key in found]
                values = [{"was": w, "now": n} for w, n in zip(found, now, strict=True)]
                connection.execute(update, values)
