"""Estimate a policy's reward from episodes that another policy has logged.

Three estimators, each of the mean over episodes of score less lambda times cost:

- IPS: rewards of whole paths, weighted by the ratio of their probabilities (Precup, Sutton
  and Singh 2000). Unbiased, and noisy.
- SNIPS: the same over the sum of the weights (weighted importance sampling, ibid.): less noisy,
  biased by about one over the number of effective episodes.
- DR: doubly robust, decision by decision: a model predicts the return, and weights correct it
  where the log agrees (Dudik, Langford and Li 2011; Jiang and Li 2016). Unbiased with any model
  that did not see the episode, so models are fitted on the other folds; the better it is, the
  less noise is left.

Intervals are 95 % percentile bootstraps over episodes (Efron 1979), the same resamples for every
figure, so that differences are paired. Where few episodes went along with the candidate they are
too narrow: `benchmarks/off_policy.py` finds that with 7 effective ones three in four hold the
truth, and from about 20 on, which `may_promote` asks for, 92 to 95 %.
Episodes without exploration hold no evidence on other policies and are left out, which adds no
bias, because exploration is decided at random.

Axes: E episodes, B decisions, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Strategy
from rlfocal.numbers import Float64Array
from rlfocal.online.counterfactual import follow, is_labelled
from rlfocal.online.decisions import Decisions, Path, batch, path_of
from rlfocal.online.episodes import Episode
from rlfocal.online.values import Features, Observing, fit_values
from rlfocal.records import BoolArray

__all__ = [
    "LEAST_DEPARTED",
    "Earned",
    "Figures",
    "Interval",
    "PolicyComparison",
    "along",
    "backwards",
    "compare",
    "doubly_robust",
    "effective",
    "may_promote",
    "usable",
]


LEAST_EPISODES = 100
"""Fewest judged and explored episodes for a promotion."""
LEAST_DEPARTED = 20.0
"""Effective episodes on paths that the candidate takes and the live policy does not."""
_FAR_OFF = 4.0
"""Standard errors by which a mean weight may differ from 1."""
_FOLDS = 3
_RESAMPLES = 1000


class Interval(NamedTuple):
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Figures:
    """One quantity by all estimators."""

    ips: Interval
    snips: Interval
    dr: Interval


@dataclass(frozen=True)
class PolicyComparison:
    """A candidate and the live policy, on the same episodes. Rewards are score less price."""

    candidate: Figures
    live: Figures
    difference: Figures
    """Candidate less live, paired by episode."""
    n_episodes: int
    """Episodes that were judged and explored."""
    n_effective: float
    """Kish's effective sample size of the candidate's weights."""
    n_departed: float
    """The same over paths that the candidate takes and the live policy does not: where the two
    agree there is no evidence on their difference."""
    weight: tuple[float, float]
    """Mean weight of candidate and live policy. Its expectation is 1; else propensities are wrong,
    or some of their actions were never logged."""
    weight_error: tuple[float, float]
    """Their standard errors."""
    n_unknown: int
    """Answers of the candidate with unknown score; they count as wrong."""

    def as_json(self) -> dict[str, Any]:
        """Plain values, with the verdict of `may_promote`."""
        may, reason = may_promote(self)
        figures = {
            what: {name: found._asdict() for name, found in vars(getattr(self, what)).items()}
            for what in ("candidate", "live", "difference")
        }
        return asdict(self) | figures | {"may_promote": may, "reason": reason}


def usable(episodes: Sequence[Episode]) -> list[Episode]:
    """Episodes that were judged and explored."""
    return [e for e in episodes if e.score is not None and e.epsilon > 0]


def compare(
    candidate: Base, live: Observing, episodes: Sequence[Episode], *, seed: int = 0
) -> PolicyComparison:
    """Estimate the rewards of a candidate and of the live policy.

    Args:
        candidate: fitted, and not on these episodes; it follows recent labels where it should.
        live: the policy served now, which does so, too; it need not be the one that logged.
        episodes: of the same pool; those that are not `usable` are left out.
        seed: of folds and resamples.

    Raises:
        ValueError: no episode is usable.
    """
    log = batch(usable(episodes))
    # Unknown scores count against the candidate.
    its, own = (
        path_of(policy, log, unknown=worth) for policy, worth in ((candidate, 0.0), (live, 1.0))
    )
    features = Features.of(live, log)
    rng = np.random.default_rng([seed, len(log)])
    fold = rng.permutation(len(log)) % _FOLDS
    if is_labelled(log):
        pair = (
            along(policy, live, log, path, own.wanted, features, fold, unknown=worth)
            for policy, path, worth in ((candidate, its, 0.0), (live, own, 1.0))
        )
    else:
        pair = (
            Earned(
                path.weight,
                path.weight * log.reward_of(path.score),
                doubly_robust(path, log, features, fold),
                own.weight == 0,
                path.n_unknown,
            )
            for path in (its, own)
        )
    theirs, served = pair
    values = {"ips": (theirs.weighted, served.weighted), "dr": (theirs.value, served.value)}
    weights = np.stack([theirs.weight, served.weight], axis=1)
    table = np.hstack([weights, *(np.stack(pair, axis=1) for pair in values.values())])
    # Rows: the data, then its resamples. Columns: weights, weighted rewards, doubly robust values.
    mean = np.vstack([table.mean(axis=0), _resampled(table, rng)])
    snips = mean[:, 2:4] / np.maximum(mean[:, :2], 1e-12)
    columns = {"ips": mean[:, 2:4], "snips": snips, "dr": mean[:, 4:6]}

    def figures(pick: Any) -> Figures:
        return Figures(**{name: _interval(pick(pair)) for name, pair in columns.items()})

    error = weights.std(axis=0) / np.sqrt(len(log))
    return PolicyComparison(
        candidate=figures(lambda pair: pair[:, 0]),
        live=figures(lambda pair: pair[:, 1]),
        difference=figures(lambda pair: pair[:, 0] - pair[:, 1]),
        n_episodes=len(log),
        n_effective=effective(theirs.weight),
        n_departed=effective(theirs.weight[theirs.departs]),
        weight=(float(mean[0, 0]), float(mean[0, 1])),
        weight_error=(float(error[0]), float(error[1])),
        n_unknown=theirs.n_unknown,
    )


def may_promote(estimate: PolicyComparison) -> tuple[bool, str]:
    """Whether a candidate may replace the live policy, and the reason.

    The estimate must come from episodes that it did not learn from.
    """
    low = estimate.difference.dr.low
    if estimate.n_episodes < LEAST_EPISODES:
        return False, (
            f"only {estimate.n_episodes} judged episodes that explored; {LEAST_EPISODES} are needed"
        )
    for policy, mean, error in zip(
        ("candidate", "live policy"), estimate.weight, estimate.weight_error, strict=True
    ):
        if abs(mean - 1) > _FAR_OFF * max(error, 1e-9) + 1e-6:
            return False, (
                f"weights of the {policy} average {mean:.2f} ± {error:.2f} in place of 1: it does "
                "what was never explored, or propensities are wrong"
            )
    if estimate.n_departed < LEAST_DEPARTED:
        return False, (
            f"the log went along where it departs in {estimate.n_departed:.1f} effective episodes; "
            f"{LEAST_DEPARTED:.0f} are needed: explore more, or wait"
        )
    found = f"gains {estimate.difference.dr.value:+.4f} an episode, at least {low:+.4f} (95 %)"
    return (True, found) if low > 0 else (False, f"{found}: not surely more than nothing")


class Earned(NamedTuple):
    """What a policy earns on each of E episodes."""

    weight: Float64Array
    """float64[E]."""
    weighted: Float64Array
    """float64[E]: reward times weight."""
    value: Float64Array
    """float64[E]: doubly robust."""
    departs: BoolArray
    """bool[E]: where the live policy would not have done the same."""
    n_unknown: int


def along(
    policy: Strategy,
    live: Observing,
    log: Decisions,
    path: Path,
    own: BoolArray,
    features: Features,
    fold: NDArray[np.int64],
    *,
    unknown: float = 0.0,
) -> Earned:
    """Let a policy be followed along labelled episodes: see `counterfactual`.

    Args:
        policy: at any price.
        live: the policy served now.
        log: the episodes.
        path: of the policy, in the logged states.
        own: bool[B, N], decisions of the live policy there.
        features: of the logged states.
        fold: int64[E].
        unknown: worth of an answer of which nothing is known.
    """
    followed = follow(policy, live, log, own, unknown=unknown)
    steps, found = followed.steps, followed.path
    there = Features.of(live, steps)
    expected = np.zeros(len(steps.episode))
    for k in np.unique(fold):
        model = fit_values(features, log, path.wanted, path.score, fold[log.episode] != k)
        here = fold[steps.episode] == k
        expected[here] = model.of(there.take(here), found.wanted[here])
    value = backwards(expected, expected, found.ratio, found.score, steps)
    first = np.flatnonzero(np.append(True, steps.last[:-1]))
    reward = found.weight * steps.reward_of(found.score)
    return Earned(found.weight, reward, value[first], followed.departs, found.n_unknown)


def doubly_robust(
    path: Path, log: Decisions, features: Features, fold: NDArray[np.int64]
) -> Float64Array:
    """float64[E]: the doubly robust value of each episode, by a model fitted on the other folds.

    Source: Jiang and Li 2016, equation 10: v = V(s) + ratio (r + v' - Q(s, a)), from the end on.

    Args:
        path: the policy.
        log: the episodes.
        features: of the states.
        fold: int64[E].
    """
    expected, judged = np.zeros(len(log.episode)), np.zeros(len(log.episode))
    for k in np.unique(fold):
        here = fold[log.episode] == k
        model = fit_values(features, log, path.wanted, path.score, ~here)
        expected[here] = model.of(features.take(here), path.wanted[here])
        judged[here] = model.of(features.take(here), log.wanted[here])
    value = backwards(expected, judged, path.ratio, path.score, log)
    first = np.flatnonzero(np.append(True, log.last[:-1]))
    return value[first]


def backwards(
    expected: Float64Array,
    judged: Float64Array,
    ratio: Float64Array,
    score: Float64Array,
    log: Decisions,
) -> Float64Array:
    """float64[B]: the doubly robust value of each state.

    Args:
        expected: float64[B], what the model says of the policy's own decisions.
        judged: float64[B], of the logged ones.
        ratio: float64[B], the policy's probability of them over the logging policy's.
        score: float64[E], worth of the answers.
        log: the episodes.
    """
    value = expected.copy()
    ends = np.flatnonzero(log.last)
    lengths = np.diff(np.append(-1, ends))
    for back in range(int(lengths.max())):
        b = (ends - back)[lengths > back]
        after = score[log.episode[b]] if back == 0 else value[b + 1]
        value[b] = expected[b] + ratio[b] * (after - log.charge[b] - judged[b])
    return value


def effective(weight: Float64Array) -> float:
    """Effective sample size, (sum of w)^2 / sum of w^2; 0 of nothing. Source: Kish 1965."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def _resampled(values: Float64Array, rng: np.random.Generator) -> Float64Array:
    """float64[R, P]: means of float64[E, P] over resamples of the episodes."""
    n = len(values)
    means = np.empty((_RESAMPLES, values.shape[1]))
    for r in range(_RESAMPLES):
        count = np.bincount(rng.integers(n, size=n), minlength=n)
        means[r] = count @ values / n
    return means


def _interval(figures: Float64Array) -> Interval:
    """Make an interval from a figure followed by its resamples."""
    low, high = np.quantile(figures[1:], [0.025, 0.975])
    return Interval(float(figures[0]), float(low), float(high))
