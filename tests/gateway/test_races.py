"""Several processes with several threads at one database never pass a cap together."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from rlfocal.gateway.store import KeyLimits, Store, open_store
from rlfocal.gateway.store.ledger import burst_of
from rlfocal.gateway.store.schema import requests, spending

if TYPE_CHECKING:
    from conftest import AddKey

pytestmark = pytest.mark.slow

COMMON = """
import asyncio, json, random, sys, threading, time
from rlfocal.gateway.door.access import Access
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.store import RequestRow, Writer, open_store
url, plaintext, name, n, lease_s, finish = sys.argv[1:4] + list(map(int, sys.argv[4:7]))
store = open_store(url)
writer = Writer(store)
COST = 0.05
def row(request_id, key, usd):
    return RequestRow(id=request_id, key_id=key.id, created_at=time.time(), model="m", task="t",
                      policy="p", status=200, usd=usd, n_calls=1)
async def finished(row):
    await writer.do(lambda c: store.ledger.finish(c, row, time.time()))
async def work(thread, codes):
    access, rng = Access(store, writer), random.Random(f"{name}{thread}")
    key = await access.key_of("Bearer " + plaintext)
    async def one(i):
        request_id = f"{name}-{thread}-{i}"
        try:
            await access.admit(key, request_id, COST, lease_s)
        except ApiError as denied:
            codes.append(denied.code)
            return
        codes.append("")
        await asyncio.sleep(rng.random() / 100)
        if finish:
            await finished(row(request_id, key, rng.choice([0.0, COST, COST])))
    await asyncio.gather(*(one(i) for i in range(n)))
"""
RACER = """
print("ready", flush=True)
sys.stdin.readline()
codes = []
threads = [threading.Thread(target=lambda t=t: asyncio.run(work(t, codes))) for t in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
writer.close()
print(json.dumps(codes))
"""
KILLED = """
async def main():
    access = Access(store, writer)
    key = await access.key_of("Bearer " + plaintext)
    for i in range(n):
        await access.admit(key, f"{name}-{i}", COST, lease_s)
        if i % 2:
            await finished(row(f"{name}-{i}", key, COST / 2))
    print("in the middle", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def start(code: str, *args: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMON + code, *map(str, args)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def race(url: str, plaintext: str, n: int, *, finish: bool = True) -> tuple[list[str], float]:
    """Two processes of six threads with n requests each: what they were told, and seconds."""
    racers = [start(RACER, url, plaintext, name, n, 600, int(finish)) for name in ("one", "two")]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        began = time.monotonic()
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        said = [racer.communicate(timeout=300) for racer in racers]
        took_s = time.monotonic() - began
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert [error for _, error in said] == ["", ""]
    codes = [code for out, _ in said for code in json.loads(out)]
    assert len(codes) == 2 * 6 * n
    return codes, took_s


def test_a_budget_is_never_passed(store: Store, add_key: AddKey, database_url: str) -> None:
    key = add_key(limits=KeyLimits(3.0, "total"))
    codes, _ = race(database_url, key.plaintext, 20)
    assert set(codes) == {"", "insufficient_quota"}
    with store.connections.read() as connection:
        (use,) = store.keys.uses(connection, time.time())
        days = connection.execute(sa.select(spending.c.usd, spending.c.n_requests)).all()
        written = sa.select(sa.func.sum(requests.c.usd), sa.func.count())
        total = connection.execute(written).one()
    assert use.spent_usd <= 3.0 + 1e-6
    assert use.held_usd == 0
    assert codes.count("") == sum(day.n_requests for day in days) == total[1]
    assert sum(day.usd for day in days) == pytest.approx(total[0])
    assert codes.count("") >= 60  # what was free has made room for others


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (KeyLimits(concurrency=7), "concurrency_limit_exceeded"),
        (KeyLimits(0.35, "total"), "insufficient_quota"),
    ],
    ids=["concurrency", "budget"],
)
def test_as_many_pass_as_may_and_not_one_more(
    add_key: AddKey, database_url: str, limits: KeyLimits, code: str
) -> None:
    """Nobody finishes, so none makes room for another."""
    key = add_key(limits=limits)
    codes, _ = race(database_url, key.plaintext, 10, finish=False)
    assert (codes.count(""), codes.count(code)) == (7, 113)


def test_a_rate_is_never_passed(store: Store, add_key: AddKey, database_url: str) -> None:
    key = add_key(limits=KeyLimits(requests_per_minute=120))
    codes, took_s = race(database_url, key.plaintext, 15)
    assert set(codes) == {"", "rate_limit_exceeded"}
    assert burst_of(120) <= codes.count("") <= burst_of(120) + took_s * 120 / 60


def test_a_killed_process_leaves_what_it_held_spent(
    store: Store, add_key: AddKey, database_url: str
) -> None:
    key = add_key(limits=KeyLimits(0.5, "total"))
    killed = start(KILLED, database_url, key.plaintext, "k", 6, 60, 1)
    try:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "in the middle\n"
    finally:
        killed.kill()
        killed.communicate()
    with open_store(database_url) as other:
        with other.connections.write() as connection:
            assert other.ledger.sweep(connection, time.time() + 61) == 3
            (use,) = other.keys.uses(connection, time.time())
        # Three were settled with 0.025, three were lost with 0.05.
        assert (use.spent_usd, use.held_usd) == (pytest.approx(0.225), 0.0)
    codes, _ = race(database_url, key.plaintext, 4)
    with store.connections.read() as connection:
        (use,) = store.keys.uses(connection, time.time())
    assert use.spent_usd <= 0.5 + 1e-6
    assert codes.count("") >= 5
