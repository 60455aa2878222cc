"""Decisions per second: the native batch of episodes against gymnasium's vector of environments.

    OMP_NUM_THREADS=1 python benchmarks/environment.py [--json] [--seed S] [--repeats R]

Both sides play the same number of episodes side by side with random decisions (each legal or not),
look at the fused vote after every decision, and start a new episode where one ends:
- native: `PoolEnv`, one call for all episodes;
- gymnasium: `SyncVectorEnv` over as many `PoolGymEnv`, one call each.

The native side starts again when all its episodes have ended, so its batch shrinks on the way: it
is charged for that. Times are processor times of one thread: on an idle machine the same as wall
time, and comparable on a busy one. The pool is simulated.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one thread for both sides
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from load.figures import finish, processor

from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.strategies.voting import WeightedVote
from rlfocal.training.environment import PoolEnv
from rlfocal.training.gym_adapter import PoolGymEnv

N_QUERIES = 2000
N_MEMBERS = 8
N_EPISODES = (16, 256, 1024)
PRICE = 0.02
MIN_DECISIONS = 2000
"""Fewest decisions that one timing covers."""


def pool(seed: int) -> tuple[ResponseTable, WeightedVote]:
    """A simulated pool and a fitted vote, which stands for the Fusion on both sides."""
    rng = np.random.default_rng(seed)
    accuracy = rng.uniform(0.4, 0.8, size=(4, N_MEMBERS)).tolist()
    table = build_table(simulate(PoolModel(accuracy=accuracy), N_QUERIES, rng=rng), encode=None)
    return table, WeightedVote().fit(table, rng=rng)


def play_native(
    table: ResponseTable, vote: WeightedVote, n_episodes: int, rng: np.random.Generator
) -> int:
    """Play until enough decisions are made; returns how many."""
    env = PoolEnv(table, unit_cost=float(table.cost.mean()))
    price = np.full(n_episodes, PRICE, dtype=np.float32)
    n_decisions = 0
    while n_decisions < max(MIN_DECISIONS, 4 * n_episodes):
        view = env.reset(rng.integers(table.n_queries, size=n_episodes), price)
        for _ in range(2 * N_MEMBERS):  # the adapter's truncation
            answer = np.where(view.answered.any(axis=1), vote.fuse(view).argmax(axis=1), -1)
            n_decisions += len(answer)
            env.step(rng.integers(N_MEMBERS + 1, size=len(answer)), answer)
            if len(env.active) == 0:
                break
            view = env.view()
    return n_decisions


def play_gymnasium(envs: SyncVectorEnv, n_episodes: int, rng: np.random.Generator) -> int:
    """Play until enough decisions are made; returns how many. Restarts come with the step."""
    envs.reset(seed=int(rng.integers(2**31)))
    n_steps = max(4, -(-MIN_DECISIONS // n_episodes))
    for _ in range(n_steps):
        envs.step(rng.integers(N_MEMBERS + 1, size=n_episodes))
    return n_steps * n_episodes


def rate(play: Callable[[], int], repeats: int) -> float:
    """Median decisions per second of processor time."""
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        n_decisions = play()
        rates.append(n_decisions / (time.process_time() - start))
    return statistics.median(rates)


@dataclass(frozen=True)
class Row:
    """Median decisions per second with so many episodes side by side."""

    n_episodes: int
    native_per_s: float
    gymnasium_per_s: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run."""

    machine: str
    python: str
    numpy: str
    gymnasium: str
    seed: int
    repeats: int
    n_queries: int
    n_members: int
    rows: list[Row]


def measure(seed: int, repeats: int) -> Measured:
    """Run everything."""
    table, vote = pool(seed)
    rows = []
    for n_episodes in N_EPISODES:
        rng = np.random.default_rng([seed, n_episodes])
        envs = SyncVectorEnv(
            [lambda: PoolGymEnv(table, vote, price=PRICE)] * n_episodes,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        native = rate(partial(play_native, table, vote, n_episodes, rng), repeats)
        wrapped = rate(partial(play_gymnasium, envs, n_episodes, rng), repeats)
        envs.close()
        rows.append(Row(n_episodes, native, wrapped))
    return Measured(
        machine=f"{processor()}, {os.environ['OMP_NUM_THREADS']} thread(s)",
        python=platform.python_version(),
        numpy=np.__version__,
        gymnasium=gymnasium.__version__,
        seed=seed,
        repeats=repeats,
        n_queries=N_QUERIES,
        n_members=N_MEMBERS,
        rows=rows,
    )


def table_of(found: Measured) -> str:
    """The measurements as lines a reader can take in."""
    return "\n".join(
        [
            f"{found.machine}; Python {found.python}, numpy {found.numpy}, "
            f"gymnasium {found.gymnasium}; seed {found.seed};",
            f"N = {found.n_members}, Q = {found.n_queries:,}; decisions per second of processor "
            f"time, median of {found.repeats} repetitions",
            "",
            f"{'episodes':>8}{'PoolEnv':>14}{'SyncVectorEnv':>16}{'times faster':>15}",
            *(
                f"{row.n_episodes:>8,}{row.native_per_s:>14,.0f}{row.gymnasium_per_s:>16,.0f}"
                f"{row.native_per_s / row.gymnasium_per_s:>15,.1f}"
                for row in found.rows
            ),
        ]
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    found = measure(args.seed, args.repeats)
    return finish(found, table_of(found), as_json=args.json)


if __name__ == "__main__":
    sys.exit(main())
