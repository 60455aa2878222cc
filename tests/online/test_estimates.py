"""Off-policy estimates against the truth, which a replay of many fresh queries tells."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

from rlfocal.deliberation.wrapper import Wrapper
from rlfocal.online.decisions import batch, path_of
from rlfocal.online.estimates import (
    Figures,
    Interval,
    PolicyComparison,
    backwards,
    compare,
    doubly_robust,
    may_promote,
    usable,
)
from rlfocal.online.exploring import Exploration, log_replay
from rlfocal.online.learning import learn
from rlfocal.online.values import Features

pytestmark = pytest.mark.slow

AFTER = (0.3, 0.7, 0.65, 0.6)
N_REPEATS = 30


@pytest.fixture(scope="module")
def candidate(live, pool):
    """A policy that asks another member first, as a shadow that has learned does."""
    shadow = learn(live, log_replay(live, pool(AFTER, 4000, seed=50), Exploration(0.3, seed=1)))
    return shadow.strategy


class Repeats(NamedTuple):
    estimates: list[PolicyComparison]
    naive: list[float]
    true: tuple[float, float]
    """Of the candidate and of the live policy."""

    def of(self, who: str, method: str) -> np.ndarray:
        """float64[R, 3]: value, low, high."""
        return np.array([getattr(getattr(e, who), method) for e in self.estimates])

    def truth(self, who: str) -> float:
        candidate, live = self.true
        return {"candidate": candidate, "live": live, "difference": candidate - live}[who]


@pytest.fixture(scope="module")
def repeats(live, candidate, pool, utility):
    """Fresh queries and fresh coins each time."""
    found, naive = [], []
    for r in range(N_REPEATS):
        episodes = log_replay(live, pool(AFTER, 1600, seed=100 + r), Exploration(0.5, seed=r))
        found.append(compare(candidate, live, episodes, seed=r))
        log = batch(episodes)
        naive.append(float(log.reward_of(log.score).mean()))
    return Repeats(found, naive, (utility(candidate), utility(live)))


def test_the_two_policies_are_worlds_apart(repeats):
    assert repeats.true[0] > repeats.true[1] + 0.3


@pytest.mark.parametrize("who", ["candidate", "live", "difference"])
@pytest.mark.parametrize("method", ["ips", "snips", "dr"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(repeats, who, method):
    """95 % of 30 is 28 or 29; fewer than 25 would come by chance in 0.3 % of the cases."""
    value, low, high = repeats.of(who, method).T
    truth = repeats.truth(who)
    assert ((low <= truth) & (truth <= high)).sum() >= 25
    # And they are not merely wide: about four standard errors across.
    assert 2.5 * value.std() < (high - low).mean() < 6 * value.std()


@pytest.mark.parametrize("method", ["ips", "dr"])
def test_weighted_rewards_are_unbiased_and_plain_ones_are_not(repeats, method):
    truth = repeats.truth("candidate")
    value = repeats.of("candidate", method)[:, 0]
    assert abs(value.mean() - truth) < 3.5 * value.std() / np.sqrt(N_REPEATS)
    naive = np.array(repeats.naive)
    assert abs(naive.mean() - truth) > 20 * naive.std() / np.sqrt(N_REPEATS)


def test_doubly_robust_estimates_vary_less(repeats):
    ips, dr = (repeats.of("difference", method)[:, 0] for method in ("ips", "dr"))
    assert dr.var() < 0.7 * ips.var()


def test_a_policy_beside_itself_gains_exactly_nothing(live, pool):
    episodes = log_replay(live, pool(AFTER, 500, seed=3), Exploration(0.3, seed=5))
    found = compare(live, live, episodes)
    for method in ("ips", "snips", "dr"):
        assert getattr(found.difference, method) == (0, 0, 0)
    assert found.n_departed == 0
    assert not may_promote(found)[0]


@cache
def _damaged(live, table, how):
    episodes = log_replay(live, table, Exploration(0.5, seed=9))
    return [dataclasses.replace(e, propensity=how(e.propensity)) for e in episodes]


@pytest.mark.parametrize("how", [np.ones_like, np.square, np.sqrt])
def test_wrong_propensities_are_noticed(live, candidate, pool, how):
    table = pool(AFTER, 3000, seed=3)
    right = compare(candidate, live, _damaged(live, table, np.array))
    assert may_promote(right)[0]
    wrong = compare(candidate, live, _damaged(live, table, how))
    may, reason = may_promote(wrong)
    assert not may
    assert "propensities are wrong" in reason


def test_nothing_is_learned_from_what_was_never_left_to_chance(live, better, pool):
    table = pool(AFTER, 200, seed=3)
    episodes = log_replay(live, table, Exploration(0.0))
    assert usable(episodes) == []
    with pytest.raises(ValueError, match="no episode"):
        compare(better, live, episodes)
    blank = [dataclasses.replace(e, worth=np.full(4, np.nan)) for e in episodes]
    assert usable([dataclasses.replace(e, epsilon=0.5) for e in blank]) == []


def test_an_answer_that_nobody_judged_counts_against_the_candidate(live, pool):
    """Another Fusion, which always answers the first option."""

    class First(Wrapper):
        def decide(self, view):
            first = np.where(np.arange(view.available.shape[1]) == 0, 1.0, 0.0) * view.available
            return super().decide(view)._replace(answer=first)

    other = First(live)
    episodes = log_replay(live, pool(AFTER, 400, seed=3), Exploration(0.3, seed=5))
    path = path_of(other, batch(episodes))
    assert path.n_unknown > 0
    log = batch(episodes)
    asked_first = log.chosen == 0
    assert np.array_equal(path.score[asked_first], log.score[asked_first])
    assert (path.score[~asked_first] == 0).all()


def test_backwards_is_the_recursion_of_the_paper(live, candidate, pool):
    """Jiang and Li 2016, equation 10, written down for one episode after the other."""
    log = batch(log_replay(live, pool(AFTER, 200, seed=3), Exploration(0.8, seed=5)))
    rng = np.random.default_rng(0)
    expected, judged = rng.normal(size=(2, len(log.episode)))
    path = path_of(candidate, log)
    found = backwards(expected, judged, path.ratio, path.score, log)
    for e in range(len(log)):
        value = path.score[e]
        for b in np.flatnonzero(log.episode == e)[::-1]:
            value = expected[b] + path.ratio[b] * (-log.charge[b] + value - judged[b])
            assert found[b] == pytest.approx(value)


def test_a_model_that_knows_nothing_leaves_importance_sampling(live, candidate, pool):
    log = batch(log_replay(live, pool(AFTER, 300, seed=3), Exploration(0.8, seed=5)))
    path = path_of(candidate, log)
    zeros = np.zeros(len(log.episode))
    # Decision by decision: a call is charged with the weight of the path up to it.
    first = np.flatnonzero(np.append(True, log.last[:-1]))
    found = backwards(zeros, zeros, path.ratio, path.score, log)[first]
    upto = path.ratio.copy()
    for b in range(1, len(upto)):
        if log.episode[b] == log.episode[b - 1]:
            upto[b] *= upto[b - 1]
    charged = np.bincount(log.episode, log.charge * upto)
    assert found == pytest.approx(path.weight * path.score - charged)


def test_folds_judge_episodes_by_models_that_did_not_see_them(live, candidate, pool):
    """Another worth of one episode changes what the model says of others, not of itself."""
    log = batch(log_replay(live, pool(AFTER, 300, seed=3), Exploration(0.8, seed=5)))
    features, fold = Features.of(live, log), np.arange(300) % 3
    path = path_of(candidate, log)
    silent = int(np.flatnonzero(path.ratio[np.flatnonzero(np.append(True, log.last[:-1]))] == 0)[0])
    other = dataclasses.replace(path, score=path.score.copy())
    other.score[silent] = 1 - other.score[silent]
    one, two = (doubly_robust(p, log, features, fold) for p in (path, other))
    assert one[silent] == two[silent]
    assert (one[fold != fold[silent]] != two[fold != fold[silent]]).any()
    assert np.array_equal(
        np.delete(one, silent)[np.delete(fold, silent) == fold[silent]],
        np.delete(two, silent)[np.delete(fold, silent) == fold[silent]],
    )


def estimate(**changed):
    gain = Interval(0.05, 0.01, 0.09)
    figures = Figures(gain, gain, gain)
    plain = {
        "candidate": figures, "live": figures, "difference": figures, "n_episodes": 1000,
        "n_effective": 500.0, "n_departed": 60.0, "weight": (1.0, 1.0),
        "weight_error": (0.05, 0.01), "n_unknown": 0,
    }  # fmt: skip
    return PolicyComparison(**(plain | changed))


def test_promotion_asks_for_a_sure_gain_and_enough_evidence():
    assert may_promote(estimate())[0]
    loss = Interval(0.05, 0.0, 0.09)
    for changed, reason in (
        ({"difference": Figures(loss, loss, loss)}, "not surely"),
        ({"n_episodes": 99}, "only 99"),
        ({"n_departed": 19.9}, "explore more"),
        ({"weight": (0.5, 1.0)}, "candidate average 0.50"),
        ({"weight": (1.0, 1.1)}, "live policy average 1.10"),
    ):
        may, why = may_promote(estimate(**changed))
        assert not may
        assert reason in why
    told = json.loads(json.dumps(estimate().as_json(), allow_nan=False))
    assert told["may_promote"] is True
    assert told["difference"]["dr"] == {"value": 0.05, "low": 0.01, "high": 0.09}
