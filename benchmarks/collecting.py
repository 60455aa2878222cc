"""How fast `rlfocal collect` is, how much memory it takes, and whether it pays for a call twice.

    python benchmarks/collecting.py [--calls 4000] [--many 50000] [--json FILE]

A stub of 8 members with 50 ms latency answers in a process of its own, 32 calls under way: the
ideal is 32 / 0.05 = 640 calls a second. What the same client reaches without a collector around it
says whether the stub or the client is the bottleneck. Then resident memory over 50,000 calls, and
two collectors in two processes on one SQLite file and on one throw-away PostgreSQL server. Exit
code 1: a target is missed. The figures hold for a machine that has nothing else to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from rlfocal.collect.collector import Collector, Limits
from rlfocal.collect.plan import make_plan
from rlfocal.collect.tally import Tally
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.openai.client import OpenAIEndpoint
from rlfocal.pool.servers import OpenAISettings
from rlfocal.pool.settings import PoolSettings
from rlfocal.pool.stub import StubServer
from rlfocal.pool.types import Message, Request
from rlfocal.records.database import open_database
from rlfocal.records.schema import normalise_queries

N_MEMBERS, IN_FLIGHT, LATENCY_S = 8, 32, 0.05
IDEAL = IN_FLIGHT / LATENCY_S
LEAST_SHARE = 0.85
MOST_GROWTH_MB = 10.0
N_LOOKS = 50
"""At the memory, evenly spread over the calls: every 1,000 of 50,000."""
N_SETTLING = 5
"""Looks after which memory should not grow any more: 5,000 calls of 50,000."""
_CONTEXT = multiprocessing.get_context("spawn")


class Row(NamedTuple):
    """One line of the table."""

    what: str
    found: str
    target: str
    held: bool | None
    """None where there is no target."""


class Collected(NamedTuple):
    """What a collector in a process of its own reports."""

    tally: Tally
    seconds: float
    memory_mb: list[float]
    """Resident, at `N_LOOKS` times."""


# The stub ------------------------------------------------------------------------------------


def reply(body: Mapping[str, Any]) -> str:
    """A number, with some words around it as LLMs have them."""
    return f"Let us see. Step by step, this comes to {len(str(body['messages'][-1]))}. " * 3


def serve(pipe: Connection, latency_s: float) -> None:
    """Say the address; after any message say how many requests came, and end."""

    async def run() -> None:
        async with StubServer(reply, latency_s=latency_s) as stub:
            pipe.send(stub.base_url)
            await asyncio.to_thread(pipe.recv)
            pipe.send(len(stub.bodies))

    asyncio.run(run())


class Served:
    """A stub in another process; `n_requests` is known at the end.

    Args:
        latency_s: seconds before each reply.
    """

    def __init__(self, latency_s: float) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=serve, args=(theirs, latency_s), daemon=True)
        self.n_requests = 0

    def __enter__(self) -> Served:
        self._process.start()
        self.base_url: str = self._pipe.recv()
        return self

    def __exit__(self, *exc: object) -> None:
        self._pipe.send("end")
        self.n_requests = self._pipe.recv()
        self._process.join()


# The collector -------------------------------------------------------------------------------


def pool_of(base_url: str) -> PoolSettings:
    """Eight members on one endpoint."""
    served = OpenAISettings(base_url=base_url, concurrency=IN_FLIGHT)
    members = tuple(
        MemberSettings(name=f"member {k}", endpoint="stub", model="stub") for k in range(N_MEMBERS)
    )
    return PoolSettings(endpoints={"stub": served}, members=members)


def queries_of(n_calls: int) -> pa.Table:
    """As many as make that many calls."""
    n = n_calls // N_MEMBERS
    prompts = [f"What is {k} times {k + 1}? Think step by step." for k in range(n)]
    return normalise_queries(pa.table({"query_id": [f"q{k}" for k in range(n)], "prompt": prompts}))


def collect(base_url: str, database_url: str, n_calls: int, barrier: Barrier | None) -> Collected:
    """Collect once; the time does not count what is done before the first call."""
    memory: list[float] = []

    def look(tally: Tally) -> None:
        if tally.n_answered * N_LOOKS // n_calls > len(memory):
            memory.append(resident_mb())

    async def run() -> tuple[Tally, float]:
        async with LivePool(pool_of(base_url)) as pool:
            keys = [database.add_member(m.name, m.identity) for m in pool.members]
            plan = make_plan(queries_of(n_calls), pool.members, keys)
            database.add_queries(plan.queries)
            limits, grader = Limits(IN_FLIGHT), Grader("number")
            collector = Collector(plan, database, grader, limits=limits, on_progress=look)
            if barrier is not None:
                barrier.wait()
            started = time.perf_counter()
            return await collector.run(), time.perf_counter() - started

    with open_database(database_url) as database:
        tally, seconds = asyncio.run(run())
    return Collected(tally, seconds, memory)


def report(pipe: Connection, *args: Any) -> None:
    """`collect` in a process of its own."""
    pipe.send(collect(*args))


def collectors(n: int, base_url: str, database_url: str, n_calls: int) -> list[Collected]:
    """So many at once, each in a fresh process."""
    barrier = _CONTEXT.Barrier(n)
    running = []
    for _ in range(n):
        ours, theirs = _CONTEXT.Pipe()
        args = (theirs, base_url, database_url, n_calls, barrier)
        process = _CONTEXT.Process(target=report, args=args, daemon=True)
        process.start()
        theirs.close()  # so that a process which dies is an end of file here, not a wait for ever
        running.append((process, ours))
    done = [pipe.recv() for _, pipe in running]
    for process, _ in running:
        process.join()
    return done


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# What is measured ----------------------------------------------------------------------------


def bare(base_url: str, n_calls: int) -> float:
    """Calls a second of the client alone: no database, no plan, no grading."""

    async def run() -> float:
        numbers = iter(range(n_calls))
        async with OpenAIEndpoint(base_url, max_connections=IN_FLIGHT) as endpoint:

            async def work() -> None:
                for k in numbers:
                    asked = Message("user", f"What is {k} times {k + 1}? Think step by step.")
                    await endpoint.send(Request((asked,), model="stub"), timeout_s=60)

            started = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
            return n_calls / (time.perf_counter() - started)

    return asyncio.run(run())


def speed(folder: Path, n_calls: int) -> list[Row]:
    """Throughput with 50 ms latency."""
    with Served(0.0) as stub:
        fastest = bare(stub.base_url, n_calls)
    with Served(LATENCY_S) as stub:
        alone = bare(stub.base_url, n_calls)
    url = str(folder / "speed.db")
    with Served(LATENCY_S) as stub:
        [done] = collectors(1, stub.base_url, url, n_calls)
    rate, stored = n_calls / done.seconds, n_stored(url)
    least = LEAST_SHARE * IDEAL
    return [
        Row("client and stub alone, no latency", f"{fastest:,.0f} calls/s", "", None),
        Row("client and stub alone, 50 ms", f"{alone:,.0f} calls/s", "", None),
        Row(
            f"collect, 50 ms, {IN_FLIGHT} in flight",
            f"{rate:,.0f} calls/s ({rate / IDEAL:.0%} of {IDEAL:.0f})",
            f">= {least:.0f}",
            rate >= least,
        ),
        Row(
            "answers in the database",
            f"{stored:,} of {n_calls:,}",
            "all",
            stored == stub.n_requests == n_calls and done.tally.complete,
        ),
    ]


def memory(folder: Path, n_calls: int) -> list[Row]:
    """Resident memory over many calls."""
    with Served(0.0) as stub:
        [done] = collectors(1, stub.base_url, str(folder / "memory.db"), n_calls)
    seen = done.memory_mb
    settled = seen[N_SETTLING - 1]
    growth = max(seen[N_SETTLING - 1 :]) - settled
    print(curve(seen, n_calls))
    rate = f"{n_calls / done.seconds:,.0f} calls/s"
    return [
        Row("collect, no latency", rate, "", None),
        Row(
            f"memory after {n_calls * N_SETTLING // N_LOOKS:,} of {n_calls:,} calls",
            f"{settled:.1f} MB, then {growth:+.1f} MB at most",
            f"< {MOST_GROWTH_MB:.0f} MB more",
            growth < MOST_GROWTH_MB and done.tally.complete,
        ),
    ]


def curve(values: Sequence[float], n_calls: int, *, height: int = 6) -> str:
    """A small picture of memory over calls."""
    low, high = min(values), max(values)
    step = max(high - low, 1.0) / height
    lines = []
    for level in range(height - 1, -1, -1):
        marks = "".join("#" if v >= low + level * step else " " for v in values)
        lines.append(f"{low + (level + 1) * step:8.1f} MB |{marks}")
    axis = f"            +{'-' * len(values)} {n_calls:,} calls"
    return "\n".join([*lines, axis])


def side_by_side(name: str, url: str, n_calls: int) -> list[Row]:
    """Two collectors at once: the work is done once."""
    with Served(LATENCY_S) as stub:
        done = collectors(2, stub.base_url, url, n_calls)
    shares = [each.tally.n_answered for each in done]
    stored = n_stored(url)
    seconds = max(each.seconds for each in done)
    once = stub.n_requests == stored == sum(shares) == n_calls
    return [
        Row(
            f"two collectors, {name}",
            f"{stub.n_requests:,} calls ({shares[0]:,} + {shares[1]:,}), {stored:,} rows, "
            f"{n_calls / seconds:,.0f} calls/s",
            f"{n_calls:,} each once",
            once and all(each.tally.complete for each in done),
        )
    ]


def n_stored(url: str) -> int:
    """Answers in a database."""
    with open_database(url) as database:
        return database.spent().n_calls


@contextmanager
def postgres() -> Iterator[str | None]:
    """URL of a server that only this process can reach; None where there is none to start."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    places = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(newest))])
    initdb, server = (shutil.which(name, path=places) for name in ("initdb", "postgres"))
    if initdb is None or server is None:
        yield None
        return
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    with tempfile.TemporaryDirectory(prefix="rlfocal-pg-") as name:
        if user:
            os.chown(name, user["user"], user["group"])
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        quiet |= {"cwd": name, **user}
        make = [initdb, "-D", f"{name}/data", "-U", "tester", "-A", "trust", "--locale=C"]
        subprocess.run([*make, "--encoding=UTF8"], check=True, **quiet)
        command = [server, "-D", f"{name}/data", "-k", name, "-c", "listen_addresses="]
        with subprocess.Popen(command, **quiet) as process:
            try:
                deadline = time.monotonic() + 30
                while not Path(name, ".s.PGSQL.5432").exists() and time.monotonic() < deadline:
                    time.sleep(0.05)
                time.sleep(0.5)  # the socket is there a little before it is answered
                yield f"postgresql://tester@/postgres?host={name}"
            finally:
                process.send_signal(signal.SIGINT)


def show(rows: Sequence[Row]) -> None:
    """The table."""
    widths = [max(len(row[:3][k]) for row in rows) for k in range(3)]
    for what, found, target, held in rows:
        said = "" if held is None else ("ok" if held else "MISSED")
        print(f"{what:<{widths[0]}}  {found:<{widths[1]}}  {target:<{widths[2]}}  {said}".rstrip())


def main() -> None:
    """Measure, print, and say by the exit code whether all targets hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=4_000, help="for throughput (4000)")
    parser.add_argument("--many", type=int, default=50_000, help="for memory (50000)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.calls % N_MEMBERS or args.many % N_MEMBERS or args.many < 2 * N_LOOKS:
        parser.error(f"calls and many: multiples of {N_MEMBERS}; many: {2 * N_LOOKS} at least")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows += speed(folder, args.calls)
        rows += memory(folder, args.many)
        rows += side_by_side("SQLite", str(folder / "two.db"), args.calls)
        with postgres() as url:
            if url is None:
                print("PostgreSQL: skipped, no initdb or postgres on PATH or /usr/lib/postgresql")
            else:
                rows += side_by_side("PostgreSQL", url, args.calls)
    show(rows)
    if args.json is not None:
        args.json.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    sys.exit(any(row.held is False for row in rows))


if __name__ == "__main__":
    main()
