"""What readers will cost, what is stored of them, and what is exported."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from judge_pool import N_CALLS, collect, plan_of, pool_of, rows_of, says, sums, who

from rlfocal.collect import feed as feed_module
from rlfocal.collect.collector import Collector, Limits
from rlfocal.collect.counting import estimated
from rlfocal.collect.plan import make_plan
from rlfocal.collect.readings import Readings
from rlfocal.errors import ConfigError
from rlfocal.grading import Grader
from rlfocal.pool.asking.question import Said as Replied
from rlfocal.pool.building import LivePool
from rlfocal.pool.stub import Said, StubServer, prompt_of
from rlfocal.records import build_table
from rlfocal.records.database import (
    Database,
    export_dataset,
    import_dataset,
    key_of,
    open_database,
    shown_key_of,
)
from rlfocal.records.database.schema import responses
from rlfocal.records.schema import normalise_queries


@pytest.fixture(autouse=True)
def _short_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_POLL_S", 0.01)


@pytest.fixture
def database(tmp_path: Path) -> Iterable[Database]:
    with open_database(tmp_path / "answers.db") as opened:
        yield opened


def test_estimates_bound_what_readers_will_be_shown(tmp_path: Path, database: Database) -> None:
    async def run() -> None:
        async with StubServer(says) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            async with LivePool(settings) as pool:
                plan = plan_of(pool, database, 4)
                whole = estimated(plan, None)
                assert estimated(plan, database) == whole
                assert (whole.n_calls, whole.n_stored, whole.n_unread) == (32, 0, 0)
                # Of each query three prompts of two replies and one of three, of 400 tokens each.
                assert whole.n_prompt_tokens > 4 * (2 * 2 + 3) * 400
                tally = await collect(settings, database, 4, limits=Limits(4, max_calls=25))
                left = estimated(plan, database)
                assert (left.n_calls, left.n_stored) == (32 - 25, 25)
                assert left.most_usd <= whole.most_usd
                paid = tally.cost_usd
                tally = await collect(settings, database, 4)
                assert tally.cost_usd <= left.most_usd
                assert paid + tally.cost_usd <= whole.most_usd
                done = estimated(plan, database)
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
            left = estimated(plan, database)
            assert (left.n_calls, left.n_stored, left.n_failed, left.n_unread) == (0, 4, 8, 4)
            again = estimated(plan, database, retry_failed=True)
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


def test_a_reader_of_whom_nothing_is_of_use_any_more_is_no_member(
    tmp_path: Path, database: Database
) -> None:
    async def run() -> None:
        async with StubServer(says) as stub:
            await collect(pool_of(tmp_path, stub.base_url), database, 3)

            def change(text: str) -> str:
                return text.replace('system = "a"', 'system = "a2"')

            settings = pool_of(tmp_path, stub.base_url, change)
            await collect(settings, database, 3, members=["a", "b"])

    asyncio.run(run())
    data = export_dataset(database)
    assert set(data.members) == {"a", "b", "last-first"}
    assert data.select_members() == data.pools["all"] == ("a", "b", "last-first")
    assert data.info.readers == {}


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
