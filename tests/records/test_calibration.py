"""Temperatures: recovered where they are known, harmless where there is nothing to learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.records import Calibration, PoolModel, build_table, calibrate, simulate


def _scored(beta, n_queries, rng, *, shift=0.0, probabilities=False):
    """Options drawn from softmax(beta[t, n] · score), so that beta[t, n] is the right answer."""
    n_tasks, n_members = np.shape(beta)
    model = PoolModel(accuracy=np.full((n_tasks, n_members), 0.5).tolist(), n_options=4)
    table = build_table(simulate(model, n_queries, rng=rng))
    label = table.candidate_score.argmax(axis=1)
    scale = np.asarray(beta)[table.task]
    # Scores around the label such that the posterior of each member alone is the stated softmax.
    logit = rng.normal(size=(n_queries, n_members, 4)) * 1.5
    chance = np.exp(logit) / np.exp(logit).sum(axis=2, keepdims=True)
    drawn = (rng.random((n_queries, n_members, 1)) > chance.cumsum(axis=2)).sum(axis=2)
    drawn = np.minimum(drawn, 3)
    # Relabel each member's options so that its draw falls on the label.
    order = np.argsort(rng.random((n_queries, n_members, 4)), axis=2)
    rows, cols = np.indices(drawn.shape)
    at = np.argmax(order == label[:, None, None], axis=2)
    swap = order[rows, cols, drawn].copy()
    order[rows, cols, drawn], order[rows, cols, at] = order[rows, cols, at], swap
    placed = np.empty_like(logit)
    np.put_along_axis(placed, order, logit, axis=2)
    scores = chance_of(placed) if probabilities else placed / scale[:, :, None] + shift
    return replace(
        table,
        option_scores=scores.astype(np.float32),
        answer=scores.argmax(axis=2).astype(np.int16),
        support=np.eye(4, dtype=np.float32)[scores.argmax(axis=2)],
    )


def chance_of(logit):
    power = np.exp(logit)
    return power / power.sum(axis=2, keepdims=True)


def test_known_temperatures_are_recovered(rng):
    beta = np.array([[0.5, 8.0], [2.0, 8.0]])
    table = _scored(beta, 6000, rng)
    fitted = Calibration.fit(table).beta
    np.testing.assert_allclose(fitted[:2], beta, rtol=0.15)
    # The last row, for an unknown task, lies between a member's tasks.
    assert 0.5 < fitted[2, 0] < 2
    assert fitted[2, 1] == pytest.approx(8, rel=0.15)


def test_supports_are_calibrated_and_hardly_an_answer_changes_without_habits(rng):
    train, test = (_scored([[0.2, 30.0]], 4000, rng) for _ in range(2))
    out = Calibration.fit(train).apply(test)
    np.testing.assert_allclose(out.support.sum(axis=2), 1, rtol=1e-5)
    assert (out.support.argmax(axis=2) == test.answer).mean() > 0.95
    assert np.array_equal(out.answer, test.answer)
    stated = out.support.max(axis=2).mean(axis=0)
    np.testing.assert_allclose(stated, test.member_score.mean(axis=0), atol=0.03)
    assert test.support.max() == 1  # the table given is left as it was


def test_log_likelihoods_far_from_zero_are_calibrated_too(rng):
    table = _scored([[1.0, 1.0]], 4000, rng, shift=-300.0)
    np.testing.assert_allclose(Calibration.fit(table).beta, 1.0, rtol=0.15)


def test_probabilities_enter_by_their_logarithm(rng):
    calibration = Calibration.fit(_scored([[1.0, 1.0]], 4000, rng, probabilities=True))
    assert calibration.log_scale.all()
    np.testing.assert_allclose(calibration.beta, 1.0, rtol=0.15)


def test_a_small_task_stays_near_its_member(rng):
    table = _scored(np.full((2, 2), 2.0), 4000, rng)
    keep = np.flatnonzero(table.task == 0)
    few = np.flatnonzero(table.task == 1)[:2]
    beta = Calibration.fit(table.take(np.concatenate([keep, few]))).beta
    # Two queries cannot pull it further than one spread of the prior.
    assert np.abs(np.log(beta[1] / beta[0])).max() < 1


def test_tables_without_option_scores_are_left_alone(rng):
    table = build_table(simulate(PoolModel(accuracy=[[0.6, 0.7]]), 50, rng=rng))
    calibration = Calibration.fit(table)
    assert calibration.apply(table) is table
    assert (calibration.beta == 1).all()


def test_members_without_a_full_set_of_scores_keep_their_support(rng):
    table = _scored([[1.0, 1.0]], 200, rng)
    scores = table.option_scores.copy()
    scores[:100, 0] = np.nan
    scores[0, 1, 2] = np.nan
    partly = replace(table, option_scores=scores)
    out = Calibration.fit(partly).apply(partly)
    assert np.array_equal(out.support[:100, 0], table.support[:100, 0])
    assert np.array_equal(out.support[0, 1], table.support[0, 1])
    assert (out.support[1:, 1].max(axis=1) < 1).all()


def test_constant_scores_give_even_supports(rng):
    table = _scored([[1.0, 1.0]], 200, rng)
    flat = replace(table, option_scores=np.zeros_like(table.option_scores))
    out = Calibration.fit(flat).apply(flat)
    assert np.isfinite(out.support).all()
    # What is left is how often each option is right: even, but for the luck of 200 draws.
    assert out.support == pytest.approx(0.25, abs=0.08)


def test_a_habit_is_undone_and_more_answers_are_right(rng):
    """Member 0 says the first option far too often on task 0; member 1 has no habits."""
    plain = _scored(np.full((2, 2), 1.0), 8000, rng)
    scores = plain.option_scores.copy()
    scores[plain.task == 0, 0, 0] += 2.5
    table = replace(plain, option_scores=scores)
    train, test = table.take(np.arange(4000)), table.take(np.arange(4000, 8000))
    calibration = Calibration.fit(train)
    centred = calibration.bias - calibration.bias.mean(axis=2, keepdims=True)
    np.testing.assert_allclose(centred[0, 0], np.array([-1.875, 0.625, 0.625, 0.625]), atol=0.25)
    assert np.abs(centred[0, 1]).max() < 0.25
    assert np.abs(centred[1]).max() < 0.25
    assert (calibration.bias[2] == 0).all()
    after = calibration.apply(test).support
    rows = np.flatnonzero(test.task == 0)
    biased = test.candidate_score[rows, test.option_scores[rows, 0].argmax(axis=1)].mean()
    undone = test.candidate_score[rows, after[rows, 0].argmax(axis=1)].mean()
    assert undone > biased + 0.05


def test_training_supports_do_not_know_their_own_label(rng):
    table = _scored([[1.0, 2.0]], 300, rng)
    _, before = calibrate(table)
    flipped = table.candidate_score.copy()
    flipped[7] = np.roll(flipped[7], 1)
    calibration, after = calibrate(replace(table, candidate_score=flipped))
    assert np.array_equal(before.support[7], after.support[7])
    assert not np.array_equal(before.support, after.support)
    whole = Calibration.fit(replace(table, candidate_score=flipped))
    assert np.array_equal(calibration.bias, whole.bias)


def test_more_options_than_in_training_have_no_bias(rng):
    table = _scored([[1.0, 1.0]], 200, rng)
    calibration = Calibration.fit(table)
    narrow = replace(calibration, bias=calibration.bias[:, :, :2])
    assert np.isfinite(narrow.apply(table).support).all()


def test_what_is_fitted_is_the_likeliest_under_the_prior(rng):
    """Judged by an optimiser of another make, member by member, through public names alone."""
    optimise = pytest.importorskip("scipy.optimize").minimize
    table = _scored([[0.3, 9.0], [2.0, 3.0]], 120, rng)
    fitted = Calibration.fit(table)
    label = table.candidate_score.argmax(axis=1)
    for task, member in np.ndindex(2, 2):
        rows = table.task == task
        score, right = table.option_scores[rows, member].astype(float), label[rows]
        prior = np.log(fitted.beta[2, member])

        def loss(x, score=score, right=right, prior=prior):
            logit = np.exp(x[0]) * score + x[1:]
            missed = np.log(np.exp(logit).sum(axis=1)) - logit[np.arange(len(right)), right]
            return missed.sum() + ((x[0] - prior) ** 2 + (x[1:] ** 2).sum()) / 2

        best = optimise(loss, np.append(prior, np.zeros(4)), tol=1e-9).x
        assert np.log(fitted.beta[task, member]) == pytest.approx(best[0], abs=1e-3)
        np.testing.assert_allclose(fitted.bias[task, member], best[1:], atol=1e-3)


def test_of_a_single_task_an_unknown_one_is_that_one(rng):
    """Else what is served, where clients name no task, would not be what was measured."""
    lean = np.array([2.0, 0, 0, 0])
    table = _scored([[1.0, 1.0]], 2000, rng)
    fitted = Calibration.fit(replace(table, option_scores=table.option_scores + lean))
    assert np.abs(fitted.bias[0]).max() > 0.5
    np.testing.assert_array_equal(fitted.beta[-1], fitted.beta[0])
    np.testing.assert_array_equal(fitted.bias[-1], fitted.bias[0])
