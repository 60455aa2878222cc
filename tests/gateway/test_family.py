"""Which policies belong together, which of them is live, and which may take its place."""

from __future__ import annotations

from typing import Any

import pytest

from rlfocal.errors import ConfigError
from rlfocal.gateway.store import PolicyRow
from rlfocal.gateway.store.family import Family, objection

GAINS = {"may_promote": True, "reason": "gains"}


def policy(name: str, parent: str | None, state: str, estimates: Any = None) -> PolicyRow:
    return PolicyRow(
        id=name, parent=parent, created_at=1.0, state=state, path=name, estimates=estimates
    )


ROWS = [
    policy("first", None, "retired"),
    policy("second", "first", "live"),
    policy("early", "second", "shadow", GAINS),
    policy("late", "second", "shadow", GAINS | {"may_promote": False}),
    policy("aside", "first", "shadow", GAINS),
    policy("stranger", None, "retired"),
]


@pytest.mark.parametrize("one", ["first", "second", "late", "aside"])
def test_a_family_holds_ancestors_and_descendants_and_nobody_else(one: str) -> None:
    family = Family(ROWS, one)
    assert [row.id for row in family.rows] == ["first", "second", "early", "late", "aside"]
    assert family.require_live().id == "second"
    assert family.shadow(None).id == "late"
    assert family.shadow("early").id == "early"


def test_a_family_without_a_live_policy_has_no_shadow() -> None:
    family = Family(ROWS, "stranger")
    assert family.live is None
    with pytest.raises(ConfigError, match="no gateway has served"):
        family.shadow(None)
    with pytest.raises(ConfigError, match="no shadow 'lat'; did you mean 'late'"):
        Family(ROWS, "first").shadow("lat")
    with pytest.raises(ConfigError, match="no shadow of second"):
        Family(ROWS[:2], "first").shadow(None)


def test_an_objection_says_why() -> None:
    _, live, early, late, aside, _ = ROWS
    assert objection(early, live) is None
    assert objection(late, live) == "gains"
    assert objection(aside, live) == "it was judged beside first, and second is live; learn again"
    assert objection(policy("bare", "second", "shadow"), live) == (
        "nothing is known of what it gains"
    )
