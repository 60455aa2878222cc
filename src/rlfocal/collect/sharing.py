"""What all collectors at one database keep together: a rate, and a cap on dollars.

Moments and dollars come from the database, in portions. One of moments is of a second at most, so
that what nobody uses is little; what is not spent of one of dollars goes back.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

from rlfocal.errors import DatabaseError, Failure, MemberError
from rlfocal.pool.wrappers.limits import Lease
from rlfocal.records.database import Database
from rlfocal.records.database.sharing import (
    Share,
    allow,
    end_spending,
    join_budget,
    take_moments,
)

__all__ = ["SharedPurse", "shared_rates"]


def shared_rates(
    database: Database, on_trouble: Callable[[DatabaseError], None]
) -> Callable[[str], Lease]:
    """Who gives the moments of an endpoint's rate, by its name and address.

    Args:
        database: where they are.
        on_trouble: told why there are none; the request that waits for one is not sent.
    """

    def lease_of(endpoint: str) -> Lease:
        name = hashlib.sha256(endpoint.encode()).hexdigest()

        async def lease(n: int, every_s: float) -> float:
            try:
                return await asyncio.to_thread(take_moments, database.connections, name, n, every_s)
            except DatabaseError as exc:
                on_trouble(exc)
                raise MemberError(f"not sent: {exc}", failure=Failure.CIRCUIT_OPEN) from exc

        return lease

    return lease_of


class SharedPurse:
    """A part of a cap on what all who share a budget spend together.

    Args:
        database: where it is kept.
        owner: who spends; as of claims.
        cap_usd: for all together.
        lease_s: how long others wait for what this one may give back.
    """

    def __init__(self, database: Database, owner: str, cap_usd: float, *, lease_s: float) -> None:
        self._connections, self._owner = database.connections, owner
        self._cap_usd, self._lease_s = cap_usd, lease_s
        self._budget = ""

    async def begin(self, name: str | None) -> None:
        """Join a budget: one that has a name, or that of those at work just now."""
        self._budget = await asyncio.to_thread(
            join_budget, self._connections, self._owner, name, self._lease_s
        )

    async def allow(self, spent_usd: float, least_usd: float, wanted_usd: float) -> Share:
        """As `rlfocal.records.database.sharing.allow`."""
        return await asyncio.to_thread(
            allow,
            self._connections,
            self._owner,
            self._budget,
            cap_usd=self._cap_usd,
            spent_usd=spent_usd,
            least_usd=least_usd,
            wanted_usd=wanted_usd,
            lease_s=self._lease_s,
        )

    def end(self, spent_usd: float) -> None:
        """Give back what is left."""
        if self._budget:
            end_spending(self._connections, self._owner, spent_usd)
