"""The last requests and judgements as figures need them, in memory.

They are read on from where one stopped, so that looking every two seconds does not read everything
every two seconds; and nothing is read while nobody looks.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from rlfocal.deliberation.trace import CallRecord, Trace
from rlfocal.errors import Failure
from rlfocal.gateway.store.schema import feedback, requests
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.wire.request import ENSEMBLE

__all__ = ["Call", "History", "Judged", "Known", "Seen", "seen_of"]

_BATCH = 500


class Call(NamedTuple):
    """One member asked in one request."""

    member: str
    round: int | None
    """From 0; None for the synthesis."""
    answered: bool
    cost: float
    """In the unit that the strategy reckons in."""
    usd: float | None
    """None: its price is not known, or it failed."""
    latency_s: float | None
    failure: str | None

    @property
    def replied(self) -> bool:
        """True where a reply came."""
        return self.failure is None

    @property
    def was_left(self) -> bool:
        """True where its reply was not waited for, because the outcome was settled without it."""
        return self.failure == Failure.CANCELLED


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, without its texts."""

    id: str
    created_at: float
    model: str
    task: str
    policy: str
    status: int
    error: str | None
    latency_s: float
    overhead_s: float
    n_calls: int
    n_rounds: int
    usd: float
    uncertain_cost_usd: float
    n_unpriced: int
    price: float | None
    kind: str
    calls: tuple[Call, ...]
    circuit_open: tuple[str, ...]
    """Members that were not asked because they kept failing just before."""

    @property
    def by_ensemble(self) -> bool:
        """False where one member was asked by its name."""
        return self.model == ENSEMBLE or self.model.startswith(f"{ENSEMBLE}:")

    @property
    def asked(self) -> dict[str, Call]:
        """Member → its call, the synthesis left out."""
        return {call.member: call for call in self.calls if call.round is not None}


class Judged(NamedTuple):
    """One judgement."""

    request_id: str
    created_at: float
    earned: float
    task: str
    member_scores: Mapping[str, float | None]


class Known(NamedTuple):
    """What was read, oldest first."""

    requests: tuple[Seen, ...]
    judged: Mapping[str, Judged]
    """By the request's id."""
    is_all: bool
    """False where there are older requests that are not kept here."""


class History:
    """Incrementally loads recent requests and judgements for the dashboard.

    Args:
        store: where they are.
        n: how many of either are kept.
    """

    def __init__(self, store: Store, n: int = 2000) -> None:
        self._store, self.n = store, n
        self._requests: deque[Seen] = deque(maxlen=n)
        self._judged: OrderedDict[str, Judged] = OrderedDict()
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
        while rows := _after(connection, _REQUESTS, requests.c.position, at):
            self._is_all &= len(self._requests) + len(rows) <= self.n
            self._requests.extend(seen_of(row) for row in rows)
            at = rows[-1]["position"]
            self._positions = at, judged_at
        while rows := _after(connection, _JUDGED, feedback.c.position, judged_at):
            for row in rows:
                # A second judgement takes the place of the first, and counts as new.
                self._judged.pop(row["request_id"], None)
                self._judged[row["request_id"]] = _judged_of(row)
            while len(self._judged) > self.n:
                self._judged.popitem(last=False)
            judged_at = rows[-1]["position"]
            self._positions = at, judged_at

    def _begin(self, connection: sa.Connection) -> tuple[int, int]:
        at = _nth_from_end(connection, requests.c.position, self.n)
        self._is_all = at == 0
        return at, _nth_from_end(connection, feedback.c.position, self.n)


def seen_of(row: Mapping[str, Any] | sa.RowMapping) -> Seen:
    """A request from its row."""
    trace = Trace.of_json(row["trace"] or {})
    calls = [_call(call, k) for k, part in enumerate(trace.rounds) for call in part.asked]
    if trace.synthesis is not None:
        calls.append(_call(trace.synthesis, None))
    return Seen(
        **{name: row[column] for name, column in _PLAIN.items()},
        price=trace.price,
        kind=trace.kind,
        calls=tuple(calls),
        circuit_open=tuple(trace.circuit_open),
    )


def _call(call: CallRecord, number: int | None) -> Call:
    return Call(
        member=call.member,
        round=number,
        answered=call.answer is not None,
        cost=call.cost,
        usd=call.cost_usd,
        latency_s=call.latency_s,
        failure=call.failure,
    )


def _judged_of(row: sa.RowMapping) -> Judged:
    names = ("request_id", "created_at", "earned", "task", "member_scores")
    return Judged(*(row[name] for name in names))


def _after(
    connection: sa.Connection, wanted: sa.Select[Any], position: sa.Column[int], at: int
) -> Sequence[sa.RowMapping]:
    later = wanted.where(position > at).order_by(position).limit(_BATCH)
    return connection.execute(later).mappings().all()


def _nth_from_end(connection: sa.Connection, position: sa.Column[int], n: int) -> int:
    """Position in front of the last n rows; 0 where there are no more than these."""
    edge = sa.select(position).order_by(position.desc()).offset(n).limit(1)
    return connection.scalar(edge) or 0


_SAME = (
    "id", "created_at", "model", "task", "policy", "status", "error", "latency_s", "n_calls",
    "n_rounds", "usd", "n_unpriced",
)  # fmt: skip
_PLAIN = {name: name for name in _SAME} | {
    "overhead_s": "own_s", "uncertain_cost_usd": "unsettled_usd",
}  # fmt: skip
"""Field → column."""
_REQUESTS = sa.select(*(requests.c[name] for name in ("position", *_PLAIN.values(), "trace")))
_JUDGED = sa.select(
    feedback.c.position,
    feedback.c.request_id,
    feedback.c.created_at,
    feedback.c.earned,
    feedback.c.task,
    feedback.c.member_scores,
)
