"""From a price to the setting of a dial: what earned most in training, less the price of its calls.

Every strategy takes a price on one scale: lambda, what an average call costs as a share of what a
right answer is worth. Where a strategy is set by something else (a threshold, a number of members),
it measures in training what its settings earn and cost.
"""

from __future__ import annotations

import math

import numpy as np

from rlfocal.deliberation.state import Row
from rlfocal.numbers import Float64Array

__all__ = ["MEASURED", "PRICES", "checked_price", "most_worth"]

MEASURED = Row("float64", "s3", 0)
"""Settings of a dial, with the mean score and the mean cost, in average calls, of each."""
PRICES = (0.001, 0.3)
"""Least and highest price, apart from 0, of strategies that settle everything by price: the range
of `rl-focal`."""
_TIE = 1e-12
"""Utilities nearer than this are equal, so that rounding never decides."""


def most_worth(score: Float64Array, cost: Float64Array, price: float) -> int:
    """Place, in the flat array, of the highest score - price · cost.

    Ties go to the cheaper, then to the first. So a higher price never buys a higher cost.

    Args:
        score: float64[...], mean scores.
        cost: float64[...] of the same shape, in average calls.
        price: lambda.

    >>> most_worth(np.array([0.8, 0.9, 0.9]), np.array([1.0, 3.0, 2.0]), 0.05)
    2
    >>> most_worth(np.array([0.8, 0.9, 0.9]), np.array([1.0, 3.0, 2.0]), 0.2)
    0
    """
    utility = score - price * cost
    tied = utility >= utility.max() - _TIE
    return int(np.where(tied, cost.round(12), np.inf).argmin())


def checked_price(price: float, *, within: tuple[float, float] | None = None) -> float:
    """Check the price of a call.

    Args:
        price: lambda.
        within: least and highest price apart from 0; None for any.

    Raises:
        ValueError: it is no price, or beyond that range.
    """
    if within is not None and price != 0:
        low, high = within
        if not low * 0.999 <= price <= high * 1.001:
            raise ValueError(
                f"the price of a call must lie in [{low}, {high}] or be 0, got {price}"
            )
    if not (math.isfinite(price) and price >= 0):
        raise ValueError(f"the price of a call must be finite and >= 0, got {price}")
    return float(price)
