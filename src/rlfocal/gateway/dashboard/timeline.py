"""Requests, latency and money in intervals of time, counted by the database.

An interval that is over does not change any more, so it is counted once, and who looks again costs
no more than the last one or two. Members' latencies are in the traces, which only this process can
read: of an interval with many requests every k-th one is read.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.completion import GONE
from rlfocal.gateway.dashboard.intervals import edges
from rlfocal.gateway.store.schema import requests

__all__ = [
    "MOST_READ",
    "N_INTERVALS",
    "Interval",
    "KeySum",
    "Latency",
    "Timeline",
    "latency_of",
    "outcome_of",
]

N_INTERVALS = 30
MOST_READ = 200
"""Traces of one interval."""
_MOST_KEPT = 4 * N_INTERVALS
_KEPT_S = 600.0
"""Bills that are settled by hand change even what is long over."""


class Latency(NamedTuple):
    """Seconds: the median, and what 95 % stay below."""

    n: int
    p50_s: float | None
    p95_s: float | None


@dataclass
class KeySum:
    """What a key's requests came to."""

    n_requests: int = 0
    usd: float = 0.0
    unsettled_usd: float = 0.0
    n_unpriced: int = 0
    """Replies whose price nobody knows."""
    last_at: float = 0.0
    """When the last one came, in seconds since 1970."""

    def add(self, other: KeySum) -> None:
        """Count those of another, too."""
        self.n_requests += other.n_requests
        self.usd += other.usd
        self.unsettled_usd += other.unsettled_usd
        self.n_unpriced += other.n_unpriced
        self.last_at = max(self.last_at, other.last_at)


@dataclass(frozen=True)
class Interval:
    """Requests that came in [start, end)."""

    start: float
    end: float
    outcomes: Mapping[str, int]
    """By `outcome_of`."""
    latency: Latency
    """Of whole requests that were answered."""
    members: Mapping[str, Latency]
    """Of members' replies."""
    keys: Mapping[str | None, KeySum]

    @property
    def n_requests(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values; keys are left out, they stand in a list of their own."""
        return {
            "start": self.start,
            "end": self.end,
            "outcomes": dict(self.outcomes),
            "latency": self.latency._asdict(),
            "members": {name: found._asdict() for name, found in self.members.items()},
            "usd": sum(one.usd for one in self.keys.values()),
            "n_unpriced": sum(one.n_unpriced for one in self.keys.values()),
        }


def outcome_of(status: int) -> str:
    """What came of a request, by its status.

    >>> [outcome_of(status) for status in (200, 400, 499, 504)]
    ['answered', 'refused', 'left', 'failed']
    """
    if status < 400:
        return "answered"
    if status == GONE:
        return "left"
    return "refused" if status < 500 else "failed"


def latency_of(seconds: Sequence[float]) -> Latency:
    """Quantiles, interpolated between neighbours."""
    if not seconds:
        return Latency(0, None, None)
    p50, p95 = np.quantile(seconds, [0.5, 0.95]).tolist()
    return Latency(len(seconds), p50, p95)


class Timeline:
    """Counts requests in intervals.

    Args:
        final_s: seconds after its end when no request of an interval is under way any more.
        most_read: traces of one interval that are read.
    """

    def __init__(self, *, final_s: float, most_read: int = MOST_READ) -> None:
        self._final_s, self._most_read = final_s, most_read
        self._kept: dict[tuple[float, float], tuple[float, Interval]] = {}
        self._lock = threading.Lock()

    def read(self, connection: sa.Connection, since: float, now: float) -> list[Interval]:
        """The intervals from the one of a moment to the present one, oldest first; blocks."""
        with self._lock:
            found: list[Interval] = []
            for start, end in pairwise(edges(since, now, N_INTERVALS)):
                counted_at, one = self._kept.get((start, end), (0.0, None))
                if one is None or now - counted_at > _KEPT_S:
                    one = self._count(connection, start, end)
                    # The log loses its oldest requests, so the first one does change.
                    if found and end + self._final_s < now:
                        self._kept[start, end] = now, one
                found.append(one)
            for known in list(self._kept)[: max(0, len(self._kept) - _MOST_KEPT)]:
                del self._kept[known]
            return found

    def _count(self, connection: sa.Connection, start: float, end: float) -> Interval:
        within = {"start": start, "end": end}
        outcomes: Counter[str] = Counter()
        keys: defaultdict[str | None, KeySum] = defaultdict(KeySum)
        n_answered = 0
        for key_id, status, *sums in connection.execute(_SUMS, within):
            outcomes[outcome_of(status)] += sums[0]
            keys[key_id].add(KeySum(*sums))
            n_answered += sums[0] * (status == 200)
        every = -(-sum(outcomes.values()) // self._most_read) or 1
        traces = connection.scalars(_TRACES, within | {"every": every}).all()
        return Interval(
            start, end, outcomes,
            _whole(connection, within, n_answered), _members(traces), keys,
        )  # fmt: skip


def _whole(connection: sa.Connection, within: Mapping[str, float], n: int) -> Latency:
    """Quantiles of n answered requests: sorted by the database, which lets others go on."""

    def quantile(share: float) -> float | None:
        place = share * (n - 1)
        two = connection.scalars(_SORTED, dict(within) | {"skipped": int(place)}).all()
        return float(np.interp(place % 1, [0, 1], [two[0], two[-1]])) if two else None

    return Latency(n, quantile(0.5), quantile(0.95)) if n else latency_of(())


def _members(traces: Iterable[Mapping[str, Any]]) -> dict[str, Latency]:
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    for trace in traces:
        for part in Trace.of_json(trace).rounds:
            for call in part.asked:
                if call.failure is None and call.latency_s is not None:
                    seconds[call.member].append(call.latency_s)
    return {name: latency_of(found) for name, found in seconds.items()}


_within = (
    requests.c.created_at >= sa.bindparam("start"),
    requests.c.created_at < sa.bindparam("end"),
)
_SUMS = (
    sa.select(
        requests.c.key_id,
        requests.c.status,
        sa.func.count(),
        sa.func.sum(requests.c.usd),
        sa.func.sum(requests.c.unsettled_usd),
        sa.cast(sa.func.sum(requests.c.n_unpriced), sa.Integer),
        sa.func.max(requests.c.created_at),
    )
    .where(*_within)
    .group_by(requests.c.key_id, requests.c.status)
)
_SORTED = (
    sa.select(requests.c.latency_s)
    .where(*_within, requests.c.status == 200)
    .order_by(requests.c.latency_s)
    .limit(2)
    .offset(sa.bindparam("skipped"))
)
_TRACES = (
    sa.select(requests.c.trace)
    .where(*_within, requests.c.trace.is_not(None))
    .where(requests.c.position % sa.bindparam("every", type_=sa.Integer) == 0)
)
"""Positions are counted through, so that every k-th of them is a fair part."""
