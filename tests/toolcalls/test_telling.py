"""Calls as clients get them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from rlfocal.toolcalls import Call, telling
from rlfocal.toolcalls.telling import as_told


def test_a_long_reply_is_hashed_once_however_many_calls_it_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = list[int]()

    def counted(text: bytes) -> Any:
        sizes.append(len(text))
        return hashlib.sha256(text)

    monkeypatch.setattr(telling, "sha256", counted)
    said = "[" + ",".join(["f()"] * 1000) + "]"
    told = as_told([Call("f", {})] * 1000, [], (), of=said)
    assert len({call["id"] for call in told}) == 1000
    assert sum(sizes) < len(said) + 1000 * 200


def test_ids_turn_on_the_reply_and_the_conversation() -> None:
    def first(of: str, *taken: str) -> Any:
        return as_told([Call("f", {})], [], taken, of=of)[0]["id"]

    assert first("[f()]") == first("[f()]") != first("Sure: [f()]")
    assert first("[f()]", first("[f()]")) != first("[f()]")
