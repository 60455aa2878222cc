"""How time and memory grow with members and queries, on made-up pools.

    python benchmarks/scale.py --out DIR [--members 30,60,120] [--queries 25000,50000,100000]
        [--steps inspect,diversity,bench] [--strategies NAMES] [--folds K] [--limit-gib 8] [--quick]

Writes data folders of multiple choice questions (four options, eight tasks; members of 45 to 85 %,
each with its own price, whose mistakes go together) and runs the verbs of the command line on each,
whole processes, one after another. Prints seconds, processor seconds and peak memory of each, the
exponents with which time grows in members and in queries (1 is linear; by least squares on
logarithms), and draws scale.svg into DIR. Figures that are there (figures.jsonl) are not measured
again. Exit status 1 where a verb fails or needs more memory than the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlfocal.report.drawing.plot import Mark, Series, drawn, frame, named, sheet

PROGRAM = [sys.executable, "-m", "rlfocal"]
LETTERS = np.array(list("ABCD"))
N_TASKS = 8
BLOCK = 20_000
"""Queries that are made up at a time."""


@dataclass(frozen=True)
class Measured:
    """One verb on one pool."""

    step: str
    n_members: int
    n_queries: int
    seconds: float
    processor_s: float
    peak_gib: float
    status: int
    words: str
    """The command, but for the data."""


def write_pool(folder: Path, n_members: int, n_queries: int) -> None:
    """A data folder, the same each time; a smaller one is no part of a larger."""
    if (folder / "responses.parquet").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([n_members, n_queries])
    members = pa.array([f"m{n:03}" for n in range(n_members)])
    skill = rng.uniform(-0.2, 1.6, n_members)
    price = np.exp(rng.normal(-7, 1, n_members) + skill)
    with (
        pq.ParquetWriter(folder / "queries.parquet", _QUERIES) as queries,
        pq.ParquetWriter(folder / "responses.parquet", _RESPONSES) as responses,
    ):
        for start in range(0, n_queries, BLOCK):
            n = min(BLOCK, n_queries - start)
            label = rng.integers(4, size=n)
            hard = rng.normal(0, 1.2, (n, 1))
            right = hard + rng.logistic(0, 0.6, (n, n_members)) < skill
            lure = np.where(rng.random((n, n_members)) < 0.5, 1, rng.integers(1, 4, (n, n_members)))
            answer = np.where(right, label[:, None], (label[:, None] + lure) % 4)
            ids = pa.array([f"q{q:07}" for q in range(start, start + n)])
            task = np.arange(start, start + n) % N_TASKS
            queries.write_table(
                pa.table(
                    {
                        "query_id": ids,
                        "prompt": [
                            f"Question {q} of topic {q % 97}" for q in range(start, start + n)
                        ],
                        "choices": [list("ABCD")] * n,
                        "label": LETTERS[label],
                        "task": [f"t{t}" for t in task],
                    },
                    schema=_QUERIES,
                )
            )
            rows = pa.array(np.repeat(np.arange(n), n_members))
            responses.write_table(
                pa.table(
                    {
                        "query_id": ids.take(rows),
                        "member": members.take(pa.array(np.tile(np.arange(n_members), n))),
                        "answer": LETTERS[answer.ravel()],
                        "cost_usd": np.tile(price, n),
                    },
                    schema=_RESPONSES,
                )
            )


_QUERIES = pa.schema(
    {
        "query_id": pa.string(), "prompt": pa.string(), "choices": pa.list_(pa.string()),
        "label": pa.string(), "task": pa.string(),
    }
)  # fmt: skip
_RESPONSES = pa.schema(
    {
        "query_id": pa.string(),
        "member": pa.string(),
        "answer": pa.string(),
        "cost_usd": pa.float64(),
    }
)


def measured(step: str, words: Sequence[str], n_members: int, n_queries: int) -> Measured:
    """Run a verb and watch its processor time and its memory."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    said = process.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        print(said[-2000:], file=sys.stderr)
    return Measured(
        step, n_members, n_queries, time.perf_counter() - start,
        usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20, process.returncode,
        " ".join([words[0], *words[2:]]),
    )  # fmt: skip


def exponents(found: Sequence[Measured]) -> tuple[float, float]:
    """Powers of the number of members and of queries with which processor time grows."""
    x = [[1.0, np.log(one.n_members), np.log(one.n_queries)] for one in found]
    y = np.log([one.processor_s for one in found])
    _, of_members, of_queries = np.linalg.lstsq(np.array(x), y, rcond=None)[0]
    return float(of_members), float(of_queries)


def main() -> int:
    """Make the pools, run the verbs, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--members", default="30,60,120")
    parser.add_argument("--queries", default="25000,50000,100000")
    parser.add_argument("--steps", default="inspect,diversity,bench")
    parser.add_argument("--strategies", default="baselines,rl-focal-prior")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--limit-gib", type=float, default=8.0)
    parser.add_argument("--quick", action="store_true", help="2 x 2 tiny pools, quick strategies")
    options = parser.parse_args()
    members = [4, 8] if options.quick else [int(n) for n in options.members.split(",")]
    queries = [200, 400] if options.quick else [int(n) for n in options.queries.split(",")]
    strategies = "quick" if options.quick else options.strategies
    steps = {
        "inspect": ["inspect"],
        "diversity": ["diversity"],
        "bench": ["bench", "--strategies", strategies, "--folds", str(options.folds)],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    log = options.out / "figures.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    wanted = {" ".join(words) for words in steps.values()}
    found = [Measured(**json.loads(line)) for line in lines]
    found = [one for one in found if one.status == 0 and one.words in wanted]
    known = {(one.step, one.n_members, one.n_queries) for one in found}
    print("| verb | members | queries | seconds | processor | GiB |")
    print("|:--|--:|--:|--:|--:|--:|")
    for one in found:
        show(one)
    for n_queries in queries:
        for n_members in members:
            folder = options.out / f"pool-{n_members}-{n_queries}"
            for step in options.steps.split(","):
                if (step, n_members, n_queries) in known:
                    continue
                write_pool(folder, n_members, n_queries)
                verb, *rest = steps[step]
                one = measured(step, [verb, str(folder), *rest], n_members, n_queries)
                found.append(one)
                with log.open("a") as file:
                    file.write(json.dumps(asdict(one)) + "\n")
                show(one)
    for step in options.steps.split(","):
        of_step = [one for one in found if one.step == step and one.status == 0]
        if len(of_step) > 2:
            by_members, by_queries = exponents(of_step)
            print(f"{step}: time grows as members^{by_members:.2f} and queries^{by_queries:.2f}")
    draw(found, options.out / "scale.svg")
    bad = [one for one in found if one.status or one.peak_gib > options.limit_gib]
    for one in bad:
        print(f"missed: {one.step} with {one.n_members} x {one.n_queries}")
    return int(bool(bad))


def show(one: Measured) -> None:
    """One row of the table."""
    print(
        f"| {one.step} | {one.n_members} | {one.n_queries:,} | {one.seconds:.1f} | "
        f"{one.processor_s:.1f} | {one.peak_gib:.2f} |",
        flush=True,
    )


def draw(found: Sequence[Measured], path: Path) -> None:
    """Processor seconds by millions of answers, a line for each verb and number of members."""
    lines: dict[tuple[str, int], list[Mark]] = {}
    steps = list(dict.fromkeys(one.step for one in found))
    for one in sorted(found, key=lambda one: one.n_queries):
        title = f"{one.step}, {one.n_members} members, {one.n_queries:,} queries"
        mark = Mark(one.n_members * one.n_queries / 1e6, one.processor_s, title)
        lines.setdefault((one.step, one.n_members), []).append(mark)
    series = [
        Series(f"{step}, {n}", tuple(marks), hue=1 + steps.index(step))
        for (step, n), marks in lines.items()
    ]
    marks = [mark for one in series for mark in one.marks]
    axes = frame(
        720, 440, xs=[0.0, *(mark.x for mark in marks)], ys=[0.0, *(mark.y for mark in marks)],
        x_title="answers, in millions", y_title="processor seconds, by verb and members",
    )  # fmt: skip
    spots = named(axes, series)
    parts = [
        drawn(axes, one, spot, key=key)
        for key, (one, spot) in enumerate(zip(series, spots, strict=True))
    ]
    path.write_text(sheet(720, 440, [*axes.axes, *parts], title="Time and size"), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
