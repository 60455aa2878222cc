"""What strategies lose against the best policy on pools with a reader of known skills.

    OMP_NUM_THREADS=1 python benchmarks/readers_optimum.py [--quick] [--json] [--seeds S]

Three members answer by themselves, a fourth reads some of them: `POOLS`. The best policy comes from
dynamic programming (`rlfocal.simulator.known`), and every strategy is replayed on all that can
happen, weighted by how often it does: what it loses is exact, and luck is only in the labels that
it was fitted on, drawn anew for each seed. Utility is the share of right answers less the price of
the calls, in points; a price is that of an average call as a fraction of a right answer's worth.

The last two columns say on how many of the queries the reader is asked where those it reads answer
alike, and where they do not. The judge and the reader are worth asking where they answer apart,
unless calls are dear; the guesser never is.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from load.figures import finish

from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import replay
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.simulator.known import KnownPool
from rlfocal.strategies.agreement import Agreement

POOLS = {
    "judge": KnownPool((0.7, 0.7, 0.7), (0, 1, 2), follows=0.85),
    "guesser": KnownPool((0.7, 0.7, 0.7), (0, 1, 2), follows=0.5, n_options=2),
    "reader": KnownPool((0.75, 0.65, 0.6), (0, 1), follows=0.8, conforms=0.9, strays=0.3, own=0.6),
}
PRICES = (0.002, 0.01, 0.03, 0.06, 0.1)
STRATEGIES: dict[str, tuple[Callable[[], Base], int]] = {
    "agreement, 500 labels": (Agreement, 500),
    "rl-focal-prior, 25 labels": (RlFocalPrior, 25),
    "rl-focal-prior, 100 labels": (RlFocalPrior, 100),
    "rl-focal-prior, 500 labels": (RlFocalPrior, 500),
    "rl-focal, 500 labels": (RlFocal, 500),
    "rl-focal, 4,000 labels": (RlFocal, 4000),
}
QUICK = RlFocalConfig(n_iterations=2, n_episodes=64, learn_from=100)
"""Hardly any training: shows that the script runs, and nothing else."""


@dataclass(frozen=True)
class Row:
    """One strategy on one pool at one price; utilities in points."""

    pool: str
    strategy: str
    price: float
    optimum: float
    utility: float
    """Mean over seeds."""
    worst_loss: float
    """Of a seed."""
    n_calls: float
    alike: float
    """Share of the queries on which those it reads answer alike where the reader is asked."""
    apart: float
    """The same where they do not."""


def measure(name: str, n_seeds: int, *, quick: bool) -> list[Row]:
    """Every strategy on one pool."""
    pool, rows = POOLS[name], []
    worlds, chance = pool.worlds
    shown = worlds.answer[:, list(pool.reads)]
    alike = (shown == shown[:, :1]).all(axis=1)
    optimum = {price: pool.optimum(price).utility for price in PRICES}
    for strategy, (make, n_labels) in STRATEGIES.items():
        figures = np.empty((n_seeds, len(PRICES), 4))
        for seed in range(n_seeds):
            table = pool.draw(n_labels, rng=np.random.default_rng([seed, n_labels]))
            plain = RlFocal(QUICK) if quick and make is RlFocal else make()
            fitted = plain.fit(table, rng=np.random.default_rng(seed))
            for p, price in enumerate(PRICES):
                outcome = replay(fitted.at(price) if fitted.dial == "price" else fitted, worlds)
                reader = outcome.asked[:, -1]
                figures[seed, p] = (
                    chance @ (outcome.score - price * outcome.cost),
                    chance @ outcome.n_calls,
                    chance[alike] @ reader[alike] / chance[alike].sum(),
                    chance[~alike] @ reader[~alike] / chance[~alike].sum(),
                )
        for p, price in enumerate(PRICES):
            utility, n_calls, where_alike, where_apart = figures[:, p].mean(axis=0).tolist()
            lost = optimum[price] - figures[:, p, 0].min()
            rows.append(
                Row(
                    name, strategy, price, 100 * optimum[price], 100 * utility, 100 * float(lost),
                    n_calls, 100 * where_alike, 100 * where_apart,
                )
            )  # fmt: skip
            print(f"{name}, {strategy}, {price}", file=sys.stderr, flush=True)
    return rows


def table_of(rows: list[Row]) -> str:
    """The measurements as lines a reader can take in."""
    head = (
        f"{'pool':<9}{'strategy':<28}{'price':>7}{'optimum':>9}{'utility':>9}{'lost':>7}"
        f"{'most lost':>11}{'calls':>7}{'asked, alike %':>16}{'apart %':>9}"
    )
    lines = [
        f"{row.pool:<9}{row.strategy:<28}{row.price:>7.3f}{row.optimum:>9.2f}{row.utility:>9.2f}"
        f"{row.optimum - row.utility:>7.2f}{row.worst_loss:>11.2f}{row.n_calls:>7.2f}"
        f"{row.alike:>16.1f}{row.apart:>9.1f}"
        for row in rows
    ]
    return "\n".join([head, *lines])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="hardly any training: does it run?")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=POOLS, help="one pool")
    args = parser.parse_args()
    names = [args.only] if args.only else list(POOLS)[: 1 if args.quick else None]
    n_seeds = 1 if args.quick else args.seeds
    rows = [row for name in names for row in measure(name, n_seeds, quick=args.quick)]
    return finish(Measured(n_seeds, rows), table_of(rows), as_json=args.json)


@dataclass(frozen=True)
class Measured:
    """One run."""

    n_seeds: int
    rows: list[Row]


if __name__ == "__main__":
    sys.exit(main())
