"""How well are queries unlike those of training found out, and is confidence right on them?

    .venv/bin/python benchmarks/out_of_depth.py ../shared/data/gsm8k ../shared/data/mmlu_pro

A third of the queries of each folder (of the built-in pool where none is named) is held out. Shown
are the share of them that is called unlike the others, which is a false alarm; the share of the
prompts in off_topic.json that is, on those that the method was made with and on those that were
kept apart; and what looking costs a query. `--encoder sentence` judges by the sentence encoder, as
a checkpoint trained with it does.

`--leave-tasks-out` trains agreement stopping without one task at a time and asks it that task's
queries: how sure it is, and how often right, where they are unlike the others and where they are
not, each task counting the same. `--pool` chooses members, `--every` takes every such task.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from rlfocal import localpool, read_dataset
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.features import HashingEncoder, Reach, encoder
from rlfocal.features.sentence import SentenceEncoder
from rlfocal.records import BoolArray, ResponseTable, build_table, calibrate

OFF_TOPIC = Path(__file__).with_name("off_topic.json")
_MOST = 6000


def prompts_of(name: str) -> list[str]:
    """All prompts of "development" or "kept apart"."""
    kinds = json.loads(OFF_TOPIC.read_text(encoding="utf-8"))[name]
    return [text for texts in kinds.values() for text in texts]


def reach_of(table: ResponseTable, spec: dict[str, str | int]) -> Reach:
    """The reach of a checkpoint trained on a table."""
    found = Reach.of(table.prompts, table.features, table.group, spec)
    if found is None:
        raise SystemExit(f"{table.name}: too few queries")
    return found


def unlike(reach: Reach, prompts: list[str]) -> BoolArray:
    """bool[Q]: those unlike the training queries."""
    encode = encoder(reach.encoder)
    return np.array([reach.nearest(row) < reach.least for row in encode(prompts)])


def detection(table: ResponseTable, spec: dict[str, str | int]) -> str:
    """A line of the first table."""
    held = np.random.default_rng(0).random(int(table.group.max()) + 1)[table.group] < 1 / 3
    reach = reach_of(table.take(~held), spec)
    assert table.prompts is not None
    alarms = unlike(reach, table.prompts[held].tolist())
    made, apart = (unlike(reach, prompts_of(name)) for name in ("development", "kept apart"))
    encode, asked = encoder(reach.encoder), prompts_of("kept apart")
    took = []
    for prompt in asked:
        started = time.perf_counter()
        reach.nearest(encode([prompt])[0])
        took.append(1e6 * (time.perf_counter() - started))
    each_us = float(np.median(took))
    return (
        f"| {table.name} | {len(alarms):,} | {100 * alarms.mean():.1f} | {100 * made.mean():.0f} | "
        f"{100 * apart.mean():.0f} | {each_us:.0f} |"
    )


def left_out(table: ResponseTable, spec: dict[str, str | int], every: int) -> list[str]:
    """Lines of the second table."""
    figures: dict[str, list[tuple[float, float, int]]] = {"unlike": [], "like": []}
    for task in range(0, len(table.tasks), every):
        own = table.task == task
        others = tuple(name for k, name in enumerate(table.tasks) if k != task)
        rest, left = (table.take(rows).with_tasks(others) for rows in (~own, own))
        calibration, ready = calibrate(rest)
        strategy = create_strategy(Spec("agreement", {}))
        strategy = strategy.fit(ready, rng=np.random.default_rng(0))
        outcome = replay(strategy, calibration.apply(left))
        assert left.prompts is not None
        alarms = unlike(reach_of(rest, spec), left.prompts.tolist())
        for name, rows in (("unlike", alarms), ("like", ~alarms)):
            if rows.any():
                sure, right = outcome.confidence[rows].mean(), outcome.score[rows].mean()
                figures[name].append((float(sure), float(right), int(rows.sum())))
    lines = []
    for name, found in figures.items():
        if found:
            sure, right, n = np.array(found).T
            lines.append(
                f"| {table.name} | {name} | {int(n.sum()):,} of {len(found)} tasks | "
                f"{sure.mean():.2f} | {right.mean():.2f} |"
            )
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", nargs="*", metavar="DIR")
    parser.add_argument("--pool", help="members of this named pool")
    parser.add_argument("--encoder", choices=("hashing", "sentence"), default="hashing")
    parser.add_argument("--leave-tasks-out", action="store_true")
    parser.add_argument("--every", type=int, default=1, help="leave out every such task alone")
    given = parser.parse_args()
    encode = HashingEncoder() if given.encoder == "hashing" else SentenceEncoder()
    tables = []
    for dataset in [read_dataset(path) for path in given.data] or [localpool()]:
        members = dataset.select_members(given.pool, None)
        table = build_table(dataset, members=members, encode=HashingEncoder())
        if table.n_queries > _MOST:
            rows = np.random.default_rng(0).choice(table.n_queries, _MOST, replace=False)
            table = table.take(np.sort(rows))
        if given.encoder == "sentence":
            assert table.prompts is not None
            table = replace(table, features=encode(table.prompts.tolist()))
        tables.append(table)
    print("| data | held out | unlike % | made with % | kept apart % | µs a query |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for table in tables:
        print(detection(table, encode.spec), flush=True)
    if given.leave_tasks_out:
        print("\n| data | queries of tasks left out | | confidence | right |")
        print("| --- | --- | ---: | ---: | ---: |")
        for table in tables:
            print("\n".join(left_out(table, encode.spec, given.every)), flush=True)


if __name__ == "__main__":
    main()
