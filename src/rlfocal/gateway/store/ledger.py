"""What keys may still use: rates, requests under way, dollars; and how a request is settled.

`admit` looks and reserves in one transaction, beside which nobody else writes. So several processes
at one database never pass a cap together: what a request may cost at most counts as spent until it
is settled, and if its process is killed until somebody says what it came to (`abandoned`).

A rate is a token bucket: it holds `burst` requests and fills at the rate, so in any t seconds at
most burst + t * rate pass. The burst is what comes in ten seconds, or one request if that is less:
enough for a page that sends several at once, and too little to spend a minute's share in a moment.

A clock that was ahead, by more than clocks of several machines differ, locks nobody out: a bucket's
moment that lies in the future is taken for now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rlfocal.database import Connections
from rlfocal.gateway.store.keys import Key, KeyLimits, key_of_row
from rlfocal.gateway.store.log import Log
from rlfocal.gateway.store.periods import HELD, SPENT, day_of, ends_in_s, starts
from rlfocal.gateway.store.processes import AHEAD_S, LIVES, LOST
from rlfocal.gateway.store.rows import ABANDONED, RequestRow, Spent
from rlfocal.gateway.store.schema import keys, rates, requests, reservations, spending

__all__ = ["Admitted", "Ledger", "Refused", "burst_of"]

BURST_S = 10.0
_SOON_S = 1.0
"""When to try again where another request has to end first."""
_ROUNDING_USD = 1e-9
"""Sums of dollars are a little off: ten times $0.10 fit into $1."""
_ROUNDING = 1e-9
_ADDED = ("usd", "unsettled_usd", "n_requests", "n_calls", "n_prompt_tokens", "n_completion_tokens")


@dataclass(frozen=True)
class Admitted:
    """The request may go on."""


@dataclass(frozen=True)
class Refused:
    """The request may not go on."""

    code: str
    """"invalid_api_key", "rate_limit_exceeded", "concurrency_limit_exceeded" or
    "insufficient_quota"."""
    message: str
    """For the client: which limit, and what to do."""
    retry_after_s: float | None = None
    """When it may succeed; None where waiting does not help."""


def burst_of(requests_per_minute: float) -> float:
    """Requests that may come at once after a pause.

    >>> burst_of(60), burst_of(2)
    (10.0, 1.0)
    """
    return max(1.0, requests_per_minute * BURST_S / 60)


class Ledger:
    """Statements on money and limits. Each takes a connection: a transaction that writes."""

    def __init__(self, connections: Connections, log: Log) -> None:
        self._log = log
        self._put_bucket = connections.upsert(rates, "key_id", "left", "at")
        day = connections.insert(spending)
        self._add_to_day = day.on_conflict_do_update(
            index_elements=["key_id", "day"],
            set_={name: spending.c[name] + day.excluded[name] for name in _ADDED},
        )

    def admit(
        self,
        connection: sa.Connection,
        key: Key,
        request_id: str,
        most_usd: float | None,
        lease_s: float,
        now: float,
        process: str | None = None,
        *,
        n_places: int = 1,
    ) -> Admitted | Refused:
        """Let a request pass, and reserve what it may use; a refused one uses up nothing.

        The key's limits are read afresh. They are looked at in this order: whether it still holds,
        rate, requests under way, budget.

        Args:
            connection: in a transaction that writes.
            key: whose request it is.
            request_id: that no other request has.
            most_usd: dollars that it may cost at most; None where nobody knows.
            lease_s: seconds after which it counts as lost: longer than any request takes.
            now: the moment.
            process: who makes it, by its name in `Processes`; None where that is not known.
            n_places: of those that the key may have at once, taken by it.

        Raises:
            ValueError: `most_usd` is negative or not a number.
        """
        if most_usd is not None and not most_usd >= 0:
            raise ValueError(f"most_usd = {most_usd}: give a number that is not negative")
        row = self._standing(connection, key, now)
        fresh = None if row is None else key_of_row(row)
        if row is None or fresh is None or fresh.state(now) != "active":
            return Refused("invalid_api_key", "the key does not hold any more; ask for another")
        limits = fresh.limits
        left, refused = _take_one(row, limits, now)
        refused = refused or _over_concurrency(row, limits, n_places) or _over_budget(
            row, limits, most_usd, now
        )  # fmt: skip
        if refused is not None:
            return refused
        if left is not None:
            self._fill(connection, key, left, row["at"], now)
        held = {"request_id": request_id, "key_id": key.id, "usd": most_usd or 0.0}
        about = {"until": now + lease_s, "process": process, "n_places": n_places}
        connection.execute(_RESERVE, held | about)
        return Admitted()

    def _standing(
        self, connection: sa.Connection, key: Key, now: float
    ) -> Mapping[str, Any] | None:
        """What a decision on a key's request needs; None where there is no such key."""
        times = {"key_id": key.id, "now": now, **starts(now)}
        found = connection.execute(_STANDING, times).mappings().one_or_none()
        if found is None:
            return None
        if found["at"] is None or found["at"] <= now + AHEAD_S:
            return dict(found)
        # Written down even if the request is refused: or it would never fill.
        self._fill(connection, key, found["left"], None, now)
        return {**found, "at": now}

    def _fill(
        self, connection: sa.Connection, key: Key, left: float, at: float | None, now: float
    ) -> None:
        # Clocks of several machines differ a little: the bucket's own never goes back.
        bucket = {"key_id": key.id, "left": left, "at": now if at is None else max(now, at)}
        connection.execute(self._put_bucket, bucket)

    def charge(self, connection: sa.Connection, key: Key, now: float) -> None:
        """Take one request out of a key's bucket, if there is one, though none came of it."""
        row = self._standing(connection, key, now)
        if row is None:
            return
        left, _ = _take_one(row, key_of_row(row).limits, now)
        if left is not None:
            self._fill(connection, key, left, row["at"], now)

    def release(self, connection: sa.Connection, request_id: str) -> None:
        """Forget a request that was let pass and has not been made."""
        connection.execute(_RELEASE, {"wanted": request_id})

    def finish(self, connection: sa.Connection, row: RequestRow, now: float) -> bool:
        """Write a request down and settle it; False where it was finished before.

        A request that came back after it was given up for lost counts as what it came to.
        """
        if not self._log.add_request(connection, row):
            there = self._log.request(connection, row.id)
            if there is None or there.error != ABANDONED or row.error == ABANDONED:
                return False
            self._undo_sweep(connection, there)
            self._log.add_request(connection, row)
        if row.key_id is not None:
            self.release(connection, row.id)
            self.add_spending(connection, row.key_id, day_of(now), row.spent)
        return True

    def finish_all(self, connection: sa.Connection, rows: Sequence[RequestRow], now: float) -> None:
        """As `finish`, of requests for which nothing was reserved; the first of an id counts.

        Takes as many statements for all of them as for one.
        """
        known = self._log.known(connection, [row.id for row in rows])
        fresh: dict[str, RequestRow] = {}
        for row in rows:
            if row.id not in known:
                fresh.setdefault(row.id, row)
        if not fresh:
            return
        self._log.add_requests(connection, list(fresh.values()))
        day, total = day_of(now), dict[str, dict[str, Any]]()
        for row in fresh.values():
            if row.key_id is None:
                continue
            more = {"n_requests": 1, **row.spent._asdict()}
            so_far = total.setdefault(row.key_id, dict.fromkeys(_ADDED, 0))
            so_far |= {name: so_far[name] + more[name] for name in _ADDED}
        if total:
            added = [{"key_id": key_id, "day": day, **more} for key_id, more in total.items()]
            connection.execute(self._add_to_day, added)

    def sweep(self, connection: sa.Connection, now: float) -> int:
        """Settle requests whose process has fallen silent or whose lease is over: it was killed.

        What each may have cost at most becomes unsettled spending of the day on which it is given
        up (that on which its lease ended), and a row with the error "abandoned" says so.

        Returns:
            How many they were.
        """
        lost = connection.execute(_LOST, {"now": now}).all()
        for request_id, key_id, usd, until in lost:
            ended = min(until, now)
            row = RequestRow(
                id=request_id, key_id=key_id, created_at=ended, model="", task="", policy="",
                status=500, error=ABANDONED, unsettled_usd=usd,
            )  # fmt: skip
            if not self.finish(connection, row, ended):
                self.release(connection, request_id)
        return len(lost)

    def _undo_sweep(self, connection: sa.Connection, there: RequestRow) -> None:
        connection.execute(requests.delete().where(requests.c.id == there.id))
        if there.key_id is not None:
            less = Spent(usd=-there.usd, unsettled_usd=-there.unsettled_usd)
            self.add_spending(
                connection, there.key_id, day_of(there.created_at), less, n_requests=-1
            )

    def add_spending(
        self, connection: sa.Connection, key_id: str, day: str, more: Spent, n_requests: int = 1
    ) -> None:
        """Add to what a key spent on a day, or take from it."""
        row = {"key_id": key_id, "day": day, "n_requests": n_requests, **more._asdict()}
        connection.execute(self._add_to_day, row)


def _take_one(
    row: Mapping[str, Any], limits: KeyLimits, now: float
) -> tuple[float | None, Refused | None]:
    """What is left in the bucket without this request, or why it may not pass."""
    if limits.requests_per_minute is None:
        return None, None
    burst, per_s = burst_of(limits.requests_per_minute), limits.requests_per_minute / 60
    left = burst
    if row["left"] is not None:
        left = min(burst, row["left"] + max(0.0, now - row["at"]) * per_s)
    if left >= 1 - _ROUNDING:
        return max(0.0, left - 1), None
    return None, Refused(
        "rate_limit_exceeded",
        f"this key may make {limits.requests_per_minute:g} requests per minute; wait, and send "
        "fewer at a time",
        (1 - left) / per_s,
    )


def _over_concurrency(row: Mapping[str, Any], limits: KeyLimits, n_places: int) -> Refused | None:
    if limits.concurrency is None or row["n_live"] + n_places <= limits.concurrency:
        return None
    return Refused(
        "concurrency_limit_exceeded",
        f"this key may have {limits.concurrency} requests under way at once; wait until one ends",
        _SOON_S,
    )


def _over_budget(
    row: Mapping[str, Any], limits: KeyLimits, most_usd: float | None, now: float
) -> Refused | None:
    if limits.usd is None:
        return None
    if most_usd is None:
        return Refused("unpriced", "this key has a budget, and nobody knows what this may cost")
    spent, held = float(row["spent_usd"]), float(row["held_usd"])
    allowed = limits.usd + _ROUNDING_USD
    if spent + held + most_usd <= allowed:
        return None
    if most_usd > allowed:
        after = None
    else:
        after = _SOON_S if spent + most_usd <= allowed else ends_in_s(limits.period, now)
    each = "in all" if limits.period == "total" else f"each {limits.period}"
    return Refused(
        "insufficient_quota",
        f"this key may spend ${limits.usd:g} {each} (UTC): ${spent:.6f} are spent, "
        f"${held:.6f} held for requests under way, and this one may cost ${most_usd:.6f}; ask for "
        "less, wait, or have the budget raised",
        after,
    )


_n_live: sa.ScalarSelect[Any] = (
    sa.select(sa.func.coalesce(sa.func.sum(sa.func.coalesce(reservations.c.n_places, 1)), 0))
    .where(reservations.c.key_id == keys.c.id, reservations.c.until > sa.bindparam("now"), LIVES)
    .correlate(keys)
    .scalar_subquery()
)
_STANDING = (
    sa.select(
        keys, rates.c.left, rates.c.at,
        _n_live.label("n_live"), SPENT.label("spent_usd"), HELD.label("held_usd"),
    )
    .select_from(keys.outerjoin(rates, rates.c.key_id == keys.c.id))
    .where(keys.c.id == sa.bindparam("key_id"))
)  # fmt: skip
"""All that a decision needs, in one round trip."""
_RESERVE = reservations.insert()
_RELEASE = reservations.delete().where(reservations.c.request_id == sa.bindparam("wanted"))
_r = reservations.c
_LOST = sa.select(_r.request_id, _r.key_id, _r.usd, _r.until).where(
    sa.or_(_r.until <= sa.bindparam("now"), LOST)
)
