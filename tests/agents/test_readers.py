"""Readers and the agents: who can be asked, what a reader is taken for, and what is kept of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.agents import drift
from rlfocal.agents.config import RlFocalConfig, Rounds
from rlfocal.agents.drift import find_drift
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.fusion.fitting import as_called
from rlfocal.agents.prior.reading import Readers, apart
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import check_state
from rlfocal.deliberation.view import Memory
from rlfocal.focal.posterior_threshold import PosteriorThreshold
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.paper.strategy import RlFocalPaper
from rlfocal.readers import Reads
from rlfocal.records import ResponseTable
from rlfocal.simulator import draw_answers, draw_pool, to_table
from rlfocal.simulator.known import KnownPool
from rlfocal.training.prior import pool_batches

JUDGE = KnownPool((0.7, 0.7, 0.7), (0, 1, 2), follows=0.85)
NONE = -1


def reads_of(direct: list[list[int]]) -> Reads:
    n = len(direct)
    names = tuple(f"m{k}" for k in range(n))
    return Reads.of_arrays(names, np.array(direct, dtype=bool))


LAST_READS_TWO = reads_of([[0, 0, 0], [0, 0, 0], [1, 1, 0]])


def simulated(seed: int, n_queries: int = 400, **kind: Any) -> ResponseTable:
    rng = np.random.default_rng(seed)
    return to_table(draw_answers(draw_pool(rng, readers=True, **kind), n_queries, rng=rng))


# What a reader is taken for -----------------------------------------------------------------------


def test_apart_and_different_by_hand() -> None:
    answer = np.array(
        [[0, 0, 0], [0, 0, 1], [0, 1, 1], [NONE, 2, 1], [NONE, NONE, 1], [0, 1, NONE]],
        dtype=np.int16,
    )
    found = apart(LAST_READS_TWO, answer)
    assert found.apart[:, 2].tolist() == [False, False, True, False, False, True]
    assert found.differs[:, 2].tolist()[:2] == [False, True]
    assert found.differs[3, 2]  # one of those it read failed, the other says 2
    assert not found.differs[4, 2]  # nothing to differ from
    assert not found.apart[:, :2].any()
    assert not found.differs[:, :2].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_apart_and_different_by_loops(seed: int, n_members: int) -> None:
    rng = np.random.default_rng(seed)
    direct = np.tril(rng.random((n_members, n_members)) < 0.5, -1)
    answer = rng.integers(-1, 3, size=(20, n_members)).astype(np.int16)
    reads = reads_of(direct.astype(int).tolist())
    found = apart(reads, answer)
    for q, said in enumerate(answer.tolist()):
        for n in range(n_members):
            shown = {said[m] for m in range(n_members) if direct[n, m] and said[m] >= 0}
            assert found.apart[q, n] == (len(shown) > 1)
            if len(shown) == 1:
                assert found.differs[q, n] == (said[n] >= 0 and said[n] not in shown)


def test_rates_by_hand_are_drawn_to_what_is_expected() -> None:
    """Four queries on which they are apart, three right; two on which it alone differs, none."""
    answer = np.array([[0, 1, 0]] * 4 + [[0, 0, 1]] * 2 + [[0, 0, 0]] * 3, dtype=np.int16)
    score = np.ones((9, 3), dtype=np.float32)
    score[3:6, 2] = 0
    found = Readers.of(LAST_READS_TWO, answer, score, np.ones(9, dtype=bool))
    assert found.known[:, 2].tolist() == [2, 4]
    assert found.right[:, 2].tolist() == [0, 3]
    shift = found.shift(np.zeros(3, dtype=np.float32))
    expected = [(0 + 6 / (1 + np.exp(1.5))) / 8, (3 + 6 / (1 + np.exp(0.5))) / 10]
    np.testing.assert_allclose(shift[:, 2], np.log(expected) - np.log1p(-np.array(expected)), 1e-5)
    assert (shift[:, :2] == 0).all()


def test_what_is_not_comparable_not_scored_or_not_asked_of_all_counts_nowhere() -> None:
    answer = np.array([[0, 1, 0]] * 3, dtype=np.int16)
    score = np.ones((3, 3), dtype=np.float32)
    score[0, 2] = np.nan  # not asked
    score[1, 0] = np.nan  # one of those it reads was not
    found = Readers.of(LAST_READS_TWO, answer, score, np.array([True, True, False]))
    assert not found.known.any()


def test_counts_add_up() -> None:
    table = simulated(3, n_members=6)
    assert table.reads is not None
    every = np.ones(table.n_queries, dtype=bool)

    def counted(rows: slice) -> Readers:
        assert table.reads is not None
        parts = table.answer[rows], table.member_score[rows], every[rows]
        return Readers.of(table.reads, *parts)

    both = counted(slice(0, 150)).plus(counted(slice(150, None)))
    whole = counted(slice(None))
    assert np.array_equal(both.known, whole.known)
    assert np.allclose(both.right, whole.right)
    assert np.array_equal(whole.times(0.5).known, whole.known / 2)


def test_a_good_judge_is_worth_more_where_those_it_reads_are_apart_than_a_bad_one() -> None:
    odds_of = {}
    for follows in (0.9, 0.4):
        pool = replace(JUDGE, follows=follows)
        table = pool.draw(300, rng=np.random.default_rng(0))
        fitted = RlFocalPrior().fit(table, rng=np.random.default_rng(0))
        view = reveal(table, np.arange(300), np.tile([True, True, True, False], (300, 1)))
        odds = fitted.queries(view).log_odds[0, :, -1]
        found = apart(table.reads, view.answer).apart[:, -1]
        assert len(set(odds[found].tolist())) == 1
        odds_of[follows] = odds[found][0]
        # Before all have been asked it is as good as on all queries.
        early = reveal(table, np.arange(300), np.tile([True, True, False, False], (300, 1)))
        usual = fitted.queries(early).log_odds[0, :, -1]
        np.testing.assert_allclose(usual, usual[0])
    assert odds_of[0.9] > 1.2 > 0 > odds_of[0.4]


def test_training_sees_readers_as_the_strategy_does() -> None:
    rng = np.random.default_rng(5)
    spec = draw_pool(rng, n_members=7, is_open=False, graded=False, readers=True)
    n_labels, n_queries, n_tasks = 120, 60, len(spec.task_share)
    pool = draw_answers(spec, n_labels + n_queries, rng=rng, n_graded=n_queries)
    part = pool_batches._part(pool, n_labels, n_labels, 0, n_queries, n_tasks)
    batch = pool_batches._stack([part], is_open=False)
    whole = to_table(
        pool._replace(support=np.eye(pool.exists.shape[1], dtype=np.float32)[pool.answer])
    )
    labels, rest = whole.take(np.arange(n_labels)), whole.take(np.arange(n_labels, 180))
    fitted = RlFocalPrior().fit(labels, rng=rng)
    mask = pool_batches.subsets(batch, torch.Generator().manual_seed(0))
    mask[0, :20] = True
    view = reveal(rest, np.arange(n_queries), mask[0].numpy())
    ready = batch.ready(mask)
    assert ready is not None
    assert np.array_equal(ready[0].numpy(), view.ready)
    shift = batch.reply_shift[0].numpy() * view.answered
    seen = batch.reveal(mask).log_odds[0].numpy() - shift
    same = np.abs(seen) < 4  # beyond that either is cut
    np.testing.assert_allclose(fitted.queries(view).log_odds[0][same], seen[same], atol=1e-4)


# Who can be asked ---------------------------------------------------------------------------------


class Watched:
    """A strategy that asserts, at each look, that it asks only members that can be asked."""

    name = "watched"

    def __init__(self, strategy: Any) -> None:
        self.strategy, self.n_asked = strategy, 0

    def decide(self, view: Any) -> Any:
        found = self.strategy.decide(view)
        assert not (found.ask & ~view.ready).any()
        self.n_asked += int(found.ask.sum())
        if found.chance is not None:
            assert np.allclose(found.chance[:, :-1][~view.ready], 0)
        return found


LITTLE = {"n_iterations": 2, "n_episodes": 64, "learn_from": 100}


@pytest.mark.parametrize("is_open", [pytest.param(True, marks=pytest.mark.slow), False])
def test_step_by_step_nobody_asks_a_reader_too_early(is_open: bool) -> None:
    table = simulated(1, n_members=6, is_open=is_open)
    train, test = table.take(np.arange(300)), table.take(np.arange(300, 400))
    for strategy in (
        RlFocalPrior(),
        PosteriorThreshold(),
        RlFocal(RlFocalConfig(**LITTLE)),
        RlFocal(RlFocalConfig(**LITTLE, round_price=0.02)),
    ):
        fitted = strategy.fit(train, rng=np.random.default_rng(0))
        if isinstance(fitted, RlFocal):
            fitted = fitted.alone()  # rivals may ask in rounds of their own
        for price in (0.002, 0.03):
            watched = Watched(fitted.at(price))
            replay(watched, test)
            assert watched.n_asked >= test.n_queries


def test_in_training_readers_wait_too_and_missing_records_do_not_bar_them() -> None:
    table = simulated(2, n_members=6, is_open=True)
    assert table.reads is not None
    rng = np.random.default_rng(0)
    recorded = rng.random(table.answer.shape) < 0.8
    missing = replace(
        table,
        recorded=recorded,
        answer=np.where(recorded, table.answer, np.int16(-1)),
        support=table.support * recorded[:, :, None],
        cost=table.cost * recorded,
    )
    fitted = RlFocal(RlFocalConfig(**LITTLE)).fit(missing, rng=rng)
    outcome = replay(fitted.alone().at(0.002), missing)
    gone = outcome.asked | ~recorded
    assert not (outcome.asked & ~table.reads.ready(gone)).any()
    # At first whoever reads only members without a record can be asked.
    view = reveal(missing, np.arange(table.n_queries), np.zeros_like(recorded))
    assert np.array_equal(view.ready, recorded.astype(int) @ table.reads.direct.T.astype(int) == 0)


def test_a_log_does_not_say_who_was_ready_and_the_fitted_pool_does() -> None:
    table = JUDGE.draw(200, rng=np.random.default_rng(0))
    fitted = RlFocal(RlFocalConfig(**LITTLE)).fit(table, rng=np.random.default_rng(0))
    view = reveal(table, np.arange(50), np.tile([True, False, False, False], (50, 1)))
    told = fitted.observe(view).observation.legal
    untold = fitted.observe(replace(view, ready=None)).observation.legal
    assert np.array_equal(told, untold)
    assert told[0].tolist() == [False, True, True, False, True]


def test_pending_members_make_no_reader_ready() -> None:
    table = JUDGE.draw(200, rng=np.random.default_rng(0))
    fitted = RlFocal(RlFocalConfig(**LITTLE, round_price=0.01))
    fitted = fitted.fit(table, rng=np.random.default_rng(0))
    view = reveal(table, np.arange(5), np.zeros((5, 4), dtype=bool))
    pending = np.tile([True, True, True, False], (5, 1))
    legal = fitted._learned.observe(view, pending=pending).observation.legal
    assert legal.tolist() == [[False, False, False, False, True]] * 5
    assert fitted._observer.rounds == Rounds(0.01, None)


def test_nothing_depends_on_members_that_were_not_asked() -> None:
    table = simulated(4, n_members=6, is_open=False)
    train, test = table.take(np.arange(300)), table.take(np.arange(300, 400))
    fitted = RlFocalPrior().fit(train, rng=np.random.default_rng(0)).at(0.01)
    rng = np.random.default_rng(1)
    asked = as_called(table.reads, rng.random(test.answer.shape) < 0.5)
    other = rng.integers(2, size=test.answer.shape).astype(np.int16)
    answer = np.where(asked, test.answer, other)
    support = np.eye(test.n_candidates, dtype=np.float32)[answer] * (answer >= 0)[:, :, None]
    support = np.where(asked[:, :, None], test.support, support)
    changed = replace(test, answer=answer, support=support)
    rows = np.arange(test.n_queries)
    for one, two in zip(
        fitted.decide(reveal(test, rows, asked)),
        fitted.decide(reveal(changed, rows, asked)),
        strict=True,
    ):
        assert np.array_equal(one, two)


def test_the_paper_counts_whom_its_members_read() -> None:
    table = JUDGE.draw(300, rng=np.random.default_rng(0))
    fitted = RlFocalPaper().fit(table, rng=np.random.default_rng(0))
    asked = replay(fitted, table).asked
    assert asked[asked[:, -1]].all()


# Masks that can occur -----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7))
def test_lessons_reveal_only_what_can_occur(seed: int, n_members: int) -> None:
    rng = np.random.default_rng(seed)
    direct = np.tril(rng.random((n_members, n_members)) < 0.4, -1)
    reads = reads_of(direct.astype(int).tolist())
    masks = rng.random((30, n_members)) < rng.random((30, 1))
    masks[np.arange(30), rng.integers(n_members, size=30)] = True
    found = as_called(reads, masks)
    assert found.any(axis=1).all()
    assert not (found & ~reads.ready(found)).any()
    plain = ~reads.direct.any(axis=1)
    grown = (found & ~masks).any(axis=1)
    assert not (masks[grown] & plain).any()
    assert np.array_equal(as_called(reads, found), found)


def test_subsets_of_training_reveal_only_what_can_occur() -> None:
    batch = pool_batches.draw_pool_batch(
        np.random.default_rng(0), n_pools=4, n_queries=40, n_members=9, n_labels=20, readers=True
    )
    for seed in range(5):
        masks = pool_batches.subsets(batch, torch.Generator().manual_seed(seed))
        ready = batch.ready(masks)
        assert ready is not None
        assert masks.any(2).all()
        assert not (masks & ~ready).any()


# What is kept -------------------------------------------------------------------------------------


def test_readers_come_back_from_their_arrays() -> None:
    table = simulated(6, n_members=5)
    fitted = RlFocalPrior().fit(table, rng=np.random.default_rng(0))
    state = fitted.state()
    assert {"readers.direct", "readers.first", "readers.known", "readers.right"} <= state.keys()
    axes = {"N": 5, "T": len(table.tasks) + 1}
    check_state(state, fitted.layout(list(state)), fitted.axes() | {"N": axes["N"]})
    back = RlFocalPrior().restore(state)
    one, two = replay(fitted.at(0.01), table), replay(back.at(0.01), table)
    assert np.array_equal(one.asked, two.asked)
    assert np.array_equal(one.confidence, two.confidence)
    plain = to_table(
        draw_answers(draw_pool(np.random.default_rng(0)), 50, rng=np.random.default_rng(0))
    )
    without = RlFocalPrior().fit(plain, rng=np.random.default_rng(0)).state()
    assert not [name for name in without if name.startswith("readers")]


def test_a_trained_policy_comes_back_with_its_readers() -> None:
    table = JUDGE.draw(200, rng=np.random.default_rng(0))
    for strategy in (RlFocal(RlFocalConfig(**LITTLE)), PosteriorThreshold()):
        fitted = strategy.fit(table, rng=np.random.default_rng(0))
        state = fitted.state()
        assert "prior.readers.known" in state
        check_state(state, fitted.layout(list(state)), fitted.axes() | {"N": 4, "T": 2})
        back = type(fitted)(fitted.config).restore(state)
        one, two = replay(fitted.at(0.01), table), replay(back.at(0.01), table)
        assert np.array_equal(one.asked, two.asked)
        assert np.array_equal(one.confidence, two.confidence)


def apart_odds(fitted: RlFocalPrior) -> float:
    """Log-odds of the last member where those it reads are apart."""
    known = fitted._pool_state
    assert known.reading is not None
    return float(known.statistics.log_odds[-1, -1] + known.reading[1, -1])


def test_recent_labels_count_for_readers_too() -> None:
    """A judge that was good and now is led astray."""
    before = JUDGE.draw(200, rng=np.random.default_rng(0))
    after = replace(JUDGE, follows=0.2).draw(200, rng=np.random.default_rng(1))
    fitted = RlFocalPrior().fit(before, rng=np.random.default_rng(0))
    followed = fitted.follow(Memory.of(after, 200))
    odds = [apart_odds(one) for one in (fitted, followed, fitted.follow(Memory.of(after, 0)))]
    assert odds[1] < odds[0] - 0.8
    assert odds[2] == odds[0]


def test_a_judge_asked_only_where_members_are_apart_has_not_become_worse() -> None:
    """It is right on about .6 of those, on .77 of all."""
    pool = replace(JUDGE, follows=0.65)
    fitted = FittedPool.fit(
        pool.draw(1500, rng=np.random.default_rng(0)), RlFocalConfig(), rng=np.random.default_rng(0)
    )

    def chance(follows: float) -> list[float]:
        served = replace(pool, follows=follows).draw(400, rng=np.random.default_rng(1))
        alike = ~apart(fitted.prior.whole.readers_.reads, served.answer).apart[:, -1]
        score = served.member_score.copy()
        score[alike, -1] = np.nan
        answer = np.where(np.isnan(score), np.int16(-1), served.answer)
        memory = Memory(served.task, answer, score)
        expected = drift._expected(fitted, memory)
        plain = fitted.statistics.task_accuracy[served.task]
        return [float(find_drift(score, one).chance[-1]) for one in (expected, plain)]

    kept, by_all_queries = chance(0.65)
    assert kept < 0.2
    assert by_all_queries > 0.5
    assert chance(0.25)[0] > 0.9


def test_without_labels_a_reader_is_taken_for_a_little_less() -> None:
    table = JUDGE.draw(20, rng=np.random.default_rng(0))
    fitted = RlFocalPrior().fit(table.take(np.arange(0)), rng=np.random.default_rng(0))
    shift = fitted._pool_state.reading
    np.testing.assert_allclose(shift[:, -1], [-1.5, -0.5], atol=1e-5)
