"""Failures as the database lists them, and the room that is kept on its disk."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stored import content_digest

from rlfocal.errors import DatabaseError
from rlfocal.records.database import StoredError, StoredResponse, open_database


def failure(
    key: str, *, member: str = "a", kind: str = "rate-limited", status: int | None = 429, n: int = 0
) -> StoredError:
    return StoredError(
        key=key,
        member=member,
        failure=kind,
        status=status,
        message=f"said {n}",
        created_at=f"2026-11-01T00:00:{n:02d}.000000+00:00",
    )


def test_failures_are_counted_by_member_kind_and_status(database_url: str) -> None:
    answered = StoredResponse(query_key="q", query_id="q", member="a", settings_key="s", text="4")
    with open_database(database_url) as database:
        assert database.failures() == []
        database.add_errors(
            [
                failure("k1", n=1),
                failure("k2", n=2),
                failure("k1", n=3),
                failure(answered.key, n=4),
                failure("k3", kind="timeout", status=None, n=5),
                failure(answered.key, member="b", kind="server-error", status=500, n=6),
                failure("k4", kind="server-error", status=503, n=7),
            ]
        )
        database.add_responses([answered])
        found = database.failures()
        assert [tuple(each[:6]) for each in found] == [
            ("a", "rate-limited", 429, 2, 4, "said 4"),
            ("a", "server-error", 503, 1, 1, "said 7"),
            ("a", "timeout", None, 1, 1, "said 5"),
            ("b", "server-error", 500, 0, 1, "said 6"),
        ]
        assert found[0].first_at < found[0].last_at
        assert (found[0].first_at[17:19], found[0].last_at[17:19]) == ("01", "04")
        assert [each.member for each in database.failures(members=["b"])] == ["b"]


def test_room_is_tried_and_leaves_nothing_behind(database_url: str) -> None:
    with open_database(database_url) as database:
        before = content_digest(database)
        database.reserve_room(100_000)
        database.make_room()
        database.reserve_room(100_000)
        database.give_room_back()
        assert content_digest(database) == before
        assert database.note("room") is None


def test_room_is_kept_beside_the_file_until_it_is_needed(tmp_path: Path) -> None:
    with open_database(tmp_path / "answers.db") as database:
        database.reserve_room(300_000)
        (kept,) = tmp_path.glob("answers.db-reserve-*")
        assert kept.stat().st_size == 300_000
        database.make_room()
        assert not kept.exists()
        assert (tmp_path / "answers.db-wal").stat().st_size == 0
        database.give_room_back()  # a second time does no harm


def test_a_disk_without_room_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        """Takes half of what is written, then nothing."""

        def write(self, data: Any) -> int:
            if self.tell():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data[: len(data) // 2])

    with open_database(tmp_path / "answers.db") as database:
        monkeypatch.setattr(Path, "open", lambda path, mode, buffering: Full(str(path), mode))
        with pytest.raises(DatabaseError, match=r"answers\.db: the disk is full.*292 KiB"):
            database.reserve_room(300_000)
    assert not list(tmp_path.glob("answers.db-reserve*"))


def test_each_that_writes_has_room_of_its_own(tmp_path: Path) -> None:
    def sizes() -> list[int]:
        return sorted(path.stat().st_size for path in tmp_path.glob("answers.db-reserve*"))

    path = tmp_path / "answers.db"
    with open_database(path) as one, open_database(path) as other:
        one.reserve_room(100_000)
        other.reserve_room(200_000)
        assert sizes() == [100_000, 200_000]
        one.give_room_back()
        assert sizes() == [200_000]
        one.reserve_room(300_000)
        other.make_room()
        assert sizes() == [300_000]
    assert sizes() == []


def test_room_of_the_killed_is_given_back_and_other_files_stay(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    code = (
        "import os, signal, sys\n"
        "from rlfocal.records.database import open_database\n"
        "open_database(sys.argv[1]).reserve_room(100_000)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=120)
    (left,) = tmp_path.glob("answers.db-reserve-*")
    assert left.stat().st_size == 100_000
    of_earlier_versions, other = tmp_path / "answers.db-reserve", tmp_path / "answers.db-reserved"
    for file in (of_earlier_versions, other):
        file.write_text("x")
    with open_database(path) as database:
        database.reserve_room(1000)
        (kept,) = tmp_path.glob("answers.db-reserve-*")
        assert kept != left
        assert other.exists()
        assert not of_earlier_versions.exists()
