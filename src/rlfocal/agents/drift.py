"""Adapt a frozen policy to drift: recent labelled queries shift members' accuracies and weights.

No weight of a net is trained. A member either kept its accuracy of training, or became better or
worse at some query of a window of labelled ones; the posterior over both is exact. The weight of
its votes moves as its accuracy moved, and labels from before a change no longer count for it. That
two members now err together, although neither became better or worse, the prior sees: it counts the
window as well.

Axes: N members, W remembered queries, T tasks, G sizes of a change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.observation import Observer
from rlfocal.deliberation.view import Memory
from rlfocal.numbers import Float64Array, log_odds, sigmoid
from rlfocal.records import FloatArray

__all__ = ["Drift", "Followed", "adapted", "find_drift"]

_LEAST = 0.02
"""Accuracies are clipped to [this, 1 - this]: a member that never answered may be good now."""
_HAZARD = 1e-3
"""Chance that a member changes at a query."""
_EARLIER = 0.02
"""Chance that it changed before the first query of the window."""
_SPREAD = 1.5
"""Of the sizes of changes, in log-odds of being right."""
_SIZES = np.linspace(-6, 6, 25)
_PRIOR_SLOPE = 0.6
"""Vote weight of a point of log-odds where a pool's own weights do not say."""
_LIKELY = 0.5
"""From this probability on a member, or the pool, counts as changed."""


class Drift(NamedTuple):
    """What a window says of each member."""

    shift: Float64Array
    """float64[N]: how far its log-odds of being right are thought to have moved."""
    chance: Float64Array
    """float64[N]: that it has changed, within the window or before."""
    since: Float64Array
    """float64[W, N]: chance that it has changed since that query, which then says no more of it."""


def find_drift(right: NDArray[np.floating], expected: NDArray[np.floating]) -> Drift:
    """Find out which members have changed, when, and how far.

    A member is as good as expected up to some query, and from there on better or worse by so many
    points of log-odds. The posterior over both, and over no change at all, is exact.

    Args:
        right: float[W, N] in [0, 1], oldest query first; NaN where the member was not asked.
        expected: float[W, N], the chance of it that was to be expected.

    >>> right = np.ones((100, 2))
    >>> right[60:, 0] = 0  # the first member has failed since the sixtieth query
    >>> right[::10, 1] = 0  # the second is as good as ever
    >>> drift = find_drift(right, np.full((100, 2), 0.9))
    >>> drift.chance.round(1).tolist(), drift.since[[50, 70], 0].round(1).tolist()
    ([1.0, 0.0], [1.0, 0.0])
    """
    known = ~np.isnan(right)
    hit = np.where(known, right, 0).astype(np.float64)
    before = np.clip(expected.astype(np.float64), _LEAST, 1 - _LEAST)
    after = 1 / (1 + (1 / before - 1) * np.exp(-_SIZES)[:, None, None])  # [G, W, N]
    gain = hit * np.log(after / before) + (1 - hit) * np.log((1 - after) / (1 - before))
    prior = np.exp(-((_SIZES / _SPREAD) ** 2) / 2)
    # A change of size g just before query w gains what all queries from w on gain.
    evidence = np.cumsum((gain * known)[:, ::-1], axis=1)[:, ::-1]
    evidence = evidence + np.log(_HAZARD * prior / prior.sum())[:, None, None]
    evidence[:, :1] += np.log(_EARLIER / _HAZARD)
    top = np.maximum(evidence.max(axis=(0, 1), initial=-np.inf), 0)
    power = np.exp(evidence - top)
    power /= power.sum(axis=(0, 1)) + np.exp(-top)  # no change has evidence 0
    at = power.sum(axis=0)  # [W, N]: chance that the member changed just before the query
    since = at.sum(axis=0) - np.cumsum(at, axis=0)
    return Drift(
        shift=np.einsum("g,gwn->n", _SIZES, power),
        chance=np.clip(at.sum(axis=0), 0, 1),
        since=np.clip(since, 0, 1),
    )


class Followed(NamedTuple):
    """A pool as recent labelled queries show it."""

    observer: Observer
    """Observes with the present accuracies and vote weights."""
    has_changed: bool
    """True where the pool has more likely than not changed since training."""


def adapted(fitted_pool: FittedPool, memory: Memory) -> Followed:
    """Adapt a fitted pool to the accuracies of recent labelled queries.

    Args:
        fitted_pool: fitted on training queries.
        memory: recent labelled queries.
    """
    statistics, votes = fitted_pool.statistics, fitted_pool.votes
    # Other tasks than before are no drift: what was to be expected is the accuracy on each task.
    drift = find_drift(memory.member_score, _expected(fitted_pool, memory))
    weight = votes.of_members().mean(axis=0, dtype=np.float64)
    trust = _slope(statistics.accuracy, weight) * drift.shift
    present = np.where(drift.since > _LIKELY, np.float32(np.nan), memory.member_score)
    prior = fitted_pool.prior.follow(replace(memory, member_score=present), changed=drift.chance)
    observer = Observer(prior, votes, trust.astype(np.float32))
    return Followed(observer, bool(drift.chance.max() > _LIKELY))


def _expected(fitted_pool: FittedPool, memory: Memory) -> NDArray[np.floating]:
    """float[W, N]: chance that each member was to be right.

    A reader is mostly asked where those it reads are apart, and is right less often there than on
    all queries: that it is no worse than before must be seen from there.
    """
    statistics, readers = fitted_pool.statistics, fitted_pool.prior.whole.readers_
    expected = statistics.task_accuracy[memory.task]
    if readers is None:
        return expected
    shift = readers.shift(log_odds(statistics.accuracy, least=_LEAST))
    ready = readers.reads.ready(memory.scored)
    moved = readers.moved(shift, memory.answer, ready)
    return np.where(moved != 0, sigmoid(log_odds(expected, least=_LEAST) + moved), expected)


def _slope(accuracy: FloatArray, weight: Float64Array) -> float:
    """What a point of log-odds is worth in this pool's votes: least squares over its members."""
    odds = log_odds(accuracy, least=_LEAST)
    centred = odds - odds.mean()
    along = float(centred @ (weight - weight.mean())) + _PRIOR_SLOPE
    return float(np.clip(along / (float(centred @ centred) + 1), 0.2, 1.5))
