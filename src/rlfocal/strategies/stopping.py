"""Stopping at a threshold or a cap on calls, the pair that follows from the price of a call.

Axes: H thresholds, L caps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.dial import PRICES, checked_price, most_worth
from rlfocal.deliberation.state import Row
from rlfocal.numbers import Float64Array
from rlfocal.records import IntArray

__all__ = ["StoppingGrid", "StopsByPrice"]


class StoppingGrid(NamedTuple):
    """What every pair of settings earned and cost on labelled queries."""

    thresholds: Float64Array
    """float64[H], ascending."""
    caps: IntArray
    """int64[L], ascending, the last one N."""
    score: Float64Array
    """float64[H, L]: mean score, over the queries of which a member asked has a record."""
    cost: Float64Array
    """float64[H, L]: mean cost of a query, in average calls."""

    def best(self, price: float) -> tuple[float, int]:
        """Threshold and cap that are worth most at a price, see `most_worth`."""
        h, k = divmod(most_worth(self.score, self.cost, price), len(self.caps))
        return float(self.thresholds[h]), int(self.caps[k])


class StopsByPrice(Base):
    """Has a threshold and a cap, the pair with the highest mean of score - lambda · cost.

    Its `fit` leaves the arrays of a `StoppingGrid`, measured on training queries.

    Args:
        price: lambda, the price of an average call as a share of a right answer's worth, in
            [0.001, 0.3], or 0; the same dial as that of `rl-focal`.

    Raises:
        ValueError: a price out of range.
    """

    thresholds_: Float64Array
    caps_: IntArray
    score_: Float64Array
    cost_: Float64Array

    dial: ClassVar[str] = "price"
    dials: ClassVar[tuple[float, ...]] = tuple(np.geomspace(*PRICES[::-1], 12).tolist())
    fitted: ClassVar[Mapping[str, Row]] = {
        "thresholds": Row("float64", "H", 0),
        "caps": Row("int64", "L", 1, "=N"),
        "score": Row("float64", "HL", 0, 1),
        "cost": Row("float64", "HL", 0),
    }

    def __init__(self, *, price: float = 0.002) -> None:
        self.price: float = checked_price(price, within=PRICES)

    def at(self, price: float) -> Self:
        """Return the same fitted strategy at another price.

        Raises:
            ValueError: a price out of range.
        """
        return self._with(price=checked_price(price, within=PRICES))

    @property
    def settings_(self) -> tuple[float, int]:
        """Threshold and cap at the price."""
        grid = StoppingGrid(self.thresholds_, self.caps_, self.score_, self.cost_)
        return grid.best(self.price)
