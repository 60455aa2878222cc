"""Replies of a pool and their signals, computed when they are first asked for, and once.

`Replies` is what a strategy is handed: it reaches only those replies that have been paid for.

Axes: R replies of a store, K of them that are wanted, F signals; the axes of `Replies` are those of
a table or a view: Q or B, N.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.records.signals.registry import Family, families
from rlfocal.records.signals.reply import SeenReply
from rlfocal.records.signals.words import Words, words_of

__all__ = ["Replies", "ReplyStore"]

_BLOCK = 4096
"""Replies whose signals are lists of numbers at once; bounds memory, changes no result."""
_LARGEST = 1e30
"""What is beyond it counts as unknown: differences of signals must fit into float32, too."""


class _Store(Protocol):
    @property
    def names(self) -> tuple[str, ...]: ...
    def signals(self, names: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float32]: ...
    def words(self, rows: NDArray[np.int64]) -> Words: ...
    def contents(self, rows: NDArray[np.int64]) -> bytes: ...
    def judged(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | None: ...


class ReplyStore:
    """R replies.

    Args:
        replies: read through once for the families of signals that are asked for together.
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

    def signals(self, names: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32[K, F]: signals by name of the rows int64[K]; NaN where one is not known.

        Raises:
            ValueError: no such signal, or a family gives more or fewer numbers than names.
        """
        self._read([name for name in names if name not in self._known])
        found = np.empty((len(rows), len(names)), dtype=np.float32)
        for column, name in enumerate(names):
            found[:, column] = self._known[name][rows]
        return found

    def _read(self, names: Sequence[str]) -> None:
        """Go through the replies once for all the families of these signals, a block at a time."""
        if not names:
            return
        wanted = [one for one in families() if not set(names).isdisjoint(one.names)]
        own = [name for name in names if not any(name in one.names for one in wanted)]
        if unknown := [name for name in own if name not in self._given]:
            raise ValueError(f"no signal '{unknown[0]}'; known: {', '.join(self.names)}")
        wanted += [Family((name,), partial(_given, name)) for name in own]
        blocks: list[list[NDArray[np.float32]]] = [[] for _ in wanted]
        n_replies, has_text, replies = 0, False, iter(self._replies)
        while block := list(islice(replies, _BLOCK)):
            n_replies += len(block)
            has_text = has_text or any(reply.text is not None for reply in block)
            for family, found in zip(wanted, blocks, strict=True):
                read = [family.read(reply) for reply in block]
                found.append(_numbers(read, (len(read), len(family.names)), family.names[0]))
        for family, found in zip(wanted, blocks, strict=True):
            whole = np.concatenate([np.zeros((0, len(family.names)), np.float32), *found])
            self._known |= dict(zip(family.names, whole.T.copy(), strict=True))
        if not has_text and self._words is None:
            self._words = words_of([None] * n_replies)

    def words(self, rows: NDArray[np.int64]) -> Words:
        """Hashed words of the texts of the rows int64[K], -1 for none."""
        if self._words is None:
            self._words = words_of([reply.text for reply in self._replies])
        return self._words.take(rows)

    def contents(self, rows: NDArray[np.int64]) -> bytes:
        """What tells these replies from others, as far as any signal may depend on it."""
        each = [hashlib.sha256(_contents(reply)).digest() for reply in self._replies]
        return b"".join(each[row] for row in rows.tolist())

    def judged(self, rows: NDArray[np.int64]) -> None:
        """None: replies that are there can be judged by whoever wants to."""


def _numbers(read: Sequence[Any], shape: tuple[int, ...], name: str) -> NDArray[np.float32]:
    """As float32; what is infinite, or too large to reckon with, is not known."""
    try:
        found = np.array(read, dtype=np.float64).reshape(shape)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"signal '{name}' and those read with it: {exc}") from exc
    return np.where(np.abs(found) <= _LARGEST, found, np.nan).astype(np.float32)


def _given(name: str, reply: SeenReply) -> tuple[float]:
    """A signal of the user's own."""
    return (reply.given.get(name, np.nan),)


def _contents(reply: SeenReply) -> bytes:
    told: tuple[object, ...] = (
        reply.text, reply.answer, reply.finish, reply.n_chars, reply.n_completion_tokens,
        reply.latency_s, *sorted(reply.given.items()),
    )  # fmt: skip
    if reply.read is not None:
        told = (*told, reply.read, reply.own)
    data = repr(told).encode("utf-8", "replace")
    if reply.tokens is not None:
        data += reply.tokens.chars.tobytes() + reply.tokens.logprob.tobytes()
    return data


class _Joined:
    """Replies of several stores, one part after another."""

    def __init__(self, parts: Sequence[Replies]) -> None:
        self._parts = tuple(parts)

    @property
    def names(self) -> tuple[str, ...]:
        return next((part.names for part in self._parts if part.names), ())

    def signals(self, names: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        found = [part.signals(names).reshape(-1, len(names)) for part in self._parts]
        return np.concatenate(found)[rows]

    def words(self, rows: NDArray[np.int64]) -> Words:
        return Words.concat([part.words() for part in self._parts]).take(rows)

    def contents(self, rows: NDArray[np.int64]) -> bytes:
        return b"".join(part.contents() for part in self._parts) + rows.tobytes()

    def judged(self, rows: NDArray[np.int64]) -> NDArray[np.float32] | None:
        each = [part.judged for part in self._parts]
        known = [one.ravel() for one in each if one is not None]
        return np.concatenate(known)[rows] if len(known) == len(each) else None


class _Judged:
    """Replies that are gone, and how they were judged when they were read."""

    names: tuple[str, ...] = ()

    def __init__(self, log_odds: NDArray[np.float32]) -> None:
        self._log_odds = log_odds

    def signals(self, names: Sequence[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.full((len(rows), len(names)), np.nan, dtype=np.float32)

    def words(self, rows: NDArray[np.int64]) -> Words:
        return words_of([None] * len(rows))

    def contents(self, rows: NDArray[np.int64]) -> bytes:
        return self.judged(rows).tobytes()

    def judged(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._log_odds[rows]


class Replies:
    """Replies by place, such as query and member; it reaches none but those.

    Args:
        store: holds them.
        row: int64[...], the reply in the store at each place; -1 where there is none.
    """

    __slots__ = ("_row", "_store")

    def __init__(self, store: _Store, row: NDArray[np.int64]) -> None:
        self._store, self._row = store, row

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals that may be known of some reply."""
        return self._store.names

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of places along each axis."""
        return self._row.shape

    @property
    def present(self) -> NDArray[np.bool_]:
        """bool[...]: where there is a reply."""
        return np.asarray(self._row >= 0)

    def signals(self, names: Sequence[str]) -> NDArray[np.float32]:
        """float32[..., F]: signals by name; NaN where there is no reply, or it is not known.

        Raises:
            ValueError: no such signal.
        """
        found = np.full((*self.shape, len(names)), np.nan, dtype=np.float32)
        here = self.present
        if names and here.any():
            found[here] = self._store.signals(names, self._row[here])
        return found

    def words(self) -> Words:
        """Hashed words, one row for each place in the order of C; no reply has none."""
        if not self.present.any():
            return words_of([None] * self._row.size)
        return self._store.words(self._row.ravel())

    def contents(self) -> bytes:
        """What tells these replies from others, for the digest of a table."""
        here = self.present
        return np.packbits(here).tobytes() + self._store.contents(self._row[here])

    def __getitem__(self, places: Any) -> Self:
        """The replies at these places: an index of numpy, of one axis or of several."""
        return type(self)(self._store, np.asarray(self._row[places]))

    def where(self, known: NDArray[np.bool_]) -> Self:
        """The same without those at the places where bool[...] is False."""
        return type(self)(self._store, np.where(known, self._row, -1))

    def at(self, place: NDArray[np.integer]) -> Self:
        """The same replies elsewhere: int64[...], each a place here in the order of C, or -1.

        >>> from rlfocal.records.signals.reply import SeenReply
        >>> store = ReplyStore([SeenReply(text=text) for text in ("a", "b", "c")])
        >>> two = Replies(store, np.array([[0, 2]]))
        >>> two.at(np.array([-1, 1, 0])).present.tolist()
        [False, True, True]
        """
        if self._row.size == 0:
            return type(self)(self._store, np.full(place.shape, -1, dtype=np.int64))
        return type(self)(self._store, np.where(place >= 0, self._row.ravel()[place], -1))

    @property
    def judged(self) -> NDArray[np.float32] | None:
        """float32[...]: log-odds that each is right, NaN where there is none.

        None unless that is all that was kept of them.
        """
        here = self.present
        known = self._store.judged(self._row[here])
        if known is None:
            return None
        found = np.full(self.shape, np.nan, dtype=np.float32)
        found[here] = known
        return found

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Self:
        """No reply at any place."""
        return cls.of_judged(np.full(shape, np.nan, dtype=np.float32))

    @classmethod
    def of_judged(cls, log_odds: NDArray[np.float32]) -> Self:
        """Replies of which only a judgement was kept, as a log does that holds no texts.

        Args:
            log_odds: float32[...], that each is right; NaN where there is none.

        >>> kept = Replies.of_judged(np.array([[0.5, np.nan]], dtype=np.float32))
        >>> kept.present.tolist(), kept.judged.tolist()
        ([[True, False]], [[0.5, nan]])
        """
        row = np.arange(log_odds.size).reshape(log_odds.shape)
        return cls(_Judged(log_odds.ravel()), np.where(np.isnan(log_odds), -1, row))

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Several along the first axis."""
        if all(part._store is parts[0]._store for part in parts):
            return cls(parts[0]._store, np.concatenate([part._row for part in parts]))
        begin = np.cumsum([0, *(part._row.size for part in parts)])
        row = [
            np.where(part.present, first + np.arange(part._row.size).reshape(part.shape), -1)
            for part, first in zip(parts, begin, strict=False)
        ]
        return cls(_Joined(parts), np.concatenate(row).astype(np.int64))
