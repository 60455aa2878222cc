"""What the policy would have done at another price, on requests that were served.

A logged episode holds what every member that was asked has answered. As long as the policy at
another price asks only members of these, its way can be played through exactly; where it would ask
somebody else, nobody knows what that one would have said, and the request does not count. Counted
are only requests on which the policy at its own price, played through, does just what it did: where
a limit, a failure or older feedback had a hand in it, it does not.

Requests on which a dearer or cheaper way can be played through are not any requests. So every
figure stands beside the one of the same requests as they were served.

Axes: B requests, N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import best_answer, decided
from rlfocal.deliberation.view import View
from rlfocal.gateway.dashboard.history import Judged, Seen
from rlfocal.gateway.dashboard.intervals import estimate
from rlfocal.records import BoolArray, FloatArray, IntArray
from rlfocal.rl.online.episodes import Episode

__all__ = ["Logged", "Played", "play", "replayed"]


@dataclass(frozen=True, eq=False)
class Logged:
    """One request with its episode."""

    seen: Seen
    episode: Episode
    members: tuple[str, ...]
    """In the checkpoint's order."""

    @property
    def asked(self) -> BoolArray:
        """bool[N]: in the end."""
        return np.asarray(self.episode.states.asked[-1])

    @property
    def known(self) -> BoolArray:
        """bool[N]: asked, and waited for."""
        asked = self.seen.asked
        left = [name in asked and asked[name].was_left for name in self.members]
        return np.asarray(self.asked & ~np.array(left))

    def worth(self, slot: int, judged: Judged) -> float | None:
        """Of a candidate; None where the judgement says nothing of it."""
        if slot == self.episode.chosen:
            return judged.earned
        for n in np.flatnonzero(self.episode.states.answer[-1] == slot).tolist():
            score = judged.member_scores.get(self.members[n])
            if score is not None:
                return score
        return None


class Played(NamedTuple):
    """A policy's way through B requests."""

    asked: BoolArray
    """bool[B, N]."""
    chosen: IntArray
    """int64[B]: the candidate, as the episode numbers them; -1 for none."""
    is_known: BoolArray
    """bool[B]: it asked only members whose answers are known, and had an answer."""


class _Pile:
    """Episodes side by side, shown as far as members were asked."""

    def __init__(self, logged: Sequence[Logged], known: BoolArray) -> None:
        episodes = [one.episode for one in logged]
        n_slots = max(e.states.support.shape[2] for e in episodes)
        self.known = known
        self.support = np.zeros((*known.shape, n_slots), dtype=np.float32)
        self.cost = np.zeros(known.shape, dtype=np.float32)
        for b, one in enumerate(logged):
            support = one.episode.states.support[-1]
            self.support[b, :, : support.shape[1]] = support
            calls = one.seen.asked
            self.cost[b] = [calls[m].cost if m in calls else 0.0 for m in one.members]
        self.answer = np.stack([e.states.answer[-1] for e in episodes]).astype(np.int64)
        self.task = np.array([e.task for e in episodes], dtype=np.int64)
        self.features: FloatArray = np.stack([e.features for e in episodes])
        self.n_options = np.array([e.n_options for e in episodes], dtype=np.int64)

    def view(self, rows: IntArray, asked: BoolArray, n_rounds: int) -> tuple[View, IntArray]:
        """A view of some rows, and int64[B, C]: the candidate that stands in each of its slots.

        An open question has only those candidates that somebody asked so far has given.
        """
        support = np.where(asked[..., None], self.support[rows], 0)
        answer = np.where(asked, self.answer[rows], -1)
        n_options, slots = self.n_options[rows], np.arange(support.shape[2])
        exists = np.where(
            n_options[:, None] > 0, slots < n_options[:, None], (support > 0).any(axis=1)
        )
        order = np.argsort(~exists, axis=1, kind="stable")
        place = np.argsort(order, axis=1)
        moved = np.take_along_axis(place, np.maximum(answer, 0), axis=1)
        answer = np.where(answer >= 0, moved, -1).astype(np.int16)
        view = View(
            position=rows,
            task=self.task[rows],
            features=self.features[rows],
            is_open=n_options == 0,
            asked=asked.copy(),
            answered=answer >= 0,
            answer=answer,
            support=np.take_along_axis(support, order[:, None, :], axis=2),
            available=slots < exists.sum(axis=1)[:, None],
            spent=(self.cost[rows] * asked).sum(axis=1, dtype=np.float32),
            budget=np.full(len(rows), np.inf, dtype=np.float32),
            n_rounds=np.full(len(rows), n_rounds, dtype=np.int64),
        )
        return view, order


def play(strategy: Base, logged: Sequence[Logged], *, own: bool = False) -> Played:
    """Play a policy through.

    Args:
        strategy: at a price.
        logged: requests that it did not see at this price, at least one.
        own: whether members that were not waited for count as asked without an answer, as they did
            when the request was served.
    """
    known = np.stack([one.asked if own else one.known for one in logged])
    pile = _Pile(logged, known)
    n_rows, n_members = known.shape
    asked = np.zeros_like(known)
    chosen, is_known = np.full(n_rows, -1), np.ones(n_rows, dtype=bool)
    rows = np.arange(n_rows)
    for n_rounds in range(n_members + 1):
        view, order = pile.view(rows, asked[rows], n_rounds)
        decision = decided(strategy, view)
        stops = ~decision.ask.any(axis=1)
        place, _ = best_answer(view.available, decision.answer)
        candidate = np.take_along_axis(order, np.maximum(place, 0)[:, None], axis=1)[:, 0]
        chosen[rows[stops]] = np.where(place >= 0, candidate, -1)[stops]
        strays: BoolArray = np.asarray((decision.ask & ~known[rows]).any(axis=1))
        is_known[rows[strays]] = False
        asked[rows] |= decision.ask & ~strays[:, None]
        rows = rows[~stops & ~strays]
        if not len(rows):
            break
    return Played(asked, chosen, is_known & (chosen >= 0))


def replayed(
    strategy: Base, logged: Sequence[Logged], judged: Mapping[str, Judged]
) -> dict[str, Any]:
    """Play the policy at each of its prices through requests that were served at its own.

    Args:
        strategy: at the price that is served.
        logged: the requests.
        judged: by their ids.
    """
    same: list[Logged] = []
    if logged:
        found = play(strategy, logged, own=True)
        asked = np.stack([one.asked for one in logged])
        chosen = np.array([one.episode.chosen for one in logged])
        does = (found.asked == asked).all(axis=1) & (found.chosen == chosen)
        same = [one for one, is_same in zip(logged, does.tolist(), strict=True) if is_same]
    own = () if strategy.price is None else (strategy.price,)
    prices = sorted({*strategy.dials, *own}) if same else []
    return {
        "n": len(logged),
        "n_as_served": len(same),
        "prices": [
            {"price": price} | _compared(same, play(strategy.at(price), same), judged)
            for price in prices
        ],
    }


def _compared(
    logged: Sequence[Logged], played: Played, judged: Mapping[str, Judged]
) -> dict[str, Any]:
    rows = np.flatnonzero(played.is_known).tolist()
    n_calls, usd, worth = [], [], []
    served_calls, served_usd, served_worth = [], [], []
    is_priced = True
    for b in rows:
        one = logged[b]
        calls = one.seen.asked
        names = [one.members[n] for n in np.flatnonzero(played.asked[b]).tolist()]
        n_calls.append(len(names))
        served_calls.append(len(calls))
        is_priced &= one.seen.n_unpriced == 0
        usd.append(sum(calls[name].usd or 0.0 for name in names))
        served_usd.append(sum(call.usd or 0.0 for call in calls.values()))
        judgement = judged.get(one.seen.id)
        score = None if judgement is None else one.worth(int(played.chosen[b]), judgement)
        if judgement is not None and score is not None:
            worth.append(score)
            served_worth.append(judgement.earned)
    return {
        "n": len(rows),
        "n_calls": _mean(n_calls),
        "served_n_calls": _mean(served_calls),
        "usd": _mean(usd) if is_priced else None,
        "served_usd": _mean(served_usd) if is_priced else None,
        "accuracy": estimate(worth),
        "served_accuracy": estimate(served_worth),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
