"""Requests over time, and what each key has spent: every request that is kept counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from rlfocal.gateway.dashboard.timeline import MOST_READ, Interval, KeySum, Timeline
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.store.keys import KeyUse
from rlfocal.gateway.store.schema import requests, spending

__all__ = ["MOST_KEYS", "traffic"]

MOST_KEYS = 500
"""That are shown, those that spent most in the time looked back on first."""


def traffic(
    gateway: Gateway, timeline: Timeline, at: float, window: str, *, span_s: float | None
) -> dict[str, Any]:
    """Compute the figures; blocks.

    Args:
        gateway: as it stands just now.
        timeline: counts requests, and remembers intervals that are over.
        at: seconds since 1970.
        window: its name.
        span_s: seconds that are looked back; None for all that is kept.
    """
    store = gateway.store
    with store.connections.read() as connection:
        since = at - span_s if span_s else connection.scalar(_OLDEST) or at
        intervals = timeline.read(connection, since, at)
        uses = store.keys.uses(connection, at)
        last_days = {key_id: day for key_id, day in connection.execute(_LAST_DAYS)}
    totals: defaultdict[str | None, KeySum] = defaultdict(KeySum)
    for one in intervals:
        for key_id, found in one.keys.items():
            totals[key_id].add(found)
    return {
        "at": at,
        "window": {"name": window, "since": intervals[0].start},
        "members": list(gateway.member_names),
        "intervals": [one.as_json() for one in intervals],
        "n_read": MOST_READ if _is_sampled(intervals) else None,
        "turned_away": _turned_away(gateway),
        "keys": _keys(uses, totals, last_days, at),
        "n_keys": len(uses),
    }


def _is_sampled(intervals: Sequence[Interval]) -> bool:
    return any(one.n_requests > MOST_READ for one in intervals)


def _turned_away(gateway: Gateway) -> dict[str, int]:
    """Code → requests that did not pass the door of this process; the log has none of them."""
    (family,) = gateway.metrics.refused.collect()
    counted = {
        one.labels["code"]: int(one.value) for one in family.samples if one.name.endswith("_total")
    }
    # Those had passed the door and are in the log.
    return {code: n for code, n in counted.items() if n and code != "members_rate_limited"}


def _keys(
    uses: Sequence[KeyUse],
    totals: Mapping[str | None, KeySum],
    last_days: Mapping[str, str],
    now: float,
) -> list[dict[str, Any]]:
    rows = []
    for use in uses:
        key, total = use.key, totals.get(use.key.id, KeySum())
        budget = key.limits.usd
        rows.append(
            {
                "id": key.id,
                "name": key.name,
                "admin": key.admin,
                "state": key.state(now),
                "expires_at": key.expires_at,
                "period": key.limits.period,
                "budget_usd": budget,
                "period_usd": use.spent_usd,
                "left_usd": None if budget is None else max(0.0, budget - use.spent_usd),
                **_sums(total),
                "last_at": total.last_at or None,
                "last_day": last_days.get(key.id),
            }
        )
    if None in totals:
        rows.append({"id": None, "name": None, **_sums(totals[None])})
    rows.sort(key=lambda row: (-row["usd"], -row["n_requests"], row["name"] or ""))
    return rows[:MOST_KEYS]


def _sums(total: KeySum) -> dict[str, Any]:
    return {
        "n_requests": total.n_requests,
        "usd": total.usd,
        "uncertain_cost_usd": total.unsettled_usd,
        "n_unpriced": total.n_unpriced,
        "last_at": total.last_at or None,
    }


_OLDEST = sa.select(sa.func.min(requests.c.created_at))
_LAST_DAYS = sa.select(spending.c.key_id, sa.func.max(spending.c.day)).group_by(spending.c.key_id)
