"""How right the ensemble is by feedback, all at once and over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rlfocal.gateway.dashboard.history import LoggedRequest
from rlfocal.gateway.store.rows import FeedbackRow
from rlfocal.numbers import wilson

__all__ = ["accuracy", "mean_score", "over_time"]

_N_BINS = 12
_WIDTHS_S = (1, 5, 15, 60, 300, 900, 3600, 7200, 21600, 86400, 604800)
"""Of a bin, so that their edges are round."""


def mean_score(scores: Sequence[float]) -> dict[str, Any]:
    """Mean, 95 % interval and count of scores in [0, 1]; no mean where there is none."""
    n = len(scores)
    if not n:
        return {"n": 0, "mean": None, "low": None, "high": None}
    mean = min(1.0, sum(scores) / n)
    low, high = wilson(mean, n)
    return {"n": n, "mean": mean, "low": float(low), "high": float(high)}


def accuracy(seen: Sequence[LoggedRequest], judged: Mapping[str, FeedbackRow]) -> dict[str, Any]:
    """Mean score of the requests that were judged."""
    return mean_score([judged[r.row.id].earned for r in seen if r.row.id in judged])


def over_time(
    seen: Sequence[LoggedRequest], judged: Mapping[str, FeedbackRow], *, since: float, now: float
) -> list[dict[str, Any]]:
    """Requests, oldest first, and their accuracy in bins of the time they came in."""
    width = _width(now - since)
    first, last = math.floor(since / width), math.floor(now / width)
    bins: dict[int, list[LoggedRequest]] = {k: [] for k in range(first, last + 1)}
    for request in seen:
        place = math.floor(request.row.created_at / width)
        bins[min(max(place, first), last)].append(request)
    return [
        {
            "start": k * width,
            "end": (k + 1) * width,
            "n_requests": len(within),
            "accuracy": accuracy(within, judged),
        }
        for k, within in bins.items()
    ]


def _width(span_s: float) -> float:
    least = span_s / _N_BINS
    return next((w for w in _WIDTHS_S if w >= least), math.ceil(least / 604800) * 604800)
