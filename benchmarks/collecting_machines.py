"""Several collectors at one database, some of them killed: each call answered once, and how fast.

    python benchmarks/collecting_machines.py [--calls 1000000] [--collectors 4] [--kills 12]
        [--minutes 15] [--max-usd 0.02] [--sqlite] [--json FILE]

Each collector is `rlfocal collect` in a process of its own, as on a machine of its own, against one
throw-away PostgreSQL server (SQLite where there is none). A server of stubs, also in a process of
its own, counts how often each call came. At intervals one of the collectors is killed (SIGKILL) and
begun again. At the end every call must have one reply; no more calls may have come twice than were
under way where somebody was killed, and no collector may have grown. All of them share a cap in
dollars: one below what all calls cost ends them early, and is passed by no more than what was under
way where somebody was killed. Exit code 1: something of it does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from collecting import postgres

from rlfocal.records.database import open_database

N_MEMBERS, CONCURRENCY = 8, 16
MOST_GROWTH_MB = 16.0
"""Of a collector's memory after its first minute, in which everything is imported and read."""
SETTLING_S, LOOK_S = 60.0, 1.0
CALL_USD = (20 + 6) * 0.1e-6
"""What the stubs bill for a call."""
_CONTEXT = multiprocessing.get_context("spawn")

POOL = """
[endpoints.stub]
base_url = "{url}"
concurrency = 64
attempts = 4

[prices.stub]
prompt = 0.1
completion = 0.1
"""
MEMBER = """
[[members]]
name = "m{k}"
endpoint = "stub"
model = "stub"
system = "You are member {k}."
max_tokens = 64
"""


# The stubs ------------------------------------------------------------------------------------

_LENGTH = re.compile(rb"content-length: *(\d+)", re.I)
_CALL = re.compile(rb"You are member (\d+)\..*What is (\d+) times", re.S)
_SAID = json.dumps(
    {
        "choices": [{"message": {"content": "This comes to 12."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 6},
    }
).encode()
_REPLY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
    + str(len(_SAID)).encode()
    + b"\r\n\r\n"
    + _SAID
)


class Stub(asyncio.Protocol):
    """As little of a server as a client needs; counts each call in one byte."""

    def __init__(self, counts: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self._counts, self._left = counts, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where replies go."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._left, 0, end)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._left) < whole:
                return
            body, self._left = self._left[end + 4 : whole], self._left[whole:]
            call = _CALL.search(body)
            assert call is not None, body
            self._counts[int(call[2]), int(call[1])] += 1
            self._transport.write(_REPLY)


def serve(pipe: Connection, n_queries: int) -> None:
    """Say the address; after any message send all counts, and end."""

    async def run() -> None:
        counts = np.zeros((n_queries, N_MEMBERS), np.uint8)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Stub(counts), "127.0.0.1", 0)
        pipe.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        await asyncio.to_thread(pipe.recv)
        pipe.send(counts)
        server.close()

    asyncio.run(run())


# The collectors -------------------------------------------------------------------------------


@dataclass
class Running:
    """One collector under way."""

    number: int
    process: subprocess.Popen[bytes]
    memory_mb: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the trial began, and resident megabytes."""

    def look(self, now_s: float) -> None:
        """Note how much memory it has."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return
        self.memory_mb.append((now_s, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))

    @property
    def growth_mb(self) -> float | None:
        """After it had settled; None where it was not there for so long."""
        begun = self.memory_mb[0][0] if self.memory_mb else 0.0
        settled = [m for s, m in self.memory_mb if s >= begun + SETTLING_S and m > 0]
        return max(settled) - settled[0] if settled else None


def start(number: int, folder: Path, url: str, max_usd: float) -> Running:
    """`rlfocal collect`, as anybody would call it."""
    command = [
        sys.executable, "-c", "from rlfocal.cli.main import main; main()",
        "collect", str(folder / "pool.toml"), str(folder / "queries.jsonl"), "--db", url,
        "--answers", "number", "--concurrency", str(CONCURRENCY), "--json",
        "--max-usd", str(max_usd),
    ]  # fmt: skip
    with (folder / f"{number}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
    return Running(number, process)


@dataclass
class Trial:
    """What came of it."""

    seconds: float = 0.0
    n_kills: int = 0
    stopped: bool = False
    """Whether time ran out before all was done."""
    codes: list[int] = field(default_factory=list)
    all: list[Running] = field(default_factory=list)
    rates: list[tuple[float, int]] = field(default_factory=list)
    """Seconds, and replies stored by then."""


def run(
    folder: Path,
    url: str,
    n_collectors: int,
    n_calls: int,
    *,
    kills: int,
    most_s: float,
    max_usd: float,
) -> Trial:
    """Collect until all is done, and kill one now and then."""
    trial, began = Trial(), time.monotonic()
    running = {k: start(k, folder, url, max_usd) for k in range(n_collectors)}
    trial.all += running.values()
    n_stored, looked = 0, 0.0
    with open_database(url) as database:
        while running:
            time.sleep(LOOK_S)
            now = time.monotonic() - began
            for k, each in list(running.items()):
                each.look(now)
                if each.process.poll() is not None:
                    trial.codes.append(each.process.returncode)
                    del running[k]
            if now - looked >= 5 * LOOK_S or not running:
                looked, n_stored = now, database.spent().n_calls
                trial.rates.append((now, n_stored))
            # Evenly over the work, while there is some left.
            if trial.n_kills < kills and n_stored > n_calls * (trial.n_kills + 1) / (kills + 2):
                k = trial.n_kills % n_collectors
                if k in running:
                    running[k].process.send_signal(signal.SIGKILL)
                    running[k].process.wait()
                    running[k] = start(k, folder, url, max_usd)
                    trial.all.append(running[k])
                trial.n_kills += 1
            if now > most_s and not trial.stopped:
                trial.stopped = True
                for each in running.values():
                    each.process.send_signal(signal.SIGTERM)
    trial.seconds = time.monotonic() - began
    return trial


@contextmanager
def stubs(n_queries: int) -> Iterator[tuple[str, Connection]]:
    """Their address, and a pipe that gives the counts for any message."""
    ours, theirs = _CONTEXT.Pipe()
    process = _CONTEXT.Process(target=serve, args=(theirs, n_queries), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        process.terminate()
        process.join()


def few(values: list[Any]) -> list[Any]:
    """A dozen of them, evenly."""
    return values[:: max(1, len(values) // 12)]


def report(
    trial: Trial, counts: Any, n_stored: int, n_calls: int, max_usd: float
) -> dict[str, Any]:
    """All figures, and whether they hold."""
    again = int(np.maximum(counts.astype(np.int64) - 1, 0).sum())
    growths = [each.growth_mb for each in trial.all if each.growth_mb is not None]
    most = max((m for each in trial.all for _, m in each.memory_mb), default=0.0)
    billed_usd = int(counts.sum()) * CALL_USD
    ended = trial.stopped or n_calls * CALL_USD > max_usd
    held = {
        "each asked": bool((counts > 0).sum() >= n_stored) if ended else bool(counts.all()),
        "each answered once": n_stored <= n_calls if ended else n_stored == n_calls,
        "cap": billed_usd <= max_usd + trial.n_kills * CONCURRENCY * CALL_USD,
        "asked twice": again <= trial.n_kills * CONCURRENCY,
        "memory": max(growths, default=0.0) < MOST_GROWTH_MB,
        "exit codes": ended or all(code == 0 for code in trial.codes),
    }
    return {
        "n_calls": n_calls, "n_stored": n_stored, "n_requests": int(counts.sum()),
        "billed_usd": billed_usd, "n_asked_twice": again, "n_kills": trial.n_kills,
        "seconds": round(trial.seconds, 1),
        "stopped": trial.stopped, "replies_per_s": round(n_stored / trial.seconds, 1),
        "most_memory_mb": round(most, 1),
        "most_growth_mb": round(max(growths, default=0.0), 1),
        "memory_mb": [
            f"collector {each.number}: "
            + ", ".join(f"{m:.0f} at {s:.0f} s" for s, m in few(each.memory_mb))
            for each in trial.all
        ],
        "stored": [f"{n:,} at {s:.0f} s" for s, n in few(trial.rates)],
        "exit_codes": trial.codes,
        "held": held,
    }  # fmt: skip


def main() -> None:
    """Try, print, and say by the exit code whether all holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=1_000_000, help="in all (1000000)")
    parser.add_argument("--collectors", type=int, default=4)
    parser.add_argument("--kills", type=int, default=12, help="with SIGKILL (12)")
    parser.add_argument("--minutes", type=float, default=60.0, help="then stop by SIGTERM (60)")
    parser.add_argument("--max-usd", type=float, default=1e6, help="for all together (1000000)")
    parser.add_argument("--sqlite", action="store_true", help="even where there is PostgreSQL")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.calls % N_MEMBERS or args.calls < N_MEMBERS:
        parser.error(f"--calls: a multiple of {N_MEMBERS}")
    n_queries = args.calls // N_MEMBERS
    server = nullcontext(None) if args.sqlite else postgres()
    with (
        tempfile.TemporaryDirectory() as name,
        server as found,
        stubs(n_queries) as (base_url, pipe),
    ):
        folder = Path(name)
        url = found or str(folder / "answers.db")
        pool = POOL.format(url=base_url) + "".join(MEMBER.format(k=k) for k in range(N_MEMBERS))
        (folder / "pool.toml").write_text(pool, encoding="utf-8")
        with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
            for k in range(n_queries):
                row = {"query_id": f"q{k}", "prompt": f"What is {k} times 1?", "label": str(k)}
                file.write(json.dumps(row) + "\n")
        trial = run(
            folder,
            url,
            args.collectors,
            args.calls,
            kills=args.kills,
            most_s=60 * args.minutes,
            max_usd=args.max_usd,
        )
        pipe.send("end")
        counts = pipe.recv()
        with open_database(url) as database:
            n_stored = database.spent().n_calls
        figures = {"database": "PostgreSQL" if found else "SQLite", "collectors": args.collectors}
        figures |= report(trial, counts, n_stored, args.calls, args.max_usd)
        if not all(figures["held"].values()):
            for log in sorted(folder.glob("*.log")):
                print(log.name, log.read_text(errors="replace")[-600:], file=sys.stderr)
    print(json.dumps(figures, indent=1))
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    sys.exit(not all(figures["held"].values()))


if __name__ == "__main__":
    main()
