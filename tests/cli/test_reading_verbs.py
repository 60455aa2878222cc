"""Verbs that only read change nothing, and make no file."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from rlfocal.errors import DatabaseError
from rlfocal.records.database import StoredError, open_database, read_database

if TYPE_CHECKING:
    from conftest import Run

POOL = (
    '[endpoints.e]\nbase_url = "http://127.0.0.1:1/v1"\n[[members]]\nname = "m"\nendpoint = "e"\n'
)


def state(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pool.toml").write_text(POOL)
    (tmp_path / "q.jsonl").write_text(json.dumps({"query_id": "q", "prompt": "?", "label": "4"}))
    return tmp_path


def dry(folder: Path, db: str = "a.db") -> list[str]:
    files = [str(folder / name) for name in ("pool.toml", "q.jsonl")]
    return ["collect", *files, "--db", str(folder / db), "--dry-run", "--json"]


def stored(folder: Path) -> Path:
    path = folder / "a.db"
    with open_database(path) as database:
        database.add_member("m", {})
        database.add_errors([StoredError(key="k", member="m", failure="timeout", message="late")])
    return path


def version(path: Path, number: str) -> None:
    with open_database(path) as database, database.connections.write() as connection:
        connection.execute(sa.text(f"UPDATE meta SET value = '{number}' WHERE name LIKE 'schema%'"))


def test_a_dry_run_makes_no_file(run: Run, folder: Path) -> None:
    before = state(folder)
    ran = run(*dry(folder, "sub/a.db"))
    assert json.loads(ran.out)["n_calls"] == 1
    assert state(folder) == before
    assert not (folder / "sub").exists()


def test_reading_verbs_leave_every_byte_as_it_is(run: Run, folder: Path) -> None:
    path = stored(folder)
    before = state(folder)
    assert run(*dry(folder)).code == 0
    ran = run("collect", "--failures", "--db", str(path), "--json")
    assert json.loads(ran.out)["failures"][0]["n_failures"] == 1
    assert state(folder) == before
    assert run("export", str(path), "-o", str(folder / "out")).code in (0, 2)  # it has no answers
    assert {name: have for name, have in state(folder).items() if "out" not in name} == before


def test_an_older_database_is_left_as_it_is_and_the_remedy_told(run: Run, folder: Path) -> None:
    path = stored(folder)
    version(path, "1")
    before = state(folder)
    for command in (
        dry(folder),
        ["collect", "--failures", "--db", str(path)],
        ["export", str(path), "-o", str(folder / "out")],
    ):
        ran = run(*command)
        assert ran.code == 2
        assert "older rlfocal (version 1 of the tables" in ran.err
        assert "copy it, then let a command that writes bring it up to date" in ran.err
    assert state(folder) == before


def test_who_writes_says_that_it_brings_a_database_up_to_date(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = stored(folder)
    version(path, "1")
    with caplog.at_level(logging.WARNING):
        open_database(path).close()
    assert any("from version 1 to 7, once" in message for message in caplog.messages)


def test_a_newer_database_is_refused(folder: Path) -> None:
    path = stored(folder)
    version(path, "99")
    with pytest.raises(DatabaseError, match="newer rlfocal"):
        read_database(path)


def test_what_was_opened_to_be_read_cannot_be_written(folder: Path) -> None:
    database = read_database(stored(folder))
    assert database is not None
    with database, pytest.raises(DatabaseError):
        database.set_note("a", "b")


def test_a_reader_sees_what_a_writer_has_just_stored(folder: Path) -> None:
    path = stored(folder)
    with open_database(path) as writer:
        writer.set_note("a", "b")
        reader = read_database(path)
        assert reader is not None
        with reader:
            assert reader.note("a") == "b"
            writer.set_note("a", "c")
            assert reader.note("a") == "c"
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith("a.db")) == ["a.db"]


def test_nothing_is_there(folder: Path) -> None:
    assert read_database(folder / "none.db") is None
    (folder / "empty.db").touch()
    assert read_database(folder / "empty.db") is None
    (folder / "text.db").write_text("no database at all, but a text")
    with pytest.raises(DatabaseError, match="not a SQLite database"):
        read_database(folder / "text.db")


def test_the_package_is_a_program(folder: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "rlfocal", "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("rlfocal ")


def test_lists_of_a_gateway_change_nothing(run: Run, folder: Path) -> None:
    db = str(folder / "g.db")
    assert run("keys", "add", "me", "--db", db).code == 0
    before = state(folder)
    ran = run("keys", "list", "--db", db, "--json")
    assert json.loads(ran.out)[0]["name"] == "me"
    assert state(folder) == before
    answers = str(stored(folder))
    before = state(folder)
    assert "no such database of a gateway" in run("keys", "list", "--db", answers).err
    assert "no such database of answers" in run("export", db, "-o", str(folder / "o")).err
    assert state(folder) == before
