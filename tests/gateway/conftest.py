"""A gateway's database, on every engine, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rlfocal.gateway.store import Key, NewKey, RequestRow, Store, Writer, open_store

NOON = 1_767_268_800.0
"""2026-01-01T12:00Z."""

AddKey = Callable[..., NewKey]
MakeRow = Callable[..., RequestRow]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with open_store(database_url, busy_timeout_s=20) as opened:
        yield opened


@pytest.fixture
def writer(store: Store) -> Iterator[Writer]:
    opened = Writer(store)
    yield opened
    opened.close()


@pytest.fixture
def add_key(store: Store) -> AddKey:
    """add_key("me", limits=Limits(...)) → a key that is stored."""

    def add(name: str = "me", **more: Any) -> NewKey:
        with store.connections.write() as connection:
            return store.keys.add(connection, name, **{"now": NOON, **more})

    return add


@pytest.fixture
def row() -> MakeRow:
    """row("r1", key, usd=0.5) → a request of that key (None: of nobody)."""

    def make(request_id: str, key: Key | None, **more: Any) -> RequestRow:
        fields: dict[str, Any] = {
            "created_at": NOON, "model": "rlfocal", "task": "sums", "policy": "p1", "status": 200,
        } | more  # fmt: skip
        return RequestRow(id=request_id, key_id=key and key.id, **fields)

    return make
