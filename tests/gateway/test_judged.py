"""Judged requests with their episodes, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlfocal.gateway.store import FeedbackRow, RequestRow, Store

MakeRow = Callable[..., RequestRow]


def test_judged_requests_come_with_their_episodes_the_latest_last(
    store: Store, row: MakeRow
) -> None:
    def judge(name: str, earned: float) -> FeedbackRow:
        return FeedbackRow(
            request_id=name, key_id=None, created_at=2.0, score=earned, earned=earned, task="sums",
            given={"a": 0}, member_scores={"a": earned, "b": None},
        )  # fmt: skip

    episode: dict[str, Any] = {"version": 1, "price": 0.1}
    with store.connections.write() as connection:
        for number, name in enumerate(("r1", "r2", "r3", "r4", "bare", "other", "silent")):
            more: dict[str, Any] = {"created_at": float(number)}
            more |= {} if name == "bare" else {"episode": episode | {"key": name}}
            more |= {"policy": "p9"} if name == "other" else {}
            store.log.add_request(connection, row(name, None, **more))
        for name in ("r4", "r2", "bare", "other", "r1", "r3"):
            store.log.put_feedback(connection, judge(name, 0.5))
        store.log.put_feedback(connection, judge("r4", 1.0))  # judged anew

    def found(policies: set[str], n: int = 10, since: float = 0.0) -> list[tuple[str, float]]:
        with store.connections.read() as connection:
            rows = store.log.judged_episodes(connection, policies, n=n, since=since)
        assert all(one.episode["key"] == one.request_id for one in rows)
        assert all(one.member_scores["b"] is None for one in rows)
        return [(one.request_id, one.earned) for one in rows]

    assert found({"p1"}) == [("r2", 0.5), ("r1", 0.5), ("r3", 0.5), ("r4", 1.0)]
    assert found({"p1"}, n=2) == [("r3", 0.5), ("r4", 1.0)]
    assert found({"p1"}, since=2.0) == [("r3", 0.5), ("r4", 1.0)]
    assert found({"p9"}) == [("other", 0.5)]
    assert len(found({"p1", "p9"})) == 5
    assert found(set()) == []
