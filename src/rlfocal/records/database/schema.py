"""The tables, their version, and how an older database becomes a current one.

Version 1 is the first. A later version adds its step to `MIGRATIONS` and never edits an older one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from rlfocal.errors import DatabaseError

__all__ = [
    "MIGRATIONS",
    "SCHEMA_VERSION",
    "claims",
    "errors",
    "members",
    "meta",
    "prepare",
    "queries",
    "read_version",
    "responses",
]

SCHEMA_VERSION = 1
MIGRATIONS: dict[int, Callable[[sa.Connection], None]] = {}
"""Version → the step that turns a database of that version into one of the next."""


class SafeText(sa.types.TypeDecorator[str]):
    """A text that every engine can store: a NUL or half a surrogate pair becomes U+FFFD."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Clean a text on its way in."""
        if value is None:
            return None
        cleaned = value.replace("\x00", "\ufffd")
        return cleaned if cleaned.isascii() else "".join(map(_whole, cleaned))


class JsonText(sa.types.TypeDecorator[Any]):
    """A JSON value as ASCII text, the same on every engine; None is NULL."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """To text."""
        return None if value is None else json.dumps(value, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """From text."""
        return None if value is None else json.loads(value)


def _whole(character: str) -> str:
    return "\ufffd" if "\ud800" <= character <= "\udfff" else character


_Key = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
_Position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_tables = sa.MetaData()

meta = sa.Table(
    "meta",
    _tables,
    sa.Column("name", SafeText, primary_key=True),
    sa.Column("value", SafeText, nullable=False),
)

queries = sa.Table(
    "queries",
    _tables,
    sa.Column("position", _Position, primary_key=True),
    sa.Column("digest", _Key, nullable=False, unique=True),
    sa.Column("query_key", _Key, nullable=False, index=True),
    sa.Column("query_id", SafeText, nullable=False),
    sa.Column("task", SafeText, nullable=False),
    sa.Column("split", SafeText),
    sa.Column("prompt", SafeText, nullable=False),
    sa.Column("choices", JsonText),
    sa.Column("label", SafeText),
)
"""`digest` names a row by its content; `position` is the order in which rows came."""

members = sa.Table(
    "members",
    _tables,
    sa.Column("position", _Position, primary_key=True),
    sa.Column("name", SafeText, nullable=False),
    sa.Column("settings_key", _Key, nullable=False),
    sa.Column("settings", JsonText, nullable=False),
    sa.Column("added_at", SafeText, nullable=False),
    sa.UniqueConstraint("name", "settings_key"),
)

responses = sa.Table(
    "responses",
    _tables,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("query_key", _Key, nullable=False, index=True),
    sa.Column("query_id", SafeText, nullable=False),
    sa.Column("member", SafeText, nullable=False, index=True),
    sa.Column("settings_key", _Key, nullable=False),
    sa.Column("sample", sa.Integer, nullable=False),
    sa.Column("text", SafeText),
    sa.Column("answer", SafeText),
    sa.Column("score", sa.Double),
    sa.Column("choice_scores", JsonText),
    sa.Column("finish", SafeText),
    sa.Column("n_prompt_tokens", sa.BigInteger),
    sa.Column("n_completion_tokens", sa.BigInteger),
    sa.Column("cost_usd", sa.Double),
    sa.Column("latency_s", sa.Double),
    sa.Column("created_at", SafeText, nullable=False),
    sa.Column("samples", JsonText),
    sa.Column("response_chars", sa.BigInteger),
)
"""No reference to `queries` or `members`: a paid reply is stored whatever else is there."""

errors = sa.Table(
    "errors",
    _tables,
    sa.Column("position", _Position, primary_key=True),
    sa.Column("key", _Key, nullable=False, index=True),
    sa.Column("member", SafeText, nullable=False),
    sa.Column("failure", SafeText, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("message", SafeText, nullable=False),
    sa.Column("created_at", SafeText, nullable=False),
)

claims = sa.Table(
    "claims",
    _tables,
    sa.Column("key", _Key, primary_key=True),
    sa.Column("owner", SafeText, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)
"""`until` is in seconds since 1970, by the server's clock where there is a server."""


def read_version(connection: sa.Connection, where: str) -> int | None:
    """The version of the tables that are there; None where there are none yet.

    Args:
        connection: inside a transaction.
        where: how messages call the database.

    Raises:
        DatabaseError: the tables are somebody else's.
    """
    there = set(sa.inspect(connection).get_table_names())
    if meta.name not in there:
        foreign = there if connection.dialect.name == "sqlite" else there & set(_tables.tables)
        if foreign:
            raise _foreign(where, sorted(foreign))
        return None
    if {c["name"] for c in sa.inspect(connection).get_columns(meta.name)} != {"name", "value"}:
        raise _foreign(where, [meta.name])
    value = connection.scalar(sa.select(meta.c.value).where(meta.c.name == "schema_version"))
    if value is None or not value.isdecimal():
        raise _foreign(where, [meta.name])
    return int(value)


def prepare(connection: sa.Connection, where: str) -> None:
    """Create the tables, or bring older ones to this version, step by step.

    Args:
        connection: inside a transaction that nobody else can write beside.
        where: how messages call the database.

    Raises:
        DatabaseError: the tables are of a newer version, of one that has no step, or not ours.
    """
    version = read_version(connection, where)
    if version is None:
        _tables.create_all(connection)
        row = {"name": "schema_version", "value": str(SCHEMA_VERSION)}
        connection.execute(meta.insert(), row)
        return
    if version > SCHEMA_VERSION:
        raise DatabaseError(
            f"{where}: was written by a newer rlfocal (version {version} of the tables; this one "
            f"knows {SCHEMA_VERSION}); upgrade rlfocal, or name another database. It was left as "
            "it is"
        )
    for step in range(version, SCHEMA_VERSION):
        if step not in MIGRATIONS:
            raise DatabaseError(
                f"{where}: version {step} of the tables is too old to be brought to "
                f"{SCHEMA_VERSION}; open it with an older rlfocal. It was left as it is"
            )
        MIGRATIONS[step](connection)
    if version < SCHEMA_VERSION:
        named = meta.c.name == "schema_version"
        connection.execute(meta.update().where(named).values(value=str(SCHEMA_VERSION)))


def _foreign(where: str, found: list[str]) -> DatabaseError:
    return DatabaseError(
        f"{where}: holds another program's tables ({', '.join(found[:3])}); name another "
        "database. It was left as it is"
    )
