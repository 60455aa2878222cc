"""Replay: what is revealed, counted and refused, on a table of four queries worked by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.recorded import candidates_of, reveal, worth_of
from rlfocal.deliberation.replay import best_answer, decided, replay
from rlfocal.deliberation.view import Decision, Memory
from rlfocal.records import CandidateKind, Dataset, ResponseTable, build_table

# Two options each. Member 0 is right on q0 q1, member 1 on q1 q2 and silent on q3, member 2 on q3.
ANSWER = np.array([[0, 1, 1], [1, 1, 0], [0, 1, 0], [0, -1, 1]], dtype=np.int16)
LABEL = np.array([0, 1, 1, 1])
COST = np.array([[1, 2, 4], [1, 2, 4], [1, 2, 4], [1, 2, 8]], dtype=np.float32)
LATENCY_S = np.array([[1, 5, 3], [1, 5, 3], [1, 5, 3], [1, 5, np.nan]], dtype=np.float32)


def _table(kind: CandidateKind = CandidateKind.OPTIONS) -> ResponseTable:
    support = (ANSWER[:, :, None] == np.arange(2)).astype(np.float32)
    names = np.empty(4, dtype=object)
    names[:] = [("A", "B")] * 4
    return ResponseTable(
        name="by hand",
        members=("a", "b", "c"),
        tasks=("t",),
        query_ids=np.array(["q0", "q1", "q2", "q3"]),
        task=np.zeros(4, dtype=np.int64),
        group=np.arange(4),
        split=np.full(4, ""),
        features=np.zeros((4, 0), dtype=np.float32),
        candidates=names,
        kind=np.full(4, kind, dtype=np.int8),
        exists=np.ones((4, 2), dtype=bool),
        candidate_score=(LABEL[:, None] == np.arange(2)).astype(np.float32),
        answer=ANSWER.copy(),
        support=support,
        cost=COST.copy(),
        cost_unit="usd",
        latency_s=LATENCY_S.copy(),
    )


class Scripted(Base):
    """Asks script[q][round] and answers with the mean support; `seen` keeps the views.

    `wanted` and `given`, where they are set, take the place of what it would ask and answer.
    """

    name = "scripted"
    wanted = given = None

    def __init__(self, script: list[list[list[int]]]) -> None:
        self.script = script
        self.seen: list = []

    def fit(self, table, *, rng):
        return self

    def decide(self, view):
        self.seen.append(view)
        wanted = np.zeros_like(view.asked)
        for row, (query, n_rounds) in enumerate(zip(view.position, view.n_rounds, strict=True)):
            rounds = self.script[query]
            if n_rounds < len(rounds):
                wanted[row, rounds[n_rounds]] = True
        mean = view.support.sum(axis=1) / np.maximum(view.answered.sum(axis=1), 1)[:, None]
        return Decision(
            wanted if self.wanted is None else self.wanted,
            mean if self.given is None else self.given,
        )


SCRIPT = [[[0]], [[0, 2], [1]], [[1], [0], [2]], [[1]]]


def test_rounds_calls_cost_latency_and_scores_by_hand():
    outcome = replay(Scripted(SCRIPT), _table())
    assert outcome.asked.tolist() == [
        [True, False, False], [True, True, True], [True, True, True], [False, True, False],
    ]  # fmt: skip
    assert outcome.asked_in.tolist() == [[1, 0, 0], [1, 2, 1], [2, 1, 3], [0, 1, 0]]
    assert outcome.n_calls.tolist() == [1, 3, 3, 1]
    assert outcome.n_rounds.tolist() == [1, 2, 3, 1]
    assert outcome.cost.tolist() == [1, 7, 7, 2]
    # q1 waits for the slower of members 0 and 2, then for member 1; q2 for one after another.
    assert outcome.latency_s.tolist() == [1, 3 + 5, 5 + 1 + 3, 5]
    assert outcome.chosen.tolist() == [0, 1, 0, -1]
    assert outcome.score.tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(outcome.confidence, [1, 2 / 3, 2 / 3, 0], rtol=1e-6)


def test_unknown_latency_stays_unknown():
    outcome = replay(Scripted([[[0]], [[0]], [[0]], [[0], [2]]]), _table())
    assert np.isnan(outcome.latency_s).tolist() == [False, False, False, True]


def test_a_query_is_looked_at_until_it_stops_and_no_more():
    strategy = Scripted(SCRIPT)
    replay(strategy, _table())
    assert [view.position.tolist() for view in strategy.seen] == [
        [0, 1, 2, 3], [0, 1, 2, 3], [1, 2], [2],
    ]  # fmt: skip


def test_asking_a_member_twice_costs_once_and_ends_the_query():
    outcome = replay(Scripted([[[0], [0]]] * 4), _table())
    assert outcome.n_calls.tolist() == [1] * 4
    assert outcome.n_rounds.tolist() == [1] * 4


def test_a_spent_budget_ends_the_query_and_the_last_round_may_overshoot():
    everybody_in_turn = [[[0], [1], [2]]] * 4
    outcome = replay(Scripted(everybody_in_turn), _table(), budget=1.5)
    assert outcome.n_calls.tolist() == [2] * 4
    assert outcome.cost.tolist() == [3] * 4
    exact = replay(Scripted(everybody_in_turn), _table(), budget=1.0)
    assert exact.n_calls.tolist() == [1] * 4


def test_a_view_shows_only_what_was_paid_for():
    asked = np.array([[True, False, False], [False, True, True]])
    view = reveal(_table(), np.array([0, 3]), asked, n_rounds=np.array([1, 1]), budget=9)
    assert view.answered.tolist() == [[True, False, False], [False, False, True]]
    assert view.answer.tolist() == [[0, -1, -1], [-1, -1, 1]]
    assert view.support.tolist() == [[[1, 0], [0, 0], [0, 0]], [[0, 0], [0, 0], [0, 1]]]
    assert view.spent.tolist() == [1, 10]
    assert view.budget.tolist() == [9, 9]
    assert view.available.all()


def test_open_candidates_exist_once_a_member_gave_them():
    asked = np.array([[False, False, False], [True, False, False], [True, True, False]])
    view = reveal(_table(CandidateKind.ANSWERS), np.array([0, 0, 0]), asked)
    assert view.available.tolist() == [[False, False], [True, False], [True, True]]


def test_a_memory_holds_the_last_queries():
    memory = Memory.of(_table(), window=2)
    assert memory.member_score.tolist() == [[0, 1, 0], [0, 0, 1]]
    assert memory.accuracy().tolist() == [0, 0.5, 0.5]


def test_memory_counts_only_members_that_were_asked():
    score = np.array([[1, np.nan], [0, np.nan]], dtype=np.float32)
    memory = Memory(np.zeros(2, dtype=np.int64), np.zeros((2, 2), dtype=np.int16), score)
    assert memory.accuracy().tolist() == [0.5, 0.5]


def test_score_of_no_answer_is_zero():
    assert _table().score_of(np.array([0, 0, 1, -1])).tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("script", [[[[]]] * 4, [[[0]], [[0]], [[]], [[0]]]])
def test_an_empty_first_round_is_refused(script):
    with pytest.raises(ValueError, match="asked nobody in the first round"):
        replay(Scripted(script), _table())


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="budget must be above 0"):
        replay(Scripted(SCRIPT), _table(), budget=0)


@pytest.mark.parametrize(
    "wanted", [np.ones((4, 2), dtype=bool), np.ones((4, 3)), np.ones(3, dtype=bool)]
)
def test_a_choice_of_members_of_another_shape_or_type_is_refused(wanted):
    strategy = Scripted(SCRIPT)
    strategy.wanted = wanted
    with pytest.raises(ValueError, match=r"must ask by bool\[4, 3\]"):
        replay(strategy, _table())


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_probabilities_that_are_none_are_refused(value):
    strategy = Scripted(SCRIPT)
    strategy.given = np.full((4, 2), value, dtype=np.float32)
    with pytest.raises(ValueError, match="finite, non-negative"):
        replay(strategy, _table())


def test_probabilities_of_another_shape_are_refused():
    strategy = Scripted(SCRIPT)
    strategy.given = np.ones((4, 3), dtype=np.float32)
    with pytest.raises(ValueError, match=r"got \[4, 3\]"):
        replay(strategy, _table())


def test_mass_on_a_candidate_that_nobody_gave_is_ignored():
    strategy = Scripted([[[0]]] * 4)
    strategy.given = np.tile(np.array([0.1, 0.9], dtype=np.float32), (4, 1))
    outcome = replay(strategy, _table(CandidateKind.ANSWERS))
    assert outcome.chosen.tolist() == [0, 1, 0, 0]
    # What was revealed comes first in a view, so all four stand in place 0 there.
    np.testing.assert_allclose(outcome.confidence, [0.1] * 4, rtol=1e-6)


def test_what_unasked_members_said_leaves_no_trace_in_a_view():
    """Built twice from data that differ in an unasked member's answers alone."""
    views = []
    for other in ("10", "35", "50"):
        given = {"a": "20", "b": "40", "c": other}
        responses = pa.table(
            {"query_id": ["q"] * 3, "member": list(given), "answer": list(given.values())}
        )
        queries = pa.table({"query_id": ["q"], "prompt": ["?"], "label": ["40"]})
        table = build_table(Dataset("open", queries, responses))
        asked = np.array([[True, True, False]])
        views.append(reveal(table, np.array([0]), asked))
        chosen = candidates_of(table, np.array([0]), asked, views[-1].answer)
        assert [table.candidates[0][c] for c in chosen[0] if c >= 0] == ["20", "40"]
        assert worth_of(table, np.array([0]), asked, np.array([1])) == [1]
    for view in views:
        assert view.answer.tolist() == [[0, 1, -1]]
        assert view.support.tolist() == views[0].support.tolist()
        assert view.available.tolist() == [[True, True, False]]


def test_no_answer_is_given_where_no_candidate_exists_or_none_is_backed():
    available = np.array([[True, True], [False, True], [False, False], [True, True]])
    answer = np.array([[0.2, 0.7], [0.9, 0.1], [0.5, 0.5], [0.0, 0.0]])
    place, confidence = best_answer(available, answer)
    assert place.tolist() == [1, 1, -1, -1]
    np.testing.assert_allclose(confidence, [0.7, 0.1, 0, 0], rtol=1e-6)
    assert best_answer(available[:1], np.array([[0.0, 1.5]]))[1] == [1]


def test_chances_of_asking_reach_whoever_decides():
    strategy, chance = Scripted(SCRIPT), np.full((1, 4), 0.25, dtype=np.float32)
    plain = strategy.decide
    strategy.decide = lambda view: plain(view)._replace(chance=chance)
    view = reveal(_table(), np.array([0]), np.zeros((1, 3), dtype=bool))
    assert decided(strategy, view).chance is chance


def test_an_outcome_shows_figures_and_none_where_nothing_is_known():
    outcome = replay(Scripted(SCRIPT), _table())
    assert str(outcome).splitlines()[2:6] == [
        "                 value",
        "queries              4",
        "measured             4",
        "accuracy %        50.0",
    ]
    unknown = dataclasses.replace(outcome, score=np.full(4, np.nan))
    assert str(unknown).splitlines()[2:] == [
        "          value", "queries       4", "measured      0",
    ]  # fmt: skip
    assert repr(unknown) == "Outcome(4 queries, none, 2.00 calls)"
