"""What `rlfocal bench` takes: this build beside an earlier checkout, in turns within one run.

    .venv/bin/python benchmarks/bench_speed.py DATA --before DIR [--pool NAME] [--repeats 3]

DIR is a checkout of another build; both run in this environment, with one thread a process. Each
repeat runs one after the other, so that a busy machine slows both, and CPU time says more than wall
time. Memory is the most that the process and all its children held resident at once, looked at
every 30 ms (Linux). The lines tell medians, and the last ones the medians of the repeats' ratios.

Also told is whether the figures of both are the same, to the last bit: of every strategy that both
have run, all that its row of the leaderboard and its frontier say, but for the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).resolve().parents[1]
PROGRAM = "from rlfocal.cli.main import main; main()"
STEP_S = 0.03
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Taken:
    """What one run took."""

    wall_s: float
    cpu_s: float
    """Of all its processes, in user mode."""
    peak_mib: float
    figures: dict[str, Any]
    """By strategy."""

    @property
    def measures(self) -> tuple[float, float, float]:
        """Wall seconds, CPU seconds, MiB."""
        return self.wall_s, self.cpu_s, self.peak_mib


def tree(pid: int) -> Iterator[int]:
    """A process and all under it."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def resident(pid: int) -> int:
    """Bytes that a process holds; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def watched(process: subprocess.Popen[bytes], ended: threading.Event) -> Iterator[int]:
    """What the whole tree holds, time and again, until it has ended."""
    while not ended.wait(STEP_S):
        yield sum(map(resident, tree(process.pid)))


def run(checkout: Path, words: Sequence[str], folder: Path) -> Taken:
    """Run `rlfocal bench` of a checkout."""
    report = folder / "bench.json"
    command = [sys.executable, "-c", PROGRAM, "bench", *words, "--json", str(report)]
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    ended, peak = threading.Event(), [0]
    start, before = perf_counter(), os.times()
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        watcher = threading.Thread(target=lambda: peak.extend(watched(process, ended)))
        watcher.start()
        status = process.wait()
        wall_s, cpu_s = perf_counter() - start, os.times().children_user - before.children_user
        ended.set()
        watcher.join()
    if status:
        sys.exit(f"{checkout}: status {status}\n{(folder / 'said.txt').read_text()[-2000:]}")
    return Taken(wall_s, cpu_s, max(peak) / 2**20, figures_of(json.loads(report.read_text())))


def figures_of(found: dict[str, Any]) -> dict[str, Any]:
    """What is the same wherever it is run, by strategy."""
    return {
        row["strategy"]: (
            {name: value for name, value in row.items() if name not in ("fit_s", "replay_s")},
            found["frontiers"].get(row["strategy"]),
        )
        for row in found["rows"]
    }


def same(one: Taken, other: Taken) -> str:
    """How many of the strategies that both have run have the same figures, and which do not."""
    common = [name for name in one.figures if name in other.figures]
    apart = [name for name in common if not agree(one.figures[name], other.figures[name])]
    line = f"the same figures: {len(common) - len(apart)} of {len(common)} strategies"
    return f"{line}; not: {', '.join(apart)}" if apart else line


def agree(one: Any, other: Any) -> bool:
    """Whether two values are equal, as far as both have their fields."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(agree(one[name], other[name]) for name in one.keys() & other.keys())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(agree, one, other))
    return bool(one == other)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", help="as of `rlfocal bench`")
    parser.add_argument(
        "--before", type=Path, default=HERE, metavar="DIR", help="another checkout; else this one"
    )
    parser.add_argument("--pool", metavar="NAME")
    parser.add_argument("--strategies", default="baselines", metavar="A,B,...")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one repeat of little: does it run?")
    given = parser.parse_args()
    if given.quick:
        given.repeats, given.folds, given.strategies = 1, 2, "plurality,stacking"
    words = [given.data, "--strategies", given.strategies, "--folds", str(given.folds)]
    words += ["--jobs", str(given.jobs), *(["--pool", given.pool] if given.pool else [])]
    builds = {"before": given.before.resolve(), "this": HERE}
    taken: dict[str, list[Taken]] = {name: [] for name in builds}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(given.repeats):
            for name, checkout in builds.items():
                taken[name].append(run(checkout, words, Path(folder)))
    print("build    wall s   CPU s   peak MiB   (medians)")
    for name, each in taken.items():
        wall_s, cpu_s, mib = map(statistics.median, zip(*(t.measures for t in each), strict=True))
        print(f"{name:7} {wall_s:7.1f} {cpu_s:7.1f} {mib:10.0f}")
    pairs = [
        [mine / theirs for mine, theirs in zip(one.measures, other.measures, strict=True)]
        for one, other in zip(taken["this"], taken["before"], strict=True)
    ]
    for what, ratios in zip(("wall", "CPU", "peak"), zip(*pairs, strict=True), strict=True):
        print(f"{what}: {statistics.median(ratios):.2f} of before ({given.repeats} repeats)")
    print(same(taken["this"][-1], taken["before"][-1]))


if __name__ == "__main__":
    main()
