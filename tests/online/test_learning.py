"""Shadows: better where the pool has changed, not promoted on noise, the same by the same seed."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Memory
from rlfocal.errors import NotApplicable
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.online.estimates import compare, may_promote, usable
from rlfocal.online.exploring import Exploration, log_replay
from rlfocal.online.learning import learn, split
from rlfocal.strategies.voting import WeightedVote

pytestmark = pytest.mark.slow

BEFORE = (0.9, 0.7, 0.65, 0.6)
AFTER = (0.3, 0.7, 0.65, 0.6)
SHORT = {"n_rounds": 3, "n_steps": 15}


def same(one, two):
    """Whether two Deciders have the same weights."""
    return one.keys() == two.keys() and all(np.array_equal(a, two[key]) for key, a in one.items())


def noise(episodes, seed):
    """Feedback that says nothing: a coin for each answer."""
    rng = np.random.default_rng(seed)
    return [e.judged(float(rng.random() < 0.5)) for e in episodes]


@pytest.mark.slow
def test_where_the_best_member_has_become_bad_a_shadow_is_promoted_and_better(live, pool, utility):
    episodes = log_replay(live, pool(AFTER, 5000, seed=10), Exploration(0.3, seed=1))
    shadow = learn(live, episodes)
    may, reason = may_promote(shadow.estimate)
    assert may, reason
    gain = utility(shadow.strategy) - utility(live)
    assert gain > 0.3
    assert shadow.estimate.difference.dr.low <= gain


def promoted_on_noise(live, pool, n_repeats, config):
    count = 0
    for r in range(n_repeats):
        table = pool(BEFORE, 900, seed=200 + r)
        episodes = noise(log_replay(live, table, Exploration(0.5, seed=r)), r)
        count += may_promote(learn(live, episodes, seed=r, **config).estimate)[0]
    return count


@pytest.mark.slow
def test_on_noise_hardly_any_shadow_is_promoted(live, pool):
    assert promoted_on_noise(live, pool, 10, SHORT) <= 1


@pytest.mark.slow
def test_on_noise_hardly_any_shadow_is_promoted_however_often_it_is_tried(live, pool):
    assert promoted_on_noise(live, pool, 60, {}) <= 4


@pytest.mark.slow
def test_where_nothing_has_changed_no_shadow_is_worse_by_much(live, pool):
    fresh = pool(BEFORE, 10_000, seed=1)

    def earned(strategy):
        outcome = replay(strategy, fresh)
        return float((outcome.score - strategy.price * outcome.n_calls).mean())

    for r in range(10):
        episodes = log_replay(live, pool(BEFORE, 3000, seed=300 + r), Exploration(0.3, seed=r))
        shadow = learn(live, episodes, seed=r)
        if may_promote(shadow.estimate)[0]:
            assert earned(shadow.strategy) > earned(live) - 0.005


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4])
def test_shadows_of_other_logs_are_better_too(live, pool, utility, seed):
    episodes = log_replay(live, pool(AFTER, 5000, seed=20 + seed), Exploration(0.3, seed=seed))
    shadow = learn(live, episodes, seed=seed)
    assert utility(shadow.strategy) > utility(live) + 0.25


def test_a_seed_reproduces(live, pool):
    episodes = log_replay(live, pool(AFTER, 1000, seed=10), Exploration(0.5, seed=1))
    one, again = (learn(live, episodes, **SHORT) for _ in range(2))
    assert one.estimate == again.estimate
    assert same(one.strategy.decider_, again.strategy.decider_)


def test_learning_leaves_the_live_policy_and_the_global_generator_alone(live, pool):
    import torch

    episodes = log_replay(live, pool(AFTER, 1000, seed=10), Exploration(0.5, seed=1))
    weights = copy.deepcopy(live.decider_)
    state = torch.get_rng_state()
    table = pool(AFTER, 200, seed=11)
    before = replay(live, table)
    shadow = learn(live, episodes, **SHORT)
    assert same(live.decider_, weights)
    assert not same(shadow.strategy.decider_, weights)
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(before.asked, replay(live, table).asked)
    # Fusion is shared, so what is answered after the same calls is the same.
    assert shadow.strategy.fitted_pool_ is live.fitted_pool_
    # On disk it differs in the Decider, and in who acts at the prices that were learned at.
    mine, other = live.state(), shadow.strategy.state()
    assert mine.keys() == other.keys()
    moved = {key.partition(".")[0] for key in mine if not np.array_equal(mine[key], other[key])}
    assert "decider" in moved
    assert moved <= {"decider", "acting"}


def test_what_judges_never_teaches(live, pool):
    episodes = log_replay(live, pool(AFTER, 1000, seed=10), Exploration(0.5, seed=1))
    teach, judge = split(episodes, 0.5)
    assert len(teach) + len(judge) == 1000
    assert 400 < len(teach) < 600
    # However many come later, an episode stays on its side.
    early, _ = split(episodes[:300], 0.5)
    assert {e.key for e in early} == {e.key for e in teach} & {e.key for e in episodes[:300]}
    other = [e.judged(1 - e.score) for e in judge]
    one, two = (learn(live, teach + part, **SHORT) for part in (judge, other))
    assert same(one.strategy.decider_, two.strategy.decider_)


def test_where_a_rival_acted_the_shadow_acts_itself(live, pool):
    verdicts = tuple(v._replace(chosen="best-single") for v in live.fallback_.verdicts)
    fallback = live.fallback_._replace(verdicts=verdicts)
    ruled = RlFocal(live.config).assemble(live.fitted_pool_, live.decider_, fallback).at(0.1)
    episodes = log_replay(ruled, pool(AFTER, 1000, seed=10), Exploration(0.5, seed=1))
    shadow = learn(ruled, episodes, **SHORT).strategy
    assert shadow.acting.name == "learned"
    assert shadow.at(0.001).acting.name == "best-single"


def test_too_little_to_learn_from_is_said(live, pool):
    episodes = log_replay(live, pool(AFTER, 150, seed=10), Exploration(0.5, seed=1))
    with pytest.raises(NotApplicable, match="100 each are needed"):
        learn(live, episodes)
    free = log_replay(live.at(0), pool(AFTER, 400, seed=10), Exploration(0.5, seed=1))
    with pytest.raises(NotApplicable, match="had a price"):
        learn(live, free)
    parts = live.fitted_pool_, live.decider_, live.fallback_
    gathering = RlFocal(RlFocalConfig(max_rounds=2)).assemble(*parts)
    with pytest.raises(NotApplicable, match="gathers rounds"):
        learn(gathering, episodes)


def test_who_has_no_decider_does_not_learn(live, pool):
    episodes = log_replay(live, pool(AFTER, 400, seed=10), Exploration(0.5, seed=1))
    with pytest.raises(NotApplicable, match="weighted-vote does not learn from judged answers"):
        learn(WeightedVote(), episodes)


def test_both_policies_follow_a_memory_and_the_shadow_is_saved_without_it(live, pool):
    episodes = log_replay(live, pool(AFTER, 1000, seed=10), Exploration(0.5, seed=1))
    memory = Memory.of(pool(AFTER, 100, seed=2), 100)
    shadow = learn(live, episodes, **SHORT, memory=memory)
    _, judge = split(usable(episodes), 0.5)
    again = compare(shadow.strategy.follow(memory), live.follow(memory), judge)
    assert again == shadow.estimate
    plain = compare(shadow.strategy, live, judge)
    assert plain != shadow.estimate


def test_scores_between_right_and_wrong_are_learned_from(live, pool):
    episodes = log_replay(live, pool(AFTER, 1000, seed=10), Exploration(0.5, seed=1))
    graded = [dataclasses.replace(e, worth=e.worth * 0.7 + 0.1) for e in episodes]
    assert learn(live, graded, **SHORT).estimate.live.dr.value < 0.4
