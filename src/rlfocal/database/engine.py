"""From a database URL to transactions, so that everything above is the same on both engines.

One writer at a time: SQLite locks its file when a transaction begins, PostgreSQL an advisory lock.
So what a transaction has read still holds when it writes, and no two can wait for each other.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from rlfocal.database.failures import Place, translated
from rlfocal.errors import DatabaseError
from rlfocal.extras import need

__all__ = ["Connections", "connect", "sqlite_path"]

_LOCK = 0x726C666F63616C
"""Number of the advisory lock: "rlfocal" in ASCII."""
_UNWRITABLE = ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY")
_EXAMPLES = "write answers.db, sqlite:///answers.db or postgresql://user:password@host/name"


class Connections:
    """Reading and writing transactions of one database; safe to use from several threads.

    Args:
        engine: the SQLAlchemy engine.
        place: how messages call the database.
        name: the database's short name, without host and folder.
        busy_timeout_s: seconds to wait for another writer.
    """

    def __init__(self, engine: sa.Engine, place: Place, name: str, busy_timeout_s: float) -> None:
        self.engine, self.place, self.name = engine, place, name
        self._busy_timeout_s = busy_timeout_s
        self._one_writer = threading.Lock()  # threads of one process queue here, in turn

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that changes nothing."""
        with translated(self.place), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction beside which nobody else writes; undone as a whole if it fails."""
        with self._one_writer, translated(self.place), self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection = connection.execution_options(rlfocal_begin="BEGIN IMMEDIATE")
            with connection.begin():
                if self.engine.dialect.name == "postgresql":
                    wait = f"{max(1, round(self._busy_timeout_s * 1000))}ms"
                    connection.execute(sa.select(sa.func.set_config("lock_timeout", wait, True)))
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
                yield connection

    def let_readers_go_on(self) -> None:
        """Let no reader wait for a writer; the file remembers it, and a server does so anyway."""
        if self.engine.dialect.name != "sqlite":
            return
        deadline = time.monotonic() + self._busy_timeout_s
        with translated(self.place), closing(self.engine.raw_connection()) as connection:
            while True:  # of several that switch at once SQLite lets none wait for another
                try:
                    if connection.cursor().execute("PRAGMA journal_mode").fetchone() != ("wal",):
                        connection.cursor().execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError as exc:
                    if exc.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)

    def now_s(self, connection: sa.Connection) -> float:
        """Seconds since 1970 by the clock that all processes at this database share."""
        if self.engine.dialect.name == "sqlite":
            return time.time()
        clock = sa.extract("epoch", sa.func.clock_timestamp())
        return float(connection.scalar(sa.select(clock)) or 0.0)

    def insert(self, table: sa.Table) -> Any:
        """An INSERT that can say what happens on a conflict."""
        if self.engine.dialect.name == "sqlite":
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # takes a while, and few gateways have one

        return postgresql.insert(table)

    def upsert(self, table: sa.Table, unique: str | Sequence[str], *changed: str) -> Any:
        """An INSERT that, where a row of this name is there, changes these columns of it."""
        insert = self.insert(table)
        names = [unique] if isinstance(unique, str) else list(unique)
        new = {name: insert.excluded[name] for name in changed}
        return insert.on_conflict_do_update(index_elements=names, set_=new)

    def replace(self, table: sa.Table, unique: str) -> Any:
        """An INSERT that takes the place of the row it conflicts with, at a new `position`."""
        insert = self.insert(table)
        if self.engine.dialect.name == "sqlite":
            # It would number the row only where there is no conflict, and give a number twice.
            last = sa.select(sa.func.coalesce(sa.func.max(table.c.position), 0) + 1)
            insert = insert.values(position=last.scalar_subquery())
        new = {c.name: insert.excluded[c.name] for c in table.columns if c.name != unique}
        return insert.on_conflict_do_update(index_elements=[unique], set_=new)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def connect(url: str | Path, *, busy_timeout_s: float, read_only: bool = False) -> Connections:
    """Make the engine for a URL; nothing is opened yet, and with `read_only` nothing is ever made.

    Raises:
        DatabaseError: the URL is of no known kind, or its driver is missing.
    """
    text = str(url)
    scheme, found, _ = text.partition("://")
    if found and scheme.partition("+")[0] in ("postgresql", "postgres"):
        return _postgres(text, busy_timeout_s, read_only=read_only)
    if found and scheme != "sqlite":
        raise DatabaseError(f"a database of kind '{scheme[:20]}' is not known; {_EXAMPLES}")
    path = sqlite_path(text)
    if path is None:
        raise DatabaseError(f"a database needs a file, so that its answers stay; {_EXAMPLES}")
    return _sqlite(path, busy_timeout_s, read_only=read_only)


def sqlite_path(url: str | Path) -> Path | None:
    """The file that a URL of SQLite names; None where it names none, or another kind.

    >>> sqlite_path("sqlite:///answers.db"), sqlite_path("postgresql://host/name")
    (PosixPath('answers.db'), None)
    """
    scheme, found, rest = str(url).partition("://")
    if found and scheme != "sqlite":
        return None
    path = rest.removeprefix("/") if found else str(url)
    return None if not path or path == ":memory:" else Path(path)


def _sqlite(path: Path, busy_timeout_s: float, *, read_only: bool) -> Connections:
    if path.is_dir():
        raise DatabaseError(
            f"{path}: is a folder; name a file in it, such as {path / 'answers.db'}"
        )
    name = sa.URL.create("sqlite", database=str(path))
    if read_only:
        engine = sa.create_engine(
            name, creator=lambda: _opened_to_read(path, busy_timeout_s), hide_parameters=True
        )
    else:
        _make_folder(path)
        engine = sa.create_engine(
            name, connect_args={"timeout": busy_timeout_s}, hide_parameters=True
        )

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver thinks
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        # In KiB, of each connection: the system caches the file anyway, once for all of them.
        connection.execute("PRAGMA cache_size = -512")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        how = connection.get_execution_options().get("rlfocal_begin", "BEGIN")
        connection.exec_driver_sql(how)

    return Connections(engine, Place(str(path)), path.stem, busy_timeout_s)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise DatabaseError(f"{path}: cannot be made: {reason}; name another file") from exc


def _opened_to_read(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection that writes nothing and makes no database.

    SQLite's own mode for that would leave the files of the log beside the database behind; so the
    connection could write, is told not to, and takes them away when it is closed.
    """

    def opened(how: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?{how}",
            timeout=busy_timeout_s,
            uri=True,
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        except BaseException:
            connection.close()
            raise
        return connection

    try:
        return opened("mode=rw")
    except sqlite3.OperationalError as exc:
        # Beside a file in a folder that nobody may write to there can be no log, nor a writer.
        if exc.sqlite_errorname not in _UNWRITABLE or path.with_name(f"{path.name}-wal").exists():
            raise
        return opened("immutable=1")


def _postgres(text: str, busy_timeout_s: float, *, read_only: bool) -> Connections:
    try:
        url = sa.make_url(text).set(drivername="postgresql+psycopg")
    except (sa.exc.ArgumentError, ValueError):
        # Without its cause: that may quote the URL, and so the password.
        raise DatabaseError(f"the database URL cannot be read; {_EXAMPLES}") from None
    hosts = url.query.get("host", "")
    host = url.host or (hosts if isinstance(hosts, str) else ",".join(hosts))
    port = f":{url.port}" if url.port else ""
    user = f"{url.username}@" if url.username else ""
    given = (url.query.get(name, "") for name in ("password", "sslpassword"))
    secrets = [url.password or ""] + [s for g in given for s in ((g,) if isinstance(g, str) else g)]
    place = Place(f"postgresql://{user}{host}{port}/{url.database or ''}", _secrets(secrets))
    need("psycopg", f"{place.name}: a database on PostgreSQL")
    waits = {} if "connect_timeout" in url.query else {"connect_timeout": 10}
    engine = sa.create_engine(
        url,
        connect_args=waits,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        execution_options={"postgresql_readonly": True} if read_only else {},
    )
    return Connections(engine, place, url.database or "postgres", busy_timeout_s)


def _secrets(found: list[str]) -> tuple[str, ...]:
    return tuple(secret for secret in dict.fromkeys(found) if secret)
