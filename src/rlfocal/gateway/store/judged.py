"""Requests whose answers were judged, with the episodes that off-policy learning needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from rlfocal.gateway.store.schema import feedback, requests

__all__ = ["Judged", "judged_episodes"]


class Judged(NamedTuple):
    """One of them."""

    request_id: str
    episode: Mapping[str, Any]
    """`rlfocal.online.episodes.Episode.as_json`, not judged."""
    earned: float
    """Worth of the answer, in [0, 1]."""
    member_scores: Mapping[str, float | None]
    """Worth of each member's answer, where it is known."""


def judged_episodes(
    connection: sa.Connection, policies: Collection[str], *, n: int, since: float = 0.0
) -> Sequence[Judged]:
    """The latest n of them, oldest judgement first.

    Args:
        connection: inside a transaction.
        policies: ids of those that decided; their members are the same, in the same order.
        n: how many at most.
        since: only requests from that moment on.
    """
    found = (
        sa.select(requests.c.id, requests.c.episode, feedback.c.earned, feedback.c.member_scores)
        .join(feedback, feedback.c.request_id == requests.c.id)
        .where(requests.c.policy.in_(policies), requests.c.created_at >= since)
        .where(requests.c.episode.is_not(None))
        .order_by(feedback.c.position.desc())
        .limit(n)
    )
    return [Judged(*row) for row in connection.execute(found)][::-1]
