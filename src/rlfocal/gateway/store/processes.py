"""Which gateways live: each says so every few seconds, and one that has fallen silent is dead.

Moments are those of one clock, the database's where it has one (`Heart`). One that lies ahead comes
from a clock that was wrong, and proves no life.
"""

from __future__ import annotations

import sqlalchemy as sa

from rlfocal.database import Connections
from rlfocal.gateway.store.schema import processes, reservations

__all__ = ["AHEAD_S", "BEAT_S", "DEAD_S", "LIVES", "LOST_S", "Processes"]

BEAT_S = 2.0
"""How often a process says that it lives."""
DEAD_S = 8.0
"""After so much silence its requests are no longer under way: their places are free again."""
LOST_S = 60.0
"""After so much of it they are given up: what they hold becomes unsettled spending."""
AHEAD_S = 60.0
"""A moment that lies further ahead was written by a clock that was wrong."""

_now = sa.bindparam("now", type_=sa.Double)


def _seen_within(seconds: float) -> sa.ColumnElement[bool]:
    return sa.exists(
        sa.select(processes.c.id)
        .where(processes.c.id == reservations.c.process)
        .where(processes.c.seen_at > _now - seconds, processes.c.seen_at < _now + AHEAD_S)
        .correlate(reservations)
    )


LIVES = sa.or_(reservations.c.process.is_(None), _seen_within(DEAD_S))
"""Whether a reservation's process lives, as far as is known; it needs the parameter `now`."""
LOST = sa.and_(reservations.c.process.is_not(None), ~_seen_within(LOST_S))
"""Whether it has been dead for so long that its requests will not end by themselves."""


class Processes:
    """Statements on processes. Each takes a connection: a transaction that writes."""

    def __init__(self, connections: Connections) -> None:
        self._beat = connections.upsert(processes, "id", "seen_at")

    def beat(self, connection: sa.Connection, process: str, now: float) -> None:
        """Note that a process lives, and forget those that are long dead."""
        connection.execute(self._beat, {"id": process, "seen_at": now})
        gone = ~processes.c.seen_at.between(now - LOST_S, now + AHEAD_S)
        connection.execute(processes.delete().where(gone))

    def leave(self, connection: sa.Connection, process: str) -> None:
        """Note that a process has ended, with nothing under way."""
        connection.execute(processes.delete().where(processes.c.id == process))
