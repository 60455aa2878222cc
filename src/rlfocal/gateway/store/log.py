"""What happened: requests, feedback, policies, events; written once and read in order.

Positions become visible in their order, because one transaction writes at a time, and a judgement's
never comes twice. So a process that remembers the last one it has read misses nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from rlfocal.database import Connections
from rlfocal.errors import ConfigError, nearest
from rlfocal.gateway.store.rows import (
    Event,
    FeedbackRow,
    JudgedEpisode,
    PolicyRow,
    RequestRow,
)
from rlfocal.gateway.store.schema import events, feedback, policies, requests

__all__ = ["Log", "values_of"]

STATES = ("live", "shadow", "retired")


R = TypeVar("R", RequestRow, FeedbackRow, Event)


class Log:
    """Statements on what happened, each on a connection: several make one transaction."""

    def __init__(self, connections: Connections) -> None:
        self._insert_request = (
            connections.insert(requests)
            .on_conflict_do_nothing(index_elements=["id"])
            .returning(requests.c.position)
        )
        self._put_feedback = connections.replace(feedback, "request_id")

    def add_request(self, connection: sa.Connection, row: RequestRow) -> bool:
        """Store a request; one whose id is there stays as it is, and the answer is False."""
        return connection.scalar(self._insert_request, values_of(row)) is not None

    def add_requests(self, connection: sa.Connection, rows: Sequence[RequestRow]) -> None:
        """Store requests, none of which is there."""
        connection.execute(requests.insert(), [values_of(row) for row in rows])

    def known(self, connection: sa.Connection, request_ids: Sequence[str]) -> frozenset[str]:
        """Those of these ids that a request has."""
        return frozenset(connection.scalars(_KNOWN, {"wanted": list(request_ids)}))

    def request(self, connection: sa.Connection, request_id: str) -> RequestRow | None:
        """A request by its id; None where there is none, or it was pruned."""
        found = connection.execute(_REQUEST, {"wanted": request_id}).mappings().one_or_none()
        return None if found is None else RequestRow(**found)

    def requests(self, connection: sa.Connection, n: int) -> Sequence[RequestRow]:
        """The latest n requests, newest first."""
        return _latest(connection, requests, RequestRow, n)

    def prune(self, connection: sa.Connection, *, keep: int) -> int:
        """Delete all but so many newest requests; spending and feedback stay. How many went."""
        newest = sa.select(requests.c.position).order_by(requests.c.position.desc())
        edge = connection.scalar(newest.offset(keep).limit(1))
        if edge is None:
            return 0
        return connection.execute(requests.delete().where(requests.c.position <= edge)).rowcount

    def put_feedback(self, connection: sa.Connection, row: FeedbackRow) -> None:
        """Store a judgement. One of the same request goes, and this one counts as new."""
        connection.execute(self._put_feedback, values_of(row))

    def feedback(self, connection: sa.Connection, n: int) -> Sequence[FeedbackRow]:
        """The latest n judgements, oldest first."""
        return _latest(connection, feedback, FeedbackRow, n)[::-1]

    def feedback_after(
        self, connection: sa.Connection, position: int, *, n: int = 1000
    ) -> Sequence[FeedbackRow]:
        """The first n judgements after a position, oldest first; 0 is before the first one."""
        later = sa.select(feedback).where(feedback.c.position > position)
        rows = connection.execute(later.order_by(feedback.c.position).limit(n)).mappings()
        return [FeedbackRow(**row) for row in rows]

    def judged_episodes(
        self, connection: sa.Connection, policies: Collection[str], *, n: int, since: float = 0.0
    ) -> Sequence[JudgedEpisode]:
        """The latest n requests that left an episode and were judged, oldest judgement first.

        Args:
            connection: inside a transaction.
            policies: ids of those that decided; their members are the same, in the same order.
            n: how many at most.
            since: only requests from that moment on.
        """
        found = (
            sa.select(
                requests.c.id, requests.c.episode, feedback.c.earned, feedback.c.member_scores
            )
            .join(feedback, feedback.c.request_id == requests.c.id)
            .where(requests.c.policy.in_(policies), requests.c.created_at >= since)
            .where(requests.c.episode.is_not(None))
            .order_by(feedback.c.position.desc())
            .limit(n)
        )
        return [JudgedEpisode(*row) for row in connection.execute(found)][::-1]

    def n_judged(self, connection: sa.Connection, model: str) -> tuple[int, int]:
        """How many of a model's answers were judged, and of how many of them prompts are kept.

        Args:
            connection: inside a transaction.
            model: its name; one with a price (NAME:0.02) counts as the same.
        """
        counts = sa.select(sa.func.count(), sa.func.count(requests.c.prompt)).select_from(_JUDGED)
        n, n_with_prompt = connection.execute(counts.where(_asks(model))).one()
        return n, n_with_prompt

    def judged_requests(
        self, connection: sa.Connection, model: str
    ) -> Iterator[tuple[RequestRow, FeedbackRow]]:
        """Judged requests whose prompts are kept, with their judgements, oldest first.

        Args:
            connection: inside a transaction.
            model: that was asked, as of `n_judged`.
        """
        names = [c.name for c in requests.c]
        found = (
            sa.select(*requests.c, *[c.label(f"feedback_{c.name}") for c in feedback.c])
            .select_from(_JUDGED)
            .where(_asks(model), requests.c.prompt.is_not(None))
            .order_by(requests.c.position)
        )
        for row in connection.execute(found).mappings():
            request = RequestRow(**{name: row[name] for name in names})
            judgement = {c.name: row[f"feedback_{c.name}"] for c in feedback.c}
            yield request, FeedbackRow(**judgement)

    def add_policy(self, connection: sa.Connection, row: PolicyRow) -> None:
        """Store a checkpoint, unless it is there; one that is live retires the one before it."""
        _check_state(row.state)
        there = sa.select(sa.exists(sa.select(policies.c.id).where(policies.c.id == row.id)))
        if connection.scalar(there):
            return
        if row.state == "live":
            _retire_live(connection)
        connection.execute(policies.insert(), values_of(row))

    def set_policy(
        self,
        connection: sa.Connection,
        policy_id: str,
        *,
        state: str | None = None,
        estimates: dict[str, Any] | None = None,
    ) -> None:
        """Change a checkpoint's state or estimates; one made live retires the one before it.

        Raises:
            ConfigError: there is no such checkpoint.
        """
        known = connection.scalars(sa.select(policies.c.id)).all()
        if policy_id not in known:
            raise ConfigError(f"no policy '{policy_id}'; {nearest(policy_id, known)}")
        changed: dict[str, Any] = {}
        if state is not None:
            _check_state(state)
            changed["state"] = state
            if state == "live":
                _retire_live(connection)
        if estimates is not None:
            changed["estimates"] = estimates
        if changed:
            one = policies.update().where(policies.c.id == policy_id)
            connection.execute(one.values(**changed))

    def policies(self, connection: sa.Connection) -> Sequence[PolicyRow]:
        """Every checkpoint, oldest first."""
        rows = connection.execute(sa.select(policies).order_by(policies.c.position)).mappings()
        return [PolicyRow(**row) for row in rows]

    def live_policy(self, connection: sa.Connection) -> PolicyRow | None:
        """The checkpoint that is served; None where none was noted."""
        live = sa.select(policies).where(policies.c.state == "live")
        found = connection.execute(live).mappings().one_or_none()
        return None if found is None else PolicyRow(**found)

    def add_event(self, connection: sa.Connection, event: Event) -> None:
        """Note an action of an administrator."""
        connection.execute(events.insert(), values_of(event))

    def events(self, connection: sa.Connection, n: int) -> Sequence[Event]:
        """The latest n events, newest first."""
        return _latest(connection, events, Event, n)


def values_of(row: RequestRow | FeedbackRow | PolicyRow | Event) -> dict[str, Any]:
    """A row's columns; shallow, because what is in them is turned to JSON anyway."""
    values = dict(vars(row))
    del values["position"]
    return values


def _latest(connection: sa.Connection, table: sa.Table, row_type: type[R], n: int) -> list[R]:
    newest = sa.select(table).order_by(table.c.position.desc()).limit(n)
    return [row_type(**row) for row in connection.execute(newest).mappings()]


def _asks(model: str) -> sa.ColumnElement[bool]:
    return sa.or_(requests.c.model == model, requests.c.model.startswith(f"{model}:"))


def _retire_live(connection: sa.Connection) -> None:
    live = policies.update().where(policies.c.state == "live")
    connection.execute(live.values(state="retired"))


def _check_state(state: str) -> None:
    if state not in STATES:
        raise ValueError(f"state = {state!r}: {nearest(state, STATES)}")


_JUDGED = requests.join(feedback, feedback.c.request_id == requests.c.id)
_KNOWN = sa.select(requests.c.id).where(requests.c.id.in_(sa.bindparam("wanted", expanding=True)))
_REQUEST = sa.select(requests).where(requests.c.id == sa.bindparam("wanted"))
