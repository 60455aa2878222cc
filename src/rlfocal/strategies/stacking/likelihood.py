"""The conditional logit: its likelihood over existing candidates, its gradient and its weights.

Candidates are kept as one flat list, grouped by query and sorted by task, so that a task's logits
are one matrix-vector product and nothing is spent on empty slots. Knows nothing of rounds.

A member's vote counts for more where those it usually agrees with are missing: weights may depend,
linearly, on who is absent. So one convex fit serves every subset of the members.

Axes: P existing candidates of all queries, K signals (N supports, N logarithms of them where they
are graded, one of what the replies' texts say, one of a prior), N members, T tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rlfocal.extras import need
from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = [
    "FLOOR", "LEAST", "PENALTIES", "Choices", "WeightModel", "Weights", "choices_of", "cross_fit",
    "evidence",
]  # fmt: skip

FLOOR = 0.01
"""Supports well below this say the same as none: about what a frequency can resolve."""

LEAST = 0.02
"""No accuracy is taken to be nearer to 0 or 1 than this, where weights start from its log-odds."""

PENALTIES = ((300.0, 300.0), (30.0, 100.0), (10.0, 30.0), (1.0, 10.0), (0.3, 1.0), (0.1, 0.3))
"""(per member, per task and member) ridge penalties worth choosing from, the strongest first."""


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
        length = np.diff(np.append(self.start, len(self.share)))
        kept = length[keep]
        pairs = np.repeat(keep, length)
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
        ends = np.append(self.start, len(self.share))
        blocks = self._blocks(len(weight))
        logit = np.empty(len(self.share))
        for t, first, last in blocks:
            part = slice(ends[first], ends[last])
            logit[part] = self.signal[part] @ weight[t].astype(np.float32)
        length = np.diff(ends)
        if company.size:
            more = np.empty((len(self.start), weight.shape[1]), dtype=np.float32)
            for t, first, last in blocks:
                more[first:last] = self.absent[first:last] @ company[t].T.astype(np.float32)
            logit += np.einsum("pk,pk->p", self.signal, np.repeat(more, length, axis=0))
        n_positions = position.shape[1]
        placed = np.flatnonzero((self.slot >= 0) & (self.slot < n_positions))
        cell = np.repeat(self.task, length)[placed] * n_positions + self.slot[placed]
        logit[placed] += position.reshape(-1)[cell]
        none = np.where(self.is_open, none_bias[self.task], -np.inf)
        top = np.maximum(np.maximum.reduceat(logit, self.start), none)
        power = np.exp(logit - np.repeat(top, length))
        none_power = np.exp(none - top)
        total = np.add.reduceat(power, self.start) + none_power
        labelled = np.add.reduceat(self.share, self.start) + self.none_share
        value = (labelled * (top + np.log(total))).sum() - self.share @ logit
        value -= (self.none_share * np.where(self.is_open, none, 0)).sum()
        ratio = labelled / total
        gap = (np.repeat(ratio, length) * power - self.share).astype(np.float32)
        slope = np.zeros_like(weight)
        for t, first, last in blocks:
            part = slice(ends[first], ends[last])
            slope[t] = gap[part] @ self.signal[part]
        none_slope = np.bincount(
            self.task, weights=ratio * none_power - self.none_share, minlength=len(none_bias)
        )
        company_slope = np.zeros_like(company)
        if company.size:
            pull = np.add.reduceat(gap[:, None] * self.signal, self.start, axis=0)
            for t, first, last in blocks:
                company_slope[t] = pull[first:last].T @ self.absent[first:last]
        position_slope = np.asarray(
            np.bincount(cell, weights=gap[placed], minlength=position.size), dtype=np.float64
        )
        return float(value), Weights(
            slope, none_slope.astype(np.float64), company_slope,
            position_slope.reshape(position.shape),
        )  # fmt: skip

    def _blocks(self, n_tasks: int) -> list[tuple[int, int, int]]:
        """(task, first query, last query + 1) of every task that has queries."""
        edge = np.searchsorted(self.task, np.arange(n_tasks + 1))
        return [
            (t, int(edge[t]), int(edge[t + 1])) for t in range(n_tasks) if edge[t] < edge[t + 1]
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
        support = support * asked[order][:, :, None]
    usable = np.where(is_open[:, None], support.any(axis=1), table.exists[order])
    # A query without candidates has nothing to choose from.
    filled = usable.any(axis=1)
    order, is_open, support, usable = (
        order[filled],
        is_open[filled],
        support[filled],
        usable[filled],
    )
    known = table.answered if asked is None else table.answered & asked
    score = np.where(usable, table.candidate_score[order], 0).astype(np.float64)
    total = score.sum(axis=1)
    share = score / np.where(is_open, np.maximum(total, 1), np.maximum(total, 1e-9))[:, None]
    length = usable.sum(axis=1)
    query, slot = np.nonzero(usable)
    signal = evidence(support, graded=graded)[query, :, slot]
    if shift is not None:
        moved = np.einsum("qn,qnc->qc", shift[order], support)
        signal = np.hstack([signal, moved[query, slot][:, None]])
    if prior is not None:
        signal = np.hstack([signal, prior[order][query, slot][:, None]])
    return Choices(
        signal=np.ascontiguousarray(signal, dtype=np.float32),
        share=share[query, slot],
        start=np.cumsum(length) - length,
        task=table.task[order],
        is_open=is_open,
        none_share=np.where(is_open, np.maximum(0, 1 - total), 0.0),
        row=order,
        absent=(~known[order]).astype(np.float32),
        slot=np.where(is_open[query], -1, slot),
    )


@dataclass(frozen=True, eq=False)
class WeightModel:
    """Weights as a common direction plus penalised deviations.

    weight[t] = base[t] @ common + own + special[t], with base float64[T, K, B] fixed; parameters
    are flat: common [B], own [K], special [T, K], none [1], none_special [T], company [K, A] and
    its own departures on tasks [T, K, A], position [S] and its own [T, S].
    """

    base: Float64Array
    n_absent: int = 0
    """A: N where weights depend on who is absent, else 0."""
    with_prior: bool = False
    """True where the last signal is a ready-made logit: then everything is drawn towards it alone,
    counting 1, rather than towards log-odds."""
    n_positions: int = 0
    """S where an option's position has a bias, else 0."""
    with_shift: bool = False
    """True where a signal says how far replies move log-odds. It counts as log-odds do, or nothing
    beside a prior, which knows of it already."""

    @classmethod
    def from_log_odds(
        cls,
        member: Float64Array,
        task: Float64Array,
        *,
        graded: bool,
        company: bool = False,
        with_prior: bool = False,
        with_shift: bool = False,
        n_positions: int = 0,
    ) -> WeightModel:
        """Let weights be free multiples of 1, of log-odds, and of a task's departure from them.

        Args:
            member: float64[N], log-odds of each member's accuracy.
            task: float64[T, N], log-odds on each task.
            graded: the logarithmic signals get multiples of their own.
            company: let weights depend on who is absent.
            with_prior: whether the signals end with one of the prior.
            with_shift: whether one of the replies stands before it.
            n_positions: of options, with a bias each; 0 for none.
        """
        overall = np.broadcast_to(member, task.shape)
        base = np.stack([np.ones_like(task), overall, task - member], axis=2)
        if graded:
            none = np.zeros_like(base)
            base = np.block([[base, none], [none, base]])
        base = np.pad(base, ((0, 0), (0, with_shift + with_prior), (0, 0)))
        n_absent = len(member) if company else 0
        return cls(base, n_absent, with_prior, n_positions, with_shift)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the parts of the parameters, in order."""
        n_tasks, n_signals, n_common = self.base.shape
        return (
            (n_common,), (n_signals,), (n_tasks, n_signals), (1,), (n_tasks,),
            (n_signals, self.n_absent), (n_tasks, n_signals, self.n_absent),
            (self.n_positions,), (n_tasks, self.n_positions),
        )  # fmt: skip

    @property
    def centre(self) -> Float64Array:
        """What the parameters are drawn towards, and where a fit starts."""
        parts = [np.zeros(shape) for shape in self.shapes]
        if self.with_prior or self.with_shift:
            parts[1][-1] = 1.0
        return np.concatenate([part.reshape(-1) for part in parts])

    def weights(self, theta: Float64Array) -> Weights:
        """From flat parameters to weights."""
        common, own, special, none, none_special, company, apart, *places = self._split(theta)
        weight = self.base @ common + own + special
        return Weights(weight, none + none_special, company + apart, places[0] + places[1])

    def _split(self, theta: Float64Array) -> tuple[Float64Array, ...]:
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        parts = np.split(theta, ends[:-1])
        return tuple(part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True))

    def _ridge(self, own: float, task: float) -> Float64Array:
        """The penalty of each parameter."""
        # Without a prior a trace on the common part only keeps it finite on separable data.
        common, none = (own, own) if self.with_prior else (0.1, 0.0)
        strengths = (common, own, task, none, task, own, task, own, task)
        sizes = [math.prod(shape) for shape in self.shapes]
        return np.repeat(strengths, sizes)

    def objective(
        self, theta: Float64Array, choices: Choices, own_penalty: float, task_penalty: float
    ) -> tuple[float, Float64Array]:
        """Penalised negative log-likelihood and its gradient."""
        value, slope = choices.loss(self.weights(theta))
        gradient = [
            np.einsum("tks,tk->s", self.base, slope.weight),
            slope.weight.sum(axis=0),
            slope.weight,
            slope.none_bias.sum(keepdims=True),
            slope.none_bias,
            slope.company.sum(axis=0),
            slope.company,
            slope.position.sum(axis=0),
            slope.position,
        ]
        ridge, away = self._ridge(own_penalty, task_penalty), theta - self.centre
        value += float(ridge @ away**2) / 2
        return value, np.concatenate([part.reshape(-1) for part in gradient]) + ridge * away

    def fit(
        self,
        choices: Choices,
        own_penalty: float,
        task_penalty: float,
        *,
        start: Float64Array | None = None,
    ) -> Float64Array:
        """Minimise the objective; returns theta."""
        result = need("scipy.optimize", "stacking").minimize(
            self.objective,
            self.centre if start is None else start,
            args=(choices, own_penalty, task_penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 200, "ftol": 1e-8},
        )
        return np.asarray(result.x)


def cross_fit(
    choices: Choices,
    fold: IntArray,
    models: Sequence[WeightModel],
    penalties: Sequence[tuple[float, float]],
) -> tuple[int, list[Float64Array]]:
    """Fit without each fold in turn, and choose the penalties by out-of-fold likelihood.

    Args:
        choices: the labelled queries.
        fold: int64[Q] in [0, F), by row of the table.
        models: F models, each with log-odds measured without its fold.
        penalties: S pairs (per member, per task and member), the strongest first; weaker ones are
            not tried once the likelihood falls.

    Returns:
        The best setting, and the parameters of each model under it.
    """
    parts = [(choices.take(fold != k), choices.take(fold == k)) for k in range(len(models))]
    best, best_loss, found = 0, math.inf, list[Float64Array]()
    thetas: list[Float64Array | None] = [None] * len(models)
    for j, penalty in enumerate(penalties):
        fits = [
            model.fit(inside, *penalty, start=theta)
            for model, (inside, _), theta in zip(models, parts, thetas, strict=True)
        ]
        loss = sum(
            outside.loss(model.weights(theta))[0]
            for model, (_, outside), theta in zip(models, parts, fits, strict=True)
        )
        if loss >= best_loss:
            break
        best, best_loss, found = j, loss, fits
        thetas = list(fits)
    return best, found
