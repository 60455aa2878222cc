"""What a benchmark says where responses or labels are missing, beside what it says of all of them.

Takes a complete data set, removes responses in several ways, or half of the labels, and prints what
comes of it: members' accuracies against their intervals on the complete data, verdicts, and what a
policy trained on half of the labels believes of its answers.

    python benchmarks/missing.py ../shared/data/gsm8k --pool mid8

Quick by default (a minute or two); --queries and --strategies make it thorough.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

import rlfocal
from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.statistics import bootstrap_means
from rlfocal.deliberation.replay import replay
from rlfocal.errors import RecordError
from rlfocal.features import HashingEncoder
from rlfocal.numbers import wilson
from rlfocal.records import Dataset, ResponseTable, build_table
from rlfocal.records.built_in import BUILT_IN
from rlfocal.records.folders import read_dataset
from rlfocal.records.tables.missing import complete_part, missing_of

STRATEGIES = (
    "plurality", "weighted-vote", "agreement", "agreement-capped", "routed-vote", "static-subset",
    "stacking", "best-single-per-task",
)  # fmt: skip
QUICK = {"n_iterations": 20}
"""Settings of a policy that trains in seconds."""

Keep = Callable[[np.random.Generator, int, int], np.ndarray]


def at_random(rng: np.random.Generator, n_queries: int, n_members: int) -> np.ndarray:
    """bool[Q, N]: 40 % of the responses are missing."""
    return rng.random((n_queries, n_members)) >= 0.4


def disjoint_blocks(rng: np.random.Generator, n_queries: int, n_members: int) -> np.ndarray:
    """bool[Q, N]: every query was answered by one member."""
    kept: np.ndarray = rng.permutation(n_queries)[:, None] % n_members == np.arange(n_members)
    return kept


def three_of_all(rng: np.random.Generator, n_queries: int, n_members: int) -> np.ndarray:
    """bool[Q, N]: every query was answered by three members."""
    return rng.random((n_queries, n_members)).argsort(axis=1).argsort(axis=1) < 3


def disjoint_halves(rng: np.random.Generator, n_queries: int, n_members: int) -> np.ndarray:
    """bool[Q, N]: two members (best and worst) answered one half of the queries each."""
    half = rng.permutation(n_queries) % 2
    return np.column_stack([half == n for n in range(n_members)])


WAYS: dict[str, Keep] = {
    "40 % removed at random": at_random,
    "3 of all members a query": three_of_all,
    "disjoint blocks": disjoint_blocks,
}


def keep_responses(dataset: Dataset, table: ResponseTable, kept: np.ndarray) -> Dataset:
    """The data set with the responses of bool[Q, N] alone."""
    place = {q: i for i, q in enumerate(table.query_ids.tolist())}
    column = {m: n for n, m in enumerate(table.members)}
    wanted = [
        m in column and q in place and bool(kept[place[q], column[m]])
        for q, m in zip(
            dataset.responses["query_id"].to_pylist(),
            dataset.responses["member"].to_pylist(),
            strict=True,
        )
    ]
    return Dataset(
        dataset.name, dataset.queries, dataset.responses.filter(pa.array(wanted)), dataset.info
    )


def drop_labels(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """The data set with half of its labels, and without the scores that came of the others."""
    ids = dataset.queries["query_id"].to_pylist()
    hidden = set(rng.permutation(ids)[: len(ids) // 2].tolist())
    label = dataset.queries["label"].to_pylist()
    queries = dataset.queries.set_column(
        dataset.queries.column_names.index("label"), "label",
        pa.array(
            [None if q in hidden else x for q, x in zip(ids, label, strict=True)], pa.string()
        ),
    )  # fmt: skip
    responses = dataset.responses
    score = [
        None if q in hidden else s
        for q, s in zip(
            responses["query_id"].to_pylist(), responses["score"].to_pylist(), strict=True
        )
    ]
    at = responses.column_names.index("score")
    responses = responses.set_column(at, "score", pa.array(score, pa.float64()))
    return Dataset(dataset.name, queries, responses, dataset.info)


def load(path: str, pool: str | None, n_queries: int, seed: int) -> tuple[Dataset, tuple[str, ...]]:
    """A sample of a data set, and the members of the pool."""
    dataset = BUILT_IN[path]() if path in BUILT_IN else read_dataset(Path(path))
    members = dataset.select_members(pool)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(dataset.queries.num_rows)[:n_queries])
    queries = dataset.queries.take(pa.array(rows))
    chosen = set(queries["query_id"].to_pylist())
    keep = [q in chosen for q in dataset.responses["query_id"].to_pylist()]
    responses = dataset.responses.filter(pa.array(keep))
    return Dataset(dataset.name, queries, responses, dataset.info), members


def table_of(dataset: Dataset, members: tuple[str, ...]) -> ResponseTable:
    """The table with encoded texts."""
    return build_table(dataset, members=members, encode=HashingEncoder())


def bench(table: ResponseTable, strategies: tuple[str, ...], folds: int) -> BenchResult:
    """Fewer resamples than usual."""
    return run_bench(table, strategies, EvalProtocol(n_folds=folds, n_resamples=1000))


def say(text: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def members_within(part: ResponseTable, whole: ResponseTable) -> str:
    """How many members' accuracies lie within three standard errors of the complete data's."""
    known = part.scored.sum(axis=0)
    low, high = wilson(part.member_accuracy, np.maximum(known, 1))
    truth = whole.member_accuracy
    inside = ((low <= truth) & (truth <= high)).sum()
    off = np.abs(part.member_accuracy - truth).max()
    return (
        f"{inside} of {whole.n_members} members' complete accuracies lie within their 95 % "
        f"intervals; at most {100 * off:.1f} points off"
    )


def verdicts(found: BenchResult) -> dict[str, str]:
    """Strategy to verdict, of those that compete."""
    return {r.strategy: r.verdict for r in found.rows if r.verdict not in ("reference", "bound")}


def compare(
    name: str, part: ResponseTable, whole: ResponseTable, full: BenchResult,
    strategies: tuple[str, ...], folds: int,
) -> None:  # fmt: skip
    """Bench a part, and set it beside the whole."""
    say(f"\n{name}")
    say(f"  {members_within(part, whole)}")
    missing = missing_of(part)
    found, supported = verdicts(bench(part, strategies, folds)), verdicts(full)
    wrong = [s for s, v in found.items() if v in ("better", "worse") and supported.get(s) != v]
    said = {v: sum(x == v for x in found.values()) for v in sorted(set(found.values()))}
    share = 0.0 if missing is None else missing.share
    say(f"  {100 * share:.1f} % missing; verdicts {said}; not supported by all data: {wrong}")
    try:
        complete = complete_part(part)
    except RecordError as exc:
        say(f"  --complete: {exc}")
        return
    if complete.n_queries < 10 * folds:
        say(f"  --complete: {complete.n_queries} queries only")
        return
    found = verdicts(bench(complete, strategies, folds))
    wrong = [s for s, v in found.items() if v in ("better", "worse") and supported.get(s) != v]
    said = {v: sum(x == v for x in found.values()) for v in sorted(set(found.values()))}
    say(f"  --complete, {complete.n_queries} queries: verdicts {said}; not supported: {wrong}")


def half_labels(
    dataset: Dataset, members: tuple[str, ...], full: BenchResult,
    strategies: tuple[str, ...], folds: int, seed: int,
) -> None:  # fmt: skip
    """Bench and train with half of the labels."""
    say("\nhalf of the labels removed")
    half = drop_labels(dataset, np.random.default_rng([seed, 5]))
    part = table_of(half, members)
    found = {row.strategy: row for row in bench(part, strategies, folds).rows}
    outside = []
    for row in full.rows:
        mine = found[row.strategy]
        if not mine.accuracy_ci[0] <= row.accuracy <= mine.accuracy_ci[1]:
            outside.append(
                f"{row.strategy} ({100 * mine.accuracy:.1f}, all {100 * row.accuracy:.1f})"
            )
    say(
        f"  {part.n_queries} queries; complete accuracy outside the interval of half: "
        f"{outside or 'none'} of {len(full.rows)} strategies"
    )
    # Trained on the first two thirds, with all labels or half of them, and shown the rest.
    ids = dataset.queries["query_id"].to_pylist()
    late = set(ids[2 * len(ids) // 3 :])
    tested = table_of(dataset, members)
    tested = tested.take(np.array([q in late for q in tested.query_ids.tolist()]))
    for label, source in (("all labels", dataset), ("half of them", half)):
        table = table_of(source, members)
        train = table.take(np.array([q not in late for q in table.query_ids.tolist()]))
        loaded = rlfocal.train(train, "rl-focal", settings=QUICK, holdout=0, seed=seed)
        shown = loaded.calibration.apply(tested.with_tasks(tuple(loaded.description.tasks)))
        outcome = replay(loaded.strategy, shown)
        columns = np.stack([outcome.score, outcome.confidence], axis=1).astype(np.float64)
        means = bootstrap_means(columns, shown.group, n_resamples=1000)
        right, sure = means.mean(0), means.mean(1)
        say(
            f"  trained with {label} ({train.n_queries} queries): accuracy {100 * right.value:.1f} "
            f"[{100 * right.low:.1f}, {100 * right.high:.1f}], mean confidence "
            f"{100 * sure.value:.1f} [{100 * sure.low:.1f}, {100 * sure.high:.1f}], "
            f"{outcome.n_calls.mean():.2f} calls"
        )


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="a data folder, or a built-in data set")
    parser.add_argument("--pool")
    parser.add_argument("--queries", type=int, default=600)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    strategies = tuple(given.strategies.split(","))
    dataset, members = load(given.data, given.pool, given.queries, given.seed)
    whole = table_of(dataset, members)
    say(f"{whole.name}: {whole.n_queries} queries, {whole.n_members} members; complete data:")
    full = bench(whole, strategies, given.folds)
    for row in full.rows:
        say(f"  {row.strategy:<22} {100 * row.accuracy:5.1f}  {row.verdict}")
    for i, (name, keep) in enumerate(WAYS.items()):
        kept = keep(np.random.default_rng([given.seed, i]), whole.n_queries, whole.n_members)
        part = table_of(keep_responses(dataset, whole, kept), members)
        compare(name, part, whole, full, strategies, given.folds)
    order = np.argsort(-whole.member_accuracy)
    pair = tuple(whole.members[n] for n in (order[0], order[-1]))
    two = table_of(dataset, pair)
    kept = disjoint_halves(np.random.default_rng([given.seed, 4]), two.n_queries, 2)
    part = table_of(keep_responses(dataset, two, kept), pair)
    compare(
        f"disjoint halves: {' and '.join(pair)}", part, two, bench(two, strategies, given.folds),
        strategies, given.folds,
    )  # fmt: skip
    half_labels(dataset, members, full, strategies, given.folds, given.seed)


if __name__ == "__main__":
    main()
