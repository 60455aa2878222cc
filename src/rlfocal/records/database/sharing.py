"""What collectors at one database share beside claims: dollars of one cap, moments of a rate.

Both are handed out in portions, so that few calls need a transaction for them. Whoever ends gives
back what it has not spent. Of whoever was killed nobody knows what it had under way, which may be
billed all the same: so what it was lent counts as spent.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import sqlalchemy as sa

from rlfocal.database import Connections
from rlfocal.records.database.schema import moments, spending

__all__ = [
    "Share", "allow", "end_lease", "end_spending", "join_budget", "note_spent", "spenders",
    "take_moments",
]  # fmt: skip

_NAMED = "="
"""Before the name of a budget that somebody has named; all others have that of an owner."""


class Share(NamedTuple):
    """What one collector may spend of a budget that it shares."""

    allowed_usd: float
    """In all, with what it has spent."""
    others_usd: float
    """What the others have spent, and may have spent that were killed."""
    n_others: int
    """Those at work."""
    may_grow: bool
    """Whether others have more than they have spent, and may give it back."""


def join_budget(connections: Connections, owner: str, name: str | None, lease_s: float) -> str:
    """Begin to spend; returns the budget.

    Args:
        connections: to the database.
        owner: who spends; a name that no other process uses.
        name: of a budget that counts whatever was ever spent under it; None for that of those who
            are at work just now, or a new one where nobody is.
        lease_s: seconds after which others do not wait any more for what this one may give back.
    """
    s = spending.c
    with connections.write() as connection:
        now = connections.now_s(connection)
        if name is not None:
            budget = _NAMED + name
        else:
            at_work = sa.select(s.budget).where(s.until > now, s.budget.not_like(f"{_NAMED}%"))
            budget = connection.scalar(at_work.order_by(s.until.desc()).limit(1)) or owner
        row = {"owner": owner, "budget": budget, "until": now + lease_s}
        connection.execute(spending.insert(), row | {"spent_usd": 0.0, "allowed_usd": 0.0})
    return budget


def allow(
    connections: Connections,
    owner: str,
    budget: str,
    *,
    cap_usd: float,
    spent_usd: float,
    least_usd: float,
    wanted_usd: float,
    lease_s: float,
) -> Share:
    """Take as much of a budget as is wanted and left, or give some back; renews the lease.

    Args:
        connections: to the database.
        owner: who asks.
        budget: from `join_budget`.
        cap_usd: what all may spend together.
        spent_usd: what the owner has spent, in all.
        least_usd: that, and what it cannot give back, since it is under way.
        wanted_usd: what it would like to be allowed in all.
        lease_s: as in `join_budget`.
    """
    s = spending.c
    with connections.write() as connection:
        now = connections.now_s(connection)
        own = s.owner == owner
        rows = connection.execute(
            sa.select(s.spent_usd, s.allowed_usd, s.until).where(s.budget == budget, ~own)
        ).all()
        at_work = [row for row in rows if row.until > now]
        lent_usd = sum(max(row.allowed_usd - row.spent_usd, 0.0) for row in at_work)
        # With what was lent to those that never said what became of it.
        others_usd = sum(
            row.spent_usd if row.until > now else max(row.spent_usd, row.allowed_usd)
            for row in rows
        )
        allowed_usd = max(least_usd, min(wanted_usd, cap_usd - others_usd - lent_usd))
        row = {"allowed_usd": allowed_usd, "until": now + lease_s}
        connection.execute(sa.update(spending).where(own).values(row))
        note_spent(connection, owner, spent_usd)
    return Share(allowed_usd, others_usd, len(at_work), lent_usd > 0)


def note_spent(connection: sa.Connection, owner: str, spent_usd: float) -> None:
    """Note what somebody has spent by now, inside a transaction; never less than before."""
    less = (spending.c.owner == owner) & (spending.c.spent_usd < spent_usd)
    connection.execute(sa.update(spending).where(less).values(spent_usd=spent_usd))


def end_spending(connections: Connections, owner: str, spent_usd: float = 0.0) -> None:
    """Give back what the owner has not spent."""
    with connections.write() as connection:
        note_spent(connection, owner, spent_usd)
        own = sa.update(spending).where(spending.c.owner == owner)
        connection.execute(own.values(until=0.0, allowed_usd=spending.c.spent_usd))


def end_lease(connections: Connections, owner: str) -> None:
    """Note that an owner was killed: nothing of what it was lent will come back."""
    with connections.write() as connection:
        connection.execute(sa.update(spending).where(spending.c.owner == owner).values(until=0.0))


def spenders(connections: Connections) -> list[str]:
    """Owners whose portions are lent to them."""
    with connections.read() as connection:
        now = connections.now_s(connection)
        live = sa.select(spending.c.owner).where(spending.c.until > now)
        return sorted(connection.scalars(live))


def take_moments(connections: Connections, name: str, n: int, every_s: float) -> float:
    """Take the next moments of a rate, which nobody else is given.

    Where the clock has been set back since moments were last taken, they lie no further ahead than
    they did then: nobody waits for as long as the clock was wrong.

    Args:
        connections: to the database.
        name: of what is limited, at most 64 characters.
        n: how many.
        every_s: seconds from one to the next.

    Returns:
        Seconds from now to the first of them.
    """
    if n < 1 or not every_s > 0:
        raise ValueError(f"n must be 1 or more and every_s above 0, got {n} and {every_s}")
    upsert = connections.upsert(moments, "name", "next_s")
    # When they were last taken stands under a name of its own: such a row needs no new column.
    taken = hashlib.sha256(f"taken {name}".encode()).hexdigest()
    found = sa.select(moments.c.name, moments.c.next_s).where(moments.c.name.in_([name, taken]))
    with connections.write() as connection:
        now = connections.now_s(connection)
        times: dict[str, float] = {row.name: row.next_s for row in connection.execute(found)}
        next_s = times.get(name, now)
        ahead_s = next_s - max(now, times.get(taken, now))
        first = now + max(ahead_s, 0.0)
        rows = [{"name": name, "next_s": first + n * every_s}, {"name": taken, "next_s": now}]
        connection.execute(upsert, rows)
    return first - now
