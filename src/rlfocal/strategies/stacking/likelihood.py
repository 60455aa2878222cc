"""The conditional logit: its likelihood over existing candidates, and its gradient.

Candidates are kept as one flat list, grouped by query and sorted by task, and of signals only what
is not zero: a member backs one candidate of a query, or a few of many. Knows nothing of rounds.

A member's vote counts for more where those it usually agrees with are missing: weights may depend,
linearly, on who is absent. So one convex fit serves every subset of the members.

Axes: P existing candidates of all Q queries, K signals (N supports, N logarithms of them where they
are graded, then X whole ones: one of what the replies' texts say, one of a prior), E supports and
logarithms that are not zero, N members, T tasks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["FLOOR", "Choices", "Weights", "choices_of", "evidence"]

FLOOR = 0.01
"""Supports well below this say the same as none: about what a frequency can resolve."""


def evidence(support: FloatArray, *, graded: bool) -> FloatArray:
    """float32[B, K, C]: signals of each candidate; supports, and their logarithms where graded.

    Zero where the support is zero, so a member that did not answer says nothing.
    """
    if not graded:
        return support
    logged = np.log1p(support / np.float32(FLOOR)) / np.float32(np.log1p(1 / FLOOR))
    return np.concatenate([support, logged], axis=1)


class Weights(NamedTuple):
    """What a conditional logit has learned; `loss` returns gradients in the same shape."""

    weight: Float64Array
    """float64[T, K]: what signals count on a task where all have answered."""
    none_bias: Float64Array
    """float64[T]: logit of "none of these" for open queries."""
    company: Float64Array
    """float64[T, K, N]: how much more signal k counts where member n is absent; N = 0 for no such
    dependence."""
    position: Float64Array
    """float64[T, S]: bias of an option's position; S = 0 for none."""


@dataclass(frozen=True, eq=False)
class Choices:
    """Labelled queries as the likelihood needs them; queries sorted by task.

    `place` int64[E], ascending, `kind` int64[E], `value` float64[E]: signal `kind` of candidate
    `place` is `value`; `whole` float64[P, X]: the last signals; `n_signals`: K;
    `share` float64[P]: what the query's label gives the candidate; `start` int64[Q]: where each
    query's candidates begin; `task` int64[Q], ascending; `is_open` bool[Q]; `none_share`
    float64[Q]; `row` int64[Q]: the query's row in the table; `absent` float32[Q, N]: 1 where a
    member's answer is not known; `slot` int64[P]: an option's position, -1 for what is none.
    Shares of a query (and its "none", if it is open) sum to 1, or to 0 where it has no label.
    """

    place: IntArray
    kind: IntArray
    value: Float64Array
    whole: Float64Array
    n_signals: int
    share: Float64Array
    start: IntArray
    task: IntArray
    is_open: BoolArray
    none_share: Float64Array
    row: IntArray
    absent: FloatArray
    slot: IntArray

    def take(self, wanted: BoolArray) -> Choices:
        """Keep the queries of the table's rows for which `wanted` (bool[Q]) is True."""
        keep = wanted[self.row]
        kept = self._length[keep]
        pairs = np.repeat(keep, self._length)
        entries = pairs[self.place]
        rank = np.cumsum(keep) - 1
        return Choices(
            place=(np.cumsum(pairs) - 1)[self.place[entries]],
            kind=self.kind[entries],
            value=self.value[entries],
            whole=self.whole[pairs],
            n_signals=self.n_signals,
            share=self.share[pairs],
            start=np.cumsum(kept) - kept,
            task=self.task[keep],
            is_open=self.is_open[keep],
            none_share=self.none_share[keep],
            row=rank[keep],
            absent=self.absent[keep],
            slot=self.slot[pairs],
        )

    def loss(self, weights: Weights) -> tuple[float, Weights]:
        """Negative log-likelihood and its gradients."""
        weight, none_bias, company, position = weights
        if not len(self.start):
            return 0.0, Weights(*(np.zeros_like(part) for part in weights))
        each, gap, none_gap = self._judged(weights)
        pull = self._pulled(gap)
        slope, company_slope = np.zeros_like(weight), np.zeros_like(company)
        for t, rows in self._blocks:
            slope[t] = pull[rows].sum(axis=0)
            if company.size:
                company_slope[t] = pull[rows].T.astype(np.float32) @ self.absent[rows]
        placed, cell = self._placed(position.shape[1])
        return float(each.sum()), Weights(
            slope,
            _summed(none_gap, self.task, len(none_bias)),
            company_slope,
            _summed(gap[placed], cell, position.size).reshape(position.shape),
        )

    def each(self, weights: Weights) -> Float64Array:
        """float64[Q]: negative log-likelihood of each query, in the table's order of queries."""
        found = np.zeros(len(self.start))
        if len(self.start):
            found[self.row.argsort().argsort()] = self._judged(weights)[0]
        return found

    def _judged(self, weights: Weights) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Negative log-likelihoods float64[Q], and their slopes by the logits.

        The slopes are float64[P] of candidates and float64[Q] of "none of these".
        """
        length, logit = self._length, self._logit(weights)
        right, share, of_query = self._right
        none = np.where(self.is_open, weights.none_bias[self.task], -np.inf)
        top = np.maximum(np.maximum.reduceat(logit, self.start), none)
        each = -_summed(share * logit[right], of_query, len(top))
        logit -= np.repeat(top, length)
        power = np.exp(logit, out=logit)
        none_power = np.exp(none - top)
        total = np.add.reduceat(power, self.start) + none_power
        labelled = self._labelled
        each += labelled * (top + np.log(total))
        each -= self.none_share * np.where(self.is_open, none, 0)
        ratio = labelled / total
        gap = np.multiply(power, np.repeat(ratio, length), out=power)
        gap[right] -= share
        return each, gap, ratio * none_power - self.none_share

    def _logit(self, weights: Weights) -> Float64Array:
        """float64[P]: logit of each candidate."""
        weight, _, company, position = weights
        counted = weight[self.task]
        if company.size:
            for t, rows in self._blocks:
                counted[rows] += self.absent[rows] @ company[t].T.astype(np.float32)
        logit = _summed(self.value * counted.ravel()[self._cell], self.place, len(self.share))
        for x in range(-self.whole.shape[1], 0):
            logit += self.whole[:, x] * np.repeat(counted[:, x], self._length)
        placed, cell = self._placed(position.shape[1])
        logit[placed] += position.ravel()[cell]
        return logit

    def _pulled(self, gap: Float64Array) -> Float64Array:
        """float64[Q, K]: slopes by what each signal counts on each query."""
        shape = len(self.start), self.n_signals
        pull = _summed(self.value * gap[self.place], self._cell, math.prod(shape)).reshape(shape)
        for x in range(-self.whole.shape[1], 0):
            pull[:, x] = np.add.reduceat(gap * self.whole[:, x], self.start)
        return pull

    def _placed(self, n_positions: int) -> tuple[IntArray | slice, IntArray]:
        """Which candidates have a bias of their position, and its place in the flat biases."""
        if n_positions not in self._biased:
            placed = np.flatnonzero((self.slot >= 0) & (self.slot < n_positions))
            task = np.repeat(self.task, self._length)[placed]
            cell = task * n_positions + self.slot[placed]
            all_are = len(placed) == len(self.slot)
            self._biased[n_positions] = slice(None) if all_are else placed, cell
        return self._biased[n_positions]

    # What no weights change is found once: a fit asks for it hundreds of times.

    @cached_property
    def _length(self) -> IntArray:
        """int64[Q]: candidates of each query."""
        return np.diff(np.append(self.start, len(self.share)))

    @cached_property
    def _labelled(self) -> Float64Array:
        """float64[Q]: 1 where a query has a label, else 0."""
        return np.asarray(np.add.reduceat(self.share, self.start) + self.none_share)

    @cached_property
    def _right(self) -> tuple[IntArray, Float64Array, IntArray]:
        """The candidates that labels give anything, how much, and their queries."""
        right = np.flatnonzero(self.share)
        return right, self.share[right], np.repeat(np.arange(len(self.start)), self._length)[right]

    @cached_property
    def _biased(self) -> dict[int, tuple[IntArray | slice, IntArray]]:
        """What `_placed` has found, by the number of positions."""
        return {}

    @cached_property
    def _cell(self) -> IntArray:
        """int64[E]: place of each entry in what is told of queries and signals, flat."""
        query = np.repeat(np.arange(len(self.start)), self._length)
        return np.asarray(query[self.place] * self.n_signals + self.kind)

    @cached_property
    def _blocks(self) -> list[tuple[int, slice]]:
        """Every task that has queries, and these."""
        if not len(self.task):
            return []
        edges = np.flatnonzero(np.diff(self.task, prepend=-1, append=self.task[-1] + 1)).tolist()
        return [(int(self.task[first]), slice(first, last)) for first, last in pairwise(edges)]


def _summed(values: Float64Array, where: IntArray, n_sums: int) -> Float64Array:
    """float64[n_sums]: sums of the values that are in one place."""
    return np.asarray(np.bincount(where, values, n_sums), dtype=np.float64)


def choices_of(
    table: ResponseTable,
    *,
    graded: bool,
    asked: BoolArray | None = None,
    shift: FloatArray | None = None,
    prior: FloatArray | None = None,
) -> Choices:
    """Lay out a table of labelled queries.

    Args:
        table: labelled queries.
        graded: take logarithms of supports as signals too.
        asked: bool[Q, N], the members whose answers are known; None for all.
        shift: float32[Q, N], how far each reply itself moves its log-odds of being right; summed
            over a candidate's backers it is one more signal. None for none.
        prior: float32[Q, C], a ready-made logit, one more signal of each candidate, the last; None
            for none.

    Several right candidates share a label in proportion to their scores; scores that sum to less
    than 1 on an open query leave the rest to "none of these".
    """
    order = np.argsort(table.task, kind="stable")
    is_open = table.is_open[order]
    support = table.support[order]
    if asked is not None:
        support *= asked[order][:, :, None]
    usable = np.where(is_open[:, None], support.any(axis=1), table.exists[order])
    # A query without candidates has nothing to choose from.
    filled = usable.any(axis=1)
    if not filled.all():
        order, is_open = order[filled], is_open[filled]
        support, usable = support[filled], usable[filled]
    known = table.answered if asked is None else table.answered & asked
    score = np.where(usable, table.candidate_score[order], 0).astype(np.float64)
    total = score.sum(axis=1)
    share = score / np.where(is_open, np.maximum(total, 1), np.maximum(total, 1e-9))[:, None]
    length = usable.sum(axis=1)
    query, slot = np.nonzero(usable)
    told = evidence(support, graded=graded)[query, :, slot]
    place, kind = np.nonzero(told)
    whole = []
    if shift is not None:
        whole.append(np.einsum("qn,qnc->qc", shift[order], support)[query, slot])
    if prior is not None:
        whole.append(prior[order][query, slot])
    return Choices(
        place=place,
        kind=kind,
        value=told[place, kind].astype(np.float64),
        whole=np.array(whole, dtype=np.float64).reshape(len(whole), len(query)).T.copy(),
        n_signals=told.shape[1] + len(whole),
        share=share[query, slot],
        start=np.cumsum(length) - length,
        task=table.task[order],
        is_open=is_open,
        none_share=np.where(is_open, np.maximum(0, 1 - total), 0.0),
        row=order,
        absent=(~known[order]).astype(np.float32),
        slot=np.where(is_open[query], -1, slot),
    )
