"""Whether those who have not replied yet could still change the outcome.

Axes: B cases, N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.replay import best_answer, decided
from rlfocal.deliberation.view import View
from rlfocal.live.board import Board, Reply

__all__ = ["is_settled", "stacked"]

_T = TypeVar("_T", bound=np.generic)
_ANOTHER = "\N{REPLACEMENT CHARACTER}"
"""Stands for an answer that nobody has given yet."""


def is_settled(
    strategy: Strategy, board: Board, pending: Sequence[int], view_of: Callable[[Board], View]
) -> bool:
    """Play through what those who are pending may say: nothing, or all of them the same answer.

    An outcome is settled where in every case the strategy has enough and gives the same answer.
    They cannot do more against an answer than all to give the same other one, as far as a vote for
    a candidate never speaks against it.

    Args:
        strategy: fitted.
        board: with what has been said so far.
        pending: members that have not replied.
        view_of: what a board shows after the round.
    """
    backers = [board.answered(n) for n in np.flatnonzero(board.asked).tolist()]
    given = [answer for answer in backers if answer is not None]
    if not given or max(map(given.count, given)) <= len(pending):
        return False  # they are as many as those who agree: not worth a look
    names = [*board.candidates, *([] if board.n_options else [_ANOTHER])]
    cases = [_after(board, pending, None), *(_after(board, pending, name) for name in names)]
    view = stacked([view_of(case) for case in cases])
    found = decided(strategy, view)
    if found.ask.any():
        return False
    best = best_answer(view.available, found.answer)[0].tolist()
    outcomes = zip(cases, best, strict=True)
    return len({None if slot < 0 else case.candidates[slot] for case, slot in outcomes}) == 1


def _after(board: Board, pending: Sequence[int], answer: str | None) -> Board:
    after = board.copy()
    for n in pending:
        after.put(n, None if answer is None else Reply((answer,), cost=0.0))
    return after


def stacked(views: Sequence[View]) -> View:
    """One view of several queries; slots that only some have are empty in the others.

    Args:
        views: of the same members.
    """
    n_slots = max(view.support.shape[-1] for view in views)
    wide = [
        replace(
            view,
            support=_padded(view.support, n_slots),
            available=_padded(view.available, n_slots),
        )
        for view in views
    ]
    names = [f.name for f in fields(View) if f.name != "closed"]
    return View(**{name: np.concatenate([getattr(view, name) for view in wide]) for name in names})


def _padded(array: NDArray[_T], n_slots: int) -> NDArray[_T]:
    missing = n_slots - array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)]) if missing else array
