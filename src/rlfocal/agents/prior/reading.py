"""What readers are worth beside those they read: shrunk rates from labelled queries.

A reader's plain accuracy says little: it is mostly right where those it read agree and are right,
and adds nothing there. So it is taken for what its answer is worth where it matters: where those it
read answered apart, and where they answered alike and it answered something else. By these rates it
is preferred or not, and its vote is weighed; the nets need not know who reads whom.

Axes: B queries of one batch, W labelled queries, N members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.state import Row
from rlfocal.numbers import Float64Array, log_odds, shrunk, sigmoid
from rlfocal.readers import Reads
from rlfocal.records import BoolArray, FloatArray

__all__ = ["READING_ROWS", "Apart", "Readers", "apart"]

_LIKE, _APART = -1.5, -0.5
"""Log-odds by which a reader is taken to be less often right than on all queries, until labels say
how it does: where it differs from those it read who answered alike, and where they answered apart.
"""
_WORTH = 6.0
"""Weight, in queries, of that expectation."""
_LEAST = 0.01

READING_ROWS: Mapping[str, Row] = {
    "direct": Row("bool", "NN"),
    "first": Row("int64", "N", low=-1, high="N"),
    "known": Row("float64", "2N", low=0),
    "right": Row("float64", "2N", low=0),
}
"""What the arrays of `Readers.state` must be like."""


@dataclass(frozen=True, eq=False)
class Readers:
    """Who reads whom in a pool, and how readers did on labelled queries.

    Of the two rows the first is for queries on which those it read answered alike and the reader
    otherwise, the second for those on which they answered apart.
    """

    reads: Reads
    known: Float64Array
    """float64[2, N]: queries with a score of the reader."""
    right: Float64Array
    """float64[2, N]: sum of those scores."""

    @classmethod
    def none(cls, reads: Reads) -> Self:
        """No labelled queries."""
        nothing = np.zeros((2, len(reads.members)))
        return cls(reads, nothing, nothing)

    @classmethod
    def of(
        cls, reads: Reads, answer: NDArray[np.int16], score: FloatArray, comparable: BoolArray
    ) -> Self:
        """Count.

        Args:
            reads: who reads whom.
            answer: int16[W, N], comparable within a row; -1 = none.
            score: float32[W, N] in [0, 1]; NaN where the member was not asked.
            comparable: bool[W], whether answers can be compared at all.
        """
        asked = ~np.isnan(score)
        found = apart(reads, answer)
        usable = asked & (answer >= 0) & comparable[:, None] & reads.ready(asked)
        cells = np.stack([usable & ~found.apart & found.differs, usable & found.apart])
        worth = np.where(asked, score, 0.0).astype(np.float64)
        return cls(reads, cells.sum(axis=1, dtype=np.float64), (cells * worth).sum(axis=1))

    def plus(self, other: Readers) -> Readers:
        """The sum of these counts and others of the same pool."""
        return Readers(self.reads, self.known + other.known, self.right + other.right)

    def times(self, weight: float | Float64Array) -> Readers:
        """These counts as if there were so many times as many queries, for each member."""
        return Readers(self.reads, self.known * weight, self.right * weight)

    def shift(self, log_odds_of: FloatArray) -> FloatArray:
        """float32[2, N]: how far the log-odds of readers move in either case; 0 for others.

        Args:
            log_odds_of: float32[N], of the members' accuracies on all queries.
        """
        usual = np.asarray(log_odds_of, dtype=np.float64)
        expected = sigmoid(usual + np.array([[_LIKE], [_APART]]))
        rate = shrunk(self.right, self.known, towards=expected, worth=_WORTH)
        moved = log_odds(rate, least=_LEAST) - usual
        return np.where(self.reads.is_reader, moved, 0).astype(np.float32)

    def moved(self, shift: FloatArray, answer: NDArray[np.int16], ready: BoolArray) -> FloatArray:
        """float32[B, N]: `shift` in the case of each query; 0 for others, and until it is known.

        A reader that said what all those said whom it read keeps its log-odds.

        Args:
            shift: float32[2, N].
            answer: int16[B, N], revealed so far.
            ready: bool[B, N], whether all whom a member reads have been asked.
        """
        found = apart(self.reads, answer)
        same = (answer >= 0) & ~found.apart & ~found.differs
        moved = np.where(found.apart, shift[1], shift[0])
        return np.where(ready & ~same, moved, np.float32(0))

    def state(self) -> dict[str, NDArray[Any]]:
        """All arrays."""
        return {
            "direct": self.reads.direct, "first": self.reads.first,
            "known": self.known, "right": self.right,
        }  # fmt: skip

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`; members go by their numbers.

        Raises:
            KeyError: an array is missing.
            RecordError: a member reads itself.
        """
        n_members = len(state["direct"])
        names = tuple(f"member {n + 1}" for n in range(n_members))
        reads = Reads.of_arrays(names, state["direct"], state["first"])
        return cls(reads, state["known"], state["right"])


class Apart(NamedTuple):
    """How answers stand to those that a member read."""

    apart: BoolArray
    """bool[B, N]: those it read gave more than one answer; False for who reads nobody."""
    differs: BoolArray
    """bool[B, N]: it gave an answer, they did, and its is not the one that comes last of
    theirs; where theirs are alike, not theirs."""


def apart(reads: Reads, answer: NDArray[np.int16]) -> Apart:
    """Compare answers with those that they were given after.

    Args:
        reads: who reads whom.
        answer: int16[B, N], comparable within a row; -1 for none.
    """
    split, differs = np.zeros((2, *answer.shape), dtype=bool)
    for n in np.flatnonzero(reads.is_reader):
        read = answer[:, reads.direct[n]]
        most = read.max(axis=1)
        split[:, n] = ((read >= 0) & (read != most[:, None])).any(axis=1)
        differs[:, n] = (most >= 0) & (answer[:, n] >= 0) & (answer[:, n] != most)
    return Apart(split, differs)
