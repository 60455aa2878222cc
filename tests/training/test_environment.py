"""Rounds in the environment: what a choice costs, when answers appear, and when it is over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig, Rounds
from rlfocal.records import PoolModel, build_table, simulate
from rlfocal.simulator.known import KnownPool
from rlfocal.training.environment import PoolEnv

N, Q = 3, 40
ENOUGH = N
NO_ANSWER = np.full(Q, -1)


@pytest.fixture(scope="module")
def table():
    model = PoolModel(accuracy=[[0.9, 0.6, 0.4]], cost_usd=[2.0, 1.0, 1.0])
    return build_table(simulate(model, Q, rng=np.random.default_rng(0)), encode=None)


def start(table, rounds):
    env = PoolEnv(table, unit_cost=1.0, rounds=rounds)
    env.reset(np.arange(Q), np.full(Q, 0.1, dtype=np.float32))
    return env


def decide(env, decision, answer=NO_ANSWER):
    return env.step(np.full(Q, decision), answer)


def test_settings_say_whether_choices_are_gathered():
    assert RlFocalConfig().rounds is None
    assert RlFocalConfig(max_rounds=2).rounds == Rounds(0.0, 2)
    assert RlFocalConfig(round_price=0.02).rounds == Rounds(0.02, None)


def test_a_round_is_paid_once_and_reveals_everybody_together(table):
    env = start(table, Rounds(0.5))
    for member, charge in ((0, 0.5 + 0.2), (2, 0.1)):
        step = decide(env, member)
        np.testing.assert_allclose(step.reward, -charge, rtol=1e-6)
        assert not env.view().asked.any()
        assert not env.ends().any()
    sent = decide(env, ENOUGH)
    assert (sent.reward == 0).all()
    assert not sent.terminated.any()
    view = env.view()
    assert (view.asked == [True, False, True]).all()
    assert (view.n_rounds == 1).all()
    assert not env.pending.any()
    assert env.ends().all()
    np.testing.assert_allclose(decide(env, 1).reward, -0.6, rtol=1e-6)  # opens the next round
    decide(env, ENOUGH)
    answer = table.answer[:, 1].astype(np.int64)
    stop = decide(env, ENOUGH, answer)
    np.testing.assert_array_equal(stop.reward, table.member_score[:, 1])
    assert stop.terminated.all()
    assert (env.n_rounds == 2).all()


def test_the_last_round_ends_the_episode_with_what_it_brings(table):
    env = start(table, Rounds(0.0, 1))
    assert env.ends().all()
    np.testing.assert_allclose(decide(env, 1).reward, -0.1, rtol=1e-6)
    assert env.ends().all()
    last = env.last_view(np.array([3, 5]))
    assert last.position.tolist() == [3, 5]
    assert (last.asked == [False, True, False]).all()
    assert not env.view().asked.any()
    answer = table.answer[:, 1].astype(np.int64)
    np.testing.assert_array_equal(env.stopping_earns(answer), table.member_score[:, 1])
    done = decide(env, ENOUGH, answer)
    np.testing.assert_array_equal(done.reward, table.member_score[:, 1])
    assert done.terminated.all()
    assert (env.n_rounds == 1).all()
    assert (env.asked == [False, True, False]).all()


def test_before_the_last_round_enough_goes_on(table):
    env = start(table, Rounds(0.0, 2))
    decide(env, 0)
    assert not env.ends().any()
    assert not decide(env, ENOUGH).terminated.any()
    assert env.ends().all()
    decide(env, 1)
    assert decide(env, ENOUGH).terminated.all()
    assert (env.n_rounds == 2).all()


def test_choosing_again_costs_again_and_reveals_nothing_new(table):
    env = start(table, Rounds(0.5))
    decide(env, 0)
    np.testing.assert_allclose(decide(env, 0).reward, -0.2, rtol=1e-6)
    decide(env, ENOUGH)
    before = env.view().asked.copy()
    np.testing.assert_allclose(decide(env, 0).reward, -0.7, rtol=1e-6)
    decide(env, ENOUGH)
    np.testing.assert_array_equal(env.view().asked, before)


def test_enough_before_any_choice_stops_and_earns_nothing(table):
    for rounds in (None, Rounds(0.5), Rounds(0.0, 1)):
        step = decide(start(table, rounds), ENOUGH, np.zeros(Q, dtype=np.int64))
        assert (step.reward == 0).all()
        assert step.terminated.all()


def test_without_rounds_every_choice_is_sent_at_once(table):
    env = start(table, None)
    np.testing.assert_allclose(decide(env, 0).reward, -0.2, rtol=1e-6)
    assert (env.view().asked == [True, False, False]).all()
    assert (env.n_rounds == 1).all()
    assert not env.pending.any()
    assert env.ends().all()


def test_where_the_task_is_not_told_it_is_unknown_throughout_and_in_copies(table):
    env, untold = PoolEnv(table, unit_cost=1.0), np.arange(Q) % 3 == 0
    view = env.reset(np.arange(Q), np.full(Q, 0.1, dtype=np.float32), untold)
    expected = np.where(untold, len(table.tasks), table.task)
    np.testing.assert_array_equal(view.task, expected)
    decide(env, 1)
    copies = env.fork(np.array([0, 1, 3]))
    np.testing.assert_array_equal(env.view().task, np.append(expected, expected[[0, 1, 3]]))
    np.testing.assert_array_equal(env.last_view(copies).task, expected[[0, 1, 3]])
    told = env.reset(np.arange(Q), np.full(Q, 0.1, dtype=np.float32))
    np.testing.assert_array_equal(told.task, table.task)


# Readers ------------------------------------------------------------------------------------------


def reading(n_queries=Q):
    pool = KnownPool((0.7, 0.7), (0, 1), follows=0.9, n_options=2)
    return pool.draw(n_queries, rng=np.random.default_rng(0))


def test_a_reader_can_be_chosen_once_those_it_reads_have_been_asked():
    env = start(reading(), None)
    with pytest.raises(ValueError, match="'reader' reads member-1, member-2, not asked yet in"):
        decide(env, 2)
    decide(env, 0)
    with pytest.raises(ValueError, match="'reader' reads member-2, not asked yet in episode 0"):
        decide(env, 2)
    decide(env, 1)
    assert env.view().ready.all()
    np.testing.assert_allclose(decide(env, 2).reward, -0.1, rtol=1e-6)
    assert env.view().asked.all()


def test_pending_members_make_no_reader_ready():
    env = start(reading(), Rounds(0.5))
    decide(env, 0)
    decide(env, 1)
    with pytest.raises(ValueError, match="a reader may be chosen where the view says"):
        decide(env, 2)
    decide(env, ENOUGH)
    np.testing.assert_allclose(decide(env, 2).reward, -0.6, rtol=1e-6)
    decide(env, ENOUGH)
    assert (env.view().n_rounds == 2).all()


def test_who_has_no_record_is_not_waited_for():
    table = reading()
    recorded = np.ones(table.answer.shape, dtype=bool)
    recorded[:, 1] = False
    gone = replace(
        table,
        recorded=recorded,
        answer=np.where(recorded, table.answer, np.int16(-1)),
        support=table.support * recorded[:, :, None],
        cost=table.cost * recorded,
    )
    env = start(gone, None)
    decide(env, 0)
    assert env.view().ready.all()
    decide(env, 2)
    assert (env.view().asked == [True, False, True]).all()
