"""What a request leaves behind comes back from JSON exactly, and damaged JSON is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from telling import with_signal

from rlfocal.agents.config import RlFocalConfig
from rlfocal.errors import RecordError
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.online.decisions import batch
from rlfocal.online.episodes import Episode
from rlfocal.online.exploring import Exploration, log_replay
from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records import ResponseTable

EXPLORING = Exploration(epsilon=0.7, seed=3)


def with_graded_supports(table: ResponseTable, *, is_open: bool) -> ResponseTable:
    """The table with supports that are no round numbers, and texts as features."""
    rng = np.random.default_rng(5)
    support = table.support + rng.random(table.support.shape, dtype=np.float32) / 3
    kind = np.full_like(table.kind, 1) if is_open else table.kind
    return dataclasses.replace(
        table, support=support / support.sum(axis=2, keepdims=True), kind=kind
    )


def same(one: Episode, other: Episode) -> bool:
    pairs = [
        (getattr(one, f.name), getattr(other, f.name))
        for f in dataclasses.fields(Episode)
        if f.name != "states"
    ] + [
        (getattr(one.states, f.name), getattr(other.states, f.name))
        for f in dataclasses.fields(one.states)
        if f.name not in ("position", "budget", "closed", "replies")
    ]
    return all(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f") for a, b in pairs)


def with_features(episode: Episode, features: np.ndarray) -> Episode:
    rows = np.tile(features, (len(episode.states), 1))
    return dataclasses.replace(episode, states=dataclasses.replace(episode.states, features=rows))


@pytest.fixture(params=["options", "open"])
def episodes(request, live, pool):
    table = pool((0.3, 0.7, 0.65, 0.6), 200, seed=4)
    table = with_graded_supports(table, is_open=request.param == "open")
    return log_replay(live, table, EXPLORING)


def test_an_episode_comes_back_from_json_exactly(episodes):
    for episode in episodes:
        assert same(Episode.of_json(json.loads(json.dumps(episode.as_json()))), episode)


def test_the_policy_decides_the_same_on_states_that_came_back(live, episodes):
    back = [Episode.of_json(json.loads(json.dumps(e.as_json()))) for e in episodes]
    for found, own in zip(
        live.decide(batch(back).view), live.decide(batch(episodes).view), strict=True
    ):
        assert np.array_equal(found, own)


def test_features_come_back_and_are_small(live, episodes):
    features = np.zeros(256, dtype=np.float32)
    features[[3, 100]] = 1 / 3, -0.7
    told = with_features(episodes[0], features)
    assert (Episode.of_json(told.as_json()).states.features == features).all()
    assert len(told.as_json()["features"]) < 80


def test_a_plain_episode_takes_less_than_500_bytes(live, pool):
    found = log_replay(live, pool((0.3, 0.7, 0.65, 0.6), 200, seed=4), EXPLORING)
    assert np.mean([len(json.dumps(episode.as_json())) for episode in found]) < 500


def test_another_version_is_refused(episodes):
    values = episodes[0].as_json() | {"version": 99}
    with pytest.raises(RecordError, match="version 99"):
        Episode.of_json(values)
    with pytest.raises(RecordError, match="version None"):
        Episode.of_json({})


@pytest.mark.parametrize(
    "damage",
    [
        {"shape": [4]},
        {"states": []},
        {"states": None},
        {"decisions": [[[0], 0.0]]},
        {"decisions": [[[99], 0.5]]},
        {"decisions": []},
        {"features": "%%%"},
        {"features": "AAAA"},
        {"chosen": 50},
        {"unit_cost": 0},
        {"worth": [1]},
        {"price": "dear"},
    ],
)
def test_damaged_json_is_refused(episodes, damage):
    with pytest.raises(RecordError, match="damaged"):
        Episode.of_json(episodes[0].as_json() | damage)


def test_feedback_is_what_the_answer_was_worth(live, pool):
    episode = log_replay(live, pool((0.3, 0.7, 0.65, 0.6), 1, seed=4), EXPLORING)[0]
    blank = dataclasses.replace(episode, worth=np.full(4, np.nan))
    assert blank.score is None
    judged = blank.judged(0.25)
    assert judged.score == 0.25
    assert np.isnan(judged.worth).sum() == 3
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        blank.judged(1.5)
    silent = dataclasses.replace(blank, chosen=-1)
    assert silent.score == 0


def test_scores_of_members_say_what_candidates_are_worth(live, pool):
    found = log_replay(live, pool((0.3, 0.7, 0.65, 0.6), 200, seed=4), EXPLORING)
    several = next(e for e in found if len(set(e.states.answer[-1]) - {-1}) > 1)
    answer = several.states.answer[-1]
    blank = dataclasses.replace(several, worth=np.full(4, np.nan))
    scores = [None if a < 0 else float(a == several.chosen) for a in answer]
    worth = blank.judged(1.0, scores).worth
    assert all(worth[a] == (a == several.chosen) for a in answer if a >= 0)


def test_a_batch_holds_every_decision_and_what_it_cost(live, pool):
    table = pool((0.3, 0.7, 0.65, 0.6), 300, seed=4)
    found = log_replay(live, table, EXPLORING)
    log = batch(found)
    assert len(log) == 300
    assert len(log.episode) == sum(len(e.wanted) for e in found)
    n_calls = log.end.asked.sum(axis=1)
    assert np.allclose(np.bincount(log.episode, log.charge), live.price * n_calls)
    assert np.allclose(log.reward_of(log.score), log.score - live.price * n_calls)
    right = table.candidate_score[np.arange(300), log.chosen]
    assert np.array_equal(log.score, right)
    assert log.last.sum() == 300


def test_episodes_of_other_pools_do_not_mix(live, pool):
    one = log_replay(live, pool((0.3, 0.7, 0.65, 0.6), 1, seed=4), EXPLORING)[0]
    other = with_features(one, np.zeros(3, dtype=np.float32))
    with pytest.raises(ValueError, match="different pools"):
        batch([one, other])
    with pytest.raises(ValueError, match="no episode"):
        batch([])


def test_of_replies_an_episode_keeps_how_they_were_judged(pool):
    """So a policy that reads them decides on what came back as it did, without any text."""
    train, table = (with_signal(pool((0.9, 0.7, 0.65, 0.6), 400, seed=s), 2.0) for s in (5, 6))
    config = RlFocalConfig(learn_from=10**6, default_price=0.01)
    reading = RlFocal(config).fit(train, rng=np.random.default_rng(0))
    assert reading.reads_replies
    for episode in log_replay(reading, table.take(np.arange(60)), EXPLORING):
        back = Episode.of_json(json.loads(json.dumps(episode.as_json())))
        row = int(episode.key)
        seen = reading.fitted_pool_.reply_score.log_odds(table.replies[np.array([row])])[0]
        asked = back.states.asked[-1]
        np.testing.assert_array_equal(back.states.replies.judged[-1][asked], seen[asked])
        assert not back.states.replies.present[~back.states.asked].any()
        there, here = (reading.log_policy(e.states)[0] for e in (episode, back))
        np.testing.assert_array_equal(there, here)


def test_only_what_was_done_as_decided_is_carried_out(episodes):
    assert all(episode.is_carried_out() for episode in episodes)
    one = next(e for e in episodes if len(e.states) > 2 and not e.wanted[-1].any())
    other = one.wanted.copy()
    other[0] = np.roll(other[0], 1)
    replaced = dataclasses.replace(one, wanted=other)  # another was asked in its place
    more = one.wanted.copy()
    more[-1] = ~one.states.asked[-1]
    cut = dataclasses.replace(one, wanted=more)  # nobody was asked at the end, for want of money
    both = one.wanted.copy()
    both[0] = True
    dropped = dataclasses.replace(one, wanted=both)  # too dear together
    stopped = one.wanted.copy()
    stopped[0] = False
    gone_on = dataclasses.replace(one, wanted=stopped)
    for changed in (replaced, cut, dropped, gone_on):
        assert not changed.is_carried_out()


def test_whom_a_reader_reads_is_asked_with_it(episodes):
    reads = Reads(("a", "b", "c", "d"), {"d": ReaderInfo(reads=["a", "b"])})
    one = episodes[0]
    states = one.states.take(np.zeros(2, dtype=np.int64))
    asked = np.array([[False] * 4, [True, True, False, True]])
    wanted = np.array([[False, False, False, True], [False] * 4])
    states = dataclasses.replace(states, asked=asked)
    one = dataclasses.replace(one, states=states, wanted=wanted, propensity=np.ones(2))
    assert one.is_carried_out(reads)
    assert not one.is_carried_out()
