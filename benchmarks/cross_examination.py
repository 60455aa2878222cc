"""What local models say of replies: what the same strategies gain by it.

    rlfocal import data localpool --db answers.db
    rlfocal examine POOL.toml --db answers.db --by qwen-0.5b,smollm2-135m
    rlfocal export answers.db -o examined
    .venv/bin/python benchmarks/cross_examination.py examined [--folds 5] [--seeds 3]

DATA is a folder of recorded answers with the signals that `rlfocal examine` adds (likely_...,
cross_...); judged are queries all of whose replies have them, blank ones apart. Each strategy that
reads replies is run on the same folds with them and without, all other signals kept, at the price
at which no call is spared; gains are paired by query, with 95 % intervals. Below stand `mince`,
which takes the reply that the examiners find likeliest, the plain vote and the best single member;
their gains are beside the vote.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from functools import reduce

import numpy as np
import pyarrow.compute as pc

from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.bench.figures.scores import Scores, scores
from rlfocal.bench.statistics import Estimate, bootstrap_means
from rlfocal.executor import ProcessExecutor
from rlfocal.features import HashingEncoder
from rlfocal.records import Dataset, build_table
from rlfocal.records.built_in import read_data
from rlfocal.records.schema import SIGNAL
from rlfocal.records.signals.examined import CROSS, LIKELY, likelihoods_in

READERS = (
    "evidence-stacking", "evidence-cascade", "best-of-n", "score-cascade", "posterior-threshold",
    "rl-focal",
)  # fmt: skip
"""Strategies that read replies."""
VOTE = "plurality"


def examined(dataset: Dataset) -> Dataset:
    """Its queries whose replies were all read by all examiners: an examination may be under way."""
    names = [name for name in said_by_examiners(dataset) if name.startswith(SIGNAL + LIKELY)]
    if not names:
        raise SystemExit(f"{dataset.name}: nobody examined these replies; see rlfocal examine")
    text = pc.utf8_trim_whitespace(pc.fill_null(dataset.responses["text"], ""))
    has_text = pc.greater(pc.utf8_length(text), 0)
    lacks = reduce(pc.or_, (pc.is_null(dataset.responses[name]) for name in names))
    open_ids = dataset.responses.filter(pc.and_(has_text, lacks))["query_id"]
    queries, responses = (
        table.filter(pc.invert(pc.is_in(table["query_id"], value_set=open_ids.combine_chunks())))
        for table in (dataset.queries, dataset.responses)
    )
    return Dataset(dataset.name, queries, responses, dataset.info)


def said_by_examiners(dataset: Dataset) -> list[str]:
    """The columns of what they said."""
    columns = dataset.responses.column_names
    signals = [name.removeprefix(SIGNAL) for name in columns if name.startswith(SIGNAL)]
    likely = likelihoods_in(signals)
    cross = [CROSS + name.removeprefix(LIKELY) for name in likely]
    return [SIGNAL + name for name in (*likely, *cross)]


def without_examiners(dataset: Dataset) -> Dataset:
    """The same answers, without what examiners said of them."""
    return Dataset(
        dataset.name,
        dataset.queries,
        dataset.responses.drop_columns(said_by_examiners(dataset)),
        dataset.info,
    )


def measured(
    dataset: Dataset, names: tuple[str, ...], protocol: EvalProtocol, n_jobs: int
) -> Scores:
    """The scores of some strategies."""
    table = build_table(dataset, encode=HashingEncoder())
    executor = ProcessExecutor(n_jobs) if n_jobs > 1 else None
    return scores(run_bench(table, names, protocol, executor=executor).per_query)


def place_of(found: Scores, name: str) -> int:
    """Where a strategy stands, at the price at which no call is spared, if it has one."""
    at = {dial: place for place, (called, dial) in enumerate(found.points) if called == name}
    if not at:
        raise SystemExit(f"{name} cannot run on these data; see rlfocal bench")
    return at.get(0.0, at.get(None, min(at.values())))


def shown(gain: Estimate) -> str:
    """A figure with its interval."""
    return f"{gain.value:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="a folder whose replies were examined")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--strategies", default=",".join(READERS))
    options = parser.parse_args()
    names = tuple(options.strategies.split(","))
    dataset = examined(read_data(options.data))
    protocol = EvalProtocol(n_folds=options.folds, n_seeds=options.seeds)
    plain = measured(without_examiners(dataset), names, protocol, options.jobs)
    more = ("mince", VOTE, "best-single")
    told = measured(dataset, (*names, *more), protocol, options.jobs)
    assert np.array_equal(plain.group, told.group)
    print(f"{dataset.name}: {len(told.group)} queries, {options.folds} folds\n")
    print("| strategy | without % | with % | gain |")
    print("|:--|--:|--:|--:|")
    for name in names:
        columns = [plain.score[:, place_of(plain, name)], told.score[:, place_of(told, name)]]
        found = bootstrap_means(100 * np.stack(columns, axis=1), told.group)
        means = f"{found.mean(0).value:.1f} | {found.mean(1).value:.1f}"
        print(f"| {name} | {means} | {shown(found.difference(1, 0))} |")
    places = [place_of(told, name) for name in more]
    found = bootstrap_means(100 * told.score[:, places], told.group)
    for n, name in enumerate(more):
        gain = "" if name == VOTE else shown(found.difference(n, more.index(VOTE)))
        print(f"| {name} | | {found.mean(n).value:.1f} | {gain} |")


if __name__ == "__main__":
    main()
