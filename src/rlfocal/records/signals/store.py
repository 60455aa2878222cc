"""Replies of a pool and their signals, computed when they are first asked for, and once.

`Replies` is what a strategy is handed: it reaches only those replies that have been paid for.

Axes: R replies, F signals; the axes of `Replies` are those of a table or a view: Q or B, N.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.records.signals.registry import families
from rlfocal.records.signals.reply import SeenReply
from rlfocal.records.signals.words import Words, words_of

__all__ = ["Replies", "ReplyStore"]


class _Store(Protocol):
    @property
    def names(self) -> tuple[str, ...]: ...
    def signals(self, names: Sequence[str]) -> NDArray[np.float32]: ...
    def words(self) -> Words: ...


class ReplyStore:
    """R replies.

    Args:
        replies: read through once for each family of signals, when it is first asked for.
        given: names of the user's own signals among them.
    """

    def __init__(self, replies: Iterable[SeenReply], given: Sequence[str] = ()) -> None:
        self._replies, self._given = replies, tuple(given)
        self._known: dict[str, NDArray[np.float32]] = {}
        self._words: Words | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all signals: those of the families, then the user's."""
        return (*(name for family in families() for name in family.names), *self._given)

    def signals(self, names: Sequence[str]) -> NDArray[np.float32]:
        """float32[R, F]: signals by name; NaN where one is not known."""
        return np.stack([self._signal(name) for name in names], axis=1)

    def _signal(self, name: str) -> NDArray[np.float32]:
        if name not in self._known:
            family = next((one for one in families() if name in one.names), None)
            if family is None:
                column = [reply.given.get(name, np.nan) for reply in self._replies]
                self._known[name] = np.array(column, dtype=np.float32)
            else:
                read = np.array([family.read(reply) for reply in self._replies], dtype=np.float32)
                found = read.reshape(-1, len(family.names))
                self._known |= dict(zip(family.names, found.T, strict=True))
        return self._known[name]

    def words(self) -> Words:
        """Hashed words of the texts."""
        if self._words is None:
            self._words = words_of([reply.text for reply in self._replies])
        return self._words


class _Joined:
    """Replies of several stores, one part after another."""

    def __init__(self, parts: Sequence[Replies]) -> None:
        self._parts = parts

    @property
    def names(self) -> tuple[str, ...]:
        return self._parts[0].names

    def signals(self, names: Sequence[str]) -> NDArray[np.float32]:
        found = [part.signals(names).reshape(-1, len(names)) for part in self._parts]
        return np.concatenate(found)

    def words(self) -> Words:
        return Words.concat([part.words() for part in self._parts])


class Replies:
    """Replies by place, such as query and member.

    Args:
        store: holds them.
        row: int64[...], the reply in the store at each place; -1 where there is none.
    """

    def __init__(self, store: _Store, row: NDArray[np.int64]) -> None:
        self._store, self.row = store, row

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals that are known of some reply, as a rule."""
        return self._store.names

    @property
    def present(self) -> NDArray[np.bool_]:
        """bool[...]: where there is a reply."""
        return np.asarray(self.row >= 0)

    def signals(self, names: Sequence[str]) -> NDArray[np.float32]:
        """float32[..., F]: signals by name; NaN where there is no reply, or it is not known."""
        found = np.full((*self.row.shape, len(names)), np.nan, dtype=np.float32)
        here = self.present
        if names and here.any():
            found[here] = self._store.signals(names)[self.row[here]]
        return found

    def words(self) -> Words:
        """Hashed words, one row for each place in the order of `row.ravel()`."""
        return self._store.words().take(self.row.ravel())

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        """The replies at these places of the first axis."""
        return type(self)(self._store, self.row[rows])

    def where(self, known: NDArray[np.bool_]) -> Self:
        """The same without those at the places where bool[...] is False."""
        return type(self)(self._store, np.where(known, self.row, -1))

    def at(self, row: NDArray[np.int64]) -> Self:
        """The same replies at other places."""
        return type(self)(self._store, row)

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Several along the first axis."""
        if all(part._store is parts[0]._store for part in parts):
            return cls(parts[0]._store, np.concatenate([part.row for part in parts]))
        sizes = [part.row.size for part in parts]
        begin = np.cumsum([0, *sizes[:-1]])
        row = [
            np.where(part.present, first + np.arange(part.row.size).reshape(part.row.shape), -1)
            for part, first in zip(parts, begin, strict=True)
        ]
        return cls(_Joined(parts), np.concatenate(row).astype(np.int64))
