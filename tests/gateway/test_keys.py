"""Keys: shown once, stored as digests, found, listed and revoked."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rlfocal.errors import ConfigError
from rlfocal.gateway.store import Key, KeyLimits, Store, open_store
from rlfocal.gateway.store.keyfile import read_key_file
from rlfocal.gateway.store.keys import make_plaintext

if TYPE_CHECKING:
    from conftest import AddKey

NOON = 1_767_268_800.0
DIGEST = "0" * 64


def test_a_key_is_random_and_only_its_digest_is_kept(store: Store, add_key: AddKey) -> None:
    one, two = add_key("one"), add_key("two")
    assert re.fullmatch(r"rlf_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", one.plaintext)
    assert one.plaintext[13:] != two.plaintext[13:]
    with store.connections.read() as connection:
        found = store.keys.find(connection, one.key.id)
    assert found is not None
    assert found.key == one.key
    assert found.digest == hashlib.sha256(one.plaintext.encode()).hexdigest()


def test_a_key_stands_in_no_file_and_no_repr(tmp_path: Path) -> None:
    with open_store(tmp_path / "gateway.db") as store:
        with store.connections.write() as connection:
            new = store.keys.add(connection, "me", now=NOON)
        secret = new.plaintext[13:]
        shown = repr([new, store])
        with store.connections.read() as connection:
            found = store.keys.find(connection, new.key.id)
            shown += repr([found, store.keys.uses(connection, NOON)])
            shown += repr(store.log.events(connection, 9))
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert new.key.id in shown
    assert secret not in shown
    assert new.key.id.encode() in files
    assert secret.encode() not in files


def test_limits_and_moments_come_back(store: Store, add_key: AddKey) -> None:
    limits = KeyLimits(2.5, "day", 90.0, 3)
    key = add_key(limits=limits, admin=True, expires_at=NOON + 5).key
    with store.connections.read() as connection:
        found = store.keys.find(connection, key.id)
    assert found is not None
    assert found.key == Key(key.id, "me", True, limits, NOON, NOON + 5)
    assert [key.state(NOON + s) for s in (4.9, 5)] == ["active", "expired"]


def test_two_keys_of_one_name_are_refused(add_key: AddKey) -> None:
    add_key("me")
    with pytest.raises(ConfigError, match=r"another key called 'me'.* another name"):
        add_key("me")


@pytest.mark.parametrize("name", ["", " me", "a\nb", "x" * 101])
def test_a_name_that_cannot_be_listed_is_refused(add_key: AddKey, name: str) -> None:
    with pytest.raises(ConfigError, match="1 to 100 printable"):
        add_key(name)


def test_a_key_as_a_name_is_refused_and_not_shown(add_key: AddKey) -> None:
    plaintext = make_plaintext()
    with pytest.raises(ConfigError, match="looks like a key") as caught:
        add_key(plaintext)
    assert plaintext[13:] not in str(caught.value)


@pytest.mark.parametrize("by", ["name", "id", "plaintext"])
def test_revoking_twice_is_one_event(store: Store, add_key: AddKey, by: str) -> None:
    new = add_key("me")
    which = {"name": "me", "id": new.key.id, "plaintext": new.plaintext}[by]
    for later in (1, 2):
        with store.connections.write() as connection:
            store.keys.revoke(connection, which, now=NOON + later)
    with store.connections.read() as connection:
        found = store.keys.find(connection, new.key.id)
        events = store.log.events(connection, 9)
        assert store.keys.any(connection)  # a door that had keys does not open
    assert found is not None
    assert (found.key.revoked_at, found.key.state(NOON)) == (NOON + 1, "revoked")
    what = {"id": new.key.id, "name": "me"}
    assert [(event.kind, event.what) for event in events] == [
        ("key revoked", what),
        ("key added", what),
    ]


def test_revoking_an_unknown_key_names_the_nearest_but_shows_no_key(
    store: Store, add_key: AddKey
) -> None:
    add_key("team-a")
    with store.connections.write() as connection:
        with pytest.raises(ConfigError, match="did you mean 'team-a'"):
            store.keys.revoke(connection, "team-b", now=NOON)
        plaintext = make_plaintext()
        with pytest.raises(ConfigError, match="no such key here") as caught:
            store.keys.revoke(connection, plaintext, now=NOON)
    assert plaintext[13:] not in str(caught.value)


def test_there_is_none_at_first(store: Store) -> None:
    with store.connections.read() as connection:
        assert not store.keys.any(connection)


@pytest.mark.parametrize(
    "wrong",
    [
        {"usd": -1},
        {"usd": float("nan")},
        {"period": "week"},
        {"requests_per_minute": 0},
        {"requests_per_minute": float("inf")},
        {"concurrency": 0},
    ],
    ids=str,
)
def test_limits_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        KeyLimits(**wrong)


def write(folder: Path, text: str) -> Path:
    path = folder / "keys.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_of_keys_is_taken_over_again_and_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plaintext = make_plaintext()
    monkeypatch.setenv("TEAM_KEY", plaintext)
    text = f"""
[[keys]]
name = "team"
key_env = "TEAM_KEY"
usd = 5
period = "day"
expires_at = 2030-01-01T00:00:00Z
[[keys]]
name = "other"
id = "abcd1234"
sha256 = "{DIGEST}"
admin = true
"""
    for _ in range(2):
        assert store.sync_file(write(tmp_path, text)) == 2
    assert store.sync_file(write(tmp_path, text.replace("usd = 5", "usd = 7"))) == 2
    with store.connections.read() as connection:
        uses = store.keys.uses(connection, NOON)
        team = store.keys.find(connection, plaintext[4:12])
        events = store.log.events(connection, 9)
    assert [(use.key.name, use.key.admin) for use in uses] == [("other", True), ("team", False)]
    assert team is not None
    assert team.digest == hashlib.sha256(plaintext.encode()).hexdigest()
    assert team.key.limits == KeyLimits(7.0, "day")
    assert team.key.expires_at == 1_893_456_000
    assert len(events) == 2


def test_a_revoked_key_stays_revoked_though_a_file_names_it(store: Store, tmp_path: Path) -> None:
    path = write(tmp_path, f'[[keys]]\nname = "a"\nid = "abcd1234"\nsha256 = "{DIGEST}"\n')
    store.sync_file(path)
    with store.connections.write() as connection:
        store.keys.revoke(connection, "a", now=NOON)
    store.sync_file(path)
    with store.connections.read() as connection:
        assert [use.key.state(NOON) for use in store.keys.uses(connection, NOON)] == ["revoked"]


def test_a_file_that_gives_a_name_to_another_key_changes_nothing(
    store: Store, tmp_path: Path, add_key: AddKey
) -> None:
    before = add_key("b").key
    text = "".join(
        f'[[keys]]\nname = "{name}"\nid = "abcd000{name}"\nsha256 = "{DIGEST}"\n' for name in "ab"
    )
    with pytest.raises(ConfigError, match="another key called 'b'"):
        store.sync_file(write(tmp_path, text))
    with store.connections.read() as connection:
        assert [use.key for use in store.keys.uses(connection, NOON)] == [before]


ENTRY = f'[[keys]]\nname = "a"\nid = "abcd1234"\nsha256 = "{DIGEST}"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[keys]]\n", "'name' is missing"),
        ('[[keys]]\nname = "a"\n', "key_env, or both"),
        ('[[keys]]\nname = "a"\nid = "abcd1234"\n', "key_env, or both"),
        (ENTRY + 'key_env = "X"\n', "key_env, or both"),
        (ENTRY + "usd_per_day = 3\n", "unknown key 'usd_per_day'"),
        (ENTRY + "usd = -1\n", "usd = -1"),
        (ENTRY + 'period = "week"\n', "period = 'week'"),
        (ENTRY + "concurrency = 0\n", "concurrency = 0"),
        (ENTRY + ENTRY, "two keys have the name 'a'"),
        (ENTRY + ENTRY.replace('"a"', '"b"'), "two keys have the id"),
        ("keys = 3\n", r"\[\[keys\]\]"),
        ("[key]\n", "unknown key 'key'"),
        ('[[keys]]\nname = "a"\nkey_env = "NOT_SET"\n', "NOT_SET is not set"),
        ('[[keys]]\nname = "a"\nkey_env = "ODD"\n', "ODD does not hold a key of rlfocal's"),
        ("[[keys]\n", "cannot read"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_key_file(write(tmp_path, text), {"ODD": "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    ["key = '{}'", "sha256 = '{}'", "key_env = '{}'", "name = '{}'", "{} = 1", "odd = ['{}']"],
)
def test_a_key_in_plain_text_is_refused_and_not_shown(tmp_path: Path, line: str) -> None:
    plaintext = make_plaintext()
    with pytest.raises(ConfigError, match="plain text") as caught:
        read_key_file(write(tmp_path, f"[[keys]]\n{line.format(plaintext)}\n"), {})
    assert plaintext[4:12] not in str(caught.value)
    assert plaintext[13:] not in str(caught.value)


def test_another_secret_in_the_place_of_a_key_is_not_shown(tmp_path: Path) -> None:
    for line in ("token = 'hunter2'", "key_env = 'hunter 2'", "sha256 = 'hunter2'"):
        with pytest.raises(ConfigError) as caught:
            read_key_file(write(tmp_path, f"[[keys]]\nname = 'a'\n{line}\n"), {})
        assert "hunter" not in str(caught.value)
