"""How far off-policy estimates are to be believed: coverage, width and error against the truth.

    OMP_NUM_THREADS=1 python benchmarks/off_policy.py [--repeats 100] [--quick] [--json FILE]

A live policy was trained on a simulated pool whose best member has become bad since (0.9 to 0.3); a
candidate has learned to ask another one first. Fresh queries are logged again and again by the live
policy with some exploring, and what the candidate earns more than the live policy is estimated from
each log. The truth is a replay of 40,000 other queries. Coverage is the share of 95 % intervals
that hold the truth: with 100 repeats, 0.90 to 0.99 is what chance leaves of 0.95. `--quick` takes
the first case alone and a tenth of the other queries.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import replay
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.online.estimates import compare, may_promote
from rlfocal.online.exploring import Exploration, log_replay
from rlfocal.online.learning import learn
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

BEFORE, AFTER = (0.9, 0.7, 0.65, 0.6), (0.3, 0.7, 0.65, 0.6)
PRICE = 0.1
CASES = ((500, 0.5), (1500, 0.2), (1500, 0.5), (5000, 0.1), (5000, 0.2))
"""Judged episodes, and the share that explores."""
METHODS = ("ips", "snips", "dr")
N_TRUTH = 40_000


def pool(accuracy: tuple[float, ...], n_queries: int, *seed: int) -> ResponseTable:
    """Queries of members with these accuracies."""
    data = simulate(
        PoolModel(accuracy=[accuracy]), n_queries, rng=np.random.default_rng([11, *seed])
    )
    return build_table(data, encode=None)


def utility(strategy: Base, table: ResponseTable) -> float:
    """Mean score less price."""
    outcome = replay(strategy, table)
    return float((outcome.score - PRICE * outcome.n_calls).mean())


def measure(
    live: RlFocal, candidate: Base, truth: float, case: tuple[int, float], n_repeats: int
) -> dict[str, Any]:
    """One row of the table."""
    n_episodes, epsilon = case
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in METHODS}
    n_departed, n_promoted = [], 0
    for r in range(n_repeats):
        table = pool(AFTER, n_episodes, 2, r)
        estimate = compare(
            candidate, live, log_replay(live, table, Exploration(epsilon, seed=r)), seed=r
        )
        n_departed.append(estimate.n_departed)
        n_promoted += may_promote(estimate)[0]
        for name in METHODS:
            found[name].append(getattr(estimate.difference, name))
    row: dict[str, Any] = {
        "n_episodes": n_episodes,
        "epsilon": epsilon,
        "n_departed": float(np.mean(n_departed)),
        "promoted": n_promoted / n_repeats,
    }
    for name in METHODS:
        value, low, high = np.array(found[name]).T
        row[name] = {
            "coverage": float(((low <= truth) & (truth <= high)).mean()),
            "width": float((high - low).mean()),
            "rmse": float(np.sqrt(((value - truth) ** 2).mean())),
            "bias": float((value - truth).mean()),
        }
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="one case, a rougher truth")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    config = RlFocalConfig(learn_from=10**6, default_price=PRICE)
    live = RlFocal(config).fit(pool(BEFORE, 800, 0), rng=np.random.default_rng(0))
    lesson = log_replay(live, pool(AFTER, 6000, 1), Exploration(0.3, seed=1))
    candidate = learn(live, lesson).strategy
    fresh = pool(AFTER, N_TRUTH // 10 if args.quick else N_TRUTH, 3)
    truth = utility(candidate, fresh) - utility(live, fresh)
    print(f"the candidate gains {truth:+.4f} a query; coverage, width and error of estimates:")
    print("episodes  explore  departed  promoted   " + "".join(f"{m:^25}" for m in METHODS))
    rows = []
    for case in CASES[:1] if args.quick else CASES:
        row = measure(live, candidate, truth, case, args.repeats)
        rows.append(row)
        cells = "".join(
            f"  {row[m]['coverage']:.2f}  {row[m]['width']:.3f}  ±{row[m]['rmse']:.3f}  "
            for m in METHODS
        )
        print(
            f"{case[0]:>8,}  {case[1]:>7g}  {row['n_departed']:>8.1f}  {row['promoted']:>8.2f} "
            f"{cells}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps({"truth": truth, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
