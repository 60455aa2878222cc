"""A gateway's sign of life in the database, and the clock that all gateways of it share."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

import sqlalchemy as sa

from rlfocal.errors import DatabaseError
from rlfocal.gateway.store.processes import BEAT_S
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.store.writer import Writer

__all__ = ["Heart"]

_FRESH_S = 2.5 * BEAT_S
"""Beats of a busy gateway come late, and it must not be taken for one that cannot write."""
_PROBE_S = 1.0
"""Longest wait for a write that shows that writing is possible: a check of readiness is quick."""


class Heart:
    """Beats and the shared clock of one process; it belongs to one event loop.

    On SQLite the clock is the machine's, which all processes share. On a server it is the server's:
    asked for with each beat, and carried on from there by a clock that nobody sets.

    Args:
        store: the database.
        writer: of the same store.
        clock: seconds since 1970; None for the shared one.
    """

    def __init__(
        self, store: Store, writer: Writer, *, clock: Callable[[], float] | None = None
    ) -> None:
        self._store, self._writer, self._clock = store, writer, clock
        self.id = secrets.token_hex(8)
        """Of this process, whether anything of it stands in the database or not."""
        self._has_own_clock = store.connections.engine.dialect.name != "sqlite"
        self._ahead_s: float | None = None
        """Seconds that the shared clock is ahead of the monotonic one."""
        self._beat_at: float | None = None
        """When the last beat was written, by the monotonic clock."""
        self._probe: asyncio.Task[bool] | None = None

    @property
    def process(self) -> str | None:
        """Its name in the database; None before the first beat."""
        return None if self._beat_at is None else self.id

    def now(self) -> float:
        """Seconds since 1970 by the shared clock."""
        if self._clock is not None:
            return self._clock()
        return time.time() if self._ahead_s is None else time.monotonic() + self._ahead_s

    async def beat(self) -> None:
        """Say that this process lives.

        Raises:
            DatabaseError: it cannot be written just now.
        """
        await self._writer.do(self._say)
        self._beat_at = time.monotonic()

    def _say(self, connection: sa.Connection) -> None:
        if self._has_own_clock and self._clock is None:
            self._ahead_s = self._store.connections.now_s(connection) - time.monotonic()
        self._store.processes.beat(connection, self.id, self.now())

    async def leave(self) -> None:
        """Say that it has ended.

        Raises:
            DatabaseError: it cannot be written just now.
        """
        if self._beat_at is not None:
            await self._writer.do(lambda c: self._store.processes.leave(c, self.id))

    @property
    def is_fresh(self) -> bool:
        """Whether a beat was written of late: so the database answers."""
        beat_at = self._beat_at
        return beat_at is not None and time.monotonic() - beat_at < _FRESH_S

    async def can_write(self) -> bool:
        """Whether the database takes writes: by a beat, unless there was one just now."""
        if self._writer.trouble is not None or self._writer.stuck_s > _PROBE_S:
            return False
        if self.is_fresh:
            return True
        # One probe answers all checks that come at once.
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._try())
        return await asyncio.shield(self._probe)

    async def _try(self) -> bool:
        try:
            await asyncio.wait_for(self.beat(), timeout=_PROBE_S)
        except (DatabaseError, TimeoutError):
            return False
        return True
