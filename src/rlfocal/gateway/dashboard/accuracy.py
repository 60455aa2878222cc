"""How right the ensemble is by feedback, all at once and over time."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from rlfocal.gateway.dashboard.history import LoggedRequest
from rlfocal.gateway.dashboard.intervals import edges
from rlfocal.gateway.store.rows import FeedbackRow
from rlfocal.numbers import Z_95, wilson

__all__ = ["accuracy", "mean_difference", "mean_score", "over_time"]

_N_BINS = 12


def mean_score(scores: Sequence[float]) -> dict[str, Any]:
    """Mean, 95 % interval and count of scores in [0, 1]; no mean where there is none."""
    n = len(scores)
    if not n:
        return {"n": 0, "mean": None, "low": None, "high": None}
    mean = min(1.0, sum(scores) / n)
    low, high = wilson(mean, n)
    return {"n": n, "mean": mean, "low": float(low), "high": float(high)}


def mean_difference(scores: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    """Mean of scores less others of the same requests, with its 95 % interval (normal).

    >>> mean_difference([1.0, 1.0], [1.0, 1.0])
    {'n': 2, 'mean': 0.0, 'low': 0.0, 'high': 0.0}
    """
    n = len(scores)
    if not n:
        return {"n": 0, "mean": None, "low": None, "high": None}
    each = np.subtract(scores, others)
    mean, error = float(each.mean()), float(each.std(ddof=1)) / math.sqrt(n) if n > 1 else 1.0
    return {"n": n, "mean": mean, "low": mean - Z_95 * error, "high": mean + Z_95 * error}


def accuracy(seen: Sequence[LoggedRequest], judged: Mapping[str, FeedbackRow]) -> dict[str, Any]:
    """Mean score of the requests that were judged."""
    return mean_score([judged[r.row.id].earned for r in seen if r.row.id in judged])


def over_time(
    seen: Sequence[LoggedRequest], judged: Mapping[str, FeedbackRow], *, since: float, now: float
) -> list[dict[str, Any]]:
    """Requests, oldest first, and their accuracy in bins of the time they came in."""
    found = edges(since, now, _N_BINS)
    bins: list[list[LoggedRequest]] = [[] for _ in found[1:]]
    for request in seen:
        # Clocks differ a little: who came before the first or after the last belongs to it.
        place = bisect(found, request.row.created_at) - 1
        bins[min(max(place, 0), len(bins) - 1)].append(request)
    return [
        {
            "start": start,
            "end": end,
            "n_requests": len(within),
            "accuracy": accuracy(within, judged),
        }
        for (start, end), within in zip(pairwise(found), bins, strict=True)
    ]
