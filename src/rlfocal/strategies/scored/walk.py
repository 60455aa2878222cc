"""Training queries followed in a fixed order: one walk measures every place where one may stop.

Axes: Q queries, K calls, H thresholds, L caps on calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.recorded import reveal, worth_of
from rlfocal.deliberation.replay import best_answer
from rlfocal.deliberation.view import View
from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.stopping import StoppingGrid

__all__ = ["Looked", "Walk", "next_of", "walk"]

_CHUNK_ROWS = 4096
"""Queries shown at once; bounds memory, changes no result."""


class Looked(NamedTuple):
    """What a strategy makes of the views of B queries."""

    sure: NDArray[np.floating]
    """float[B]: what a threshold is held against."""
    answer: FloatArray
    """float32[B, C], see `Decision.answer`."""


def next_of(order: IntArray, asked: BoolArray) -> BoolArray:
    """bool[B, N]: the first member of an order that was not asked; nobody where all were.

    Args:
        order: int64[K] or, by query, int64[B, K], members.
        asked: bool[B, N].
    """
    orders = np.broadcast_to(order, (len(asked), order.shape[-1]))
    left = ~np.take_along_axis(asked, orders, axis=1)
    first = left.argmax(axis=1)[:, None]
    ask = np.zeros_like(asked)
    np.put_along_axis(ask, np.take_along_axis(orders, first, axis=1), True, axis=1)
    return np.asarray(ask & left.any(axis=1, keepdims=True))


class Walk(NamedTuple):
    """Q queries after 1, 2, ... K calls, whatever was said."""

    sure: Float64Array
    """float64[K, Q]."""
    worth: Float64Array
    """float64[K, Q]: of the answer."""
    cost: Float64Array
    """float64[K, Q], in average calls."""
    measured: BoolArray
    """bool[K, Q]: whether anything is recorded of those asked."""

    def grid(self, thresholds: Float64Array, caps: Sequence[int]) -> StoppingGrid:
        """What stopping at each threshold, or at the cap, earns and costs.

        Args:
            thresholds: float64[H], ascending.
            caps: L numbers in 1..K, ascending.
        """
        n_steps, n_queries = self.sure.shape
        rows = np.arange(n_queries)
        score, cost = np.zeros((2, len(thresholds), len(caps)))
        for h, threshold in enumerate(thresholds):
            passed = self.sure >= threshold
            stop = np.where(passed.any(axis=0), passed.argmax(axis=0), n_steps - 1)
            for k, cap in enumerate(caps):
                at = np.minimum(stop, cap - 1), rows
                known = max(1, int(self.measured[at].sum()))
                score[h, k] = self.worth[at].sum() / known
                cost[h, k] = self.cost[at].sum() / known
        return StoppingGrid(thresholds, np.array(caps), score, cost)


def walk(table: ResponseTable, order: IntArray, look: Callable[[IntArray, View], Looked]) -> Walk:
    """Follow every query of a table.

    Args:
        table: labelled queries.
        order: int64[K] or, by query, int64[Q, K], members.
        look: from rows int64[B] of the table and their view to what is seen.
    """
    orders = np.broadcast_to(order, (table.n_queries, order.shape[-1]))
    sure, worth, spent = np.zeros((3, orders.shape[1], table.n_queries))
    measured = np.zeros(sure.shape, dtype=bool)
    asked = np.zeros(table.answer.shape, dtype=bool)
    for step in range(orders.shape[1]):
        np.put_along_axis(asked, orders[:, step : step + 1], True, axis=1)
        spent[step] = (table.cost * asked).sum(axis=1, dtype=np.float64)
        measured[step] = (table.recorded & asked).any(axis=1)
        for start in range(0, table.n_queries, _CHUNK_ROWS):
            rows = np.arange(start, min(start + _CHUNK_ROWS, table.n_queries))
            view = reveal(table, rows, asked[rows], n_rounds=np.full(len(rows), step + 1))
            seen = look(rows, view)
            place, _ = best_answer(view.available, seen.answer)
            sure[step, rows] = seen.sure
            worth[step, rows] = worth_of(table, rows, asked[rows], place)
    return Walk(sure, worth, spent / table.call_cost(), measured)
