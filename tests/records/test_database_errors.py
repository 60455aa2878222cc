"""What can be wrong with a database: one clear message each, no password in it, nothing lost."""

from __future__ import annotations

import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from stored import content_digest

from rlfocal.errors import DatabaseError, NotInstalled
from rlfocal.records.database import (
    Database,
    StoredResponse,
    open_database,
    query_key_of,
    settings_key_of,
)
from rlfocal.records.database.schema import TABLES

KEPT = "Nothing that was stored is lost"
LEFT = "It was left as it is"


def responses(n: int) -> list[StoredResponse]:
    common = {"query_id": "q", "member": "a", "settings_key": settings_key_of({})}
    return [
        StoredResponse(query_key=query_key_of(f"q{i}"), text="x" * 500, **common) for i in range(n)
    ]


@pytest.fixture
def filled(database_url: str) -> Iterator[Database]:
    with open_database(database_url, busy_timeout_s=0.2) as database:
        database.add_responses(responses(3))
        yield database


def set_on_connect(database: Database, statement: str) -> None:
    """Let every new connection of the database run a statement first."""
    database.close()

    @sa.event.listens_for(database.connections.engine, "connect")
    def run(connection: Any, _: object) -> None:
        connection.execute(statement)
        connection.commit()


def wrong_header(path: Path) -> None:
    path.write_text("query_id,prompt\n" * 100)


def folder(path: Path) -> None:
    path.mkdir()


def under_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("a file")


def another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")


def another_meta(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE meta (name, value)")


def other_columns(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE meta (id)")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (wrong_header, f"not a SQLite database; name another file .*{LEFT}"),
        (folder, "is a folder; name a file in it"),
        (under_a_file, "cannot be made: "),
        (another_program, rf"another program's tables \(bookmarks\).*{LEFT}"),
        (another_meta, "another program's tables"),
        (other_columns, "another program's tables"),
    ],
)
def test_what_is_no_database_of_ours(
    tmp_path: Path, prepare: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "in" / "a.db"
    path.parent.mkdir()
    prepare(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(DatabaseError, match=f"{path}: .*{message}"):
        open_database(path)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with open_database(path) as database:
        database.add_responses(responses(300))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3] + b"\x07" * (2 * len(content) // 3))
    with open_database(path) as database, pytest.raises(DatabaseError) as caught:
        content_digest(database)
    assert f"{path}: the file is damaged; restore a copy" in str(caught.value)


def test_a_newer_version_is_refused(filled: Database, database_url: str) -> None:
    set_version(filled, "99")
    with pytest.raises(DatabaseError, match=f"newer rlfocal .*99.*upgrade rlfocal.*{LEFT}"):
        open_database(database_url)


def test_an_older_version_is_migrated_step_by_step(
    filled: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = content_digest(filled)
    ran: list[int] = []

    def first(connection: sa.Connection) -> None:
        ran.append(1)
        connection.exec_driver_sql("ALTER TABLE responses ADD COLUMN note TEXT")

    def second(connection: sa.Connection) -> None:
        ran.append(2)
        connection.exec_driver_sql("UPDATE responses SET note = 'old'")

    now = TABLES.version
    monkeypatch.setattr(TABLES, "version", now + 2)
    monkeypatch.setattr(TABLES, "migrations", {now: first, now + 1: second})
    for _ in range(2):  # the second time there is nothing to do
        with open_database(database_url) as database:
            with database.connections.read() as connection:
                found = connection.exec_driver_sql("SELECT DISTINCT note FROM responses").all()
            assert [tuple(row) for row in found] == [("old",)]
            assert content_digest(database) == digest
    assert ran == [1, 2]


def test_a_migration_that_fails_changes_nothing(
    filled: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(connection: sa.Connection) -> None:
        connection.exec_driver_sql("DELETE FROM responses")
        connection.exec_driver_sql("SELECT x FROM nowhere")

    now = TABLES.version
    monkeypatch.setattr(TABLES, "version", now + 1)
    with pytest.raises(DatabaseError, match=f"too old.*{LEFT}"):
        open_database(database_url)
    monkeypatch.setattr(TABLES, "migrations", {now: fails})
    with pytest.raises(DatabaseError, match=f"nowhere.*{KEPT}"):
        open_database(database_url)
    monkeypatch.undo()
    with open_database(database_url) as database:
        assert database.spent().n_calls == 3


def test_a_database_that_another_keeps_locked(filled: Database, database_url: str) -> None:
    with open_database(database_url) as other:
        with other.connections.write():
            with pytest.raises(DatabaseError, match=f"locked for too long.*{KEPT}") as caught:
                filled.add_responses(responses(4))
            assert filled.connections.place.name in str(caught.value)
        assert filled.add_responses(responses(4)) == 1


def test_a_file_that_another_has_for_itself(tmp_path: Path) -> None:
    open_database(tmp_path / "a.db").close()
    with closing(sqlite3.connect(tmp_path / "a.db")) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseError, match="locked for too long"):
            open_database(tmp_path / "a.db", busy_timeout_s=0.2)


def test_a_full_disk(tmp_path: Path) -> None:
    with open_database(tmp_path / "a.db") as database:
        database.add_responses(responses(3))
        set_on_connect(database, "PRAGMA max_page_count = 40")
        with pytest.raises(DatabaseError, match=f"disk is full; free some space.*{KEPT}"):
            database.add_responses(responses(500))
        assert database.spent().n_calls == 3


def test_a_place_that_cannot_be_written_to(filled: Database, database_url: str) -> None:
    statement = "PRAGMA query_only = ON"
    if database_url.startswith("postgres"):
        statement = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
    set_on_connect(filled, statement)
    with pytest.raises(DatabaseError, match=f"read-only.*{KEPT}"):
        filled.add_responses(responses(4))
    assert filled.spent().n_calls == 3


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("open%20sesame", "hunter2", "refused the user or the password; check both"),
        ("/postgres?", "/nowhere?", "no such database.*createdb"),
        ("?host=", "?host=/nowhere", "cannot be reached; check host and port"),
    ],
)
def test_a_server_that_does_not_let_us_in(
    postgres_url: str, old: str, new: str, message: str
) -> None:
    url = postgres_url.replace(old, new)
    with pytest.raises(DatabaseError, match=f"postgresql://tester@.*{message}") as caught:
        open_database(url)
    shown = "".join(traceback.format_exception(caught.value))
    assert "sesame" not in shown
    assert "hunter2" not in shown


@pytest.mark.postgres
def test_a_server_that_went_away_comes_back_as_a_clear_message(postgres_url: str) -> None:
    with open_database(postgres_url) as database:
        assert "sesame" not in repr(database)
        with pytest.raises(DatabaseError, match="cannot be reached"):
            end_own_connection(database)
        assert database.spent().n_calls == 0  # and the next call has a new connection


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://me:hunter2@host/db", "kind 'mysql' is not known"),
        ("postgresql://me:hunter2@host:port/db", "cannot be read"),
        ("postgresql://me:hunter2@host:70000/db?connect_timeout=1", "host:70000/db"),
        ("postgresql://me@/db?host=/nowhere&password=hunter2", "cannot be reached"),
        (":memory:", "needs a file"),
        ("sqlite://", "needs a file"),
        ("", "needs a file|is a folder"),
    ],
)
def test_urls_that_lead_nowhere(url: str, message: str) -> None:
    if "postgres" in url:
        pytest.importorskip("psycopg")
    with pytest.raises(DatabaseError, match=message) as caught:
        open_database(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = "postgres://me:hunter2@host/db"
    with pytest.raises(NotInstalled, match=r"pip install 'rlfocal\[postgres\]'") as caught:
        open_database(url)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def set_version(database: Database, value: str) -> None:
    with database.connections.write() as connection:
        named = TABLES.meta.c.name == "schema_version"
        connection.execute(TABLES.meta.update().where(named).values(value=value))


def end_own_connection(database: Database) -> None:
    with database.connections.read() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
