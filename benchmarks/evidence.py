"""What a score learned from replies is worth: how well it ranks, and what votes gain by it.

    .venv/bin/python benchmarks/evidence.py ../shared/data/gsm8k --pool mid8 --labels 100 500

Fits `ReplyScore` in grouped folds and prints, of held-out queries:

- AUC of the members' accuracies alone, of the score, and of a pair of a right and a wrong reply to
  the same question (ties count one half): the first mixes who is good with which query is hard,
  which is what stopping can use, the second is what a choice among answers can use;
- calibration: slope of right against the log-odds, 1 where they are honest;
- accuracy of everybody's vote and of a cascade that asks in order of accuracy until a posterior
  with "none of these" is sure, with the score and without, at some numbers of calls. Differences
  are in points, with 95 % intervals over queries.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.folds import grouped_folds
from rlfocal.extras import need
from rlfocal.numbers import Z_95, sigmoid
from rlfocal.records import ResponseTable, build_table
from rlfocal.records.built_in import read_data
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.evidence import OutOfFold, ReplyScore
from rlfocal.strategies.voting import (
    chance_log_odds,
    fit_vote_scale,
    rank_members,
    tally,
    vote_accuracy,
)

Float64Array = NDArray[np.float64]

CALLS = (1.2, 1.5, 2.0, 3.0, 4.0)
THRESHOLDS = sigmoid(np.linspace(-3, 7, 81))


class Posterior(NamedTuple):
    """Logits of candidates: scale · sum over backers of (log-odds + offset + shift), and none's."""

    scale: float
    offset: float
    none: float

    def chance(self, weight: Float64Array, answer: NDArray[np.int16], slots: int) -> Float64Array:
        """float64[Q, C]: of candidates that were given; the rest to 1 is none's."""
        logit = self.scale * tally(answer, weight + self.offset, slots)
        given = tally(answer, np.ones(answer.shape[1]), slots) > 0
        power = np.where(given, np.exp(np.clip(logit, -30, 30)), 0)
        return np.asarray(power / (power.sum(axis=1, keepdims=True) + np.exp(self.none)))


def fit_posterior(table: ResponseTable, shift: Float64Array, rng: np.random.Generator) -> Posterior:
    """By likelihood of what random first members of the order have answered."""
    weight = chance_log_odds(vote_accuracy(table)) + shift
    size = rng.integers(1, table.n_members + 1, size=(table.n_queries, 1))
    place = np.argsort(rank_members(table))
    answer = np.where(place < size, table.answer, np.int16(-1))
    given = tally(answer, np.ones(table.n_members), table.n_candidates) > 0
    right = np.where(given, table.candidate_score, 0)

    def loss(found: Float64Array) -> float:
        chance = Posterior(*found).chance(weight, answer, table.n_candidates)
        hit = (chance * right).sum(axis=1) + (1 - right.sum(axis=1)) * (1 - chance.sum(axis=1))
        return float(-np.log(np.maximum(hit, 1e-9)).sum() + 2 * (found[0] - 0.7) ** 2)

    start = np.array([0.7, 0.5, 0.0])
    options = {"maxiter": 150, "xatol": 1e-2, "fatol": 1e-2}
    optimize = need("scipy.optimize", "this benchmark")
    found = optimize.minimize(loss, start, method="Nelder-Mead", options=options).x
    return Posterior(*found)


class Walk(NamedTuple):
    """Of held-out queries, with the score or without."""

    everybody: Float64Array
    """float64[Q]: worth of the weighted vote of all."""
    at: Float64Array
    """float64[calls, Q]: worth of the cascade's answer at each number of calls."""


def everybody(table: ResponseTable, train: ResponseTable, shift: Float64Array) -> Float64Array:
    """float64[Q]: worth of the vote of all, by log-odds weights and shifts."""
    chance = vote_accuracy(train)
    by = fit_vote_scale(train, np.broadcast_to(chance, train.answer.shape))
    votes = tally(table.answer, by.weights(chance) + by.scale * shift, table.n_candidates)
    given = tally(table.answer, np.ones(table.n_members), table.n_candidates) > 0
    chosen = np.where(given, votes, -np.inf).argmax(axis=1)
    return table.score_of(np.where(given.any(axis=1), chosen, -1)).astype(np.float64)


def walk(
    table: ResponseTable, order: NDArray[np.int64], weight: Float64Array, by: Posterior
) -> Float64Array:
    """float64[calls, Q]: ask in order, stop at a threshold, mix two to the number of calls."""
    n_queries, n_members = table.answer.shape
    calls = np.full((len(THRESHOLDS), n_queries), n_members)
    worth, sure = np.zeros((2, n_members, n_queries))
    asked = np.zeros(n_members, dtype=bool)
    for step, member in enumerate(order):
        asked[member] = True
        answer = np.where(asked, table.answer, np.int16(-1))
        chance = by.chance(weight, answer, table.n_candidates)
        worth[step] = table.score_of(np.where(chance.any(axis=1), chance.argmax(axis=1), -1))
        sure[step] = chance.max(axis=1)
    for step in reversed(range(n_members)):
        calls[sure[step] >= THRESHOLDS[:, None]] = np.broadcast_to(step + 1, calls.shape)[
            sure[step] >= THRESHOLDS[:, None]
        ]
    score = np.take_along_axis(worth, calls - 1, axis=0)
    mean = calls.mean(axis=1)
    at = np.empty((len(CALLS), n_queries))
    for i, wanted in enumerate(CALLS):
        low = int(np.searchsorted(mean, wanted, side="right")) - 1
        low = max(low, 0)
        high = min(low + 1, len(mean) - 1)
        gap = mean[high] - mean[low]
        share = float(np.clip((wanted - mean[low]) / gap, 0, 1)) if gap > 0 else 0.0
        at[i] = (1 - share) * score[low] + share * score[high]
    return at


class Held(NamedTuple):
    """What is known of held-out queries, rows joined over folds."""

    right: Float64Array
    known: NDArray[np.bool_]
    base: Float64Array
    log_odds: Float64Array
    plain: Walk
    helped: Walk
    factor: float
    fit_s: float


def measure(table: ResponseTable, train: ResponseTable, seed: int) -> Held:
    """Fit on labelled queries, and look at others."""
    rng = np.random.default_rng(seed)
    begin = time.process_time()
    score = ReplyScore.fit(train, rng=rng)
    fit_s = time.process_time() - begin
    own = np.broadcast_to(chance_log_odds(vote_accuracy(train)), table.answer.shape)
    log_odds, shift, inner = own, np.zeros(table.answer.shape), np.zeros(train.answer.shape)
    if score is not None and table.replies is not None:
        found = ReplyScore.out_of_fold(train, inner_folds(train, 3, rng=rng), rng=rng)
        assert isinstance(found, OutOfFold)
        inner = found.shift.astype(np.float64)
        log_odds = np.where(table.replies.present, score.log_odds(table.replies), own)
        shift = score.shift(table.replies).astype(np.float64)
    order = rank_members(train)
    found_walks = []
    for inner_shift, own_shift in ((0 * inner, 0 * shift), (inner, shift)):
        by = fit_posterior(train, inner_shift, np.random.default_rng(seed))
        at = walk(table, order, own + own_shift, by)
        found_walks.append(Walk(everybody(table, train, own_shift), at))
    plain, helped = found_walks
    factor = 0.0 if score is None else score.factor
    return Held(
        table.member_score.astype(np.float64), table.answered & table.scored, own, log_odds,
        plain, helped, factor, fit_s,
    )  # fmt: skip


def joined(parts: list[Held]) -> Held:
    """Of all folds and draws."""

    def walks(found: list[Walk]) -> Walk:
        return Walk(
            np.concatenate([one.everybody for one in found]),
            np.concatenate([one.at for one in found], axis=1),
        )

    return Held(
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.known for part in parts]),
        np.concatenate([part.base for part in parts]),
        np.concatenate([part.log_odds for part in parts]),
        walks([part.plain for part in parts]),
        walks([part.helped for part in parts]),
        float(np.mean([part.factor for part in parts])),
        float(np.mean([part.fit_s for part in parts])),
    )


def auc(right: NDArray[np.bool_], score: Float64Array) -> float:
    """Chance that a right one scores higher than a wrong one; ties count one half."""
    rank = need("scipy.stats", "this benchmark").rankdata(score)
    n_right = int(right.sum())
    n_wrong = len(right) - n_right
    if not n_right or not n_wrong:
        return float("nan")
    return float((rank[right].sum() - n_right * (n_right + 1) / 2) / (n_right * n_wrong))


def within(right: NDArray[np.bool_], known: NDArray[np.bool_], score: Float64Array) -> float:
    """AUC over pairs of replies to the same question."""
    pair = (right & known)[:, :, None] & (~right & known)[:, None, :]
    gap = score[:, :, None] - score[:, None, :]
    return float(((gap > 0) + 0.5 * (gap == 0))[pair].mean()) if pair.any() else float("nan")


def slope(right: Float64Array, log_odds: Float64Array) -> float:
    """Of a logistic regression of right on the log-odds, by Newton's method."""
    inputs, found = np.stack([np.ones_like(log_odds), log_odds], axis=1), np.array([0.0, 1.0])
    for _ in range(20):
        chance = sigmoid(inputs @ found)
        curvature = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 1e-6 * np.eye(2)
        found = found + np.linalg.solve(curvature, inputs.T @ (right - chance))
    return float(found[1])


def points(helped: Float64Array, plain: Float64Array) -> str:
    """A difference with its interval."""
    gap = 100 * (helped - plain)
    half = Z_95 * gap.std() / np.sqrt(len(gap))
    return f"{gap.mean():+.2f} [{gap.mean() - half:+.2f}, {gap.mean() + half:+.2f}]"


def show(title: str, held: Held) -> None:
    """Print one pool's figures."""
    right, known = held.right > 0.5, held.known
    print(f"\n{title}")
    base, score = held.base[known], held.log_odds[known]
    print(f"  AUC {auc(right[known], base):.3f} -> {auc(right[known], score):.3f}", end="")
    print(f", within a query {within(right, known, held.base):.3f} -> ", end="")
    print(f"{within(right, known, held.log_odds):.3f}", end="")
    gap = (score - base) if score.std() > 1e-6 else score
    print(f", calibration {slope(held.right[known], score):.2f}", end="")
    print(f", spread {gap.std():.2f}, factor {held.factor:.2f}, fit {held.fit_s:.1f} s of CPU")
    print(f"  {'calls':>6} {'without':>8} {'with':>8}  difference")
    rows = [*zip(CALLS, held.plain.at, held.helped.at, strict=True)]
    for calls, plain, helped in rows:
        print(f"  {calls:>6g} {plain.mean():>8.4f} {helped.mean():>8.4f}  {points(helped, plain)}")
    plain, helped = held.plain.everybody, held.helped.everybody
    print(f"  {'all':>6} {plain.mean():>8.4f} {helped.mean():>8.4f}  {points(helped, plain)}")
    sys.stdout.flush()


def labelled(table: ResponseTable, n_labels: int, rng: np.random.Generator) -> ResponseTable:
    """So many of its queries at random; all where 0."""
    if not n_labels or n_labels >= table.n_queries:
        return table
    return table.take(np.sort(rng.permutation(table.n_queries)[:n_labels]))


def pool_figures(table: ResponseTable, name: str, args: argparse.Namespace) -> None:
    """Every number of labels, over folds and draws."""
    fold = grouped_folds(table.task, table.group, args.folds, rng=np.random.default_rng(args.seed))
    for n_labels in args.labels:
        parts = []
        for draw in range(1 if n_labels == 0 else args.draws):
            for k in range(args.folds):
                rng = np.random.default_rng([args.seed, n_labels, draw, k])
                train = labelled(table.take(fold != k), n_labels, rng)
                parts.append(measure(table.take(fold == k), train, args.seed + 7 * draw + k))
        count = n_labels or int((fold != 0).sum())
        show(f"{name}, {table.n_members} members, {count} labels", joined(parts))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="*", help="folders of data sets, or built-in ones")
    parser.add_argument("--pool", action="append", help="named pools; all members where absent")
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 500, 0], help="0 for all")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=3, help="of labels, where not all are used")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for data in args.data:
        dataset = read_data(data, with_text=True)
        for pool in args.pool or [None]:
            if pool is not None and pool not in dataset.info.pools:
                continue
            table = build_table(dataset, members=None if pool is None else dataset.info.pools[pool])
            pool_figures(table, f"{dataset.name} {pool or 'all'}", args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
