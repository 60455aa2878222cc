"""Means of scores with what is known of their uncertainty, as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlfocal.numbers import wilson

__all__ = ["estimate"]


def estimate(scores: Sequence[float]) -> dict[str, Any]:
    """Mean, interval and count of scores in [0, 1]; no mean where there is none."""
    n = len(scores)
    if not n:
        return {"n": 0, "mean": None, "low": None, "high": None}
    mean = min(1.0, sum(scores) / n)
    low, high = wilson(mean, n)
    return {"n": n, "mean": mean, "low": float(low), "high": float(high)}
