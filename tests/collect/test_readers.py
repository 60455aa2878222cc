"""Collecting members that read one another: in order, with what they were shown, paid for once."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from rlfocal.collect import feed as feed_module
from rlfocal.collect import plan as plan_module
from rlfocal.collect.collector import Collector, Limits, Tally
from rlfocal.collect.plan import Plan, make_plan
from rlfocal.collect.readings import Readings
from rlfocal.errors import ConfigError
from rlfocal.grading import Grader
from rlfocal.pool.asking.question import Said as Replied
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.pool.stub import Said, StubServer, prompt_of
from rlfocal.records import build_table
from rlfocal.records.canonical import canonical_queries
from rlfocal.records.database import (
    Database,
    export_dataset,
    import_dataset,
    key_of,
    open_database,
    shown_key_of,
)
from rlfocal.records.database.schema import responses
from rlfocal.records.schema import DatasetInfo, normalise_queries

POOL = """
[endpoints.stub]
base_url = "{url}"
attempts = 1
timeout_s = 30

[prices.stub]
prompt = 1
completion = 1

[[members]]
name = "judge"
endpoint = "stub"
model = "stub"
system = "judge"
reads = ["a", "b"]
reading = "judge"
samples = 2

[[members]]
name = "a"
endpoint = "stub"
model = "stub"
system = "a"

[[members]]
name = "b"
endpoint = "stub"
model = "stub"
system = "b"
temperature = 1.0
samples = 3

[[members]]
name = "last"
endpoint = "stub"
model = "stub"
system = "last"
reads = ["judge", "b"]
first = true
reading = "debate"
"""
N_CALLS = 2 + 1 + 3 + 1 + 1
"""Of one query: judge, a, b, last-first, last."""


def sums(n: int) -> pa.Table:
    rows = {"query_id": [f"q{k}" for k in range(n)], "prompt": [f"{k} + 1 =" for k in range(n)]}
    return normalise_queries(pa.table(rows | {"label": [str(k + 1) for k in range(n)]}))


def who(body: Mapping[str, Any]) -> str:
    return str(body["messages"][0]["content"])


def says(body: Mapping[str, Any]) -> Said:
    """The judge names the first it sees; b errs in every third of its samples; others are right."""
    right = eval(prompt_of(body).partition("=")[0])
    if who(body) == "judge":
        return Said("1")
    wrong = who(body) == "b" and random.Random(body["seed"]).random() < 0.3
    return Said(f"I, {who(body)}, say {right + wrong}.")


def pool_of(folder: Path, url: str, change: Callable[[str], str] = str) -> PoolSettings:
    path = folder / "pool.toml"
    path.write_text(change(POOL.format(url=url)))
    return read_pool(path)


@pytest.fixture(autouse=True)
def _short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_POLL_S", 0.01)


@pytest.fixture
def database(tmp_path: Path) -> Iterable[Database]:
    with open_database(tmp_path / "answers.db") as opened:
        yield opened


def plan_of(pool: LivePool, database: Database, n: int, samples: int | None = None) -> Plan:
    keys = [database.add_member(m.name, m.identity) for m in pool.members]
    asked = canonical_queries(sums(n), DatasetInfo(answers="number")).queries
    plan = make_plan(asked, pool.members, keys, samples=samples)
    database.add_queries(plan.queries)
    return plan


async def collect(
    settings: PoolSettings,
    database: Database,
    n: int = 6,
    *,
    members: Sequence[str] | None = None,
    limits: Limits | None = None,
    **options: Any,
) -> Tally:
    async with LivePool(settings, settings.select(members)) as pool:
        plan = plan_of(pool, database, n)
        found = Collector(plan, database, Grader("number"), limits=limits or Limits(8), **options)
        return await asyncio.wait_for(found.run(), 120)


def rows_of(database: Database, member: str) -> list[dict[str, Any]]:
    statement = sa.select(responses).where(responses.c.member == member)
    statement = statement.order_by(responses.c.query_id, responses.c.sample)
    with database.connections.read() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


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


def test_several_collectors_share_readers_and_pay_once(tmp_path: Path) -> None:
    async def run() -> tuple[list[Tally], StubServer]:
        draw = random.Random(0)
        async with StubServer(says, latency_s=lambda: draw.uniform(0, 0.02)) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            url = tmp_path / "answers.db"
            with open_database(url) as one, open_database(url) as two, open_database(url) as three:
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


def test_estimates_bound_what_readers_will_be_shown(tmp_path: Path, database: Database) -> None:
    async def run() -> None:
        async with StubServer(says) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            async with LivePool(settings) as pool:
                plan = plan_of(pool, database, 4)
                whole = plan.estimate(None)
                assert plan.estimate(database) == whole
                assert (whole.n_calls, whole.n_stored, whole.n_unread) == (32, 0, 0)
                # Of each query three prompts of two replies and one of three, of 400 tokens each.
                assert whole.n_prompt_tokens > 4 * (2 * 2 + 3) * 400
                tally = await collect(settings, database, 4, limits=Limits(4, max_calls=25))
                left = plan.estimate(database)
                assert (left.n_calls, left.n_stored) == (32 - 25, 25)
                assert left.most_usd <= whole.most_usd
                paid = tally.cost_usd
                tally = await collect(settings, database, 4)
                assert tally.cost_usd <= left.most_usd
                assert paid + tally.cost_usd <= whole.most_usd
                done = plan.estimate(database)
                assert (done.n_calls, done.n_stored) == (0, 32)

    asyncio.run(run())


def test_no_reply_makes_a_longer_prompt_than_the_estimate_allows(
    tmp_path: Path, database: Database
) -> None:
    settings = pool_of(tmp_path, "http://127.0.0.1:9/v1")
    plan = plan_of(LivePool(settings), database, 1)
    waiting = {
        (plan.members[call.member].name, call.sample): call
        for call in Readings(plan, None).resolve(list(plan.calls())).waiting
    }
    assert set(waiting) == {("judge", 0), ("judge", 1), ("last", 0)}
    for call in waiting.values():
        bound = plan.most_usd(call)
        assert bound is not None
        assert call.shown is not None
        for text in ("x" * 1600, "<s>" * 600, "<|im_end|>" * 200, "\U00010000" * 5000, "é" * 1601):
            said = {name: Replied(text, None) for name in call.shown}
            ready = plan.shown(said, call)
            assert ready is not None
            assert (plan.most_usd(ready) or 0) <= bound


def test_failures_of_those_who_are_read_count_in_estimates(
    tmp_path: Path, database: Database
) -> None:
    def answer(body: Mapping[str, Any]) -> Said:
        return Said("") if who(body) in ("a", "b") else says(body)

    async def run() -> None:
        async with StubServer(answer) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            await collect(settings, database, 2)
            plan = plan_of(LivePool(settings), database, 2)
            left = plan.estimate(database)
            assert (left.n_calls, left.n_stored, left.n_failed, left.n_unread) == (0, 4, 8, 4)
            again = plan.estimate(database, retry_failed=True)
            # last reads b: what it will be shown is not known any more.
            assert (again.n_calls, again.n_stored, again.n_failed, again.n_unread) == (14, 2, 0, 0)

    asyncio.run(run())


def test_a_reader_without_those_whom_it_reads_is_refused(
    tmp_path: Path, database: Database
) -> None:
    settings = pool_of(tmp_path, "http://127.0.0.1:9/v1")
    with pytest.raises(ConfigError, match=r"member 'judge' reads 'a', .*\(judge, b\); name 'a'"):
        asyncio.run(collect(settings, database, members=["judge", "b"]))


def test_samples_beyond_both_orders_need_a_temperature(tmp_path: Path, database: Database) -> None:
    settings = pool_of(tmp_path, "http://127.0.0.1:9/v1")
    pool = LivePool(settings, settings.select(["a", "b", "judge"]))
    with pytest.raises(ConfigError, match="member 'a' has temperature = 0"):
        plan_of(pool, database, 1, samples=2)

    def change(text: str) -> str:
        return re.sub(r'(system = "a")', r"\1\ntemperature = 1.0", text)

    settings = pool_of(tmp_path, "http://127.0.0.1:9/v1", change)
    pool = LivePool(settings, settings.select(["a", "b", "judge"]))
    assert plan_of(pool, database, 1, samples=2).n_calls == 6
    with pytest.raises(ConfigError, match="member 'judge' has temperature = 0"):
        plan_of(pool, database, 1, samples=3)


def exported(database: Database) -> dict[tuple[str, str], dict[str, Any]]:
    rows = export_dataset(database).responses.to_pylist()
    return {(row["query_id"], row["member"]): row for row in rows}


def test_what_was_collected_is_exported_imported_and_exported_again(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with StubServer(says) as stub:
            await collect(pool_of(tmp_path, stub.base_url), database)

    asyncio.run(run())
    data = export_dataset(database)
    assert {name: info.model_dump() for name, info in data.info.readers.items()} == {
        "judge": {"reads": ["a", "b"], "first": None, "reading": "judge"},
        "last": {"reads": ["b", "judge"], "first": "last-first", "reading": "debate"},
    }
    rows = {(row["query_id"], row["member"]): row for row in data.responses.to_pylist()}
    for k in range(6):
        judge, last, a = (rows[f"q{k}", name] for name in ("judge", "last", "a"))
        assert judge["verdicts"] == [0, 0]
        assert sorted(map(sorted, judge["shown"])) == [["a", "b"], ["a", "b"]]
        assert judge["samples"] == [rows[f"q{k}", shown[0]]["answer"] for shown in judge["shown"]]
        assert sorted(last["shown"][0]) == ["b", "judge"]
        assert last["verdicts"] is None
        assert a["shown"] is None
    with open_database(tmp_path / "other.db") as other:
        assert import_dataset(other, data) == 6 * 5
        back = export_dataset(other)
        assert (back.digest(), back.info.readers) == (data.digest(), data.info.readers)
        assert import_dataset(other, back) == 0
        with pytest.raises(ConfigError, match="member 'judge' reads 'a', which is not to be exp"):
            export_dataset(other, members=["judge", "b"])
        fewer = export_dataset(other, members=["a", "judge", "b"])
        assert list(fewer.info.readers) == ["judge"]
    with pytest.raises(ConfigError, match="member 'judge' reads 'a', which is not to be exported"):
        export_dataset(database, members=["judge", "b"])
    assert list(export_dataset(database, members=["a", "b"]).info.readers) == []
    assert not [line for line in caplog.messages if "left out" in line]


def test_replies_to_what_was_said_before_are_not_exported(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with StubServer(says) as stub:
            await collect(pool_of(tmp_path, stub.base_url), database, 3)
            before = exported(database)

            def change(text: str) -> str:
                return text.replace('system = "a"', 'system = "a2"')

            await collect(pool_of(tmp_path, stub.base_url, change), database, 3)
            caplog.clear()
            after = exported(database)
            assert [line for line in caplog.messages if "left out" in line] == [
                f"{database}: 6 replies of readers are left out, since those whom they read say "
                "something else by now; `rlfocal collect` asks them again"
            ]
            assert after.keys() == before.keys()
            judged = [row for row in rows_of(database, "judge") if row["query_id"] == "q0"]
            assert len(judged) == 4
            assert len(after["q0", "judge"]["samples"]) == 2
            # Of the new a without the judge's new replies nothing of the judge is of use.
            with database.connections.write() as connection:
                newest = sorted(judged, key=lambda row: row["created_at"])[2:]
                keys = [row["key"] for row in newest]
                connection.execute(responses.delete().where(responses.c.key.in_(keys)))
            fewer = exported(database)
            # Who has read the judge was told of it.
            assert before.keys() - fewer.keys() == {("q0", "judge"), ("q0", "last")}

    asyncio.run(run())


def test_who_never_replied_is_read_by_nobody_in_the_export(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(body: Mapping[str, Any]) -> Said:
        return Said("") if who(body) == "a" else says(body)

    async def run() -> None:
        async with StubServer(answer) as stub:
            await collect(pool_of(tmp_path, stub.base_url), database, 3)

    asyncio.run(run())
    data = export_dataset(database)
    assert data.info.readers["judge"].inputs == ["b"]
    assert "a" not in data.members
    assert len([row for row in data.responses.to_pylist() if row["member"] == "judge"]) == 3
    assert any("reads 'a', who never replied; that is left out" in line for line in caplog.messages)


def test_pairs_are_exported_whoever_is_absent(tmp_path: Path, database: Database) -> None:
    def change(text: str) -> str:
        text = text.replace(
            'reads = ["a", "b"]\nreading = "judge"\nsamples = 2',
            ('reads = ["a", "b", "last-first"]\nreading = "pairwise"\nsamples = 6'),
        )
        return text

    def answer(body: Mapping[str, Any]) -> Said:
        absent = who(body) == "a" and prompt_of(body).startswith("1 + 1")
        return Said("") if absent else says(body)

    async def run() -> None:
        async with StubServer(answer) as stub:
            settings = pool_of(tmp_path, stub.base_url, change)
            tally = await collect(settings, database, 3)
            assert tally.n_answered == 3 * (N_CALLS + 4) - 1

    asyncio.run(run())
    rows = exported(database)
    for k in (0, 2):
        shown = {tuple(pair) for pair in rows[f"q{k}", "judge"]["shown"]}
        assert shown == {
            (x, y) for x in ("a", "b", "last-first") for y in ("a", "b", "last-first") if x != y
        }
    absent = rows["q1", "judge"]
    assert sorted(map(len, absent["shown"])) == [1, 1, 1, 1, 2, 2]
    assert absent["verdicts"] == [0] * 6


def test_keys_of_members_that_read_nobody_are_what_they_were() -> None:
    query, settings = "0" * 64, "1" * 64
    assert key_of(query, "m", settings, 2)[:16] == "22777d8c98093adb"
    shown = shown_key_of([["one", "two"], None, 0])
    assert shown[:16] == "292a36b071d89062"
    assert key_of(query, "m", settings, 2, shown)[:16] == "a0734d088b2b5888"


def test_open_answers_judged_by_a_scorer_become_candidates_that_judges_back(
    tmp_path: Path, database: Database
) -> None:
    """Essays: of no use as answers, worth by their length; the judge takes what it sees first."""
    lines = [f"Of line {k} this essay says that it goes on{' and on' * 60}." for k in range(9)]

    def essay(body: Mapping[str, Any]) -> Said:
        if who(body) == "judge":
            return Said("Reply 1.")
        return Said("\n".join(lines[: 9 if who(body) == "b" else 5]))

    async def run() -> None:
        async with StubServer(essay) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            async with LivePool(settings, settings.select(["a", "b", "judge"])) as pool:
                keys = [database.add_member(m.name, m.identity) for m in pool.members]
                queries = sums(3).drop_columns("label")
                plan = make_plan(normalise_queries(queries), pool.members, keys)
                database.add_queries(plan.queries)
                grader = Grader("text", scorer=lambda _, text: text.count("\n") / 8)
                tally = await Collector(plan, database, grader, limits=Limits(8)).run()
                assert tally.complete

    asyncio.run(run())
    data = export_dataset(database)
    table = build_table(data)
    a, b, judge = (table.members.index(name) for name in ("a", "b", "judge"))
    assert table.kind.tolist() == [2] * 3
    assert table.member_score[:, a].tolist() == [0.5] * 3
    assert table.member_score[:, b].tolist() == [1.0] * 3
    rows = {row["query_id"]: row for row in data.responses.to_pylist() if row["member"] == "judge"}
    for q, name in enumerate(table.query_ids.tolist()):
        first = rows[name]["shown"][0][0]
        assert table.support[q, judge, [a, b]].tolist() == [0.5, 0.5]  # once each
        assert table.answer[q, judge] == table.members.index(first)
        assert rows[name]["score"] == (1.0 if first == "b" else 0.5)
        assert table.member_score[q, judge] == rows[name]["score"]
