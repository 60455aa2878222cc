"""Connections of clients: how many there may be, which make room, and which nobody reads from.

Connections that ask for nothing are the first to go, and of these the ones that never showed a
key; so whoever has a key is served however many others just sit there. Heads and how long they may
take are the server's own affair.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from rlfocal.gateway.door.descriptors import most_descriptors
from rlfocal.gateway.settings import GatewaySettings

__all__ = ["Connection", "Connections", "Standing", "of_scope"]

_log = logging.getLogger(__name__)
_LOOK_S = 1.0
_BATCH = 16
"""Where room is to be made, a sixteenth of all are closed at once: to choose takes a while."""
_TELL_S = 60.0


class Standing:
    """What is known of one connection."""

    def __init__(self, now: float) -> None:
        self.since = now
        """When it was opened, or last answered."""
        self.owner: str | None = None
        """The key that it showed; None for none."""
        self.more_unsent: Callable[[], int] | None = None
        """What waits for it beside what has been given to its socket, in bytes."""
        self.unsent, self.drained = 0, 0
        """Bytes that waited for it at the last look, and those it has taken since `stuck_since`."""
        self.stuck_since: float | None = None


class Connection(Protocol):
    """One of them, as a server knows it."""

    transport: asyncio.Transport
    standing: Standing

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way on it."""
        ...

    @property
    def has_whole_body(self) -> bool:
        """Whether all of the body of the request under way has come."""
        ...

    def lost(self) -> asyncio.Future[None]:
        """Done once it is closed; a new one for each request, in turn."""
        ...


class Connections:
    """All of one process; belongs to one event loop.

    Args:
        settings: limits.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.most = min(settings.most_connections, most_descriptors() // 2)
        """Half of all descriptors: the others are for members and the database."""
        self._open: dict[Connection, None] = {}
        self.n_closed = 0
        """To make room, or because nobody read."""
        self._closed, self._told_at = Counter[str](), -_TELL_S

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def enter(self, connection: Connection) -> bool:
        """Let one in, and close others for it where there are too many.

        Returns:
            False where none of the others can be closed; then this one is.
        """
        if len(self._open) >= self.most:
            self._make_room()
        self._open[connection] = None
        if len(self._open) <= self.most:
            return True
        self._close(connection, "turned away, as all others are busy")
        return False

    def leave(self, connection: Connection) -> None:
        """Note that a connection is closed."""
        self._open.pop(connection, None)

    def _make_room(self) -> None:
        idle = [c for c in self._open if not c.is_busy]
        if not idle:
            return
        of = Counter(c.standing.owner for c in idle)
        # Who never showed a key goes first; then whoever holds most for nothing.
        owner = None
        if not of[None]:
            owner = min(
                idle, key=lambda c: (-of[c.standing.owner], c.standing.since)
            ).standing.owner
        chosen = sorted(
            (c for c in idle if c.standing.owner == owner), key=lambda c: c.standing.since
        )
        for connection in chosen[: max(1, self.most // _BATCH)]:
            self._close(connection, "closed to make room, idle ones first")

    # What nobody reads -------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look after them until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look(asyncio.get_running_loop().time())

    def look(self, now: float) -> None:
        """Close connections that do not take what is sent to them.

        Args:
            now: by the event loop's clock.
        """
        waits: list[tuple[bool, int, Connection]] = []
        total = 0
        for connection in list(self._open):
            unsent, taken = _measure(connection, now)
            if not unsent:
                continue
            if self._is_stuck(connection.standing, now):
                self._close(connection, "broken off, as nobody read what was sent")
                continue
            total += unsent
            waits.append((taken > 0, -unsent, connection))
        most = self._settings.most_unsent_bytes
        # Those who take nothing first, the longest of them first.
        for _, size, connection in sorted(waits, key=lambda w: w[:2]) if total > most else ():
            self._close(connection, "broken off, as too much waited to be read")
            total += size
            if total <= most:
                break
        self._tell(now)

    def _is_stuck(self, standing: Standing, now: float) -> bool:
        settings = self._settings
        if standing.stuck_since is None:
            return False
        waited_s = now - standing.stuck_since
        if waited_s < settings.send_timeout_s:
            return False
        if standing.drained < settings.body_bytes_per_s * settings.send_timeout_s:
            return True
        standing.stuck_since, standing.drained = now, 0
        return False

    def _close(self, connection: Connection, why: str) -> None:
        self._open.pop(connection, None)
        self.n_closed += 1
        self._closed[why] += 1
        # What waits to be sent would keep it open.
        connection.transport.abort()

    def _tell(self, now: float) -> None:
        if not self._closed or now - self._told_at < _TELL_S:
            return
        told = "; ".join(f"{n} {why}" for why, n in self._closed.items())
        _log.warning("connections, at most %d: %s", self.most, told)
        self._closed.clear()
        self._told_at = now


def _measure(connection: Connection, now: float) -> tuple[int, int]:
    """Bytes that wait, and how many of those in its socket's buffer it has taken lately."""
    standing = connection.standing
    size = connection.transport.get_write_buffer_size()
    taken = max(0, standing.unsent - size)
    standing.unsent = size
    if not size:
        standing.stuck_since, standing.drained = None, 0
        return 0, taken
    if standing.stuck_since is None:
        standing.stuck_since, standing.drained = now, 0
    else:
        standing.drained += taken
    more = standing.more_unsent
    return size + (0 if more is None else more()), taken


def of_scope(scope: Any) -> Connection | None:
    """The connection that a request came on; None with a server that is not ours."""
    found: Connection | None = scope.get("state", {}).get("connection")
    return found
