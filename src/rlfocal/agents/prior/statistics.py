"""Statistics of a pool: counts of labelled answers, and shrunk rates of its members from them.

Counts add up, so that fitted queries and a window of recent ones combine; every rate is shrunk
towards its expectation without labels, so that a pool without labels has statistics too. Nothing
here depends on the order of members, candidates or tasks.

Axes: Q queries, N members, T tasks, F features per member, K features per pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.numbers import log_odds, shrunk, sigmoid
from rlfocal.records import BoolArray, FloatArray, IntArray

__all__ = ["N_MEMBER_STATISTICS", "N_PAIR_STATISTICS", "PAIR_COUNTS", "Counts", "Statistics"]

Floats = NDArray[np.float64]

N_MEMBER_STATISTICS = 16
N_PAIR_STATISTICS = 7
PAIR_COUNTS = (
    "both", "agree", "agree_right", "both_wrong", "both_right", "both_known", "right_beside",
)  # fmt: skip
"""The `Counts` of pairs of members."""

_SPREAD, _SPREAD_WORTH = 0.1, 2.0
"""Prior spread of members' accuracies in a pool, and its weight in members."""
_LEAST, _MOST = 2.0, 400.0
"""Bounds of the weight, in queries, of the pool's mean accuracy in a member's."""
_TASK_LEVEL = 5.0
"""Weight, in queries, of the pool's mean accuracy in a task's."""
_TASK = 20.0
"""Weight, in queries, of a member's accuracy in its accuracy on a task."""
_PAIR = 5.0
"""Weight, in queries, of independence in a pair's rates."""
_LEAST_FAILURE = 0.05
"""Share of failures below which a column of `_failing_together` would be mostly luck."""
_LEVEL, _LEVEL_WORTH = 0.6, 2.0
"""Prior mean accuracy of a pool, and its weight in queries."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Sums over labelled queries."""

    known: Floats
    """float64[T + 1, N]: queries of a task with a score of the member; the last row all tasks."""
    right: Floats
    """float64[T + 1, N]: sum of those scores."""
    answered: Floats
    """float64[N]: usable answers among them."""
    both: Floats
    """float64[N, N]: queries that both answered."""
    agree: Floats
    """float64[N, N]: with the same answer."""
    agree_right: Floats
    """float64[N, N]: sum of that answer's scores."""
    both_wrong: Floats
    """float64[N, N]: queries that both answered wrongly."""
    both_right: Floats
    """float64[N, N]: sum of the product of both scores."""
    both_known: Floats
    """float64[N, N]: queries with a score of both; fewer than of either where records are missing.
    """
    right_beside: Floats
    """float64[N, N]: sum of the row's scores on these queries."""

    @classmethod
    def none(cls, n_tasks: int, n_members: int) -> Self:
        """No labelled queries."""
        by_task, pairs = np.zeros((n_tasks + 1, n_members)), np.zeros((n_members, n_members))
        return cls(by_task, by_task, np.zeros(n_members), *(pairs,) * 7)

    @classmethod
    def of(
        cls,
        answer: NDArray[np.int16],
        score: FloatArray,
        task: IntArray,
        n_tasks: int,
        *,
        comparable: BoolArray | None = None,
    ) -> Self:
        """Count.

        Args:
            answer: int16[Q, N], comparable within a row; -1 = none.
            score: float32[Q, N] in [0, 1]; NaN where the member was not asked.
            task: int64[Q]; numbers outside 0..T-1 count under no task.
            n_tasks: T.
            comparable: bool[Q], whether answers can be compared at all; None for everywhere.
        """
        n_members = answer.shape[1]
        made = cls.none(n_tasks, n_members)
        asked = ~np.isnan(score)
        worth = np.where(asked, score, 0.0).astype(np.float64)
        known, right = made.known.copy(), made.right.copy()
        in_range = (task >= 0) & (task < n_tasks)
        np.add.at(known, task[in_range], asked[in_range].astype(np.float64))
        np.add.at(right, task[in_range], worth[in_range])
        known[-1], right[-1] = asked.sum(axis=0), worth.sum(axis=0)
        usable = given = asked & (answer >= 0)
        if comparable is not None:
            given = usable & comparable[:, None]
        flag = given.astype(np.float32)
        bad = flag * (1 - worth.astype(np.float32))
        agree, agree_right = np.zeros((2, n_members, n_members))
        for n in range(n_members):
            same = ((answer == answer[:, n : n + 1]) & given & given[:, n : n + 1]).astype(
                np.float32
            )
            agree[n] = same.sum(axis=0)
            agree_right[n] = worth[:, n].astype(np.float32) @ same
        both = (flag.T @ flag).astype(np.float64)
        wrong = (bad.T @ bad).astype(np.float64)
        answered = usable.sum(axis=0).astype(np.float64)
        scored = asked.astype(np.float64)
        return cls(
            known, right, answered, both, agree, agree_right, wrong, worth.T @ worth,
            scored.T @ scored, worth.T @ scored,
        )  # fmt: skip

    def plus(self, other: Counts) -> Counts:
        """The sum of these counts and others of the same pool."""
        mine, theirs = self.__dict__, other.__dict__
        return Counts(**{name: value + theirs[name] for name, value in mine.items()})

    def times(self, weight: float, *, of_pairs: float | None = None) -> Counts:
        """These counts as if there were so many times as many queries, with the same rates.

        Args:
            weight: how many times.
            of_pairs: the same for what is counted of pairs; None for as many.
        """
        pairs = weight if of_pairs is None else of_pairs
        every = self.__dict__.items()
        return Counts(**{k: (pairs if k in PAIR_COUNTS else weight) * a for k, a in every})

    def kept(self, share: Floats) -> Counts:
        """These counts with float64[N], a share of each member's queries; of a pair, the less."""
        of_pair = np.minimum(share[:, None], share[None, :])
        every = self.__dict__.items()
        return Counts(**{k: a * (of_pair if k in PAIR_COUNTS else share) for k, a in every})

    @property
    def n_labels(self) -> float:
        """Labelled queries of the member with the most."""
        return float(self.known[-1].max(initial=0.0))


def _logit(chance: Floats) -> Floats:
    return log_odds(chance, least=0.005)


class Statistics(NamedTuple):
    """The nets' input on a pool."""

    member: FloatArray
    """float32[N, F]."""
    pair: FloatArray
    """float32[N, N, K]; symmetric up to what an answer both gave was worth."""
    log_odds: FloatArray
    """float32[T + 1, N]: of the members' accuracy on each task; the last row any other task."""
    relative_cost: FloatArray
    """float32[N]: mean price of a call, in units of the pool's mean."""
    n_labels: float

    @classmethod
    def of(cls, counts: Counts, relative_cost: FloatArray) -> Self:
        """Shrink counts into statistics.

        Args:
            counts: of labelled queries, none at all included.
            relative_cost: float32[N], positive, mean 1.
        """
        known = counts.known[-1]
        n_members = len(known)
        level = _level(counts.known[-1:], counts.right[-1:], _LEVEL, _LEVEL_WORTH)[0]
        worth = _worth_of_level(counts, level)
        accuracy = (counts.right[-1] + worth * level) / (known + worth)
        log_odds = _by_task(counts, accuracy, level)
        answered = (counts.answered + 0.98 * _PAIR) / (known + _PAIR)
        pair = _pairs(counts, accuracy)
        off = ~np.eye(n_members, dtype=bool)
        count = max(1, n_members - 1)
        mean = (pair * off[:, :, None]).sum(axis=1) / count
        most = np.where(off[:, :, None], pair, -9.0).max(axis=1)
        n_labels = counts.n_labels
        member = np.column_stack(
            [
                _logit(accuracy) / 2,
                _logit(accuracy) - _logit(np.array(level)),
                _logit(accuracy) - _logit(accuracy).max(),
                4 * np.sqrt(accuracy * (1 - accuracy) / (known + worth)),
                4 * (1 - answered),
                np.log(relative_cost),
                np.full(n_members, np.log1p(n_labels) / 4),
                np.full(n_members, _logit(np.array(level)) / 2),
                np.full(n_members, np.log(n_members) / 3),
                mean[:, 0], mean[:, 1], mean[:, 3], mean[:, 4], most[:, 0], most[:, 3],
                np.full(n_members, np.log(worth) / 4),
            ]
        )  # fmt: skip
        return cls(
            member.astype(np.float32), pair.astype(np.float32), log_odds.astype(np.float32),
            relative_cost.astype(np.float32), n_labels,
        )  # fmt: skip


def _level(known: Floats, right: Floats, centre: float, worth: float) -> Floats:
    """float64[R]: mean accuracy of the pool in each row of float64[R, N], shrunk towards `centre`.

    A query answered by all members is hardly more evidence than one answered by one.
    """
    width = max(1.0, known.shape[1] / 3)
    total, count = right.sum(axis=1) / width, known.sum(axis=1) / width
    return np.asarray(shrunk(total, count, towards=centre, worth=worth))


def _worth_of_level(counts: Counts, level: float) -> float:
    """Weight, in queries, of the pool's level in a member's accuracy (empirical Bayes).

    The spread of observed accuracies comes from true differences and from sampling; the latter
    part is smaller the more members are right on the same queries.
    """
    known, n_members = counts.known[-1], len(counts.known[-1])
    luck_one = max(level * (1 - level), 0.02)
    spread, shared = 0.0, 0.3
    n_labels = known.mean()
    if n_labels > 1:
        observed = counts.right[-1] / np.maximum(known, 1)
        off = ~np.eye(n_members, dtype=bool)
        covariance = _covariance(counts)[off].mean()
        shared = float((covariance * n_labels + 0.3 * luck_one * 20) / luck_one / (n_labels + 20))
        luck = luck_one * (1 - np.clip(shared, 0, 0.95)) / n_labels
        spread = float(observed.var(ddof=1) - luck)
    freedom = n_members - 1 if n_labels > 1 else 0
    variance = (freedom * spread + _SPREAD_WORTH * _SPREAD**2) / (freedom + _SPREAD_WORTH)
    worth = luck_one * (1 - np.clip(shared, 0, 0.95)) / max(variance, 1e-6)
    return float(np.clip(worth, _LEAST, _MOST))


def _by_task(counts: Counts, accuracy: Floats, level: float) -> Floats:
    """float64[T + 1, N]: log-odds of accuracies by task; the last row is of any other task.

    A task is assumed as hard for a member as for the pool, until the member's answers differ.
    """
    tasks = _level(counts.known[:-1], counts.right[:-1], level, _TASK_LEVEL)
    harder = (_logit(tasks) - _logit(np.array(level)))[:, None]
    expected = sigmoid(_logit(accuracy) + harder)
    by_task = shrunk(counts.right[:-1], counts.known[:-1], towards=expected, worth=_TASK)
    return _logit(np.vstack([by_task, accuracy]))


def _pairs(counts: Counts, accuracy: Floats) -> Floats:
    """float64[N, N, K]: pair statistics relative to independent members.

    The fifth is what focal diversity is made of: see `_failing_together`.
    """
    off = ~np.eye(len(accuracy), dtype=bool)
    same_wrong = np.maximum(counts.agree - counts.agree_right, 0)
    rate = ((same_wrong * off).sum() / 4 + 0.3 * 20) / ((counts.both_wrong * off).sum() / 4 + 20)
    hit = accuracy[:, None] * accuracy[None, :]
    miss = (1 - accuracy[:, None]) * (1 - accuracy[None, :]) * rate
    agree = (counts.agree + _PAIR * (hit + miss)) / (counts.both + _PAIR)
    right = (counts.agree_right + _PAIR * hit / (hit + miss)) / (counts.agree + _PAIR)
    same_error = (same_wrong + _PAIR * rate) / (counts.both_wrong + _PAIR)
    better = _logit(np.maximum(accuracy[:, None], accuracy[None, :]))
    return np.stack(
        [
            2 * agree - 1, _logit(right) / 2, (_logit(right) - better) / 2, 2 * same_error - 1,
            4 * _failing_together(counts), 2 * (agree - hit - miss), np.log1p(counts.both) / 4,
        ], axis=2,
    )  # fmt: skip


def _failing_together(counts: Counts) -> Floats:
    """float64[N, N]: how much more often the row fails where the column fails than elsewhere.

    Focal diversity is high where it is low: members of an ensemble then fail independently.
    """
    both = counts.both_known
    covariance = _covariance(counts) * both / (both + _PAIR)
    failures = 1 - counts.right_beside.T / np.maximum(both, 1)
    return np.asarray(covariance / np.maximum(failures, _LEAST_FAILURE))


def _covariance(counts: Counts) -> Floats:
    """float64[N, N]: of two members' scores, on the queries with a score of both.

    Means over other queries would not do: who is asked late is asked on hard ones.
    """
    both = np.maximum(counts.both_known, 1)
    mean = counts.right_beside / both
    return np.asarray(counts.both_right / both - mean * mean.T)
