"""The door: who is let in, what a wrong key learns, and what the limits say."""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from rlfocal.errors import DatabaseError
from rlfocal.gateway.door import access as door
from rlfocal.gateway.door.access import Access
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.store import Key, KeyLimits, Store, Writer, open_store
from rlfocal.gateway.store.keys import make_plaintext

if TYPE_CHECKING:
    from conftest import AddKey, MakeRow

NOON = 1_767_268_800.0


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(store: Store, writer: Writer, clock: Clock) -> Access:
    return Access(store, writer, clock=clock)


def key_of(access: Access, authorization: str | None) -> Key:
    return asyncio.run(access.key_of(authorization))


def denied(coroutine: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        asyncio.run(coroutine)
    return caught.value


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch, store: Store) -> list[str]:
    """Ids that the database was asked for."""
    asked, find = list[str](), store.keys.find
    monkeypatch.setattr(
        store.keys, "find", lambda c, key_id: asked.append(key_id) or find(c, key_id)
    )
    return asked


def test_a_good_key_opens_the_door(access: Access, add_key: AddKey) -> None:
    new = add_key(admin=True, limits=KeyLimits(3.0))
    for header in (f"Bearer {new.plaintext}", f"bearer  {new.plaintext} "):
        assert key_of(access, header) == new.key


def test_every_wrong_key_is_refused_in_the_same_words(
    access: Access, add_key: AddKey, store: Store
) -> None:
    good, revoked = add_key("good").plaintext, add_key("revoked").plaintext
    expired = add_key("expired", expires_at=NOON).plaintext
    with store.connections.write() as connection:
        store.keys.revoke(connection, "revoked", now=NOON)
    other_end = good[:-1] + ("A" if good[-1] != "A" else "B")
    wrong = [None, "", "Bearer", "Bearer ", good, f"Basic {good}", "Bearer sk-1234"]
    wrong += [f"Bearer {text}" for text in (other_end, good[:-1], good + "x", make_plaintext())]
    wrong += [f"Bearer {text}" for text in (revoked, expired, good + "\u00fc", "\ud800", "\x00")]
    wrong += [f"Bearer {good} {good}", f"Bearer {good}\n{good}", "Bearer " + "x" * 100_000]
    said = {
        (error.status, error.code, str(error), error.retry_after_s)
        for header in wrong
        for error in [denied(access.key_of(header))]
    }
    assert len(said) == 1
    status, code, message, _ = said.pop()
    assert (status, code) == (401, "invalid_api_key")
    assert good[4:12] not in message
    assert key_of(access, f"Bearer {good}").name == "good"


def test_digests_are_compared_in_constant_time_whether_or_not_the_id_is_known(
    access: Access, add_key: AddKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = list[tuple[str, str]]()

    def compare(a: str, b: str) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    class Hmac:
        compare_digest = staticmethod(compare)

    monkeypatch.setattr(door, "hmac", Hmac)
    good = add_key().plaintext
    key_of(access, f"Bearer {good}")
    denied(access.key_of(f"Bearer {good[:13]}{'x' * 43}"))
    denied(access.key_of(f"Bearer {make_plaintext()}"))
    assert [len(a) == len(b) == 64 for a, b in compared] == [True] * 3


def test_a_revoked_key_is_out_within_the_time_it_is_remembered(
    access: Access, add_key: AddKey, store: Store, clock: Clock, lookups: list[str]
) -> None:
    header = f"Bearer {add_key().plaintext}"
    key_of(access, header)
    with store.connections.write() as connection:
        store.keys.revoke(connection, "me", now=NOON)
    clock.now += 1.9
    key_of(access, header)  # remembered
    assert len(lookups) == 1
    clock.now += 0.2
    denied(access.key_of(header))
    clock.now -= 3600  # the clock is set back: what was remembered may be old
    denied(access.key_of(header))
    assert len(lookups) == 3


def test_a_remembered_key_expires_on_time(access: Access, add_key: AddKey, clock: Clock) -> None:
    header = f"Bearer {add_key(expires_at=NOON + 1).plaintext}"
    key_of(access, header)
    clock.now += 1
    denied(access.key_of(header))


def test_unknown_ids_are_remembered_too_and_a_new_key_soon_works(
    access: Access, add_key: AddKey, store: Store, clock: Clock, lookups: list[str]
) -> None:
    plaintext = make_plaintext()
    for _ in range(5):
        denied(access.key_of(f"Bearer {plaintext}"))
        denied(access.key_of(f"Bearer {plaintext[:13]}{'x' * 43}"))
    assert lookups == [plaintext[4:12]]
    new = add_key()
    assert key_of(access, f"Bearer {new.plaintext}") == new.key  # at once
    denied(access.key_of("Bearer nonsense"))
    assert len(lookups) == 2


def test_guessing_pushes_no_key_out_and_fills_no_memory(
    access: Access, add_key: AddKey, lookups: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MAX_REMEMBERED", 5)
    header = f"Bearer {add_key().plaintext}"

    async def run() -> None:
        await access.key_of(header)
        for _ in range(20):
            with pytest.raises(ApiError):
                await access.key_of(f"Bearer {make_plaintext()}")
        await access.key_of(header)

    asyncio.run(run())
    assert len(lookups) == 21
    assert (len(access._known), len(access._unknown)) == (1, 5)


def test_many_at_once_look_a_key_up_once_and_one_that_leaves_disturbs_nobody(
    access: Access, add_key: AddKey, lookups: list[str]
) -> None:
    header = f"Bearer {add_key().plaintext}"

    async def run() -> list[Key | BaseException]:
        tasks = [asyncio.create_task(access.key_of(header)) for _ in range(50)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *rest = asyncio.run(run())
    assert isinstance(first, asyncio.CancelledError)
    assert all(isinstance(key, Key) for key in rest)
    assert len(lookups) == 1


def test_an_open_door_lets_everybody_in(store: Store, writer: Writer) -> None:
    access = Access(store, writer, open_door=True)
    for header in (None, "Bearer whatever"):
        key = key_of(access, header)
        assert (key.admin, key.limits) == (True, KeyLimits())
        asyncio.run(access.admit(key, "r1", None, 60))


def test_a_database_that_is_away_is_no_denial(tmp_path: Path) -> None:
    with open_store(tmp_path / "gateway.db") as store:
        writer = Writer(store)
        access = Access(store, writer)
        with sqlite3.connect(tmp_path / "gateway.db") as connection:
            connection.execute("DROP TABLE gateway_keys")
        connection.close()

        async def run() -> None:
            tasks = [access.key_of(f"Bearer {make_plaintext()}") for _ in range(3)]
            failures = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(failure) for failure in failures] == [DatabaseError] * 3

        asyncio.run(run())
        writer.close()


def test_a_key_without_limits_needs_no_look_into_the_database(
    access: Access, add_key: AddKey, writer: Writer
) -> None:
    asyncio.run(access.admit(add_key().key, "r1", None, 60))
    assert writer.counts.n_done == 0


@pytest.mark.parametrize(
    ("limits", "code", "after"),
    [
        (KeyLimits(1.0, "total"), "insufficient_quota", 1.0),
        (KeyLimits(requests_per_minute=2), "rate_limit_exceeded", 30.0),
        (KeyLimits(concurrency=1), "concurrency_limit_exceeded", 1.0),
    ],
    ids=["budget", "rate", "concurrency"],
)
def test_a_used_up_limit_is_429_with_its_code(
    access: Access, add_key: AddKey, limits: KeyLimits, code: str, after: float
) -> None:
    key = add_key(limits=limits).key
    asyncio.run(access.admit(key, "r1", 0.75, 60))
    error = denied(access.admit(key, "r2", 0.75, 60))
    assert (error.status, error.code, error.retry_after_s) == (429, code, after)
    assert "this key may" in str(error)


def test_a_key_revoked_since_it_came_in_is_401(
    access: Access, add_key: AddKey, store: Store
) -> None:
    key = add_key(limits=KeyLimits(1.0)).key
    with store.connections.write() as connection:
        store.keys.revoke(connection, "me", now=NOON)
    error = denied(access.admit(key, "r1", 0.1, 60))
    assert (error.status, error.code) == (401, "invalid_api_key")


def test_what_has_no_price_does_not_pass_a_budget(access: Access, add_key: AddKey) -> None:
    error = denied(access.admit(add_key(limits=KeyLimits(1.0)).key, "r1", None, 60))
    assert (error.status, error.code) == (400, "unpriced")
    assert "no price" in str(error)


def spent(store: Store) -> list[tuple[float, float]]:
    with store.connections.read() as connection:
        return [(use.spent_usd, use.held_usd) for use in store.keys.uses(connection, NOON)]


def test_finishing_settles_and_writes_down_once(
    access: Access, add_key: AddKey, store: Store, writer: Writer, row: MakeRow
) -> None:
    key = add_key(limits=KeyLimits(1.0)).key
    for name in ("r1", "r2"):
        asyncio.run(access.admit(key, name, 0.5, 60))
    assert spent(store) == [(0.0, 1.0)]
    one = row("r1", key, usd=0.25)
    for is_first in (True, False):
        done = asyncio.run(writer.do(lambda c: store.ledger.finish(c, one, NOON)))
        assert done is is_first
    access.finish(lambda: row("r2", key, usd=0.25))
    access.finish(lambda: row("r2", key, usd=0.25))
    writer.close()
    assert spent(store) == [(0.5, 0.0)]
    with store.connections.read() as connection:
        assert [r.id for r in store.log.requests(connection, 9)] == ["r2", "r1"]


def test_a_request_cancelled_at_the_door_holds_nothing(
    access: Access, add_key: AddKey, store: Store, writer: Writer
) -> None:
    key = add_key(limits=KeyLimits(1.0)).key

    async def run() -> None:
        for i in range(10):  # at different moments
            task = asyncio.create_task(access.admit(key, f"r{i}", 1.0, 60))
            await asyncio.sleep(0.0005 * i)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():  # it was through: let go as a gateway would
                await writer.do(lambda c, i=i: store.ledger.release(c, f"r{i}"))

    asyncio.run(run())
    writer.close()
    assert spent(store) == [(0.0, 0.0)]


def test_sweeping_charges_what_is_lost(
    access: Access, add_key: AddKey, store: Store, clock: Clock
) -> None:
    key = add_key(limits=KeyLimits(1.0, "total")).key
    asyncio.run(access.admit(key, "r1", 0.75, 60))
    clock.now += 61
    assert asyncio.run(access.sweep()) == 1
    assert spent(store) == [(0.75, 0.0)]


def test_no_secret_stands_in_what_an_object_shows(
    access: Access, add_key: AddKey, store: Store
) -> None:
    new = add_key()
    key_of(access, f"Bearer {new.plaintext}")
    with store.connections.read() as connection:
        rows = connection.execute(sa.text("SELECT * FROM gateway_keys")).all()
    assert new.plaintext[13:] not in repr([access, access.__dict__, new, rows])
