"""Stored replies that are read again, and the numbers that are added to them.

A note says what each examiner is, so that no two models' numbers stand under one name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from rlfocal.errors import ConfigError
from rlfocal.records.database.schema import meta, queries, responses
from rlfocal.records.database.store import Database

__all__ = ["Asked", "Who", "add_signals", "check_who", "n_lacking", "settle_who", "unread"]

_AT_ONCE = 200
"""Questions looked up at once."""


class Who(NamedTuple):
    """An examiner: under which name, and what it is."""

    name: str
    key: str

    @property
    def note(self) -> str:
        """Under which name the key is noted."""
        return f"examiner:{self.name}"


class Unread(NamedTuple):
    """A stored reply."""

    key: str
    member: str
    text: str
    finish: str | None
    lacks: tuple[str, ...]
    """Which of the signals asked about it does not have."""


class Asked(NamedTuple):
    """A question and the replies to it."""

    prompt: str
    choices: tuple[str, ...]
    has_tools: bool
    """Whether it offers functions to be called."""
    replies: list[Unread]


def unread(
    database: Database, signals: Sequence[str], *, members: Collection[str] | None = None
) -> Iterator[Asked]:
    """Replies with a text that lack some signals, question by question as they were stored.

    Args:
        database: where they are.
        signals: names.
        members: whose; None for all.
    """
    q = queries.c
    first = sa.select(sa.func.min(q.position)).group_by(q.query_key)
    with database.connections.read() as connection:
        positions = sorted(connection.scalars(first))
    for start in range(0, len(positions), _AT_ONCE):
        wanted = q.position.in_(positions[start : start + _AT_ONCE])
        columns = q.query_key, q.prompt, q.choices, q.tools
        statement = sa.select(*columns).where(wanted).order_by(q.position)
        with database.connections.read() as connection:
            asked = list(connection.execute(statement))
        found = _lacking(database, [row.query_key for row in asked], signals, members)
        for query_key, prompt, choices, tools in asked:
            if query_key in found:
                yield Asked(prompt, tuple(choices or ()), tools is not None, found[query_key])


def _lacking(
    database: Database,
    query_keys: Sequence[str],
    signals: Sequence[str],
    members: Collection[str] | None,
) -> dict[str, list[Unread]]:
    """By the query's key: replies that lack some of the signals, collected or imported.

    An imported reply hangs on the digest of its own query, not on what is read alike.
    """
    q, r = queries.c, responses.c
    found: dict[str, list[Unread]] = {}
    with database.connections.read() as connection:
        same = sa.select(q.digest, q.query_key).where(q.query_key.in_(query_keys))
        owner = {digest: key for digest, key in connection.execute(same)}
        owner |= {key: key for key in query_keys}
        keys = list(owner)
        for start in range(0, len(keys), _AT_ONCE):
            some = r.query_key.in_(keys[start : start + _AT_ONCE])
            statement = sa.select(r.key, r.query_key, r.member, r.text, r.finish, r.signals)
            statement = statement.where(some, r.text.is_not(None), r.text != "")
            if members is not None:
                statement = statement.where(r.member.in_(list(members)))
            for key, query_key, member, text, finish, has in connection.execute(
                statement.order_by(r.member, r.sample)
            ):
                lacks = tuple(name for name in signals if name not in (has or {}))
                if lacks:
                    reply = Unread(key, member, text, finish, lacks)
                    found.setdefault(owner[query_key], []).append(reply)
    return found


def n_lacking(
    database: Database, signals: Sequence[str], *, members: Collection[str] | None = None
) -> int:
    """How many of these signals are lacking, over all replies with a text; no text is read for it.

    Args:
        database: where the replies are.
        signals: names.
        members: whose; None for all.
    """
    r = responses.c
    statement = sa.select(r.signals).where(r.text.is_not(None), r.text != "")
    if members is not None:
        statement = statement.where(r.member.in_(list(members)))
    with database.connections.read() as connection:
        return sum(
            name not in (has or {}) for has in connection.scalars(statement) for name in signals
        )


def add_signals(database: Database, who: Who, found: Mapping[str, Mapping[str, float]]) -> None:
    """Add numbers to stored replies, beside those that they have.

    Args:
        database: where they are.
        who: whose numbers they are.
        found: key of a reply → name → number, finite.

    Raises:
        ConfigError: another model has taken the name since.
    """
    r = responses.c
    with database.connections.write() as connection:
        if connection.scalar(_noted(who)) not in (None, who.key):
            raise ConfigError(
                f"'{who.name}' examines these replies as another model since, in another process; "
                "what is stored is that one's"
            )
        for key, more in found.items():
            has = connection.scalar(sa.select(r.signals).where(r.key == key)) or {}
            row = responses.update().where(r.key == key)
            connection.execute(row.values(signals={**has, **more}))


def check_who(database: Database, who: Who, signals: Collection[str]) -> None:
    """Make sure that stored numbers under an examiner's name are its own.

    Args:
        database: where they are.
        who: the examiner.
        signals: the names of its numbers.

    Raises:
        ConfigError: they are another one's, or nobody knows whose.
    """
    with database.connections.read() as connection:
        if connection.scalar(_noted(who)) == who.key:
            return
        found = connection.scalars(sa.select(responses.c.signals).where(_HAS_SIGNALS))
        if any(not has.keys().isdisjoint(signals) for has in found if has):
            raise _of_another(who, signals)


def settle_who(
    database: Database, who: Who, signals: Collection[str], *, again: bool = False
) -> None:
    """Note what an examiner is.

    Args:
        database: where its numbers will be.
        who: the examiner.
        signals: the names of its numbers.
        again: take away what is stored under these names, where it is not its own.

    Raises:
        ConfigError: as of `check_who`, where `again` is not said.
    """
    r, gone = responses.c, frozenset(signals)
    upsert = database.connections.upsert(meta, "name", "value")
    with database.connections.write() as connection:
        if connection.scalar(_noted(who)) == who.key:
            return
        connection.execute(upsert, {"name": f"note:{who.note}", "value": who.key})
        rows = list(connection.execute(sa.select(r.key, r.signals).where(_HAS_SIGNALS)))
        for key, has in rows:
            if has and gone.intersection(has):
                if not again:
                    raise _of_another(who, signals)
                left = {name: value for name, value in has.items() if name not in gone}
                connection.execute(responses.update().where(r.key == key).values(signals=left))


_HAS_SIGNALS = responses.c.signals.is_not(None)


def _noted(who: Who) -> sa.Select[str]:
    return sa.select(meta.c.value).where(meta.c.name == f"note:{who.note}")


def _of_another(who: Who, signals: Collection[str]) -> ConfigError:
    return ConfigError(
        f"'{who.name}' has examined replies as another model, or asked in other words, and "
        f"{' and '.join(signals)} would mix both; say --again to take these away and read all "
        "replies anew, or give the member another name"
    )
