"""Two gateways on one PostgreSQL behind a balancer: restarted in turn, and what both cost.

    python benchmarks/gateway_rolling.py [--quick] [--rate 100] [--restarts 2] [--seconds 10]
        [--rounds 3] [--share 0.2] [--notice 4] [--db URL] [--json FILE]

First, CPU: one gateway at half of the rate and two at all of it, in turns, so that each has as much
to do; user and system seconds of the gateways a request, and of the database. On two cores the
sender, the balancer, the upstream, the database and the gateways share what there is, so throughput
says nothing, and this says what two would do on cores of their own. Then a rolling restart at the
rate: one gateway after the other is told to end (SIGTERM), waited for and started again. Every
second request is streamed, a share asks all three members, the others one; the key has a budget, a
rate and a bound on requests at once, which both gateways count in one ledger. The balancer repeats
nothing; it is HAProxy with the configuration of deploy/ where that is installed.
Exit code 1: a request failed, or two cost more than 1.1 times one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from load import ensemble, servers
from load.balancer import haproxy
from load.builds import NOW
from load.figures import markdown, setting
from load.phases import Phase, send
from load.postgres import postgres
from load.sender import Plan
from load.watching import usage_of

from rlfocal.gateway.store.keys import make_plaintext

MOST_RATIO = 1.1
ACCURACY = (0.7, 0.65, 0.6)
KEY_ENV = "RLFOCAL_LOAD_KEY"
PACKAGES = ("rlfocal", "aiohttp", "starlette", "uvicorn", "uvloop", "sqlalchemy", "psycopg")
_BALANCER = str(Path(__file__).parent / "load" / "balancer.py")


class Site(NamedTuple):
    """What every gateway is started with."""

    folder: Path
    checkpoint: Path
    pool: Path
    db: str
    key: str
    share: float
    """Of requests that ask all members."""


class Cost(NamedTuple):
    """Of one stretch, milliseconds of CPU a request."""

    gateways: float
    database: float


class Gateway:
    """One that can be ended and started again at its place."""

    def __init__(self, site: Site, number: int) -> None:
        self._site, self._number, self._port = site, number, servers.free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        site, self._running = self._site, ExitStack()
        log = site.folder / f"gateway-{self._number}.log"
        words = [
            *NOW.command, "serve", str(site.checkpoint), str(site.pool),
            "--port", str(self._port), "--db", site.db, "--keys", str(site.folder / "keys.toml"),
            "--config", str(site.folder / "limits.toml"),
        ]  # fmt: skip
        running = servers.process(words, log, {KEY_ENV: site.key})
        process = self._running.enter_context(running)
        self.pid = process.pid
        servers.wait_for(f"{self.url}/readyz", process, log)

    def end(self) -> None:
        """Tell it to end, and wait."""
        self._running.close()


@contextmanager
def balancer(gateways: Sequence[Gateway], folder: Path) -> Iterator[str]:
    """In front of some gateways; its URL."""
    port, log = servers.free_port(), folder / "balancer.log"
    shipped = ["--haproxy"] if haproxy() is not None else []
    words = [sys.executable, _BALANCER, *shipped, str(port), *(each.url for each in gateways)]
    with servers.process(words, log) as running:
        url = f"http://127.0.0.1:{port}"
        servers.wait_for(f"{url}/readyz", running, log)
        time.sleep(0.5)  # until it has seen all of them
        yield url


def plan_of(url: str, site: Site, rate: float, seconds: float, seed: int) -> Plan:
    """What is sent."""
    bodies = []
    for k in range(4_000):
        # Evenly, and of either kind streamed as often as not.
        of_all = int((k // 2 + 1) * site.share) > int(k // 2 * site.share)
        make = ensemble.chat_body if of_all else ensemble.plain_body
        model = ensemble.EVERYBODY if of_all else "model-1"
        bodies.append([make(model, k) | {"stream": k % 2 == 0}])
    return Plan(
        url=f"{url}/v1/chat/completions",
        bodies=bodies,
        rate=rate,
        count=max(1, round(rate * seconds)),
        seed=seed,
        headers={"Authorization": f"Bearer {site.key}"},
        keep=True,
    )


def failures(phase: Phase) -> Counter[str]:
    """What became of requests without a whole and good reply: a stream breaks with status 200."""
    found = Counter[str]()
    result = phase.result
    for status, failure, text in zip(result.status, result.failure, result.replies, strict=True):
        if status != 200 or '"error"' in text or not _is_whole(text):
            code = re.search(r'"code": ?"(\w+)"', text)
            found[f"{status} {failure or (code[1] if code else text[:60])}"] += 1
    return found


def _is_whole(text: str) -> bool:
    return text.rstrip().endswith(("}", "data: [DONE]"))


def cost(
    gateways: Sequence[Gateway], database: int | None, plan: Plan, site: Site
) -> tuple[Cost, int]:
    """What a stretch costs a request, and how many failed."""
    pids = [each.pid for each in gateways]

    def used() -> tuple[float, float]:
        db = 0.0 if database is None else usage_of(database).cpu_s
        return sum(usage_of(pid).cpu_s for pid in pids), db

    before = used()
    phase = send(plan, site.folder)
    after = used()
    ours, theirs = (1000 * (b - a) / plan.count for a, b in zip(before, after, strict=True))
    return Cost(ours, theirs), failures(phase).total()


def roll(gateways: Sequence[Gateway], times: int) -> Callable[[], bool]:
    """Begin to restart one after the other; what is returned says whether that is over."""

    def work() -> None:
        for _ in range(times):
            for gateway in gateways:
                gateway.end()
                gateway.start()
                time.sleep(1.0)

    thread = threading.Thread(target=work)
    thread.start()
    return lambda: not thread.is_alive()


def prepare(folder: Path, db: str, given: argparse.Namespace) -> Site:
    """Files that gateways need."""
    data = ensemble.simulated(ACCURACY, given.queries, seed=given.seed)
    checkpoint = ensemble.train(folder, data, seed=given.seed)
    # A machine that is busy with other things may be slow, and that is no failure.
    lines = f"notice_s = {given.notice}\ndrain_s = 30\nin_flight = 2048\n"
    (folder / "limits.toml").write_text(lines, encoding="utf-8")
    limits = "usd = 1000000.0\nrequests_per_minute = 1000000.0\nconcurrency = 100000\n"
    text = f'[[keys]]\nname = "load"\nkey_env = "{KEY_ENV}"\n{limits}'
    (folder / "keys.toml").write_text(text, encoding="utf-8")
    return Site(folder, checkpoint, folder / "pool.toml", db, make_plaintext(), given.share)


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All of it."""
    with ExitStack() as stack:
        db, database = given.db, None
        if db is None:
            db, database = stack.enter_context(postgres())
        site = prepare(folder, db, given)
        upstream = stack.enter_context(servers.mock(folder, 50.0))
        ensemble.pool_file(folder, f"{upstream.url}/v1", ensemble.names(len(ACCURACY)))
        gateways = []
        for number in range(2):
            gateways.append(Gateway(site, number))
            stack.callback(gateways[-1].end)
        alone = stack.enter_context(balancer(gateways[:1], folder))
        both = stack.enter_context(balancer(gateways, folder))
        costs: dict[int, list[Cost]] = {1: [], 2: []}
        failed = 0
        for number in range(given.rounds + 1):  # the first warms caches
            for n, url in ((1, alone), (2, both)):
                rate = given.rate * n / 2
                plan = plan_of(url, site, rate, given.seconds, given.seed + number)
                found, n_failed = cost(gateways[:n], database, plan, site)
                costs[n] += [found] * (number > 0)
                failed += n_failed
        # Longer than it takes; requests after its end count, too.
        per_gateway_s = given.notice + given.start_s + 2
        seconds = 2 * given.restarts * per_gateway_s + 2
        over = roll(gateways, given.restarts)
        phases = list[Phase]()
        while not over() or not phases:
            plan = plan_of(both, site, given.rate, seconds, given.seed + len(phases))
            phases.append(send(plan, folder))
        rolled = sum(len(phase.result.status) for phase in phases)
        lost = sum(map(failures, phases), Counter[str]())
    return {"costs": costs, "failed": failed, "rolled": rolled, "lost": lost, "phases": phases}


def main() -> None:
    """Measure, print, and say by the exit code whether the promises hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="little of all; figures mean nothing")
    parser.add_argument("--rate", type=float, help="requests a second in all (100)")
    parser.add_argument("--restarts", type=int, default=2, help="of each gateway (2)")
    parser.add_argument("--seconds", type=float, help="of each stretch for the CPU (10)")
    parser.add_argument("--rounds", type=int, help="of such stretches, in turn (3)")
    parser.add_argument("--share", type=float, default=0.2, help="asks all members (0.2)")
    parser.add_argument("--notice", type=float, default=4.0, help="notice_s of the gateways (4)")
    parser.add_argument("--start-s", type=float, default=6.0, help="a start is thought to take (6)")
    parser.add_argument("--queries", type=int, help="to train on (600)")
    parser.add_argument("--db", help="database; by default a PostgreSQL of its own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    small = {"rate": 20.0, "seconds": 2.0, "rounds": 1, "queries": 120}
    large = {"rate": 100.0, "seconds": 10.0, "rounds": 3, "queries": 600}
    for name, value in (small if given.quick else large).items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    if given.quick:
        given.restarts = 1
    about = setting(PACKAGES, seed=given.seed, rate=given.rate)
    with tempfile.TemporaryDirectory() as name:
        found = measure(given, Path(name))
    one, two = found["costs"][1], found["costs"][2]
    shares = [b.gateways / a.gateways for a, b in zip(one, two, strict=True)]
    ratio, lost = median(shares), found["lost"]
    latency = sorted(ms for phase in found["phases"] for ms in phase.answered_ms)
    at = [latency[round(q * (len(latency) - 1))] for q in (0.5, 0.95, 0.99)] if latency else []
    ms = {n: median(c.gateways for c in found["costs"][n]) for n in (1, 2)}
    db = {n: median(c.database for c in found["costs"][n]) for n in (1, 2)}
    span = f"({min(shares):.2f} to {max(shares):.2f})"
    table = [
        ("failed while both were restarted", f"{lost.total():,} of {found['rolled']:,}", "0",
         not lost),
        ("failed otherwise", f"{found['failed']:,}", "0", found["failed"] == 0),
        ("latency meanwhile, p50, p95, p99", " / ".join(f"{x:.0f}" for x in at) + " ms", "", None),
        ("gateway CPU, one", f"{ms[1]:.2f} ms each", "", None),
        ("gateway CPU, two", f"{ms[2]:.2f} ms each", "", None),
        ("two by one", f"{ratio:.2f} {span}", f"<= {MOST_RATIO:g}", ratio <= MOST_RATIO),
        ("database CPU, one and two", f"{db[1]:.2f} and {db[2]:.2f} ms each", "", None),
    ]  # fmt: skip
    rows = [
        {"what": what, "found": text, "target": target, "": _said(held)}
        for what, text, target, held in table
    ]
    for what, n in lost.most_common():
        print(f"failed: {n:,} x {what}")
    print(f"{markdown(rows)}\n\nload {os.getloadavg()[0]:.1f}\n{json.dumps(about)}")
    if given.json is not None:
        given.json.write_text(json.dumps({"about": about, "table": rows, "shares": shares}))
    sys.exit(any(held is False for *_, held in table))


def _said(held: bool | None) -> str:
    return "" if held is None else ("ok" if held else "MISSED")


if __name__ == "__main__":
    main()
