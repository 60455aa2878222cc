"""A cap on dollars, against an upstream that bills for itself and fails or miscounts at random."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from billing import COUNTED, HABITS, BillingUpstream, Habit
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.collect.collector import Collector, Limits, Tally
from rlfocal.collect.plan import make_plan
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.records.database import open_database
from rlfocal.records.schema import normalise_queries

POOL = """
[endpoints.dear]
base_url = "{url}"
attempts = {attempts}
timeout_s = {timeout_s}
concurrency = 8

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
N = 24
SOON = tuple(habit for habit in HABITS if habit not in ("hang", "429", "thinks-then-429"))
"""Whoever hangs, and whoever waits as a server asks, takes seconds."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[BillingUpstream]:
    with BillingUpstream() as opened:
        yield opened


def collected(
    upstream: BillingUpstream, max_usd: float, attempts: int, timeout_s: float = 1
) -> Tally:
    names = [f"q{k}" for k in range(N)]
    prompts = [f"{k} + 7 =" for k in range(N)]
    queries = normalise_queries(pa.table({"query_id": names, "prompt": prompts}))

    async def run(folder: Path) -> Tally:
        path = folder / "pool.toml"
        pool = POOL.format(url=upstream.base_url, attempts=attempts, timeout_s=timeout_s)
        path.write_text(pool, encoding="utf-8")
        with open_database(folder / "answers.db") as database:
            async with LivePool(read_pool(path)) as pool:
                keys = [database.add_member(m.name, m.identity) for m in pool.members]
                plan = make_plan(queries, pool.members, keys)
                limits = Limits(8, max_usd=max_usd)
                return await Collector(plan, database, Grader("number"), limits=limits).run()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(Path(folder)))


@pytest.mark.slow
@settings(max_examples=20)
@given(
    habits=st.lists(st.sampled_from(SOON), min_size=1, max_size=6),
    calls=st.floats(0.5, N),
    attempts=st.sampled_from([1, 2]),
)
def test_the_true_bill_never_passes_the_cap(
    upstream: BillingUpstream, habits: list[Habit], calls: float, attempts: int
) -> None:
    upstream.behave(habits)
    cap = calls * attempts * ONE_CALL
    tally = collected(upstream, cap, attempts)
    assert upstream.billed_usd <= cap + 1e-9
    assert upstream.billed_usd <= tally.cost_usd + tally.uncertain_cost_usd + 1e-9 <= cap + 2e-9


@pytest.mark.parametrize("habit", COUNTED)
def test_where_all_is_counted_the_tally_is_the_bill(
    upstream: BillingUpstream, habit: Habit
) -> None:
    upstream.behave([habit])
    tally = collected(upstream, 1.0, 1, timeout_s=60)  # a busy machine is no fault here
    assert (tally.n_answered, tally.uncertain_cost_usd) == (N, 0.0)
    assert tally.cost_usd == pytest.approx(upstream.billed_usd, rel=0.05)


@pytest.mark.parametrize("habit", ["no-usage", "zeros", "negative", "absurd"])
def test_what_nobody_counts_is_in_the_tally_at_its_most(
    upstream: BillingUpstream, habit: Habit
) -> None:
    upstream.behave([habit])
    tally = collected(upstream, 5.5 * ONE_CALL, 1)
    assert 5 <= upstream.n_billed <= 6
    assert upstream.billed_usd < tally.uncertain_cost_usd <= 5.5 * ONE_CALL
    assert (tally.cost_usd, tally.n_unpriced) == (0.0, 0)
