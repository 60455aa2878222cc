"""What limited or dear rounds cost: accuracy, calls and rounds of rl-focal on one fold.

    OMP_NUM_THREADS=1 python benchmarks/rounds.py ../shared/data/gsm8k --pool mid8 \
        [--quick] [--json FILE]

Fits `rl-focal` with each of `SETTINGS` on the training queries of the first of five folds and
replays it on the others at every dial. The first table reads accuracy and mean rounds at b mean
calls off each frontier (mixing its two nearest dials); differences are to one member after another,
in points, paired by query, with their standard error over queries. The second lists every dial:
there a price of rounds also changes how many calls are made. Simple rivals act where they were
judged better, as they would in use; `--alone` keeps them out.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlfocal.agents.config import RlFocalConfig
from rlfocal.bench.folds import partition
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.deliberation.replay import replay
from rlfocal.features import HashingEncoder
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.focal.stand_ins import LEARNED
from rlfocal.records import FloatArray, ResponseTable, build_table, calibrate
from rlfocal.records.folders import read_dataset

SETTINGS: dict[str, dict[str, Any]] = {
    "one by one": {},
    "max_rounds 2": {"max_rounds": 2},
    "max_rounds 1": {"max_rounds": 1},
    "round_price 0.005": {"round_price": 0.005},
    "round_price 0.02": {"round_price": 0.02},
}
QUICK: dict[str, Any] = {"n_iterations": 2, "n_episodes": 64, "learn_from": 100}
"""Hardly any training, whatever the setting: shows that the script runs, and nothing else."""
CALLS = (1.5, 2.0, 3.0, 4.0, 6.0)


class Frontier(NamedTuple):
    """What D dials came to on Q queries, by rising mean calls."""

    dial: FloatArray
    """float64[D]."""
    figures: FloatArray
    """float64[3, D, Q]: score, calls, rounds; over seeds on average."""
    acting: list[str]
    """Who decides at each dial, in the first seed."""

    def at(self, n_calls: float) -> FloatArray | None:
        """float64[2, Q]: score and rounds at so many mean calls; None below the cheapest dial."""
        mean = self.figures[1].mean(axis=1)
        if n_calls < mean[0] - 1e-9:
            return None
        dearer = min(int(np.searchsorted(mean, n_calls)), len(mean) - 1)
        cheaper = max(dearer - 1, 0)
        width = mean[dearer] - mean[cheaper]
        share = 1.0 if width <= 0 else min(1.0, (n_calls - mean[cheaper]) / width)
        kept = self.figures[[0, 2]]
        return np.asarray(share * kept[:, dearer] + (1 - share) * kept[:, cheaper])


def measure(
    train: ResponseTable, test: ResponseTable, settings: dict[str, Any], n_seeds: int, alone: bool
) -> Frontier:
    """Fit with each seed, replay every dial."""
    every: list[FloatArray] = []
    acting: list[list[str]] = []
    for seed in range(n_seeds):
        fitted = RlFocal(RlFocalConfig.of(settings, source="SETTINGS"))
        fitted.fit(train, rng=np.random.default_rng(seed))
        if alone:
            verdicts = tuple(
                v._replace(chosen=LEARNED) if v.price > 0 else v for v in fitted.fallback_.verdicts
            )
            kept = fitted.fallback_._replace(verdicts=verdicts)
            fitted.assemble(fitted.fitted_pool_, fitted.decider_, kept)
        outcomes = [replay(fitted.at(dial), test) for dial in fitted.dials]
        played = [np.stack([o.score, o.n_calls, o.n_rounds]) for o in outcomes]
        every.append(np.stack(played, axis=1))
        acting.append([fitted.at(dial).acting.name for dial in fitted.dials])
    figures = np.mean(every, axis=0)
    order = np.argsort(figures[1].mean(axis=1), kind="stable")
    return Frontier(np.array(fitted.dials)[order], figures[:, order], [acting[0][i] for i in order])


def equal_calls(found: dict[str, Frontier]) -> list[str]:
    """Accuracy in percent, its difference, and rounds at equal numbers of calls."""
    lines = [f"{'at mean calls':<20}" + "".join(f"{b:>26g}" for b in CALLS)]
    base = next(iter(found.values()))
    for name, frontier in found.items():
        cells = []
        for b in CALLS:
            here, there = frontier.at(b), base.at(b)
            if here is None or there is None:
                cells.append("-")
                continue
            gap = 100 * (here[0] - there[0])
            error = gap.std() / np.sqrt(len(gap))
            change = "" if frontier is base else f" {gap.mean():+.1f} ({error:.1f})"
            cells.append(f"{100 * here[0].mean():.1f}{change} r{here[1].mean():.2f}")
        lines.append(f"{name:<20}" + "".join(f"{cell:>26}" for cell in cells))
    return lines


def every_dial(found: dict[str, Frontier]) -> list[str]:
    """All points of all frontiers."""
    lines = []
    for name, frontier in found.items():
        lines.append(f"{name:<20}{'lambda':>8}{'accuracy':>10}{'calls':>8}{'rounds':>8}  acting")
        for d, dial in enumerate(frontier.dial):
            score, calls, rounds = frontier.figures[:, d].mean(axis=1)
            lines.append(
                f"{'':<20}{dial:>8.4f}{100 * score:>10.1f}{calls:>8.2f}{rounds:>8.2f}  "
                f"{frontier.acting[d]}"
            )
    return lines


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of recorded data sets")
    parser.add_argument("--pool", help="named pool; all members where absent")
    parser.add_argument("--only", action="append", choices=SETTINGS, help="beside the first")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="the learned policy, without rivals")
    parser.add_argument("--quick", action="store_true", help="hardly any training: does it run?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    given = parser.parse_args()
    first, *others = SETTINGS
    everything: dict[str, Any] = {}
    for folder in given.data:
        dataset = read_dataset(folder)
        table = build_table(
            dataset, members=dataset.select_members(given.pool), encode=HashingEncoder()
        )
        fold = partition(table, EvalProtocol()).folds[0]
        calibration, train = calibrate(table.take(fold.train))
        test = calibration.apply(table.take(fold.test))
        found = {}
        for name in [first, *(given.only or others)]:
            start = time.perf_counter()
            settings = {**(QUICK if given.quick else {}), **SETTINGS[name]}
            found[name] = measure(train, test, settings, given.seeds, given.alone)
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        sizes = f"{train.n_queries} queries fitted on, {test.n_queries} tested"
        title = f"{folder.name} {given.pool or 'all'}: {sizes}"
        print("\n".join(["", title, *equal_calls(found), "", *every_dial(found)]), flush=True)
        everything[title] = {
            name: {
                "dial": frontier.dial.tolist(), "acting": frontier.acting,
                **{key: frontier.figures[i].mean(axis=1).tolist()
                   for i, key in enumerate(("accuracy", "mean_calls", "mean_rounds"))},
            }
            for name, frontier in found.items()
        }  # fmt: skip
    if given.json is not None:
        given.json.write_text(json.dumps(everything, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
