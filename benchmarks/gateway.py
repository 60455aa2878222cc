"""What a gateway adds to a reply's time: ours, and LiteLLM's proxy beside it.

    python benchmarks/gateway.py [--litellm-python VENV/bin/python] [--seconds 60]
        [--rate 100 25] [--json FILE] [--markdown FILE]

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
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from load import ensemble, servers
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

MOST_MS = {0: 5.0, 1: 15.0}
"""Overhead at the median and at the 95th percentile, by place in QUANTILES."""
LEAST_TIMES = 3.0
"""LiteLLM's overhead against ours."""
ACCURACY = (0.7, 0.65, 0.6)
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


def targets(
    upstream: servers.Server, ours: servers.Server, theirs: servers.Server | None, rate: float
) -> list[Target]:
    """All that are measured at one rate."""
    members = ensemble.names(len(ACCURACY))
    numbers = range(N_BODIES)
    one = [[ensemble.plain_body(members[0], k)] for k in numbers]
    each = [[ensemble.plain_body(member, k) for member in members] for k in numbers]
    all_ours = [[ensemble.chat_body(ensemble.EVERYBODY, k)] for k in numbers]
    all_theirs = [[ensemble.plain_body(",".join(members), k)] for k in numbers]
    direct = servers.Server("direct", upstream.url, upstream.pid)
    found = [
        Target("pass-through", rate, direct, one, 1),
        Target("pass-through", rate, ours, one, 1),
        Target("3 members", rate, direct, each, 3),
        Target("3 members", rate, ours, all_ours, 3),
    ]
    if theirs is not None:
        found[2:2] = [Target("pass-through", rate, theirs, one, 1)]
        found.append(Target("3 members", rate, theirs, all_theirs, 3))
    return found


def check(target: Target) -> None:
    """One request: it must be answered, by as many calls as it should take.

    Raises:
        SystemExit: it is not.
    """
    for body in target.bodies[0]:
        status, said = servers.post(target.server.chat, body, target.server.headers)
        if status != 200 or '"choices"' not in said:
            raise SystemExit(f"{target.name}: status {status}: {said[:2000]}")
        own = json.loads(said).get("rlfocal") if target.server.name == "rlfocal" else None
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
        cpu = sum(phase.cpu_s for phase in target.phases) / target.n_sent
        row["server CPU, ms each"] = f"{1000 * cpu:.2f}"
        row["server MB"] = f"{target.phases[-1].resident_mb:.0f}"
        row["sender late p99, ms"] = f"{late[2]:.1f}"
        rows.append(row)
    return rows


def verdicts(found: Sequence[Target], known: dict[str, Sampled]) -> list[dict[str, str]]:
    """What is promised, and whether it holds."""
    rows = []

    def judge(what: str, measured: str, target: str, held: bool) -> None:
        said = "ok" if held else "MISSED"
        rows.append({"promise": what, "measured": measured, "target": target, "": said})

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
    # LiteLLM's failures are in the table; they are no promise of ours.
    n_failed = sum(target.n_failed for target in found if target.server.name != "LiteLLM")
    judge("requests without an answer, ours and direct", str(n_failed), "0", n_failed == 0)
    n_calls = sum(target.n_completions for target in found)
    wanted = sum(target.n_calls * target.n_sent for target in found)
    judge("upstream calls, all", f"{n_calls:,}", f"{wanted:,}", n_calls == wanted)
    return rows


def main() -> None:
    """Start all, measure, print, and say by the exit code whether the promises hold."""
    given = arguments()
    known: dict[str, Any] = {"seed": given.seed, "latency_ms": given.latency_ms}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        about = setting(PACKAGES, **known)
        data = ensemble.simulated(ACCURACY, given.queries, seed=given.seed)
        checkpoint = ensemble.train(folder, data, seed=given.seed)
        upstream = stack.enter_context(servers.mock(folder, given.latency_ms))
        members = ensemble.names(len(ACCURACY))
        pool = ensemble.pool_file(folder, f"{upstream.url}/v1", members)
        ours = stack.enter_context(ensemble.serve(checkpoint, pool, folder))
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
    table, judged = rows_of(found, percentiles), verdicts(found, percentiles)
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
    return parser.parse_args()


if __name__ == "__main__":
    main()
