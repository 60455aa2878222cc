"""Requests over time and spending by key, counted by every database, against values by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx2
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from serving import Served

from rlfocal.gateway.dashboard.intervals import edges, width_of
from rlfocal.gateway.dashboard.timeline import Interval, Latency, Timeline
from rlfocal.gateway.store import RequestRow, Store

MakeRow = Callable[..., RequestRow]
NOON = 1_767_268_800.0


def traced(**seconds: float | None) -> dict[str, Any]:
    """A trace in which members answered after so many seconds; None: it failed."""
    asked = [
        {"member": name, "answer": "A", "support": 1.0, "cost": 1.0}
        | ({"failure": "timeout"} if s is None else {"latency_s": s})
        for name, s in seconds.items()
    ]
    return {"rounds": [{"asked": asked}], "kind": "choice"}


def put(store: Store, *rows: RequestRow) -> None:
    with store.connections.write() as connection:
        for row in rows:
            store.log.add_request(connection, row)


def read(
    store: Store, since: float, now: float, timeline: Timeline | None = None
) -> list[Interval]:
    with store.connections.read() as connection:
        return (timeline or Timeline(final_s=60)).read(connection, since, now)


@given(since=st.floats(0, 2e9), span=st.floats(0, 1e9), n=st.integers(1, 60))
def test_intervals_cover_a_span_without_gaps(since: float, span: float, n: int) -> None:
    found = edges(since, since + span, n)
    assert found[0] <= since
    assert since + span < found[-1]
    assert 2 <= len(found) <= n + 3
    widths = {b - a for a, b in pairwise(found)}
    assert widths == {width_of(since + span - since, n)}


def test_an_hour_has_the_same_intervals_whenever_it_ends() -> None:
    moments = NOON + np.random.default_rng(0).uniform(0, 1e6, size=1000)
    assert {width_of(at - (at - 3600), 30) for at in moments.tolist()} == {120}


def test_requests_are_counted_by_what_came_of_them(store: Store, row: MakeRow) -> None:
    statuses = [200, 200, 200, 400, 499, 502, 504]
    rows = [
        row(f"r{k}", None, created_at=NOON - 3600 + 20 * k, status=status, latency_s=float(k + 1))
        for k, status in enumerate(statuses)
    ]
    put(store, *rows, row("late", None, created_at=NOON - 1, latency_s=9.0))
    found = read(store, NOON - 3600, NOON)
    # 30 intervals of two minutes, and the one that has just begun.
    assert len(found) == 31
    assert {one.end - one.start for one in found} == {120}
    assert found[0].start == NOON - 3600
    assert dict(found[0].outcomes) == {"answered": 3, "refused": 1, "left": 1, "failed": 1}
    assert dict(found[1].outcomes) == {"failed": 1}
    # Quantiles are those of what was answered: 1, 2 and 3 seconds.
    assert found[0].latency == (3, 2.0, pytest.approx(2.9))
    assert found[1].latency == Latency(0, None, None)
    assert found[-2].latency == (1, 9.0, 9.0)
    assert not found[-1].outcomes


def test_members_latencies_are_those_of_their_replies(store: Store, row: MakeRow) -> None:
    put(
        store,
        row("r1", None, created_at=NOON - 90, trace=traced(a=1.0, b=4.0)),
        row("r2", None, created_at=NOON - 80, trace=traced(a=2.0, b=None)),
        row("r3", None, created_at=NOON - 70, trace=None),
    )
    (one,) = [i for i in read(store, NOON - 3600, NOON) if i.outcomes]
    assert one.members == {"a": (2, 1.5, pytest.approx(1.95)), "b": (1, 4.0, 4.0)}


def test_of_a_busy_interval_a_fair_part_is_read(store: Store, row: MakeRow) -> None:
    put(
        store,
        *(row(f"r{k}", None, created_at=NOON - 60, trace=traced(a=float(k))) for k in range(95)),
    )
    (one,) = [
        i for i in read(store, NOON - 3600, NOON, Timeline(final_s=60, most_read=10)) if i.outcomes
    ]
    assert one.n_requests == 95
    found = one.members["a"]
    # Every tenth of them, from the first to the last.
    assert found.n in (9, 10)
    assert found.p50_s == pytest.approx(47, abs=6)


def test_what_is_over_is_counted_once(store: Store, row: MakeRow) -> None:
    timeline = Timeline(final_s=300)
    put(store, *(row(f"r{k}", None, created_at=NOON - 60 * k) for k in range(60)))
    statements: list[str] = []

    def note(*event: Any) -> None:
        statements.append(event[2])

    sa.event.listen(store.connections.engine, "before_cursor_execute", note)
    first = read(store, NOON - 3600, NOON, timeline)
    n_first = len(statements)
    statements.clear()
    # One that came late into an interval that was not final yet is seen.
    put(store, row("late", None, created_at=NOON - 200))
    statements.clear()
    again = read(store, NOON - 3599, NOON + 1, timeline)
    assert sum(one.n_requests for one in again) == sum(one.n_requests for one in first) + 1
    # The first one, those of the last five minutes, and the present one.
    assert len(statements) <= n_first / 5
    # After a while all are counted anew, since bills may have been settled by hand.
    statements.clear()
    read(store, NOON - 2400, NOON + 1200, timeline)
    assert len(statements) > n_first / 2


def test_keys_and_their_sums(store: Store, row: MakeRow, add_key: Callable[..., Any]) -> None:
    web, bot = add_key("web").key, add_key("bot").key
    put(
        store,
        row("r1", web, created_at=NOON - 100, usd=0.5, unsettled_usd=0.1),
        row("r2", web, created_at=NOON - 50, usd=0.25, n_unpriced=2, status=502),
        row("r3", bot, created_at=NOON - 3000, usd=1.0),
        row("r4", None, created_at=NOON - 2000, usd=2.0),
    )
    found = read(store, NOON - 3600, NOON)
    sums: dict[str | None, list[float]] = {}
    for one in found:
        for key_id, total in one.keys.items():
            there = sums.setdefault(key_id, [0, 0.0, 0.0, 0])
            sums[key_id] = [
                there[0] + total.n_requests, there[1] + total.usd,
                there[2] + total.unsettled_usd, there[3] + total.n_unpriced,
            ]  # fmt: skip
    assert sums == {web.id: [2, 0.75, 0.1, 2], bot.id: [1, 1.0, 0.0, 0], None: [1, 2.0, 0.0, 0]}
    assert sum(one.as_json()["usd"] for one in found) == pytest.approx(3.75)
    (last,) = [one.keys[web.id].last_at for one in found if web.id in one.keys]
    assert last == NOON - 50


def get(served: Served, path: str) -> Any:
    reply = httpx2.get(served.url + path, headers=served.headers, timeout=30)
    assert reply.status_code == 200
    return reply.json()


def test_the_route_lists_keys_without_what_proves_them(
    serve: Callable[..., Any], ask: Callable[..., Any]
) -> None:
    with serve() as (served, _):
        plain = served.add_key("web", usd=5.0, period="day")
        gone = served.add_key("gone")
        with served.store.connections.write() as connection:
            served.store.keys.revoke(connection, gone, now=time.time())
        assert ask(served, "3 + 4 =", key=plain).status_code == 200
        assert ask(served, "3 + 4 =", key="rlf_abcdefgh_" + "x" * 43).status_code == 401
        deadline = time.monotonic() + 30
        while True:
            found = get(served, "/dashboard/traffic?window=15m")
            if any(sum(one["outcomes"].values()) for one in found["intervals"]):
                break
            assert time.monotonic() < deadline
            time.sleep(0.5)
        rows = {one["name"]: one for one in found["keys"]}
        web = rows["web"]
        assert (web["n_requests"], web["state"], web["period"]) == (1, "active", "day")
        assert web["usd"] > 0
        assert web["left_usd"] == pytest.approx(5 - web["period_usd"])
        assert web["last_at"] == pytest.approx(time.time(), abs=60)
        assert (rows["gone"]["state"], rows["gone"]["n_requests"]) == ("revoked", 0)
        assert rows["gone"]["left_usd"] is None
        # Who spent most stands first.
        assert found["keys"][0]["name"] == "web"
        assert found["turned_away"] == {"invalid_api_key": 1}
        text = str(found)
        with served.store.connections.read() as connection:
            digests = connection.execute(sa.text("SELECT digest FROM gateway_keys")).scalars()
            assert not [d for d in digests if d in text]
        assert plain not in text
        assert np.isfinite([one["usd"] for one in found["intervals"]]).all()
        assert found["members"] == ["plain", "letters", "sampled", "hasty"]
