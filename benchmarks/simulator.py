"""Do simulated pools cover recorded ones? Summary figures of both, side by side.

    .venv/bin/python benchmarks/simulator.py ../shared/data

Prints, for every figure of `rlfocal.simulator.Summary`, the range of the middle 80 % of
simulated pools beside the value of each recorded pool; values outside that range are marked.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from rlfocal.records import CandidateKind, ResponseTable, build_table
from rlfocal.records.folders import read_dataset
from rlfocal.simulator import Summary, draw_answers, draw_pool, summarise, to_table


def simulated(n_pools: int, n_queries: int, seed: int) -> np.ndarray:
    """float64[P, figures] of simulated pools."""
    figures = []
    for child in np.random.SeedSequence(seed).spawn(n_pools):
        rng = np.random.default_rng(child)
        pool = draw_answers(draw_pool(rng), n_queries, rng=rng)
        figures.append(summarise(to_table(pool)))
    return np.array(figures)


def comparable(table: ResponseTable) -> ResponseTable:
    """Only the queries whose answers can be compared."""
    return table.take(table.kind != CandidateKind.RESPONSES)


def recorded(folder: Path) -> dict[str, Summary]:
    """Figures of every pool of every data set below a folder that has comparable answers."""
    found: dict[str, Summary] = {}
    for path in sorted(p.parent for p in folder.glob("*/dataset.json")):
        dataset = read_dataset(path)
        pools = dict(dataset.info.pools) or {"all": list(dataset.members)}
        for name, members in pools.items():
            table = comparable(build_table(dataset, members=members))
            if table.n_queries:
                found[f"{path.name} {name}"] = summarise(table)
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of recorded data sets")
    parser.add_argument("--pools", type=int, default=400)
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    low, middle, high = np.nanpercentile(
        simulated(args.pools, args.queries, args.seed), [10, 50, 90], axis=0
    )
    pools = recorded(args.data)
    print(f"{args.pools} simulated pools of {args.queries} queries, seed {args.seed}\n")
    head = f"{'figure':<18}{'10 %':>8}{'median':>8}{'90 %':>8}"
    print(head + "".join(f"{name[-19:]:>21}" for name in pools))
    for i, figure in enumerate(Summary._fields):
        row = f"{figure:<18}{low[i]:>8.3f}{middle[i]:>8.3f}{high[i]:>8.3f}"
        for summary in pools.values():
            outside = not low[i] <= summary[i] <= high[i]
            row += f"{summary[i]:>20.3f}{'*' if outside else ' '}"
        print(row)
    print("\n* outside the middle 80 % of simulated pools")
    return 0


if __name__ == "__main__":
    sys.exit(main())
