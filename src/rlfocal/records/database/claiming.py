"""Who is asking what just now, so that two collectors never pay for the same call."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from rlfocal.database import OnConnections
from rlfocal.records.database.schema import claims, responses
from rlfocal.records.database.statements import chunks, present

__all__ = ["Claims"]


class Claims(OnConnections):
    """Calls reserved for a while; whoever dies loses them when the time is over."""

    def claim(self, keys: Iterable[str], owner: str, lease_s: float) -> set[str]:
        """Reserve calls, so that nobody else pays for them at the same time.

        Args:
            keys: of the calls.
            owner: who is asking; a name that no other process uses.
            lease_s: seconds after which others may take the calls over.

        Returns:
            The keys won: those neither answered nor reserved by somebody else. What the owner has
            reserved already is won again, with a new lease.
        """
        if not lease_s > 0:
            raise ValueError(f"lease_s must be more than 0, got {lease_s}")
        wanted = set(keys)
        upsert = self.connections.upsert(claims, "key", "owner", "until")
        with self.connections.write() as connection:
            now = self.connections.now_s(connection)
            others = sa.select(claims.c.key).where(claims.c.owner != owner, claims.c.until > now)
            wanted -= present(connection, others, claims.c.key, wanted)
            wanted -= present(connection, sa.select(responses.c.key), responses.c.key, wanted)
            rows = [{"key": k, "owner": owner, "until": now + lease_s} for k in sorted(wanted)]
            if rows:
                connection.execute(upsert, rows)
        return wanted

    def release(self, keys: Iterable[str] | None, owner: str) -> None:
        """Give back calls that were claimed and are not made; others' claims stay.

        Args:
            keys: of the calls; None for all that the owner has claimed.
            owner: whose claims.
        """
        mine = claims.delete().where(claims.c.owner == owner)
        with self.connections.write() as connection:
            if keys is None:
                connection.execute(mine)
                return
            for chunk in chunks(keys):
                connection.execute(mine.where(claims.c.key.in_(chunk)))

    def owners(self) -> list[str]:
        """Everybody who has claims, those that have run out included."""
        with self.connections.read() as connection:
            return sorted(connection.scalars(sa.select(claims.c.owner).distinct()))
