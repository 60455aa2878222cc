"""Adapt a frozen policy to drift: recent labelled queries shift members' accuracies and weights.

No weight of a net is trained. Three things are estimated from a window of labelled queries:

- *Which members changed, when and how far.* A member either kept its accuracy of training, or
  became better or worse at some query of the window; the posterior over both is exact. Labels from
  before a change no longer count.
- *The vote weights of members that changed* relative to the others'. An accuracy alone does not
  show that two members now err together: a conditional logit on the answers does. It starts from
  Fusion's weights, moved as the accuracies moved, and is regularised towards them.
- *Whether vote weights should change although no member's accuracy did*, as when one member
  repeats another. All weights are refitted as far as the evidence of the window supports that.

Axes: N members, W remembered queries, R of them informative on votes, T tasks, G sizes of a change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.observation import Observer
from rlfocal.agents.statistics import PoolStatistics
from rlfocal.deliberation.view import Memory
from rlfocal.numbers import Float64Array, log_odds, shrunk, sigmoid
from rlfocal.records import BoolArray, FloatArray

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
_PSEUDO_COUNTS = 20.0
"""Failures' worth of the joint failures in training that are mixed into the window's."""
_PRIOR_SLOPE = 0.6
"""Vote weight of a point of log-odds where a pool's own weights do not say."""
_CHANGED_PENALTY, _PENALTY = 5.0, 10.0
"""Ridge penalty on the vote weights of a member that has changed, and on those of all members."""
_ODDS = 0.2
"""Prior odds that vote weights should change."""
_UNLIKELY = 0.05
"""A change less likely than this is ignored."""
_LIKELY = 0.5
"""From this probability on the pool counts as changed."""
_STEPS = 6


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
    statistics, fusion = fitted_pool.statistics, fitted_pool.fusion
    # Other tasks than before are no drift: what was to be expected is the accuracy on each task.
    drift = find_drift(memory.member_score, statistics.task_accuracy[memory.task])
    current = np.prod(1 - drift.since, axis=1)
    moved = replace(
        statistics,
        accuracy=_moved(statistics.accuracy, drift.shift),
        task_accuracy=_moved(statistics.task_accuracy, drift.shift),
        joint_failure=_joint_failure(statistics, memory, current),
    )
    weight = fusion.start_weights().mean(axis=0, dtype=np.float64)
    trust = _slope(statistics.accuracy, weight.mean(axis=0)) * drift.shift
    due = 0.0
    if not fusion.with_prior:  # else Fusion leans on the prior, which counts the memory by itself
        votes = _Votes.of(memory, weight, current)
        trust, due = _refitted(votes, trust, drift.chance, graded=fusion.graded)
    observer = Observer(moved, fusion, fitted_pool.prior.follow(memory), trust.astype(np.float32))
    return Followed(observer, bool(max(due, drift.chance.max()) > _LIKELY))


class _Votes(NamedTuple):
    """Remembered queries on which members disagree and one of them is right.

    A candidate stands in the slot of the first member that gave it, so there are N slots.
    """

    signal: Float64Array
    """float64[R, N, N]: 1 where the last axis' member gave the candidate."""
    exists: BoolArray
    """bool[R, N]."""
    share: Float64Array
    """float64[R, N]: what the label gives the candidate; rows sum to 1."""
    start: Float64Array
    """float64[R, N]: logits by the weights in training."""
    current: Float64Array
    """float64[R]: chance that the query is of the pool as it is now."""

    @classmethod
    def of(cls, memory: Memory, weight: Float64Array, current: Float64Array) -> _Votes:
        """Lay a memory out as candidates and votes.

        Args:
            memory: recent labelled queries.
            weight: float64[T + 1, N], of the members' votes in training.
            current: float64[W], weight of each query.
        """
        given = ~np.isnan(memory.member_score) & (memory.answer >= 0)
        same = (memory.answer[:, :, None] == memory.answer[:, None, :]) & given[:, None, :]
        slot = np.where(given, same.argmax(axis=2), -1)
        signal = slot[:, None, :] == np.arange(given.shape[1])[:, None]
        exists = signal.any(axis=2)
        score = np.where(exists, memory.member_score, 0).astype(np.float64)
        use = (score.sum(axis=1) > 0) & (exists.sum(axis=1) > 1)
        signal, exists, score = signal[use].astype(np.float64), exists[use], score[use]
        return cls(
            signal=signal,
            exists=exists,
            share=score / score.sum(axis=1, keepdims=True),
            start=(signal @ weight[memory.task[use], :, None])[:, :, 0],
            current=current[use],
        )

    def judge(self, shift: Float64Array) -> tuple[float, Float64Array]:
        """Log-likelihood of the labels, and posteriors float64[R, N], with weights so moved."""
        logit = np.where(self.exists, self.start + self.signal @ shift, -np.inf)
        logit = logit - logit.max(axis=1, keepdims=True)
        log_total = np.log(np.exp(logit).sum(axis=1, keepdims=True))
        log_chance = np.where(self.exists, logit - log_total, 0)
        value = (self.share * log_chance).sum(axis=1) @ self.current
        return float(value), np.exp(logit - log_total)

    def fit(self, centre: Float64Array, penalty: Float64Array) -> tuple[Float64Array, float]:
        """The likeliest shift under a normal prior, and how far the evidence prefers it.

        Args:
            centre: float64[N], mean of the prior.
            penalty: float64[N], its precision.

        Returns:
            The shift float64[N], and the logarithm of the Bayes factor over `centre` (Laplace).
        """
        shift, flat = centre, self.signal.reshape(-1, len(centre))
        for _ in range(_STEPS):
            _, chance = self.judge(shift)
            expected = (chance[:, None, :] @ self.signal)[:, 0]
            each = (self.current[:, None] * chance).reshape(-1, 1)
            curvature = flat.T @ (each * flat) - (self.current[:, None] * expected).T @ expected
            curvature[np.diag_indices_from(curvature)] += penalty
            gap = (self.current[:, None] * (self.share - chance)).reshape(-1)
            step = np.linalg.solve(curvature, gap @ flat - penalty * (shift - centre))
            shift = shift + step * min(1.0, 2 / max(np.abs(step).max(), 1e-9))
            if np.abs(step).max() < 1e-3:
                break
        gain = self.judge(shift)[0] - self.judge(centre)[0]
        gain -= float(penalty @ (shift - centre) ** 2) / 2
        occam = float(np.log(penalty).sum() - np.linalg.slogdet(curvature)[1]) / 2
        return shift, gain + occam


def _refitted(
    votes: _Votes, trust: Float64Array, chance: Float64Array, *, graded: bool
) -> tuple[Float64Array, float]:
    """Shifts of vote weights that fit the window, where it says that some are due.

    Returns:
        float64[N], and the probability that some are due although no member's accuracy has changed.
    """
    if not len(votes.signal):
        return trust, 0.0
    if chance.max() >= _UNLIKELY:
        trust, _ = votes.fit(trust, _CHANGED_PENALTY / np.maximum(chance, 0.01) ** 2)
    if graded:
        # Supports say more than answers, and only answers are remembered: how well the weights
        # would have done without any change cannot be judged from them.
        return trust, 0.0
    fitted, evidence = votes.fit(trust, np.full(len(trust), _PENALTY))
    due = float(sigmoid(np.array(evidence + np.log(_ODDS))))
    return np.asarray(due * fitted + (1 - due) * trust), due


def _moved(accuracy: FloatArray, shift: Float64Array) -> FloatArray:
    logit = log_odds(accuracy, least=_LEAST)
    moved = accuracy + sigmoid(logit + shift) - sigmoid(logit)
    return np.asarray(np.clip(moved, 0, 1), dtype=np.float32)


def _joint_failure(statistics: PoolStatistics, memory: Memory, current: Float64Array) -> FloatArray:
    """The window's failures since the last change, with those of training as the prior."""
    failed = np.where(np.isnan(memory.member_score), False, memory.member_score < 0.5)
    counts = failed * current[:, None]
    both = counts.T @ failed
    n_failed, before = counts.sum(axis=0)[:, None], statistics.joint_failure
    joint = shrunk(both, n_failed, towards=before, worth=_PSEUDO_COUNTS)
    return np.asarray(joint, dtype=np.float32)


def _slope(accuracy: FloatArray, weight: Float64Array) -> float:
    """What a point of log-odds is worth in this pool's votes: least squares over its members."""
    odds = log_odds(accuracy, least=_LEAST)
    centred = odds - odds.mean()
    along = float(centred @ (weight - weight.mean())) + _PRIOR_SLOPE
    return float(np.clip(along / (float(centred @ centred) + 1), 0.2, 1.5))
