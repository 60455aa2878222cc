"""The exception tree: what a user can do wrong or meet, named so that a caller can tell them apart.

RlfocalError
├── ConfigError       a setting, name or option is wrong
├── RecordError       a data set cannot be read or contradicts itself
├── NotApplicable     this strategy cannot run on this data (the reason is the message)
├── NotInstalled      a package is missing: a ConfigError, and for a strategy NotApplicable
├── CheckpointError   a checkpoint is damaged, of another version, or of another pool
├── DatabaseError     a database of answers cannot be opened, or is of another version
├── MemberError       a live member gave no usable response; its `failure` says why
├── NobodyAnswered    no member of an ensemble did; every cause is listed
└── ApiError          a gateway's refusal, in `rlfocal.gateway.errors`

Caller mistakes inside Python (a wrong shape, a number out of range) raise `ValueError`.
Every message names the file, line or field, the value found, and the remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Self, TypeVar

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DatabaseError",
    "Failure",
    "MemberError",
    "NobodyAnswered",
    "NotApplicable",
    "NotInstalled",
    "RecordError",
    "RlfocalError",
    "nearest",
]


class RlfocalError(Exception):
    """Base of every error that rlfocal raises on purpose; the CLI prints it without a traceback.

    Whatever a subclass is made from, it comes whole out of another process: executors send them.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """By what it holds, not by the arguments it was made with."""
        return _restored, (type(self), self.args), self.__dict__

    def within(self, where: str) -> Self:
        """A copy whose message begins with where it happened; raise it `from` this one."""
        error = _restored(type(self), (f"{where}: {self}", *self.args[1:]))
        error.__dict__.update(self.__dict__)
        return error


_E = TypeVar("_E", bound=RlfocalError)


def _restored(kind: type[_E], args: tuple[Any, ...]) -> _E:
    error = kind.__new__(kind)
    error.args = args
    return error


class ConfigError(RlfocalError):
    """A setting, name or option is wrong."""


class RecordError(RlfocalError):
    """A data set cannot be read, or contradicts itself."""


class NotApplicable(RlfocalError):
    """A strategy cannot run on this data; the message is the reason."""


class NotInstalled(ConfigError, NotApplicable):
    """What was asked for needs a package that is not installed; the message says what brings it."""


class CheckpointError(RlfocalError):
    """A checkpoint is damaged, of another schema version, or of another pool."""


class DatabaseError(RlfocalError):
    """A database of answers cannot be opened, is of another version, or is locked for too long."""


class Failure(StrEnum):
    """Why a member gave no usable response."""

    UNREACHABLE = "unreachable"
    """No such host, connection refused or broken off, TLS."""
    TIMEOUT = "timeout"
    """Its time was over."""
    UNAUTHORISED = "unauthorised"
    """401, 403: the key is wrong or may not do this."""
    OUT_OF_CREDIT = "out-of-credit"
    """402, or words to that effect: the account behind the key has to be paid up first."""
    UNKNOWN_MODEL = "unknown-model"
    """404: no such model, or no such path."""
    BAD_REQUEST = "bad-request"
    """Any other 4xx, a prompt over the context length among them."""
    RATE_LIMITED = "rate-limited"
    """429."""
    SERVER_ERROR = "server-error"
    """408, 409 or 5xx."""
    MALFORMED = "malformed"
    """A reply that cannot be read: broken JSON, another content type, too many bytes."""
    EMPTY = "empty"
    """A reply without text."""
    FILTERED = "filtered"
    """Held back by the server's content filter."""
    OURS = "ours"
    """Not sent: this machine had no file descriptor left; the server has no part in it."""
    CIRCUIT_OPEN = "circuit-open"
    """Not sent: the member has failed too often just now."""
    CANCELLED = "cancelled"
    """Not waited for: the outcome was settled without it."""

    @property
    def passes(self) -> bool:
        """True where the same request may well succeed later."""
        return self in _PASSING


_PASSING = {
    Failure.UNREACHABLE,
    Failure.TIMEOUT,
    Failure.RATE_LIMITED,
    Failure.SERVER_ERROR,
    Failure.OURS,
}


class MemberError(RlfocalError):
    """A live member gave no usable response.

    Args:
        message: for people: what was met and the remedy; it holds neither keys nor prompts.
        failure: the kind.
        status: HTTP status, where there was one.
        retry_after_s: seconds that the server asked to wait, where it did.
    """

    has_begun = False
    """True where a part of a reply had come before: whatever the error says, it may be billed."""
    busy = False
    """True where its server said that it has no room just now: it loads its model, its queue is
    full. It has done nothing for the request, and is to be waited for as under a rate limit."""

    def __init__(
        self,
        message: str,
        *,
        failure: Failure,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure, self.status, self.retry_after_s = failure, status, retry_after_s

    def with_message(self, message: str) -> MemberError:
        """The same failure in other words."""
        return MemberError(
            message,
            failure=self.failure,
            status=self.status,
            retry_after_s=self.retry_after_s,
        )

    @property
    def turned_away(self) -> bool:
        """True where its server will take the request later and has done nothing for it."""
        return self.failure is Failure.RATE_LIMITED or (self.busy and not self.has_begun)


class NobodyAnswered(RlfocalError):
    """No member of an ensemble gave a usable answer.

    Args:
        causes: member → why not, in words that hold neither keys nor prompts.
        failures: the errors of those that failed.
    """

    def __init__(self, causes: Mapping[str, str], failures: Mapping[str, MemberError]) -> None:
        listed = "; ".join(f"{member}: {cause}" for member, cause in causes.items())
        super().__init__(f"no member answered ({len(causes)} asked): {listed}")
        self.causes, self.failures = dict(causes), dict(failures)


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant.

    Args:
        name: the unknown name.
        known: the names there are.

    Returns:
        A sentence fragment for an error message; it lists the names when none is near.

    >>> nearest("mid9", ["mid8", "wide16"])
    "did you mean 'mid8'? known: mid8, wide16"
    """
    names = list(known)
    lowered = {n.lower(): n for n in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    return (
        f"did you mean '{lowered[close[0]]}'? " if close else ""
    ) + f"known: {shown or '(none)'}"
