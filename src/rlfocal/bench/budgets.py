"""Accuracy at equal cost: each learned strategy against the best simple one at the same spend.

The simple one is chosen cell by cell with hindsight, from the very scores that are reported, which
favours it; the learned one gets no such choice. docs/bench.md states the rules. Knows scores alone:
nothing of folds, of files or of how the cells are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.figures.scores import Scores
from rlfocal.bench.statistics import (
    BEST_SINGLE,
    ORACLE,
    Axis,
    Frontier,
    Judgement,
    bootstrap_means,
    frontier,
    judge,
)
from rlfocal.errors import ConfigError

__all__ = [
    "AXIS_TITLES",
    "BUDGETS",
    "EQUAL_COST",
    "REFERENCES",
    "USD_SHARES",
    "BudgetCell",
    "check_budgets",
    "equal_cost",
]

_Floats = NDArray[np.float64]

BUDGETS = (1.5, 2.0, 3.0, 4.0)
"""Default budgets in mean calls a query; "no limit" is always added."""
REFERENCES = (ORACLE, "random")
"""An upper bound and pure chance, which are no rivals."""
USD_SHARES = (0.1, 0.25, 0.5, 0.8, 1.0)
"""Budgets in dollars, as multiples of what the best single member costs a query."""
AXIS_TITLES: dict[Axis, str] = {
    "calls": "mean calls a query",
    "usd": "mean USD a query, in multiples of what the best single member costs",
}
"""The axes in the order in which they are shown, and what a budget on each means."""
_LEAST_QUERIES = 30
"""Fewest queries, measured for all strategies, for a comparison."""
EQUAL_COST = (
    "Each learned strategy against the most accurate simple strategy at the same mean spend. The "
    "simple one is chosen anew at every budget, with hindsight, which favours it. Brackets: 95 % "
    'intervals of the paired difference; "better" and "worse" stand only where they exclude zero. '
    'At "all", no limit, a simple strategy counts at its best setting, a learned one at its '
    "dearest."
)
"""How to read the cells; shown with them."""


@dataclass(frozen=True, kw_only=True)
class BudgetCell:
    """One learned strategy at one budget, against the best simple strategy at that budget."""

    strategy: str
    axis: Axis
    budget: float | None
    """Mean calls or USD a query; None for no limit."""
    accuracy: float
    """Of the learned strategy, in [0, 1]."""
    accuracy_ci: tuple[float, float]
    """95 % interval over queries."""
    rival: str
    """The most accurate simple strategy at this budget, in hindsight."""
    rival_accuracy: float
    difference: float
    """Accuracy minus the rival's, paired by query."""
    difference_ci: tuple[float, float]
    verdict: Judgement
    """"better" or "worse" only where the interval of the difference excludes zero."""
    unit: float | None = None
    """What a budget in USD is told as a multiple of: what the best single member costs a query, of
    those that are compared. None where budgets are told as they are."""

    @property
    def label(self) -> str:
        """The budget as a table names it: "1.5" calls, "0.25" times the best single, "all"."""
        return "all" if self.budget is None else f"{self.budget / (self.unit or 1):.4g}"


def check_budgets(budgets: Sequence[float]) -> tuple[float, ...]:
    """Sort budgets in calls; repeats count once.

    Raises:
        ConfigError: one is not a number of calls; every query takes at least one.

    >>> check_budgets([3, 1.5, 3])
    (1.5, 3.0)
    """
    for budget in budgets:
        if not (math.isfinite(budget) and budget >= 1):
            raise ConfigError(
                f"a budget must be a finite number of mean calls of at least 1, got {budget:g} "
                '("all", no limit, is always added)'
            )
    return tuple(sorted({float(budget) for budget in budgets}))


def equal_cost(
    table: Scores,
    learned: Collection[str],
    budgets: Sequence[float] = BUDGETS,
    *,
    priced: bool = False,
    n_resamples: int = 2000,
    withheld: bool = False,
) -> tuple[BudgetCell, ...]:
    """Compare every learned strategy with the best simple one at each budget.

    Args:
        table: scores of a benchmark in which the best single member ran.
        learned: names of the learned strategies; the others, `REFERENCES` apart, are simple.
        budgets: mean calls a query; "all" is added.
        priced: whether `cost` is in USD; then the dollar axis is compared too.
        n_resamples: bootstrap resamples behind every interval.
        withheld: whether too much is missing for a verdict.

    Where responses are missing, everything is over the queries on which every strategy was measured
    at every setting; with fewer than 30 of these there are no cells.

    Returns:
        Cells by axis, strategy and rising budget, "all" last. None where the learned strategy or
        every simple one cannot do with so little, hence none without a learned strategy.

    Raises:
        ConfigError: a budget is not a number of calls.
        KeyError: the best single member was not benchmarked.
    """
    names = sorted({name for name, _ in table.points})
    simple = [name for name in names if name not in {*learned, *REFERENCES}]
    learned = [name for name in names if name in learned]
    if not learned:
        return ()
    if not table.measured.all():
        used = [i for i, (name, _) in enumerate(table.points) if name in {*learned, *simple}]
        table = table.take(used).measured_everywhere()
        if len(table.group) < _LEAST_QUERIES:
            return ()
    cells = _cells(table, "calls", check_budgets(budgets), learned, simple)
    if priced:
        base = float(frontier(table, BEST_SINGLE, axis="usd").spend[0])
        # A free best member leaves no multiple to compare at; "all" still stands.
        limits = [share * base for share in USD_SHARES] if base > 0 else []
        cells += _cells(table, "usd", limits, learned, simple, unit=base or None)
    if not cells:
        return ()
    return _with_intervals(cells, table, n_resamples=n_resamples, withheld=withheld)


_Cell = tuple[Callable[..., BudgetCell], _Floats, _Floats]
"""A cell that lacks its figures, and the learned strategy's and its rival's scores, float64[Q]."""


def _cells(
    table: Scores,
    axis: Axis,
    budgets: Sequence[float],
    learned: list[str],
    simple: list[str],
    *,
    unit: float | None = None,
) -> list[_Cell]:
    frontiers = {name: frontier(table, name, axis=axis) for name in (*learned, *simple)}
    base = frontier(table, BEST_SINGLE, axis=axis)
    compared = []
    for budget in (*budgets, None):
        if budget is None:
            found = {name: _best_point(table, name) for name in simple}
        else:
            found = _able({name: _score_at(frontiers[name], budget, base) for name in simple})
        if not found:
            continue
        # By name among equals: the order in which strategies were asked for decides nothing.
        rival = max(found, key=lambda name: _mean(found[name]))
        limit = math.inf if budget is None else budget
        mine = _able({name: _score_at(frontiers[name], limit, base) for name in learned})
        compared.append((budget, mine, rival, found[rival]))
    return [
        (
            partial(BudgetCell, strategy=name, axis=axis, budget=budget, rival=rival, unit=unit),
            mine[name],
            theirs,
        )
        for name in learned
        for budget, mine, rival, theirs in compared
        if name in mine
    ]


def _able(scores: dict[str, _Floats | None]) -> dict[str, _Floats]:
    return {name: score for name, score in scores.items() if score is not None}


def _score_at(own: Frontier, budget: float, base: Frontier) -> _Floats | None:
    """Expected score of each query at a mean spend, float64[Q].

    Below its cheapest point a strategy is mixed by a coin with the best single member, which is
    given the queries that the budget does not let it have. None where that leaves it no query.
    """
    found = own.at(budget)
    if found is not None or budget <= base.spend[0]:
        return found
    weight = (budget - base.spend[0]) / (own.spend[0] - base.spend[0])
    return np.asarray((1 - weight) * base.score[:, 0] + weight * own.score[:, 0])


def _best_point(table: Scores, strategy: str) -> _Floats:
    """The most accurate operating point in hindsight, float64[Q]."""
    columns = [i for i, (name, _) in enumerate(table.points) if name == strategy]
    return table.score[:, max(columns, key=lambda i: _mean(table.score[:, i]))]


def _mean(score: _Floats) -> float:
    """The mean, rounded so that equal accuracies tie whatever the order of their queries."""
    return round(float(score.mean()), 12)


def _with_intervals(
    cells: list[_Cell], table: Scores, *, n_resamples: int, withheld: bool
) -> tuple[BudgetCell, ...]:
    columns = np.stack([mine for _, mine, _ in cells] + [theirs for *_, theirs in cells], axis=1)
    means = bootstrap_means(columns, table.group, n_resamples=n_resamples)
    out = []
    for i, (cell, *_) in enumerate(cells):
        accuracy, difference = means.mean(i), means.difference(i, i + len(cells))
        out.append(
            cell(
                accuracy=accuracy.value,
                accuracy_ci=accuracy.ci,
                rival_accuracy=float(means.value[i + len(cells)]),
                difference=difference.value,
                difference_ci=difference.ci,
                verdict="withheld" if withheld else judge(difference.ci),
            )
        )
    return tuple(out)
