"""The pool's own weights: few labels leave the prior's opinion, many teach what it cannot know."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

import rlfocal.agents.fusion.fitting as fitting
from rlfocal.agents.fusion import Judged, PriorOnPool, Votes, fit_votes
from rlfocal.agents.fusion.fitting import draw_lessons, random_subsets
from rlfocal.agents.known import Known, OutOfFold
from rlfocal.deliberation.recorded import reveal
from rlfocal.records import CandidateKind, PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.tables.folds import inner_folds

N_FOLDS = 3
MODEL = PoolModel(accuracy=[[0.8, 0.6, 0.5, 0.4], [0.4, 0.8, 0.5, 0.6]], shared_distractor=0.3)


class Fitted(NamedTuple):
    """What a pool's Fusion is made of."""

    votes: Votes
    prior: PriorOnPool
    held_out: OutOfFold

    def judge(self, table: ResponseTable, asked: np.ndarray | None = None) -> Judged:
        """Judge new queries, by default with all members asked."""
        everybody = np.ones(table.answer.shape, dtype=bool)
        view = reveal(table, np.arange(table.n_queries), everybody if asked is None else asked)
        known = Known(np.zeros(table.answer.shape, dtype=np.float32))
        return self.votes.judge(view, known, self.prior.of(view, known))

    def judge_training(self, table: ResponseTable) -> np.ndarray:
        """Posteriors of the training queries, each by the set that has not seen it."""
        everybody = np.ones(table.answer.shape, dtype=bool)
        view = reveal(table, np.arange(table.n_queries), everybody)
        known = self.held_out.known(view)
        return self.votes.judge(view, known, self.prior.of(view, known)).posterior


def pool(n_queries: int, seed: int, model: PoolModel = MODEL) -> ResponseTable:
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(seed)))


def given(table: ResponseTable, answer: np.ndarray) -> ResponseTable:
    support = np.eye(table.n_candidates, dtype=np.float32)[answer]
    return replace(table, answer=answer.astype(np.int16), support=support)


def flipped(table: ResponseTable, rows: int | np.ndarray) -> ResponseTable:
    """With another label of some queries."""
    score = table.candidate_score.copy()
    score[rows] = np.roll(score[rows], 1, axis=-1)
    return replace(table, candidate_score=score)


def fit(table: ResponseTable) -> Fitted:
    fold = inner_folds(table, N_FOLDS, rng=np.random.default_rng(0))
    nothing = np.zeros((2, *table.answer.shape), dtype=np.float32)
    held_out = OutOfFold(nothing, len(table.tasks), fold)
    prior = PriorOnPool.fit(table, fold, N_FOLDS)
    votes = fit_votes(table, held_out, prior, rng=np.random.default_rng(0))
    return Fitted(votes, prior, held_out)


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return pool(300, 0)


@pytest.fixture(scope="module")
def fitted(table: ResponseTable) -> Fitted:
    return fit(table)


def score(table: ResponseTable, posterior: np.ndarray) -> float:
    return float(table.score_of(posterior[:, :-1].argmax(axis=1)).mean())


# Few labels, and many -----------------------------------------------------------------------------


def test_a_handful_of_labels_leaves_the_priors_opinion() -> None:
    new, gaps, agree = pool(400, 99), [], []
    for seed in range(6):
        made = fit(pool(9, seed))
        view = reveal(new, np.arange(400), np.ones((400, 4), dtype=bool))
        seen = made.prior.of(view, Known(np.zeros((400, 4), dtype=np.float32))).seen
        believed = made.prior.whole.believe(view, seen).posterior
        mine = made.judge(new).posterior[:, :-1]
        gaps.append(np.abs(mine - believed).sum(axis=1).mean() / 2)
        agree.append((mine.argmax(axis=1) == believed.argmax(axis=1)).mean())
    assert np.median(gaps) < 0.1
    assert np.mean(agree) > 0.95


def test_with_many_labels_it_beats_plurality_and_is_calibrated() -> None:
    new = pool(2000, 7)
    posterior = fit(pool(600, 0)).judge(new).posterior
    votes = (new.answer[:, :, None] == np.arange(4)).sum(axis=1)
    assert score(new, posterior) > new.score_of(votes.argmax(axis=1)).mean() + 0.02
    assert posterior.max(axis=1).mean() == pytest.approx(score(new, posterior), abs=0.04)


def test_a_member_always_right_on_one_task_is_believed_there() -> None:
    """Against all others, who are as good elsewhere and tend to the same wrong answers."""
    model = PoolModel(accuracy=[[0.7, 0.6, 0.4, 0.5], [0.45, 0.5, 0.4, 0.5]], shared_distractor=0.8)

    def expert(n_queries: int, seed: int) -> ResponseTable:
        plain = pool(n_queries, seed, model)
        answer = plain.answer.astype(np.int64)
        right = plain.candidate_score.argmax(axis=1)
        answer[:, 2] = np.where(plain.task == 1, right, answer[:, 2])
        return given(plain, answer)

    made, new = fit(expert(600, 0)), expert(600, 9)
    judged = made.judge(new)
    there = new.task == 1
    assert score(new.take(there), judged.posterior[there]) > 0.98
    assert (judged.vote[there, 2] > judged.vote[there][:, [0, 1, 3]].sum(axis=1)).mean() > 0.95
    others = judged.vote[~there][:, [0, 1, 3]].mean(axis=0)
    assert judged.vote[~there, 2].mean() < others.min()


def test_an_option_given_too_often_counts_for_less() -> None:
    """Four in five wrong answers are C, of whichever member: what says so is where it stands."""
    model = PoolModel(accuracy=[[0.75, 0.7, 0.65, 0.6]], n_options=4)

    def habitual(n_queries: int, seed: int) -> ResponseTable:
        plain, rng = pool(n_queries, seed, model), np.random.default_rng(seed + 1)
        answer, right = plain.answer.astype(np.int64), plain.candidate_score.argmax(axis=1)
        slips = (answer != right[:, None]) & (rng.random(n_queries) < 0.8)[:, None]
        return given(plain, np.where(slips & (right != 2)[:, None], 2, answer))

    made, new = fit(habitual(600, 0)), habitual(2000, 9)
    position = made.votes.position.mean(axis=0)[0]
    assert (position[2] < position[[0, 1, 3]] - 0.3).all()
    without = made._replace(votes=replace(made.votes, position=0 * made.votes.position))
    gained = score(new, made.judge(new).posterior) - score(new, without.judge(new).posterior)
    assert gained > 0.02


def test_open_queries_have_no_positions() -> None:
    plain = pool(60, 1)
    open_one = replace(
        plain,
        kind=np.full(60, CandidateKind.ANSWERS, dtype=np.int8),
        exists=plain.support.any(axis=1),
        candidate_score=plain.candidate_score * plain.support.any(axis=1),
    )
    assert open_one.is_open.all()
    assert fit(open_one).votes.position.shape == (N_FOLDS + 1, 3, 0)


# What each set has seen ---------------------------------------------------------------------------


def test_weights_of_a_set_do_not_depend_on_the_labels_of_its_fold(
    table: ResponseTable, fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same lessons: what the prior says in these of other queries counts labels of all."""
    lessons = draw_lessons(table, fitted.held_out, fitted.prior, rng=np.random.default_rng(0))
    monkeypatch.setattr(fitting, "draw_lessons", lambda *_, **__: lessons)
    monkeypatch.setattr(fitting, "PENALTIES", fitting.PENALTIES[2:3])
    fold = fitted.held_out.fold
    before, after = fit(table).votes, fit(flipped(table, np.flatnonzero(fold == 1))).votes
    for name, array in before.arrays().items():
        np.testing.assert_array_equal(array[1], after.arrays()[name][1], err_msg=name)
        for other in (0, 2, 3):
            assert not np.allclose(array[other], after.arrays()[name][other], atol=1e-3) or (
                name == "none_bias"  # there is no open query
            )


def test_a_querys_own_posterior_does_not_change_with_its_label(
    table: ResponseTable, fitted: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    lessons = draw_lessons(table, fitted.held_out, fitted.prior, rng=np.random.default_rng(0))
    monkeypatch.setattr(fitting, "draw_lessons", lambda *_, **__: lessons)
    before = fit(table).judge_training(table)
    for query in (3, 50):
        other = flipped(table, query)
        after = fit(other).judge_training(other)
        mine = fitted.held_out.fold == fitted.held_out.fold[query]
        np.testing.assert_array_equal(after[mine], before[mine])
        assert np.abs(after - before)[~mine].max() > 1e-3


def test_by_way_of_other_querys_lessons_it_changes_next_to_nothing(
    table: ResponseTable, fitted: Fitted
) -> None:
    before = fitted.judge_training(table)
    for query in (3, 50):
        other = flipped(table, query)
        after = fit(other).judge_training(other)
        assert np.abs(after - before)[query].max() < 0.015


# Lessons ------------------------------------------------------------------------------------------


def test_lessons_reveal_everybody_first_and_then_random_subsets(
    table: ResponseTable, fitted: Fitted
) -> None:
    lessons = draw_lessons(table, fitted.held_out, fitted.prior, rng=np.random.default_rng(0))
    assert len(lessons) == 5
    assert lessons[0].asked.all()
    for lesson in lessons[1:]:
        assert lesson.asked.any(axis=1).all()
        assert 0.4 < lesson.asked.mean() < 0.8
        expected = fitted.prior.of_table(table, lesson.asked, fitted.held_out)
        np.testing.assert_array_equal(lesson.signal, expected)


def test_no_lesson_reveals_what_is_not_recorded() -> None:
    plain, rng = pool(80, 2), np.random.default_rng(3)
    missing = rng.random(plain.answer.shape) < 0.3
    missing[:, 0] = False
    partly = replace(
        plain,
        answer=np.where(missing, -1, plain.answer).astype(np.int16),
        support=np.where(missing[:, :, None], np.float32(0), plain.support),
        cost=np.where(missing, np.float32(0), plain.cost),
        recorded=~missing,
    )
    made = fit(partly)
    for lesson in draw_lessons(partly, made.held_out, made.prior, rng=rng):
        assert not lesson.asked[missing].any()
    assert all(np.isfinite(array).all() for array in made.votes.arrays().values())


def test_where_nobody_says_of_which_task_a_query_is_not_much_is_lost(fitted: Fitted) -> None:
    new = pool(1500, 8)
    untold = new.with_tasks(("another", "one"))
    assert (untold.task == 2).all()
    votes = (new.answer[:, :, None] == np.arange(4)).sum(axis=1)
    plurality = new.score_of(votes.argmax(axis=1)).mean()
    with_task, without = (fitted.judge(one).posterior for one in (new, untold))
    assert score(new, with_task) > score(new, without) > plurality - 0.01
    assert without.max(axis=1).mean() == pytest.approx(score(new, without), abs=0.06)


def test_where_all_queries_are_of_one_task_an_untold_one_is_of_that(table: ResponseTable) -> None:
    votes = fit(replace(table, tasks=("all",), task=np.zeros_like(table.task))).votes
    for array in votes.arrays().values():
        np.testing.assert_array_equal(array[:, 0], array[:, 1])


def test_random_subsets_are_of_every_size_and_half_of_them_prefer_accurate_members() -> None:
    asked = random_subsets(np.array([0.9, 0.5, 0.1]), 6000, rng=np.random.default_rng(0))
    size = np.bincount(asked.sum(axis=1), minlength=4)
    assert size[0] == 0
    np.testing.assert_allclose(size[1:] / 6000, 1 / 3, atol=0.03)
    alone = asked[asked.sum(axis=1) == 1].mean(axis=0)
    # One half chooses the best, the other anybody.
    np.testing.assert_allclose(alone, [2 / 3, 1 / 6, 1 / 6], atol=0.04)
