"""The database of answers: who was asked what, what came back, and who is asking it just now.

Knows the statements; which engine runs them and how transactions begin is `engine`'s business.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from rlfocal.database import Connections, OpenTables
from rlfocal.database.failures import translated
from rlfocal.errors import DatabaseError
from rlfocal.records.database.keys import plain_settings, settings_key_of
from rlfocal.records.database.room import Reserve
from rlfocal.records.database.rows import (
    FailureCounts,
    Spent,
    StoredError,
    StoredResponse,
    query_row,
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
from rlfocal.records.database.sharing import note_spent

__all__ = ["Database", "open_database", "read_database"]

_ROOM = "room"
"""Under this a note is written and taken back."""
_MOST_TRIED = 1 << 16
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CHUNK = 5000
"""Keys per statement: below every engine's limit of parameters."""
_STORED = tuple(f.name for f in dataclasses.fields(StoredResponse))


class Database(OpenTables):
    """Answers, failures and claims, shared by all processes that open the same URL.

    Every method is one transaction: done as a whole or not at all, and safe to repeat. They block,
    so an asynchronous program calls them by `asyncio.to_thread`. All of them raise `DatabaseError`.
    """

    tables = TABLES

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        url = connections.engine.url
        path = url.database if url.get_backend_name() == "sqlite" else None
        self._reserve = Reserve(Path(path)) if path else None

    def close(self) -> None:
        """Close every connection; what was reserved of the disk is given back."""
        self.give_room_back()
        super().close()

    def add_queries(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Store rows of a data set's queries, whose tasks and labels are the latest from now on.

        What is there stays: a task or label that returns to an earlier value makes that row the
        latest of its query again. Returns how many were new. Of many rows it is a transaction for
        each few thousand.
        """
        values, n_new = map(query_row, rows), 0
        while part := list(islice(values, _CHUNK)):
            n_new += self._add_queries(part)
        return n_new

    def _add_queries(self, values: list[dict[str, Any]]) -> int:
        q = queries.c
        update = sa.update(queries).where(q.digest == sa.bindparam("row"))
        with self.connections.write() as connection:
            last = connection.scalar(sa.select(sa.func.max(q.registered))) or 0
            turns = {row["digest"]: last + n for n, row in enumerate(values, start=1)}
            for row in values:
                row["registered"] = turns[row["digest"]]
            new = self._insert_new(connection, queries, values, "digest")
            # All of these, not only those out of date: their order among each other counts too.
            again = _of_several_values(connection, set(turns) - new)
            if again:
                connection.execute(
                    update.values(registered=sa.bindparam("turn")),
                    [{"row": digest, "turn": turns[digest]} for digest in sorted(again)],
                )
        return len(new)

    def add_member(self, name: str, settings: Mapping[str, Any]) -> str:
        """Store how a member is asked, again to make it the latest; returns the settings' key.

        Args:
            name: of the member.
            settings: what its replies depend on, as JSON values; no secrets.
        """
        key = settings_key_of(settings)
        row = {"name": name, "settings_key": key, "settings": plain_settings(settings)}
        upsert = self.connections.upsert(members, ("name", "settings_key"), "added_at")
        with self.connections.write() as connection:
            connection.execute(upsert, row | {"added_at": self._next_stamp(connection, name)})
        return key

    def _next_stamp(self, connection: sa.Connection, member: str) -> str:
        """The time, by the clock that all share, and later than all of the member's before."""
        last = connection.scalar(
            sa.select(sa.func.max(members.c.added_at)).where(members.c.name == member)
        )
        now = datetime.fromtimestamp(self.connections.now_s(connection), UTC)
        if last:
            then = datetime.fromisoformat(last)
            then = then.replace(tzinfo=UTC) if then.tzinfo is None else then
            now = max(now, then + timedelta(microseconds=1))
        return now.isoformat(timespec="microseconds")

    def answered(self, keys: Iterable[str]) -> set[str]:
        """Those of the keys that have a response."""
        with self.connections.read() as connection:
            return _present(connection, sa.select(responses.c.key), keys)

    def texts(self, keys: Iterable[str]) -> dict[str, tuple[str | None, str | None]]:
        """The full reply and the answer of those of the keys that have a response."""
        r = responses.c
        found: dict[str, tuple[str | None, str | None]] = {}
        with self.connections.read() as connection:
            for chunk in chunks(keys):
                statement = sa.select(r.key, r.text, r.answer).where(r.key.in_(chunk))
                found.update({key: (t, a) for key, t, a in connection.execute(statement)})
        return found

    def n_samples(self, member: str, settings_key: str) -> int:
        """How often a member was asked one question at most, asked in this way."""
        r = responses.c
        own = sa.select(sa.func.max(r.sample))
        own = own.where(r.member == member, r.settings_key == settings_key)
        with self.connections.read() as connection:
            last = connection.scalar(own)
        return 0 if last is None else int(last) + 1

    def replies(self, keys: Iterable[str]) -> dict[str, StoredResponse]:
        """The responses to those of the keys that have one."""
        found = {}
        with self.connections.read() as connection:
            for chunk in chunks(keys):
                statement = sa.select(responses).where(responses.c.key.in_(chunk))
                for row in map(dict, connection.execute(statement).mappings()):
                    key = row.pop("key")
                    found[key] = StoredResponse(**row)
        return found

    def add_responses(
        self, rows: Sequence[StoredResponse], spent: tuple[str, float] | None = None
    ) -> int:
        """Store answered calls and end their claims; a call that has its answer keeps it.

        Args:
            rows: the calls.
            spent: who pays for them out of a shared budget, and dollars of its run so far.

        Returns:
            How many were new.
        """
        values = [{n: getattr(row, n) for n in _STORED} | {"key": row.key} for row in rows]
        if not values:
            return 0
        with self.connections.write() as connection:
            new = self._insert_new(connection, responses, values, "key")
            for chunk in chunks(row["key"] for row in values):
                connection.execute(claims.delete().where(claims.c.key.in_(chunk)))
            if spent is not None:
                note_spent(connection, *spent)
        return len(new)

    def add_errors(
        self, rows: Sequence[StoredError], spent: tuple[str, float] | None = None
    ) -> None:
        """Store failed attempts. They stand in nobody's way: the call may be made again.

        Args: as of `add_responses`; what failed may have to be paid, too.
        """
        values = [dataclasses.asdict(row) for row in rows]
        if values:
            with self.connections.write() as connection:
                connection.execute(errors.insert(), values)
                if spent is not None:
                    note_spent(connection, *spent)

    def failures(self, *, members: Collection[str] | None = None) -> list[FailureCounts]:
        """What the stored failures say, by member, kind and HTTP status.

        Args:
            members: these members' only.

        Returns:
            By member, those with the most calls that have no response first.
        """
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
        if members is not None:
            groups = groups.where(e.member.in_(list(members)))
        found = groups.group_by(e.member, e.failure, e.status).subquery()
        f = found.c
        statement = sa.select(
            f.member, f.failure, f.status, f.n_left, f.n_failures, e.message, f.first_at,
            e.created_at,
        )  # fmt: skip
        statement = statement.select_from(found.join(errors, e.position == f.newest))
        statement = statement.order_by(f.member, f.n_left.desc(), f.failure, f.newest)
        with self.connections.read() as connection:
            return [FailureCounts(*row) for row in connection.execute(statement)]

    def failed_keys(self, *, members: Collection[str] | None = None) -> set[str]:
        """Calls, of these members if any are named, that have no response and have failed."""
        no_response = ~sa.exists().where(responses.c.key == errors.c.key)
        statement = sa.select(errors.c.key).where(no_response).distinct()
        if members is not None:
            statement = statement.where(errors.c.member.in_(list(members)))
        with self.connections.read() as connection:
            return set(connection.scalars(statement))

    def failed_among(self, keys: Iterable[str], since: int = 0) -> set[str]:
        """Those of the keys that have no response and have failed, after the failure `since`."""
        late = sa.select(errors.c.key).where(errors.c.position > since).distinct()
        with self.connections.read() as connection:
            found = _present(connection, late, keys)
            return found - _present(connection, sa.select(responses.c.key), found)

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

    def member_names(self) -> list[str]:
        """Members that were added, have answered or have failed, in order."""
        names = (members.c.name, responses.c.member, errors.c.member)
        with self.connections.read() as connection:
            return sorted(connection.scalars(sa.union(*map(sa.select, names))))

    def claim(self, keys: Iterable[str], owner: str, lease_s: float) -> set[str]:
        """Reserve calls, so that nobody else pays for them at the same time.

        Args:
            keys: of the calls.
            owner: who is asking; a name that no other process uses.
            lease_s: seconds after which others may take the calls over.

        Returns:
            The keys won: those neither answered nor reserved by somebody else. What the owner has
            reserved already is won again, with a new lease.
        """
        if not lease_s > 0:
            raise ValueError(f"lease_s must be more than 0, got {lease_s}")
        wanted = set(keys)
        upsert = self.connections.upsert(claims, "key", "owner", "until")
        with self.connections.write() as connection:
            now = self.connections.now_s(connection)
            others = sa.select(claims.c.key).where(claims.c.owner != owner, claims.c.until > now)
            wanted -= _present(connection, others, wanted)
            wanted -= _present(connection, sa.select(responses.c.key), wanted)
            rows = [{"key": k, "owner": owner, "until": now + lease_s} for k in sorted(wanted)]
            if rows:
                connection.execute(upsert, rows)
        return wanted

    def claimed(self, keys: Iterable[str], owner: str) -> set[str]:
        """Those of the keys that somebody else than the owner has reserved."""
        with self.connections.read() as connection:
            now = self.connections.now_s(connection)
            others = sa.select(claims.c.key).where(claims.c.owner != owner, claims.c.until > now)
            return _present(connection, others, keys)

    def release(self, keys: Iterable[str] | None, owner: str) -> None:
        """Give back calls that the owner claimed, None for all of them, and did not make."""
        mine = claims.delete().where(claims.c.owner == owner)
        with self.connections.write() as connection:
            if keys is None:
                connection.execute(mine)
                return
            for chunk in chunks(keys):
                connection.execute(mine.where(claims.c.key.in_(chunk)))

    def owners(self) -> list[str]:
        """Owners of claims, those of claims that have run out included."""
        with self.connections.read() as connection:
            return sorted(connection.scalars(sa.select(claims.c.owner).distinct()))

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
        if self._reserve is None:
            return
        try:
            self._reserve.keep(n_bytes)
        except OSError as exc:
            if exc.errno in _NO_ROOM:
                raise DatabaseError(
                    f"{self.connections.place.name}: the disk is full: it has no room for "
                    f"{n_bytes >> 10} KiB, which what is paid for may need; free some space and "
                    "start again"
                ) from exc

    def make_room(self) -> None:
        """Give back what was reserved of the disk, and what the log beside a SQLite file takes."""
        self.give_room_back()
        engine = self.connections.engine
        if engine.dialect.name == "sqlite":
            with (
                translated(self.connections.place),
                contextlib.closing(engine.raw_connection()) as connection,
            ):
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def give_room_back(self) -> None:
        """Give back what was reserved of the disk; there may be none."""
        if self._reserve is not None:
            self._reserve.give_back()

    def _insert_new(
        self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]], key: str
    ) -> set[str]:
        """Insert what is not there; the keys of what was not."""
        insert = self.connections.insert(table).on_conflict_do_nothing(index_elements=[key])
        return set(connection.scalars(insert.returning(table.c[key]), rows))


def _of_several_values(connection: sa.Connection, digests: Collection[str]) -> set[str]:
    """Those of the rows whose query was stored with other tasks or labels too."""
    one, other = queries.alias(), queries.alias()
    same = (other.c.query_id == one.c.query_id) & (other.c.query_key == one.c.query_key)
    several = sa.exists().where(same, other.c.digest != one.c.digest)
    return _present(connection, sa.select(one.c.digest).where(several), digests)


def _present(
    connection: sa.Connection, statement: sa.Select[tuple[str]], keys: Iterable[str]
) -> set[str]:
    """Those of the keys that the statement finds in its one column."""
    column = statement.selected_columns[0]
    found: set[str] = set()
    for chunk in chunks(keys):
        found.update(connection.scalars(statement.where(column.in_(chunk))))
    return found


def chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    """The distinct keys in order, as many at a time as a statement takes."""
    listed = sorted(set(keys))
    for start in range(0, len(listed), _CHUNK):
        yield listed[start : start + _CHUNK]


open_database, read_database = Database.open, Database.open_to_read
