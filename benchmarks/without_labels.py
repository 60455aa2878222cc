"""What a pool without labels is worth, and what each judged answer adds: `rlfocal serve pool.toml`.

    .venv/bin/python benchmarks/without_labels.py ../shared/data/gsm8k --pool mid8
    ... --train rl-focal --judged 100 200 500 1000   # and what training on the judged answers gives

Queries come one after another, as at a gateway. The shipped prior decides, its members equal at
first and in random order; what it answered is judged, which says what each member that it *asked*
was worth, and of the others nothing. The last `--remember` judged answers are its memory. After n
of them it stands as it is before test queries with other prompts: accuracy, and calls a query.

Beside it stand what nobody needs a label for (a plain vote of all, a member drawn at random) and
what needs all of them (the best member, with hindsight). `--train` fits a strategy on the judged
answers as `rlfocal export --gateway` writes them, what was not asked missing, and reads off its
frontier the accuracy at as many calls as the prior makes, in points minus the prior's.

`--unequal` prices members from 1 to 16, in random order, as a pool file may.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from few_labels import BareVote, shuffled

from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Memory
from rlfocal.features import HashingEncoder
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.records import BoolArray, Dataset, ResponseTable, build_table, calibrate
from rlfocal.records.folders import read_dataset

BLOCK = 10
"""Judged answers come in so many at a time, after the first of them."""


class Point(NamedTuple):
    """A strategy on the test queries."""

    accuracy: float
    calls: float


class Stream:
    """One draw: a pool's members in random order, queries to be judged, and test queries.

    Args:
        table: of the pool.
        n_judged: queries that are judged, at most.
        n_tests: test queries, at most.
        unequal: whether members cost from 1 to 16 rather than alike.
        rng: draws all of it.
    """

    def __init__(
        self, table: ResponseTable, n_judged: int, n_tests: int, *, unequal: bool,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        table, order = shuffled(table, rng), rng.permutation(table.n_queries)
        self.price = np.ones(table.n_members, dtype=np.float32)
        if unequal:
            spread = np.geomspace(1, 16, table.n_members)
            self.price = rng.permutation(spread / spread.mean()).astype(np.float32)
        come, rest = order[:n_judged], order[n_judged:]
        rest = rest[~np.isin(table.group[rest], table.group[come])][:n_tests]
        self.come, self.test = table.take(come), table.take(np.sort(rest))
        self.asked: BoolArray = np.zeros(self.come.answer.shape, dtype=bool)
        """bool[Q, N]: whom the prior asked."""

    def start(self) -> RlFocalPrior:
        """The prior before anything was judged."""
        nothing = self.come.take(np.zeros(0, dtype=np.int64))
        found = RlFocalPrior().fit(nothing, rng=np.random.default_rng(0))
        return found.priced(self.price)

    def follow(self, start: Base, marks: Sequence[int], remember: int) -> dict[int, Base]:
        """Number of judged answers → the prior as it stands after them."""
        found, n, now = {0: start}, 0, start
        while n < max(marks):
            end = min(n + (1 if n < BLOCK else BLOCK), *[m for m in marks if m > n])
            self.asked[n:end] = replay(now, self.come.take(np.arange(n, end))).asked
            n = end
            now = start.follow(self.memory(n, remember))
            if n in marks:
                found[n] = now
        return found

    def memory(self, n: int, remember: int) -> Memory:
        """What feedback says of the last of n judged answers."""
        rows = np.arange(max(0, n - remember), n)
        known, asked = Memory.of(self.come.take(rows), len(rows)), self.asked[rows]
        return replace(
            known,
            answer=np.where(asked, known.answer, np.int16(-1)),
            member_score=np.where(asked, known.member_score, np.float32(np.nan)),
        )

    def judged(self, dataset: Dataset, n: int) -> ResponseTable:
        """The first n judged queries with the responses of those that were asked alone."""
        place = {query: row for row, query in enumerate(self.come.query_ids[:n].tolist())}
        column = {name: m for m, name in enumerate(self.come.members)}
        kept = [
            row is not None and member in column and bool(self.asked[row, column[member]])
            for row, member in zip(
                map(place.get, dataset.responses["query_id"].to_pylist()),
                dataset.responses["member"].to_pylist(),
                strict=True,
            )
        ]
        queries = pa.array([q in place for q in dataset.queries["query_id"].to_pylist()])
        part = Dataset(
            dataset.name, dataset.queries.filter(queries),
            dataset.responses.filter(pa.array(kept)), dataset.info,
        )  # fmt: skip
        table = build_table(part, members=self.come.members, encode=HashingEncoder())
        return table.with_tasks(self.come.tasks).priced_in("call")


def point(strategy: Base, test: ResponseTable) -> Point:
    """Accuracy, and calls a query."""
    outcome = replay(strategy, test)
    return Point(float(outcome.score.mean()), float(outcome.n_calls.mean()))


def at_calls(strategy: Base, test: ResponseTable, calls: float) -> float:
    """Accuracy at so many calls, mixing the two nearest dials."""
    settings = [strategy.with_dial(dial) for dial in strategy.dials] or [strategy]
    found = sorted(point(setting, test)[::-1] for setting in settings)
    x, y = np.array(found).T
    return float(np.interp(calls, x, y))


def trained(name: str, stream: Stream, dataset: Dataset, n: int, calls: float, seed: int) -> float:
    """Accuracy of a strategy trained on n judged answers, at as many calls."""
    table = stream.judged(dataset, n)
    calibration, table = calibrate(table)
    strategy = create_strategy(Spec(name, {})).fit(table, rng=np.random.default_rng(seed))
    return at_calls(strategy, calibration.apply(stream.test), calls)


def measured(
    stream: Stream, dataset: Dataset, marks: Sequence[int], args: argparse.Namespace, seed: int
) -> Iterator[tuple[str, Point]]:
    """Every figure of a draw, with its name."""
    test, start = stream.test, stream.start()
    single = test.member_accuracy
    yield "random member", Point(float(single.mean()), 1)
    yield "best member, with hindsight", Point(float(single.max()), 1)
    yield "plurality of all", point(BareVote().fit(test, rng=np.random.default_rng(0)), test)
    for n, now in stream.follow(start, marks, args.remember).items():
        here = point(now, test)
        yield f"prior, {n} judged", here
        if n and args.train:
            at = trained(args.train, stream, dataset, n, here.calls, seed)
            yield f"{args.train}, {n} judged", Point(at, here.calls)
            yield f"... minus the prior, {n} judged", Point(at - here.accuracy, 0)


def show(title: str, found: Mapping[str, Sequence[Point]]) -> None:
    """Print means over draws with their standard errors."""
    print(f"\n{title}")
    print(f"{'':<28}" + "".join(f"{name:>18}" for name in ("accuracy, %", "calls")))
    for name, points in found.items():
        values = np.array(points) * (100, 1)
        error = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else values * 0
        cells = [f"{m:>11.2f} ({e:.2f})" for m, e in zip(values.mean(axis=0), error, strict=True)]
        print(f"{name:<28}" + "".join(f"{cell:>18}" for cell in cells))
    sys.stdout.flush()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of recorded data sets")
    parser.add_argument("--pool", help="a named pool; all members where absent")
    parser.add_argument("--judged", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--remember", type=int, default=GatewaySettings().remember)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--most-tests", type=int, default=1500, help="test queries per draw")
    parser.add_argument("--train", help="also train this strategy on what was judged")
    parser.add_argument("--unequal", action="store_true", help="members cost from 1 to 16")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    marks = sorted(set(args.judged))
    for folder in args.data:
        dataset = read_dataset(folder)
        members = None if args.pool is None else dataset.info.pools[args.pool]
        table = build_table(dataset, members=members, encode=HashingEncoder())
        if marks[-1] >= table.n_queries:
            parser.error(f"--judged {marks[-1]}: {folder} has {table.n_queries} queries")
        found: dict[str, list[Point]] = {}
        for draw in range(args.draws):
            rng = np.random.default_rng([args.seed, draw])
            stream = Stream(table, marks[-1], args.most_tests, unequal=args.unequal, rng=rng)
            for name, value in measured(stream, dataset, marks, args, draw):
                found.setdefault(name, []).append(value)
        show(f"{folder.name} {args.pool or 'all'}, {args.draws} draws", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
