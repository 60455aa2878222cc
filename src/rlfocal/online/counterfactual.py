"""What a policy would have met on logged requests, as far as the answers of its members are known.

Where the right answer is known, a request tells what every member that was asked was worth, not
only what the answer was. So a policy can be followed along a request that another one served: it
asks those whose answers are known, in its own order, and stops where it would. A request says what
the policy earns as soon as it covers it: all whom it asks were asked, whatever was done before,
between and after. That is several times as many requests as those that did exactly the same.

How likely a request covers a policy depends on answers that nobody has seen, so requests are not
weighted by it. They are weighted as if they had been logged by another process that covers for
sure: while the policy waits for a member, it asks that one, or first the one whom the live policy
would ask (with a chance that is the share of requests in which this led there), and once nothing is
waited for, it does what the log does. The weight is the ratio of both processes' probabilities, as
always; its mean is 1, and no answer that was not seen plays a part.

Source: per-decision importance sampling (Precup, Sutton and Singh 2000); the process that is
weighted to is our own.

Axes: E episodes, B decisions, N members, C candidate slots.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.recorded import candidates_of
from rlfocal.deliberation.replay import best_answer
from rlfocal.deliberation.view import View
from rlfocal.numbers import Float64Array
from rlfocal.online.answers import LoggedAnswers
from rlfocal.online.decisions import Decisions, Path, products, worth_of
from rlfocal.records import BoolArray, IntArray

__all__ = ["Followed", "answers_of", "follow", "is_labelled", "scores_of_stopping"]

_LABELLED = 0.95
"""Share of these requests of which all must be known; what is unknown in the others counts against
a candidate."""
_LEAST_SHARE = 0.1


def is_labelled(log: Decisions) -> bool:
    """Whether what each member's answer was worth is known, of nearly all requests.

    Those count on which members differ: where all say the same, the given answer's score tells it.
    Not where members read one another: a reply depends on who was asked before.
    """
    if log.end.ready is not None:
        return False
    answer, answered = log.end.answer.astype(np.int64), log.end.answered
    worth = np.take_along_axis(log.worth, np.maximum(answer, 0), axis=1)
    differ = np.where(answered, answer, -1).max(axis=1) > np.where(
        answered, answer, np.iinfo(np.int64).max
    ).min(axis=1)
    known: BoolArray = np.asarray((~np.isnan(worth) | ~answered).all(axis=1))[differ]
    return bool(known.mean() >= _LABELLED) if len(known) else True


def answers_of(log: Decisions) -> LoggedAnswers:
    """The answers of logged requests; of several members asked at once costs are evenly shared."""
    end = log.end
    spent = log.view.spent.astype(np.float64)
    after = np.where(log.last, end.spent[log.episode], np.append(spent[1:], 0.0))
    share = (after - spent) / np.maximum(log.wanted.sum(axis=1), 1)
    cost = np.zeros(end.answer.shape)
    row, member = np.nonzero(log.wanted)
    cost[log.episode[row], member] = share[row]
    return LoggedAnswers.of(end, cost.astype(np.float32))


def scores_of_stopping(strategy: Strategy, log: Decisions) -> Float64Array:
    """float64[B]: what the answer at each logged state is worth; NaN where that is unknown."""
    answers, score = answers_of(log), np.full(len(log.episode), np.nan)
    for price in np.unique(log.price).tolist():
        rows = np.flatnonzero(log.price[log.episode] == price)
        who, asked = log.episode[rows], log.view.asked[rows]
        view = answers.seen(who, asked)
        place, _ = best_answer(view.available, strategy.at(price).decide(view).answer)
        chosen = candidates_of(answers, who, asked, place)
        score[rows] = _worth(log, who, chosen)
    return score


@dataclass(frozen=True, eq=False)
class Followed:
    """A policy along logged requests: its own decisions, up to the first that is not known."""

    steps: Decisions
    """Its decisions in its own states, as a log; the final states are those that were logged."""
    path: Path
    """Of the policy along `steps`: it agrees with all, and weights are those of covering."""
    departs: BoolArray
    """bool[E]: True where the live policy would not have done the same."""


def follow(
    strategy: Strategy, live: Strategy, log: Decisions, own: BoolArray, *, unknown: float = 0.0
) -> Followed:
    """Follow a policy along the requests of a log.

    Args:
        strategy: the policy; the price is that of each episode.
        live: the policy whose calls may come before.
        log: judged episodes, of which `is_labelled` holds.
        own: bool[B, N], what the live policy does in the logged states.
        unknown: worth of an answer of which nothing is known.

    Raises:
        ValueError: a price that the policy was not trained for.
    """
    answers, n_members = answers_of(log), log.wanted.shape[1]
    reached = _Reached(log, own)
    asked = np.zeros((len(log), n_members), dtype=bool)
    chosen, departs = np.full(len(log), -1), np.zeros(len(log), dtype=bool)
    rows, found = np.arange(len(log)), []
    while len(rows):
        view = answers.seen(rows, asked[rows])
        wanted, theirs, answer = (
            np.zeros((len(rows), n_members), dtype=bool),
            np.zeros((len(rows), n_members), dtype=bool),
            np.full(len(rows), -1),
        )
        for price in np.unique(log.price[rows]).tolist():
            here = np.flatnonzero(log.price[rows] == price)
            part = view.take(here)
            decided = strategy.at(price).decide(part)
            wanted[here] = decided.ask & ~part.asked
            theirs[here] = live.at(price).decide(part).ask & ~part.asked
            answer[here], _ = best_answer(part.available, decided.answer)
        stops = ~wanted.any(axis=1)
        chosen[rows[stops]] = candidates_of(answers, rows, asked[rows], answer)[stops]
        departs[rows] |= (wanted != theirs).any(axis=1)
        ratio = np.where(stops, 1.0, reached.ratio(rows, wanted))
        is_known = ratio > 0
        is_open = ~asked[rows].all(axis=1)
        found.append((rows[is_open], view.take(np.flatnonzero(is_open)), wanted[is_open],
                      ratio[is_open]))  # fmt: skip
        asked[rows] |= wanted & is_known[:, None]
        rows = rows[~stops & is_known]
    return _followed(log, answers, found, chosen, departs, unknown)


def _followed(
    log: Decisions,
    answers: LoggedAnswers,
    found: list[tuple[IntArray, View, BoolArray, Float64Array]],
    chosen: IntArray,
    departs: BoolArray,
    unknown: float,
) -> Followed:
    """Put together what was decided round by round."""
    episode = np.concatenate([rows for rows, *_ in found])
    order = np.argsort(episode, kind="stable")
    episode = episode[order]
    wanted = np.concatenate([part for *_, part, _ in found])[order]
    ratio = np.concatenate([part for *_, part in found])[order]
    unit = _price_of_a_unit(log)[episode]
    cost = (answers.cost[episode].astype(np.float64) * wanted).sum(axis=1)
    steps = replace(
        log,
        view=View.concat([view for _, view, *_ in found]).take(order),
        episode=episode,
        last=np.append(episode[1:] != episode[:-1], True),
        wanted=wanted,
        propensity=np.ones(len(episode)),
        charge=unit * cost * (ratio > 0),
        chosen=chosen,
    )
    weight = products(ratio, steps)
    score = _worth(log, np.arange(len(log)), chosen)
    silent = np.isnan(score)
    n_unknown = int((silent & (weight > 0)).sum())
    path = Path(wanted, ratio, weight, np.where(silent, unknown, score), n_unknown)
    return Followed(steps, path, departs)


def _price_of_a_unit(log: Decisions) -> Float64Array:
    """float64[E]: lambda over the cost of an average call."""
    spent = log.view.spent.astype(np.float64)
    after = np.where(log.last, log.end.spent[log.episode], np.append(spent[1:], 0.0))
    cost = np.bincount(log.episode, after - spent, minlength=len(log))
    charge = np.bincount(log.episode, log.charge, minlength=len(log))
    return np.asarray(charge / np.where(cost > 0, cost, 1.0))


def _worth(log: Decisions, rows: IntArray, chosen: IntArray) -> Float64Array:
    """float64[B]: worth of candidates int64[B] of episodes int64[B]; 0 for -1."""
    return worth_of(log.worth[rows], chosen)


class _Reached:
    """How far a log has been read for a policy that waits for one member after another."""

    def __init__(self, log: Decisions, own: BoolArray) -> None:
        n_members = log.wanted.shape[1]
        self._log = log
        first = np.flatnonzero(np.append(True, log.last[:-1]))
        self._place = first.copy()
        """int64[E]: the next decision of each episode that has not been read."""
        self._time = np.full((len(log), n_members), len(log.episode))
        row, member = np.nonzero(log.wanted)
        self._time[log.episode[row], member] = row
        self._act, self._own = _actions(log.wanted), _actions(own)
        self._share = self._shares()

    def _shares(self) -> Float64Array:
        """float64[N + 1, N]: chance of asking the live policy's member before the one waited for.

        Of the decisions at which the live policy asks the first, and the log leads to the second.
        """
        n_members = self._time.shape[1]
        first, later = np.ones((n_members + 1, n_members)), np.ones((n_members + 1, n_members))
        for b, (act, own) in enumerate(zip(self._act.tolist(), self._own.tolist(), strict=True)):
            if own == n_members:
                continue
            if act == own:
                time = self._time[self._log.episode[b]]
                later[own] += (time > b) & (time < len(self._act))
            elif act < n_members:
                first[own, act] += 1
        share = np.clip(later / (first + later), _LEAST_SHARE, 1 - _LEAST_SHARE)
        share[n_members] = 0.0
        return np.asarray(share)

    def ratio(self, rows: IntArray, wanted: BoolArray) -> Float64Array:
        """float64[R]: the ratio of both processes up to the member waited for; 0 if it never comes.

        Args:
            rows: int64[R], the episodes.
            wanted: bool[R, N], whom the policy asks; nobody where it stops.
        """
        single = wanted.sum(axis=1) == 1
        return np.array([
            self._of(e, n) if one else float(self._together(e, row))
            for e, n, one, row in zip(
                rows.tolist(), wanted.argmax(axis=1).tolist(), single.tolist(), wanted, strict=True
            )
        ])  # fmt: skip

    def _of(self, e: int, n: int) -> float:
        time = int(self._time[e, n])
        if time < self._place[e]:
            return 1.0
        if time == len(self._act):
            return 0.0
        ratio, n_members = 1.0, self._time.shape[1]
        for b in range(int(self._place[e]), time + 1):
            own, act = self._own[b], self._act[b]
            if act > n_members:  # several at once: only as the live policy does it
                return 0.0
            before = 0.0 if own in (n, n_members) or own > n_members else self._share[own, n]
            if b == time:
                ratio *= (1 - before) / self._log.propensity[b]
            elif act == own:
                ratio *= before / self._log.propensity[b]
            else:
                return 0.0
        self._place[e] = time + 1
        return float(ratio)

    def _together(self, e: int, wanted: BoolArray) -> float:
        """The same of several that are asked at once, or of nobody."""
        if not wanted.any():
            return 1.0
        b = int(self._place[e])
        within = b < len(self._act) and self._log.episode[b] == e
        if not within or not np.array_equal(self._log.wanted[b], wanted):
            return 0.0
        self._place[e] = b + 1
        return float(1 / self._log.propensity[b])


def _actions(wanted: BoolArray) -> IntArray:
    """int64[B]: the member asked, N for stopping, N + 1 for several at once."""
    count = wanted.sum(axis=1)
    n_members = wanted.shape[1]
    return np.asarray(np.where(count == 1, wanted.argmax(axis=1), n_members + np.minimum(count, 1)))
