"""Tables with a version: how they are opened, and how an older database becomes a current one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self

import sqlalchemy as sa

from rlfocal.database.columns import SafeText
from rlfocal.database.engine import Connections, connect, sqlite_path
from rlfocal.errors import DatabaseError

__all__ = ["Migration", "OpenTables", "Tables"]

_log = logging.getLogger(__name__)

Migration = Callable[[sa.Connection], None]
_OURS = frozenset({"meta", "gateway_meta"})
"""Tables by which a database is known as rlfocal's: different kinds of tables may share one."""


class Tables:
    """Tables that belong together.

    Args:
        meta_name: of the table that notes their version; it must be among `_OURS`.
        version: of the tables as they are described.
        migrations: version → the step that turns tables of that version into the next's; a later
            version adds its step and never edits an older one.

    Raises:
        ValueError: by that name no database would be known as ours.
    """

    def __init__(
        self, meta_name: str, *, version: int, migrations: Mapping[int, Migration]
    ) -> None:
        if meta_name not in _OURS:
            raise ValueError(f"meta_name must be one of {sorted(_OURS)}, got {meta_name!r}")
        self.version, self.migrations = version, migrations
        self.metadata = sa.MetaData()
        self.meta = sa.Table(
            meta_name,
            self.metadata,
            sa.Column("name", SafeText, primary_key=True),
            sa.Column("value", SafeText, nullable=False),
        )

    def newer(self, version: int, where: str) -> DatabaseError:
        """The error for tables of a later version than this."""
        return DatabaseError(
            f"{where}: was written by a newer rlfocal (version {version} of the tables; this "
            f"one knows {self.version}); upgrade rlfocal, or name another database. It was "
            "left as it is"
        )

    def read_version(self, connection: sa.Connection, where: str) -> int | None:
        """The version of the tables that are there; None where there are none yet.

        Args:
            connection: inside a transaction.
            where: how messages call the database.

        Raises:
            DatabaseError: the tables are somebody else's.
        """
        there = set(sa.inspect(connection).get_table_names())
        if self.meta.name not in there:
            alone = connection.dialect.name == "sqlite" and not there & _OURS
            foreign = there if alone else there & set(self.metadata.tables)
            if foreign:
                raise _foreign(where, sorted(foreign))
            return None
        columns = {c["name"] for c in sa.inspect(connection).get_columns(self.meta.name)}
        if columns != {"name", "value"}:
            raise _foreign(where, [self.meta.name])
        named = self.meta.c.name == "schema_version"
        value = connection.scalar(sa.select(self.meta.c.value).where(named))
        if value is None or not value.isdecimal():
            raise _foreign(where, [self.meta.name])
        return int(value)

    def prepare(self, connection: sa.Connection, where: str) -> None:
        """Create the tables, or bring older ones to this version, step by step.

        Args:
            connection: inside a transaction that nobody else can write beside.
            where: how messages call the database.

        Raises:
            DatabaseError: the tables are of a newer version, of one that has no step, or not ours.
        """
        version = self.read_version(connection, where)
        if version is None:
            self.metadata.create_all(connection)
            row = {"name": "schema_version", "value": str(self.version)}
            connection.execute(self.meta.insert(), row)
            return
        if version > self.version:
            raise self.newer(version, where)
        if version < self.version:
            _log.warning(
                "%s: its tables are brought from version %d to %d, once; an older rlfocal cannot "
                "open it any more",
                where,
                version,
                self.version,
            )
        for step in range(version, self.version):
            if step not in self.migrations:
                raise DatabaseError(
                    f"{where}: version {step} of the tables is too old to be brought to "
                    f"{self.version}; open it with an older rlfocal. It was left as it is"
                )
            self.migrations[step](connection)
        if version < self.version:
            named = self.meta.c.name == "schema_version"
            connection.execute(self.meta.update().where(named).values(value=str(self.version)))


class OpenTables:
    """Tables in a database that was opened; a subclass has the statements on them.

    Args:
        connections: to the database.
    """

    tables: ClassVar[Tables]

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    @classmethod
    def open(cls, url: str | Path, *, busy_timeout_s: float = 60.0) -> Self:
        """Open the tables of a database, and make what is not there.

        Args:
            url: a file's path, `sqlite:///path`, or `postgresql://user:password@host:port/name`. A
                SQLite file belongs on a local disk; several machines share a PostgreSQL server.
                Tables of several kinds may stand in one database.
            busy_timeout_s: seconds to wait for another process that is writing.

        Raises:
            DatabaseError: it cannot be opened, is not ours or of a newer version; the message
                names the cause and the remedy, and never the password.
        """
        connections, tables = connect(url, busy_timeout_s=busy_timeout_s), cls.tables
        try:
            with connections.read() as connection:
                version = tables.read_version(connection, connections.place.name)
            connections.let_readers_go_on()
            if version != tables.version:
                with connections.write() as connection:
                    tables.prepare(connection, connections.place.name)
        except BaseException:
            connections.close()
            raise
        return cls(connections)

    @classmethod
    def open_to_read(cls, url: str | Path, *, busy_timeout_s: float = 60.0) -> Self | None:
        """Open tables to read them alone: nothing is made, changed or brought up to date.

        Args: as of `open`.

        Returns:
            None where there is no database, or one without these tables.

        Raises:
            DatabaseError: it cannot be opened, is not ours or of another version.
        """
        if (path := sqlite_path(url)) is not None and not path.exists():
            return None
        connections = connect(url, busy_timeout_s=busy_timeout_s, read_only=True)
        tables, where = cls.tables, connections.place.name
        try:
            with connections.read() as connection:
                version = tables.read_version(connection, where)
            if version is not None and version > tables.version:
                raise tables.newer(version, where)
            if version is not None and version < tables.version:
                raise DatabaseError(
                    f"{where}: was written by an older rlfocal (version {version} of the tables; "
                    f"this one reads {tables.version}), and what only reads does not change it; "
                    "copy it, then let a command that writes bring it up to date, such as "
                    "`rlfocal collect` without --dry-run. It was left as it is"
                )
        except BaseException:
            connections.close()
            raise
        if version is None:
            connections.close()
            return None
        return cls(connections)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.connections.place.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self.connections.close()


def _foreign(where: str, found: list[str]) -> DatabaseError:
    return DatabaseError(
        f"{where}: holds another program's tables ({', '.join(found[:3])}); name another "
        "database. It was left as it is"
    )
