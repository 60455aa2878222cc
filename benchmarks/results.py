"""The tables of docs/results.md from the JSON files of `rlfocal bench`.

    rlfocal bench DATA --pool POOL --folds 5 --strategies baselines,rl-focal --json POOL.json
    python benchmarks/results.py POOL.json ... > tables.md

First one row per file: the simple strategies with everybody asked, and the learned one at price 0.
Then one table per file: what the learned strategy scores at each budget against the best simple
strategy of that cell, chosen with hindsight; then how many cells are positive, better and worse.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lines_of(found: dict[str, Any], learned: str) -> Iterator[str]:
    """One file as Markdown."""
    protocol = found["protocol"]
    members = len(found["members"])
    yield f"**{found['data']}**: {members} members, {protocol['n_queries']} queries"
    yield ""
    for axis in ("calls", "usd"):
        cells = [c for c in found["budgets"] if c["strategy"] == learned and c["axis"] == axis]
        if not cells:
            continue
        best = next(r for r in found["rows"] if r["strategy"] == "best-single")
        unit = "calls" if axis == "calls" else "dollars, best single = 1"
        yield f"| {unit} | {learned} | best simple | | difference | |"
        yield "|--:|--:|--:|:--|--:|:--|"
        for cell in cells:
            budget = cell["budget"]
            if budget is not None and axis == "usd":
                budget /= best["mean_cost_usd"]
            shown = "all" if budget is None else f"{budget:.3g}"
            low, high = (100 * end for end in cell["difference_ci"])
            yield (
                f"| {shown} | {100 * cell['accuracy']:.1f} | {100 * cell['rival_accuracy']:.1f} "
                f"| {cell['rival']} | {100 * cell['difference']:+.1f} [{low:+.1f}, {high:+.1f}] "
                f"| {cell['verdict']} |"
            )
        yield ""


OVERVIEW = ("best-single", "best-single-per-task", "plurality", "weighted-vote", "stacking")


def overview(files: list[dict[str, Any]], learned: str) -> Iterator[str]:
    """Accuracies side by side, and the gain over the best single member."""
    yield f"| pool | {' | '.join(OVERVIEW)} | {learned} | gain | default: calls | gain | oracle |"
    yield "|:--" + "|--:" * (len(OVERVIEW) + 6) + "|"
    for found in files:
        rows = {row["strategy"]: row for row in found["rows"]}

        def shown(name: str, rows: dict[str, Any] = rows) -> str:
            return f"{100 * rows[name]['accuracy']:.1f}" if name in rows else "-"

        most = found["frontiers"][learned][-1]["accuracy"]
        mine = rows[learned]
        gain = 100 * (most - rows["best-single"]["accuracy"])
        low, high = (100 * end for end in mine["gain_ci"])
        yield (
            f"| {found['data']} | {' | '.join(shown(name) for name in OVERVIEW)} "
            f"| {100 * most:.1f} | {gain:+.1f} | {mine['mean_calls']:.2f} "
            f"| {100 * mine['gain_over_best_single']:+.1f} [{low:+.1f}, {high:+.1f}] "
            f"| {shown('oracle')} |"
        )
    yield ""


def summary(files: list[dict[str, Any]], learned: str) -> str:
    """Count the cells on the axis of calls."""
    cells = [
        cell
        for found in files
        for cell in found["budgets"]
        if cell["strategy"] == learned and cell["axis"] == "calls"
    ]
    positive = sum(cell["difference"] > 0 for cell in cells)
    better = sum(cell["verdict"] == "better" for cell in cells)
    worse = sum(cell["verdict"] == "worse" for cell in cells)
    mean = 100 * sum(cell["difference"] for cell in cells) / max(len(cells), 1)
    return (
        f"{len(cells)} cells: {positive} positive, {better} better, {worse} worse; "
        f"mean difference {mean:+.2f} points."
    )


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json")
    parser.add_argument("--learned", default="rl-focal", metavar="NAME")
    given = parser.parse_args()
    files = [json.loads(path.read_text(encoding="utf-8")) for path in given.files]
    print("\n".join(overview(files, given.learned)))
    for found in files:
        print("\n".join(lines_of(found, given.learned)))
    print(summary(files, given.learned))
    return 0


if __name__ == "__main__":
    sys.exit(main())
