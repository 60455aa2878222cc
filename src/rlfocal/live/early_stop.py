"""Decide whether the replies still pending could change the answer.

Axes: B cases, N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import best_answer, decided
from rlfocal.deliberation.view import View
from rlfocal.live.state import QueryState, Reply
from rlfocal.records.signals import Replies

__all__ = ["is_last", "outcome_is_fixed"]

_JUDGED = (-6.0, 0.0, 6.0)
"""Log-odds that a reply is right: what a score may make of one, at the most."""

_FIRST, _ANOTHER = "\0", "\N{REPLACEMENT CHARACTER}"
"""Stand for answers that no member has given yet; of equals the earlier one wins, so that there is
one before and one behind all others."""

_MOST_CASES = 128
"""Mixtures of replies that are tried: some milliseconds in which nothing else is done."""


def outcome_is_fixed(
    strategy: Base,
    state: QueryState,
    pending: Sequence[int],
    *,
    shares: bool = False,
) -> bool:
    """True when no reply of the pending members could change the answer.

    First the cases are tried that all pending members fail, and that all give the same answer, for
    each candidate and for one that nobody has given. The outcome is fixed where the strategy stops
    in every case with the same answer, and either its votes only help, see `Base.votes_only_help`,
    or it is the same in every mixture of these. Where there are too many of them to be tried, and
    where a reply may share its vote out, which cannot be tried out at all, it is not fixed. Nor is
    it ever where a strategy reads replies.

    Args:
        strategy: fitted.
        state: with the replies so far; its round is the one under way.
        pending: members that have not replied.
        shares: whether one of these may share its vote out among candidates.
    """
    if strategy.reads_replies:
        return False
    backers = [state.answer(n) for n in np.flatnonzero(state.asked).tolist()]
    given = [answer for answer in backers if answer is not None]
    if not given or max(map(given.count, given)) <= len(pending):
        return False  # as many are pending as agree: too early to be fixed
    policies = _policies(strategy)
    said = [None, *state.candidates, *([] if state.n_options else [_FIRST, _ANOTHER])]
    alike = _outcomes(policies, state, pending, [[one] * len(pending) for one in said])
    if len(alike) != 1:
        return False
    if len(pending) == 1 and not shares:
        return True  # there is no mixture
    if all(policy.votes_only_help for policy in policies):
        return True
    mixtures = [] if shares else list(islice(_mixtures(state, len(pending)), _MOST_CASES + 1))
    if not 0 < len(mixtures) <= _MOST_CASES:
        return False
    return _outcomes(policies, state, pending, mixtures) == alike


def _mixtures(state: QueryState, n_pending: int) -> Iterator[list[str | None]]:
    """What the pending members may say, failures and answers that nobody has given yet among it.

    Of such answers it only matters which of them are the same, and, as of equals the earlier one
    wins, which one comes before all candidates: one of them does, for that harms a leader the most.
    """
    known: list[str | None] = [None, *state.candidates]
    names = [] if state.n_options else [_ANOTHER * (1 + n) for n in range(n_pending - 1)]
    first = [] if state.n_options else [_FIRST]

    def begun_with(said: list[str | None], n_behind: int) -> Iterator[list[str | None]]:
        if len(said) == n_pending:
            if _FIRST in said or not n_behind:
                yield said
            return
        for one in (*known, *first):
            yield from begun_with([*said, one], n_behind)
        for n, one in enumerate(names[: n_behind + 1]):
            yield from begun_with([*said, one], max(n_behind, n + 1))

    yield from begun_with([], 0)


def _policies(strategy: Base) -> list[Base]:
    """Those that may have to decide: another one does once a member has failed."""
    acting = strategy.acting
    stands_in = acting is not None and acting.stands_in
    return [strategy, strategy.alone()] if stands_in else [strategy]


def _outcomes(
    policies: Sequence[Base],
    state: QueryState,
    pending: Sequence[int],
    replies: Sequence[Sequence[str | None]],
) -> set[str | None]:
    """The answers that it may come to; none where anybody else would be asked.

    Args:
        policies: each of which may decide.
        state: before the replies.
        pending: who replies.
        replies: what they may say, case by case; None for a member that fails.
    """
    cases = [_after(state, pending, said) for said in replies]
    view = View.concat([case.view() for case in cases])
    outcomes = set[str | None]()
    for policy in policies:
        found = decided(policy, view)
        if found.ask.any():
            return set()
        best = best_answer(view.available, found.answer)[0].tolist()
        for slot, case in zip(best, cases, strict=True):
            outcomes.add(None if slot < 0 else case.candidates[slot])
    return outcomes


def _after(state: QueryState, pending: Sequence[int], said: Sequence[str | None]) -> QueryState:
    after = state.copy()
    for n, answer in zip(pending, said, strict=True):
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
