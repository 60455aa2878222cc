"""How long `rl-focal` takes to train, and decisions per second with learning, beside PPO of SB3.

    OMP_NUM_THREADS=1 python benchmarks/training.py [--data DIR] [--pool P] [--sb3] [--quick]
        [--before SRC [--rounds R]] [--json]

1. One whole training with the default settings, split by phase. Without `--data`, the pool is
   simulated and of the size of mmlu_pro's mid8: 9,500 queries, 8 members, 10 options, 14 tasks,
   members that cost unlike. With it, the training queries of the pool.
2. Decisions per second of the same run: the states of its rollouts, divided by the processor time
   of its iterations, updates included.
3. With `--sb3`, the same for stable-baselines3's PPO with its default policy on the same queries:
   `DummyVecEnv` over 16 and 64 `PoolGymEnv`, prices drawn from the same range. Twice: with SB3's
   own default updates (10 epochs, 64 states each) and with ours (2 epochs, 1,024 states). Its
   Fusion is a fitted `WeightedVote`, which costs less than our net. Rollouts are 4,096 decisions
   long; one of them warms up.

Rates are per second of processor time of one thread: on an idle machine the same as wall time, and
comparable on a busy one. Exit status 1 where a promise is missed: training in 45 s of wall time,
50,000 decisions per second, 3 times as many as the fastest PPO of SB3. With `--quick`, a small pool
and hardly any training show that the script runs; then no promise is judged.

--before names the folder `src` of an earlier build's checkout. Then this script runs R times on
both builds in turn, each with its own sources and its own copy of the script, and shows the medians
side by side; promised are 2.5 times the decisions per second.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one thread for both sides
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import functools
import importlib
import pkgutil
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from load.beside import Figure, beside
from load.figures import finish, processor

from rlfocal.agents.config import RlFocalConfig
from rlfocal.features import HashingEncoder
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.records import PoolModel, ResponseTable, build_table, calibrate, simulate
from rlfocal.records.folders import read_dataset
from rlfocal.strategies.voting import WeightedVote
from rlfocal.training.gym_adapter import PoolGymEnv

N_QUERIES, N_MEMBERS, N_OPTIONS, N_TASKS = 9_500, 8, 10, 14
N_ENVS = (16, 64)
SB3_ROLLOUT, SB3_ROLLOUTS = 4_096, 2
QUICK_QUERIES = 200
QUICK = RlFocalConfig(n_iterations=2, n_episodes=64, learn_from=100)
TRAINING_S, DECISIONS_PER_S, TIMES_SB3, TIMES_BEFORE = 45.0, 50_000.0, 3.0, 2.5

ROLLOUTS, UPDATES, AROUND = (
    "Decider, rollouts", "Decider, updates", "Decider, rest of the iterations"
)  # fmt: skip
LEARNING = (ROLLOUTS, UPDATES, AROUND)
REST = "statistics, competence, rest"
STEPS = {
    "rlfocal.agents.fusion.fitting.draw_lessons": "Fusion, opinions of the prior",
    "rlfocal.agents.fitted_pool.fit_votes": "Fusion, the pool's votes",
    "rlfocal.agents.fitted_pool.ReplyScore.fit_apart": "score of replies",
    "rlfocal.training.trainer.rollout": ROLLOUTS,
    "rlfocal.training.trainer.update": UPDATES,
    "rlfocal.training.trainer.Trainer.train": AROUND,
    "rlfocal.focal.rl_focal.fit_fallback": "fallback",
}
"""What is timed, as its caller names it; a step within another counts for itself alone."""


class Clock:
    """Wall and processor seconds per phase; a phase within another stops the outer one's time."""

    def __init__(self) -> None:
        self.wall_s: dict[str, float] = defaultdict(float)
        self.processor_s: dict[str, float] = defaultdict(float)
        self._phases = [REST]
        self._last = time.perf_counter(), time.process_time()

    def book(self) -> None:
        """Charge the time since the last call to the phase that is on."""
        now = time.perf_counter(), time.process_time()
        self.wall_s[self._phases[-1]] += now[0] - self._last[0]
        self.processor_s[self._phases[-1]] += now[1] - self._last[1]
        self._last = now

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge what happens inside to `name`."""
        self.book()
        self._phases.append(name)
        try:
            yield
        finally:
            self.book()
            self._phases.pop()

    def timing(
        self, step: Callable[..., Any], name: str, note: Callable[[str, Any], None]
    ) -> Callable[..., Any]:
        """The same function, timed; `note` is told the phase and what it returned."""

        @functools.wraps(step)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                found = step(*args, **kwargs)
            note(name, found)
            return found

        return timed


@dataclass(frozen=True)
class Phase:
    """One phase of training."""

    name: str
    wall_s: float
    processor_s: float


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training."""

    phases: list[Phase]
    n_iterations: int
    n_decisions: int
    """States of all rollouts."""

    @property
    def wall_s(self) -> float:
        """Of the whole training."""
        return sum(phase.wall_s for phase in self.phases)

    @property
    def decisions_per_s(self) -> float:
        """Per second of the iterations' processor time."""
        return self.n_decisions / sum(p.processor_s for p in self.phases if p.name in LEARNING)


@dataclass(frozen=True)
class Rival:
    """PPO of stable-baselines3."""

    updates: str
    n_envs: int
    decisions_per_s: float


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run."""

    machine: str
    load: float
    """Processes that wanted a core in the last minute, when the run ended."""
    versions: str
    pool: str
    seed: int
    training: Training
    training_wall_s: float
    decisions_per_s: float
    rivals: list[Rival]
    sb3: str
    """Version, or why this side was left out."""

    def missed(self) -> list[str]:
        """The promises that do not hold; what was not measured is not judged."""
        fastest = max((rival.decisions_per_s for rival in self.rivals), default=0.0)
        promises = {
            f"training in {TRAINING_S:.0f} s": self.training_wall_s <= TRAINING_S,
            f"{DECISIONS_PER_S:,.0f} decisions/s": self.decisions_per_s >= DECISIONS_PER_S,
            f"{TIMES_SB3:.0f} times SB3": self.decisions_per_s >= TIMES_SB3 * fastest,
        }
        return [promise for promise, kept in promises.items() if not kept]


def synthetic_pool(
    seed: int, n_queries: int = N_QUERIES, n_members: int = N_MEMBERS, n_tasks: int = N_TASKS
) -> ResponseTable:
    """Members right on about half of the queries, failing together, some dearer than others."""
    rng = np.random.default_rng(seed)
    accuracy = np.clip(
        np.linspace(0.55, 0.4, n_members) + rng.normal(0, 0.1, (n_tasks, n_members)), 0.1, 0.9
    )
    model = PoolModel(
        accuracy=accuracy.tolist(), n_options=N_OPTIONS, correlation=0.35, shared_distractor=0.3,
        cost_usd=np.geomspace(0.002, 0.0005, n_members).tolist(),
    )  # fmt: skip
    return build_table(simulate(model, n_queries, rng=rng), encode=HashingEncoder())


def recorded_pool(folder: Path, pool: str | None) -> ResponseTable:
    """The training queries of a recorded pool; all of them where the data name none."""
    dataset = read_dataset(folder)
    table = build_table(dataset, members=dataset.select_members(pool), encode=HashingEncoder())
    return table.take(table.split != "test")


def train(table: ResponseTable, seed: int, config: RlFocalConfig) -> Training:
    """Train and time it."""
    clock, n_states = Clock(), list[int]()

    def note(name: str, found: Any) -> None:
        if name == ROLLOUTS:
            n_states.append(len(found[0].reach))

    with ExitStack() as stack:
        for path, name in STEPS.items():
            step = clock.timing(pkgutil.resolve_name(path), name, note)
            stack.enter_context(mock.patch(path, step))
        RlFocal(config).fit(table, rng=np.random.default_rng(seed))
        clock.book()
    return Training(
        phases=[
            Phase(name, clock.wall_s[name], clock.processor_s[name])
            for name in (REST, *STEPS.values())
        ],
        n_iterations=len(n_states),
        n_decisions=sum(n_states),
    )


def stable_baselines(table: ResponseTable, seed: int) -> tuple[list[Rival], str]:
    """Decisions per second of PPO, and SB3's version or how to get it."""
    try:
        sb3 = importlib.import_module("stable_baselines3")
        vectors = importlib.import_module("stable_baselines3.common.vec_env")
    except ImportError:
        return [], "not installed: pip install stable-baselines3"
    torch.set_num_threads(1)
    config = RlFocalConfig()
    ours = {
        "batch_size": config.ppo.minibatch_size, "n_epochs": config.ppo.n_epochs,
        "learning_rate": config.ppo.learning_rate, "gamma": config.ppo.gamma,
        "target_kl": config.ppo.target_kl,
    }  # fmt: skip
    vote = WeightedVote().fit(table, rng=np.random.default_rng(seed))
    prices = (config.price_min, config.price_max)
    rivals = []
    for updates, settings in (("default", {}), ("as ours", ours)):
        for n_envs in N_ENVS:
            envs = vectors.DummyVecEnv([lambda: PoolGymEnv(table, vote, price=prices)] * n_envs)
            ppo = sb3.PPO(
                "MlpPolicy", envs, n_steps=SB3_ROLLOUT // n_envs, seed=seed, device="cpu",
                **settings,
            )  # fmt: skip
            ppo.learn(SB3_ROLLOUT)
            start = time.process_time()
            ppo.learn(SB3_ROLLOUTS * SB3_ROLLOUT)
            took_s = time.process_time() - start
            rivals.append(Rival(updates, n_envs, ppo.num_timesteps / took_s))
    return rivals, str(sb3.__version__)


def machine() -> str:
    """What the figures were measured on."""
    return f"{processor()}, {os.cpu_count()} cores, {os.environ['OMP_NUM_THREADS']} thread(s)"


def versions() -> str:
    """Of what computes."""
    return f"Python {platform.python_version()}, numpy {np.__version__}, torch {torch.__version__}"


def measure(
    table: ResponseTable, pool: str, seed: int, config: RlFocalConfig, *, with_sb3: bool
) -> Measured:
    """Run everything."""
    _, calibrated = calibrate(table)
    training = train(calibrated, seed, config)
    rivals, sb3 = stable_baselines(calibrated, seed) if with_sb3 else ([], "left out: no --sb3")
    return Measured(
        machine=machine(),
        load=os.getloadavg()[0],
        versions=versions(),
        pool=(
            f"{pool}: {table.n_queries:,} queries, {table.n_members} members, "
            f"{table.n_candidates} candidates, {len(table.tasks)} tasks"
        ),
        seed=seed,
        training=training,
        training_wall_s=training.wall_s,
        decisions_per_s=training.decisions_per_s,
        rivals=rivals,
        sb3=sb3,
    )


def table_of(found: Measured) -> str:
    """The measurements as lines a reader can take in."""
    training = found.training
    total_s = sum(phase.processor_s for phase in training.phases)
    return "\n".join(
        [
            f"{found.machine}, load {found.load:.1f}; {found.versions}; seed {found.seed}",
            found.pool,
            "",
            f"{'training rl-focal':<36}{'wall s':>10}{'processor s':>14}{'share':>8}",
            *(
                f"  {p.name:<34}{p.wall_s:>10.1f}{p.processor_s:>14.1f}"
                f"{p.processor_s / total_s:>8.0%}"
                for p in training.phases
            ),
            f"  {'in all':<34}{training.wall_s:>10.1f}{total_s:>14.1f}{1:>8.0%}",
            f"  {training.n_iterations} iterations of the Decider, {training.n_decisions:,} "
            "decisions",
            "",
            f"{'with learning':<36}{'decisions/s':>14}{'rl-focal is times faster':>28}",
            f"  {'rl-focal':<34}{found.decisions_per_s:>14,.0f}",
            *(
                f"  {f'SB3 PPO, {r.n_envs} envs, updates {r.updates}':<34}"
                f"{r.decisions_per_s:>14,.0f}{found.decisions_per_s / r.decisions_per_s:>28.1f}"
                for r in found.rivals
            ),
            f"  stable-baselines3 {found.sb3}",
        ]
    )


def processor_s(run: dict[str, Any]) -> float:
    """Of a whole training."""
    return float(sum(phase["processor_s"] for phase in run["training"]["phases"]))


def learning(of: str) -> Callable[[dict[str, Any]], float]:
    """Reads seconds of the Decider's iterations, "wall_s" or "processor_s", off a run's JSON."""

    def seconds(run: dict[str, Any]) -> float:
        phases = run["training"]["phases"]
        return float(sum(phase[of] for phase in phases if phase["name"] in LEARNING))

    return seconds


COMPARED = (
    Figure("decisions/s with learning", lambda run: run["decisions_per_s"], least=TIMES_BEFORE),
    Figure("decisions", lambda run: run["training"]["n_decisions"]),
    Figure("iterations, processor s", learning("processor_s")),
    Figure("training, wall s", lambda run: run["training_wall_s"]),
    Figure("training, processor s", processor_s),
)


def main() -> int:
    """Measure, print, and say by the exit status whether the promises hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="DIR", help="recorded data; else simulated")
    parser.add_argument("--pool", metavar="P", help="a pool of the data; else all members")
    parser.add_argument("--sb3", action="store_true", help="measure stable-baselines3 too")
    parser.add_argument("--quick", action="store_true", help="hardly any training: does it run?")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--before", type=Path, metavar="SRC", help="src of another build")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each build (3)")
    args = parser.parse_args()
    if args.before is not None:
        words = ["--seed", str(args.seed), *(["--quick"] if args.quick else [])]
        for name in ("data", "pool"):
            if (value := getattr(args, name)) is not None:
                words += [f"--{name}", str(value)]
        both = beside(args.before, "training.py", words, COMPARED, n_rounds=args.rounds)
        missed = [] if args.quick else both.missed()
        return finish(both, both.table(), as_json=args.json, missed=missed)
    if args.data is None:
        n_queries = QUICK_QUERIES if args.quick else N_QUERIES
        table, pool = synthetic_pool(args.seed, n_queries), "simulated pool"
    else:
        table, pool = recorded_pool(args.data, args.pool), f"{args.data.name} {args.pool or 'all'}"
    config = QUICK if args.quick else RlFocalConfig()
    found = measure(table, pool, args.seed, config, with_sb3=args.sb3)
    missed = [] if args.quick else found.missed()
    return finish(found, table_of(found), as_json=args.json, missed=missed)


if __name__ == "__main__":
    sys.exit(main())
