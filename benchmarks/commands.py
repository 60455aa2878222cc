"""How long a user waits for the commands that should feel instant.

    python benchmarks/commands.py [--data DIR ...] [--repeats R] [--json]

Times whole processes, start of Python included: `rlfocal --help` and the help of a verb beside the
bare import of the library that prints it, and `rlfocal inspect` of each data folder given (the
built-in pool where none is). Prints the median and the slowest wall time and the peak memory. Exit
status 1 where a promise is missed: help in 0.4 s, `inspect` in 3 s (medians).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("rlfocal"))
HELP_S, INSPECT_S = 0.4, 3.0


@dataclass(frozen=True)
class Timing:
    """One command."""

    command: str
    median_s: float
    slowest_s: float
    peak_mib: float
    promise_s: float | None


def timed(words: Sequence[str], shown: str, repeats: int, promise_s: float | None) -> Timing:
    """Run a command `repeats` times after one warm-up."""
    took, peak = [], 0
    for _ in range(repeats + 1):
        start = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, status, usage = os.wait4(process.pid, 0)
        took.append(time.perf_counter() - start)
        peak = max(peak, usage.ru_maxrss)
        if status:
            raise SystemExit(f"{shown} failed with status {os.waitstatus_to_exitcode(status)}")
    return Timing(shown, statistics.median(took[1:]), max(took[1:]), peak / 1024, promise_s)


def main() -> int:
    """Time, print, and say whether the promises hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", nargs="*", default=["demo"], metavar="DIR")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    bare = [sys.executable, "-c", "import typer.main"]
    timings = [
        timed(bare, "import typer", given.repeats, None),
        timed([PROGRAM, "--help"], "rlfocal --help", given.repeats, HELP_S),
        timed([PROGRAM, "bench", "--help"], "rlfocal bench --help", given.repeats, HELP_S),
    ]
    for folder in given.data:
        shown = f"rlfocal inspect {Path(folder).name}"
        timings.append(timed([PROGRAM, "inspect", folder], shown, given.repeats, INSPECT_S))
    if given.json:
        print(json.dumps([asdict(timing) for timing in timings], indent=2))
    else:
        print(f"{'median s':>9} {'slowest s':>10} {'peak MiB':>9}  command")
        for t in timings:
            print(f"{t.median_s:9.2f} {t.slowest_s:10.2f} {t.peak_mib:9.0f}  {t.command}")
    missed = [t for t in timings if t.promise_s is not None and t.median_s > t.promise_s]
    if missed:
        promises = (f"{t.command} in {t.promise_s:g} s" for t in missed)
        print("missed: " + "; ".join(promises), file=sys.stderr)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
