"""Requests, feedback, policies and events: written once, read in order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from rlfocal.errors import ConfigError
from rlfocal.gateway.store import Event, FeedbackRow, PolicyRow, RequestRow, Store, schema
from rlfocal.gateway.store.log import values_of

if TYPE_CHECKING:
    from conftest import MakeRow

NOON = 1_767_268_800.0


def judged(request_id: str, **more: Any) -> FeedbackRow:
    fields: dict[str, Any] = {
        "key_id": "k", "created_at": NOON, "score": 1.0, "earned": 1.0, "task": "sums",
        "given": {"a": 0, "b": None}, "member_scores": {"a": 1.0, "b": None},
    } | more  # fmt: skip
    return FeedbackRow(request_id=request_id, **fields)


@pytest.mark.parametrize(
    ("row_type", "table"),
    [
        (RequestRow, schema.requests),
        (FeedbackRow, schema.feedback),
        (PolicyRow, schema.policies),
        (Event, schema.events),
    ],
    ids=["requests", "feedback", "policies", "events"],
)
def test_rows_have_the_columns_of_their_table(row_type: type, table: sa.Table) -> None:
    assert sorted(row_type.__dataclass_fields__) == sorted(table.columns.keys())


def test_a_request_comes_back_as_it_was(store: Store, row: MakeRow) -> None:
    full = row(
        "r1", None, error="timeout", streamed=True, latency_s=0.5, own_s=0.01, n_calls=3,
        n_rounds=2, usd=0.1, unsettled_usd=0.2, n_unpriced=1, n_prompt_tokens=2**40,
        n_completion_tokens=9, confidence=0.75, given={"a": 0, "b": None},
        candidates=["vier", "\x00\ud800 ü"], chosen=0, trace={"rounds": []}, episode={"p": [0.5]},
        prompt="2 + 2 = \x00?",
    )  # fmt: skip
    with store.connections.write() as connection:
        assert store.log.add_request(connection, full)
        assert not store.log.add_request(connection, replace(full, usd=9.0))
    with store.connections.read() as connection:
        found = store.log.request(connection, "r1")
        assert store.log.request(connection, "r2") is None
    assert found == replace(full, prompt="2 + 2 = \ufffd?", position=1)


def test_no_text_of_people_stands_in_a_repr(row: MakeRow) -> None:
    full = row("r1", None, prompt="secret", candidates=["secret"], trace={"x": "secret"})
    assert "secret" not in repr([full, judged("r1", answer="secret")])


@pytest.mark.parametrize(
    ("keep", "left"),
    [(2, [3, 4]), (0, []), (9, [0, 1, 2, 3, 4])],
)
def test_old_requests_are_pruned(store: Store, row: MakeRow, keep: int, left: list[int]) -> None:
    with store.connections.write() as connection:
        for i in range(5):
            store.log.add_request(connection, row(f"r{i}", None, created_at=NOON + i))
        assert store.log.prune(connection, keep=keep) == 5 - len(left)
        assert [r.id for r in store.log.requests(connection, 9)] == [f"r{i}" for i in left[::-1]]


def test_a_second_judgement_takes_the_place_of_the_first_and_is_read_as_new(store: Store) -> None:
    with store.connections.write() as connection:
        for name in ("r1", "r2"):
            store.log.put_feedback(connection, judged(name))
    with store.connections.read() as connection:
        seen = store.log.feedback_after(connection, 0)
    assert [f.request_id for f in seen] == ["r1", "r2"]
    for earned in (0.5, 0.25):  # the last row is replaced too: its number must not come again
        with store.connections.write() as connection:
            store.log.put_feedback(connection, judged("r2", earned=earned))
        with store.connections.read() as connection:
            fresh = store.log.feedback_after(connection, seen[-1].position or 0)
        assert [(f.request_id, f.earned) for f in fresh] == [("r2", earned)]
        seen = fresh
    with store.connections.write() as connection:
        store.log.put_feedback(connection, judged("r1"))
        store.log.put_feedback(connection, judged("r3"))
    with store.connections.read() as connection:
        everything = store.log.feedback(connection, 9)
        assert [f.request_id for f in store.log.feedback(connection, 2)] == ["r1", "r3"]
        assert store.log.feedback_after(connection, 0, n=1) == everything[:1]
    assert [f.request_id for f in everything] == ["r2", "r1", "r3"]
    assert replace(everything[0], position=None) == judged("r2", earned=0.25)


def policy(name: str, state: str, parent: str | None = None) -> PolicyRow:
    return PolicyRow(id=name, parent=parent, created_at=NOON, state=state, path=f"/{name}")


def states(store: Store) -> dict[str, str]:
    with store.connections.read() as connection:
        return {row.id: row.state for row in store.log.policies(connection)}


def test_one_policy_is_live(store: Store) -> None:
    with store.connections.write() as connection:
        assert store.log.live_policy(connection) is None
        store.log.add_policy(connection, policy("p1", "live"))
        store.log.add_policy(connection, policy("p2", "shadow", "p1"))
        store.log.add_policy(connection, policy("p1", "shadow"))  # is there: stays
    assert states(store) == {"p1": "live", "p2": "shadow"}
    with store.connections.write() as connection:
        store.log.set_policy(connection, "p2", state="live", estimates={"gain": 0.1})
    assert states(store) == {"p1": "retired", "p2": "live"}
    with store.connections.write() as connection:
        store.log.add_policy(connection, policy("p3", "live"))
        live = store.log.live_policy(connection)
        store.log.set_policy(connection, "p2")
        two = store.log.policies(connection)[1]
    assert live is not None
    assert live.id == "p3"
    assert (two.state, two.parent, two.estimates) == ("retired", "p1", {"gain": 0.1})


def test_wrong_policies_are_refused(store: Store) -> None:
    with store.connections.write() as connection:
        store.log.add_policy(connection, policy("p1", "live"))
        with pytest.raises(ValueError, match="state = 'lively'"):
            store.log.add_policy(connection, policy("p2", "lively"))
        with pytest.raises(ConfigError, match="no policy 'p9'; did you mean 'p1'"):
            store.log.set_policy(connection, "p9", state="live")
        with pytest.raises(ValueError, match="state = 'dead'"):
            store.log.set_policy(connection, "p1", state="dead")


def test_events_are_listed_newest_first(store: Store) -> None:
    rows = [Event(kind="promoted", what={"id": f"p{i}"}, created_at=NOON) for i in range(3)]
    with store.connections.write() as connection:
        for event in rows:
            store.log.add_event(connection, event)
        listed = store.log.events(connection, 2)
    assert [values_of(event) for event in listed] == [values_of(event) for event in rows[:0:-1]]
