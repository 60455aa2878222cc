"""What gateways have learned of members' servers, for one another: the latest of each server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from rlfocal.database import Connections
from rlfocal.gateway.store.schema import circuits

__all__ = ["CircuitNews", "CircuitTable"]


class CircuitNews(NamedTuple):
    """What one process has learned of one server; moments by the clock that all share."""

    server: str
    """A digest that is the same wherever the same model is asked at the same address."""
    process: str
    """That has learned it."""
    at: float
    since: float
    """When the failures in a row began; `at` where it answers again."""
    is_open: bool
    """Whether it is left alone; False where it answers again."""
    asker: str | None
    """Key whose requests alone failed; None for several, or for nobody's."""


class CircuitTable:
    """Statements on circuits. Each takes a connection; `put` in a transaction that writes."""

    def __init__(self, connections: Connections) -> None:
        self._put = connections.upsert(circuits, "server", *CircuitNews._fields[1:])

    def put(self, connection: sa.Connection, news: CircuitNews) -> None:
        """Write down what is known of a server from now on."""
        connection.execute(self._put, news._asdict())

    def later(self, connection: sa.Connection, at: float) -> Sequence[CircuitNews]:
        """What was learned from a moment on, of every server the latest."""
        wanted = sa.select(circuits).where(circuits.c.at >= at).order_by(circuits.c.at)
        return [CircuitNews(**row) for row in connection.execute(wanted).mappings()]
