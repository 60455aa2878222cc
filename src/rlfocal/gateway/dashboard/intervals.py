"""Means of scores with what is known of their uncertainty, as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

__all__ = ["estimate", "wilson"]

_Z_95 = 1.959963984540054


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share; for graded scores an upper bound on its width.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    >>> [round(bound, 3) for bound in wilson(0.5, 100)]
    [0.404, 0.596]
    """
    z2 = _Z_95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    # Rounding must not push the bounds past the share itself where it is 0 or 1.
    return min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)


def estimate(scores: Sequence[float]) -> dict[str, Any]:
    """Mean, interval and count of scores in [0, 1]; no mean where there is none."""
    n = len(scores)
    if not n:
        return {"n": 0, "mean": None, "low": None, "high": None}
    mean = min(1.0, sum(scores) / n)
    low, high = wilson(mean, n)
    return {"n": n, "mean": mean, "low": low, "high": high}
