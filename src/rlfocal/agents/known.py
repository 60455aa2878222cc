"""What is known of members on a query, beyond their statistics and what they answered.

Axes: B queries, N members, Q training queries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from rlfocal.deliberation.view import View
from rlfocal.records import FloatArray, IntArray

__all__ = ["Knowledge", "Known", "OutOfFold"]


class Known(NamedTuple):
    """What is known of B queries."""

    competence: FloatArray
    """float32[B, N]: expected gain of each member over its accuracy on the task, by the query's
    text."""
    reply_shift: FloatArray | None = None
    """float32[B, N]: how far each reply itself moves its log-odds of being right, 0 where there is
    none; None where replies are not read."""
    fold: IntArray | None = None
    """int64[B]: whose weights judge each training query, which they have never seen; None for the
    mean of all."""

    def take(self, rows: IntArray) -> Known:
        """What is known of some of the queries."""
        fold = None if self.fold is None else self.fold[rows]
        shift = None if self.reply_shift is None else self.reply_shift[rows]
        return Known(self.competence[rows], shift, fold)


class Knowledge(Protocol):
    """Where that comes from: a fitted pool, or predictions out of fold."""

    def known(self, view: View) -> Known:
        """What is known of these queries."""
        ...


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Out-of-fold predictions for the training queries."""

    competence: FloatArray
    """float32[2, Q, N]: with the task known, and without."""
    n_tasks: int
    """T; a view's queries of task T are those whose task is not told."""
    fold: IntArray
    """int64[Q]: whose weights of Fusion never saw the query."""
    reply_shift: FloatArray | None = None
    """float32[Q, N], of all replies recorded."""

    def known(self, view: View) -> Known:
        """Look training queries up by their position in the table."""
        rows, shift = view.position, self.reply_shift
        revealed = None if shift is None else np.where(view.asked, shift[rows], np.float32(0))
        untold = (view.task >= self.n_tasks).astype(np.int64)
        return Known(self.competence[untold, rows], revealed, self.fold[rows])

    def take(self, rows: IntArray) -> OutOfFold:
        """Select some of the queries."""
        shift = None if self.reply_shift is None else self.reply_shift[rows]
        return OutOfFold(self.competence[:, rows], self.n_tasks, self.fold[rows], shift)
