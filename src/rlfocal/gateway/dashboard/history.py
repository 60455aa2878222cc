"""The last requests and judgements as figures need them, in memory.

They are read on from where one stopped, so that looking every two seconds does not read everything
every two seconds; and nothing is read while nobody looks.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from rlfocal.deliberation.trace import CallRecord, Trace
from rlfocal.gateway.store.rows import FeedbackRow, RequestRow
from rlfocal.gateway.store.schema import feedback, requests
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.wire.models import ENSEMBLE

__all__ = ["History", "Known", "LoggedRequest"]

_BATCH = 500
_LONG = ("given", "candidates", "chosen", "episode", "prompt")
"""Columns of requests that no figure needs."""


class LoggedRequest(NamedTuple):
    """One request, without its texts."""

    row: RequestRow
    trace: Trace
    asked: Mapping[str, CallRecord]
    """Member → its call, the synthesis left out."""

    @classmethod
    def of(cls, row: sa.RowMapping) -> LoggedRequest:
        """A request from its row."""
        values = dict(row)
        trace = Trace.of_json(values.pop("trace") or {})
        asked = {call.member: call for part in trace.rounds for call in part.asked}
        return cls(RequestRow(**values), trace, asked)

    @property
    def by_ensemble(self) -> bool:
        """False where one member was asked by its name."""
        return self.row.model == ENSEMBLE or self.row.model.startswith(f"{ENSEMBLE}:")


class Known(NamedTuple):
    """What was read, oldest first."""

    requests: tuple[LoggedRequest, ...]
    judged: Mapping[str, FeedbackRow]
    """By the request's id."""
    is_all: bool
    """False where there are older requests that are not kept here."""


class History:
    """Incrementally loads the last n requests and judgements for the dashboard."""

    def __init__(self, store: Store, n: int = 2000) -> None:
        self._store, self.n = store, n
        self._requests: deque[LoggedRequest] = deque(maxlen=n)
        self._judged: OrderedDict[str, FeedbackRow] = OrderedDict()
        self._positions: tuple[int, int] | None = None
        self._is_all = True
        self._lock = threading.Lock()

    def read(self) -> Known:
        """Read on; blocks.

        Raises:
            DatabaseError: it is away.
        """
        with self._lock:
            with self._store.connections.read() as connection:
                self._read(connection)
            return Known(tuple(self._requests), dict(self._judged), self._is_all)

    def _read(self, connection: sa.Connection) -> None:
        at, judged_at = self._positions or self._begin(connection)
        while rows := connection.execute(_AFTER, {"at": at}).mappings().all():
            self._is_all &= len(self._requests) + len(rows) <= self.n
            self._requests.extend(LoggedRequest.of(row) for row in rows)
            at = rows[-1]["position"]
            self._positions = at, judged_at
        while judged := self._store.log.feedback_after(connection, judged_at, n=_BATCH):
            for row in judged:
                # A second judgement takes the place of the first, and counts as new.
                self._judged.pop(row.request_id, None)
                self._judged[row.request_id] = row
            while len(self._judged) > self.n:
                self._judged.popitem(last=False)
            judged_at = judged[-1].position or 0
            self._positions = at, judged_at

    def _begin(self, connection: sa.Connection) -> tuple[int, int]:
        at = _nth_from_end(connection, requests.c.position, self.n)
        self._is_all = at == 0
        return at, _nth_from_end(connection, feedback.c.position, self.n)


def _nth_from_end(connection: sa.Connection, position: sa.Column[int], n: int) -> int:
    """Position in front of the last n rows; 0 where there are no more than these."""
    edge = sa.select(position).order_by(position.desc()).offset(n).limit(1)
    return connection.scalar(edge) or 0


_AFTER = (
    sa.select(*(column for column in requests.c if column.name not in _LONG))
    .where(requests.c.position > sa.bindparam("at"))
    .order_by(requests.c.position)
    .limit(_BATCH)
)
