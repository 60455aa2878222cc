"""One stretch of load: the sender in a process of its own, and what the server used meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from load.sender import Plan, Result
from load.watching import usage_of

_SENDER = str(Path(__file__).with_name("sender.py"))


@dataclass(frozen=True)
class Phase:
    """What a stretch of load came to."""

    result: Result
    cpu_s: float
    """Of the server and all it started, warm-up included."""
    resident_mb: float
    """At the end."""

    @property
    def n_failed(self) -> int:
        """Requests without a reply of status 200."""
        return sum(status != 200 for status in self.result.status)

    @property
    def answered_ms(self) -> list[float]:
        """Latencies of the others, in the order they were due."""
        of = zip(self.result.latency_ms, self.result.status, strict=True)
        return [latency for latency, status in of if status == 200]


def send(
    plan: Plan, folder: Path, *, pid: int | None = None, meanwhile: Callable[[], None] | None = None
) -> Phase:
    """Send a plan.

    Args:
        plan: what.
        folder: for the plan and the raw result.
        pid: the server's, whose use of the machine is noted; None for nobody's.
        meanwhile: called about every second.

    Raises:
        SystemExit: the sender failed.
    """
    plan_file, result_file = folder / "plan.json", folder / "result.json"
    plan_file.write_text(json.dumps(asdict(plan)), encoding="utf-8")
    before = None if pid is None else usage_of(pid)
    with subprocess.Popen([sys.executable, _SENDER, str(plan_file), str(result_file)]) as running:
        while True:
            try:
                status = running.wait(timeout=1.0)
                break
            except subprocess.TimeoutExpired:
                (meanwhile or nullcontext)()
    if status:
        raise SystemExit(f"the sender failed with status {status}")
    after = None if pid is None else usage_of(pid)
    result = Result(**json.loads(result_file.read_text(encoding="utf-8")))
    if before is None or after is None:
        return Phase(result, 0.0, 0.0)
    return Phase(result, after.cpu_s - before.cpu_s, after.resident_mb)
