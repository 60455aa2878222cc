"""What is known of queries under way: the `View`, and the `Memory` of earlier labelled queries.

Axes: B queries of one batch, N members, C candidate slots, D features, W remembered queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.records.signals import Replies

__all__ = ["Decision", "Labelled", "Memory", "View"]


class Labelled(Protocol):
    """Answers with what they were worth: a `ResponseTable` or a `Memory`."""

    @property
    def answer(self) -> NDArray[np.int16]:
        """int16[Q, N]: candidate of each member's answer, comparable within a row; -1 = none."""
        ...

    @property
    def member_score(self) -> FloatArray:
        """float32[Q, N] in [0, 1]: what that answer was worth."""
        ...

    @property
    def scored(self) -> BoolArray:
        """bool[Q, N]: where that is known."""
        ...


@dataclass(frozen=True, eq=False)
class Memory:
    """The last W labelled queries: what each member answered and what that was worth.

    A frozen policy follows drift because these rows slide, not because its weights change.
    """

    task: IntArray
    """int64[W]."""
    answer: NDArray[np.int16]
    """int16[W, N]: candidate of the member's answer, comparable within a row only; -1 for none."""
    member_score: FloatArray
    """float32[W, N]: score of that answer; NaN where the member was not asked, or it is unknown."""

    @classmethod
    def of(cls, table: ResponseTable, window: int) -> Self:
        """Remember the last `window` queries of a table of labelled queries."""
        rows = np.arange(max(0, table.n_queries - window), table.n_queries)
        score = table.member_score[rows]
        if not table.is_complete:
            score = np.where(table.scored[rows], score, np.float32(np.nan))
        return cls(table.task[rows], table.answer[rows], score)

    @property
    def scored(self) -> BoolArray:
        """bool[W, N]: where a member was asked and its answer's score is known."""
        return np.asarray(~np.isnan(self.member_score))

    def accuracy(self) -> FloatArray:
        """float32[N]: mean score of each member over the rows where it was asked; 0.5 if never."""
        known = ~np.isnan(self.member_score)
        count = known.sum(axis=0)
        total = np.where(known, self.member_score, 0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), 0.5).astype(np.float32)


@dataclass(frozen=True, eq=False)
class View:
    """What a strategy knows of B queries. Nothing here depends on a member not asked.

    Rows keep the order of the stream. Strategies must not write to these arrays.
    """

    position: IntArray
    """int64[B]: place of the query in the stream."""
    task: IntArray
    """int64[B]."""
    features: FloatArray
    """float32[B, D]: the encoded query text."""
    is_open: BoolArray
    """bool[B]: True where a candidate exists only once a member has given it."""
    asked: BoolArray
    """bool[B, N]."""
    answered: BoolArray
    """bool[B, N]: asked and answered; asked and not answered means that member failed, or that it
    was `closed`."""
    answer: NDArray[np.int16]
    """int16[B, N]: the candidate each member answered, -1 where it has not answered."""
    support: FloatArray
    """float32[B, N, C]: zero where a member has not answered."""
    available: BoolArray
    """bool[B, C]: candidates that exist already: all options, or the answers given so far."""
    spent: FloatArray
    """float32[B]: cost so far, in the table's unit."""
    budget: FloatArray
    """float32[B]: most that may be spent; infinity for no limit."""
    n_rounds: IntArray
    """int64[B]: rounds so far."""
    closed: BoolArray | None = None
    """bool[B, N]: members that cannot be asked on this query, since they have no record; asking one
    costs nothing and brings no answer. None where all can be asked, as in live use."""
    ready: BoolArray | None = None
    """bool[B, N]: members that can be asked at once; another one reads members that have not been
    asked, and whoever asks it asks those first. None where nobody reads."""
    replies: Replies | None = None
    """By query and member, of those asked: their signals and words. None where there are none."""

    def __len__(self) -> int:
        """B."""
        return len(self.position)

    def take(self, rows: IntArray) -> Self:
        """Return the view of some of its queries."""
        every = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{n: a[rows] for n, a in every.items() if a is not None})

    @classmethod
    def concat(cls, views: Sequence[Self]) -> Self:
        """Concatenate views of one pool; `closed` is left out, and missing slots hold nothing."""
        n_slots = max([view.available.shape[1] for view in views])
        parts: dict[str, Any] = {}
        for name in [f.name for f in fields(cls) if f.name not in _OPTIONAL]:
            found = [getattr(view, name) for view in views]
            if name in ("support", "available"):
                found = [_padded(part, n_slots) for part in found]
            parts[name] = np.concatenate(found)
        if any(view.replies is not None for view in views):
            parts["replies"] = Replies.concat([view._present_replies() for view in views])
        if any(view.ready is not None for view in views):
            parts["ready"] = np.concatenate([view._all_ready() for view in views])
        return cls(**parts)

    def _all_ready(self) -> BoolArray:
        return np.ones_like(self.asked) if self.ready is None else self.ready

    def _present_replies(self) -> Replies:
        return Replies.none(self.asked.shape) if self.replies is None else self.replies


_OPTIONAL = ("closed", "replies", "ready")


def _padded(values: NDArray[Any], n_slots: int) -> NDArray[Any]:
    """The same with zeros in the last axis up to that length."""
    wide = np.zeros((*values.shape[:-1], n_slots), dtype=values.dtype)
    wide[..., : values.shape[-1]] = values
    return wide


class Decision(NamedTuple):
    """A strategy's decision on a view."""

    ask: BoolArray
    """bool[B, N]: members to ask in the next round; a row of False stops that query. Every query
    must ask a member in the first round."""
    answer: FloatArray
    """float32[B, C]: probability of each candidate answer, 0 where not available; a row of zeros is
    no answer."""
    chance: FloatArray | None = None
    """float32[B, N + 1]: probability of asking each member next, and of stopping (last); None for
    strategies without such probabilities."""
