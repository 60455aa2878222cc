"""From raw latencies to percentiles with intervals, and from rows to tables.

Latencies of neighbouring requests depend on one another (a stall holds up many), so whole blocks of
consecutive requests are drawn again, not single ones.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

N_DRAWS = 1_000
BLOCK = 50
"""Consecutive requests that are drawn together: half a second at 100 a second."""
QUANTILES = (50, 95, 99)
Floats = NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def shown(self, digits: int = 2) -> str:
        """For a table."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


class Sampled(NamedTuple):
    """Percentiles of one target's latencies, and of as many data sets drawn from them."""

    values: Floats
    """float64[len(QUANTILES)]."""
    draws: Floats
    """float64[N_DRAWS, len(QUANTILES)]."""


def sampled(runs: Sequence[Sequence[float]], *, seed: int) -> Sampled:
    """Percentiles over all runs together.

    Args:
        runs: latencies in the order the requests were due.
        seed: of the draws.
    """
    blocks = [
        np.asarray(run[start : start + BLOCK], dtype=np.float64)
        for run in runs
        for start in range(0, len(run) - BLOCK + 1, BLOCK)
    ]
    together = np.concatenate([np.asarray(run, dtype=np.float64) for run in runs])
    values = np.percentile(together, QUANTILES)
    if not blocks:
        return Sampled(values, np.repeat(values[None], N_DRAWS, axis=0))
    block = np.stack(blocks)
    rng = np.random.default_rng(seed)
    drawn = [
        np.percentile(block[rng.integers(len(block), size=len(block))], QUANTILES)
        for _ in range(N_DRAWS)
    ]
    return Sampled(values, np.stack(drawn))


def percentile(found: Sampled, place: int) -> Estimate:
    """One percentile; `place` counts in `QUANTILES`."""
    return _estimate(found.values[place], found.draws[:, place])


def overhead(through: Sampled, direct: Sampled, place: int) -> Estimate:
    """How much higher a percentile is through a gateway."""
    value = through.values[place] - direct.values[place]
    return _estimate(value, through.draws[:, place] - direct.draws[:, place])


def ratio(theirs: Sampled, ours: Sampled, direct: Sampled, place: int) -> Estimate:
    """How many times our overhead theirs is, at one percentile."""
    least = 1e-3  # a microsecond: an overhead that the noise hides is no reason to divide by zero
    own = np.maximum(ours.draws[:, place] - direct.draws[:, place], least)
    value = (theirs.values[place] - direct.values[place]) / max(
        ours.values[place] - direct.values[place], least
    )
    return _estimate(value, (theirs.draws[:, place] - direct.draws[:, place]) / own)


def _estimate(value: float, draws: Floats) -> Estimate:
    low, high = np.percentile(draws, (2.5, 97.5))
    return Estimate(float(value), float(low), float(high))


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """A table with the keys of the first row as its head."""
    names = list(rows[0])
    width = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    lines = [
        "| " + " | ".join(row[name].ljust(width[name]) for name in names) + " |"
        for row in ({name: name for name in names}, *rows)
    ]
    lines.insert(1, "|" + "|".join("-" * (width[name] + 2) for name in names) + "|")
    return "\n".join(lines)


def setting(packages: Sequence[str], **known: Any) -> dict[str, Any]:
    """What a figure depends on: command, machine, versions."""
    return {
        "command": " ".join(["python", os.path.relpath(sys.argv[0]), *sys.argv[1:]]),
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        **known,
    }


def processor() -> str:
    """Its name, as Linux tells it."""
    about = Path("/proc/cpuinfo")
    for line in about.read_text(encoding="utf-8").splitlines() if about.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def finish(found: Any, shown: str, *, as_json: bool, missed: Sequence[str] = ()) -> int:
    """Print what was measured and the promises that do not hold; returns the exit status.

    Args:
        found: a dataclass.
        shown: the same for people.
        as_json: print the dataclass instead.
        missed: promises.
    """
    print(json.dumps(asdict(found), indent=2) if as_json else shown)
    if missed:
        print("missed: " + "; ".join(missed), file=sys.stderr)
    return 1 if missed else 0
