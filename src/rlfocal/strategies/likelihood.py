"""The conditional logit: its likelihood over existing candidates, its gradient and its weights.

Candidates are kept as one flat list, grouped by query and sorted by task, so that a task's logits
are one matrix-vector product and nothing is spent on empty slots. Knows nothing of rounds.

Axes: P existing candidates of all queries, K = N or 2N signals, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable

__all__ = ["FLOOR", "PENALTIES", "Choices", "WeightModel", "choices_of", "cross_fit", "evidence"]

Float64Array = NDArray[np.float64]

FLOOR = 0.01
"""Supports well below this say the same as none: about what a frequency can resolve."""

PENALTIES = ((300.0, 300.0), (30.0, 100.0), (10.0, 30.0), (1.0, 10.0), (0.3, 1.0))
"""(per member, per task and member) ridge penalties worth choosing from, the strongest first."""


def evidence(support: FloatArray, *, graded: bool) -> FloatArray:
    """float32[B, K, C]: signals of each candidate; supports, and their logarithms where graded.

    Zero where the support is zero, so a member that did not answer says nothing.
    """
    if not graded:
        return support
    logged = np.log1p(support / np.float32(FLOOR)) / np.float32(np.log1p(1 / FLOOR))
    return np.concatenate([support, logged], axis=1)


@dataclass(frozen=True, eq=False)
class Choices:
    """Labelled queries as the likelihood needs them; queries sorted by task.

    `signal` float32[P, K]; `share` float64[P]: what the query's label gives the candidate;
    `start` int64[Q]: where each query's candidates begin; `task` int64[Q], ascending;
    `is_open` bool[Q]; `none_share` float64[Q]; `row` int64[Q]: the query's row in the table.
    Shares of a query (and its "none", if it is open) sum to 1, or to 0 where it has no label.
    """

    signal: FloatArray
    share: Float64Array
    start: IntArray
    task: IntArray
    is_open: BoolArray
    none_share: Float64Array
    row: IntArray

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
        )

    def loss(
        self, weight: Float64Array, none_bias: Float64Array
    ) -> tuple[float, Float64Array, Float64Array]:
        """Negative log-likelihood and its gradients.

        Args:
            weight: float64[T, K].
            none_bias: float64[T].

        Returns:
            The loss, d loss / d weight float64[T, K], d loss / d none_bias float64[T].
        """
        if not len(self.start):
            return 0.0, np.zeros_like(weight), np.zeros_like(none_bias)
        ends = np.append(self.start, len(self.share))
        blocks = self._blocks(len(weight))
        logit = np.empty(len(self.share))
        for t, first, last in blocks:
            part = slice(ends[first], ends[last])
            logit[part] = self.signal[part] @ weight[t].astype(np.float32)
        none = np.where(self.is_open, none_bias[self.task], -np.inf)
        top = np.maximum(np.maximum.reduceat(logit, self.start), none)
        length = np.diff(ends)
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
        return float(value), slope, none_slope.astype(np.float64)

    def _blocks(self, n_tasks: int) -> list[tuple[int, int, int]]:
        """(task, first query, last query + 1) of every task that has queries."""
        edge = np.searchsorted(self.task, np.arange(n_tasks + 1))
        return [
            (t, int(edge[t]), int(edge[t + 1])) for t in range(n_tasks) if edge[t] < edge[t + 1]
        ]


def choices_of(table: ResponseTable, *, graded: bool, asked: BoolArray | None = None) -> Choices:
    """Lay out a table of labelled queries.

    Args:
        table: labelled queries.
        graded: take logarithms of supports as signals too.
        asked: bool[Q, N], the members whose answers are known; None for all.

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
    score = np.where(usable, table.candidate_score[order], 0).astype(np.float64)
    total = score.sum(axis=1)
    share = score / np.where(is_open, np.maximum(total, 1), np.maximum(total, 1e-9))[:, None]
    length = usable.sum(axis=1)
    query, slot = np.nonzero(usable)
    signal = evidence(support, graded=graded)[query, :, slot]
    return Choices(
        signal=np.ascontiguousarray(signal, dtype=np.float32),
        share=share[query, slot],
        start=np.cumsum(length) - length,
        task=table.task[order],
        is_open=is_open,
        none_share=np.where(is_open, np.maximum(0, 1 - total), 0.0),
        row=order,
    )


@dataclass(frozen=True, eq=False)
class WeightModel:
    """Weights as a common direction plus penalised deviations.

    weight[t] = base[t] @ common + own + special[t], with base float64[T, K, S] fixed; parameters
    are flat: common [S], own [K], special [T, K], none [1], none_special [T].
    """

    base: Float64Array

    @classmethod
    def from_log_odds(
        cls, member: Float64Array, task: Float64Array, *, graded: bool
    ) -> WeightModel:
        """Let weights be free multiples of 1, of log-odds, and of a task's departure from them.

        Args:
            member: float64[N], log-odds of each member's accuracy.
            task: float64[T, N], log-odds on each task.
            graded: the logarithmic signals get multiples of their own.
        """
        overall = np.broadcast_to(member, task.shape)
        base = np.stack([np.ones_like(task), overall, task - member], axis=2)
        if graded:
            none = np.zeros_like(base)
            base = np.block([[base, none], [none, base]])
        return cls(base)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(T, K, S)."""
        n_tasks, n_signals, n_common = self.base.shape
        return n_tasks, n_signals, n_common

    def weights(self, theta: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return weight float64[T, K] and none_bias float64[T]."""
        common, own, special, none, none_special = self._split(theta)
        return self.base @ common + own + special, none + none_special

    def _split(self, theta: Float64Array) -> tuple[Float64Array, ...]:
        n_tasks, n_signals, n_common = self.sizes
        ends = np.cumsum([n_common, n_signals, n_tasks * n_signals, 1])
        common, own, special, none, none_special = np.split(theta, ends)
        return common, own, special.reshape(n_tasks, n_signals), none, none_special

    def objective(
        self, theta: Float64Array, choices: Choices, own_penalty: float, task_penalty: float
    ) -> tuple[float, Float64Array]:
        """Penalised negative log-likelihood and its gradient."""
        common, own, special, _, none_special = self._split(theta)
        value, slope, none_slope = choices.loss(*self.weights(theta))
        value += own_penalty / 2 * float(own @ own)
        value += task_penalty / 2 * float((special**2).sum() + none_special @ none_special)
        # A trace of ridge on the common part only keeps it finite on separable data.
        value += 0.05 * float(common @ common)
        gradient = [
            np.einsum("tks,tk->s", self.base, slope) + 0.1 * common,
            slope.sum(axis=0) + own_penalty * own,
            (slope + task_penalty * special).reshape(-1),
            none_slope.sum(keepdims=True),
            none_slope + task_penalty * none_special,
        ]
        return value, np.concatenate(gradient)

    def fit(
        self,
        choices: Choices,
        own_penalty: float,
        task_penalty: float,
        *,
        start: Float64Array | None = None,
    ) -> Float64Array:
        """Minimise the objective; returns theta."""
        from scipy.optimize import minimize

        n_tasks, n_signals, n_common = self.sizes
        size = n_common + n_signals * (1 + n_tasks) + 1 + n_tasks
        result = minimize(
            self.objective,
            np.zeros(size) if start is None else start,
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
        penalties: S pairs (per member, per task and member), the strongest first.

    Returns:
        The best setting, and the parameters of each model under it.
    """
    loss, found = np.zeros(len(penalties)), list[list[Float64Array]]()
    for k, model in enumerate(models):
        inside, outside = choices.take(fold != k), choices.take(fold == k)
        theta, path = None, list[Float64Array]()
        for j, penalty in enumerate(penalties):
            theta = model.fit(inside, *penalty, start=theta)
            loss[j] += outside.loss(*model.weights(theta))[0]
            path.append(theta)
        found.append(path)
    best = int(loss.argmin())
    return best, [path[best] for path in found]
