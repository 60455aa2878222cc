"""What the agents observe: alike for a query alone and among others, with replies or without."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rlfocal.agents.arrays import Weights
from rlfocal.agents.config import Rounds
from rlfocal.agents.fusion import PriorOnPool, Votes
from rlfocal.agents.known import Known
from rlfocal.agents.observation import Observer, answer_of
from rlfocal.agents.policy import promised
from rlfocal.agents.prior import fusion
from rlfocal.agents.prior.decider import decide
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import View
from rlfocal.numbers import log_odds, sigmoid
from rlfocal.records import ResponseTable
from rlfocal.simulator import draw_answers, draw_pool, to_table
from rlfocal.training.nets import Decider, Own

MANY, CLOSE = 1024, 1e-5
every_kind = pytest.mark.parametrize("is_open", [True, False])


def pool(seed: int, *, n_queries: int = MANY, n_members: int = 6, is_open: bool) -> ResponseTable:
    rng = np.random.default_rng(seed)
    spec = draw_pool(rng, n_members=n_members, is_open=is_open, graded=not is_open)
    return to_table(draw_answers(spec, n_queries, rng=rng))


def view_of(table: ResponseTable, seed: int = 1) -> View:
    rng = np.random.default_rng(seed)
    asked = rng.random(table.answer.shape) < rng.random((table.n_queries, 1))
    return reveal(table, np.arange(table.n_queries), asked)


def known_of(view: View, *, reads: bool = False) -> Known:
    rng = np.random.default_rng(2)
    competence = 0.1 * rng.standard_normal(view.asked.shape).astype(np.float32)
    shift = rng.standard_normal(view.asked.shape).astype(np.float32) * view.answered
    return Known(competence, shift if reads else None)


def observer_of(table: ResponseTable, **more: Any) -> Observer:
    """With weights of the pool's own that are not zero."""
    n_tasks, n_members = len(table.tasks), table.n_members
    graded, reads = table.has_graded_support, more.pop("reads", False)
    n_signals = n_members * (1 + graded) + reads + 1
    draw = np.random.default_rng(3).standard_normal
    shapes = (
        (2, n_tasks + 1, n_signals), (2, n_tasks + 1), (2, n_tasks + 1, n_signals, n_members),
        (2, n_tasks + 1, 3),
    )  # fmt: skip
    votes = Votes(*((0.3 * draw(s)).astype(np.float32) for s in shapes), reads_replies=reads)
    fold = np.arange(table.n_queries) % 2
    return Observer(PriorOnPool.fit(table, fold, 2), votes, **more)


def decider_of(table: ResponseTable, observer: Observer) -> Weights:
    """The prior's, with layers of its own that are not zero."""
    own = Own(table.n_members, len(table.tasks), gathered=observer.rounds is not None)
    made = dict(Decider.from_prior(observer.prior.whole.prior.decider, own).exported())
    rng = np.random.default_rng(4)
    for name in made:
        if name.startswith("own."):
            made[name] = 0.3 * rng.standard_normal(made[name].shape).astype(np.float32)
    return made


# One query alone, and a thousand together ---------------------------------------------------------


@every_kind
@pytest.mark.parametrize("rounds", [None, Rounds(0.01, 3)])
@pytest.mark.parametrize("fold", [False, True])
def test_a_query_is_observed_alone_as_among_a_thousand(
    is_open: bool, rounds: Rounds | None, fold: bool
) -> None:
    table = pool(5, is_open=is_open)
    observer = observer_of(table, rounds=rounds, reads=True)
    weights, view = decider_of(table, observer), view_of(table)
    known = known_of(view, reads=True)
    known = known._replace(fold=np.arange(MANY) % 2) if fold else known
    price = np.geomspace(0.001, 0.3, MANY).astype(np.float32)
    rng = np.random.default_rng(6)
    pending = ~view.asked & (rng.random(view.asked.shape) < 0.3) if rounds else None
    together = observer.observe(view, price, known, pending)
    chance = np.exp(decide(weights, together.observation))
    np.testing.assert_allclose(chance.sum(axis=1), 1, atol=1e-5)
    for q in rng.choice(MANY, 20, replace=False):
        row = np.array([q])
        alone = observer.observe(
            view.take(row), price[row], known.take(row), None if pending is None else pending[row]
        )
        np.testing.assert_allclose(alone.posterior[0], together.posterior[q], atol=CLOSE)
        own = np.exp(decide(weights, alone.observation))
        np.testing.assert_allclose(own[0], chance[q], rtol=0, atol=CLOSE)


@every_kind
@pytest.mark.parametrize("n_members", [2, 7, 40])
def test_the_prior_judges_a_query_alone_as_among_a_thousand(n_members: int, is_open: bool) -> None:
    table = pool(n_members, n_members=n_members, is_open=is_open)
    strategy = RlFocalPrior().fit(table.take(np.arange(200)), rng=np.random.default_rng(0))
    view = view_of(table)
    together = strategy.decide(view)
    assert together.chance is not None
    for q in np.random.default_rng(0).choice(MANY, 15, replace=False):
        alone = strategy.decide(view.take(np.array([q])))
        assert alone.chance is not None
        np.testing.assert_allclose(alone.answer[0], together.answer[q], rtol=0, atol=CLOSE)
        np.testing.assert_allclose(alone.chance[0], together.chance[q], rtol=0, atol=CLOSE)


# Replies ------------------------------------------------------------------------------------------


@every_kind
def test_the_prior_acts_alike_where_replies_are_absent_and_where_they_say_nothing(
    is_open: bool,
) -> None:
    table = pool(7, n_queries=400, is_open=is_open)
    prior = RlFocalPrior().fit(table, rng=np.random.default_rng(0))
    view, found = view_of(table), []
    nothing = np.zeros(view.asked.shape, dtype=np.float32)
    for shift in (None, nothing):
        seen = prior.queries(view, reply_shift=shift)
        believed = prior.believe(view, seen)
        fused = fusion.Fused(believed.logit[None], believed.vote[None])
        price = np.full(400, 0.02, dtype=np.float32)
        observation = prior.observe(seen, fused, price, view.task)
        chance = np.exp(decide(prior.prior.decider, observation))
        found.append((believed.posterior, chance))
    for absent, silent in zip(*found, strict=True):
        np.testing.assert_allclose(absent, silent, rtol=0, atol=CLOSE)


@every_kind
def test_a_reply_that_speaks_for_itself_is_believed_more(is_open: bool) -> None:
    table = pool(8, n_queries=400, is_open=is_open)
    prior = RlFocalPrior().fit(table, rng=np.random.default_rng(0))
    view = reveal(table, np.arange(400), np.ones(table.answer.shape, dtype=bool))
    sure = np.zeros(view.asked.shape, dtype=np.float32)
    sure[:, 0] = 2 * view.answered[:, 0]
    before, after = (
        prior.believe(view, prior.queries(view, reply_shift=shift)).posterior
        for shift in (np.zeros_like(sure), sure)
    )
    rows = np.flatnonzero(view.answered[:, 0])
    own = view.answer[rows, 0]
    assert (after[rows, own] >= before[rows, own] - 1e-6).mean() > 0.97
    gained = log_odds(after[rows, own], least=1e-4) - log_odds(before[rows, own], least=1e-4)
    assert 0.5 < gained.mean() < 3  # the reply says 2


# The parts of an observation ----------------------------------------------------------------------


def test_closed_members_cannot_be_asked() -> None:
    table = pool(9, n_queries=60, is_open=True)
    view = view_of(table)
    closed = np.random.default_rng(0).random(view.asked.shape) < 0.4
    observer, known = observer_of(table), known_of(view)
    price = np.full(60, 0.02, dtype=np.float32)
    open_to = observer.observe(view, price, known).observation.legal
    legal = observer.observe(replace(view, closed=closed), price, known).observation.legal
    np.testing.assert_array_equal(legal[:, :-1], open_to[:, :-1] & ~closed)
    np.testing.assert_array_equal(legal[:, -1], open_to[:, -1])


def test_choices_that_are_gathered_are_seen() -> None:
    table = pool(10, n_queries=60, is_open=False)
    view = replace(view_of(table), n_rounds=np.arange(60) % 4)
    observer, known = observer_of(table, rounds=Rounds(0.05, 3)), known_of(view)
    price = np.full(60, 0.02, dtype=np.float32)
    pending = ~view.asked & (np.random.default_rng(0).random(view.asked.shape) < 0.3)
    seen = observer.observe(view, price, known, pending)
    plain = replace(observer, rounds=None).observe(view, price, known, pending)
    found = seen.observation
    assert found.pending is not None
    assert found.hurry is not None
    assert plain.observation.pending is None
    np.testing.assert_array_equal(found.pending, pending)
    np.testing.assert_allclose(found.hurry[:, 0], pending.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.hurry[:, 1], np.array([1 / 3, 1 / 2, 1, 1])[np.arange(60) % 4])
    opening = np.where(pending.any(axis=1), 0, 0.05)
    np.testing.assert_allclose(found.next_price, price + opening, rtol=1e-6)
    assert not found.legal[np.arange(60) % 4 == 3, :-1].any()  # no round is left
    expected = promised(plain.observation.confidence, sigmoid(seen.fused.seen.log_odds[0]), pending)
    np.testing.assert_allclose(found.confidence, expected, rtol=1e-6)


def test_what_is_fused_once_need_not_be_fused_again() -> None:
    table = pool(11, n_queries=60, is_open=True)
    view = view_of(table)
    observer, known = observer_of(table), known_of(view)
    price = np.full(60, 0.02, dtype=np.float32)
    one = observer.observe(view, price, known)
    two = observer.observe(view, price, known, fused=one.fused)
    assert two.fused is one.fused
    for first, second in zip(one.observation, two.observation, strict=True):
        np.testing.assert_array_equal(first, second)


def test_none_of_these_is_no_answer() -> None:
    posterior = np.array([[0.2, 0.3, 0.5], [0, 0, 1]], dtype=np.float32)
    assert answer_of(posterior).tolist() == [1, -1]
