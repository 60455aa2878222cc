"""Decide whether the replies still pending could change the answer.

Axes: B cases, N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import best_answer, decided
from rlfocal.deliberation.view import View
from rlfocal.live.state import QueryState, Reply
from rlfocal.records.signals import Replies

__all__ = ["is_last", "outcome_is_fixed"]

_JUDGED = (-6.0, 0.0, 6.0)
"""Log-odds that a reply is right: what a score may make of one, at the most."""

_ANOTHER = "\N{REPLACEMENT CHARACTER}"
"""Stands for an answer that no member has given yet."""


def outcome_is_fixed(
    strategy: Base,
    state: QueryState,
    pending: Sequence[int],
) -> bool:
    """True when no reply of the pending members could change the answer.

    The cases tried are that all pending members fail, and that all give the same answer, for each
    candidate. The outcome is fixed where the strategy stops in every case with the same answer.
    More than giving one common other answer they cannot do, provided that a vote for a candidate
    never lowers its probability. Where a strategy reads replies, it is never fixed: what else a
    reply may say is not to be tried out.

    Args:
        strategy: fitted.
        state: with the replies so far; its round is the one under way.
        pending: members that have not replied.
    """
    if strategy.reads_replies:
        return False
    backers = [state.answer(n) for n in np.flatnonzero(state.asked).tolist()]
    given = [answer for answer in backers if answer is not None]
    if not given or max(map(given.count, given)) <= len(pending):
        return False  # as many are pending as agree: too early to be fixed
    names = [*state.candidates, *([] if state.n_options else [_ANOTHER])]
    cases = [_after(state, pending, None), *(_after(state, pending, name) for name in names)]
    view = View.concat([case.view() for case in cases])
    found = decided(strategy, view)
    if found.ask.any():
        return False
    best = best_answer(view.available, found.answer)[0].tolist()
    outcomes = zip(cases, best, strict=True)
    return len({None if slot < 0 else case.candidates[slot] for case, slot in outcomes}) == 1


def _after(state: QueryState, pending: Sequence[int], answer: str | None) -> QueryState:
    after = state.copy()
    for n in pending:
        after.put(n, None if answer is None else Reply((answer,), cost=0.0))
    return after


def is_last(strategy: Base, state: QueryState, member: int, *, cost: float) -> bool:
    """True where nobody would be asked after a member, whatever it says.

    While there is no other answer, which one it gives makes no difference; of a strategy that reads
    replies it is tried what it would do after a bad, a middling and a good one. Where there are
    others, those that it reads, its own has to be the one that is given, whichever it is.

    Args:
        strategy: fitted.
        state: before it is asked.
        member: who is asked alone.
        cost: of asking it, at least.
    """
    if state.has_answer:
        return _is_followed(strategy, state, member, cost)
    after = state.copy()
    after.put(member, Reply(("any",), cost=cost))
    view = after.view()
    if strategy.reads_replies:
        judged = np.full((len(_JUDGED), len(state.asked)), np.nan, dtype=np.float32)
        judged[:, member] = _JUDGED
        view = replace(View.concat([view] * len(_JUDGED)), replies=Replies.of_judged(judged))
    return not decided(strategy, view).ask.any()


def _is_followed(strategy: Base, state: QueryState, member: int, cost: float) -> bool:
    if strategy.reads_replies:
        return False
    names = [*state.candidates, *([] if state.n_options else [_ANOTHER])]
    cases = [state.copy() for _ in names]
    for case, name in zip(cases, names, strict=True):
        case.put(member, Reply((name,), cost=cost))
    view = View.concat([case.view() for case in cases])
    found = decided(strategy, view)
    best = best_answer(view.available, found.answer)[0].tolist()
    given = [case.candidates[slot] for case, slot in zip(cases, best, strict=True) if slot >= 0]
    return given == names and not found.ask.any()
