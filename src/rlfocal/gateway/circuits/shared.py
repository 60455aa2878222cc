"""What one gateway finds out about a member, the others see for themselves before they believe it.

A circuit that opens, or closes again, is written down, and every gateway looks for such news. Who
hears that a member fails asks on, and leaves it alone at the first failure; who hears that one is
back lets one request try. So a member that is gone costs each gateway one failure and not a row of
them, one that is back is asked again everywhere at once, and a gateway that has lost its own
network takes a member from nobody: who has had a reply since the other's failures began does not
even doubt.

Shared are circuits of servers: files in a process (`llama-cpp`, `blend`) are its own affair.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from rlfocal.errors import DatabaseError
from rlfocal.gateway.store.circuits import CircuitNews
from rlfocal.gateway.store.heart import Heart
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.store.writer import Writer
from rlfocal.pool.building import LiveMember
from rlfocal.pool.servers import OpenAISettings
from rlfocal.pool.settings import PoolSettings
from rlfocal.pool.wrappers.breaker import CircuitBreaker

__all__ = ["SharedCircuits", "of_servers"]

_log = logging.getLogger(__name__)
_OWN = frozenset({"llama-cpp", "blend"})
_LATE_S = 5.0
"""What is written down may appear so much later than its moment says."""


def of_servers(pool: PoolSettings, members: Sequence[LiveMember]) -> dict[str, CircuitBreaker]:
    """Circuits that can be shared, each by the name by which all gateways know it.

    It is the same where the member's name, its model and its server's address are.
    """
    found = {}
    for member in members:
        served = pool.endpoints[member.settings.endpoint]
        if member.circuit is None or served.kind in _OWN:
            continue
        address = served.base_url if isinstance(served, OpenAISettings) else ""
        about = json.dumps([member.name, member.settings.model, served.kind, address])
        found[hashlib.sha256(about.encode("ascii")).hexdigest()[:32]] = member.circuit
    return found


class SharedCircuits:
    """Tells of the circuits of one process, and hears of those of others.

    Args:
        store: where news stand.
        writer: of the same store.
        heart: says which process this is, and what time it is for all of them.
        circuits: of this process, from `of_servers`.
        cool_down_s: after which an open circuit is tried anyway: older news say nothing.
        poll_s: seconds between two looks.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        heart: Heart,
        circuits: Mapping[str, CircuitBreaker],
        *,
        cool_down_s: float,
        poll_s: float,
    ) -> None:
        self._store, self._writer, self._heart = store, writer, heart
        self._circuits, self._cool_down_s, self._poll_s = circuits, cool_down_s, poll_s
        self._heard: dict[str, float] = {}
        """Server → moment of the latest news of it that was looked at."""
        for server, circuit in circuits.items():
            circuit.on_change = partial(self._tell, server, circuit)

    async def follow(self) -> None:
        """Look for news until cancelled; the database may be away for a while."""
        while self._circuits:
            try:
                await self.look()
            except DatabaseError as exc:
                _log.warning("circuits of other gateways cannot be read: %s", exc)
            await asyncio.sleep(self._poll_s)

    async def look(self) -> None:
        """Look for news once.

        Raises:
            DatabaseError: they cannot be read.
        """
        now = self._heart.now()
        for news in await asyncio.to_thread(self._read, now - self._cool_down_s - _LATE_S):
            circuit = self._circuits.get(news.server)
            if circuit is None or news.at <= self._heard.get(news.server, 0.0):
                continue
            self._heard[news.server] = news.at
            if news.process != self._heart.id:
                _take(news, circuit, now)

    def _read(self, since: float) -> Sequence[CircuitNews]:
        with self._store.connections.read() as connection:
            return self._store.circuits.later(connection, since)

    def _tell(self, server: str, circuit: CircuitBreaker) -> None:
        now, is_open = self._heart.now(), circuit.is_tripped
        since = now - circuit.failing_s if is_open else now
        asker = circuit.only_asker if is_open else None
        news = CircuitNews(server, self._heart.id, now, since, is_open, asker)
        self._writer.put(partial(self._store.circuits.put, news=news))


def _take(news: CircuitNews, circuit: CircuitBreaker, now: float) -> None:
    """Have requests try where the news say something that is not known here."""
    if news.is_open and not circuit.is_tripped and circuit.answered_s > now - news.since:
        circuit.doubt(news.asker)
        _log.info("%s fails at another gateway: left alone if it fails here, too", circuit.name)
    elif not news.is_open and circuit.is_tripped:
        circuit.relieve()
