"""Group commit: many writes in one transaction, none lost, none undone by another's failure."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from serving import until

from rlfocal.errors import DatabaseError
from rlfocal.gateway.store import Event, Store, Writer, WriterBusy, open_store
from rlfocal.gateway.store import writer as writing

NOON = 1_767_268_800.0
Operation = Callable[[sa.Connection], Any]


def note(store: Store, name: str) -> Operation:
    event = Event(kind=name, what={}, created_at=NOON)
    return lambda connection: store.log.add_event(connection, event) or name


def noted(store: Store) -> list[str]:
    with store.connections.read() as connection:
        return [event.kind for event in store.log.events(connection, 10_000)][::-1]


class Gate:
    """An operation that holds the writer up until it is opened, so that others gather behind it."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, connection: sa.Connection) -> str:
        self.entered.set()
        assert self.opened.wait(20)
        return "gate"


async def batch(writer: Writer, *operations: Operation) -> list[Any]:
    """What comes of operations that are in one batch."""
    gate = Gate()
    first = asyncio.create_task(writer.do(gate))
    await asyncio.to_thread(gate.entered.wait, 20)
    jobs = [asyncio.create_task(writer.do(operation)) for operation in operations]
    await asyncio.sleep(0)
    gate.opened.set()
    await first
    return await asyncio.gather(*jobs, return_exceptions=True)


def broken(connection: sa.Connection) -> None:
    connection.exec_driver_sql("INSERT INTO gateway_rates VALUES (NULL, NULL, NULL)")


def test_an_acknowledged_write_is_there_for_everybody(
    store: Store, writer: Writer, database_url: str
) -> None:
    assert asyncio.run(writer.do(note(store, "one"))) == "one"
    with open_store(database_url) as other:
        assert noted(other) == ["one"]


def test_what_gathers_is_written_in_one_transaction_and_in_order(
    store: Store, writer: Writer
) -> None:
    async def run() -> list[str]:
        gate = Gate()
        first = asyncio.create_task(writer.do(gate))
        await asyncio.to_thread(gate.entered.wait, 20)
        rest = [asyncio.create_task(writer.do(note(store, str(i)))) for i in range(50)]
        await asyncio.sleep(0)
        assert writer.counts.n_waiting == 50
        gate.opened.set()
        return await asyncio.gather(first, *rest)

    names = [str(i) for i in range(50)]
    assert asyncio.run(run()) == ["gate", *names]
    assert noted(store) == names
    assert writer.counts == (0, 51, 0, 0, 2)


class Gathered:
    """Notes names, several at once, and how many came together; "broken" is refused."""

    def __init__(self, store: Store) -> None:
        self._store, self.sizes = store, list[int]()

    def __call__(self, connection: sa.Connection, names: Any) -> None:
        self.sizes.append(len(names))
        for name in names:
            (broken if name == "broken" else note(self._store, name))(connection)


def test_what_can_wait_is_written_at_once_and_in_order_with_what_cannot(store: Store) -> None:
    writer, group = Writer(store, gather_s=60.0), Gathered(store)

    async def run() -> None:
        for name in "abc":
            writer.gather(group, name)
        await asyncio.sleep(0.05)
        assert noted(store) == []
        await writer.do(note(store, "d"))
        writer.gather(group, "e")

    asyncio.run(run())
    assert noted(store) == ["a", "b", "c", "d"]
    assert group.sizes == [3]
    writer.close()  # waits for nothing
    assert noted(store) == ["a", "b", "c", "d", "e"]
    assert writer.counts == (0, 5, 0, 0, 2)


def test_what_can_wait_waits_no_longer_than_it_may(store: Store) -> None:
    writer, group = Writer(store, gather_s=0.05, max_batch=3), Gathered(store)
    writer.gather(group, "a")
    until(lambda: noted(store) == ["a"])
    for name in "bcd":
        writer.gather(group, name)  # a full batch need not wait
    until(lambda: noted(store) == ["a", "b", "c", "d"])
    assert group.sizes[0] == 1
    writer.close()


def test_one_that_fails_among_gathered_ones_undoes_itself_alone(store: Store) -> None:
    writer, group = Writer(store, gather_s=60.0), Gathered(store)
    for name in ("a", "broken", "b"):
        writer.gather(group, name)
    writer.close()
    assert noted(store) == ["a", "b"]
    assert (writer.counts.n_done, writer.counts.n_lost) == (2, 1)


def test_one_that_fails_undoes_itself_alone(store: Store, writer: Writer) -> None:
    """Under load, and whether the database or the operation refuses."""

    def half(connection: sa.Connection) -> None:
        note(store, "half")(connection)
        raise LookupError("my own")

    async def run() -> list[Any]:
        jobs: list[Any] = []
        for i in range(400):
            operation = half if i % 40 == 7 else broken if i % 40 == 23 else note(store, str(i))
            jobs.append(asyncio.create_task(writer.do(operation)))
            if i % 90 == 0:
                await asyncio.sleep(0.003)
        return await asyncio.gather(*jobs, return_exceptions=True)

    outcomes = asyncio.run(run())
    for i, outcome in enumerate(outcomes):
        kind = {7: LookupError, 23: DatabaseError}.get(i % 40, str)
        assert type(outcome) is kind, (i, outcome)
    assert noted(store) == [str(i) for i in range(400) if i % 40 not in (7, 23)]
    assert writer.counts[:4] == (0, 380, 20, 0)
    assert writer.counts.n_commits < 100


def test_odd_errors_reach_whoever_waits(writer: Writer) -> None:
    def ends(connection: sa.Connection) -> None:
        next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(writer.do(ends))


def test_what_nobody_waits_for_is_written_too_and_its_failure_is_told(
    store: Store, writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    def speaks(connection: sa.Connection) -> None:
        raise ValueError("the prompt was: hunter2")

    with caplog.at_level(logging.ERROR):
        for operation in (note(store, "one"), speaks, broken, note(store, "two")):
            writer.put(operation)
        writer.close()
    assert noted(store) == ["one", "two"]
    assert writer.counts[:4] == (0, 2, 2, 2)
    assert "lost" in caplog.text
    assert "hunter2" not in caplog.text


def test_closing_writes_what_is_waiting(store: Store) -> None:
    writer, gate = Writer(store, max_batch=10), Gate()
    writer.put(gate)
    assert gate.entered.wait(20)
    for i in range(95):
        writer.put(note(store, str(i)))
    gate.opened.set()
    writer.close()
    writer.close()
    assert len(noted(store)) == 95
    with pytest.raises(WriterBusy, match="ending"):
        asyncio.run(writer.do(note(store, "late")))
    writer.put(note(store, "late"))
    assert writer.counts.n_lost == 1


def test_too_many_are_refused_and_counted(store: Store) -> None:
    writer, gate = Writer(store, max_waiting=3), Gate()
    writer.put(gate)
    assert gate.entered.wait(20)
    for i in range(5):
        writer.put(note(store, str(i)))
    with pytest.raises(WriterBusy, match="3 writes are waiting"):
        asyncio.run(writer.do(note(store, "more")))
    gate.opened.set()
    writer.close()
    assert noted(store) == ["0", "1", "2"]
    assert writer.counts == (0, 4, 2, 2, 2)


def test_a_caller_that_gives_up_disturbs_nobody(store: Store, writer: Writer) -> None:
    async def run() -> None:
        gate = Gate()
        first = asyncio.create_task(writer.do(gate))
        await asyncio.to_thread(gate.entered.wait, 20)
        given_up = asyncio.create_task(writer.do(note(store, "given up")))
        other = asyncio.create_task(writer.do(note(store, "other")))
        await asyncio.sleep(0)
        given_up.cancel()
        gate.opened.set()
        await asyncio.gather(first, other)

    asyncio.run(run())
    assert noted(store) == ["given up", "other"]


def test_several_event_loops_share_a_writer(store: Store, writer: Writer) -> None:
    async def run(name: str) -> list[str]:
        return await asyncio.gather(*(writer.do(note(store, f"{name}{i}")) for i in range(20)))

    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda n=name: found.append(asyncio.run(run(n)))) for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, found)) == [20, 20]
    assert len(noted(store)) == 40


def test_a_locked_database_fails_those_who_wait_and_then_works_again(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    with open_store(path, busy_timeout_s=0.1) as store:
        writer = Writer(store)
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")

        async def both() -> list[Any]:
            jobs = [writer.do(note(store, name)) for name in "ab"]
            return await asyncio.gather(*jobs, return_exceptions=True)

        failures = asyncio.run(both())
        assert [type(failure) for failure in failures] == [DatabaseError] * 2
        assert "locked" in str(failures[0])
        lock.rollback()
        lock.close()
        assert asyncio.run(both()) == ["a", "b"]
        writer.close()
        assert noted(store) == ["a", "b"]


def test_closing_while_the_database_is_away_does_not_wait_for_each_batch(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    with open_store(path, busy_timeout_s=1.0) as store:
        writer = Writer(store, max_batch=1)
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        for i in range(100):
            writer.put(note(store, str(i)))
        writer.close()  # one wait for the lock, or two, not a hundred
        lock.rollback()
        lock.close()
        assert writer.counts[:4] == (0, 0, 100, 100)


def test_what_nobody_waits_for_is_tried_again_until_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    with open_store(path, busy_timeout_s=0.05) as store:
        writer = Writer(store)
        assert writer.trouble is None
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        for name in "abc":
            writer.put(note(store, name))
        until(lambda: writer.trouble is not None)
        assert "writes could not be made yet" in str(writer.trouble)
        with pytest.raises(DatabaseError, match="locked"):
            asyncio.run(writer.do(note(store, "waited for")))
        lock.rollback()
        lock.close()
        until(lambda: writer.trouble is None)
        assert sorted(noted(store)) == ["a", "b", "c"]
        assert writer.counts[:4] == (0, 3, 1, 0)
        writer.close()


def test_a_write_that_somebody_waits_for_brings_the_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the database is back, what is owed is written at once."""
    monkeypatch.setattr(writing, "_AGAIN_S", 3600.0)
    path = tmp_path / "gateway.db"
    with open_store(path, busy_timeout_s=0.05) as store:
        writer = Writer(store)
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        writer.put(note(store, "owed"))
        until(lambda: writer.trouble is not None)
        lock.rollback()
        lock.close()
        asyncio.run(writer.do(note(store, "new")))
        until(lambda: writer.trouble is None)
        assert noted(store) == ["new", "owed"]
        writer.close()


def test_what_is_owed_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_MOST_KEPT", 3)
    path = tmp_path / "gateway.db"
    with open_store(path, busy_timeout_s=0.05) as store:
        writer = Writer(store)
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        for i in range(8):
            writer.put(note(store, str(i)))
        until(lambda: writer.counts.n_lost == 5)
        lock.rollback()
        lock.close()
        writer.close()
        assert len(noted(store)) == 3
        assert writer.counts[:4] == (0, 3, 5, 5)


def test_a_transaction_that_does_not_end_is_trouble(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_STUCK_S", 0.05)
    gate = Gate()
    writer.put(gate)
    assert gate.entered.wait(20)
    until(lambda: writer.trouble is not None)
    assert writer.stuck_s > 0.05
    gate.opened.set()
    until(lambda: writer.trouble is None)
    assert writer.stuck_s == 0


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
def test_a_server_that_ends_the_connection_fails_the_batch_and_is_found_again(
    store: Store, writer: Writer
) -> None:
    def cut(connection: sa.Connection) -> None:
        note(store, "cut")(connection)
        connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))

    names = [note(store, "a"), note(store, "b")]
    # At first sight, and when the others run apart from one that failed.
    for others in ([names[0], cut, names[1]], [broken, cut, names[1]]):
        outcomes = asyncio.run(batch(writer, *others))
        assert [type(outcome) for outcome in outcomes] == [DatabaseError] * 3
        assert asyncio.run(batch(writer, *names)) == ["a", "b"]
    assert noted(store) == ["a", "b", "a", "b"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_fails_what_does_not_fit_and_says_so(store: Store, writer: Writer) -> None:
    def fill(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # as few as there are
        try:
            event = Event(kind="x" * 1_000_000, what={}, created_at=NOON)
            store.log.add_event(connection, event)
        finally:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")

    one, two, three = asyncio.run(batch(writer, note(store, "a"), fill, note(store, "b")))
    assert isinstance(two, DatabaseError)
    assert "disk is full" in str(two)
    kept = [name for name, said in (("a", one), ("b", three)) if said == name]
    assert noted(store) == kept
    assert asyncio.run(batch(writer, note(store, "c"))) == ["c"]


KILLED = """
import asyncio, sys
from rlfocal.gateway.store import Event, Writer, open_store
async def main():
    store = open_store(sys.argv[1])
    writer = Writer(store)
    async def one(i):
        event = Event(kind=str(i), what={}, created_at=0.0)
        await writer.do(lambda connection: store.log.add_event(connection, event))
        print(i, flush=True)
    for start in range(0, 100_000, 20):
        await asyncio.gather(*(one(i) for i in range(start, start + 20)))
asyncio.run(main())
"""


def test_what_was_acknowledged_outlives_a_kill(database_url: str) -> None:
    command = [sys.executable, "-c", KILLED, database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        said = [program.stdout.readline() for _ in range(300)]
        program.kill()
        said += program.stdout.readlines()
    whole = {line.strip() for line in said if line.endswith("\n")}
    with open_store(database_url) as store:
        assert whole <= set(noted(store))
        assert len(whole) >= 300
