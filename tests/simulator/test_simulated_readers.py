"""Readers of simulated pools: what they say depends on what they were shown, as drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.agents.prior.reading import apart
from rlfocal.deliberation.replay import replay
from rlfocal.readers import Reads
from rlfocal.simulator import draw_answers, draw_pool, to_table
from rlfocal.simulator.readers import ReaderSpec, after_reading, draw_readers
from rlfocal.strategies.agreement import Agreement

Q = 4000


def spec_of(direct, *, first=None, follows=0.8, leans=0.0, conforms=1.0, strays=1.0, guesses=0.0):
    n = len(direct)
    owns = np.full(n, -1) if first is None else np.array(first)
    reads = Reads.of_arrays([f"m{k}" for k in range(n)], np.array(direct, dtype=bool), owns)
    each = (np.full(n, value) for value in (follows, leans, conforms, strays, guesses))
    return ReaderSpec(reads, *each)


def read(spec, own, usable=None):
    slot = np.tile(own, (Q, 1))
    given = np.ones(slot.shape, dtype=bool) if usable is None else np.tile(usable, (Q, 1))
    return after_reading(spec, slot, given, np.random.default_rng(0))


JUDGE = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0]]


def test_rates_come_out_as_set():
    """Shown 0 (right), 1 and 1: it follows in 4 of 5, and else says 1, never its own 7."""
    said, usable = read(spec_of(JUDGE), [0, 1, 1, 7])
    assert usable.all()
    assert (said[:, :3] == [0, 1, 1]).all()
    assert set(said[:, 3].tolist()) == {0, 1}
    assert np.mean(said[:, 3] == 0) == pytest.approx(0.8, abs=0.03)
    wary = spec_of(JUDGE, conforms=0.9, strays=0.25)
    assert np.mean(read(wary, [2, 2, 2, 7])[0][:, 3] == 2) == pytest.approx(0.9, abs=0.03)
    astray = read(wary, [1, 2, 3, 7])[0][:, 3]
    assert np.mean(astray == 7) == pytest.approx(0.75, abs=0.03)
    for slot in (1, 2, 3):
        assert np.mean(astray == slot) == pytest.approx(0.25 / 3, abs=0.02)
    guesser = spec_of(JUDGE, guesses=1.0)
    assert np.mean(read(guesser, [0, 1, 2, 7])[0][:, 3] == 0) == pytest.approx(1 / 3, abs=0.03)


def test_more_right_answers_are_followed_more_often():
    leaning = spec_of(JUDGE, follows=0.5, leans=3.0)
    few, many = (np.mean(read(leaning, own)[0][:, 3] == 0) for own in ([0, 1, 1, 7], [0, 0, 1, 7]))
    assert few == pytest.approx(1 / (1 + np.e), abs=0.03)
    assert many == pytest.approx(1 - 1 / (1 + np.e), abs=0.03)


def test_its_own_answer_is_that_of_its_first_turn_and_nothing_shown_leaves_it():
    turn = spec_of([[0, 0, 0], [0, 0, 0], [1, 1, 0]], first=[-1, -1, 0], strays=0.0)
    said, _ = read(turn, [4, 5, 6])
    assert (said[:, 2] == 4).all()
    said, usable = read(turn, [4, 5, 6], usable=[True, False, False])
    assert (said[:, 2] == 4).all()  # alike: there is one
    assert usable[:, 2].sum() == 0  # it failed itself
    alone = spec_of(JUDGE)
    said, usable = read(alone, [1, 2, 3, 7], usable=[False, False, False, True])
    assert (said[:, 3] == 7).all()
    assert usable[:, 3].all()


def test_readers_of_readers_come_after_them():
    chain = spec_of([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    said, _ = read(chain, [5, 6, 3])
    assert (said == 3).all()


@pytest.mark.parametrize("is_open", [True, False])
def test_a_pool_with_readers_is_the_same_pool_but_for_them(is_open):
    plain, reading = (
        draw_pool(np.random.default_rng(3), n_members=7, is_open=is_open, readers=readers)
        for readers in (False, True)
    )
    readers = reading.readers.reads.direct.any(axis=1)
    assert 1 <= readers.sum() <= 2
    assert plain.readers is None
    assert np.array_equal(plain.accuracy, reading.accuracy)
    before, after = (
        draw_answers(spec, 200, rng=np.random.default_rng(4)) for spec in (plain, reading)
    )
    assert before.reads is None
    assert np.array_equal(before.member_score[:, ~readers], after.member_score[:, ~readers])
    assert not np.array_equal(before.member_score, after.member_score)
    table = to_table(after)
    assert table.reads is after.reads
    fitted = Agreement().fit(table, rng=np.random.default_rng(0))
    outcome = replay(fitted, table)
    waits = (~outcome.asked).astype(int) @ table.reads.direct.T.astype(int)
    assert (waits[outcome.asked] == 0).all()


@pytest.mark.parametrize("graded", [True, False])
def test_every_pool_with_readers_is_a_consistent_table(graded):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        spec = draw_pool(rng, graded=graded, readers=True)
        table = to_table(draw_answers(spec, 60, rng=rng))
        assert (table.reads is None) == (spec.n_members < 3)


def test_a_judge_says_what_it_was_shown():
    rng = np.random.default_rng(1)
    for _ in range(20):
        spec = draw_pool(rng, n_members=6, is_open=False, readers=True)
        spec = replace(spec, abstain=np.zeros(6))
        pool = draw_answers(spec, 100, rng=rng)
        reads = spec.readers.reads
        for n in np.flatnonzero(np.array(reads.forms) == "judge"):
            shown = pool.answer[:, reads.direct[n]]
            assert (shown == pool.answer[:, n : n + 1]).any(axis=1).all()
            alike = ~apart(reads, pool.answer).apart[:, n]
            assert (pool.answer[alike, n] == shown[alike, 0]).all()


def test_two_members_have_no_reader():
    assert draw_readers(np.random.default_rng(0), 2) is None
