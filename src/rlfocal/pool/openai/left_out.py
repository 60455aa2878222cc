"""Which fields requests were sent without, though they were asked for, so that clients are told.

A reply says nothing of it, and between who asks and who sends stand repeats and limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["note_left_out", "noting_left_out"]

_names: ContextVar[set[str] | None] = ContextVar("left_out", default=None)


@contextmanager
def noting_left_out() -> Iterator[set[str]]:
    """Note the names of such fields, of requests of this context and of tasks begun there.

    >>> with noting_left_out() as names:
    ...     note_left_out(["seed"])
    >>> names
    {'seed'}
    """
    names = set[str]()
    token = _names.set(names)
    try:
        yield names
    finally:
        _names.reset(token)


def note_left_out(names: Iterable[str]) -> None:
    """Say that a reply has come to a request without these fields; nothing where nobody notes."""
    if (noted := _names.get()) is not None:
        noted.update(names)
