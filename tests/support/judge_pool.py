"""A judge, two whom it reads, and a member that reads the judge: collected from a stub."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from rlfocal.collect.collector import Collector, Limits, Tally
from rlfocal.collect.plan import Plan, make_plan
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.pool.stub import Said, prompt_of
from rlfocal.records.canonical import canonical_queries
from rlfocal.records.database import (
    Database,
)
from rlfocal.records.database.schema import responses
from rlfocal.records.schema import DatasetInfo, normalise_queries

__all__ = ["N_CALLS", "collect", "plan_of", "pool_of", "rows_of", "says", "sums", "who"]

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
