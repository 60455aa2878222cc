"""Which calls a collector gets, beside others, and how little it remembers of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from rlfocal.collect import feed as feed_module
from rlfocal.collect import plan as plan_module
from rlfocal.collect.collector import Collector, Limits, Tally
from rlfocal.collect.feed import Feed
from rlfocal.collect.plan import Call, Plan, make_plan
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import StubServer
from rlfocal.records.database import Database, StoredError, StoredResponse, open_database
from rlfocal.records.schema import normalise_queries

POOL = """
[endpoints.one]
base_url = "{one}"
attempts = 1
[endpoints.two]
base_url = "{two}"
attempts = 1
[[members]]
name = "a"
endpoint = "one"
[[members]]
name = "b"
endpoint = "two"
"""
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "answers.db") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_POLL_S", 0.01)


def pool_of(folder: Path, one: str = NOWHERE, two: str = NOWHERE) -> LivePool:
    (folder / "pool.toml").write_text(POOL.format(one=one, two=two))
    return LivePool(read_pool(folder / "pool.toml"))


def plan_of(pool: LivePool, database: Database, n: int) -> Plan:
    keys = [database.add_member(m.name, m.identity) for m in pool.members]
    names, prompts = [f"q{k}" for k in range(n)], [f"{k} =" for k in range(n)]
    queries = normalise_queries(pa.table({"query_id": names, "prompt": prompts}))
    return make_plan(queries, pool.members, keys)


def feed_of(plan: Plan, database: Database, *, portion: int = 4, retry: bool = False) -> Feed:
    options = {"owner": "me", "lease_s": 60.0, "portion": portion, "retry_failed": retry}
    return Feed(plan, database, Tally(plan.n_calls), **options)  # type: ignore[arg-type]


def answer(plan: Plan, database: Database, call: Call) -> None:
    reply = StoredResponse(
        query_key=call.query_key,
        query_id=f"q{call.query}",
        member=plan.members[call.member].name,
        settings_key=plan.settings_keys[call.member],
        text="1",
    )
    assert reply.key == call.key
    database.add_responses([reply])


def fail(plan: Plan, database: Database, call: Call, owner: str = "me") -> None:
    name = plan.members[call.member].name
    database.add_errors([StoredError(key=call.key, member=name, failure="empty")])
    database.release([call.key], owner)


def run_through(
    feed: Feed,
    do: Callable[[Call], None],
    *,
    given_up: Callable[[int], bool] = lambda _: False,
) -> list[Call]:
    """Take all calls; `do` says what becomes of each."""

    async def go() -> list[Call]:
        taken = []
        async with aclosing(feed.calls(given_up)) as calls:
            async for call in calls:
                taken.append(call)
                do(call)
                feed.ended([call.key])
                assert len(feed._held) <= 4, "no more than is claimed at once"
        return taken

    return asyncio.run(asyncio.wait_for(go(), 120))


@pytest.mark.slow
def test_each_call_comes_once_in_the_plans_order(tmp_path: Path, database: Database) -> None:
    plan = plan_of(pool_of(tmp_path), database, 600)
    feed = feed_of(plan, database)
    taken = run_through(feed, lambda call: answer(plan, database, call))
    assert taken == list(plan.calls())
    assert feed.n_passes == 1


def test_calls_of_a_row_are_counted_once_where_another_collector_is_met(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of a block, in the middle of a row."""
    monkeypatch.setattr(plan_module, "BLOCK", 5)
    plan = plan_of(pool_of(tmp_path), database, 20)
    first, *others = plan.calls()
    for call in others:
        answer(plan, database, call)
    database.claim([first.key], "other", 0.5)
    feed = feed_of(plan, database)
    feed._place = 10
    assert run_through(feed, lambda call: answer(plan, database, call)) == [first]
    assert feed._tally.n_stored == len(others)


def test_what_others_hold_is_looked_at_again_until_it_is_settled(
    tmp_path: Path, database: Database
) -> None:
    """Of four calls of another collector one is answered, one fails, two are given back."""
    plan = plan_of(pool_of(tmp_path), database, 10)
    calls = list(plan.calls())
    theirs = calls[2:6]
    database.claim([call.key for call in theirs], "other", 60)
    feed = feed_of(plan, database)

    def do(call: Call) -> None:
        answer(plan, database, call)
        if call == calls[-1]:
            answer(plan, database, theirs[0])
            fail(plan, database, theirs[1], "other")
            database.release([call.key for call in theirs[2:]], "other")

    assert run_through(feed, do) == [*calls[:2], *calls[6:], *theirs[2:]]
    assert feed.n_passes == 2


@pytest.mark.parametrize("retry", [False, True])
def test_what_fails_is_not_tried_again_in_the_same_run(
    tmp_path: Path, database: Database, retry: bool
) -> None:
    plan = plan_of(pool_of(tmp_path), database, 10)
    calls = list(plan.calls())
    fail(plan, database, calls[0])
    fail(plan, database, calls[1])
    answer(plan, database, calls[1])
    answer(plan, database, calls[2])
    database.claim([calls[3].key], "other", 60)  # so there is a second pass
    feed = feed_of(plan, database, retry=retry)

    def do(call: Call) -> None:
        fail(plan, database, call)
        if call == calls[-1]:
            database.release([calls[3].key], "other")

    assert run_through(feed, do) == [*(calls[:1] if retry else []), *calls[4:], calls[3]]
    assert feed.n_passes == 2
    assert (feed._tally.n_stored, feed._tally.n_skipped) == (2, 0 if retry else 1)


def test_who_is_given_up_is_not_claimed(tmp_path: Path, database: Database) -> None:
    plan = plan_of(pool_of(tmp_path), database, 50)
    feed = feed_of(plan, database)
    taken = run_through(
        feed, lambda call: answer(plan, database, call), given_up=lambda member: member == 1
    )
    assert [call.member for call in taken] == [0] * 50


@pytest.mark.slow
def test_a_collector_holds_on_to_nothing(tmp_path: Path, database: Database) -> None:
    """Neither to calls that are over nor to those of a member that was given up."""
    held: list[int] = []

    async def run() -> Tally:
        async with (
            StubServer(lambda _: "1") as good,
            StubServer(key="right") as locked,
            pool_of(tmp_path, good.base_url, locked.base_url) as pool,
        ):
            plan, grader = plan_of(pool, database, 700), Grader("number")
            collector = Collector(plan, database, grader, limits=Limits(4))
            collector._on_progress = lambda _: held.append(len(collector._feed._held))
            return await collector.run()

    tally = asyncio.run(run())
    assert (tally.n_answered, list(tally.dropped)) == (700, ["b"])
    # Claimed at once, waiting, under way.
    assert max(held) <= 8 + 4 + 4
    assert database.owners() == []


def test_slow_calls_do_not_make_the_next_look_late(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long to wait between two passes goes by the looking, not by the calls in between."""
    plan = plan_of(pool_of(tmp_path), database, 4)
    calls = list(plan.calls())
    database.claim([calls[0].key], "other", 60)
    feed = feed_of(plan, database)
    now, slept, sleep = [0.0], list[float](), asyncio.sleep

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(feed_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(asyncio, "sleep", note)

    def do(call: Call) -> None:
        now[0] += 300.0
        answer(plan, database, call)
        if call == calls[-1]:
            database.release([calls[0].key], "other")

    assert run_through(feed, do)[-1] == calls[0]
    assert slept == [feed_module._POLL_S]


def test_to_look_takes_no_lock_where_all_is_taken(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To claim would make all writers wait."""
    plan = plan_of(pool_of(tmp_path), database, 30)
    calls = list(plan.calls())
    database.claim([call.key for call in calls], "other", 1.0)
    n_claims, claim = 0, Database.claim

    def count(self: Database, *args: Any) -> set[str]:
        nonlocal n_claims
        n_claims += 1
        return claim(self, *args)

    monkeypatch.setattr(Database, "claim", count)
    feed = feed_of(plan, database)
    assert set(run_through(feed, lambda call: answer(plan, database, call))) == set(calls)
    assert n_claims <= len(calls) // 4 + feed.n_passes
