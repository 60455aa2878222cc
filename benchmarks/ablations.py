"""What each part of rl-focal is worth: one thing changed at a time, at equal numbers of calls.

    OMP_NUM_THREADS=1 python benchmarks/ablations.py ../shared/data/gsm8k --pool mid8 \
        --folds 1 --seeds 2 --jobs 2 [--quick] [--json FILE]

Fits `rl-focal` as it is and as each variant of `VARIANTS`, which lacks something or has a setting
changed, beside `posterior-threshold` (the same Fusion; what a call is worth is read off a threshold
on the posterior, fitted for each price), on the first folds of the benchmark's partition, and
replays all of them on the queries left out. Accuracy at b calls is read off each frontier (mixing
its two nearest dials); the difference is to the default, or to the variant that the line names,
paired by query, with its 95 % bootstrap interval over queries. All variants draw from the same
generators, and seeds are averaged; no interval covers the luck of other training runs, so a small
difference is to be believed only if it holds on several pools.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, Self
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from rlfocal.bench.budgets import BUDGETS
from rlfocal.bench.entrants import Entrants
from rlfocal.bench.folds import partition
from rlfocal.bench.jobs import BenchInput, Job, JobResult, run_job
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.rows import JobRows, RowLayout
from rlfocal.bench.statistics import accuracy_at, judge
from rlfocal.deliberation.configured import Configured
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.executor import Executor, ProcessExecutor, SerialExecutor
from rlfocal.features import HashingEncoder
from rlfocal.focal.posterior_threshold import PosteriorThreshold
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.focal.stand_ins import LEARNED
from rlfocal.records import ResponseTable, build_table
from rlfocal.records.folders import read_dataset
from rlfocal.training.nets import GlobalState, PoolCritic
from rlfocal.training.trainer import Trainer

DEFAULT, THRESHOLD = "rl-focal", "posterior-threshold"
FOCAL = "rlfocal.agents.prior.statistics._failing_together"
"""What focal diversity is made of: the one statistic of pairs that Fusion and Decider see it by."""


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


class LocalCritic(PoolCritic):
    """Sees what the Decider sees: neither scores of answers nor what stopping now would earn."""

    def forward(self, state: GlobalState) -> Tensor:
        """As of `PoolCritic`."""
        score, worth = (torch.full_like(part, 0.5) for part in (state.member_score, state.worth))
        return super().forward(state._replace(member_score=score, worth=worth))


class WithoutCentralCritic(RlFocal):
    """The critic knows no more than the agent."""

    def critic_type(self, training: ModuleType) -> type[PoolCritic]:
        """Another critic."""
        return LocalCritic


class WithoutRivals(RlFocal):
    """The learned policy acts at every price but 0, where all are asked, as without a price."""

    def adopt(self, trainer: Trainer) -> Self:
        """Take over what was learned, and overrule the verdicts."""
        found = super().adopt(trainer)
        verdicts = tuple(
            v._replace(chosen=LEARNED) if v.price > 0 else v for v in found.fallback_.verdicts
        )
        fallback = found.fallback_._replace(verdicts=verdicts)
        return found.assemble(found.fitted_pool_, found.decider_, fallback)


def without_focal() -> AbstractContextManager[Any]:
    """While it is entered, members of every pool seem to fail independently of each other.

    The prior was trained with the statistic, so what it loses is an upper bound of its worth.
    """
    return mock.patch(FOCAL, lambda counts: np.zeros_like(counts.both))


class Variant(NamedTuple):
    """What is changed."""

    kind: type[Configured] = RlFocal
    settings: Mapping[str, Any] = {}
    within: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Entered while it is fitted and replayed."""
    replies: bool = True
    """Whether replies are shown, in training and in use."""
    tasks: Literal["given", "hidden"] = "given"
    """Whether test queries name their tasks; training queries do."""
    versus: str = DEFAULT
    """What it is compared with."""


NO_REPLIES = "no replies"
TASK_HIDDEN = "task hidden in use"
VARIANTS: dict[str, Variant] = {
    # What the learned value of a call is worth: against a threshold on the same Fusion's posterior
    # (always shown), and against the Decider as it comes, whom no query of the pool has taught.
    "no rivals": Variant(WithoutRivals),
    "prior's decider": Variant(settings={"learn_from": 10**9}),
    # The same with answers alone.
    NO_REPLIES: Variant(replies=False),
    "threshold, no replies": Variant(PosteriorThreshold, replies=False, versus=NO_REPLIES),
    # The task: unknown in training too, or known there and not told in use.
    "task unknown": Variant(TaskUnknown),
    TASK_HIDDEN: Variant(tasks="hidden"),
    "threshold, task hidden": Variant(PosteriorThreshold, tasks="hidden", versus=TASK_HIDDEN),
    # Parts.
    "focal none": Variant(within=without_focal),
    "no query text": Variant(WithoutText),
    "no central critic": Variant(WithoutCentralCritic),
    "rounds-1": Variant(settings={"max_rounds": 1}),
    "rounds-2": Variant(settings={"max_rounds": 2}),
}


QUICK: dict[str, Any] = {"n_iterations": 2, "n_episodes": 64, "learn_from": 100}
"""Hardly any training, of every variant: shows that the script runs, and nothing else."""


class Case(NamedTuple):
    """One fit."""

    name: str
    """Of a variant, or of the default or the threshold as they are."""
    variant: Variant
    fold: int
    seed: int

    def __str__(self) -> str:
        return f"{self.name}, fold {self.fold}, seed {self.seed}"


def run_case(shared: BenchInput, case: Case) -> JobResult:
    """Fit and replay as the benchmark does; a variant draws what the default would draw."""
    variant = case.variant
    made = variant.kind.of(variant.settings)
    table = shared.table if variant.replies else replace(shared.table, replies=None)
    own = BenchInput(table, shared.folds, Entrants.of([made]), variant.tasks)
    with variant.within():
        result = run_job(own, Job(made.name, case.fold, case.seed))
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
    every = {DEFAULT: Variant(), THRESHOLD: Variant(PosteriorThreshold), **variants}
    every = {
        name: variant._replace(settings={**common, **variant.settings})
        for name, variant in every.items()
    }
    cases = [
        Case(name, variant, fold, seed)
        for fold in range(n_folds)
        for seed in range(n_seeds)
        for name, variant in every.items()
    ]
    layout, done = RowLayout(table, part.folds), dict[int, JobRows]()
    for index, result in executor.map(run_case, cases, shared=BenchInput(table, part.folds)):
        done[index] = layout.of(result)
        print(f"{len(done)}/{len(cases)} {cases[index]}", file=sys.stderr)
    results = [done[index] for index in range(len(cases))]
    rows = layout.joined(results)
    found: dict[str, Any] = {}
    for name, variant in every.items():
        own = [result for result in results if result.job.strategy == name]
        at = {b: accuracy_at(rows, name, b, versus=variant.versus) for b in BUDGETS}
        found[name] = {
            "settings": dict(variant.settings),
            "versus": variant.versus,
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
        against = "" if figures["versus"] == DEFAULT else f"  against {figures['versus']}"
        lines.append(f"{name:<22}{line}{figures['fit_s']:>8.0f}{against}")
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
    named = set(given.only or VARIANTS)
    named |= {VARIANTS[name].versus for name in named}
    variants = {name: variant for name, variant in VARIANTS.items() if name in named}
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
