"""What a prior is worth when labels are few: rl-focal-prior against simple rivals on real pools.

    .venv/bin/python benchmarks/few_labels.py ../shared/data/gsm8k --pool mid8 --labels 25 100
    ... --strategy rl-focal    # the prior with what Fusion learns on top, from 30 labels on
    ... --copies 2             # every draw has a member twice more: near-copies must not win votes

Draws n labelled queries, fits every strategy on those alone, and replays all on the rest; a prompt
never stands on both sides. Accuracy at b calls is read off each strategy's frontier (mixing its two
nearest dials); "all" is every member asked. Differences are prior minus rival, in points, averaged
over draws, with the standard error over draws in brackets: it says how far the draw of labels
matters, not how far another pool would differ. `rl-focal` asks nobody to be cleverer than it is:
its own fallback to simple rivals is part of it.

With no labels only a plain vote is left to compare with.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from rlfocal.agents.prior import strategy as prior_strategy
from rlfocal.agents.prior.weights import load_prior
from rlfocal.deliberation.base import Base, OneRound
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create_strategy, names
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray, ResponseTable, build_table, calibrate
from rlfocal.records.folders import read_dataset

CALLS = (1.5, 2.0, 3.0, 4.0)
PER_MEMBER = (
    "answer", "support", "option_scores", "samples", "latency_s", "recorded", "replies",
)  # fmt: skip
"""What a table holds of each member, but the cost."""
COLUMNS = (*(f"@{b:g}" for b in CALLS), "all")


def sides(
    table: ResponseTable, n_labels: int, most: int, rng: np.random.Generator
) -> tuple[ResponseTable, ResponseTable]:
    """Labelled queries, and at most `most` test queries with other prompts than theirs."""
    order = rng.permutation(table.n_queries)
    labelled = order[:n_labels]
    rest = order[n_labels:]
    rest = rest[~np.isin(table.group[rest], table.group[labelled])][:most]
    table = shuffled(table, rng)
    train, test = table.take(np.sort(labelled)), table.take(np.sort(rest))
    if n_labels:
        calibration, train = calibrate(train)
        test = calibration.apply(test)
    return train, test


def with_copies(table: ResponseTable, n_copies: int, rng: np.random.Generator) -> ResponseTable:
    """One member, drawn at random, so many times more under other names."""
    member = int(rng.integers(table.n_members))
    columns = np.append(np.arange(table.n_members), np.full(n_copies, member))
    names = [f"{table.members[member]}, copy {k + 1}" for k in range(n_copies)]
    changes: dict[str, Any] = {"members": (*table.members, *names)}
    for name in PER_MEMBER:
        value = getattr(table, name)
        changes[name] = None if value is None else value[:, columns]
    return replace(table, **changes, cost=table.cost[:, columns])


def shuffled(table: ResponseTable, rng: np.random.Generator) -> ResponseTable:
    """Members in random order: a recorded order may go by accuracy, which would be a hint."""
    order = rng.permutation(table.n_members)
    changes: dict[str, Any] = {"members": tuple(table.members[n] for n in order)}
    for name in PER_MEMBER:
        value = getattr(table, name)
        changes[name] = None if value is None else value[:, order]
    # Strategies are compared at equal calls, so every call costs the same.
    cost = np.ones_like(table.cost)
    return replace(table, **changes, cost=cost, cost_unit="call")


def frontier(strategy: Base, test: ResponseTable) -> dict[str, float]:
    """Accuracy at each number of calls; NaN beyond what the strategy ever asks."""
    points: list[tuple[float, float]] = []
    for setting in [strategy.with_dial(dial) for dial in strategy.dials] or [strategy]:
        outcome = replay(setting, test)
        points.append((float(outcome.n_calls.mean()), float(outcome.score.mean())))
    calls, score = np.array(sorted(points)).T
    out = {}
    for b in CALLS:
        reachable = calls[0] - 1e-9 <= b
        # Past its dearest setting a strategy keeps that accuracy: it need not ask more.
        out[f"@{b:g}"] = float(np.interp(b, calls, score)) if reachable else float("nan")
    out["all"] = everyone(strategy, test)
    return out


class AskAll(OneRound):
    """A strategy's fusion with every member asked."""

    name = "all"

    def __init__(self, strategy: Base) -> None:
        self._strategy = strategy

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> AskAll:
        """Nothing to fit."""
        return self

    def first(self, view: View) -> BoolArray:
        """Everybody, once."""
        return np.asarray(~view.asked)

    def fuse(self, view: View) -> FloatArray:
        """As the strategy does."""
        return self._strategy.decide(view).answer


class BareVote(OneRound):
    """Plurality as it is without labels: ties go to the first candidate."""

    name = "plurality"

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> BareVote:
        """Nothing to fit."""
        return self

    def first(self, view: View) -> BoolArray:
        """Everybody, once."""
        return np.asarray(~view.asked)

    def fuse(self, view: View) -> FloatArray:
        """Shares of votes."""
        votes = (view.answer[:, :, None] == np.arange(view.available.shape[1])).sum(axis=1)
        return np.asarray(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1), np.float32)


def everyone(strategy: Base, test: ResponseTable) -> float:
    """Accuracy with all members asked."""
    return float(replay(AskAll(strategy), test).score.mean())


def rivals(main: str, weights: Path | None) -> dict[str, Callable[[], Base]]:
    """The strategy in question, and what it has to beat."""

    def made(name: str) -> Callable[[], Base]:
        return lambda: create_strategy(Spec(name, {}))

    others = ["agreement", "agreement-capped", "weighted-vote", "plurality"]
    if weights is not None:
        # Wherever a prior is taken that nobody named, `rl-focal`'s hints among them.
        setattr(prior_strategy, "shipped_prior", cache(partial(load_prior, weights)))  # noqa: B010
    found = {main: made(main)}
    return found | {name: made(name) for name in others if name in names()}


def measure(table: ResponseTable, n_labels: int, args: argparse.Namespace) -> dict[str, np.ndarray]:
    """float64[draws, columns] of accuracies per strategy."""
    figures: dict[str, list[list[float]]] = {}
    for draw in range(args.draws):
        rng = np.random.default_rng([args.seed, n_labels, draw])
        pool = with_copies(table, args.copies, rng) if args.copies else table
        train, test = sides(pool, n_labels, args.most_tests, rng)
        for name, make in rivals(args.strategy, args.weights).items():
            if n_labels == 0 and name not in (args.strategy, "plurality"):
                continue
            if n_labels == 0 and name == "plurality":
                make = BareVote
            fitted = make().fit(train, rng=np.random.default_rng([args.seed, draw]))
            row = frontier(fitted, test)
            figures.setdefault(name, []).append([row[column] for column in COLUMNS])
    return {name: np.array(rows) for name, rows in figures.items()}


def show(title: str, main: str, found: dict[str, np.ndarray]) -> None:
    """Print accuracies of a strategy and its differences from the others."""
    prior = found[main]
    print(f"\n{title}")
    print(f"{'':<26}" + "".join(f"{column:>15}" for column in COLUMNS))
    print(f"{main + ', accuracy':<26}" + "".join(f"{v:>15.3f}" for v in prior.mean(axis=0)))
    for name, rows in found.items():
        if name == main:
            continue
        gap = 100 * (prior - rows)
        error = gap.std(axis=0, ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else gap[0] * np.nan
        cells = [
            f"{'-':>15}" if np.isnan(g) else f"{g:>+8.2f} ({e:.2f})"
            for g, e in zip(gap.mean(axis=0), error, strict=True)
        ]
        print(f"{'minus ' + name:<26}" + "".join(f"{cell:>15}" for cell in cells))
    sys.stdout.flush()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of recorded data sets")
    parser.add_argument("--labels", type=int, nargs="+", default=[0, 25, 50, 100, 500])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--pool", action="append", help="named pools; all members where absent")
    parser.add_argument("--most-tests", type=int, default=3000, help="test queries per draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategy", default="rl-focal-prior", help="what is compared")
    parser.add_argument("--copies", type=int, default=0, help="copies of a member, in each draw")
    parser.add_argument("--weights", type=Path, help="folder of another prior")
    parser.add_argument("--json", type=Path, help="also write the accuracies there")
    args = parser.parse_args()
    everything: dict[str, dict[str, list[list[float]]]] = {}
    for folder in args.data:
        dataset = read_dataset(folder)
        for pool in args.pool or [None]:
            if pool is not None and pool not in dataset.info.pools:
                continue
            table = build_table(dataset, members=None if pool is None else dataset.info.pools[pool])
            for n in args.labels:
                if n >= table.n_queries:
                    continue
                title = f"{folder.name} {pool or 'all'}, {table.n_members} members, {n} labels"
                found = measure(table, n, args)
                show(title, args.strategy, found)
                everything[title] = {k: v.tolist() for k, v in found.items()}
    if args.json is not None:
        args.json.write_text(json.dumps(everything), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
