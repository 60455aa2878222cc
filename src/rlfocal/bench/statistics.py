"""Paired bootstrap over queries: how far a figure could move with other queries of the same kind.

All strategies are resampled together, so what they have in common (hard queries) cancels out of
their differences. Queries with the same prompt are drawn together. Seeds are averaged before, and
the fitted strategies are held fixed: intervals say nothing about other training runs.

Source: the percentile bootstrap (Efron, 1979), applied to clusters.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlfocal.bench.figures.scores import Scores, scores
from rlfocal.records import BoolArray, IntArray

__all__ = [
    "BEST_SINGLE",
    "ORACLE",
    "Axis",
    "BootstrapMeans",
    "Comparison",
    "Estimate",
    "Frontier",
    "Judgement",
    "MeasuredMeans",
    "accuracy_at",
    "bootstrap_means",
    "frontier",
    "gap_closed",
    "judge",
]

_Floats = NDArray[np.float64]

BEST_SINGLE = "best-single"
"""The strategy that gains are measured against."""
BEST_ALONE = "best-alone"
"""The best of the members that read no other; where members read, it always stands beside."""
ORACLE = "oracle"
"""The bound: it looks at labels."""

Axis = Literal["calls", "usd"]
"""Unit of spending: calls, or US dollars where the data set prices every member."""
Judgement = Literal["better", "worse", "no difference", "withheld"]
"""Verdict withheld: too many responses are missing."""

_NOISE = 1e-12
"""Differences below this are rounding, not gains."""
_SAME_SPEND = 1e-7
"""Spends closer than this share of the greatest are one: costs are recorded as float32."""

_SEED = 20250204
"""Fixes the resamples, so that the same rows give the same intervals."""
_CHUNK_CELLS = 500_000
"""Cells of the matrix of counts held at once (4 MB)."""


class Estimate(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def ci(self) -> tuple[float, float]:
        """The interval."""
        return self.low, self.high


def judge(ci: tuple[float, float]) -> Judgement:
    """Verdict on a difference: "better" or "worse" only where its interval excludes zero.

    >>> judge((0.01, 0.02)), judge((0.0, 0.02)), judge((-0.02, -0.01))
    ('better', 'no difference', 'worse')
    """
    if ci[0] > _NOISE:
        return "better"
    return "worse" if ci[1] < -_NOISE else "no difference"


class BootstrapMeans(NamedTuple):
    """Means of P columns over all queries, and over each resample of them."""

    value: _Floats
    """float64[P]."""
    resampled: _Floats
    """float64[R, P]; rows are the same resamples for every column, so differences are paired."""

    def mean(self, column: int) -> Estimate:
        """A column's mean."""
        return _estimate(float(self.value[column]), self.resampled[:, column])

    def difference(self, column: int, baseline: int) -> Estimate:
        """A column's mean minus another's, paired by query."""
        return _estimate(
            float(self.value[column] - self.value[baseline]),
            self.resampled[:, column] - self.resampled[:, baseline],
        )


def bootstrap_means(values: _Floats, group: IntArray, *, n_resamples: int = 2000) -> BootstrapMeans:
    """Resample queries with replacement, the queries of a group together.

    Args:
        values: float64[Q, P].
        group: int64[Q]; queries with the same number are one cluster.
        n_resamples: R.

    Returns:
        Means over queries. With a single group every resample is the data itself, and the
        intervals have no width.
    """
    _, cluster = np.unique(group, return_inverse=True)
    size = np.bincount(cluster).astype(np.float64)
    n_clusters = len(size)
    # Multiples of 2^-30 add up exactly in any order, so that equal columns have equal means.
    exact = np.rint(values * 2.0**30)
    total = np.stack([np.bincount(cluster, column) for column in exact.T], axis=1) * 2.0**-30
    rng = np.random.default_rng(_SEED)
    resampled = np.empty((n_resamples, values.shape[1]))
    step = max(1, _CHUNK_CELLS // n_clusters)
    for start in range(0, n_resamples, step):
        n_rows = min(step, n_resamples - start)
        drawn = rng.integers(n_clusters, size=(n_rows, n_clusters), dtype=np.int32)
        cell = drawn + np.arange(n_rows, dtype=np.int64)[:, None] * n_clusters
        counts = np.bincount(cell.reshape(-1), minlength=n_rows * n_clusters)
        weight = counts.reshape(n_rows, n_clusters).astype(np.float64)
        resampled[start : start + n_rows] = (weight @ total) / (weight @ size)[:, None]
    return BootstrapMeans(total.sum(axis=0) / size.sum(), resampled)


class MeasuredMeans:
    """Means of columns where they were measured; columns are compared where all of them were.

    Args:
        values: float64[Q, P].
        measured: bool[Q, P].
        group: int64[Q], as of `bootstrap_means`.
        n_resamples: R.
    """

    def __init__(
        self, values: _Floats, measured: BoolArray, group: IntArray, *, n_resamples: int
    ) -> None:
        self._values, self._measured, self._group = values, measured, group
        self._n_resamples = n_resamples
        self._found: dict[bytes, BootstrapMeans] = {}

    def count(self, *columns: int) -> int:
        """Number of queries on which all of these columns were measured."""
        return int(self._measured[:, list(columns)].all(axis=1).sum())

    def over(self, *columns: int) -> BootstrapMeans:
        """Means over the queries on which all of these columns were measured, one at least.

        Returns:
            Of all P columns; only these ones mean something.
        """
        rows = self._measured[:, list(columns)].all(axis=1)
        key = rows.tobytes()
        if key not in self._found:
            self._found[key] = bootstrap_means(
                self._values[rows], self._group[rows], n_resamples=self._n_resamples
            )
        return self._found[key]


def gap_closed(
    means: BootstrapMeans, column: int, *, baseline: int, oracle: int
) -> Estimate | None:
    """Share of the way from the best single member to the oracle that a strategy goes.

    Returns:
        (accuracy - best single) / (oracle - best single); below 0 when worse than the best single
        member. None where the oracle gains nothing. Resamples in which it gains nothing are left
        out of the interval.
    """
    gap = float(means.value[oracle] - means.value[baseline])
    if gap <= _NOISE:
        return None
    gaps = means.resampled[:, oracle] - means.resampled[:, baseline]
    gains = means.resampled[:, column] - means.resampled[:, baseline]
    usable = gaps > _NOISE
    gain = float(means.value[column] - means.value[baseline])
    return _estimate(gain / gap, gains[usable] / gaps[usable])


class Comparison(NamedTuple):
    """Accuracy of a strategy at a number of calls, and its gain over another one there."""

    accuracy: Estimate
    gain: Estimate


def accuracy_at(
    per_query: pa.Table,
    strategy: str,
    mean_calls: float,
    *,
    versus: str = BEST_SINGLE,
    n_resamples: int = 2000,
) -> Comparison | None:
    """Accuracy along a strategy's frontier where it makes so many calls a query on average.

    Both strategies are taken at the same number of calls, so that agreement stopping, say, can be
    compared with RL-Focal at equal price. `Frontier.at` says how the frontier is interpolated.

    Args:
        per_query: the rows of a benchmark.
        strategy: which strategy.
        mean_calls: calls a query, on average.
        versus: the strategy that the gain is over.
        n_resamples: bootstrap resamples.

    Returns:
        None where either strategy cannot do with so few calls. Where responses are missing, over
        the queries on which both were measured at every operating point.

    Raises:
        KeyError: a strategy was not benchmarked.
    """
    table = scores(per_query)
    own = [i for i, (name, _) in enumerate(table.points) if name in (strategy, versus)]
    table = table.take(own).measured_everywhere()
    mixed = [frontier(table, name).at(mean_calls) for name in (strategy, versus)]
    if any(column is None for column in mixed):
        return None
    columns = np.stack([column for column in mixed if column is not None], axis=1)
    means = bootstrap_means(columns, table.group, n_resamples=n_resamples)
    return Comparison(means.mean(0), means.difference(0, 1))


class Frontier(NamedTuple):
    """The operating points of one strategy by rising spend; points of equal spend are mixed."""

    spend: _Floats
    """float64[L], rising: mean calls or USD a query."""
    score: _Floats
    """float64[Q, L]: expected score of each query."""

    def at(self, budget: float) -> _Floats | None:
        """Expected score of each query when two neighbouring points are mixed by a coin.

        Between two points the dearer one is taken with the probability that meets the budget; above
        the dearest point the calls left over are not made.

        Args:
            budget: mean spend a query: calls, or USD.

        Returns:
            float64[Q], or None when the cheapest point spends more than that.
        """
        tolerance = _SAME_SPEND * self.spend[-1]
        if budget < self.spend[0] - tolerance:
            return None
        upper = int(np.searchsorted(self.spend, budget - tolerance))
        if upper == len(self.spend):
            return self.score[:, -1]
        if upper == 0 or self.spend[upper] <= budget + tolerance:
            return self.score[:, upper]
        low, high = self.spend[upper - 1], self.spend[upper]
        weight = (budget - low) / (high - low)
        return np.asarray((1 - weight) * self.score[:, upper - 1] + weight * self.score[:, upper])


def frontier(table: Scores, strategy: str, *, axis: Axis = "calls") -> Frontier:
    """Order the operating points of a strategy (every dial, and the default) by what they spend.

    Points that spend more and score less stay in: leaving them out would choose by test labels and
    flatter the frontier. Points of equal mean spend are mixed evenly. Along calls, a point that
    makes at least as many as another one for less money is left out: a dial that was turned to
    save money asks more members that are cheap, and is no way to spend a number of calls.

    Raises:
        KeyError: the strategy was not benchmarked.
    """
    columns = [i for i, (name, _) in enumerate(table.points) if name == strategy]
    if not columns:
        raise KeyError(f"{strategy} is not among the benchmarked strategies")
    calls, cost = (spend[:, columns].mean(axis=0) for spend in (table.n_calls, table.cost))
    if axis == "calls":
        kept = ~_saves_money(calls, cost)
        columns, calls = list(np.array(columns)[kept]), calls[kept]
    spent = calls if axis == "calls" else cost
    order = np.argsort(spent, kind="stable")
    spent = spent[order]
    starts = np.concatenate([[True], np.diff(spent) > _SAME_SPEND * spent[-1]])  # [points]
    level = np.cumsum(starts) - 1
    share = (level[:, None] == np.arange(level[-1] + 1)) / np.bincount(level)  # [points, L]
    return Frontier(spent[starts], table.score[:, columns][:, order] @ share)


def _saves_money(calls: _Floats, cost: _Floats) -> NDArray[np.bool_]:
    """bool[P]: where another point makes no more calls, float64[P], and costs more, float64[P]."""
    no_more = calls <= calls[:, None] + _SAME_SPEND * calls.max()
    dearer = cost > cost[:, None] + _SAME_SPEND * cost.max()
    return np.asarray((no_more & dearer).any(axis=1))


def _estimate(value: float, resampled: _Floats) -> Estimate:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(value, float(low), float(high))
