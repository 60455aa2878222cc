"""Requests whose process was killed: what they held is unsettled until an administrator says more.

What they cost is not known, so they count at their most. An administrator who has seen the bill can
put down what they came to, or forgive them; who did it and when stays in their rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from rlfocal.errors import ConfigError
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.store.ledger import Ledger
from rlfocal.gateway.store.log import Log
from rlfocal.gateway.store.periods import day_of
from rlfocal.gateway.store.rows import ABANDONED, Event, Spent
from rlfocal.gateway.store.schema import requests

__all__ = ["Abandoned", "Lost"]


class Lost(NamedTuple):
    """A request whose process was killed."""

    id: str
    created_at: float
    """When it was given up; seconds since 1970."""
    unsettled_usd: float


class Abandoned:
    """Statements on abandoned requests. Each takes a connection: a transaction that writes."""

    def __init__(self, ledger: Ledger, log: Log) -> None:
        self._ledger, self._log = ledger, log

    def of(self, connection: sa.Connection, key: Key) -> Sequence[Lost]:
        """Abandoned requests of a key that are not settled, oldest first."""
        return [Lost(*row) for row in connection.execute(_OPEN, {"key": key.id})]

    def settle(
        self,
        connection: sa.Connection,
        key: Key,
        usd: float,
        *,
        by: str,
        now: float,
        only: Collection[str] = (),
    ) -> Sequence[Lost]:
        """Put down what requests of a key came to together.

        The dollars are shared out by what each may have cost, and count on the days on which the
        requests were given up; 0 forgives them. `only` names some of the requests by their ids.

        Returns:
            Those that are settled now, as they were.

        Raises:
            ConfigError: there is none, or not one of those named.
            ValueError: `usd` is negative or not a number.
        """
        if not 0 <= usd < float("inf"):
            raise ValueError(f"usd = {usd}: give a number that is not negative")
        there = self.of(connection, key)
        if missing := set(only) - {lost.id for lost in there}:
            raise ConfigError(
                f"'{sorted(missing)[0]}' is no abandoned request of key '{key.name}', or it is "
                f"settled; rlfocal keys settle {key.name} lists those there are"
            )
        chosen = [lost for lost in there if not only or lost.id in only]
        if not chosen:
            raise ConfigError(f"key '{key.name}' has no abandoned requests")
        most = sum(lost.unsettled_usd for lost in chosen)
        for lost in chosen:
            share = lost.unsettled_usd / most if most else 1 / len(chosen)
            self._put(connection, key, lost, usd * share, by=by, now=now)
        what = {
            "id": key.id, "name": key.name, "by": by, "usd": usd, "unsettled_usd": most,
            "requests": [lost.id for lost in chosen][:100], "n_requests": len(chosen),
        }  # fmt: skip
        self._log.add_event(connection, Event(kind="requests settled", what=what, created_at=now))
        return chosen

    def _put(
        self, connection: sa.Connection, key: Key, lost: Lost, usd: float, *, by: str, now: float
    ) -> None:
        note = {"settled": {"by": by, "at": now, "unsettled_usd": lost.unsettled_usd}}
        row = requests.update().where(requests.c.id == lost.id)
        connection.execute(row.values(usd=usd, unsettled_usd=0.0, trace=note))
        less = Spent(usd=usd, unsettled_usd=-lost.unsettled_usd)
        self._ledger.add_spending(connection, key.id, day_of(lost.created_at), less, n_requests=0)


_OPEN = (
    sa.select(requests.c.id, requests.c.created_at, requests.c.unsettled_usd)
    .where(requests.c.key_id == sa.bindparam("key"))
    .where(requests.c.error == ABANDONED, requests.c.unsettled_usd > 0)
    .order_by(requests.c.position)
)
