"""A database that fails for a while, or for good: nothing that came is dropped before the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rlfocal.collect import writing
from rlfocal.collect.writing import Outcome, Unmade, Writer
from rlfocal.errors import DatabaseError
from rlfocal.records.database import Database, StoredError, StoredResponse, open_database


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_AGAIN_S", 0.01)
    monkeypatch.setattr(writing, "_LAST_WAITS_S", (0.01, 0.01))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "answers.db") as opened:
        yield opened


class Failing:
    """Refuses writes while `is_full`, or those of the replies named."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full, self.refused = True, set[str]()
        self.n_tries, self.often = 0, threading.Event()
        store = Database.add_responses

        def add(database: Database, rows: Sequence[StoredResponse]) -> int:
            self.n_tries += 1
            if self.n_tries == 5:
                self.often.set()
            if self.is_full or self.refused & {row.query_id for row in rows}:
                raise DatabaseError("the disk is full")
            return store(database, rows)

        monkeypatch.setattr(Database, "add_responses", add)


class Told:
    """What a writer says."""

    def __init__(self) -> None:
        self.stored: list[Outcome] = []
        self.troubles: list[str] = []
        self.all_stored = asyncio.Event()

    def writer(self, database: Database) -> Writer:
        return Writer(
            database,
            "me",
            on_stored=self.store,
            on_trouble=lambda exc: self.troubles.append(str(exc)),
        )

    def store(self, batch: Sequence[Outcome]) -> None:
        self.stored.extend(batch)
        if len(self.stored) == 4:
            self.all_stored.set()


def reply(name: str) -> StoredResponse:
    return StoredResponse(query_key=name, query_id=name, member="m", settings_key="s", text="4")


def test_it_lets_go_of_who_waits_and_tries_again_until_it_works(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        failing, told = Failing(monkeypatch), Told()
        writer = told.writer(database)
        task = asyncio.create_task(writer.run())
        await asyncio.gather(*(writer.keep(reply(f"q{k}")) for k in range(3)))
        assert told.stored == []
        assert told.troubles == ["the disk is full"]
        await writer.keep(reply("late"))  # does not wait any more
        assert await asyncio.to_thread(failing.often.wait, 60)
        failing.is_full = False
        async with asyncio.timeout(60):
            await told.all_stored.wait()
        task.cancel()
        await writer.finish()
        assert sorted(item.query_id for item in told.stored) == ["late", "q0", "q1", "q2"]  # type: ignore[union-attr]
        assert len(told.troubles) == 1

    asyncio.run(run())
    assert database.spent().n_calls == 4


def test_one_that_is_refused_takes_no_others_with_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> tuple[Outcome, ...]:
        failing, told = Failing(monkeypatch), Told()
        failing.is_full, failing.refused = False, {"q1"}
        writer = told.writer(database)
        task = asyncio.create_task(writer.run())
        await asyncio.gather(*(writer.keep(reply(f"q{k}")) for k in range(3)))
        task.cancel()
        await writer.finish()
        return writer.left

    assert [item.query_id for item in asyncio.run(run())] == ["q1"]  # type: ignore[union-attr]
    assert database.spent().n_calls == 2


def test_given_up_it_stores_at_once_what_it_can(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> Writer:
        failing, told = Failing(monkeypatch), Told()
        writer = told.writer(database)
        waiting = [asyncio.create_task(writer.keep(reply(f"q{k}"))) for k in range(3)]
        await asyncio.sleep(0)
        failing.is_full = False
        writer.store_now()
        await asyncio.gather(*waiting)
        return writer

    assert asyncio.run(run()).left == ()
    assert database.spent().n_calls == 3


def test_failures_are_stored_and_claims_of_what_was_not_made_given_back(database: Database) -> None:
    async def run() -> None:
        told = Told()
        writer = told.writer(database)
        task = asyncio.create_task(writer.run())
        failed = StoredError(key="k1", member="m", failure="empty")
        await asyncio.gather(writer.keep(failed), writer.keep(Unmade("k2")))
        task.cancel()
        await writer.finish()

    database.claim(["k1", "k2", "k3"], "me", 60)
    asyncio.run(run())
    assert [each.failure for each in database.failures()] == ["empty"]
    assert database.claim(["k1", "k2", "k3"], "another", 60) == {"k1", "k2"}
