"""Collecting from a stub: everything is asked once, stored at once, and gone on with later."""

from __future__ import annotations

import asyncio
import math
import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rlfocal.collect.collector import Collector, Limits, Tally
from rlfocal.collect.counting import estimated
from rlfocal.collect.plan import Plan, make_plan
from rlfocal.errors import ConfigError
from rlfocal.grading import Grade, Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.pool.stub import Fault, Said, StubServer, prompt_of
from rlfocal.records.canonical import canonical_queries
from rlfocal.records.database import Database, StoredResponse, export_dataset, open_database
from rlfocal.records.schema import DatasetInfo, normalise_queries

QUERIES = normalise_queries(
    pa.table(
        {
            "query_id": ["q1", "q2", "q3", "q4"],
            "prompt": ["1 + 1 =", "2 + 2 =", "Which is wet?", "1 + 1 ="],
            "choices": [None, None, ["iron", "water"], None],
            "label": ["2", "4", "B", "2"],
        }
    )
)
"""The fourth reads like the first: it is not asked again."""


def sums(n: int) -> pa.Table:
    """Queries without labels."""
    names, prompts = [f"q{k}" for k in range(n)], [f"{k} =" for k in range(n)]
    return normalise_queries(pa.table({"query_id": names, "prompt": prompts}))


def solve(body: Mapping[str, Any]) -> Said:
    """Right on everything, as letters and as numbers."""
    prompt = prompt_of(body)
    if "wet" in prompt:
        return Said("The answer is (B).", logprobs={"A": -3.0, " B": -0.5})
    return Said(f"It is {eval(prompt.partition('=')[0])}.")


POOL = """
[endpoints.stub]
base_url = "{url}"
concurrency = {concurrency}
attempts = {attempts}
timeout_s = {timeout_s}

[prices.big]
prompt = 1000000
completion = 2000000

[[members]]
name = "a"
endpoint = "stub"
model = "big"
max_tokens = 8

[[members]]
name = "b"
endpoint = "stub"
model = "big"
answers = "option-scores"
temperature = 0.5
max_tokens = 8
"""


def pool_of(
    folder: Path, url: str, *, concurrency: int = 8, attempts: int = 1, timeout_s: float = 5
) -> PoolSettings:
    path = folder / "pool.toml"
    path.write_text(
        POOL.format(url=url, concurrency=concurrency, attempts=attempts, timeout_s=timeout_s)
    )
    return read_pool(path)


@pytest.fixture
def database(tmp_path: Path) -> Iterable[Database]:
    with open_database(tmp_path / "answers.db") as opened:
        yield opened


async def collect(
    settings: PoolSettings,
    database: Database,
    *,
    queries: pa.Table = QUERIES,
    samples: int | None = None,
    limits: Limits | None = None,
    meanwhile: Callable[[Collector], None] | None = None,
    **options: Any,
) -> tuple[Tally, Plan]:
    grader = Grader("number")
    async with LivePool(settings) as pool:
        keys = [database.add_member(m.name, m.identity) for m in pool.members]
        asked = canonical_queries(queries, DatasetInfo(answers="number")).queries
        plan = make_plan(asked, pool.members, keys, samples=samples)
        database.add_queries(plan.queries)
        collector = Collector(plan, database, grader, limits=limits or Limits(8), **options)
        if meanwhile is not None:
            meanwhile(collector)
        return await collector.run(), plan


def test_every_distinct_question_is_asked_once_of_every_member(
    tmp_path: Path, database: Database
) -> None:
    async def run() -> StubServer:
        async with StubServer(solve) as stub:
            tally, _ = await collect(pool_of(tmp_path, stub.base_url), database)
            assert (tally.n_calls, tally.n_answered, tally.complete) == (6, 6, True)
            again, _ = await collect(pool_of(tmp_path, stub.base_url), database)
            assert (again.n_stored, again.n_answered, again.complete) == (6, 0, True)
            return stub

    stub = asyncio.run(run())
    assert len(stub.bodies) == 6
    data = export_dataset(database)
    rows = {(r["query_id"], r["member"]): r for r in data.responses.to_pylist()}
    assert {key: row["answer"] for key, row in rows.items()} == {
        (q, m): {"q2": "4", "q3": "B"}.get(q, "2") for q in ("q1", "q2", "q3", "q4") for m in "ab"
    }
    assert all(row["score"] == 1.0 for row in rows.values())
    assert rows["q3", "b"]["choice_scores"] == [-3.0, -0.5]
    # Words count as the stub's tokens: "1 + 1 =" is four, "It is 2." three.
    assert rows["q1", "a"]["cost_usd"] == pytest.approx(4 * 1 + 3 * 2)


def test_changed_settings_are_asked_anew_and_changed_limits_are_not(
    tmp_path: Path, database: Database
) -> None:
    async def run() -> None:
        async with StubServer(solve) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            await collect(settings, database)
            slower = pool_of(tmp_path, stub.base_url, concurrency=1, timeout_s=9)
            tally, _ = await collect(slower, database)
            assert tally.n_answered == 0
            path = tmp_path / "pool.toml"
            path.write_text(path.read_text().replace('model = "big"\nmax', 'system = "x"\nmax'))
            tally, _ = await collect(read_pool(path), database)
            assert (tally.n_stored, tally.n_answered) == (3, 3)

    asyncio.run(run())


def test_failures_stand_apart_and_are_asked_for_again_on_request_only(
    tmp_path: Path, database: Database
) -> None:
    async def run() -> None:
        faults = [Fault("400"), None, Fault("empty"), Fault("broken-json")]
        async with StubServer(solve, faults=faults) as stub:
            settings = pool_of(tmp_path, stub.base_url, concurrency=1)
            tally, _ = await collect(settings, database, limits=Limits(1))
            assert tally.failures == {"bad-request": 1, "empty": 1, "malformed": 1}
            assert (tally.n_answered, tally.complete) == (3, False)
            tally, _ = await collect(settings, database)
            assert (tally.n_skipped, tally.n_answered) == (3, 0)
            tally, _ = await collect(settings, database, retry_failed=True)
            assert (tally.n_answered, tally.complete) == (3, True)
            assert len(stub.bodies) == 9

    asyncio.run(run())
    assert database.failed_keys() == set()


def test_a_hopeless_member_is_given_up_and_the_others_go_on(
    tmp_path: Path, database: Database
) -> None:
    many = sums(40)

    async def run() -> Tally:
        async with StubServer(solve) as good, StubServer(key="right") as locked:
            text = POOL.format(url=good.base_url, concurrency=4, attempts=1, timeout_s=5)
            text += f'\n[endpoints.locked]\nbase_url = "{locked.base_url}"\n'
            text = text.replace('name = "b"\nendpoint = "stub"', 'name = "b"\nendpoint = "locked"')
            (tmp_path / "pool.toml").write_text(text)
            pool = read_pool(tmp_path / "pool.toml")
            tally, _ = await collect(pool, database, queries=many, limits=Limits(4))
            assert len(locked.bodies) < 12
            return tally

    tally = asyncio.run(run())
    assert tally.n_answered == 40
    assert list(tally.dropped) == ["b"]
    assert "401" in tally.dropped["b"]
    assert not tally.complete


@pytest.mark.parametrize("most", [0.0, 12.0, 300.0, 310.0])
def test_the_cap_on_dollars_is_never_passed(
    tmp_path: Path, database: Database, most: float
) -> None:
    """Prompts of 7 bytes, 272 tokens of template and 8 of reply: at most 295 dollars a call."""

    async def run() -> Tally:
        async with StubServer(solve, latency_s=0.01) as stub:
            limits = Limits(8, max_usd=most)
            settings = pool_of(tmp_path, stub.base_url)
            return (await collect(settings, database, limits=limits))[0]

    tally = asyncio.run(run())
    assert tally.cost_usd <= most
    assert tally.cost_usd == pytest.approx(database.spent().cost_usd)
    assert tally.stopped is not None
    assert (tally.n_answered > 0) == (most >= 295)


def test_the_cap_on_calls_is_exact(tmp_path: Path, database: Database) -> None:
    async def run() -> tuple[Tally, int]:
        async with StubServer(solve) as stub:
            limits = Limits(8, max_calls=4)
            tally, _ = await collect(pool_of(tmp_path, stub.base_url), database, limits=limits)
            return tally, len(stub.bodies)

    tally, n_asked = asyncio.run(run())
    assert (tally.n_answered, n_asked) == (4, 4)
    assert tally.stopped == "--max-calls 4 reached"


def test_stopping_keeps_what_is_under_way(tmp_path: Path, database: Database) -> None:
    many = sums(60)

    async def run() -> tuple[Tally, StubServer]:
        running: list[Collector] = []

        def enough(tally: Tally) -> None:
            if tally.n_answered >= 5:
                running[0].stop("enough")

        async with StubServer(solve, latency_s=0.05) as stub:
            settings = pool_of(tmp_path, stub.base_url, concurrency=4)
            tally, _ = await collect(
                settings, database, queries=many, meanwhile=running.append, on_progress=enough
            )
            return tally, stub

    tally, stub = asyncio.run(run())
    assert tally.stopped == "enough"
    assert 0 < tally.n_answered < 120
    assert database.spent().n_calls == tally.n_answered == stub.answered.total()
    assert database.owners() == []  # nothing stays reserved


class Slow:
    """A disk that writes no reply until it is let go, and who notices that so many have come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
        self.may_go_on, self.have_come = threading.Event(), asyncio.Event()
        store, grade = Database.add_responses, Grader.grade
        self._n_left = n

        def store_later(database: Database, rows: Sequence[StoredResponse]) -> int:
            assert self.may_go_on.wait(60)
            return store(database, rows)

        def grade_and_count(*args: Any) -> Grade:
            self._n_left -= 1
            if not self._n_left:
                self.have_come.set()
            return grade(*args)

        monkeypatch.setattr(Database, "add_responses", store_later)
        monkeypatch.setattr(Grader, "grade", grade_and_count)


async def come(slow: Slow, running: asyncio.Task[Any]) -> None:
    """Wait for the replies, or for what ended the collector instead."""
    waiting = asyncio.create_task(slow.have_come.wait())
    await asyncio.wait([waiting, running], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        await running


def test_nobody_is_asked_more_while_as_many_replies_wait_to_be_stored(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a process that is killed loses at most the calls under way, however slow the disk is."""
    slow = Slow(monkeypatch, 4)

    async def run() -> Tally:
        async with StubServer(solve) as stub, asyncio.TaskGroup() as tasks:
            settings = pool_of(tmp_path, stub.base_url)
            running = tasks.create_task(
                collect(settings, database, queries=sums(20), limits=Limits(4))
            )
            await come(slow, running)
            await asyncio.sleep(0.2)  # in which a fifth would be asked
            assert len(stub.bodies) == 4
            assert database.spent().n_calls == 0
            slow.may_go_on.set()
            return (await running)[0]

    assert asyncio.run(run()).n_answered == 40


def test_given_up_it_stores_the_replies_that_came(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(monkeypatch, 4)

    async def run() -> None:
        async with StubServer(solve) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            running = asyncio.create_task(
                collect(settings, database, queries=sums(20), limits=Limits(4))
            )
            await come(slow, running)
            await asyncio.sleep(0)  # the fourth waits, as the others do
            running.cancel()
            slow.may_go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await running

    asyncio.run(run())
    assert database.spent().n_calls == 4
    assert database.owners() == []


def test_two_collectors_side_by_side_finish_the_work_once(tmp_path: Path) -> None:
    many = sums(80)

    async def run() -> tuple[list[Tally], StubServer]:
        draw = random.Random(0)
        async with StubServer(solve, latency_s=lambda: draw.uniform(0, 0.02)) as stub:
            settings = pool_of(tmp_path, stub.base_url)
            url = tmp_path / "answers.db"
            with open_database(url) as one, open_database(url) as two:
                done = await asyncio.gather(
                    collect(settings, one, queries=many), collect(settings, two, queries=many)
                )
            return [tally for tally, _ in done], stub

    tallies, stub = asyncio.run(run())
    assert all(tally.complete for tally in tallies)
    assert sum(tally.n_answered for tally in tallies) == len(stub.bodies) == 160


def test_samples_are_asked_with_seeds_of_their_own(tmp_path: Path, database: Database) -> None:
    async def run() -> list[dict[str, Any]]:
        async with StubServer(solve) as stub:
            pool = pool_of(tmp_path, stub.base_url)
            only_b = pool.model_copy(update={"members": pool.members[1:]})
            tally, _ = await collect(only_b, database, samples=3)
            assert tally.complete
            return stub.bodies

    bodies = asyncio.run(run())
    assert len(bodies) == 9
    assert len({body["seed"] for body in bodies}) == 9  # for each question, too
    rows = export_dataset(database).responses.to_pylist()
    assert all(len(row["samples"]) == 3 for row in rows)


def test_scores_that_are_bounds_are_counted_and_none_is_below_all(
    tmp_path: Path, database: Database
) -> None:
    def tells(body: Mapping[str, Any]) -> Said:
        one = "logprobs" in body and prompt_of(body).startswith("Which is wet?")
        return Said("5", logprobs={" B": -0.5} if one else {"A": -0.1, "B": -math.inf})

    async def run() -> Tally:
        async with StubServer(tells) as stub:
            tally, _ = await collect(pool_of(tmp_path, stub.base_url), database)
            return tally

    tally = asyncio.run(run())
    assert tally.complete
    assert tally.n_bounded == 1
    rows = export_dataset(database).responses.to_pylist()
    (scores,) = [row["choice_scores"] for row in rows if row["choice_scores"]]
    assert scores[1] == -0.5
    assert -1.5 < scores[0] < -0.5  # what is left over: 1 - exp(-0.5)


def test_samples_of_a_member_that_always_says_the_same_are_refused(
    tmp_path: Path, database: Database
) -> None:
    settings = pool_of(tmp_path, "http://127.0.0.1:9/v1")
    with pytest.raises(ConfigError, match="member 'a' has temperature = 0"):
        asyncio.run(collect(settings, database, samples=2))


def test_estimates_count_what_is_left_and_cost_at_most(tmp_path: Path, database: Database) -> None:
    async def run() -> None:
        async with StubServer(solve) as stub:
            limits = Limits(8, max_calls=4)
            tally, plan = await collect(pool_of(tmp_path, stub.base_url), database, limits=limits)
            left = estimated(plan, database)
            assert (left.n_calls, left.n_stored, left.n_failed) == (2, 4, 0)
            whole = estimated(plan, None)
            assert whole.n_calls == 6
            assert whole.most_usd >= whole.cost_usd >= tally.cost_usd

    asyncio.run(run())


def test_a_signal_with_the_name_of_another_is_refused_before_any_call(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlfocal.collect.plan.signal_names", lambda: frozenset({"doubt"}))
    settings = pool_of(tmp_path, "http://127.0.0.1:9/v1")
    settings = settings.model_copy(update={"signals": {"doubt": "builtins:len"}})
    with pytest.raises(ConfigError, match=r"signals\.doubt: .* give yours another name"):
        asyncio.run(collect(settings, database))
