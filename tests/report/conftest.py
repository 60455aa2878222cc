"""A small benchmark of simulated members, run once, for everything that looks at a report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.bench import BenchResult, EvalProtocol, History, run_bench
from rlfocal.records import ResponseTable, build_table, demo_dataset

STRATEGIES = ("oracle", "random", "best-single", "best-single-per-task", "plurality", "agreement")


@pytest.fixture(scope="session")
def table() -> ResponseTable:
    return build_table(demo_dataset(600))


@pytest.fixture(scope="session")
def result(table: ResponseTable) -> BenchResult:
    """Five strategies, and a made-up training history of a sixth."""
    found = run_bench(table, STRATEGIES, EvalProtocol(n_folds=3, n_resamples=200))
    rng = np.random.default_rng(0)
    histories = tuple(
        History(
            strategy=strategy,
            fold=fold,
            seed=0,
            iterations=tuple(
                {
                    "step": 100.0 * i,
                    "reward": 0.4 + 0.01 * i + 0.01 * float(rng.normal()),
                    "accuracy": 0.6 + 0.005 * i,
                    "mean_calls": 4 - 0.1 * i,
                }
                for i in range(12 + fold)
            ),
        )
        for strategy in ("rl-focal", "rl-focal-paper")
        for fold in range(3)
    )
    return replace(found, histories=histories)
