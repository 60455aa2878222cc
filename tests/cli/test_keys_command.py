"""`rlfocal keys`: printed once, listed without secrets, revoked for good."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rlfocal.gateway.store import open_store

if TYPE_CHECKING:
    from conftest import Run


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RLFOCAL_DB", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "gateway.db"


@pytest.mark.usefixtures("db")
def test_a_new_key_is_all_that_standard_output_carries(run: Run) -> None:
    ran = run("keys", "add", "me")
    plaintext = ran.out.removesuffix("\n")
    assert ran.code == 0
    assert plaintext == plaintext.strip()
    assert plaintext.startswith("rlf_")
    assert "'me'" in ran.err
    assert "gateway.db" in ran.err
    assert plaintext[13:] not in ran.err


def test_what_was_given_is_listed_and_no_secret(run: Run, db: Path) -> None:
    limits = ["--usd", 5, "--per", "day", "--requests-per-minute", 90, "--concurrency", 4]
    added = run("keys", "add", "[team/]", *limits, "--expires", "2099-01-31", "--admin")
    run("keys", "add", "free", "--db", db)
    shown, listed = run("keys", "list"), run("keys", "list", "--json", "--db", f"sqlite:///{db}")
    assert added.out.strip()[13:] not in shown.out + listed.out
    for part in ("[team/]", "active, admin", "$5 per day", "90 per minute", "2099-01-31", "free"):
        assert part in shown.out
    team, free = json.loads(listed.out)
    assert abs(datetime.fromisoformat(team["created_at"]).timestamp() - time.time()) < 60
    assert team | {"created_at": ""} == {
        "name": "[team/]", "id": added.out[4:12], "state": "active", "admin": True, "usd": 5.0,
        "period": "day", "spent_usd": 0.0, "uncertain_cost_usd": 0.0, "held_usd": 0.0,
        "requests_per_minute": 90.0, "concurrency": 4, "created_at": "",
        "expires_at": "2099-01-31T00:00:00Z", "revoked_at": None,
    }  # fmt: skip
    assert (free["usd"], free["period"], free["expires_at"]) == (None, "month", None)


def test_the_environment_may_name_the_database(
    run: Run, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLFOCAL_DB", str(db.with_name("other.db")))
    run("keys", "add", "me")
    assert not db.exists()
    with open_store(db.with_name("other.db")) as store, store.connections.read() as connection:
        assert store.keys.any(connection)


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("12h", 43_200), ("30d", 2_592_000)])
def test_a_key_may_expire_after_a_while(run: Run, text: str, seconds: int) -> None:
    run("keys", "add", "me", "--expires", text)
    (key,) = json.loads(run("keys", "list", "--json").out)
    until = datetime.fromisoformat(key["expires_at"])
    assert abs((until - datetime.now(UTC)).total_seconds() - seconds) < 60


@pytest.mark.usefixtures("db")
def test_a_key_is_revoked_by_its_name_its_id_or_itself(run: Run) -> None:
    keys = {name: run("keys", "add", name).out.strip() for name in ("a", "b", "c")}
    for which in ("a", keys["b"][4:12], keys["c"], "a"):
        ran = run("keys", "revoke", which)
        assert (ran.code, ran.out) == (0, "")
        assert "is revoked" in ran.err
        assert keys["c"][13:] not in ran.err
    listed = json.loads(run("keys", "list", "--json").out)
    assert [key["state"] for key in listed] == ["revoked"] * 3


@pytest.mark.usefixtures("db")
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["add", "me"], "another key called 'me'"),
        (["add", ""], "1 to 100 printable"),
        (["add", "x", "--per", "week"], "period = 'week'"),
        (["add", "x", "--requests-per-minute", "0"], "above 0"),
        (["add", "x", "--usd", "nan"], "--usd"),
        (["add", "x", "--concurrency", "0"], "concurrency"),
        (["add", "x", "--expires", "soon"], "not a time"),
        (["add", "x", "--expires", "2020-01-01"], "over already"),
        (["add", "x", "--db", "mysql://host/x"], "not known"),
        (["revoke", "mee"], "did you mean 'me'"),
        (["list", "--db", "typo.db"], "`rlfocal keys add NAME --db typo.db` makes one"),
        (
            ["revoke", "me", "--db", "sqlite:///typo.db"],
            "`rlfocal keys add NAME --db typo.db` makes",
        ),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "",
)
def test_mistakes_are_said_in_a_line_and_change_nothing(
    run: Run, args: list[str], said: str
) -> None:
    run("keys", "add", "me")
    ran = run("keys", *args)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert not Path("typo.db").exists()
    assert len(json.loads(run("keys", "list", "--json").out)) == 1


def abandon(db: Path, name: str, *usd: float) -> None:
    """Requests of a key whose gateway was killed two minutes ago."""
    then = time.time() - 120
    with open_store(db) as store, store.connections.write() as connection:
        key = store.keys.named(connection, name)
        store.processes.beat(connection, "killed", then)
        for k, most in enumerate(usd):
            store.ledger.admit(connection, key, f"r{k}", most, 600.0, then, "killed")


def test_what_a_killed_gateway_left_is_listed_and_settled(run: Run, db: Path) -> None:
    run("keys", "add", "me", "--usd", 5, "--db", db)
    abandon(db, "me", 0.25, 0.5)
    listed = run("keys", "settle", "me")
    assert listed.code == 0
    assert "$0.250000" in listed.out
    assert "$0.750000 at most" in listed.err
    assert "$0.7500 of it unsettled" in run("keys", "list").out
    (one,) = json.loads(run("keys", "settle", "me", "--usd", 0.01, "--request", "r1", "--json").out)
    assert (one["id"], one["uncertain_cost_usd"]) == ("r1", 0.5)
    (key,) = json.loads(run("keys", "list", "--json").out)
    assert (key["spent_usd"], key["uncertain_cost_usd"]) == pytest.approx((0.26, 0.25))
    forgiven = run("keys", "settle", "me", "--usd", 0)
    assert "came to $0.000000" in forgiven.err
    (key,) = json.loads(run("keys", "list", "--json").out)
    assert (key["spent_usd"], key["uncertain_cost_usd"]) == pytest.approx((0.01, 0.0))
    with open_store(db) as store, store.connections.read() as connection:
        events = store.log.events(connection, 2)
    assert all("@" in event.what["by"] for event in events)


@pytest.mark.usefixtures("db")
def test_what_cannot_be_settled_is_refused(run: Run) -> None:
    run("keys", "add", "me")
    assert "has no abandoned requests" in run("keys", "settle", "me").err
    for wrong, said in (
        (("me", "--usd", 0), "no abandoned requests"),
        (("me", "--usd", -1), "not negative"),
        (("me", "--request", "r1"), "--usd"),
        (("mee",), "did you mean 'me'"),
    ):
        ran = run("keys", "settle", *wrong)
        assert ran.code != 0
        assert said in ran.err
