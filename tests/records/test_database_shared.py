"""Several processes at one database: each call is paid once, and a kill leaves all of it sound."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rlfocal.records.database import (
    Database,
    StoredResponse,
    open_database,
    query_key_of,
    settings_key_of,
)

pytestmark = pytest.mark.slow

N_KEYS = 60
COMMON = """
import json, os, random, sys
from rlfocal.records.database import StoredResponse, open_database, query_key_of, settings_key_of
url, owner = sys.argv[1:3]
def response(i):
    return StoredResponse(query_key=query_key_of(f"q{i}"), query_id=f"q{i}", member="a",
                          settings_key=settings_key_of({}), text=f"by {owner}", cost_usd=1.0)
"""
COLLECTOR = """
sys.stdin.readline()  # start together
mine, paid = {response(i).key: i for i in range(60)}, []
keys, rng = list(mine), random.Random(owner)
with open_database(url) as database:
    while len(database.answered(keys)) < len(keys):
        rng.shuffle(keys)
        won = sorted(database.claim(keys[:15], owner, 60))
        n = rng.randrange(4)  # not made after all
        paid += won[n:]
        database.add_responses([response(mine[key]) for key in won[n:]])
        database.release(won[:n], owner)
print(json.dumps(paid))
"""
HELD_WRITER = """
database = open_database(url)
database.add_responses([response(0)])
database.claim([response(1).key], owner, 60)
with database.connections.write() as connection:
    connection.exec_driver_sql("DELETE FROM responses")
    connection.exec_driver_sql("DELETE FROM claims")
    print("in the middle", flush=True)
    sys.stdin.readline()
"""


def start(code: str, url: str, owner: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMON + code, url, owner]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def response(i: int) -> StoredResponse:
    return StoredResponse(
        query_key=query_key_of(f"q{i}"),
        query_id=f"q{i}",
        member="a",
        settings_key=settings_key_of({}),
        text="by hand",
    )


def test_two_collectors_pay_for_every_call_once(database_url: str) -> None:
    """They start together on a database that is not there yet."""
    collectors = [start(COLLECTOR, database_url, owner) for owner in ("one", "two")]
    for collector in collectors:
        assert collector.stdin is not None
        collector.stdin.write("go\n")
        collector.stdin.flush()
    try:
        said = [collector.communicate(timeout=60) for collector in collectors]
    finally:
        for collector in collectors:
            collector.kill()
            collector.communicate()
    assert [error for _, error in said] == ["", ""]
    paid = [key for out, _ in said for key in json.loads(out)]
    assert sorted(paid) == sorted(response(i).key for i in range(N_KEYS))
    with open_database(database_url) as database:
        assert database.spent().n_calls == N_KEYS
        assert database.owners() == []


def test_a_writer_killed_in_the_middle_leaves_what_was_stored(database_url: str) -> None:
    writer = start(HELD_WRITER, database_url, "killed")
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "in the middle\n"
    finally:
        writer.kill()
        writer.communicate()
    with open_database(database_url, busy_timeout_s=10) as database:
        assert database.answered([response(0).key]) == {response(0).key}
        assert database.owners() == ["killed"]
        assert database.claim([response(1).key], "alive", 60) == set()
        assert database.add_responses([response(0), response(1)]) == 1
    if database_url.startswith("sqlite"):
        with open_database(database_url) as database, database.connections.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_database_may_be_made_by_many_at_once(database_url: str) -> None:
    barrier, failures = threading.Barrier(6), list[BaseException]()

    def make(i: int) -> None:
        try:
            barrier.wait()
            with open_database(database_url) as database:
                database.add_responses([response(i)])
        except BaseException as exc:
            failures.append(exc)

    run_all([lambda i=i: make(i) for i in range(6)])
    assert failures == []
    with open_database(database_url) as database:
        assert database.spent().n_calls == 6


def test_opposite_orders_do_not_block_each_other(database_url: str) -> None:
    keys = [response(i).key for i in range(50)]
    failures: list[BaseException] = []

    def work(database: Database, owner: str, step: int) -> None:
        try:
            for _ in range(5):
                won = database.claim(keys[::step], owner, 60)
                database.add_responses([response(i) for i in range(50)[::step]][:5])
                database.release(sorted(won)[::step], owner)
        except BaseException as exc:
            failures.append(exc)

    with open_database(database_url) as one, open_database(database_url) as two:
        run_all([lambda: work(one, "one", 1), lambda: work(two, "two", -1)])
        assert failures == []
        assert one.spent().n_calls == 10


def run_all(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_sqlite_file_is_read_beside_a_writer(tmp_path: Path) -> None:
    with open_database(tmp_path / "a.db", busy_timeout_s=0.2) as database:
        database.add_responses([response(0)])
        with (
            open_database(tmp_path / "a.db") as other,
            other.connections.write() as connection,
        ):
            connection.exec_driver_sql("DELETE FROM responses")
            assert database.answered([response(0).key]) == {response(0).key}
            with open_database(tmp_path / "a.db") as third:
                assert third.spent().n_calls == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize("folder", ["new", "new/er"])
def test_a_plain_path_makes_its_folder(tmp_path: Path, folder: str) -> None:
    open_database(str(tmp_path / folder / "a b%20?.db")).close()
    assert (tmp_path / folder / "a b%20?.db").is_file()
