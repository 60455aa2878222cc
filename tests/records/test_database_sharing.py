"""Dollars and moments that collectors at one database share: by hand, and by law."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.database import Connections
from rlfocal.records.database import Database, StoredError, StoredResponse, open_database
from rlfocal.records.database.sharing import (
    Share,
    allow,
    end_lease,
    end_spending,
    join_budget,
    spenders,
    take_moments,
)


def ask(
    database: Database,
    owner: str,
    wanted: float,
    *,
    spent: float = 0.0,
    least: float | None = None,
    cap: float = 10.0,
    budget: str = "=x",
    lease_s: float = 60.0,
) -> Share:
    return allow(
        database.connections, owner, budget, cap_usd=cap, spent_usd=spent,
        least_usd=spent if least is None else least, wanted_usd=wanted, lease_s=lease_s,
    )  # fmt: skip


def join(database: Database, *owners: str, name: str | None = "x", lease_s: float = 60.0) -> None:
    for owner in owners:
        join_budget(database.connections, owner, name, lease_s)


def test_portions_by_hand(database: Database) -> None:
    join(database, "a", "b")
    assert ask(database, "a", 6.0) == Share(6.0, 0.0, 1, may_grow=False)
    assert ask(database, "b", 6.0) == Share(4.0, 0.0, 1, may_grow=True)
    # What a has spent and keeps is 5; it gives 1 back.
    assert ask(database, "a", 5.0, spent=3.0).allowed_usd == 5.0
    assert ask(database, "b", 6.0, spent=1.0) == Share(5.0, 3.0, 1, may_grow=True)
    end_spending(database.connections, "a", 3.5)
    assert ask(database, "b", 100.0, spent=1.0) == Share(6.5, 3.5, 0, may_grow=False)
    # What is under way stays, and what was spent is never less than before.
    assert ask(database, "b", 0.0, spent=0.5, least=2.0).allowed_usd == 2.0
    join(database, "c")
    assert ask(database, "c", 100.0).others_usd == 4.5


@pytest.mark.parametrize("noticed", [False, True])
def test_what_a_killed_one_was_lent_counts_as_spent(database: Database, noticed: bool) -> None:
    """It may have been under way, and be billed."""
    join(database, "killed", "b")
    assert ask(database, "killed", 8.0, spent=1.0, lease_s=60 if noticed else 0.3) == Share(
        8.0, 0.0, 1, may_grow=False
    )
    assert ask(database, "b", 10.0) == Share(2.0, 1.0, 1, may_grow=True)
    assert spenders(database.connections) == ["b", "killed"]
    if noticed:
        end_lease(database.connections, "killed")
    else:
        time.sleep(0.4)
    assert ask(database, "b", 10.0) == Share(2.0, 8.0, 0, may_grow=False)
    assert spenders(database.connections) == ["b"]


def test_who_slept_over_its_lease_may_still_give_back(database: Database) -> None:
    join(database, "sleeper", "b")
    assert ask(database, "sleeper", 8.0, lease_s=0.1).allowed_usd == 8.0
    time.sleep(0.2)
    assert ask(database, "b", 10.0).allowed_usd == 2.0
    assert ask(database, "sleeper", 3.0, spent=3.0).allowed_usd == 3.0
    assert ask(database, "b", 10.0) == Share(7.0, 3.0, 1, may_grow=False)
    end_lease(database.connections, "sleeper")
    end_spending(database.connections, "sleeper", 1.0)
    assert ask(database, "b", 10.0) == Share(7.0, 3.0, 0, may_grow=False)


def test_replies_and_failures_note_what_was_spent_where_they_are_stored(database: Database) -> None:
    join(database, "a", "b")
    reply = StoredResponse(query_key="q", query_id="q", member="m", settings_key="s", text="1")
    database.add_responses([reply], ("a", 2.0))
    database.add_errors([StoredError(key="k", member="m", failure="timeout")], ("a", 2.5))
    assert ask(database, "b", 0.0).others_usd == 2.5


def test_whose_budget_is_joined(database: Database) -> None:
    connections = database.connections
    first = join_budget(connections, "a", None, 0.5)
    assert join_budget(connections, "b", None, 0.5) == first
    named = join_budget(connections, "c", "november", 60)
    assert named not in (first, "november")
    time.sleep(0.6)  # nobody without a name is at work any more
    assert join_budget(connections, "d", None, 60) not in (first, named)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 8), st.floats(0, 1)), max_size=12))
def test_together_they_are_never_allowed_more_than_the_cap(
    tmp_path_factory: pytest.TempPathFactory, asked: list[tuple[str, float, float]]
) -> None:
    with open_database(tmp_path_factory.mktemp("db") / "a.db") as database:
        join(database, *"abc")
        allowed, spent = dict.fromkeys("abc", 0.0), dict.fromkeys("abc", 0.0)
        for owner, wanted, share in asked:
            spent[owner] += share * (allowed[owner] - spent[owner])
            allowed[owner] = ask(database, owner, wanted, spent=spent[owner]).allowed_usd
            assert sum(allowed.values()) <= 10.0 + 1e-9
            assert allowed[owner] >= spent[owner]


def test_moments_by_hand(database: Database) -> None:
    take = database.connections, "rate"
    assert take_moments(*take, 10, 100.0) == 0.0
    assert take_moments(*take, 1, 100.0) == pytest.approx(1000.0, abs=5)
    assert take_moments(*take, 1, 100.0) == pytest.approx(1100.0, abs=5)
    assert take_moments(database.connections, "other", 1, 100.0) == 0.0
    with pytest.raises(ValueError, match="n must be 1 or more"):
        take_moments(*take, 0, 1.0)


def test_nobody_waits_for_as_long_as_a_clock_was_ahead(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    offset_s, now_s = 3600.0, Connections.now_s
    monkeypatch.setattr(Connections, "now_s", lambda self, c: now_s(self, c) + offset_s)
    take = database.connections, "rate"
    assert take_moments(*take, 1, 1.0) == 0.0
    assert take_moments(*take, 10, 100.0) == pytest.approx(1.0, abs=1)
    offset_s = 0.0  # set right; what was lent is still nobody else's
    assert take_moments(*take, 1, 100.0) == pytest.approx(1001.0, abs=5)
    assert take_moments(*take, 1, 100.0) == pytest.approx(1101.0, abs=5)


def test_no_moment_is_given_twice(database_url: str, tmp_path: Path) -> None:
    found: list[float] = []
    begun = time.time()

    def work() -> None:
        with open_database(database_url) as database:
            for _ in range(10):
                wait = take_moments(database.connections, "rate", 1, 50.0)
                found.append(time.time() + wait - begun)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.sort()
    assert len(found) == 30
    gaps = [later - earlier for earlier, later in itertools.pairwise(found)]
    assert min(gaps) > 40
