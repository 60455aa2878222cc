"""The exception tree: what a user can do wrong or meet, named so that a caller can tell them apart.

RlfocalError
├── ConfigError       a setting, name or option is wrong
├── RecordError       a data set cannot be read or contradicts itself
├── NotApplicable     this strategy cannot run on this data (the reason is the message)
└── CheckpointError   a checkpoint is damaged, of another version, or of another pool

Caller mistakes inside Python (a wrong shape, a number out of range) raise `ValueError`.
Every message names the file, line or field, the value found, and the remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "ConfigError",
    "NotApplicable",
    "RecordError",
    "RlfocalError",
    "nearest",
]


class RlfocalError(Exception):
    """Base of every error that rlfocal raises on purpose; the CLI prints it without a traceback."""


class ConfigError(RlfocalError):
    """A setting, name or option is wrong."""


class RecordError(RlfocalError):
    """A data set cannot be read, or contradicts itself."""


class NotApplicable(RlfocalError):
    """A strategy cannot run on this data; the message is the reason."""


class CheckpointError(RlfocalError):
    """A checkpoint is damaged, of another schema version, or of another pool."""


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
