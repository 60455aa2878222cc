"""The best fixed subset: the members whose plain vote was most accurate on the training queries.

One subset for every query, so it adapts to nothing; what it shows is how much of an ensemble's gain
comes from leaving members out. Candidates for the subset are compared by plurality accuracy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple, Self

import numpy as np

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.dial import MEASURED
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Labelled, View
from rlfocal.diversity.subsets import best_subsets
from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.reading import voters
from rlfocal.strategies.sizes import checked_count
from rlfocal.strategies.voting import ORDER, plurality_share, rank_members

__all__ = ["StaticSubset", "VoteAccuracy", "ask_only", "is_enumerable"]

Objective = Callable[[BoolArray], Float64Array]

_MAX_WORK = 6e8
"""Ensembles times answers of an enumeration: a few seconds on one core."""
_BLOCK_FLOATS = 2**21
"""Vote counts held at once while scoring."""
_MEAN_WORTH = 20.0
"""Pseudo-counts of an ensemble's accuracy where responses are missing."""
_BEAM = 4
"""Subsets of each size that are grown by one member."""


def ask_only(view: View, mask: BoolArray) -> BoolArray:
    """bool[B, N]: ask the members of `mask` (bool[N])."""
    return np.broadcast_to(mask, view.asked.shape)


class VoteAccuracy:
    """Plurality accuracy of a block of ensembles, by one matrix product.

    Votes are counted for the answers that were given, not for all candidates. Ties go to the
    candidate backed by the best member: one vote of the member of rank r weighs 1 + 2^-(r+1), so
    that whatever the better members say outweighs all below (exact to the 46th member).

    An ensemble is judged on the queries where something is known of one of its members at least.

    Args:
        labelled: queries with their answers and what these were worth.
        order: int64[N], members from the best to the worst.
        pseudo_counts: where something is missing, how many queries the members' mean accuracy is
            worth to an ensemble's: else whoever was asked least would soon be the luckiest.
    """

    def __init__(self, labelled: Labelled, order: IntArray, *, pseudo_counts: float = 0.0) -> None:
        answer = labelled.answer
        slot = np.arange(answer.max(initial=0) + 1, dtype=np.int16)
        given = (answer[:, :, None] == slot).any(axis=1)
        query, candidate = np.nonzero(given)
        rank = np.empty(len(order))
        rank[order] = np.arange(len(order))
        weight = 1 + 0.5 ** (rank + 1)
        backs = answer[query] == candidate[:, None]
        # Few members: float32 has bits enough for the ties, at twice the speed.
        precision = np.float32 if len(order) <= 18 else np.float64
        self._votes = np.ascontiguousarray((backs * weight).T, dtype=precision)
        # Whoever gave an answer was scored for it, so any backer's score is the candidate's.
        self._score = (backs * np.nan_to_num(labelled.member_score[query])).max(axis=1, initial=0)
        self._starts = np.flatnonzero(np.diff(query, prepend=-1))
        self._segment = np.repeat(
            np.arange(len(self._starts)), np.diff(self._starts, append=len(query))
        )
        self._n_queries = len(answer)
        known = labelled.scored
        self._missing: _Missing | None = None
        if not known.all():
            self._missing = _Missing.of(known, labelled.member_score, pseudo_counts)

    @property
    def n_answers(self) -> int:
        """Distinct (query, answer) pairs: the work of scoring one ensemble."""
        return len(self._score)

    def __call__(self, masks: BoolArray) -> Float64Array:
        """Score masks bool[B, N]; returns float64[B] in [0, 1]."""
        out = np.zeros(len(masks))
        step = max(1, _BLOCK_FLOATS // max(1, self.n_answers))
        for at in range(0, len(masks), step):
            votes = masks[at : at + step].astype(self._votes.dtype) @ self._votes
            if self.n_answers:
                most = np.maximum.reduceat(votes, self._starts, axis=1)
                # No member of the mask voted: the most is 0, and no answer is no score.
                wins = (votes == most[:, self._segment]) & (votes > 0)
                out[at : at + step] = wins @ self._score
        if self._missing is not None:
            return self._missing.accuracy(out, masks)
        return out / self._n_queries


class _Missing(NamedTuple):
    """Of whom something is known together, so that ensembles are judged where they can be."""

    pattern: BoolArray
    """bool[K, N]."""
    n_queries: IntArray
    """int64[K]: queries where exactly these are known."""
    prior: float
    """Pseudo-counts, and the score that they add up to."""
    prior_score: float

    @classmethod
    def of(cls, known: BoolArray, score: FloatArray, pseudo_counts: float) -> Self:
        pattern, count = np.unique(known, axis=0, return_counts=True)
        n_known = int(known.sum())
        mean = float(np.where(known, score, 0).sum(dtype=np.float64)) / max(1, n_known)
        return cls(pattern, count, pseudo_counts, pseudo_counts * mean)

    def accuracy(self, total: Float64Array, masks: BoolArray) -> Float64Array:
        """From sums of scores, float64[B], to means."""
        n_known = np.zeros(len(masks))
        for start in range(0, len(self.n_queries), 1024):
            block = slice(start, start + 1024)
            met = masks.astype(np.float32) @ self.pattern[block].T.astype(np.float32) > 0
            n_known += met @ self.n_queries[block]
        return np.asarray((total + self.prior_score) / np.maximum(n_known + self.prior, 1))


def is_enumerable(n_members: int, n_answers: int) -> bool:
    """True when all ensembles of a pool can be scored within a few seconds."""
    return 2.0**n_members * (n_answers + 1) <= _MAX_WORK


class SizedSubset(NamedTuple):
    """The best subset found of some size."""

    mask: BoolArray
    accuracy: float


def _best_of_each_size(objective: Objective, n_members: int, *, exact: bool) -> list[SizedSubset]:
    if exact:
        sizes = range(1, n_members + 1)
        ranked = [best_subsets(objective, n_members, sizes=(k, k)) for k in sizes]
        return [SizedSubset(ranking.mask, ranking.score) for ranking in ranked]
    found: list[SizedSubset] = []
    best = -1.0
    for subset in _grow(objective, n_members):
        # Sizes that do not pay are not worth the search: they will not be used.
        better = subset.accuracy > best + 1e-12
        found.append(_swap(objective, subset) if better else subset)
        best = max(best, found[-1].accuracy)
    return found


def _grow(objective: Objective, n_members: int) -> list[SizedSubset]:
    """Beam search from single members to the whole pool: the best subset met of each size."""
    beam = np.zeros((1, n_members), dtype=bool)
    found = []
    for _ in range(n_members):
        wider = (beam[:, None, :] | np.eye(n_members, dtype=bool)).reshape(-1, n_members)
        wider = np.unique(wider[wider.sum(axis=1) > beam[0].sum()], axis=0)[::-1]
        accuracy = objective(wider)
        best = np.argsort(-accuracy.round(12), kind="stable")[:_BEAM]
        beam = wider[best]
        found.append(SizedSubset(beam[0], float(accuracy[best[0]])))
    return found


def _swap(objective: Objective, subset: SizedSubset) -> SizedSubset:
    """Exchange one member for another, once, if that is better."""
    inside, outside = np.flatnonzero(subset.mask), np.flatnonzero(~subset.mask)
    if not len(outside):
        return subset
    leave, enter = (pick.reshape(-1) for pick in np.meshgrid(inside, outside, indexing="ij"))
    swapped = np.repeat(subset.mask[None], len(leave), axis=0)
    rows = np.arange(len(leave))
    swapped[rows, leave], swapped[rows, enter] = False, True
    accuracy = objective(swapped)
    best = int(accuracy.argmax())
    if accuracy[best] <= subset.accuracy + 1e-12:
        return subset
    return SizedSubset(swapped[best], float(accuracy[best]))


class StaticSubset(OneRound):
    """Always the same members, and their plain vote; ties as in `Plurality`.

    All subsets are tried where that takes seconds (pools of about 12 members and 10,000 queries, or
    18 and 500); larger pools are searched by growing subsets member by member, best four at a time,
    and then swapping a member.

    Members that those of the subset read are asked as well; they are paid, and do not vote.

    Args:
        max_size: most members that vote; None for the best of all sizes.
    """

    name = "static-subset"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    dial: ClassVar[str] = "max_size"
    fitted: ClassVar[Mapping[str, Row]] = {
        "order": ORDER,
        "masks": Row("bool", "KN"),
        "accuracies": Row("float64", "K", 0, 1),
        "measured": MEASURED,
    }

    def __init__(self, *, max_size: int | None = None) -> None:
        self.max_size = None if max_size is None else checked_count(max_size, "max_size")

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Find, for each size, the best subset of at most that size; ties go to the smaller."""
        self.order_ = rank_members(table)
        objective = VoteAccuracy(table, self.order_, pseudo_counts=_MEAN_WORTH)
        exact = is_enumerable(table.n_members, objective.n_answers)
        kept: list[SizedSubset] = []
        for subset in _best_of_each_size(objective, table.n_members, exact=exact):
            if not kept or subset.accuracy > kept[-1].accuracy + 1e-12:
                kept.append(subset)
        self.masks_: BoolArray = np.stack([subset.mask for subset in kept])
        self.accuracies_ = np.array([subset.accuracy for subset in kept])
        cost = table.called_for(self.masks_) @ (table.mean_cost / table.call_cost())
        self.measured_ = np.stack([self.masks_.sum(axis=1), self.accuracies_, cost], axis=1)
        return self

    @property
    def dials(self) -> tuple[float, ...]:
        """Every size, cheapest first: the same grid whatever was fitted, so that folds compare."""
        return tuple(float(size) for size in range(1, len(self.order_) + 1))

    @property
    def setting(self) -> float:
        """How many members vote."""
        return float(self.mask_.sum())

    def with_dial(self, value: float) -> Self:
        """Return the same fitted strategy with at most `value` members.

        Raises:
            ValueError: fewer than one member.
        """
        return super().with_dial(checked_count(value, "max_size"))

    @property
    def mask_(self) -> BoolArray:
        """bool[N]: the members that vote."""
        limit = np.inf if self.max_size is None else self.max_size
        return np.asarray(self.masks_[np.flatnonzero(self.masks_.sum(axis=1) <= limit)[-1]])

    def first(self, view: View) -> BoolArray:
        """The subset."""
        return ask_only(view, self.mask_)

    def fuse(self, view: View) -> FloatArray:
        """Each candidate's share of the votes."""
        return plurality_share(voters(view, self.mask_), self.order_)

    @property
    def votes_only_help(self) -> bool:
        """They do, or do nothing."""
        return True
