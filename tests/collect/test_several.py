"""Several collectors at one database: one cap, one rate, and no call that two of them pay for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from billing import BillingUpstream

from rlfocal.collect import claims
from rlfocal.collect.claims import new_owner, release_dead
from rlfocal.collect.collector import Collector, Limits, Tally
from rlfocal.collect.plan import make_plan
from rlfocal.errors import ConfigError
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import StubServer, StubThread, prompt_of
from rlfocal.records.database import open_database
from rlfocal.records.database.sharing import allow, join_budget
from rlfocal.records.schema import normalise_queries

POOL = """
[endpoints.dear]
base_url = "{url}"
attempts = 1
timeout_s = 60
concurrency = 8
{more}

[prices.dear]
prompt = 1.0
completion = 2.0

[[members]]
name = "a"
endpoint = "dear"
model = "dear"
max_tokens = 20
"""
ONE_CALL = (256 + 16 + len("10 + 7 =") + 2 * 20) / 1e6
"""Dollars at most, by hand."""


@pytest.fixture
def upstream() -> Iterator[BillingUpstream]:
    with BillingUpstream(latency_s=0.01) as opened:
        yield opened


def collect(
    folder: Path,
    db: str,
    url: str,
    *,
    n: int,
    limits: Limits,
    more: str = "",
    grader: Grader | None = None,
    **options: Any,
) -> Tally:
    """Collect with everything of its own but the database, as another process would."""
    queries = normalise_queries(
        pa.table(
            {"query_id": [f"q{k}" for k in range(n)], "prompt": [f"{k} + 7 =" for k in range(n)]}
        )
    )

    async def run() -> Tally:
        path = folder / f"{threading.get_ident()}.toml"
        path.write_text(POOL.format(url=url, more=more), encoding="utf-8")
        with open_database(db) as database:
            async with LivePool(read_pool(path), patience_s=60) as pool:
                keys = [database.add_member(m.name, m.identity) for m in pool.members]
                plan = make_plan(queries, pool.members, keys)
                judge = grader or Grader("number")
                collector = Collector(plan, database, judge, limits=limits, **options)
                collector.share_rates(pool)
                return await collector.run()

    return asyncio.run(run())


def at_once(jobs: Sequence[Callable[[], Tally]]) -> list[Tally]:
    """What each of them returns, each in a thread of its own."""
    found: dict[int, Tally] = {}

    def do(k: int, job: Callable[[], Tally]) -> None:
        found[k] = job()

    threads = [threading.Thread(target=do, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[k] for k in range(len(jobs))]


@pytest.mark.parametrize("budget", [None, "november"])
def test_those_at_work_share_one_cap(
    tmp_path: Path, database_url: str, upstream: BillingUpstream, budget: str | None
) -> None:
    """Each alone would have stayed below it."""
    cap, n = 4 * ONE_CALL, 200
    limits = Limits(4, max_usd=cap, budget=budget)
    jobs = [
        lambda: collect(tmp_path, database_url, upstream.base_url, n=n, limits=limits)
    ] * 3  # fmt: skip
    tallies = at_once(jobs)
    assert upstream.billed_usd <= cap + 1e-12
    assert sum(t.cost_usd + t.uncertain_cost_usd for t in tallies) == pytest.approx(
        upstream.billed_usd
    )
    # Nobody leaves more than a call's worth lying.
    assert upstream.billed_usd > cap - 2 * ONE_CALL
    assert all(t.stopped and t.stopped.startswith("--max-usd") for t in tallies)
    assert sum(t.n_answered for t in tallies) == upstream.n_billed


def test_a_named_budget_counts_over_runs_and_no_name_begins_anew(
    tmp_path: Path, upstream: BillingUpstream
) -> None:
    db, cap = str(tmp_path / "a.db"), 4 * ONE_CALL

    def run(budget: str | None) -> Tally:
        limits = Limits(2, max_usd=cap, budget=budget)
        return collect(tmp_path, db, upstream.base_url, n=500, limits=limits)

    first = run("x")
    again = run("x")
    assert first.cost_usd > 2 * ONE_CALL
    assert first.cost_usd + again.cost_usd <= cap
    assert again.n_answered <= 1
    assert "of others with the same cap" in str(again.stopped)
    assert run(None).cost_usd > 2 * ONE_CALL


def test_kills_do_not_empty_a_cap(tmp_path: Path) -> None:
    """Each was allowed four of five dollars, and nobody knows what it had under way."""
    allowed_usd = 0.0
    with open_database(tmp_path / "a.db") as database:
        for k in range(5):
            owner = new_owner(2**22 + 5 + k)
            release_dead(database)
            budget = join_budget(database.connections, owner, "november", 60)
            share = allow(
                database.connections, owner, budget, cap_usd=5.0, spent_usd=0.0, least_usd=0.0,
                wanted_usd=4.0, lease_s=60,
            )  # fmt: skip
            allowed_usd += share.allowed_usd
            assert share.n_others == 0
    assert allowed_usd == 5.0


def test_what_was_paid_counts_where_the_scorer_fails(
    tmp_path: Path, upstream: BillingUpstream
) -> None:
    db, cap = str(tmp_path / "a.db"), 100 * ONE_CALL
    limits = Limits(1, max_usd=cap, budget="x")

    def broken(query: Mapping[str, Any], reply: str) -> float:
        raise RuntimeError("no")

    with pytest.raises(ConfigError):
        collect(tmp_path, db, upstream.base_url, n=3, limits=limits, grader=Grader(scorer=broken))
    with open_database(db) as database:
        budget = join_budget(database.connections, "b", "x", 60)
        share = allow(
            database.connections, "b", budget, cap_usd=cap, spent_usd=0.0, least_usd=0.0,
            wanted_usd=0.0, lease_s=60,
        )  # fmt: skip
    assert share.others_usd == pytest.approx(upstream.billed_usd)
    assert upstream.n_billed == 1


def test_a_rate_is_kept_by_all_together(tmp_path: Path, database_url: str) -> None:
    came: list[float] = []

    def say(body: Mapping[str, Any]) -> str:
        came.append(time.monotonic())
        return "1"

    per_s, n = 20, 50
    with StubThread(StubServer(say)) as stub:
        more = f"per_minute = {60 * per_s}"
        jobs = [
            lambda: collect(tmp_path, database_url, stub.base_url, n=n, limits=Limits(8), more=more)
        ] * 3
        tallies = at_once(jobs)
    assert sum(t.n_answered for t in tallies) == len(came) == n
    came.sort()
    # In no second more than that; a request starts at most a quarter of one after its moment.
    most = max(sum(begin <= t < begin + 1 for t in came) for begin in came)
    assert most <= per_s * 1.3 + 3
    assert came[-1] - came[0] >= (n - 1) / per_s - 0.3


@pytest.mark.slow
def test_who_slept_over_its_lease_does_not_make_what_others_have_taken(tmp_path: Path) -> None:
    """A process that was stopped goes on with calls that it had claimed before."""
    db, n, concurrency = str(tmp_path / "a.db"), 12, 2
    asleep, asked = threading.Event(), Counter[str]()

    def say(body: Mapping[str, Any]) -> str:
        asked[prompt_of(body)] += 1
        return "1"

    def sleepy(query: Mapping[str, Any], reply: str) -> float:
        if not asleep.is_set():
            asleep.set()
            time.sleep(5)  # with all tasks of its loop, those that renew claims included
        return 1.0

    def others() -> Tally:
        asleep.wait(60)
        time.sleep(1.5)
        return collect(tmp_path, db, stub.base_url, n=n, limits=Limits(8))

    with StubThread(StubServer(say)) as stub:
        first, second = at_once(
            [
                lambda: collect(
                    tmp_path, db, stub.base_url, n=n, limits=Limits(concurrency),
                    grader=Grader(scorer=sleepy), lease_s=1.0,
                ),
                others,
            ]
        )  # fmt: skip
    assert first.complete
    assert second.complete
    twice = sum(count - 1 for count in asked.values())
    assert twice <= concurrency, "more than what was under way"


def test_machines_of_one_name_are_told_apart_where_the_system_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_proc(*_: Any, **__: Any) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", no_proc)
    found = []
    for node in (1, 2, 2):
        monkeypatch.setattr("uuid.getnode", lambda node=node: node)
        found.append(claims._machine.__wrapped__())
    assert found[0] != found[1] == found[2]


@pytest.mark.parametrize("name", ["{host}:{pid}:0", "elsewhere:{pid}:0", "no-owner-of-ours"])
def test_owners_of_another_machine_or_container_are_left_alone(tmp_path: Path, name: str) -> None:
    """Numbers of processes mean nothing where they were not given."""
    dead = 2**22 + 5
    host = new_owner().partition("/")[0]
    other = name.format(host=host, pid=dead)
    with open_database(tmp_path / "a.db") as database:
        assert database.claim(["k"], other, 3600) == {"k"}
        assert database.claim(["l"], new_owner(dead), 3600) == {"l"}
        release_dead(database)
        assert database.owners() == [other]
