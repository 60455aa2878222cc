"""How right the ensemble is by feedback, all at once and over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rlfocal.gateway.dashboard.history import Judged, Seen
from rlfocal.gateway.dashboard.intervals import estimate

__all__ = ["accuracy", "over_time"]

_N_BINS = 12
_WIDTHS_S = (1, 5, 15, 60, 300, 900, 3600, 7200, 21600, 86400, 604800)
"""Of a bin, so that their edges are round."""


def accuracy(seen: Sequence[Seen], judged: Mapping[str, Judged]) -> dict[str, Any]:
    """Of the requests that were judged."""
    return estimate([judged[r.id].earned for r in seen if r.id in judged])


def over_time(
    seen: Sequence[Seen], judged: Mapping[str, Judged], *, since: float, now: float
) -> list[dict[str, Any]]:
    """Requests and their accuracy in bins of the time they came in.

    Args:
        seen: requests since then, oldest first.
        judged: by their ids.
        since: seconds since 1970.
        now: seconds since 1970.
    """
    width = _width(now - since)
    first, last = math.floor(since / width), math.floor(now / width)
    bins: dict[int, list[Seen]] = {k: [] for k in range(first, last + 1)}
    for request in seen:
        place = math.floor(request.created_at / width)
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
