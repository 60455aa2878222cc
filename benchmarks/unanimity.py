"""How right members are when so many of them agree: of a pool, and of its most accurate ones.

    .venv/bin/python benchmarks/unanimity.py DATA [--pool NAME] [--best 5] [--tasks]

Members are ranked by their accuracy on half of the queries (every other one, as they stand), and
judged on the other half, and the other way round. For each k: in how many queries at least k give
one and the same answer, and how often that answer is right; then the same for the best `--best`
being unanimous. Two more rows ask members in that order until two, or three, agree (else all vote).
Brackets are 95 % intervals over queries. With --tasks the best are told task by task, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.statistics import bootstrap_means
from rlfocal.records import ResponseTable, build_table
from rlfocal.records.built_in import read_data


class Judged(NamedTuple):
    """One way of settling on an answer, over all queries."""

    name: str
    right: NDArray[np.float64]
    """float64[Q]: worth of the answer; NaN where there was none to settle on."""
    calls: NDArray[np.float64]


def worth(table: ResponseTable, q: int, answer: int) -> float:
    """What a candidate of a query is worth."""
    return float(table.candidate_score[q, answer]) if answer >= 0 else 0.0


def counted(answers: NDArray[np.int16]) -> tuple[int, int]:
    """The most frequent answer, the first given of equals, and how many gave it; -1 for none."""
    given = answers[answers >= 0]
    if not len(given):
        return -1, 0
    values, first, n = np.unique(given, return_index=True, return_counts=True)
    best = max(range(len(values)), key=lambda k: (n[k], -first[k]))
    return int(values[best]), int(n[best])


def orders(table: ResponseTable) -> NDArray[np.int64]:
    """int64[2, N]: members by accuracy on the half that is not judged."""
    half = np.arange(table.n_queries) % 2
    accuracy = [table.member_score[half != side].mean(axis=0) for side in (0, 1)]
    return np.stack([np.argsort(-one, kind="stable") for one in accuracy])


def ways(table: ResponseTable, n_best: int) -> Iterator[Judged]:
    """All ways, one after another."""
    order = orders(table)
    n_queries, n_members = table.answer.shape
    ordered = np.stack([table.answer[q, order[q % 2]] for q in range(n_queries)])
    top = [counted(row) for row in ordered]
    for k in range(2, n_members + 1):
        right = [worth(table, q, a) if n >= k else np.nan for q, (a, n) in enumerate(top)]
        yield Judged(f"{k} of {n_members} agree", np.array(right), np.full(n_queries, n_members))
    best = [counted(row[:n_best]) for row in ordered]
    right = [worth(table, q, a) if n == n_best else np.nan for q, (a, n) in enumerate(best)]
    yield Judged(f"the best {n_best} are unanimous", np.array(right), np.full(n_queries, n_best))
    for wanted in (2, 3):
        score, calls = np.zeros(n_queries), np.zeros(n_queries)
        for q, row in enumerate(ordered):
            for k in range(1, n_members + 1):
                answer, n = counted(row[:k])
                if n >= wanted:
                    break
            score[q], calls[q] = worth(table, q, answer), k
        yield Judged(f"asked in turn until {wanted} agree", score, calls)


def line(one: Judged, own: NDArray[np.bool_]) -> str:
    """A row of the table."""
    right, calls = one.right[own], one.calls[own]
    is_settled = np.isfinite(right)
    share = 100 * is_settled.mean()
    if not is_settled.any():
        return f"| {one.name} | {share:.1f} | | {calls.mean():.2f} |"
    found = 100 * right[is_settled][:, None]
    mean = bootstrap_means(found, np.arange(len(found))).mean(0)
    told = f"{mean.value:.1f} [{mean.low:.1f}, {mean.high:.1f}]"
    return f"| {one.name} | {share:.1f} | {told} | {calls.mean():.2f} |"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--pool")
    parser.add_argument("--best", type=int, default=5)
    parser.add_argument("--tasks", action="store_true")
    options = parser.parse_args()
    data = read_data(options.data)
    table = build_table(data, members=data.select_members(options.pool))
    n_best = min(options.best, len(table.members))
    print(f"{data.name}, {options.pool or 'all'}: {table.n_queries} queries\n")
    print("| settled where | queries % | right % [95 %] | calls |\n|---|--:|--:|--:|")
    found, everything = list(ways(table, n_best)), np.ones(table.n_queries, dtype=bool)
    for one in found:
        print(line(one, everything))
    if options.tasks:
        (unanimous,) = [one for one in found if one.name.endswith("unanimous")]
        for number, task in enumerate(table.tasks):
            print(line(unanimous._replace(name=f"{unanimous.name}: {task}"), table.task == number))


if __name__ == "__main__":
    main()
