"""Strategies are neither credited nor debited for a record that does not exist."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from every_strategy import REFERENCES
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.deliberation.protocol import Outcome, Reference, unmet
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.registry import create, resolve
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Memory
from rlfocal.numbers import shrunk_mean
from rlfocal.records import CandidateKind, ResponseTable
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.single import expected_score, sound_accuracy, task_accuracy
from rlfocal.strategies.sizes import pool_sizes
from rlfocal.strategies.static import VoteAccuracy
from rlfocal.strategies.voting import rank_members

from .conftest import _make_table

QUICK = (*(n for n in resolve(["baselines"]) if n != "posterior-threshold"), "best-of")


def holes(table: ResponseTable, share: float, seed: int) -> ResponseTable:
    rng = np.random.default_rng(seed)
    return table.without(rng.random(table.answer.shape) < share)


def _outcome(name: str, train: ResponseTable, test: ResponseTable) -> Outcome | None:
    strategy = create(name)
    if unmet(strategy, train) is not None:
        return None
    fitted = strategy.fit(train, rng=np.random.default_rng(0))
    return fitted.outcome(test) if isinstance(fitted, Reference) else replay(fitted, test)


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("kind", [CandidateKind.OPTIONS, CandidateKind.ANSWERS])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_no_strategy_is_charged_or_measured_where_nothing_is_recorded(
    name: str, kind: CandidateKind, share: float
) -> None:
    train = holes(_make_table(kind, seed=1, n_queries=90, graded=True, replies=True), share, 2)
    test = holes(_make_table(kind, seed=3, graded=True, replies=True), share, 4)
    found = _outcome(name, train, test)
    if found is None:
        pytest.skip("not applicable")
    assert not (found.asked & ~test.recorded).any()
    called = found.asked.any(axis=1)
    assert (found.measured == called).all()
    assert ((found.n_calls > 0) == called).all()
    assert ((found.n_rounds > 0) == called).all()
    assert (found.cost[~called] == 0).all()
    if name == "oracle" or name not in REFERENCES:  # the others draw samples, a call each
        np.testing.assert_allclose(found.cost, (test.cost * found.asked).sum(axis=1), rtol=1e-6)
    assert (found.chosen[~called] == -1).all()


@given(
    gone=st.lists(st.booleans(), min_size=60, max_size=60),
    batch=st.integers(1, 12),
)
@settings(max_examples=30, deadline=None)
def test_replay_of_holes_is_that_of_a_loop(gone: list[bool], batch: int) -> None:
    whole = _make_table(n_queries=12, seed=5)
    table = whole.without(np.array(gone).reshape(12, 5))
    agreement = Agreement().fit(_make_table(seed=6), rng=np.random.default_rng(0))
    found = replay(agreement, table, batch_size=batch)
    for q in range(12):
        asked, called = np.zeros((1, 5), dtype=bool), set[int]()
        turns = 0
        while table.recorded[q].any():
            view = reveal(table, np.array([q]), asked, n_rounds=np.array([turns]))
            wanted = agreement.decide(view).ask & ~asked
            if not wanted.any():
                break
            asked, turns = asked | wanted, turns + 1
            called |= {int(n) for n in np.flatnonzero(wanted[0]) if table.recorded[q, n]}
        assert set(np.flatnonzero(found.asked[q])) == called
        assert found.n_calls[q] == len(called)
        assert found.measured[q] == bool(called)


def test_one_look_says_who_cannot_be_asked_and_a_complete_table_says_nothing() -> None:
    table = _make_table()
    rows, nobody = np.arange(4), np.zeros((4, 5), dtype=bool)
    assert reveal(table, rows, nobody).closed is None
    view = reveal(holes(table, 0.5, 0), rows, nobody)
    assert view.closed is not None
    assert (view.closed == ~holes(table, 0.5, 0).recorded[rows]).all()
    assert view.take(np.array([2])).closed is not None


def test_best_single_is_no_member_with_three_lucky_answers() -> None:
    table = _make_table(n_queries=200, seed=7)
    gone = np.zeros(table.answer.shape, dtype=bool)
    lucky = np.flatnonzero(table.member_score[:, 4] == 1)[:3]
    gone[:, 4] = True
    gone[lucky, 4] = False
    part = table.without(gone)
    assert part.member_accuracy[4] == 1
    assert rank_members(part)[0] != 4
    assert sound_accuracy(part)[4] < sound_accuracy(part)[:2].max()


def test_figures_to_rank_by_are_the_plain_ones_where_nothing_is_missing() -> None:
    table = _make_table()
    assert (sound_accuracy(table) == table.member_score.mean(axis=0, dtype=np.float64)).all()
    assert expected_score(table) is table.member_score


def test_a_missing_response_is_worth_what_was_to_be_expected() -> None:
    part = holes(_make_table(seed=8), 0.4, 9)
    expected, by_task = expected_score(part), task_accuracy(part)
    for q, n in itertools.product(range(20), range(5)):
        known = part.member_score[q, n] if part.recorded[q, n] else by_task[part.task[q], n]
        assert expected[q, n] == pytest.approx(known)


def test_task_accuracies_are_those_of_a_loop() -> None:
    part = holes(_make_table(seed=10), 0.5, 11)
    found, prior = task_accuracy(part, pseudo_counts=7.0), sound_accuracy(part)
    for t, n in itertools.product(range(2), range(5)):
        own = [
            float(part.member_score[q, n])
            for q in range(part.n_queries)
            if part.task[q] == t and part.recorded[q, n]
        ]
        assert found[t, n] == pytest.approx((sum(own) + 7 * prior[n]) / (len(own) + 7), rel=1e-5)


def test_votes_are_judged_where_somebody_of_the_ensemble_is_recorded() -> None:
    part = holes(_make_table(seed=12), 0.6, 13)
    order = rank_members(part)
    objective = VoteAccuracy(part, order)
    rank = {int(n): r for r, n in enumerate(order)}
    masks = np.array([m for m in itertools.product([False, True], repeat=5) if any(m)])
    for mask, found in zip(masks, objective(masks), strict=True):
        worth = []
        for q in range(part.n_queries):
            there = [n for n in range(5) if mask[n] and part.recorded[q, n]]
            if not there:
                continue
            votes: dict[int, tuple[int, int]] = {}
            for n in there:
                c = int(part.answer[q, n])
                if c >= 0:
                    count, best = votes.get(c, (0, 99))
                    votes[c] = (count + 1, min(best, rank[n]))
            chosen = max(votes, key=lambda c: (votes[c][0], -votes[c][1]), default=-1)
            worth.append(0.0 if chosen < 0 else float(part.candidate_score[q, chosen]))
        assert found == pytest.approx(np.mean(worth) if worth else 0, abs=1e-6)


def test_means_of_cells_are_over_what_is_known() -> None:
    values, cell = np.array([[1.0, 9.0], [0.5, 2.0]]), np.array([0, 0])
    prior, known = np.zeros((1, 2)), np.array([[True, False], [True, True]])
    found = shrunk_mean(values, cell, prior, pseudo_counts=1.0, known=known)
    assert found.tolist() == [[0.5, 1.0]]


def test_stopping_settings_are_judged_where_somebody_asked_is_recorded() -> None:
    part = holes(_make_table(seed=14, n_queries=80), 0.5, 15)
    agreement = Agreement().fit(part, rng=np.random.default_rng(0))
    grid = agreement.grid(part, pool_sizes(part.n_members))
    first = int(agreement.order_[0])
    assert grid.score[0, 0] == pytest.approx(part.member_accuracy[first])  # the cap 1 asks it alone


def test_a_memory_of_a_table_knows_what_is_recorded() -> None:
    part = holes(_make_table(seed=16), 0.5, 17)
    memory = Memory.of(part, 20)
    assert (memory.scored == part.scored[-20:]).all()
    assert memory.accuracy() == pytest.approx(
        [np.mean(part.member_score[-20:, n][part.scored[-20:, n]]) for n in range(5)]
    )
