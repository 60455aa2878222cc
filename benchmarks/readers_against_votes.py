"""Do readers earn their tokens? Mixtures, debates, judges, refining beside votes, in one table.

    .venv/bin/python benchmarks/readers_against_votes.py DATA [--pool NAME]

DATA is a folder of recorded answers some of whose members read others, with the tokens of each
reply (`rlfocal export` writes both), or "localpool". Judged are queries that all were asked. Each
reader is a shape: it and all whom it reads are called, and its answer counts; second turns of
one debate are a shape together, and vote. Beside each shape stand

- the vote of the same members' own replies, of whoever it called that reads nobody, and
- the best vote at its tokens: of all subsets of members that read nobody and take, in the mean, no
  more tokens than it, the one that was most accurate on the training folds.

Tokens are those of prompts and replies together, worked examples included; seconds are as recorded,
one after the other where one waits for another. Then come the best member that reads nobody and,
at the price of an average call, strategies that may ask anybody.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.figures.scores import scores
from rlfocal.bench.statistics import bootstrap_means
from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.diversity.subsets import best_subsets
from rlfocal.features import HashingEncoder
from rlfocal.records import BoolArray, Dataset, FloatArray, ResponseTable, build_table
from rlfocal.records.built_in import read_data
from rlfocal.strategies.reading import voters
from rlfocal.strategies.static import VoteAccuracy, ask_only
from rlfocal.strategies.voting import plurality_share, rank_members

FREE = ("agreement", "stacking", "rl-focal-prior", "rl-focal")
"""Strategies that may ask anybody, readers included."""
PER_TOKEN = 1e-6
"""A token's price; nothing but ratios matters."""


class VoteOf(OneRound):
    """The plain vote of some members; whom they read is called, and does not vote.

    Args:
        called: the name of its row.
        members: their numbers.
    """

    fitted: ClassVar[dict[str, Row]] = {}

    def __init__(self, *, called: str, members: tuple[int, ...]) -> None:
        self.name = self.called = called
        self.members = members

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Rank members, for ties."""
        self.order_ = rank_members(table)
        self.mask_ = self._mask(table)
        return self

    def _mask(self, table: ResponseTable) -> BoolArray:
        return np.isin(np.arange(table.n_members), self.members)

    def first(self, view: View) -> BoolArray:
        """Those members."""
        return ask_only(view, self.mask_)

    def fuse(self, view: View) -> FloatArray:
        """Each candidate's share of the votes."""
        return plurality_share(voters(view, self.mask_), self.order_)


class BestVote(VoteOf):
    """The most accurate vote, on the training queries, of members that take few tokens together.

    Args:
        called: the name of its row.
        members: numbers of those who may vote.
        most: their mean cost of a query together, at most.
    """

    def __init__(self, *, called: str, members: tuple[int, ...], most: float) -> None:
        super().__init__(called=called, members=members)
        self.most = most

    def _mask(self, table: ResponseTable) -> BoolArray:
        cost = table.member_mean(table.cost, dtype=np.float64)
        vote = VoteAccuracy(table, self.order_)
        may = super()._mask(table)

        def accuracy(masks: BoolArray) -> Any:
            fits = (masks @ cost <= self.most * (1 + 1e-9)) & ~(masks & ~may).any(axis=1)
            return np.where(fits, vote(masks), -1.0)

        return best_subsets(accuracy, table.n_members, sizes=(1, len(self.members))).mask


class Shape(NamedTuple):
    """A way in which members read one another."""

    name: str
    members: tuple[int, ...]
    """Whose answers count."""
    alone: tuple[int, ...]
    """Whom it calls that read nobody."""
    tokens: float
    """In the mean, all calls together."""


def tokens_as_cost(dataset: Dataset) -> Dataset:
    """The data set in which every reply costs its tokens; of prompt and reply, of all samples."""
    rows = dataset.responses
    names = ("n_prompt_tokens", "n_completion_tokens")
    if missing := [name for name in names if name not in rows.column_names]:
        raise SystemExit(f"{dataset.name}: has no column '{missing[0]}': tokens are not known")
    total = pc.add(rows[names[0]], rows[names[1]])
    cost = pc.multiply(pc.cast(total, pa.float64()), PER_TOKEN)
    kept = [name for name in rows.column_names if name != "cost_usd"]
    priced = rows.select(kept).append_column("cost_usd", cost)
    return Dataset(dataset.name, dataset.queries, priced, dataset.info)


def table_of(data: str, pool: str | None) -> ResponseTable:
    """Its queries that all members were asked, priced by tokens."""
    dataset = tokens_as_cost(read_data(data))
    members = dataset.select_members(pool)
    table = build_table(dataset, members=members, encode=HashingEncoder()).priced_in("usd")
    if table.reads is None:
        raise SystemExit(f"{data}: nobody reads anybody there")
    whole = table.recorded.all(axis=1)
    return table.take(np.flatnonzero(whole))


def shapes_of(table: ResponseTable) -> list[Shape]:
    """Each reader that answers; second turns of one debate together, too."""
    reads = table.reads
    assert reads is not None
    cost = table.member_mean(table.cost, dtype=np.float64)

    def shape(name: str, members: Sequence[int]) -> Shape:
        called = reads.with_read[list(members)].any(axis=0)
        alone = np.flatnonzero(called & ~reads.is_reader).tolist()
        return Shape(name, tuple(members), tuple(alone), float(cost[called].sum()))

    answers = table.answered.any(axis=0)
    readers = [n for n in np.flatnonzero(reads.is_reader & answers).tolist()]
    found = [shape(f"{table.members[n]} ({reads.forms[n]})", [n]) for n in readers]
    debaters = [n for n in readers if reads.forms[n] == "debate"]
    if len(debaters) > 1:
        found.append(shape(f"vote of {len(debaters)} second turns (debate)", debaters))
    return found


def entrants(table: ResponseTable, shapes: Sequence[Shape]) -> list[VoteOf]:
    """The shapes, and beside each its two votes."""
    reads = table.reads
    assert reads is not None
    alone = tuple(np.flatnonzero(~reads.is_reader).tolist())
    found: dict[str, VoteOf] = {}
    for shape in shapes:
        found[shape.name] = VoteOf(called=shape.name, members=shape.members)
        own, best = own_vote(table, shape), best_vote(shape)
        found[own] = VoteOf(called=own, members=shape.alone)
        found[best] = BestVote(called=best, members=alone, most=shape.tokens)
    return list(found.values())


def own_vote(table: ResponseTable, shape: Shape) -> str:
    """The name of the vote of whom a shape calls that reads nobody."""
    return f"vote of {', '.join(table.members[n] for n in shape.alone)}"


def best_vote(shape: Shape) -> str:
    """The name of the best vote at the tokens of a shape."""
    return f"best vote at {round(shape.tokens / PER_TOKEN):,}"


def line(result: BenchResult, name: str, beside: str | None = None) -> str:
    """A row of the table."""
    row = next(row for row in result.rows if row.strategy == name)
    low, high = (100 * end for end in row.accuracy_ci)
    tokens = "" if row.mean_cost_usd is None else f"{row.mean_cost_usd / PER_TOKEN:,.0f}"
    cells = [name, f"{100 * row.accuracy:.1f} [{low:.1f}, {high:.1f}]", f"{row.mean_calls:.2f}",
             tokens, seconds(result, name, row.mean_calls),
             "" if beside is None else gain(result, name, beside)]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def seconds(result: BenchResult, name: str, mean_calls: float) -> str:
    """The median seconds of a query, at the dial at which so many calls are made."""
    rows = result.per_query.filter(pc.equal(result.per_query["strategy"], name))
    by_dial = rows.group_by("dial").aggregate(
        [("n_calls", "mean"), ("latency_s", "approximate_median")]
    )
    distance = np.abs(by_dial["n_calls_mean"].to_numpy() - mean_calls)
    middle = by_dial["latency_s_approximate_median"][int(distance.argmin())].as_py()
    return "" if middle is None else f"{middle:.1f}"


def gain(result: BenchResult, name: str, beside: str) -> str:
    """Points by which one is better than another, paired by query, with its 95 % interval."""
    found = scores(result.per_query)
    at = [next(i for i, point in enumerate(found.points) if point[0] == n) for n in (name, beside)]
    found = found.take(at)
    difference = bootstrap_means(100 * found.score, found.group).difference(0, 1)
    return f"{difference.value:+.1f} [{difference.low:+.1f}, {difference.high:+.1f}]"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--pool")
    parser.add_argument("--quick", action="store_true", help="two folds, and the prior alone")
    options = parser.parse_args()
    table = table_of(options.data, options.pool)
    shapes = shapes_of(table)
    protocol = EvalProtocol(n_folds=2 if options.quick else 5)
    own = entrants(table, shapes)
    free = ("rl-focal-prior",) if options.quick else FREE
    result = run_bench(table, [*own, *free], protocol)
    print(f"{table.n_queries} queries, {table.n_members} members, {protocol.n_folds} folds\n")
    print("| shape | accuracy % | calls | tokens | seconds | beside the best vote at its tokens |")
    print("|---|--:|--:|--:|--:|--:|")
    beside = {shape.name: best_vote(shape) for shape in shapes}
    names = [*(one.called for one in own), "best-alone", *free, "oracle"]
    accuracy = {row.strategy: row.accuracy for row in result.rows}
    for name in sorted(names, key=lambda name: -accuracy[name]):
        print(line(result, name, beside.get(name)))


if __name__ == "__main__":
    main()
