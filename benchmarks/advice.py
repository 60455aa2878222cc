"""What the advice of a benchmark is worth: taken from a half of the queries, tried on the other.

For each data set: what all of its queries advise; whether anything that spends no more is shown to
be better; and over random halves, advice from the one, tried on the other against two rules that
people use: take the strategy on top of the leaderboard, and take the best single member. A strategy
that spends no more and is more accurate on the other half, with a 95 % interval above zero, is a
failure of the advice; luck alone makes one in forty comparisons look so.

    python benchmarks/advice.py ../shared/data/mmlu_pro:mid8 ../shared/data/bbh

A RUN folder that `rlfocal bench --report RUN` has written is taken as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlfocal import advise
from rlfocal.api import benchmark, read_table
from rlfocal.bench import BenchResult, LeaderboardRow
from rlfocal.bench.figures.scores import Scores, scores
from rlfocal.bench.statistics import BEST_SINGLE, ORACLE, MeasuredMeans, judge

SAME_CALLS = 0.01
"""Strategies with so many calls more than the advised one still count as costing no more."""


class Half(NamedTuple):
    """What advice from one half comes to on the other."""

    lead_over_top: float
    """Accuracy of the advised strategy less that of the leaderboard's top."""
    lead_over_single: float
    calls: float
    calls_of_top: float
    is_beaten: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each data set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="+", metavar="DATA[:POOL] | RUN")
    parser.add_argument("--strategies", default="baselines,rl-focal-prior")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--halves", type=int, default=20, help="random halves, both ways")
    parser.add_argument("--quick", action="store_true", help="2 folds, 2 halves, four strategies")
    options = parser.parse_args(arguments)
    if options.quick:
        options.folds, options.halves = 2, 2
        options.strategies = "best-single,plurality,agreement,routed-vote"
    print("| data | queries | advised on all | % | calls | top | % | calls | beaten at its calls |")
    print("|:--|--:|:--|--:|--:|:--|--:|--:|--:|")
    found, n_beaten, n_tried = [], 0, 0
    for data in options.data:
        result = result_of(data, options.strategies.split(","), options.folds)
        print(line_on_all(result), flush=True)
        halves = tried_on_halves(result, options.halves)
        n_beaten += sum(half.is_beaten for half in halves)
        n_tried += len(halves)
        found.append((result.data, halves))
    print()
    print("| data | advised - top, points | advised - single, points | calls | calls of top |")
    print("|:--|--:|--:|--:|--:|")
    for name, halves in found:
        top = [100 * half.lead_over_top for half in halves]
        single = [100 * half.lead_over_single for half in halves]
        print(
            f"| {name} | {middle(top)} | {middle(single)} "
            f"| {np.mean([half.calls for half in halves]):.2f} "
            f"| {np.mean([half.calls_of_top for half in halves]):.2f} |"
        )
    print(f"\nbeaten at its calls on the other half: {n_beaten} of {n_tried} pieces of advice")
    return 0


def result_of(data: str, strategies: Sequence[str], folds: int) -> BenchResult:
    """A benchmark that was written, or one made now."""
    folder, _, pool = data.partition(":")
    if (Path(folder) / "rows.parquet").exists():
        return BenchResult.read(Path(folder))
    return benchmark(read_table(folder, pool=pool or None), strategies, folds=folds)


def line_on_all(result: BenchResult) -> str:
    """Advice from all queries, beside the leaderboard's top."""
    advice = advise(result)
    if advice is None:
        return f"| {result.data} | {result.tested['n_queries']:,} | none: too much is missing |"
    usable = _usable(result)
    top = max(usable, key=lambda row: row.accuracy)
    beaten = is_beaten(scores(default_rows(result)), advice.strategy, _names(result))
    return (
        f"| {result.data} | {result.tested['n_queries']:,} "
        f"| {advice.strategy} | {100 * advice.accuracy.value:.1f} | {advice.mean_calls:.2f} "
        f"| {top.strategy} | {100 * top.accuracy:.1f} | {top.mean_calls:.2f} "
        f"| {'YES' if beaten else 'no'} |"
    )


def tried_on_halves(result: BenchResult, n_halves: int) -> list[Half]:
    """Advice from either half of the queries, tried on the other; prompts stay together."""
    rng = np.random.default_rng(0)
    rows = default_rows(result)
    groups = np.unique(rows["group"].to_numpy())
    found = []
    for _ in range(n_halves):
        is_first = rng.permutation(len(groups)) % 2 == 0
        parts = [
            rows.filter(pc.is_in(rows["group"], value_set=pa.array(groups[chosen])))
            for chosen in (is_first, ~is_first)
        ]
        for seen, unseen in (parts, parts[::-1]):
            half = tried(with_rows(result, seen), scores(unseen))
            found += [] if half is None else [half]
    return found


def tried(seen: BenchResult, unseen: Scores) -> Half | None:
    """Advice from some queries, on others."""
    advice = advise(seen)
    if advice is None:
        return None
    names = [name for name, _ in unseen.points]
    accuracy = dict(zip(names, unseen.mean(unseen.score).tolist(), strict=True))
    calls = dict(zip(names, unseen.mean(unseen.n_calls).tolist(), strict=True))
    top = max(_usable(seen), key=lambda row: row.accuracy).strategy
    return Half(
        lead_over_top=accuracy[advice.strategy] - accuracy[top],
        lead_over_single=accuracy[advice.strategy] - accuracy[BEST_SINGLE],
        calls=calls[advice.strategy],
        calls_of_top=calls[top],
        is_beaten=is_beaten(unseen, advice.strategy, _names(seen)),
    )


def is_beaten(found: Scores, advised: str, names: Sequence[str]) -> bool:
    """Whether one of the strategies spends no more and is shown to be more accurate."""
    column = {name: i for i, (name, _) in enumerate(found.points)}
    means = MeasuredMeans(found.score, found.measured, found.group, n_resamples=2000)
    calls = found.mean(found.n_calls)
    own = column[advised]
    return any(
        judge(means.over(i, own).difference(i, own).ci) == "better"
        for i in (column[name] for name in names if name != advised)
        if calls[i] <= calls[own] + SAME_CALLS and means.count(i, own)
    )


def default_rows(result: BenchResult) -> pa.Table:
    """The per-query rows of strategies at their default settings."""
    return result.per_query.filter(pc.is_null(result.per_query["dial"]))


def with_rows(result: BenchResult, per_query: pa.Table) -> BenchResult:
    """The result of fewer queries, as far as advice needs it."""
    found = scores(per_query)
    names = [name for name, _ in found.points]
    accuracy, calls = found.mean(found.score), found.mean(found.n_calls)
    at = {name: i for i, name in enumerate(names)}
    rows = tuple(
        replace(
            row,
            accuracy=float(accuracy[at[row.strategy]]),
            mean_calls=float(calls[at[row.strategy]]),
        )
        for row in result.rows
    )
    return replace(result, rows=rows, per_query=per_query)


def _usable(result: BenchResult) -> list[LeaderboardRow]:
    """Rows of what can be served."""
    rows = [row for row in result.rows if row.strategy != ORACLE]
    served = [row for row in rows if row.command is not None]
    return served or rows


def _names(result: BenchResult) -> list[str]:
    return [row.strategy for row in _usable(result)]


def middle(values: Sequence[float]) -> str:
    """The mean, and the range of the middle nine in ten."""
    low, high = np.percentile(values, [5, 95])
    return f"{np.mean(values):+.2f} [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    sys.exit(main())
