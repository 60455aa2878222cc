"""Replay served requests at other prices, as far as the members' answers are known.

A logged episode holds the answer of every member that was asked. As long as the policy at another
price asks only these members, it can be replayed exactly; where it would ask another member, whose
answer is unknown, the request does not count. Only requests count on which the policy at its own
price, when replayed, does what it did when served: after a limit, a failure or older feedback it
may not.

Requests that can be replayed at another price are a biased sample. So every figure is given beside
that of the same requests as they were served.

Works with any strategy, and does not know where requests are stored.

Axes: B requests, N members, C candidate slots, D features.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.replay import best_answer, decided
from rlfocal.deliberation.trace import CallRecord
from rlfocal.deliberation.view import View
from rlfocal.online.answers import LoggedAnswers
from rlfocal.online.episodes import Episode
from rlfocal.readers import Reads
from rlfocal.records import BoolArray, IntArray

__all__ = [
    "AtPrice",
    "Logged",
    "PriceComparison",
    "ReplayedRequests",
    "compare_prices",
    "replay_requests",
]


@dataclass(frozen=True, eq=False)
class Logged:
    """One request as it was served, with its episode."""

    episode: Episode
    """Judged, where the request was."""
    calls: Mapping[str, CallRecord]
    """Member → its call."""
    members: tuple[str, ...]
    """In the checkpoint's order."""
    is_priced: bool
    """Whether the prices of all calls are known."""
    earned: float | None
    """Score of the served answer; None where it was not judged."""
    reads: Reads | None = None
    """Who of the members reads whom; None where nobody does."""

    @property
    def asked(self) -> BoolArray:
        """bool[N]: members asked by the end."""
        return np.asarray(self.episode.states.asked[-1])

    @property
    def known(self) -> BoolArray:
        """bool[N]: asked, and waited for."""
        left = [n in self.calls and self.calls[n].was_cancelled for n in self.members]
        return np.asarray(self.asked & ~np.array(left))


class ReplayedRequests(NamedTuple):
    """A policy's decisions on B requests."""

    asked: BoolArray
    """bool[B, N]."""
    chosen: IntArray
    """int64[B]: the candidate, as the episode numbers them; -1 for none."""
    is_known: BoolArray
    """bool[B]: it asked only members whose answers are known, and had an answer."""


class AtPrice(NamedTuple):
    """One price on the requests that can be replayed at it, beside the same requests as served."""

    price: float
    n: int
    """Requests."""
    n_calls: float | None
    """Mean; None where there is no request."""
    served_n_calls: float | None
    usd: float | None
    """Mean; None also where a price is not known."""
    served_usd: float | None
    worth: list[float]
    """Scores of its answers, where judged."""
    served_worth: list[float]
    """Scores of the served answers to the same requests."""


class PriceComparison(NamedTuple):
    """A policy's prices compared."""

    n: int
    """Requests considered."""
    n_as_served: int
    """Those on which the replayed policy does what it did when served."""
    prices: list[AtPrice]


def _answers_of(logged: Sequence[Logged]) -> LoggedAnswers:
    """The answers of all members asked in several episodes."""
    episodes = [one.episode for one in logged]
    last = View.concat([e.states.take(np.array([len(e.states) - 1])) for e in episodes])
    cost = np.zeros(last.answer.shape, dtype=np.float32)
    for b, one in enumerate(logged):
        cost[b] = [one.calls[m].cost if m in one.calls else 0.0 for m in one.members]
    n_options = np.array([e.n_options for e in episodes])
    exists = np.arange(last.support.shape[2]) < n_options[:, None]
    return LoggedAnswers.of(last, cost, exists=exists, reads=logged[0].reads)


def replay_requests(
    strategy: Base, logged: Sequence[Logged], *, own: bool = False
) -> ReplayedRequests:
    """Replay a policy on logged requests.

    Args:
        strategy: at a price.
        logged: the requests of one pool, at least one; they were served at another price.
        own: whether members that were not waited for count as asked without an answer, as they did
            when the request was served.
    """
    known = np.stack([one.asked if own else one.known for one in logged])
    answers = _answers_of(logged)
    n_rows, n_members = known.shape
    asked = np.zeros_like(known)
    chosen, is_known = np.full(n_rows, -1), np.ones(n_rows, dtype=bool)
    rows = np.arange(n_rows)
    for n_rounds in range(n_members + 1):
        view = reveal(answers, rows, asked[rows], n_rounds=np.full(len(rows), n_rounds))
        decision = decided(strategy, view)
        stops = ~decision.ask.any(axis=1)
        place, _ = best_answer(view.available, decision.answer)
        chosen[rows[stops]] = candidates_of(answers, rows, asked[rows], place)[stops]
        wanted = decision.ask
        if answers.reads is not None:
            wanted = answers.reads.expanded(wanted, asked[rows])
        strays: BoolArray = np.asarray((wanted & ~known[rows]).any(axis=1))
        is_known[rows[strays]] = False
        asked[rows] |= wanted & ~strays[:, None]
        rows = rows[~stops & ~strays]
        if not len(rows):
            break
    return ReplayedRequests(asked, chosen, is_known & (chosen >= 0))


def compare_prices(
    strategy: Base, logged: Sequence[Logged], *, also: Collection[float] = ()
) -> PriceComparison:
    """Replay the policy at each of its prices on requests that were served at its own.

    Args:
        strategy: at the price that is served.
        logged: the requests.
        also: prices beside those that it was trained for.
    """
    same: list[Logged] = []
    if logged:
        found = replay_requests(strategy, logged, own=True)
        asked = np.stack([one.asked for one in logged])
        chosen = np.array([one.episode.chosen for one in logged])
        does = (found.asked == asked).all(axis=1) & (found.chosen == chosen)
        same = [one for one, is_same in zip(logged, does.tolist(), strict=True) if is_same]
    own = () if strategy.price is None else (strategy.price,)
    prices = sorted({*strategy.prices, *own, *also}) if same else []
    compared = [
        _compared(price, same, replay_requests(strategy.at(price), same)) for price in prices
    ]
    return PriceComparison(len(logged), len(same), compared)


def _compared(price: float, logged: Sequence[Logged], found: ReplayedRequests) -> AtPrice:
    n_calls, usd, worth = [], [], []
    served_calls, served_usd, served_worth = [], [], []
    is_priced = True
    rows = np.flatnonzero(found.is_known).tolist()
    for b in rows:
        one = logged[b]
        names = [one.members[n] for n in np.flatnonzero(found.asked[b]).tolist()]
        n_calls.append(len(names))
        served_calls.append(len(one.calls))
        is_priced &= one.is_priced
        usd.append(sum(one.calls[name].cost_usd or 0.0 for name in names))
        served_usd.append(sum(call.cost_usd or 0.0 for call in one.calls.values()))
        score = float(one.episode.worth[found.chosen[b]])
        if one.earned is not None and not np.isnan(score):
            worth.append(score)
            served_worth.append(one.earned)
    return AtPrice(
        price=price,
        n=len(rows),
        n_calls=_mean(n_calls),
        served_n_calls=_mean(served_calls),
        usd=_mean(usd) if is_priced else None,
        served_usd=_mean(served_usd) if is_priced else None,
        worth=worth,
        served_worth=served_worth,
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
