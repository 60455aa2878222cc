"""The conditional logit: its likelihood over existing candidates, and its gradient.

Candidates are kept as one flat list, grouped by query and sorted by task, so that a task's logits
are one matrix-vector product and nothing is spent on empty slots. Knows nothing of rounds.

A member's vote counts for more where those it usually agrees with are missing: weights may depend,
linearly, on who is absent. So one convex fit serves every subset of the members.

Axes: P existing candidates of all queries, K signals (N supports, N logarithms of them where they
are graded, one of what the replies' texts say, one of a prior), N members, T tasks.
"""

from __future__ import annotations

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

    `signal` float32[P, K]; `share` float64[P]: what the query's label gives the candidate;
    `start` int64[Q]: where each query's candidates begin; `task` int64[Q], ascending;
    `is_open` bool[Q]; `none_share` float64[Q]; `row` int64[Q]: the query's row in the table;
    `absent` float32[Q, N]: 1 where a member's answer is not known; `slot` int64[P]: an option's
    position, -1 for what is none.
    Shares of a query (and its "none", if it is open) sum to 1, or to 0 where it has no label.
    """

    signal: FloatArray
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
        rank = np.cumsum(keep) - 1
        return Choices(
            signal=self.signal[pairs],
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
        slope = np.zeros_like(weight)
        for t, _, part in self._blocks:
            slope[t] = gap[part] @ self.signal[part]
        none_slope = np.bincount(self.task, weights=none_gap, minlength=len(none_bias))
        company_slope = np.zeros_like(company)
        if company.size:
            pull = np.add.reduceat(gap[:, None] * self.signal, self.start, axis=0)
            for t, rows, _ in self._blocks:
                company_slope[t] = pull[rows].T @ self.absent[rows]
        placed, cell = self._placed(position)
        position_slope = np.asarray(
            np.bincount(cell, weights=gap[placed], minlength=position.size), dtype=np.float64
        )
        return float(each.sum()), Weights(
            slope, none_slope.astype(np.float64), company_slope,
            position_slope.reshape(position.shape),
        )  # fmt: skip

    def each(self, weights: Weights) -> Float64Array:
        """float64[Q]: negative log-likelihood of each query, in the table's order of queries."""
        found = np.zeros(len(self.start))
        if len(self.start):
            found[self.row.argsort().argsort()] = self._judged(weights)[0]
        return found

    def _judged(self, weights: Weights) -> tuple[Float64Array, FloatArray, Float64Array]:
        """Negative log-likelihoods float64[Q], and their slopes by the logits.

        The slopes are float32[P] of candidates and float64[Q] of "none of these".
        """
        weight, none_bias, company, position = weights
        length, logit = self._length, np.empty(len(self.share))
        for t, _, part in self._blocks:
            logit[part] = self.signal[part] @ weight[t].astype(np.float32)
        if company.size:
            more = np.empty((len(self.start), weight.shape[1]), dtype=np.float32)
            for t, rows, _ in self._blocks:
                more[rows] = self.absent[rows] @ company[t].T.astype(np.float32)
            logit += np.einsum("pk,pk->p", self.signal, np.repeat(more, length, axis=0))
        placed, cell = self._placed(position)
        logit[placed] += position.reshape(-1)[cell]
        none = np.where(self.is_open, none_bias[self.task], -np.inf)
        top = np.maximum(np.maximum.reduceat(logit, self.start), none)
        power = np.exp(logit - np.repeat(top, length))
        none_power = np.exp(none - top)
        total = np.add.reduceat(power, self.start) + none_power
        labelled = self._labelled
        each = labelled * (top + np.log(total)) - np.add.reduceat(self.share * logit, self.start)
        each -= self.none_share * np.where(self.is_open, none, 0)
        ratio = labelled / total
        gap = (np.repeat(ratio, length) * power - self.share).astype(np.float32)
        return each, gap, ratio * none_power - self.none_share

    def _placed(self, position: Float64Array) -> tuple[IntArray | slice, IntArray]:
        """Which candidates have a bias of their position, and its place in the flat biases."""
        placed, task, slot = self._options
        n_positions = position.shape[1]
        if slot.max(initial=-1) >= n_positions:
            met = slot < n_positions
            placed = np.flatnonzero(met) if isinstance(placed, slice) else placed[met]
            task, slot = task[met], slot[met]
        return placed, task * n_positions + slot

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
    def _options(self) -> tuple[IntArray | slice, IntArray, IntArray]:
        """Which candidates are options, and their tasks and positions."""
        placed = np.flatnonzero(self.slot >= 0)
        task, slot = np.repeat(self.task, self._length)[placed], self.slot[placed]
        return (slice(None) if len(placed) == len(self.slot) else placed), task, slot

    @cached_property
    def _blocks(self) -> list[tuple[int, slice, slice]]:
        """Every task that has queries, these, and their candidates."""
        if not len(self.task):
            return []
        ends = np.append(self.start, len(self.share)).tolist()
        edges = np.flatnonzero(np.diff(self.task, prepend=-1, append=self.task[-1] + 1)).tolist()
        return [
            (int(self.task[first]), slice(first, last), slice(ends[first], ends[last]))
            for first, last in pairwise(edges)
        ]


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
    told = evidence(support, graded=graded)
    n_told = told.shape[1]
    signal = np.empty((len(query), n_told + (shift is not None) + (prior is not None)), np.float32)
    signal[:, :n_told] = told[query, :, slot]
    if shift is not None:
        signal[:, n_told] = np.einsum("qn,qnc->qc", shift[order], support)[query, slot]
    if prior is not None:
        signal[:, -1] = prior[order][query, slot]
    return Choices(
        signal=signal,
        share=share[query, slot],
        start=np.cumsum(length) - length,
        task=table.task[order],
        is_open=is_open,
        none_share=np.where(is_open, np.maximum(0, 1 - total), 0.0),
        row=order,
        absent=(~known[order]).astype(np.float32),
        slot=np.where(is_open[query], -1, slot),
    )
