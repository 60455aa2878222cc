"""How long one decision takes: whom to ask next and the fused answer, beside plurality's.

    OMP_NUM_THREADS=1 python benchmarks/decision.py [--json] [--seed S] [--calls C] [--quick]
        [--before SRC [--rounds R]]

For pools of 8, 32 and 128 members, each call shows a strategy a query of which two members have
answered, and lets it `decide`: one query at a time (wall time per call, each on another query), and
1,024 together (queries per second of processor time, median). `rl-focal` is the learned policy
itself, never a rival in its place; its nets have the default sizes but little training, which
changes no time. Building the view and encoding the query's
text are not timed: they are the caller's.

Exit status 1 where a promise is missed: a median below 1 ms for 8 members and below 5 ms for 128.
With `--quick`, pools of 64 queries, 10 calls and one batch show that the script runs; then no
promise is judged.

--before names the folder `src` of an earlier build's checkout. Then this script runs R times on
both builds in turn, each with its own sources and its own copy of the script, and shows the medians
side by side; promised is a third of the time for 8 members.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one thread for both sides
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from load.beside import Figure, beside
from load.figures import finish

from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import View
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.focal.stand_ins import LEARNED
from rlfocal.records import ResponseTable
from rlfocal.strategies.verdicts import Choice, Verdict
from rlfocal.strategies.voting import Plurality
from rlfocal.training.trainer import Trainer
from training import machine, synthetic_pool, versions

N_QUERIES, N_TASKS = 1_024, 4
N_MEMBERS = (8, 32, 128)
N_ANSWERED = 2
N_BATCHES = 15
QUICK_QUERIES, QUICK_CALLS, QUICK_BATCHES = 64, 10, 1
PROMISES_MS = {8: 1.0, 128: 5.0}
OF_BEFORE = {8: 1 / 3}
REPAIR = """
import importlib, os
os.environ.setdefault("OMP_NUM_THREADS", "1")
try:
    fallback = importlib.import_module("rlfocal.rl.fallback").Fallback
except ImportError:
    pass
else:
    fallback.verdict = lambda self, price: self.verdicts[0]
"""
"""Build 5594c5e looks for the two nearest prices; its own script gives it one, at which it acts."""
CONFIG = RlFocalConfig(n_iterations=2, n_episodes=64)


@dataclass(frozen=True)
class Row:
    """One strategy on one pool."""

    n_members: int
    strategy: str
    median_ms: float
    p95_ms: float
    p95_processor_ms: float
    """The same in processor time: without the waits for a core of a busy machine."""
    queries_per_s: float
    """In batches of all queries."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run."""

    machine: str
    load: float
    """Processes that wanted a core in the last minute, when the run ended."""
    versions: str
    seed: int
    calls: int
    n_queries: int
    n_batches: int
    rows: list[Row]

    def missed(self) -> list[str]:
        """The promises that do not hold."""
        return [
            f"N = {row.n_members} below {PROMISES_MS[row.n_members]:.0f} ms"
            for row in self.rows
            if row.strategy == RlFocal.name
            and row.n_members in PROMISES_MS
            and row.median_ms >= PROMISES_MS[row.n_members]
        ]


def learned(table: ResponseTable, seed: int) -> RlFocal:
    """`rl-focal` after a little training, acting by itself at every price."""
    trainer = Trainer(table, CONFIG, seed=seed)
    trainer.train()
    alone = [
        Verdict(price, LEARNED, LEARNED, 0.0, LEARNED, 0.0, 0.0)
        for price in (CONFIG.default_price, CONFIG.price_max, 0.0)
    ]
    choice = Choice(tuple(alone), {})
    return RlFocal(CONFIG).assemble(trainer.fitted_pool, trainer.averaged_decider(), choice)


def view_of(table: ResponseTable, rows: np.ndarray) -> View:
    """These queries, with the first two members asked one after the other."""
    asked = np.zeros((len(rows), table.n_members), dtype=bool)
    asked[:, :N_ANSWERED] = True
    return reveal(table, rows, asked, n_rounds=np.full(len(rows), N_ANSWERED))


def measure_row(strategy: Strategy, table: ResponseTable, calls: int, n_batches: int) -> Row:
    """Time a fitted strategy; the first tenth of the calls warms up."""
    views = [view_of(table, np.array([q])) for q in range(min(calls, table.n_queries))]
    waited_s, processor_s = [], []
    for call in range(-(calls // 10), calls):
        view = views[call % len(views)]
        before, start = time.process_time(), time.perf_counter()
        strategy.decide(view)
        waited_s.append(time.perf_counter() - start)
        processor_s.append(time.process_time() - before)
    waited_ms = np.array(waited_s[calls // 10 :]) * 1e3
    everything = view_of(table, np.arange(table.n_queries))
    rates = []
    for _ in range(n_batches):
        start = time.process_time()
        strategy.decide(everything)
        rates.append(len(everything) / (time.process_time() - start))
    return Row(
        n_members=table.n_members,
        strategy=strategy.name,
        median_ms=float(np.median(waited_ms)),
        p95_ms=float(np.quantile(waited_ms, 0.95)),
        p95_processor_ms=float(np.quantile(processor_s[calls // 10 :], 0.95) * 1e3),
        queries_per_s=statistics.median(rates),
    )


def measure(seed: int, calls: int, n_queries: int, n_batches: int) -> Measured:
    """Run everything."""
    rows = []
    for n_members in N_MEMBERS:
        table = synthetic_pool(seed, n_queries, n_members, N_TASKS)
        rng = np.random.default_rng(seed)
        simple = (kind().fit(table, rng=rng) for kind in (RlFocalPrior, Plurality))
        for strategy in (learned(table, seed), *simple):
            rows.append(measure_row(strategy, table, calls, n_batches))
    return Measured(
        machine=machine(),
        load=os.getloadavg()[0],
        versions=versions(),
        seed=seed,
        calls=calls,
        n_queries=n_queries,
        n_batches=n_batches,
        rows=rows,
    )


def table_of(found: Measured) -> str:
    """The measurements as lines a reader can take in."""
    return "\n".join(
        [
            f"{found.machine}, load {found.load:.1f}; {found.versions}; seed {found.seed}",
            f"one query, {N_ANSWERED} members have answered: {found.calls} decisions; "
            f"batches of {found.n_queries:,}: median of {found.n_batches}",
            "",
            f"{'N':>5}  {'strategy':<16}{'median ms':>11}{'p95 ms':>9}{'p95 processor':>15}"
            f"{'queries/s in batch':>20}",
            *(
                f"{row.n_members:>5}  {row.strategy:<16}{row.median_ms:>11.3f}{row.p95_ms:>9.3f}"
                f"{row.p95_processor_ms:>15.3f}{row.queries_per_s:>20,.0f}"
                for row in found.rows
            ),
        ]
    )


def of_row(n_members: int, figure: str) -> Callable[[dict[str, Any]], float]:
    """Reads a figure of `rl-focal` off a run's JSON."""

    def read(run: dict[str, Any]) -> float:
        rows = run["rows"]
        (row,) = (r for r in rows if (r["n_members"], r["strategy"]) == (n_members, RlFocal.name))
        return float(row[figure])

    return read


COMPARED = tuple(
    Figure(f"N = {n}, one decision, ms", of_row(n, "median_ms"), most=OF_BEFORE.get(n))
    for n in N_MEMBERS
)
"""Batches are not compared: build 5594c5e remembers the view that it saw last."""


def main() -> int:
    """Measure, print, and say by the exit status whether the promises hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--quick", action="store_true", help="small pools: does it run?")
    parser.add_argument("--before", type=Path, metavar="SRC", help="src of another build")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each build (3)")
    args = parser.parse_args()
    if args.before is not None:
        words = ["--seed", str(args.seed), "--calls", str(args.calls)]
        words += ["--quick"] if args.quick else []
        both = beside(
            args.before, "decision.py", words, COMPARED, n_rounds=args.rounds, repair=REPAIR
        )
        missed = [] if args.quick else both.missed()
        return finish(both, both.table(), as_json=args.json, missed=missed)
    if args.quick:
        found = measure(args.seed, QUICK_CALLS, QUICK_QUERIES, QUICK_BATCHES)
    else:
        found = measure(args.seed, args.calls, N_QUERIES, N_BATCHES)
    missed = [] if args.quick else found.missed()
    return finish(found, table_of(found), as_json=args.json, missed=missed)


if __name__ == "__main__":
    sys.exit(main())
