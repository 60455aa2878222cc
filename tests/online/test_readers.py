"""Logged requests of pools whose members read one another: written, read back, replayed."""

from __future__ import annotations

import numpy as np
import pytest
from reading_pool import recorded, trained

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.trace import CallRecord
from rlfocal.online.episodes import Episode
from rlfocal.online.exploring import Exploration, Exploring, log_replay, may_explore
from rlfocal.online.replaying import Logged, compare_prices, replay_requests
from rlfocal.records import ResponseTable


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, ResponseTable]:
    checkpoint = load_checkpoint(trained(tmp_path_factory, "rl-focal"))
    table = checkpoint.table(recorded(tmp_path_factory))
    return checkpoint, table.take(table.split == "test")


@pytest.mark.slow
def test_episodes_keep_who_could_be_asked(served: tuple[Checkpoint, ResponseTable]) -> None:
    checkpoint, table = served
    assert table.reads is not None
    assert may_explore(checkpoint.strategy)
    for episode in log_replay(checkpoint.strategy, table, Exploration(epsilon=0.5, seed=3)):
        again = Episode.of_json(episode.as_json())
        assert again.states.ready is not None
        expected = table.reads.ready(episode.states.asked)
        np.testing.assert_array_equal(again.states.ready, expected)
        np.testing.assert_array_equal(episode.states.ready, expected)
        # Who wants a reader asks those whom it reads: the next state has them all.
        for k, wanted in enumerate(episode.wanted[:-1]):
            asked = episode.states.asked
            more = table.reads.expanded(wanted[None], asked[k][None])[0]
            np.testing.assert_array_equal(asked[k + 1], asked[k] | more)


@pytest.mark.slow
def test_requests_are_replayed_as_they_were_served(
    served: tuple[Checkpoint, ResponseTable],
) -> None:
    checkpoint, table = served
    exploring = Exploring(checkpoint.strategy, Exploration())
    outcome = replay(exploring, table)
    logged = []
    for row, episode in enumerate(exploring.episodes()):
        calls = {
            table.members[n]: CallRecord(table.members[n], cost=float(table.cost[row, n]))
            for n in np.flatnonzero(outcome.asked[row])
        }
        logged.append(Logged(episode, calls, table.members, False, None, table.reads))
    found = replay_requests(checkpoint.strategy, logged, own=True)
    np.testing.assert_array_equal(found.asked, outcome.asked)
    compared = compare_prices(checkpoint.strategy, logged)
    assert compared.n_as_served == len(logged)
    own = next(one for one in compared.prices if one.price == checkpoint.strategy.price)
    assert own.n == len(logged)
    assert own.n_calls == own.served_n_calls == pytest.approx(outcome.n_calls.mean())
