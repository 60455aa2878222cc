"""What /v1/responses remembers of its replies: within bounds, for an hour, for who got them."""

from __future__ import annotations

import pytest

from rlfocal.gateway.wire.dialects import items as items_


def test_texts_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(items_, "_MOST", 3)
    monkeypatch.setattr(items_, "_MOST_CHARACTERS", 10)
    monkeypatch.setattr(items_, "_MOST_OWNERS", 2)
    items = items_.Items(lambda: now)
    for k in range(4):
        items.put("me", str(k), "x")
    assert [items.get("me", str(k)) for k in range(4)] == [None, "x", "x", "x"]
    items.put("me", "long", "x" * 10)
    assert items.get("me", "3") is None
    assert items.get("me", "long")
    items.put("me", "longer", "x" * 11)
    assert items.get("me", "longer") is None
    items.put("you", "1", "x")
    items.put("they", "1", "x")
    assert items._sizes.keys() == {"you", "they"}
    now = 3601.0
    assert items.get("you", "1") is None
    assert not items._known
    assert not items._sizes


def test_old_texts_are_forgotten_whosever_they_are() -> None:
    now = 0.0
    items = items_.Items(lambda: now)
    items.put("me", "1", "x")
    now = 3000.0
    items.put("me", "2", "yy")
    items.put("you", "1", "x")
    now = 3601.0
    items.forget_old()
    assert list(items._known["me"]) == ["2"]
    assert items._sizes == {"me": 2, "you": 1}
    now = 6601.0
    items.put("they", "1", "x")
    assert items._known.keys() == {"they"}
