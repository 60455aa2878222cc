"""What the texts of the queries are worth to strategies that read them, by encoder.

    OMP_NUM_THREADS=1 python benchmarks/encoders.py ../shared/data/{bbh,mmlu_pro,gsm8k} \
        [--pool P ...] [--strategies NAME ...] [--most Q] [--json FILE] [--signal]

Runs the benchmark's 5 grouped folds three times, with no text, with hashed words (256 features) and
with sentence vectors (384, the extra `encoder`), and prints one table. Routers are compared at
their default dial (one call); strategies that ask several members at equal numbers of calls, read
off their frontiers. Differences are paired by query, with 95 % bootstrap intervals over queries.
Strategies that never look at the text, stacking among them, are left out: they cannot differ.

With --signal it prints instead how much of the members' scores the text foretells, beyond each
member's accuracy on the task, by ridge regression on the same folds: of what the members of a query
have in common (is it hard?) and of what sets each apart from the others (whom to ask?). Only the
second helps to route.

Every named pool of a folder is measured unless --pool names some. Of a data set with more than
--most queries that many are drawn, the same for every pool. Vectors are kept in --cache.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.figures.scores import scores
from rlfocal.bench.folds import partition
from rlfocal.bench.statistics import Estimate, bootstrap_means, frontier, judge
from rlfocal.deliberation.registry import resolve
from rlfocal.executor import Executor, ProcessExecutor, SerialExecutor
from rlfocal.features import Encoder, HashingEncoder
from rlfocal.features.sentence import SentenceEncoder
from rlfocal.records import Dataset, FloatArray, ResponseTable, build_table
from rlfocal.records.folders import read_dataset
from rlfocal.strategies.single import task_accuracy

ROUTERS = ("knn-router", "logistic-router", "kmeans-router")
DEFAULT = ("knn-router", "logistic-router", "routed-vote", "posterior-threshold")
PENALTIES = np.logspace(0, 4, 9)
NONE, HASHING, SENTENCE = "none", "hashing", "sentence"


@dataclass(frozen=True)
class Row:
    """One strategy on one pool; accuracies are shares, differences too."""

    pool: str
    n_queries: int
    strategy: str
    calls: float
    accuracy: dict[str, float]
    """By encoder; without "none" where the strategy cannot do without text."""
    difference: Estimate
    """Sentence minus hashing."""
    over_none: Estimate | None
    """Sentence minus no text."""
    fit_s: dict[str, float]
    """Median seconds a fit, by encoder."""


def chosen_rows(table: ResponseTable, most: int, seed: int) -> ResponseTable:
    """At most so many queries, drawn evenly; the order is kept."""
    if table.n_queries <= most:
        return table
    rng = np.random.default_rng(seed)
    return table.take(np.sort(rng.choice(table.n_queries, most, replace=False)))


def vectors(encode: Encoder, texts: list[str], cache: Path) -> FloatArray:
    """float32[Q, D], from the cache where the same texts were encoded before."""
    what = json.dumps([encode.spec, texts]).encode()
    path = cache / f"{hashlib.sha256(what).hexdigest()[:24]}.npy"
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)
    start = time.perf_counter()
    found = encode(texts)
    seconds = time.perf_counter() - start
    print(f"{encode.spec['name']}: {len(texts) / seconds:.0f} texts/s", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    np.save(path, found)
    return found


def tables(dataset: Dataset, pool: str, given: argparse.Namespace) -> dict[str, ResponseTable]:
    """The same queries and answers under each encoder."""
    table = build_table(dataset, members=dataset.select_members(pool))
    table = chosen_rows(replace(table, name=f"{table.name} {pool}"), given.most, given.seed)
    ids, prompts = (dataset.queries[name].to_pylist() for name in ("query_id", "prompt"))
    text_of = dict(zip(ids, prompts, strict=True))
    texts = [text_of[query] or "" for query in table.query_ids.tolist()]
    encoders: dict[str, Encoder] = {HASHING: HashingEncoder(), SENTENCE: SentenceEncoder()}
    found = {NONE: table}
    for name, encode in encoders.items():
        found[name] = replace(table, features=vectors(encode, texts, given.cache))
    return found


def compare(
    results: dict[str, BenchResult], strategies: Sequence[str], calls: list[float]
) -> Iterator[Row]:
    """Rows of one pool."""
    found = {name: scores(result.per_query) for name, result in results.items()}
    group = found[SENTENCE].group
    assert all(np.array_equal(own.group, group) for own in found.values())
    ran = {name: {row.strategy: row for row in result.rows} for name, result in results.items()}
    for strategy in strategies:
        if strategy not in ran[SENTENCE]:
            print(f"{strategy}: {results[SENTENCE].not_applicable[strategy]}", file=sys.stderr)
            continue
        able = [name for name in (NONE, HASHING, SENTENCE) if strategy in ran[name]]
        for budget in [1.0] if strategy in ROUTERS else calls:
            columns: list[NDArray[np.float64]] = []
            for name in able:
                own = found[name]
                if strategy in ROUTERS:
                    columns.append(own.score[:, own.points.index((strategy, None))])
                    continue
                mixed = frontier(own, strategy).at(budget)
                if mixed is not None:
                    columns.append(mixed)
            if len(columns) < len(able):
                print(f"{strategy} cannot do with {budget:g} calls", file=sys.stderr)
                continue
            means = bootstrap_means(np.stack(columns, axis=1), group)
            at = {name: i for i, name in enumerate(able)}
            yield Row(
                pool=results[SENTENCE].data,
                n_queries=len(group),
                strategy=strategy,
                calls=budget,
                accuracy={name: float(means.value[i]) for name, i in at.items()},
                difference=means.difference(at[SENTENCE], at[HASHING]),
                over_none=means.difference(at[SENTENCE], at[NONE]) if NONE in at else None,
                fit_s={name: ran[name][strategy].fit_s for name in able},
            )


def shown(difference: Estimate | None) -> str:
    """A difference in points, with its verdict where there is one."""
    if difference is None:
        return "-"
    value, low, high = (100 * end for end in difference)
    verdict = judge(difference.ci)
    mark = "" if verdict == "no difference" else f" {verdict}"
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]{mark}"


def lines_of(rows: list[Row]) -> Iterator[str]:
    """The table and its summary, as Markdown."""
    yield (
        "| pool | queries | strategy | calls | no text % | hashing % | sentence % "
        "| sentence - hashing | sentence - no text | fit s: none, hashing, sentence |"
    )
    yield "|:--|--:|:--|--:|--:|--:|--:|:--|:--|--:|"
    for row in rows:
        kinds = (NONE, HASHING, SENTENCE)
        cells = [f"{100 * row.accuracy[k]:.1f}" if k in row.accuracy else "-" for k in kinds]
        fit = [f"{row.fit_s[k]:.1f}" if k in row.fit_s else "-" for k in kinds]
        yield (
            f"| {row.pool} | {row.n_queries} | {row.strategy} | {row.calls:g} "
            f"| {' | '.join(cells)} | {shown(row.difference)} | {shown(row.over_none)} "
            f"| {', '.join(fit)} |"
        )
    yield ""
    for what, found in (
        ("Sentence minus hashing", [row.difference for row in rows]),
        ("Sentence minus no text", [row.over_none for row in rows if row.over_none]),
    ):
        if not found:
            continue
        verdicts = [judge(difference.ci) for difference in found]
        values = [100 * difference.value for difference in found]
        yield (
            f"{what}: {len(found)} cells, {sum(value > 0 for value in values)} positive, "
            f"{verdicts.count('better')} better, {verdicts.count('worse')} worse; mean "
            f"{np.mean(values):+.2f} points. "
        )


def signal(table: ResponseTable) -> tuple[float, float]:
    """Out-of-fold R2 over task accuracy: of the members' mean score, and of what departs from it.

    0 is what the task alone foretells; below 0 the text misleads.
    """
    from sklearn.linear_model import RidgeCV

    left, total = np.zeros(2), np.zeros(2)
    for fold in partition(table, EvalProtocol()).folds:
        train, test = table.take(fold.train), table.take(fold.test)
        known = task_accuracy(train)
        gaps = [side.member_score - known[side.task] for side in (train, test)]
        common = [gap.mean(axis=1, keepdims=True) for gap in gaps]
        own = [gap - mean for gap, mean in zip(gaps, common, strict=True)]
        for i, (wanted, truth) in enumerate((common, own)):
            model = RidgeCV(alphas=PENALTIES).fit(train.features, wanted)
            guess = model.predict(test.features).reshape(truth.shape)
            left[i] += ((truth - guess) ** 2).sum()
            total[i] += (truth**2).sum()
    common_share, own_share = 1 - left / total
    return float(common_share), float(own_share)


def signal_line(found: dict[str, ResponseTable]) -> str:
    """One pool as a row of Markdown; shares in percent."""
    shares = {name: signal(found[name]) for name in (HASHING, SENTENCE)}
    cells = [f"{100 * shares[name][i]:+.1f}" for i in (0, 1) for name in (HASHING, SENTENCE)]
    table = found[SENTENCE]
    return f"| {table.name} | {table.n_queries} | {' | '.join(cells)} |"


SIGNAL_HEADER = (
    "| pool | queries | in common: hashing R2 % | sentence R2 % | apart: hashing R2 % "
    "| sentence R2 % |\n|:--|--:|--:|--:|--:|--:|"
)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of recorded data sets")
    parser.add_argument("--pool", nargs="+", help="named pools; all but 'all' where there are some")
    parser.add_argument("--strategies", nargs="+", default=list(DEFAULT), metavar="NAME")
    parser.add_argument("--calls", type=float, nargs="+", default=[2.0, 3.0])
    parser.add_argument("--most", type=int, default=2000, help="queries of a data set")
    parser.add_argument("--seed", type=int, default=0, help="draws them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "rlfocal-embeddings"
    )
    parser.add_argument("--signal", action="store_true", help="what the texts foretell instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    given = parser.parse_args()
    executor: Executor = SerialExecutor() if given.jobs == 1 else ProcessExecutor(given.jobs)
    strategies = resolve(given.strategies)
    rows: list[Row] = []
    if given.signal:
        print(SIGNAL_HEADER)
    for folder in given.data:
        dataset = read_dataset(folder)
        named = [pool for pool in dataset.info.pools if pool != "all"] or ["all"]
        for pool in [p for p in given.pool if p in dataset.info.pools] if given.pool else named:
            found = tables(dataset, pool, given)
            if given.signal:
                print(signal_line(found), flush=True)
                continue
            results = {}
            for name, table in found.items():
                start = time.perf_counter()
                results[name] = run_bench(table, strategies, EvalProtocol(), executor=executor)
                seconds = time.perf_counter() - start
                print(f"{folder.name} {pool}, {name}: {seconds:.0f} s", file=sys.stderr)
            rows += compare(results, strategies, given.calls)
            if given.json is not None:
                text = json.dumps([asdict(row) for row in rows], indent=1)
                given.json.write_text(text, encoding="utf-8")
    if rows:
        print("\n".join(lines_of(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
