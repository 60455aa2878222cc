"""The exploring policy does what it says, with the probability that it says."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.trace import Deliberation
from rlfocal.deliberation.view import Memory
from rlfocal.errors import ConfigError
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.live.state import QueryState, Reply
from rlfocal.online.exploring import Exploration, Exploring, log_replay, may_explore
from rlfocal.records import Calibration
from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.strategies.voting import WeightedVote

AFTER = (0.3, 0.7, 0.65, 0.6)


def path_of(episode):
    return tuple(tuple(np.flatnonzero(wanted)) for wanted in episode.wanted)


def test_without_exploring_it_is_the_policy_it_wraps(live, pool):
    table = pool(AFTER, 300, seed=1)
    exploring = Exploring(live, Exploration())
    own, served = replay(live, table), replay(exploring, table)
    assert np.array_equal(own.asked, served.asked)
    assert np.array_equal(own.chosen, served.chosen)
    assert np.array_equal(own.confidence, served.confidence)
    assert np.array_equal(exploring.ranking, live.ranking)
    assert exploring.acting == live.acting
    assert exploring.spec == live.spec
    assert all((e.propensity == 1).all() for e in log_replay(live, table, Exploration()))


@pytest.mark.slow
@pytest.mark.parametrize("acting", ["learned", "best-single", "posterior-threshold"])
def test_every_path_is_taken_as_often_as_its_propensities_say(live, pool, acting):
    """One query again and again: only the coins differ."""
    n = 6000
    one = pool(AFTER, 1, seed=3).take(np.zeros(n, dtype=np.int64))
    policy = acted_by(live, acting).at(0.03)
    found = log_replay(policy, one, Exploration(epsilon=0.6, temperature=3, seed=11))
    count = Counter(map(path_of, found))
    chance = {path_of(e): float(np.prod(e.propensity)) for e in found}
    assert len(count) > 10
    assert sum(chance.values()) <= 1 + 1e-9
    for path, p in chance.items():
        assert abs(count[path] - n * p) <= 4.5 * np.sqrt(n * p * (1 - p)) + 1e-9


def acted_by(live: RlFocal, name: str) -> RlFocal:
    verdicts = tuple(verdict._replace(chosen=name) for verdict in live.fallback_.verdicts)
    fallback = live.fallback_._replace(verdicts=verdicts)
    return RlFocal(live.config).assemble(live.fitted_pool_, live.decider_, fallback)


@pytest.mark.slow
def test_propensities_of_all_paths_of_a_query_add_up_to_one(live, pool):
    one = pool(AFTER, 1, seed=3).take(np.zeros(4_000, dtype=np.int64))
    found = log_replay(live.at(0.1), one, Exploration(epsilon=1.0, keep=0, even=1, seed=1))
    paths = {path_of(e): float(np.prod(e.propensity)) for e in found}
    # First anybody; then enough or not evenly, then anybody of those left: 4 (1 + 3 (1 + 2 * 2)).
    assert len(paths) == 4 + 4 * 3 + 4 * 3 * 2 + 4 * 3 * 2
    assert sum(paths.values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_share_that_explores_is_epsilon(live, pool):
    table = pool(AFTER, 4000, seed=1)
    found = log_replay(live, table, Exploration(epsilon=0.25, keep=0, even=1, seed=2))
    # Where all that explore draw evenly, one in four asks whom the policy would ask first.
    first = replay(live, table).asked
    departs = [not np.array_equal(e.wanted[0], own) for e, own in zip(found, first, strict=True)]
    assert abs(np.mean(departs) - 0.25 * 0.75) < 4 * np.sqrt(0.19 * 0.81 / 4000)


def test_a_seed_reproduces_and_another_does_not(live, pool):
    table = pool(AFTER, 400, seed=1)
    one, again, other = (
        [path_of(e) for e in log_replay(live, table, Exploration(epsilon=0.5, seed=s))]
        for s in (1, 1, 2)
    )
    assert one == again
    assert one != other
    requests = [Exploration(epsilon=0.5).of_request(key).seed for key in ("a", "b", "a")]
    assert requests[0] == requests[2] != requests[1]


def test_trying_out_a_view_changes_nothing(live, pool):
    table = pool(AFTER, 200, seed=1)

    class Trying(Exploring):
        """Asks itself, before it is shown a view, what it would do if others had answered."""

        def decide(self, view):
            supposed = dataclasses.replace(view, answer=np.where(view.answered, 0, view.answer))
            for later in (0, 1):
                super().decide(dataclasses.replace(supposed, n_rounds=supposed.n_rounds + later))
            return super().decide(view)

    logs = []
    for kind in (Exploring, Trying):
        policy = kind(live, Exploration(epsilon=0.8, seed=4))
        replay(policy, table)
        logs.append([episode.as_json() for episode in policy.episodes()])
    assert logs[0] == logs[1]


def test_a_live_board_leaves_the_same_episode_as_a_replay(live, pool):
    """The same query, answered through a `Deliberation`, as a gateway does it."""
    table = pool(AFTER, 30, seed=1)
    exploration = Exploration(epsilon=0.9, seed=8)
    replay(policy := Exploring(live, exploration), table)
    for row, expected in enumerate(policy.episodes()):
        served = Exploring(live, exploration)
        talk = Deliberation(served, table.members, "call")
        state = QueryState(
            4, Calibration.fit(table),
            task=0, features=np.zeros(0, dtype=np.float32), n_options=4, position=row,
        )  # fmt: skip
        wanted = talk.first(state.view())
        while wanted.any():
            for n in np.flatnonzero(wanted).tolist():
                state.put(n, Reply((OPTION_LETTERS[table.answer[row, n]],), cost=1.0))
            state.n_rounds += 1
            wanted = talk.record_round(state.view(), (), state.candidates)
        found = served.episode(key=str(row))
        # That nobody is left to ask is no decision.
        assert len(found.wanted) == talk.n_rounds + (not state.asked.all())
        assert np.array_equal(found.wanted, expected.wanted)
        assert found.propensity == pytest.approx(expected.propensity)
        assert found.chosen == expected.chosen
        assert talk.trace.answer == OPTION_LETTERS[found.chosen]


def test_at_another_price_it_starts_anew(live, pool):
    exploring = Exploring(live, Exploration(epsilon=0.5))
    replay(exploring, pool(AFTER, 5, seed=1))
    other = exploring.at(0.02)
    assert (other.price, exploring.price) == (0.02, live.price)
    assert other.episodes() == []
    with pytest.raises(ValueError, match="nothing was decided"):
        other.episode()


def test_policies_that_gather_rounds_cannot_explore(live):
    gathering = RlFocal(RlFocalConfig(round_price=0.01))
    with pytest.raises(ConfigError, match="epsilon = 0"):
        Exploring(gathering, Exploration(epsilon=0.1))


def test_only_who_tells_its_chances_may_explore(live):
    assert may_explore(live)
    assert not may_explore(RlFocal(RlFocalConfig(max_rounds=2)))
    assert not may_explore(WeightedVote())
    with pytest.raises(ConfigError, match="weighted-vote as it is set cannot explore"):
        Exploring(WeightedVote(), Exploration(epsilon=0.1))


def test_what_follows_a_memory_or_goes_on_alone_notes_in_the_same_place(live, pool):
    table = pool(AFTER, 5, seed=1)
    exploring = Exploring(live, Exploration(epsilon=0.5))
    followed = exploring.follow(Memory.of(pool(AFTER, 100, seed=2), 100))
    assert isinstance(followed.within, RlFocal)
    replay(followed.alone(), table)
    assert len(exploring.episodes()) == 5
    own = log_replay(followed.within, table, Exploration(epsilon=0.5))
    assert [e.wanted.tolist() for e in own] == [e.wanted.tolist() for e in exploring.episodes()]


@pytest.mark.parametrize(
    "wrong", [{"epsilon": 1.1}, {"keep": 1.0}, {"even": -0.1}, {"temperature": 0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        Exploration(**wrong)
