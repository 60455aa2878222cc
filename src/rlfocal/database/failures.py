"""What can go wrong with a database, said so that people can mend it; never with a password.

Knows the error codes of SQLite and PostgreSQL, and nothing of what was being done.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import sqlalchemy as sa

from rlfocal.errors import DatabaseError

__all__ = ["Place", "may_pass", "translated"]

_KEPT = "Nothing that was stored is lost"
_LEFT = "It was left as it is"
_LOCKED = "another process has kept it locked for too long; end that process, or wait and try again"
_FULL = "the disk is full; free some space and start again"
_READ_ONLY = "cannot be written to (read-only); allow writing, or name another place"
_DAMAGED = "the file is damaged; restore a copy, or save what is readable: sqlite3 FILE .recover"
_OTHER = "the database refused"
_UNREACHABLE = "the server cannot be reached; check host and port, and that it is running"
_REFUSED = "the server refused the user or the password; check both"

_SQLITE: dict[str, tuple[str, str]] = {
    "SQLITE_BUSY": (_LOCKED, _KEPT),
    "SQLITE_LOCKED": (_LOCKED, _KEPT),
    "SQLITE_FULL": (_FULL, _KEPT),
    "SQLITE_READONLY": (_READ_ONLY, _KEPT),
    "SQLITE_PERM": (_READ_ONLY, _KEPT),
    "SQLITE_NOTADB": ("the file is not a SQLite database; name another file", _LEFT),
    "SQLITE_CORRUPT": (_DAMAGED, _LEFT),
    "SQLITE_CANTOPEN": ("the file cannot be opened; check the folder and its permissions", _LEFT),
}
"""By the first two words of an error's name."""

_POSTGRES: dict[str, str] = {
    "55P03": _LOCKED,
    "40P01": _LOCKED,
    "53100": _FULL,
    "25006": _READ_ONLY,
    "42501": "the user may not do this; grant it the right to create and change tables",
    "3D000": "there is no such database; create it: createdb NAME",
    "53300": "the server has no free connection; end other programs or raise max_connections",
    "28": _REFUSED,
    "08": _UNREACHABLE,
    "57P": _UNREACHABLE,
}
"""By SQLSTATE, or its first letters."""


class Place(NamedTuple):
    """How messages call a database, and what they must never say."""

    name: str
    secrets: tuple[str, ...] = ()

    def scrub(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """Turn what an engine reports into `DatabaseError`; a wrong statement stays what it is."""
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error) as exc:
        original = getattr(exc, "orig", None) or exc
        cause, end = _explain(original, broken=isinstance(exc, sa.exc.OperationalError))
        said = place.scrub(str(original).strip().partition("\n")[0])
        raise DatabaseError(f"{place.name}: {cause} ({said}). {end}") from _clean(exc, place)


_PASSING_SQLITE = frozenset(
    f"SQLITE_{name}"
    for name in ("BUSY", "LOCKED", "FULL", "READONLY", "PERM", "IOERR", "CANTOPEN", "NOMEM")
)
_PASSING_POSTGRES = ("08", "25006", "40", "53", "55", "57", "58")
"""SQLSTATEs, or their first letters: connections, read-only, deadlocks, resources, locks, an
operator's doing, the system."""


def may_pass(exc: BaseException) -> bool:
    """True where the same statement may well succeed later: locked, full, away.

    >>> may_pass(ValueError("not of a database"))
    False
    """
    original = getattr(exc, "orig", None) or exc
    if isinstance(original, sqlite3.Error):
        name = "_".join((getattr(original, "sqlite_errorname", None) or "").split("_")[:2])
        return name in _PASSING_SQLITE
    state: str | None = getattr(original, "sqlstate", None)
    if state is not None:
        return state.startswith(_PASSING_POSTGRES)
    # A broken connection has no SQLSTATE.
    return isinstance(exc, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError)


def _explain(exc: BaseException, *, broken: bool) -> tuple[str, str]:
    if isinstance(exc, sqlite3.Error):
        name = "_".join((getattr(exc, "sqlite_errorname", None) or "").split("_")[:2])
        return _SQLITE.get(name, (_OTHER, _KEPT))
    state: str | None = getattr(exc, "sqlstate", None)
    if state is not None:
        known = (_POSTGRES[part] for part in (state, state[:3], state[:2]) if part in _POSTGRES)
        return next(known, _OTHER), _KEPT
    other = _UNREACHABLE if broken else _OTHER
    return next((why for words, why in _SAID if words in str(exc)), other), _KEPT


_SAID = (
    ("password", _REFUSED),
    ("authentication failed", _REFUSED),
    ("does not exist", "there is no such database or user; create it: createdb NAME"),
    ("too many", _POSTGRES["53300"]),
)
"""A failed connection has no SQLSTATE, only words."""


def _clean(exc: BaseException, place: Place) -> BaseException | None:
    """The error as a cause to show, unless it holds a secret."""
    return None if place.scrub(str(exc)) != str(exc) else exc
