"""Spans of time with round edges, into which requests are counted."""

from __future__ import annotations

import math

__all__ = ["edges", "width_of"]

_WIDTHS_S = (
    1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800,
)  # fmt: skip


def width_of(span_s: float, n: int) -> float:
    """Seconds of an interval, so that about n of them, and not more than n + 1, cover a span.

    >>> width_of(3600, 30), width_of(86400, 30), width_of(0, 30)
    (120, 3600, 1)
    """
    # A span is a difference of moments: its last digits are rounded.
    least = span_s / n * (1 - 1e-6)
    return next((w for w in _WIDTHS_S if w >= least), math.ceil(least / 604800) * 604800)


def edges(since: float, now: float, n: int) -> list[float]:
    """Edges of the intervals from that moment to this, both within; at least two.

    >>> edges(3605, 3725, 3)
    [3600, 3660, 3720, 3780]
    >>> edges(9000, 3725, 3)  # the clock was ahead
    [3725, 3726]
    """
    since = min(since, now)
    width = width_of(now - since, n)
    return [k * width for k in range(math.floor(since / width), math.floor(now / width) + 2)]
