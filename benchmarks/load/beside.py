"""A script of benchmarks/ on two builds in turn, and the medians of what both print as JSON.

Each build runs the script that lies beside its own sources, so that modules may have moved between
them; what is compared must have kept its name in the JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from load.builds import Build

__all__ = ["Beside", "Compared", "Figure", "beside"]

_SCRIPTS = Path(__file__).resolve().parents[1]
_RUN = """
import os, runpy, sys
sys.argv = sys.argv[1:]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Figure(NamedTuple):
    """What is read off both builds' JSON, and what is promised of it."""

    name: str
    of: Callable[[dict[str, Any]], float]
    """Of one run."""
    least: float | None = None
    """Promised ratio of now to before."""
    most: float | None = None
    """The same from above."""

    def kept(self, ratio: float) -> bool:
        """Whether the promise holds; without one it does."""
        low = self.least is None or ratio >= self.least
        return low and (self.most is None or ratio <= self.most)

    @property
    def promise(self) -> str:
        """For a table."""
        bounds = (("at least", self.least), ("at most", self.most))
        return ", ".join(f"{word} {bound:.2f}" for word, bound in bounds if bound is not None)


@dataclass(frozen=True)
class Compared:
    """Medians of one figure."""

    name: str
    before: float
    now: float
    ratio: float
    """Now by before."""
    promise: str
    kept: bool


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Both builds beside each other."""

    before: str
    rounds: int
    load: float
    """Processes that wanted a core in the last minute, when the runs ended."""
    rows: list[Compared]
    runs: dict[str, list[dict[str, Any]]]
    """Everything that was printed, in the order of the rounds."""

    def missed(self) -> list[str]:
        """The promises that do not hold."""
        return [f"{row.name}: {row.promise} of before" for row in self.rows if not row.kept]

    def table(self) -> str:
        """Lines for people."""
        return "\n".join(
            [
                f"beside the build of {self.before}: medians of {self.rounds} rounds in turn, "
                f"load {self.load:.1f}",
                f"{'':<36}{'before':>14}{'now':>14}{'now/before':>12}  promised",
                *(
                    f"  {row.name:<34}{row.before:>14,.3f}{row.now:>14,.3f}{row.ratio:>12.2f}"
                    f"  {row.promise}"
                    for row in self.rows
                ),
            ]
        )


def beside(
    source: Path,
    script: str,
    words: Sequence[str],
    figures: Sequence[Figure],
    *,
    n_rounds: int,
    repair: str = "",
) -> Beside:
    """Run a script on both builds in turn, the earlier one first.

    Args:
        source: folder `src` of the earlier build's checkout.
        script: file name, the same in both checkouts.
        words: arguments that both builds' scripts know; `--json` is added.
        figures: what is compared.
        n_rounds: how often both run.
        repair: Python that is run before the script of either build, where one as it was released
            does not run.

    Raises:
        SystemExit: a script is missing or fails.
    """
    builds = {"before": Build("before", source), "now": Build("now", _SCRIPTS.parent / "src")}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in builds}
    for _ in range(n_rounds):
        for name, build in builds.items():
            runs[name].append(_printed(build, script, words, repair))
    rows = []
    for figure in figures:
        old, new = (median(figure.of(run) for run in runs[name]) for name in builds)
        ratio = new / max(old, 1e-12)
        rows.append(Compared(figure.name, old, new, ratio, figure.promise, figure.kept(ratio)))
    return Beside(
        before=str(source), rounds=n_rounds, load=os.getloadavg()[0], rows=rows, runs=runs
    )


def _printed(build: Build, script: str, words: Sequence[str], repair: str) -> dict[str, Any]:
    assert build.source is not None
    path = build.source.parent / "benchmarks" / script
    if not path.exists():
        raise SystemExit(f"{path}: no such script; --before names the folder src of a checkout")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", f"{repair}\n{_RUN}", str(path), *words, "--json"],
            env={**os.environ, **build.environment(Path(folder))}, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode not in (0, 1):  # 1: a promise of that build's own is missed
        raise SystemExit(f"{path} failed with status {done.returncode}:\n{done.stderr[-2000:]}")
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise SystemExit(f"{path} printed no JSON:\n{done.stderr[-2000:]}") from None
    return found
