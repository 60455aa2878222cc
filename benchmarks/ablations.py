"""What each part of rl-focal is worth: one thing changed at a time, at equal numbers of calls.

    OMP_NUM_THREADS=1 python benchmarks/ablations.py ../shared/data/gsm8k --pool mid8 \
        --folds 1 --seeds 2 --jobs 2 [--quick] [--json FILE]

Fits `rl-focal` as it is and as each variant of `VARIANTS`, a subclass that lacks something or a
setting changed, beside `posterior-threshold`, on the first folds of the benchmark's partition, and
replays all of them on the queries left out. Accuracy at b calls is read off each frontier (mixing
its two nearest dials); the difference is to the default, paired by query, with its 95 % bootstrap
interval over queries. All variants draw from the same generators, and seeds are averaged; no
interval covers the luck of other training runs, so a small difference is to be believed only if it
holds on several pools.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from rlfocal.agents.decider import Critic, Decider, GlobalState
from rlfocal.agents.observation import Observation
from rlfocal.bench.budgets import BUDGETS
from rlfocal.bench.entrants import Entrants
from rlfocal.bench.folds import partition
from rlfocal.bench.jobs import BenchInput, Job, JobResult, run_job
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.rows import per_query_rows
from rlfocal.bench.statistics import accuracy_at, judge
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.executor import Executor, ProcessExecutor, SerialExecutor
from rlfocal.features import HashingEncoder
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.records import ResponseTable, build_table
from rlfocal.records.folders import read_dataset

DEFAULT, THRESHOLD = "rl-focal", "posterior-threshold"
FOCAL = slice(8, 10)
"""A member's features that say how often it fails where those asked, or leaders' backers, do."""


class TaskUnknown(RlFocal):
    """All queries are taken to be of one task, in training and in use."""

    def begin(self, table: ResponseTable, **run: Any) -> Any:
        """Train on one task."""
        return super().begin(
            replace(table, tasks=("unknown",), task=np.zeros_like(table.task)), **run
        )

    def follow(self, memory: Memory) -> Self:
        """Follow labels without looking at their tasks."""
        return super().follow(replace(memory, task=np.zeros_like(memory.task)))

    def decide(self, view: View) -> Decision:
        """Decide without looking at the task."""
        return super().decide(replace(view, task=np.zeros_like(view.task)))


class WithoutText(RlFocal):
    """Members are taken to be as good on a query as on its task, whatever its text."""

    def begin(self, table: ResponseTable, **run: Any) -> Any:
        """Train without texts."""
        return super().begin(replace(table, features=table.features[:, :0]), **run)

    def decide(self, view: View) -> Decision:
        """Decide without looking at the text."""
        return super().decide(replace(view, features=view.features[:, :0]))


def without_focal(observation: Observation) -> Observation:
    """The observation with nothing of how often members fail together."""
    member = observation.member.clone()
    member[:, :, FOCAL] = 0
    return observation._replace(member=member)


class DeciderWithoutFocal(Decider):
    """Decides without focal diversity."""

    def forward(self, observation: Observation) -> Tensor:
        """As of `Decider`."""
        return super().forward(without_focal(observation))


class CriticWithoutFocal(Critic):
    """Values states without focal diversity."""

    def forward(self, state: GlobalState) -> Tensor:
        """As of `Critic`."""
        return super().forward(state._replace(observation=without_focal(state.observation)))


class LocalCritic(Critic):
    """Sees what the Decider sees: no score of a member that was not asked."""

    def forward(self, state: GlobalState) -> Tensor:
        """As of `Critic`."""
        nothing = torch.zeros_like(state.member_score)
        return super().forward(state._replace(member_score=nothing))


class WithoutFocal(RlFocal):
    """Neither agent nor critic sees focal diversity."""

    nets = (DeciderWithoutFocal, CriticWithoutFocal)


class WithoutCentralCritic(RlFocal):
    """The critic knows no more than the agent."""

    nets = (Decider, LocalCritic)


class Variant(NamedTuple):
    """What is changed."""

    kind: type[RlFocal] = RlFocal
    settings: Mapping[str, Any] = {}


VARIANTS: dict[str, Variant] = {
    "focal none": Variant(WithoutFocal),
    "no query text": Variant(WithoutText),
    "task unknown": Variant(TaskUnknown),
    "no central critic": Variant(WithoutCentralCritic),
    "rounds-1": Variant(settings={"max_rounds": 1}),
    "rounds-2": Variant(settings={"max_rounds": 2}),
}


QUICK: dict[str, Any] = {
    "n_iterations": 2, "n_episodes": 64, "fusion_epochs": 1, "learn_from": 100
}  # fmt: skip
"""Hardly any training, of every variant: shows that the script runs, and nothing else."""


class Case(NamedTuple):
    """One fit."""

    name: str
    """Of a variant, or of a strategy as it is."""
    variant: Variant | None
    """Of `rl-focal`; None for a strategy of the catalogue as it is."""
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.name}, fold {self.fold}, seed {self.seed}"


def run_case(shared: BenchInput, case: Case) -> JobResult:
    """Fit and replay as the benchmark does; a variant draws what the default would draw."""
    if case.variant is None:
        return run_job(shared, Job(case.name, case.fold, case.seed))
    made = case.variant.kind.of(case.variant.settings)
    only = replace(shared, entrants=Entrants.of([made]))
    result = run_job(only, Job(DEFAULT, case.fold, case.seed))
    return result._replace(job=Job(case.name, case.fold, case.seed))


def measure(
    table: ResponseTable,
    *,
    n_folds: int,
    n_seeds: int,
    variants: Mapping[str, Variant],
    common: dict[str, Any],
    executor: Executor,
) -> dict[str, Any]:
    """Accuracy of every variant at each budget, and its difference from the default.

    Args:
        table: recorded answers.
        n_folds: how many of the partition's five folds are tested.
        n_seeds: fits per fold.
        variants: by their names.
        common: settings changed in every variant, the default among them.
        executor: where the fits run.
    """
    part = partition(table, EvalProtocol())
    every: dict[str, Variant | None] = {DEFAULT: Variant(settings=common), THRESHOLD: None}
    every |= {
        name: variant._replace(settings={**common, **variant.settings})
        for name, variant in variants.items()
    }
    cases = [
        Case(name, variant, fold, seed)
        for fold in range(n_folds)
        for seed in range(n_seeds)
        for name, variant in every.items()
    ]
    done: dict[int, JobResult] = {}
    for index, result in executor.map(run_case, cases, shared=BenchInput(table, part.folds)):
        done[index] = result
        print(f"{len(done)}/{len(cases)} {cases[index]}", file=sys.stderr)
    results = [done[index] for index in range(len(cases))]
    rows = per_query_rows(table, part.folds, results)
    found: dict[str, Any] = {}
    for name, variant in every.items():
        own = [result for result in results if result.job.strategy == name]
        at = {b: accuracy_at(rows, name, b, versus=DEFAULT) for b in BUDGETS}
        found[name] = {
            "settings": None if variant is None else dict(variant.settings),
            "fit_s": sum(result.fit_s for result in own) / len(own),
            "acting": sorted({result.acting.name for result in own if result.acting}),
            "at": [
                {
                    "n_calls": b, "accuracy": there.accuracy.value,
                    "difference": there.gain.value, "difference_ci": list(there.gain.ci),
                    "verdict": judge(there.gain.ci),
                }
                for b, there in at.items() if there is not None
            ],
        }  # fmt: skip
    return found


def lines_of(title: str, found: dict[str, Any]) -> list[str]:
    """One pool as text: accuracy in percent, differences in points."""
    head = f"{'':<22}" + "".join(f"{f'@{b:g}':>28}" for b in BUDGETS) + f"{'fit s':>8}"
    lines = ["", title, head]
    for name, figures in found.items():
        at = {cell["n_calls"]: cell for cell in figures["at"]}
        cells = [_shown(at.get(b), is_default=name == DEFAULT) for b in BUDGETS]
        line = "".join(f"{cell:>28}" for cell in cells)
        lines.append(f"{name:<22}{line}{figures['fit_s']:>8.0f}")
    return lines


def _shown(cell: dict[str, Any] | None, *, is_default: bool) -> str:
    if cell is None:
        return "-"
    accuracy = f"{100 * cell['accuracy']:.1f}"
    if is_default:
        return accuracy
    low, high = (100 * end for end in cell["difference_ci"])
    return f"{accuracy} {100 * cell['difference']:+.1f} [{low:+.1f}, {high:+.1f}]"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of recorded data sets")
    parser.add_argument("--pool", action="append", help="named pools; all members where absent")
    parser.add_argument("--only", action="append", choices=VARIANTS, help="these variants alone")
    parser.add_argument("--folds", type=int, default=1, help="of five; the first ones are tested")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--quick", action="store_true", help="hardly any training: does it run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    given = parser.parse_args()
    executor = SerialExecutor() if given.jobs == 1 else ProcessExecutor(given.jobs)
    variants = {name: VARIANTS[name] for name in given.only or VARIANTS}
    everything: dict[str, Any] = {}
    for folder in given.data:
        dataset = read_dataset(folder)
        for pool in given.pool or [None]:
            if pool is not None and pool not in dataset.info.pools:
                continue
            members = dataset.select_members(pool)
            table = build_table(dataset, members=members, encode=HashingEncoder())
            title = (
                f"{folder.name} {pool or 'all'}: {table.n_queries} queries, {len(members)} members"
            )
            found = measure(
                table, n_folds=given.folds, n_seeds=given.seeds, variants=variants,
                common=QUICK if given.quick else {}, executor=executor,
            )  # fmt: skip
            print("\n".join(lines_of(title, found)), flush=True)
            everything[title] = found
    if given.json is not None:
        given.json.write_text(json.dumps(everything, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
