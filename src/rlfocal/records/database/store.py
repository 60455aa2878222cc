"""The database of answers: who was asked what, what came back, and who is asking it just now.

Knows the statements; which engine runs them and how transactions begin is `engine`'s business.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from rlfocal.database.failures import translated
from rlfocal.records.database.claiming import Claims
from rlfocal.records.database.keys import plain_settings, settings_key_of
from rlfocal.records.database.reserve import Reserve
from rlfocal.records.database.rows import (
    FailureCounts,
    MemberCounts,
    Spent,
    StoredError,
    StoredResponse,
    utc_now,
)
from rlfocal.records.database.schema import (
    TABLES,
    claims,
    errors,
    members,
    meta,
    queries,
    responses,
)
from rlfocal.records.database.statements import (
    CHUNK,
    chunks,
    failure_counts,
    last_failures,
    member_counts,
    present,
    query_row,
)

__all__ = ["Database", "open_database", "read_database"]

_ROOM = "room"
"""Under this a note is written and taken back."""
_MOST_TRIED = 1 << 16
_STORED = tuple(f.name for f in dataclasses.fields(StoredResponse))


def open_database(url: str | Path, *, busy_timeout_s: float = 60.0) -> Database:
    """Open a database of answers, and make it where there is none.

    Args:
        url: a file's path, `sqlite:///path`, or `postgresql://user:password@host:port/name`. A
            SQLite file belongs on a local disk; several machines share a PostgreSQL server.
        busy_timeout_s: seconds to wait for another process that is writing.

    Raises:
        DatabaseError: it cannot be opened, is not ours or of a newer version; the message names
            the cause and the remedy, and never the password.
    """
    return Database(TABLES.open(url, busy_timeout_s=busy_timeout_s))


def read_database(url: str | Path, *, busy_timeout_s: float = 60.0) -> Database | None:
    """Open a database of answers to read it alone: nothing is made, changed or brought up to date.

    Args:
        url: as of `open_database`.
        busy_timeout_s: seconds to wait for another process that is writing.

    Returns:
        None where there is no database, or one without answers.

    Raises:
        DatabaseError: it cannot be opened, is not ours or of another version.
    """
    found = TABLES.open_to_read(url, busy_timeout_s=busy_timeout_s)
    return None if found is None else Database(found)


class Database(Claims):
    """Answers, failures and claims, shared by everybody who opens the same URL.

    Every method is one transaction: done as a whole or not at all, and safe to repeat. They block,
    so an asynchronous program calls them by `asyncio.to_thread`. All of them raise `DatabaseError`.

    Args:
        connections: from `open_database`.
    """

    def add_queries(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Store queries; one that is there stays as it is.

        Args:
            rows: with query_id and prompt, and where known task, split, choices and label, as in
                a data set's table.

        Returns:
            How many were new.
        """
        values = [query_row(row) for row in rows]
        return self._insert_new(queries, values, "digest")

    def add_member(self, name: str, settings: Mapping[str, Any]) -> str:
        """Store how a member is asked; adding it again makes it the latest.

        Args:
            name: of the member.
            settings: what its replies depend on, as JSON values; no secrets.

        Returns:
            The settings' key.
        """
        key = settings_key_of(settings)
        row = {"name": name, "settings_key": key, "settings": plain_settings(settings)}
        upsert = self.connections.upsert(members, ("name", "settings_key"), "added_at")
        with self.connections.write() as connection:
            connection.execute(upsert, row | {"added_at": utc_now()})
        return key

    def answered(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that have a response."""
        with self.connections.read() as connection:
            return present(connection, sa.select(responses.c.key), responses.c.key, keys)

    def add_responses(self, rows: Sequence[StoredResponse]) -> int:
        """Store answered calls and end their claims; a call that has its answer keeps it.

        Returns:
            How many were new.
        """
        values = [{n: getattr(row, n) for n in _STORED} | {"key": row.key} for row in rows]
        return self._insert_new(responses, values, "key", end_claims=True)

    def add_errors(self, rows: Sequence[StoredError]) -> None:
        """Store failed attempts. They stand in nobody's way: the call may be made again."""
        values = [dataclasses.asdict(row) for row in rows]
        if values:
            with self.connections.write() as connection:
                connection.execute(errors.insert(), values)

    def failed(self, *, members: Collection[str] | None = None) -> dict[str, int]:
        """Count the calls that have no response and failed when last tried, by kind of failure.

        Args:
            members: count these members' calls only.
        """
        last = last_failures(members)
        n = sa.func.count().label("n")
        statement = sa.select(last.c.failure, n).group_by(last.c.failure).order_by(last.c.failure)
        with self.connections.read() as connection:
            return {failure: n for failure, n in connection.execute(statement)}

    def failures(self, *, members: Collection[str] | None = None) -> list[FailureCounts]:
        """What the stored failures say, by member, kind and HTTP status.

        Args:
            members: these members' only.

        Returns:
            By member, those with the most calls that have no response first.
        """
        with self.connections.read() as connection:
            return failure_counts(connection, members)

    def failed_keys(
        self, *, members: Collection[str] | None = None, failures: Collection[str] | None = None
    ) -> set[str]:
        """The calls that have no response and failed when last tried, to retry or to leave out.

        Args:
            members: these members' calls only.
            failures: only where the last attempt failed in one of these ways.
        """
        last = last_failures(members)
        statement = sa.select(last.c.key)
        if failures is not None:
            statement = statement.where(last.c.failure.in_([str(f) for f in failures]))
        with self.connections.read() as connection:
            return set(connection.scalars(statement))

    def failed_among(self, keys: Iterable[str], since: int = 0) -> set[str]:
        """Those of the keys that have no response and have failed.

        Args:
            keys: of calls.
            since: failures after this one only, as `last_failure` numbers them.
        """
        late = sa.select(errors.c.key).where(errors.c.position > since).distinct()
        with self.connections.read() as connection:
            found = present(connection, late, errors.c.key, keys)
            return found - present(connection, sa.select(responses.c.key), responses.c.key, found)

    def last_failure(self) -> int:
        """Number of the failure that was stored last; 0 where there is none."""
        with self.connections.read() as connection:
            return connection.scalar(sa.select(sa.func.max(errors.c.position))) or 0

    def spent(self) -> Spent:
        """What the stored responses cost, imported ones included."""
        cost = responses.c.cost_usd
        total = sa.func.coalesce(sa.func.sum(cost), 0.0)
        statement = sa.select(sa.func.count(), total, sa.func.count(cost)).select_from(responses)
        with self.connections.read() as connection:
            n_calls, cost_usd, n_priced = connection.execute(statement).one()
        return Spent(n_calls, float(cost_usd), n_calls - n_priced)

    def counts(self) -> dict[str, MemberCounts]:
        """How far every member is, by name."""
        with self.connections.read() as connection:
            return member_counts(connection)

    def content_digest(self) -> str:
        """Fingerprint of the stored replies, whatever the engine and the order they came in.

        Returns:
            sha256 over keys, texts, answers and option scores, as 64 hexadecimal digits.
        """
        r, sha = responses.c, hashlib.sha256()
        statement = sa.select(r.key, r.text, r.answer, r.choice_scores).order_by(r.key)
        with self.connections.read() as connection:
            for row in connection.execution_options(yield_per=CHUNK).execute(statement):
                sha.update(json.dumps(list(row)).encode("ascii") + b"\n")
        return sha.hexdigest()

    def note(self, name: str) -> str | None:
        """A text stored under a name by `set_note`."""
        with self.connections.read() as connection:
            found = connection.scalar(sa.select(meta.c.value).where(meta.c.name == f"note:{name}"))
        return None if found is None else str(found)

    def set_note(self, name: str, text: str) -> None:
        """Store a text under a name, in the place of what was there."""
        upsert = self.connections.upsert(meta, "name", "value")
        with self.connections.write() as connection:
            connection.execute(upsert, {"name": f"note:{name}", "value": text})

    def reserve_room(self, n_bytes: int) -> None:
        """Make sure that so much can be stored: what cannot be need not be paid for.

        On SQLite the room is kept, by a file beside the database, until `make_room` is called
        because it is needed, or `give_room_back` because it is not.
        """
        self.set_note(_ROOM, "x" * min(n_bytes, _MOST_TRIED))
        with self.connections.write() as connection:
            connection.execute(meta.delete().where(meta.c.name == f"note:{_ROOM}"))
        if (reserve := self._reserve) is not None:
            reserve.take(n_bytes)

    def make_room(self) -> None:
        """Give back what was reserved of the disk, and what the log beside a SQLite file takes."""
        self.give_room_back()
        engine = self.connections.engine
        if engine.dialect.name == "sqlite":
            with translated(self.connections.place), closing(engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def give_room_back(self) -> None:
        """Give back what was reserved of the disk."""
        if (reserve := self._reserve) is not None:
            reserve.give_back()

    @property
    def _reserve(self) -> Reserve | None:
        engine = self.connections.engine
        path = engine.url.database if engine.dialect.name == "sqlite" else None
        return Reserve(Path(path)) if path else None

    def _insert_new(
        self, table: sa.Table, rows: list[dict[str, Any]], key: str, *, end_claims: bool = False
    ) -> int:
        """Insert what is not there, all in one transaction; how many rows that were."""
        if not rows:
            return 0
        insert = self.connections.insert(table).on_conflict_do_nothing(index_elements=[key])
        with self.connections.write() as connection:
            n_new = len(connection.scalars(insert.returning(table.c[key]), rows).all())
            if end_claims:
                for chunk in chunks(row[key] for row in rows):
                    connection.execute(claims.delete().where(claims.c.key.in_(chunk)))
        return n_new
