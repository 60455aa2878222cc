"""A file of keys, for gateways that are set up from files: TOML, without the keys themselves.

[[keys]]
name = "team-a"
key_env = "TEAM_A_KEY"          # an environment variable that holds the key, or instead:
# id = "abcd1234"               # the part of the key between the underscores
# sha256 = "64 hexadecimal digits of the whole key's SHA-256"
usd = 20.0
period = "month"                # or "day", "total"
requests_per_minute = 600
concurrency = 16
expires_at = 2030-01-01T00:00:00Z
admin = false
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from rlfocal.errors import ConfigError
from rlfocal.gateway.store.keys import Key, KeyLimits, KeyWithDigest, digest_of, id_in
from rlfocal.gateway.store.periods import Period
from rlfocal.settings import KeyVariable, Settings, read_toml

__all__ = ["read_key_file"]

_INLINE_KEYS = {"key", "api_key", "apikey", "token", "secret", "password", "authorization"}


class _Entry(Settings):
    """One key, as a file gives it."""

    never_shown: ClassVar[frozenset[str]] = frozenset({"sha256", "key_env", "id"})

    name: str
    id: Annotated[str, Field(pattern=r"^[a-z0-9]{8}$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    key_env: KeyVariable | None = None
    admin: bool = False
    usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    period: Period = "month"
    requests_per_minute: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    expires_at: datetime | None = None

    @model_validator(mode="after")
    def _one_proof(self) -> _Entry:
        digest = self.id is not None and self.sha256 is not None
        half = (self.id is None) != (self.sha256 is None)
        if half or digest == (self.key_env is not None):
            raise ValueError("give either key_env, or both id and sha256")
        return self


def read_key_file(path: Path, environ: Mapping[str, str] = os.environ) -> tuple[KeyWithDigest, ...]:
    """Read a file of keys.

    Args:
        path: a TOML file of [[keys]] tables.
        environ: where the variables that it names are.

    Raises:
        ConfigError: it cannot be read, holds a key itself (which is not shown), an entry is wrong
            or names a variable that holds no key of rlfocal's, or two are the same.
    """
    found = read_toml(path)
    _no_plaintext(found, str(path))
    raw = found.pop("keys", [])
    if found:
        raise ConfigError(f"{path}: unknown key '{next(iter(found))}'; known: keys")
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise ConfigError(f"{path}: 'keys' should hold tables; begin each with [[keys]]")
    entries = [
        _entry(values, f"{path}: key {number}", environ)
        for number, values in enumerate(raw, start=1)
    ]
    for part in ("name", "id"):
        values = [getattr(entry.key, part) for entry in entries]
        if twice := [value for value in values if values.count(value) > 1]:
            raise ConfigError(f"{path}: two keys have the {part} '{twice[0]}'; change one")
    return tuple(entries)


def _entry(values: dict[str, Any], where: str, environ: Mapping[str, str]) -> KeyWithDigest:
    for name in values:
        if name.lower() in _INLINE_KEYS:
            raise ConfigError(
                f"{where}: '{name}': keys never stand in a file of keys; put it into an "
                "environment variable and name that with key_env, or give its id and sha256"
            )
    entry = _Entry.of(values, source=where)
    key_id, digest = entry.id, entry.sha256
    if entry.key_env is not None:
        plaintext = environ.get(entry.key_env, "").strip()
        key_id, digest = id_in(plaintext), digest_of(plaintext)
        if key_id is None:
            raise ConfigError(
                f"{where}: the environment variable {entry.key_env} "
                + ("does not hold a key of rlfocal's" if plaintext else "is not set")
                + "; rlfocal keys add makes a key"
            )
    limits = KeyLimits(entry.usd, entry.period, entry.requests_per_minute, entry.concurrency)
    until = entry.expires_at
    if until is not None and until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return KeyWithDigest(
        Key(
            id=str(key_id),
            name=entry.name,
            admin=entry.admin,
            limits=limits,
            expires_at=None if until is None else until.timestamp(),
        ),
        str(digest),
    )


def _no_plaintext(value: Any, where: str) -> None:
    """Refuse a key wherever it stands, before any message could show it."""
    if isinstance(value, str) and re.search(r"rlf_[a-z0-9]{8}_", value):
        raise ConfigError(
            f"{where}: holds a key in plain text; take it out and revoke it (it may be in copies "
            "of the file), and name an environment variable with key_env"
        )
    if isinstance(value, list):
        for part in value:
            _no_plaintext(part, where)
    if isinstance(value, dict):
        for name, part in value.items():
            _no_plaintext(name, where)
            _no_plaintext(part, where)
