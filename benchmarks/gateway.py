"""What a gateway adds to a reply's time: ours, and another build or LiteLLM's proxy beside it.

    python benchmarks/gateway.py [--before SRC] [--litellm-python VENV/bin/python] [--seconds 60]
        [--rate 100 25] [--strategy rl-focal] [--quick] [--json FILE] [--markdown FILE]

Overhead = latency through the gateway minus direct, percentile by percentile. One mock upstream
that takes 50 ms serves all; requests come open-loop, as a Poisson process, and count from the
moment they were due. Two cases: one member passed through, and an ensemble of three asked at once
(ours then decides; LiteLLM's comma-separated models return all three replies; direct, the client
itself asks the three and waits for all). Each target's minute is cut into stretches that alternate
with the others', in an order drawn anew each round, so that noise of the machine falls on all
alike; all see the same arrivals. The lower rate shows what is added where nobody is near the end
of one core: a server that is past it has a queue, which grows as long as the load lasts. LiteLLM's
proxy runs from a virtual environment of its own with `pip install 'litellm[proxy]'`: one worker as
ours, uvicorn on uvloop, its key on as ours are, no database, no callbacks, no logs but errors.
Intervals are 95 %, from a block bootstrap. Exit code 1: a target is missed. The figures hold for a
machine that has nothing else to do.

--before names the folder src of another build, which trains a checkpoint of its own on the same
data. Then CPU of the server for each request (user and system, the median of the stretches), what
it holds at the end, and its start are compared: seconds, and seconds of CPU, until it answers, the
median of --starts started in turn, byte code compiled before. On a machine that others use, CPU is
to be believed and seconds are not.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from load import ensemble, servers
from load.builds import NOW, Build
from load.figures import (
    Sampled,
    markdown,
    overhead,
    percentile,
    ratio,
    sampled,
    setting,
)
from load.phases import Phase, send
from load.sender import Plan
from load.watching import Usage, usage_of

MOST_MS = {0: 5.0, 1: 15.0}
"""Overhead at the median and at the 95th percentile, by place in QUANTILES."""
LEAST_TIMES = 3.0
"""LiteLLM's overhead against ours."""
MOST_OF_BEFORE = {"3 members": 0.4, "pass-through": 0.6}
"""Of the server's CPU for each request."""
MOST_MEMORY, MOST_START, MOST_OVERHEAD = 1 / 3, 0.25, 0.5
"""Of the build before; the overhead is that of 3 members at the lowest rate, at the median."""
MOST_LOADED_MS = 20.0
"""Overhead of 3 members at the highest rate, at the median."""
ACCURACY = (0.7, 0.65, 0.6)
BEFORE = "rlfocal before"
N_BODIES = 500
"""Different questions; then they come again."""
PACKAGES = ("rlfocal", "aiohttp", "starlette", "uvicorn", "uvloop", "httptools", "torch")


@dataclass
class Target:
    """A server and a way to ask it."""

    what: str
    rate: float
    """Requests a second."""
    server: servers.Server
    bodies: Sequence[Sequence[dict[str, Any]]]
    n_calls: int
    """Of the upstream, for each request."""
    phases: list[Phase] = field(default_factory=list)
    n_completions: int = 0
    """That the upstream was asked for while this target was."""
    n_sent: int = 0

    @property
    def case(self) -> str:
        """What is compared with each other."""
        return f"{self.what}, {self.rate:g}/s"

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.case}: {self.server.name}"

    @property
    def latencies(self) -> list[list[float]]:
        """Of each stretch."""
        return [phase.answered_ms for phase in self.phases]

    @property
    def n_failed(self) -> int:
        """Requests without an answer."""
        return sum(phase.n_failed for phase in self.phases)

    @property
    def cpu_ms(self) -> float:
        """Of the server, for each request; the median of the stretches."""
        n = self.n_sent / max(1, len(self.phases))
        return 1000 * median(phase.cpu_s for phase in self.phases) / n


@dataclass(frozen=True)
class Started:
    """One start."""

    seconds: float
    """Until it answered."""
    usage: Usage
    """Then."""


def targets(
    upstream: servers.Server,
    ours: Sequence[servers.Server],
    theirs: servers.Server | None,
    rate: float,
) -> list[Target]:
    """All that are measured at one rate."""
    members = ensemble.names(len(ACCURACY))
    numbers = range(N_BODIES)
    one = [[ensemble.plain_body(members[0], k)] for k in numbers]
    each = [[ensemble.plain_body(member, k) for member in members] for k in numbers]
    all_ours = [
        (server, [[ensemble.chat_body(everybody(server), k)] for k in numbers]) for server in ours
    ]
    all_theirs = [[ensemble.plain_body(",".join(members), k)] for k in numbers]
    direct = servers.Server("direct", upstream.url, upstream.pid)
    found = [
        Target("pass-through", rate, direct, one, 1),
        *(Target("pass-through", rate, server, one, 1) for server in ours),
        Target("3 members", rate, direct, each, 3),
        *(Target("3 members", rate, server, bodies, 3) for server, bodies in all_ours),
    ]
    if theirs is not None:
        found.append(Target("pass-through", rate, theirs, one, 1))
        found.append(Target("3 members", rate, theirs, all_theirs, 3))
    return sorted(found, key=lambda target: target.what != "pass-through")


def everybody(server: servers.Server) -> str:
    """The name by which all members are asked: a vote of all has no price."""
    status, _ = servers.post(server.chat, ensemble.chat_body("rlfocal:0", 0), server.headers)
    return ensemble.EVERYBODY if status == 200 else "rlfocal"


def check(target: Target) -> None:
    """One request: it must be answered, by as many calls as it should take.

    Raises:
        SystemExit: it is not.
    """
    for body in target.bodies[0]:
        status, said = servers.post(target.server.chat, body, target.server.headers)
        if status != 200 or '"choices"' not in said:
            raise SystemExit(f"{target.name}: status {status}: {said[:2000]}")
        own = json.loads(said).get("rlfocal")
        if own is not None and (own["n_calls"], own["n_rounds"]) != (target.n_calls, 1):
            raise SystemExit(f"{target.name}: not {target.n_calls} calls in one round: {own}")


def measure(
    found: Sequence[Target], upstream: servers.Server, given: argparse.Namespace, folder: Path
) -> None:
    """Send everything, the targets in turn."""
    order = random.Random(given.seed)
    for number in range(given.rounds):
        for target in order.sample(list(found), len(found)):
            count = round(target.rate * given.seconds / given.rounds)
            warm_up = round(target.rate * given.warm_up)
            plan = Plan(
                url=target.server.chat,
                bodies=target.bodies,
                rate=target.rate,
                count=count,
                warm_up=warm_up,
                even=given.even,
                seed=given.seed + number,
                headers=target.server.headers,
            )
            before = servers.n_completions(upstream)
            target.phases.append(send(plan, folder, pid=target.server.pid))
            target.n_completions += servers.n_completions(upstream) - before
            target.n_sent += count + warm_up
            print(f"round {number + 1}, {target.name}", file=sys.stderr)


def rows_of(found: Sequence[Target], known: dict[str, Sampled]) -> list[dict[str, str]]:
    """The table of latencies and overheads."""
    rows = []
    for target in found:
        own, direct = known[target.name], known[f"{target.case}: direct"]
        late = sampled([phase.result.late_ms for phase in target.phases], seed=0).values
        row = {"case": target.case, "through": target.server.name}
        for place, name in enumerate(("p50", "p95", "p99")):
            row[f"{name}, ms"] = f"{percentile(own, place).value:.2f}"
        for place, name in enumerate(("p50", "p95")):
            bare = target.server.name == "direct"
            row[f"overhead {name}, ms"] = "" if bare else overhead(own, direct, place).shown()
        row["failed"] = f"{target.n_failed} of {sum(len(p.result.status) for p in target.phases)}"
        row["server CPU, ms each"] = f"{target.cpu_ms:.2f}"
        row["server MB"] = f"{target.phases[-1].resident_mb:.0f}"
        row["sender late p99, ms"] = f"{late[2]:.1f}"
        rows.append(row)
    return rows


Judge = Callable[[str, str, str, bool], None]
"""Notes a promise, what was measured, what it should be, and whether it is."""


def compare(
    found: Sequence[Target],
    known: dict[str, Sampled],
    starts: dict[str, list[Started]],
    judge: Judge,
) -> None:
    """With the build before."""

    def judge_share(what: str, now: float, before: float, most: float, unit: str) -> None:
        share = now / max(before, 1e-9)
        shown = f"{share:.0%} ({now:.2f} {unit}, before {before:.2f})"
        judge(f"{what}, of before", shown, f"<= {most:.0%}", share <= most)

    by_name = {target.name: target for target in found}
    for case in dict.fromkeys(target.case for target in found):
        now, before = by_name[f"{case}: {NOW.name}"], by_name[f"{case}: {BEFORE}"]
        what = f"{case}: server CPU of a request"
        judge_share(what, now.cpu_ms, before.cpu_ms, MOST_OF_BEFORE[now.what], "ms")
    resident = {
        name: max(t.phases[-1].resident_mb for t in found if t.server.name == name)
        for name in starts
    }
    judge_share("resident memory", resident[NOW.name], resident[BEFORE], MOST_MEMORY, "MB")
    for what, taken in (
        ("ready after", lambda one: one.seconds),
        ("CPU until it is ready", lambda one: one.usage.cpu_s),
    ):
        middle = {name: median(map(taken, every)) for name, every in starts.items()}
        judge_share(what, middle[NOW.name], middle[BEFORE], MOST_START, "s")
    slow, fast = (f"3 members, {rate(t.rate for t in found):g}/s" for rate in (min, max))
    over = {
        name: overhead(known[f"{slow}: {name}"], known[f"{slow}: direct"], 0).value
        for name in starts
    }
    what = f"{slow}, p50: overhead"
    judge_share(what, over[NOW.name], over[BEFORE], MOST_OVERHEAD, "ms")
    loaded = overhead(known[f"{fast}: {NOW.name}"], known[f"{fast}: direct"], 0)
    held = loaded.value < MOST_LOADED_MS
    judge(f"{fast}, p50: overhead beside before", loaded.shown(), f"< {MOST_LOADED_MS:g} ms", held)


def verdicts(
    found: Sequence[Target], known: dict[str, Sampled], starts: dict[str, list[Started]]
) -> list[dict[str, str]]:
    """What is promised, and whether it holds."""
    rows = []

    def judge(what: str, measured: str, target: str, held: bool) -> None:
        said = "ok" if held else "MISSED"
        rows.append({"promise": what, "measured": measured, "target": target, "": said})

    if BEFORE in starts:
        compare(found, known, starts, judge)
    by_name = {target.name: target for target in found}
    for case in dict.fromkeys(target.case for target in found):
        direct, ours = known[f"{case}: direct"], known[f"{case}: rlfocal"]
        for place, most in MOST_MS.items():
            what = f"{case}, {('p50', 'p95')[place]}"
            own = overhead(ours, direct, place)
            judge(f"{what}: overhead", f"{own.shown()} ms", f"< {most:g} ms", own.value < most)
            if f"{case}: LiteLLM" in by_name:
                times = ratio(known[f"{case}: LiteLLM"], ours, direct, place)
                held = times.value >= LEAST_TIMES
                judge(f"{what}: LiteLLM / ours", times.shown(1), f">= {LEAST_TIMES:g}", held)
    # Failures of the others are in the table; they are no promise of ours.
    judged = [target for target in found if target.server.name in ("direct", NOW.name)]
    n_failed = sum(target.n_failed for target in judged)
    judge("requests without an answer, ours and direct", str(n_failed), "0", n_failed == 0)
    n_calls = sum(target.n_completions for target in found)
    wanted = sum(target.n_calls * target.n_sent for target in found)
    judge("upstream calls, all", f"{n_calls:,}", f"{wanted:,}", n_calls == wanted)
    return rows


Serve = Callable[[Path], AbstractContextManager[servers.Server]]
"""Serves a build, with its files in that folder."""


def trained(build: Build, folder: Path, pool: Path, given: argparse.Namespace) -> Serve:
    """Train a build's checkpoint; how it is served."""
    own = folder / build.name.replace(" ", "-")
    own.mkdir()
    data = ensemble.simulated(ACCURACY, given.queries, seed=given.seed)
    more: dict[str, Any] = {"build": build, "byte_code": folder / "byte-code"}
    checkpoint = ensemble.train(own, data, strategy=given.strategy, seed=given.seed, **more)

    def serve(place: Path) -> AbstractContextManager[servers.Server]:
        there = own / place.name
        there.mkdir()
        return ensemble.serve(checkpoint, pool, there, **more)

    return serve


def started(served: Mapping[Build, Serve], n: int) -> dict[str, list[Started]]:
    """Start each build so many times, in turn, and once before."""
    found: dict[str, list[Started]] = {build.name: [] for build in served}
    for number in range(n + 1):
        for build, serve in served.items():
            with serve(Path(f"start-{number}")) as server:
                one = Started(server.ready_s, usage_of(server.pid))
            if number:  # the first compiles
                found[build.name].append(one)
    return found


def main() -> None:
    """Start all, measure, print, and say by the exit code whether the promises hold."""
    given = arguments()
    known: dict[str, Any] = {"seed": given.seed, "latency_ms": given.latency_ms}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        about = setting(PACKAGES, **known)
        upstream = stack.enter_context(servers.mock(folder, given.latency_ms))
        members = ensemble.names(len(ACCURACY))
        pool = ensemble.pool_file(folder, f"{upstream.url}/v1", members)
        builds = [NOW] if given.before is None else [Build(BEFORE, given.before), NOW]
        served = {build: trained(build, folder, pool, given) for build in builds}
        starts = {} if given.before is None else started(served, given.starts)
        ours = [stack.enter_context(serve(folder / "serve")) for serve in served.values()]
        theirs = None
        if given.litellm_python is None:
            print("LiteLLM: skipped, no --litellm-python", file=sys.stderr)
        else:
            proxy = servers.litellm(given.litellm_python, folder, upstream, members)
            theirs = stack.enter_context(proxy)
            about["versions"]["litellm"] = servers.litellm_version(given.litellm_python)
        found = [each for rate in given.rate for each in targets(upstream, ours, theirs, rate)]
        for target in found:
            check(target)
        measure(found, upstream, given, folder)
    runs = {target.name: target.latencies for target in found}
    percentiles = {name: sampled(run, seed=given.seed) for name, run in runs.items()}
    table, judged = rows_of(found, percentiles), verdicts(found, percentiles, starts)
    text = f"{markdown(table)}\n\n{markdown(judged)}\n\n{json.dumps(about)}\n"
    print(text)
    if given.markdown is not None:
        given.markdown.write_text(text, encoding="utf-8")
    if given.json is not None:
        found_all = {"about": about, "table": table, "promises": judged, "latency_ms": runs}
        given.json.write_text(json.dumps(found_all), encoding="utf-8")
    sys.exit(any(row[""] == "MISSED" for row in judged))


def arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, metavar="SRC", help="src of another build")
    parser.add_argument("--strategy", default="rl-focal", help="of the checkpoint (rl-focal)")
    parser.add_argument("--starts", type=int, default=5, help="of each build (5)")
    parser.add_argument("--quick", action="store_true", help="seconds only: does it run?")
    parser.add_argument("--litellm-python", type=Path, metavar="PYTHON")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each target, all rounds")
    parser.add_argument("--rounds", type=int, default=4, help="stretches of each target (4)")
    parser.add_argument(
        "--warm-up", type=float, default=3.0, help="seconds before each stretch (3)"
    )
    parser.add_argument(
        "--rate", type=float, nargs="+", default=[100.0, 25.0], metavar="R",
        help="requests a second (100 25)",
    )  # fmt: skip
    parser.add_argument("--even", action="store_true", help="evenly spaced, not Poisson")
    parser.add_argument("--latency-ms", type=float, default=50.0, help="of the upstream (50)")
    parser.add_argument("--queries", type=int, default=600, help="to train on (600)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="with all raw latencies")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.rounds, given.warm_up, given.starts = 4.0, 2, 0.2, 1
        given.rate, given.queries = [20.0, 10.0], 120
    return given


if __name__ == "__main__":
    main()
