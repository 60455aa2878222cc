"""The routed vote: by hand, at its two ends (router, weighted vote), and on degenerate pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.protocol import unmet
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.errors import ConfigError
from rlfocal.features import HashingEncoder
from rlfocal.records import CandidateKind, PoolModel, ResponseTable, build_table, simulate
from rlfocal.strategies.routing import RoutedVote, vote
from rlfocal.strategies.routing.chances import TaskRouter, choose_predictor, log_likelihood
from rlfocal.strategies.routing.vote import most_promising
from rlfocal.strategies.single import BestSinglePerTask, task_accuracy
from rlfocal.strategies.voting import (
    VoteScale,
    WeightedVote,
    fit_vote_scale,
    fit_vote_weights,
    vote_accuracy,
)

MakeTable = Callable[..., ResponseTable]

EXPERTS = PoolModel(accuracy=[[0.9, 0.4, 0.5], [0.4, 0.9, 0.5], [0.5, 0.4, 0.9]])


def without_tasks(table: ResponseTable) -> ResponseTable:
    return replace(table, task=np.zeros_like(table.task), tasks=("all",))


def without_text(table: ResponseTable) -> ResponseTable:
    return replace(table, features=table.features[:, :0])


def with_answers(table: ResponseTable, answer: np.ndarray) -> ResponseTable:
    answer = answer.astype(np.int16)
    support = (answer[:, :, None] == np.arange(table.n_candidates)).astype(np.float32)
    return replace(table, answer=answer, support=support)


def experts(seed: int, n_queries: int = 600) -> ResponseTable:
    """A pool whose members each know one topic; only the text tells the topics apart."""
    rng = np.random.default_rng(seed)
    table = build_table(simulate(EXPERTS, n_queries, rng=rng), encode=HashingEncoder(64))
    # Simulated topics take turns, and so do inner folds: unshuffled, a fold would be a topic.
    shuffled = table.take(rng.permutation(n_queries))
    return without_tasks(replace(shuffled, group=np.arange(n_queries)))


class _Fixed(TaskRouter):
    """Predicts the same chances for every query."""

    def __init__(self, chance: list[float]) -> None:
        super().__init__()
        self.chance = np.array(chance, dtype=np.float32)

    def predict(self, task: np.ndarray, features: np.ndarray) -> np.ndarray:
        return np.tile(self.chance, (len(task), 1))


def test_whom_to_ask_by_hand() -> None:
    chance = np.array([[0.9, 0.2, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]])
    cost = np.array([[1.0, 1.0, 3.0, 2.0], [2.0, 2.0, 1.0, 2.0]])
    assert most_promising(chance, cost, 1).tolist() == [
        [True, False, False, False],
        [False, False, True, False],
    ]
    assert most_promising(chance, cost, 2).tolist() == [
        [True, False, False, True],  # 2 and 3 tie, 3 is cheaper
        [True, False, True, False],  # 0, 1 and 3 tie at one price, 0 is first
    ]
    assert most_promising(chance, cost, 4).all()


def test_the_fusion_by_hand(make_table, rng) -> None:
    # K = 3, scale 1: weights log(2 p / (1 - p)) = log 8, log 3, log 2 and log 1/2. Members 1 and 2
    # together (log 6) lose to member 0 (log 8); member 3 speaks against the candidate it names.
    table = without_tasks(make_table(n_members=4))
    fitted = RoutedVote(n_calls=4).fit(table, rng=rng)
    fitted.router_ = _Fixed([0.8, 0.6, 0.5, 0.2]).fit(table, rng=rng)
    fitted.scales_ = [VoteScale(np.log(2), 1.0)] * 4
    fitted.shift_ = np.zeros(4)
    test = with_answers(table, np.tile([1, 0, 0, 2], (60, 1)))
    view = reveal(test, np.arange(60), np.ones((60, 4), dtype=bool))
    # Candidate 3 counts 1 in the sum of powers 6 + 8 + 1/2 + 1, but nobody named it.
    expected = np.array([6, 8, 0.5, 0]) / 15.5
    np.testing.assert_allclose(fitted.decide(view).answer, np.tile(expected, (60, 1)), rtol=1e-5)
    two = replay(fitted.with_dial(2), test)
    assert two.asked.tolist() == [[True, True, False, False]] * 60
    assert (two.n_rounds == 1).all()


@pytest.mark.parametrize("kind", [CandidateKind.OPTIONS, CandidateKind.ANSWERS])
def test_everybody_with_constant_chances_is_the_weighted_vote(make_table, rng, kind) -> None:
    train, test = (
        without_text(without_tasks(make_table(kind, seed=seed, n_queries=300))) for seed in (1, 2)
    )
    routed = replay(RoutedVote(n_calls=5).fit(train, rng=rng), test)
    vote = replay(WeightedVote().fit(train, rng=rng), test)
    assert np.array_equal(routed.chosen, vote.chosen)
    assert np.array_equal(routed.asked, vote.asked)
    np.testing.assert_allclose(routed.confidence, vote.confidence, rtol=1e-5)


@pytest.mark.parametrize("text", [False, True])
def test_one_call_is_the_router(rng, text) -> None:
    train, test = experts(1), experts(2)
    if not text:
        train, test = without_text(train), without_text(test)
    fitted = RoutedVote(n_calls=1).fit(train, rng=rng)
    outcome, router = replay(fitted, test), replay(fitted.router_, test)
    for field in ("asked", "chosen", "score"):
        assert np.array_equal(getattr(outcome, field), getattr(router, field)), field


def test_even_a_hopeless_member_is_believed_when_alone(make_table, rng) -> None:
    # Its weight is negative, and the options nobody named would be likelier.
    table = without_tasks(make_table(n_members=3))
    fitted = RoutedVote(n_calls=1).fit(table, rng=rng)
    fitted.router_ = _Fixed([0.01, 0.02, 0.01]).fit(table, rng=rng)
    assert np.array_equal(replay(fitted, table).chosen, table.answer[:, 1])


def test_without_text_members_are_those_of_the_task(make_table, rng) -> None:
    train, test = (without_text(make_table(seed=seed, n_queries=200)) for seed in (1, 2))
    fitted = RoutedVote(n_calls=1).fit(train, rng=rng)
    assert isinstance(fitted.router_, TaskRouter)
    best = replay(BestSinglePerTask().fit(train, rng=rng), test)
    assert np.array_equal(replay(fitted, test).asked, best.asked)


def test_text_is_used_where_it_tells_topics_apart(rng) -> None:
    train = experts(1)
    predictor = choose_predictor(train, rng=rng)
    assert predictor.uses_text
    accuracy = task_accuracy(train)[train.task]
    gain = log_likelihood(predictor.out_of_fold, train.member_score)
    assert gain.mean() > log_likelihood(accuracy, train.member_score).mean() + 0.02


def test_text_that_is_noise_is_rarely_believed_and_never_much(make_table, rng) -> None:
    # One standard error of evidence is what routers ask for too, so noise passes now and then.
    n_believed = 0
    for seed in range(8):
        table = make_table(n_queries=500, seed=seed)
        predictor = choose_predictor(table, rng=rng)
        n_believed += predictor.uses_text
        accuracy = task_accuracy(table)[table.task]
        assert np.abs(predictor.out_of_fold - accuracy).mean() < 0.05
        assert predictor.uses_text == (not isinstance(predictor.router, TaskRouter))
    assert n_believed <= 2


def test_out_of_fold_predictions_ignore_a_querys_own_label(make_table, rng) -> None:
    table = without_tasks(without_text(make_table(n_queries=90)))
    whole = choose_predictor(table, rng=rng).out_of_fold
    score = np.array(table.candidate_score)
    score[0] = 1 - score[0]
    other = choose_predictor(replace(table, candidate_score=score), rng=rng).out_of_fold
    assert np.array_equal(other[0], whole[0])
    assert not np.array_equal(other, whole)


def test_it_beats_the_weighted_vote_where_members_are_experts(rng) -> None:
    train, test = experts(1, 1500), experts(2, 1500)
    routed = replay(RoutedVote(n_calls=3).fit(train, rng=rng), test).score.mean()
    assert routed > replay(WeightedVote().fit(train, rng=rng), test).score.mean() + 0.05


def test_likelihood_by_a_naive_loop(rng) -> None:
    chance = rng.uniform(0, 1, size=(20, 3)).astype(np.float32)
    score = rng.uniform(0, 1, size=(20, 3)).astype(np.float32)
    for q, found in enumerate(log_likelihood(chance, score).tolist()):
        total = 0.0
        for p, s in zip(chance[q].tolist(), score[q].tolist(), strict=True):
            p = min(max(p, 0.01), 0.99)
            total += s * np.log(p) + (1 - s) * np.log(1 - p)
        assert found == pytest.approx(total / 3, rel=1e-5)


def test_one_scale_fits_weights_per_member_and_per_query_alike(make_table, rng) -> None:
    table = make_table(n_queries=200)
    accuracy = vote_accuracy(table)
    per_query = np.tile(accuracy, (200, 1))
    scale = fit_vote_scale(table, per_query)
    assert np.array_equal(scale.weights(accuracy), fit_vote_weights(table, accuracy)[0])
    everybody = np.ones(per_query.shape, dtype=bool)
    assert fit_vote_scale(table, per_query, asked=everybody) == scale


def test_a_scale_for_those_asked_does_not_see_the_others(make_table, rng) -> None:
    table = make_table(n_queries=200)
    chance = rng.uniform(0.2, 0.9, size=(200, 5))
    asked = most_promising(chance, table.cost, 3)
    other = with_answers(table, np.where(asked, table.answer, rng.integers(4, size=(200, 5))))
    assert fit_vote_scale(table, chance, asked=asked) == fit_vote_scale(other, chance, asked=asked)


def test_chances_per_query_are_worth_more_than_their_mean(rng) -> None:
    # Each member knows when it is right; a vote by the query's chances hears that.
    n_queries = 2000
    sample = simulate(PoolModel(accuracy=[[0.5, 0.5, 0.5]]), n_queries, rng=rng)
    table = build_table(sample)
    hint = np.where(table.member_score > 0.5, 0.7, 0.3)
    flip = rng.random(hint.shape) < 0.3
    chance = np.where(flip, 1 - hint, hint)
    fitted = fit_vote_scale(table, chance)
    assert fitted.weights(np.array([0.7]))[0] > fitted.weights(np.array([0.3]))[0]
    assert fitted.scale > 0


def test_dials_are_numbers_of_calls(make_table, rng) -> None:
    train, test = make_table(seed=1, n_members=7), make_table(seed=2, n_members=7)
    fitted = RoutedVote().fit(train, rng=rng)
    assert fitted.dials == (1, 2, 3, 4, 5, 6, 7)
    for dial in fitted.dials:
        assert (replay(fitted.with_dial(dial), test).n_calls == dial).all()
    assert (replay(fitted, test).n_calls == fitted.default_).all()


def test_large_pools_try_some_sizes_and_allow_all(make_table, rng) -> None:
    train = make_table(CandidateKind.ANSWERS, n_members=15, n_queries=80)
    fitted = RoutedVote().fit(train, rng=rng)
    assert len(fitted.dials) < 15
    assert fitted.dials[0] == 1
    assert fitted.dials[-1] == 15
    untried = next(k for k in range(1, 16) if k not in fitted.dials)
    assert (replay(fitted.with_dial(untried), train).n_calls == untried).all()


def test_equal_members_are_asked_once_the_cheapest(make_table, rng) -> None:
    table = make_table(n_queries=120)
    cost = np.tile(np.array([3, 2, 1, 2, 3], dtype=np.float32), (120, 1))
    same = with_answers(table, np.repeat(table.answer[:, :1], 5, axis=1))
    same = replace(without_text(same), cost=cost)
    outcome = replay(RoutedVote().fit(same, rng=rng), same)
    assert outcome.asked.tolist() == [[False, False, True, False, False]] * 120
    assert np.array_equal(outcome.score, same.member_score[:, 0])


def test_a_member_that_never_answers_is_asked_last(make_table, rng) -> None:
    table = make_table(n_queries=120)
    answer = np.array(table.answer)
    answer[:, 2] = -1
    table = with_answers(table, answer)
    fitted = RoutedVote().fit(table, rng=rng)
    assert not replay(fitted.with_dial(4), table).asked[:, 2].any()
    assert np.isfinite(replay(fitted.with_dial(5), table).confidence).all()


def test_a_pool_that_never_answers_says_nothing(make_table, rng) -> None:
    table = make_table(n_queries=40)
    silent = with_answers(table, np.full_like(table.answer, -1))
    outcome = replay(RoutedVote().fit(silent, rng=rng), silent)
    assert (outcome.chosen == -1).all()
    assert (outcome.n_calls == 1).all()


@pytest.mark.parametrize("n_queries", [2, 10])
def test_few_queries_are_enough_to_fit(make_table, rng, n_queries) -> None:
    table = make_table(n_queries=n_queries)
    fitted = RoutedVote().fit(table, rng=rng)
    assert isinstance(fitted.router_, TaskRouter)
    assert replay(fitted, table).asked.any(axis=1).all()


def test_many_copies_of_one_prompt_are_enough_to_fit(make_table, rng) -> None:
    table = make_table(n_queries=60)
    copies = replace(table, group=np.zeros_like(table.group))
    assert isinstance(RoutedVote().fit(copies, rng=rng).router_, TaskRouter)


def test_scores_alone_are_not_enough(make_table) -> None:
    assert unmet(RoutedVote(), make_table(CandidateKind.RESPONSES)) is not None
    assert unmet(RoutedVote(), without_text(make_table())) is None


def test_numbers_of_calls_out_of_range_are_refused(make_table, rng, monkeypatch) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        RoutedVote(n_calls=0)
    monkeypatch.setattr(vote, "choose_predictor", None)  # it is found before any work
    with pytest.raises(ConfigError, match=r"\[1, 5\]"):
        RoutedVote(n_calls=6).fit(make_table(), rng=rng)
    monkeypatch.undo()
    fitted = RoutedVote().fit(make_table(), rng=rng)
    for dial in (0, 6):
        with pytest.raises(ValueError, match=r"\[1, 5\]"):
            fitted.with_dial(dial)
