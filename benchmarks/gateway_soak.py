"""Whether the gateway's memory grows while it serves.

    python benchmarks/gateway_soak.py [--minutes 20] [--rate 50] [--every 10] [--queries 600]
        [--json FILE] [--markdown FILE]

An ensemble of three members at 50 requests a second, every fifth answer judged at once by a client.
Resident memory of the gateway is noted every 10 s; the first 2 minutes are warm-up. Growth is a
straight line fitted to the rest, in percent of its start; the line's 95 % interval and the highest
value against the median of the first minute after the warm-up stand beside it. Exit code 1: a
target is missed. The mock upstream takes 50 ms and is a process of its own, and so is the sender.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from load import ensemble, servers
from load.figures import Estimate, markdown, setting
from load.phases import Phase, send
from load.sender import Plan
from load.watching import Usage, usage_of
from scipy import stats

MOST_GROWTH = 5.0
"""Percent after the warm-up."""
EVERY_S = 10.0
ACCURACY = (0.7, 0.65, 0.6)
PACKAGES = ("rlfocal", "aiohttp", "starlette", "uvicorn", "uvloop", "torch", "sqlalchemy")


class Seen(NamedTuple):
    """One look at the gateway."""

    at_s: float
    usage: Usage


class Growth(NamedTuple):
    """Of memory, in percent."""

    fitted: Estimate
    """Over the whole time after the warm-up, from the fitted line's start."""
    highest: float
    """Of any look, against the median of the first minute after the warm-up."""


def growth(seen: list[Seen], warm_up_s: float) -> Growth:
    """How much memory grew after the warm-up."""
    at = np.array([each.at_s for each in seen if each.at_s >= warm_up_s])
    memory = np.array([each.usage.resident_mb for each in seen if each.at_s >= warm_up_s])
    if len(at) < 3:
        raise SystemExit("too short: fewer than three looks after the warm-up")
    line = stats.linregress(at, memory)
    start, length = line.intercept + line.slope * at[0], at[-1] - at[0]
    wide = stats.t.ppf(0.975, len(at) - 2) * line.stderr
    ends = [100 * slope * length / start for slope in (line.slope, -wide, wide)]
    fitted = Estimate(ends[0], ends[0] + ends[1], ends[0] + ends[2])
    first = float(np.median(memory[at < at[0] + 60]))
    return Growth(fitted, 100 * (float(memory.max()) - first) / first)


def soak(given: argparse.Namespace, folder: Path) -> tuple[Phase, list[Seen]]:
    """Serve, send, look."""
    seen: list[Seen] = []
    members = ensemble.names(len(ACCURACY))
    data = ensemble.simulated(ACCURACY, given.queries, seed=given.seed)
    checkpoint = ensemble.train(folder, data, seed=given.seed)
    with ExitStack() as stack:
        upstream = stack.enter_context(servers.mock(folder, 50.0))
        pool = ensemble.pool_file(folder, f"{upstream.url}/v1", members)
        gateway = stack.enter_context(ensemble.serve(checkpoint, pool, folder))
        started = time.monotonic()

        def look() -> None:
            now = time.monotonic() - started
            if now >= len(seen) * given.every:
                seen.append(Seen(now, usage_of(gateway.pid)))

        models = (ensemble.EVERYBODY, "rlfocal")
        bodies = [[ensemble.chat_body(models[k % 2], k)] for k in range(5_000)]
        plan = Plan(
            url=gateway.chat,
            bodies=bodies,
            rate=given.rate,
            count=round(60 * given.minutes * given.rate),
            seed=given.seed,
            headers=gateway.headers,
            feedback_url=f"{gateway.url}{ensemble.FEEDBACK}",
            feedback_share=given.feedback,
        )
        return send(plan, folder, pid=gateway.pid, meanwhile=look), seen


def main() -> None:
    """Soak, print, and say by the exit code whether the promise holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--warm-up", type=float, default=2.0, help="minutes of them (2)")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second (50)")
    parser.add_argument("--feedback", type=float, default=0.2, help="share judged (0.2)")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between looks (10)")
    parser.add_argument("--queries", type=int, default=600, help="to train on (600)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    given = parser.parse_args()
    about = setting(PACKAGES, seed=given.seed, rate=given.rate, minutes=given.minutes)
    with tempfile.TemporaryDirectory() as name:
        phase, seen = soak(given, Path(name))
    grown = growth(seen, 60 * given.warm_up)
    latency = np.percentile(phase.answered_ms or [0.0], [50, 95, 99])
    judged, lost = phase.result.n_feedback, phase.result.n_feedback_failed
    failed = f"{phase.n_failed:,} of {len(phase.result.status):,}"
    table = [
        ("requests failed", failed, "0", phase.n_failed == 0),
        ("judgements failed", f"{lost:,} of {judged:,}", "0", lost == 0),
        (
            "memory, fitted growth",
            f"{grown.fitted.shown()} %",
            f"< {MOST_GROWTH:g} %",
            grown.fitted.value < MOST_GROWTH,
        ),
        ("memory, highest", f"{grown.highest:+.2f} %", "", None),
        ("memory, last", f"{seen[-1].usage.resident_mb:.1f} MB", "", None),
        ("latency p50, p95, p99", " / ".join(f"{ms:.1f}" for ms in latency) + " ms", "", None),
        ("gateway CPU", f"{1000 * phase.cpu_s / len(phase.result.status):.2f} ms each", "", None),
        ("threads, open files at the end", f"{seen[-1].usage[4]}, {seen[-1].usage[3]}", "", None),
    ]
    rows = [
        {"what": what, "found": found, "target": target, "": _said(held)}
        for what, found, target, held in table
    ]
    curve = " ".join(f"{each.usage.resident_mb:.0f}" for each in seen)
    text = f"{markdown(rows)}\n\nMB every {given.every:g} s: {curve}\n\n{json.dumps(about)}\n"
    print(text)
    if given.markdown is not None:
        given.markdown.write_text(text, encoding="utf-8")
    if given.json is not None:
        looks = [{"at_s": each.at_s, **each.usage._asdict()} for each in seen]
        given.json.write_text(json.dumps({"about": about, "table": rows, "looks": looks}))
    sys.exit(any(held is False for *_, held in table))


def _said(held: bool | None) -> str:
    return "" if held is None else ("ok" if held else "MISSED")


if __name__ == "__main__":
    main()
