"""Collecting members that read one another: in order, and paid for once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from judge_pool import N_CALLS, collect, plan_of, pool_of, rows_of, says, who

from rlfocal.collect import feed as feed_module
from rlfocal.collect import plan as plan_module
from rlfocal.collect.collector import Collector, Limits, Tally
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.stub import Said, StubServer, prompt_of
from rlfocal.records.database import (
    Database,
    open_database,
)


@pytest.fixture(autouse=True)
def _short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_POLL_S", 0.01)


@pytest.fixture
def database(tmp_path: Path) -> Iterable[Database]:
    with open_database(tmp_path / "answers.db") as opened:
        yield opened


def test_readers_are_asked_after_those_whom_they_read_and_paid_for_once(
    tmp_path: Path, database: Database
) -> None:
    async def run() -> StubServer:
        async with StubServer(says, latency_s=0.002) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            tally = await collect(settings, database)
            assert (tally.n_calls, tally.n_answered, tally.complete) == (48, 48, True)
            assert (tally.n_unread, tally.n_skipped, tally.stopped) == (0, 0, None)
            again = await collect(settings, database)
            assert (again.n_stored, again.n_answered, again.complete) == (48, 0, True)
            return stub

    stub = asyncio.run(run())
    assert len(stub.bodies) == 48
    for row in rows_of(database, "judge"):
        right = str(int(row["query_id"][1:]) + 1)
        assert sorted(row["shown"]) == ["a", "b"]
        assert (row["verdict"], row["answer"], row["score"]) == (0, right, 1.0)
    judged = rows_of(database, "judge")
    for one, other in zip(judged[::2], judged[1::2], strict=True):
        assert one["shown"] == other["shown"][::-1]  # both orders
    for row in rows_of(database, "last"):
        assert sorted(row["shown"]) == ["b", "judge"]
        assert row["shown_key"]
        assert row["verdict"] is None
    assert all(row["shown"] is None and row["shown_key"] is None for row in rows_of(database, "a"))


def test_the_typical_reply_of_several_is_shown_whole(tmp_path: Path, database: Database) -> None:
    async def run() -> StubServer:
        async with StubServer(says) as stub:
            await collect(pool_of(tmp_path, stub.base_url), database, 20)
            return stub

    stub = asyncio.run(run())
    prompts = {
        int(prompt_of(body).split()[0]): prompt_of(body)
        for body in stub.bodies
        if who(body) == "last" and "Your own earlier reply" in prompt_of(body)
    }
    assert len(prompts) == 20
    n_not_first = 0
    for k in range(20):
        said = [row for row in rows_of(database, "b") if row["query_id"] == f"q{k}"]
        answers = [row["answer"] for row in said]
        typical = max(answers, key=lambda a: (answers.count(a), -answers.index(a)))
        n_not_first += typical != answers[0]
        text = said[answers.index(typical)]["text"]
        assert text in prompts[k]
        assert f"Your own earlier reply:\nI, last, say {k + 1}." in prompts[k]
    assert n_not_first > 0, "the case is there"


def test_who_failed_is_said_to_be_absent_and_who_comes_later_is_read_anew(
    tmp_path: Path, database: Database
) -> None:
    failing = True

    def answer(body: Mapping[str, Any]) -> Said:
        return Said("") if failing and who(body) == "a" else says(body)

    async def run() -> None:
        nonlocal failing
        async with StubServer(answer) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            tally = await collect(settings, database, 1)
            assert tally.failures == {"empty": 1}
            assert tally.n_answered == N_CALLS - 1
            judged = [prompt_of(body) for body in stub.bodies if who(body) == "judge"]
            assert all("(No reply came from 1 more.)" in prompt for prompt in judged)
            assert {tuple(row["shown"]) for row in rows_of(database, "judge")} == {("b",)}
            n_before = len(stub.bodies)
            same = await collect(settings, database, 1)
            assert (same.n_skipped, same.n_stored, same.n_answered) == (1, N_CALLS - 1, 0)
            assert len(stub.bodies) == n_before
            failing = False
            tally = await collect(settings, database, 1, retry_failed=True)
            assert tally.complete
            # a itself, the judge in both orders; what it names may be another reply now.
            assert tally.n_answered in (3, 4)
            assert tally.n_stored == N_CALLS - tally.n_answered

    asyncio.run(run())
    assert len(rows_of(database, "judge")) == 4, "what was paid for stays"


def test_nobody_is_asked_to_read_nothing(tmp_path: Path, database: Database) -> None:
    def answer(body: Mapping[str, Any]) -> Said:
        return Said("") if who(body) in ("a", "b") else says(body)

    async def run() -> None:
        async with StubServer(answer) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            for n_new in (6, 0):
                tally = await collect(settings, database, 3)
                assert tally.n_answered == n_new  # last and last-first: its own reply is there
                assert (tally.n_unread, tally.complete) == (6, False)
                assert tally.n_settled == tally.n_calls
            assert not [body for body in stub.bodies if who(body) == "judge"]

    asyncio.run(run())
    assert {tuple(row["shown"]) for row in rows_of(database, "last")} == {()}


def test_a_member_that_is_given_up_keeps_nobody_waiting(tmp_path: Path, database: Database) -> None:
    async def run() -> Tally:
        async with StubServer(says) as stub, StubServer(key="right") as locked:

            def change(text: str) -> str:
                text += f'\n[endpoints.locked]\nbase_url = "{locked.base_url}"\n'
                return text.replace(
                    'name = "a"\nendpoint = "stub"', 'name = "a"\nendpoint = "locked"'
                )

            return await collect(pool_of(tmp_path, stub.base_url, change), database, 30)

    tally = asyncio.run(run())
    assert list(tally.dropped) == ["a"]
    assert tally.n_answered == 30 * (N_CALLS - 1)
    assert tally.n_unread == 0


@pytest.mark.parametrize("most", [1, 7, 20, 47])
def test_limits_end_it_and_the_next_run_goes_on(
    tmp_path: Path, database: Database, most: int
) -> None:
    async def run() -> int:
        async with StubServer(says) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            tally = await collect(settings, database, limits=Limits(4, max_calls=most))
            assert (tally.n_answered, len(stub.bodies)) == (most, most)
            assert tally.stopped == f"--max-calls {most} reached"
            tally = await collect(settings, database)
            assert tally.complete
            return len(stub.bodies)

    assert asyncio.run(run()) == 48


def test_what_a_limit_leaves_is_of_use(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks of two queries: most queries that were begun are through all their stages."""
    monkeypatch.setattr(plan_module, "BLOCK", 2 * N_CALLS)

    async def run() -> None:
        async with StubServer(says, latency_s=0.005) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            await collect(settings, database, 40, limits=Limits(2, max_calls=20 * N_CALLS))

    asyncio.run(run())
    begun = {row["query_id"] for row in rows_of(database, "a")}
    through = {row["query_id"] for row in rows_of(database, "last")}
    assert through <= begun
    assert len(through) >= 8
    assert len(begun) < 32


def test_the_cap_on_dollars_is_kept_by_readers_too(tmp_path: Path, database: Database) -> None:
    async def run() -> Tally:
        async with StubServer(says, latency_s=0.002) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            return await collect(settings, database, limits=Limits(8, max_usd=0.003))

    tally = asyncio.run(run())
    assert tally.stopped is not None
    assert 0 < tally.cost_usd <= 0.003


def test_several_collectors_share_readers_and_pay_once(tmp_path: Path, database_url: str) -> None:
    async def run() -> tuple[list[Tally], StubServer]:
        draw = random.Random(0)
        async with StubServer(says, latency_s=lambda: draw.uniform(0, 0.02)) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            with (
                open_database(database_url) as one,
                open_database(database_url) as two,
                open_database(database_url) as three,
            ):
                tallies = await asyncio.gather(
                    *(collect(settings, database, 25) for database in (one, two, three))
                )
            return list(tallies), stub

    tallies, stub = asyncio.run(run())
    assert all(tally.complete for tally in tallies)
    assert sum(tally.n_answered for tally in tallies) == len(stub.bodies) == 25 * N_CALLS


def test_what_others_have_claimed_and_left_is_waited_for(
    tmp_path: Path, database: Database
) -> None:
    """A collector that died holds a's call for a while: its readers wait, and then go on."""

    async def run() -> Tally:
        async with StubServer(says) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            async with LivePool(settings) as pool:
                plan = plan_of(pool, database, 2)
            names = [member.name for member in plan.members]
            held = [call.key for call in plan.calls() if names[call.member] == "a"]
            database.claim(held, "somebody", 1.5)
            return await collect(settings, database, 2)

    tally = asyncio.run(run())
    assert tally.complete
    assert tally.n_answered == 2 * N_CALLS


def test_changed_inputs_are_read_anew_and_other_readers_are_not(
    tmp_path: Path, database: Database
) -> None:
    async def run() -> None:
        async with StubServer(says) as stub:
            await collect(pool_of(tmp_path, stub.base_url), database, 3)

            def change(text: str) -> str:
                return text.replace('system = "a"', 'system = "a2"')

            tally = await collect(pool_of(tmp_path, stub.base_url, change), database, 3)
            # a says who it is: its words are others now. Of those who read the judge, nobody is
            # asked anew, since the judge still says "1".
            assert (tally.n_answered, tally.n_stored) == (3 + 6, 3 * N_CALLS - 9)
            assert tally.complete

    asyncio.run(run())
    assert len(rows_of(database, "judge")) == 12


def test_replies_of_more_samples_than_planned_say_what_is_typical(
    tmp_path: Path, database: Database
) -> None:
    """As the export sees it, which takes all that is stored."""

    async def run() -> None:
        async with StubServer(says) as stub:
            await collect(pool_of(tmp_path, stub.base_url), database, 12)
            n_before = len(stub.bodies)

            def change(text: str) -> str:
                return text.replace("samples = 3", "samples = 1")

            tally = await collect(pool_of(tmp_path, stub.base_url, change), database, 12)
            assert (tally.n_answered, tally.complete) == (0, True)
            assert len(stub.bodies) == n_before

    asyncio.run(run())


def test_nothing_is_looked_up_again_before_a_call_has_ended(
    tmp_path: Path, database: Database
) -> None:
    """Three stages of half a second, 8 calls: a pass for each that has ended at most."""

    async def run() -> int:
        async with (
            StubServer(says, latency_s=0.5) as stub,
            LivePool(pool_of(tmp_path, stub.base_url)) as pool,
        ):
            plan = plan_of(pool, database, 1)
            collector = Collector(plan, database, Grader("number"), limits=Limits(8))
            assert (await asyncio.wait_for(collector.run(), 120)).complete
            return collector._feed.n_passes

    assert 3 <= asyncio.run(run()) <= N_CALLS + 2
