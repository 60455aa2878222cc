"""Keys of clients: how one is made, what it may do, and where it is found again.

A key is shown once, when it is made. Stored is its SHA-256: a key holds 256 random bits, so nobody
finds it from its digest, and a slow hash, which passwords need, would only slow every request.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from rlfocal.errors import ConfigError, nearest
from rlfocal.gateway.store.periods import HELD, PERIODS, SPENT, UNSETTLED, Period, starts
from rlfocal.gateway.store.schema import events, keys

__all__ = [
    "Key",
    "KeyLimits",
    "KeyUse",
    "KeyWithDigest",
    "Keys",
    "NewKey",
    "check_name",
    "digest_of",
    "id_in",
    "key_of_row",
    "make_plaintext",
]

_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_PLAINTEXT = re.compile(r"rlf_([a-z0-9]{8})_[A-Za-z0-9_-]{43}")
_LIKE_A_KEY = re.compile(r"rlf_[a-z0-9]{8}_")
_LONGEST_NAME = 100


@dataclass(frozen=True)
class KeyLimits:
    """What a key may use; None is no limit."""

    usd: float | None = None
    """Dollars that may be spent in each period."""
    period: Period = "month"
    """By the calendar of UTC."""
    requests_per_minute: float | None = None
    concurrency: int | None = None
    """Requests under way at once."""

    def __post_init__(self) -> None:
        if self.usd is not None and not (math.isfinite(self.usd) and self.usd >= 0):
            raise ValueError(f"usd = {self.usd}: give a number that is not negative")
        if self.period not in PERIODS:
            raise ValueError(f"period = {self.period!r}: {nearest(str(self.period), PERIODS)}")
        rate = self.requests_per_minute
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"requests_per_minute = {rate}: give a number above 0")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency = {self.concurrency}: give a whole number above 0")

    @property
    def exist(self) -> bool:
        """True where there is any."""
        return not (self.usd is self.requests_per_minute is self.concurrency is None)


@dataclass(frozen=True)
class Key:
    """A client's key, without what proves it. Moments are seconds since 1970."""

    id: str
    name: str
    admin: bool = False
    limits: KeyLimits = KeyLimits()
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None

    def state(self, now: float) -> str:
        """One of "active", "expired" and "revoked"."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


@dataclass(frozen=True)
class KeyWithDigest:
    """A key and the SHA-256 that proves it, in hexadecimal."""

    key: Key
    digest: str = field(repr=False)


@dataclass(frozen=True)
class NewKey:
    """A key that was just made, and its text, which nothing shows a second time."""

    key: Key
    plaintext: str = field(repr=False)


class KeyUse(NamedTuple):
    """A key and its dollars: spent in its period, held for what its requests under way may cost."""

    key: Key
    spent_usd: float
    held_usd: float
    unsettled_usd: float = 0.0
    """The part of `spent_usd` that is an upper bound: no server has counted it."""


def make_plaintext() -> str:
    """Make the text of a new key: a name for it that is no secret, and 256 random bits."""
    name = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
    return f"rlf_{name}_{secrets.token_urlsafe(32)}"


def digest_of(plaintext: str) -> str:
    """SHA-256 of a key's text, as 64 hexadecimal digits."""
    return hashlib.sha256(plaintext.encode("utf-8")).hexdigest()


def id_in(plaintext: str) -> str | None:
    """The id in a key's text; None where it is no such text.

    >>> id_in("rlf_abcd1234_" + "x" * 43)
    'abcd1234'
    """
    found = _PLAINTEXT.fullmatch(plaintext)
    return found and found[1]


def check_name(name: str) -> None:
    """Refuse a name that cannot be listed, or that is a key by mistake.

    Raises:
        ConfigError: with the reason; a key is not shown.
    """
    if _LIKE_A_KEY.search(name):
        raise ConfigError("the name of a key looks like a key itself; give it another name")
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= _LONGEST_NAME:
        raise ConfigError(
            f"name of a key: {name[:_LONGEST_NAME]!r}: give 1 to {_LONGEST_NAME} printable "
            "characters, without spaces at the ends"
        )


class Keys:
    """Statements on keys. Each takes a connection, so that several make one transaction."""

    def add(
        self,
        connection: sa.Connection,
        name: str,
        *,
        now: float,
        admin: bool = False,
        limits: KeyLimits | None = None,
        expires_at: float | None = None,
    ) -> NewKey:
        """Make a key.

        Raises:
            ConfigError: there is a key of that name, or the name cannot be one.
        """
        plaintext = make_plaintext()
        key = Key(str(id_in(plaintext)), name, admin, limits or KeyLimits(), now, expires_at)
        self.put(connection, KeyWithDigest(key, digest_of(plaintext)), now=now)
        return NewKey(key, plaintext)

    def put(self, connection: sa.Connection, known: KeyWithDigest, *, now: float) -> None:
        """Store a key that was made elsewhere; what it may do replaces what it might before.

        A key that was revoked stays so.

        Raises:
            ConfigError: its name or its id belongs to another key, or the name cannot be one.
        """
        key = known.key
        check_name(key.name)
        same = sa.or_(keys.c.id == key.id, keys.c.name == key.name)
        there = connection.execute(sa.select(keys).where(same)).all()
        values: dict[str, Any] = {
            "admin": key.admin, **asdict(key.limits), "expires_at": key.expires_at,
        }  # fmt: skip
        if not there:
            row = {"id": key.id, "name": key.name, "digest": known.digest, **values}
            connection.execute(keys.insert(), row | {"created_at": now})
            _note(connection, "key added", key, now)
        elif [(row.id, row.name, row.digest) for row in there] == [
            (key.id, key.name, known.digest)
        ]:
            connection.execute(keys.update().where(keys.c.id == key.id).values(**values))
        else:
            raise ConfigError(
                f"there is another key called '{key.name}', or one with its id; give this one "
                "another name (a revoked key keeps its name, so that its requests can be told "
                "apart)"
            )

    def find(self, connection: sa.Connection, key_id: str) -> KeyWithDigest | None:
        """A key by its id, revoked and expired ones included; None where there is none."""
        row = connection.execute(_BY_ID, {"key_id": key_id}).mappings().one_or_none()
        return None if row is None else KeyWithDigest(key_of_row(row), row["digest"])

    def any(self, connection: sa.Connection) -> bool:
        """True where a key was ever added: to revoke the last one must not open the door."""
        return bool(connection.scalar(sa.select(sa.exists(sa.select(keys.c.id)))))

    def uses(self, connection: sa.Connection, now: float) -> Sequence[KeyUse]:
        """Every key and what it has used, by name."""
        return [
            KeyUse(
                key_of_row(row), *(float(row[f"{name}_usd"]) for name in ("spent", "held", "open"))
            )
            for row in connection.execute(_USES, starts(now)).mappings()
        ]

    def revoke(self, connection: sa.Connection, which: str, *, now: float) -> Key:
        """Revoke a key, named as in `named`, for good; to do so twice changes nothing.

        Raises:
            ConfigError: there is no such key, or a name and an id mean two keys.
        """
        key = self.named(connection, which)
        if key.revoked_at is None:
            gone = keys.update().where(keys.c.id == key.id).values(revoked_at=now)
            connection.execute(gone)
            _note(connection, "key revoked", key, now)
        return key

    def named(self, connection: sa.Connection, which: str) -> Key:
        """A key by its name, its id or its text.

        Raises:
            ConfigError: there is no such key, or a name and an id mean two keys.
        """
        known = id_in(which) or which
        rows = connection.execute(
            sa.select(keys).where(sa.or_(keys.c.id == known, keys.c.name == known))
        )
        found = [key_of_row(row) for row in rows.mappings()]
        if not found:
            names = connection.scalars(sa.select(keys.c.name).order_by(keys.c.name)).all()
            if _LIKE_A_KEY.search(which):
                raise ConfigError("there is no such key here; rlfocal keys list shows them")
            raise ConfigError(f"no key '{which}'; {nearest(which, names)}")
        if len(found) > 1:
            raise ConfigError(f"'{which}' is one key's name and another's id; give the other word")
        return found[0]


def _note(connection: sa.Connection, kind: str, key: Key, now: float) -> None:
    what = {"id": key.id, "name": key.name}
    connection.execute(events.insert(), {"created_at": now, "kind": kind, "what": what})


def key_of_row(row: Mapping[str, Any] | sa.RowMapping) -> Key:
    """A key from a row of its table."""
    limits = KeyLimits(row["usd"], row["period"], row["requests_per_minute"], row["concurrency"])
    rest = (row[name] for name in ("created_at", "expires_at", "revoked_at"))
    return Key(row["id"], row["name"], row["admin"], limits, *rest)


_BY_ID = sa.select(keys).where(keys.c.id == sa.bindparam("key_id"))
_USES = sa.select(
    keys, SPENT.label("spent_usd"), HELD.label("held_usd"), UNSETTLED.label("open_usd")
).order_by(keys.c.name)
