"""Stacking: gradients, symmetries, the Bayes optimum, and honest confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.protocol import Need, unmet
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import check_state
from rlfocal.errors import CheckpointError
from rlfocal.records import CandidateKind, PoolModel, ResponseTable, build_table, simulate
from rlfocal.strategies.stacking import Stacking
from rlfocal.strategies.stacking.likelihood import Choices, Weights, choices_of, evidence
from rlfocal.strategies.stacking.weights import WeightModel

DOMINANT = PoolModel(
    accuracy=[[0.9, 0.5, 0.5, 0.5, 0.5]], shared_distractor=0.9, correlation=0.3, n_options=4
)
INDEPENDENT = PoolModel(accuracy=[[0.8, 0.7, 0.6, 0.5, 0.4, 0.3]], n_options=5)


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool(model: PoolModel, n_queries: int, seed: int = 0) -> ResponseTable:
    return build_table(simulate(model, n_queries, rng=seeded(seed)))


def everyone(table: ResponseTable) -> np.ndarray:
    return np.ones((table.n_queries, table.n_members), dtype=bool)


def fused(strategy: Stacking, table: ResponseTable) -> np.ndarray:
    rows = np.arange(table.n_queries)
    return strategy.decide(reveal(table, rows, everyone(table), n_rounds=np.ones_like(rows))).answer


def as_open(table: ResponseTable) -> ResponseTable:
    """The same answers to free-form queries: a candidate exists once somebody gave it."""
    given = table.support.any(axis=1)
    return replace(
        table,
        kind=np.full(table.n_queries, CandidateKind.ANSWERS, dtype=np.int8),
        exists=given,
        candidate_score=table.candidate_score * given,
    )


def blurred(table: ResponseTable, seed: int = 1) -> ResponseTable:
    """Supports as frequencies of several samples."""
    noise = seeded(seed).dirichlet(np.full(table.n_candidates, 0.3), table.answer.shape)
    support = 0.7 * table.support + 0.3 * noise
    return table.with_support(support.astype(np.float32))


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("open_queries", [False, True])
@pytest.mark.parametrize("rich", [False, True])
def test_gradient_agrees_with_finite_differences(
    graded: bool, open_queries: bool, rich: bool
) -> None:
    """Rich: weights depend on who is absent, positions count, and a prior is one more signal."""
    table = pool(PoolModel(accuracy=[[0.7, 0.5, 0.4], [0.3, 0.6, 0.5]], n_options=3), 60)
    table = blurred(table) if graded else table
    table = as_open(table) if open_queries else table
    asked = seeded(6).random((60, 3)) < 0.7
    prior = seeded(7).standard_normal((60, table.n_candidates)).astype(np.float32)
    choices = choices_of(table, graded=graded, asked=asked, prior=prior if rich else None)
    log_odds = seeded(1).standard_normal((2, 3))
    model = WeightModel.from_log_odds(
        log_odds.mean(axis=0), log_odds, graded=graded, company=rich, with_prior=rich,
        n_positions=2 if rich else 0,
    )  # fmt: skip
    size = len(model.centre)
    theta = 0.5 * seeded(2).standard_normal(size)
    _, gradient = model.objective(theta, choices, 2.0, 3.0)
    step = 2e-2
    for i in range(size):
        ahead, behind = theta.copy(), theta.copy()
        ahead[i] += step
        behind[i] -= step
        rise = model.objective(ahead, choices, 2.0, 3.0)[0]
        rise -= model.objective(behind, choices, 2.0, 3.0)[0]
        assert gradient[i] == pytest.approx(rise / (2 * step), rel=1e-2, abs=2e-2)


def naive_loss(
    table: ResponseTable, weights: Weights, asked: np.ndarray, prior: np.ndarray
) -> float:
    total, none_bias = 0.0, weights.none_bias
    support = table.support * asked[:, :, None]
    for q in range(table.n_queries):
        t, is_open = int(table.task[q]), bool(table.is_open[q])
        slots = [
            c
            for c in range(table.n_candidates)
            if (support[q, :, c].any() if is_open else table.exists[q, c])
        ]
        if not slots:
            continue
        weight = list(weights.weight[t])
        for k in range(4):
            for n in range(3):
                if not asked[q, n] or table.answer[q, n] < 0:
                    weight[k] += weights.company[t, k, n]
        logits = [
            sum(weight[n] * support[q, n, c] for n in range(3)) + weight[3] * prior[q, c]
            for c in slots
        ]
        score = [float(table.candidate_score[q, c]) for c in slots]
        rest = max(0.0, 1 - sum(score)) if is_open else 0.0
        share = [s / (max(1, sum(score)) if is_open else sum(score)) for s in score]
        if not is_open:
            logits = [
                z + (weights.position[t, c] if c < weights.position.shape[1] else 0)
                for c, z in zip(slots, logits, strict=True)
            ]
        if is_open:
            logits, share = [*logits, none_bias[t]], [*share, rest]
        log_total = np.log(sum(np.exp(logits)))
        total -= sum(s * (z - log_total) for s, z in zip(share, logits, strict=True))
    return total


@pytest.mark.parametrize("open_queries", [False, True])
@pytest.mark.parametrize("n_positions", [0, 2, 4, 6])
def test_likelihood_agrees_with_naive_loops(open_queries: bool, n_positions: int) -> None:
    """Options without a bias of their position have none, and biases without an option count not.

    The same goes for candidates that are no options.
    """
    table = pool(PoolModel(accuracy=[[0.7, 0.5, 0.4], [0.3, 0.6, 0.5]], n_options=4), 50)
    table = as_open(table) if open_queries else table
    draw = seeded(3).standard_normal
    weights = Weights(draw((2, 4)), draw(2), draw((2, 4, 3)), draw((2, n_positions)))
    asked = seeded(4).random((50, 3)) < 0.6
    prior = draw((50, table.n_candidates)).astype(np.float32)
    value = choices_of(table, graded=False, asked=asked, prior=prior).loss(weights)[0]
    assert value == pytest.approx(naive_loss(table, weights, asked, prior), rel=1e-5)


@pytest.mark.parametrize("n_positions", [2, 4])
def test_gradient_of_positions_agrees_with_finite_differences(n_positions: int) -> None:
    """Of the likelihood itself, one bias of one task after the other."""
    table = pool(PoolModel(accuracy=[[0.7, 0.5, 0.4], [0.3, 0.6, 0.5]], n_options=4), 80)
    half = as_open(table)
    mixed = np.arange(80) % 4 == 0
    table = replace(
        table, kind=np.where(mixed, half.kind, table.kind),
        exists=np.where(mixed[:, None], half.exists, table.exists),
        candidate_score=np.where(mixed[:, None], half.candidate_score, table.candidate_score),
    )  # fmt: skip
    choices, draw = choices_of(table, graded=False), seeded(3).standard_normal
    weights = Weights(draw((2, 3)), draw(2), np.zeros((2, 3, 0)), draw((2, n_positions)))
    gradient = choices.loss(weights)[1].position
    assert gradient.shape == (2, n_positions)
    assert np.abs(gradient).min() > 0
    for task in range(2):
        for place in range(n_positions):
            ends = []
            for step in (1e-4, -1e-4):
                moved = weights.position.copy()
                moved[task, place] += step
                ends.append(choices.loss(weights._replace(position=moved))[0])
            rise = (ends[0] - ends[1]) / 2e-4
            assert gradient[task, place] == pytest.approx(rise, rel=1e-3, abs=1e-3)


def test_what_all_members_share_of_a_habit_is_learned_as_a_bias_of_its_position() -> None:
    """A likelihood without anything else: the bias is the logarithm of how often it is right."""
    table = pool(PoolModel(accuracy=[[0.5, 0.5]], n_options=4), 4000)
    share = np.array([0.4, 0.3, 0.2, 0.1])
    right = seeded(5).choice(4, size=4000, p=share)
    blind = replace(
        table, candidate_score=np.eye(4, dtype=np.float32)[right],
        answer=np.full_like(table.answer, -1), support=np.zeros_like(table.support),
    )  # fmt: skip
    log_odds = np.zeros((1, 2))
    model = WeightModel.from_log_odds(log_odds[0], log_odds, graded=False, n_positions=4)
    theta = model.fit(choices_of(blind, graded=False), 0.1, 1.0)
    position = model.weights(theta).position[0]
    expected = np.log(np.bincount(right) / 4000)
    np.testing.assert_allclose(position - position.mean(), expected - expected.mean(), atol=0.01)


def test_a_pair_that_always_agrees_counts_once_together_and_once_apart() -> None:
    """Two members give the same answer throughout, a third its own; all are right on 70 %."""
    table = pool(PoolModel(accuracy=[[0.7, 0.7, 0.7]], n_options=3), 3000)
    answer, support = table.answer.copy(), table.support.copy()
    answer[:, 1], support[:, 1] = answer[:, 0], support[:, 0]
    table = replace(table, answer=answer, support=support)
    log_odds = np.zeros((1, 3))
    model = WeightModel.from_log_odds(log_odds[0], log_odds, graded=False, company=True)
    asked = seeded(1).random((3000, 3)) < 0.6
    theta = model.fit(choices_of(table, graded=False, asked=asked), 1.0, 1.0)
    weight, _, company, _ = model.weights(theta)
    together = weight[0, 0] + weight[0, 1]
    alone = [weight[0, n] + company[0, n, 1 - n] for n in (0, 1)]
    assert together == pytest.approx(weight[0, 2], abs=0.2)
    for one in alone:
        assert one == pytest.approx(weight[0, 2], abs=0.2)


def test_parts_of_the_choices_add_up_to_the_whole() -> None:
    table = as_open(pool(PoolModel(accuracy=[[0.7, 0.5], [0.3, 0.6]]), 40))
    choices: Choices = choices_of(table, graded=False)
    draw = seeded(3).standard_normal
    weights = Weights(draw((2, 2)), draw(2), np.zeros((2, 2, 0)), np.zeros((2, 0)))
    wanted = seeded(5).random(40) < 0.4
    parts = [choices.take(wanted), choices.take(~wanted)]
    assert sum(p.loss(weights)[0] for p in parts) == pytest.approx(choices.loss(weights)[0])
    nothing = choices.take(np.zeros(40, dtype=bool))
    assert nothing.loss(weights)[0] == 0
    assert not len(nothing.each(weights))


def test_a_dominant_member_is_believed_against_the_vote() -> None:
    table = pool(DOMINANT, 1500)
    train, test = table.take(np.arange(1000)), table.take(np.arange(1000, 1500))
    outcome = replay(Stacking().fit(train, rng=seeded()), test)
    votes = test.support.sum(axis=1)
    plurality = test.candidate_score[np.arange(500), votes.argmax(axis=1)].mean()
    assert outcome.score.mean() > plurality + 0.1
    assert outcome.score.mean() > test.member_score[:, 0].mean() - 0.01
    assert (outcome.n_calls == 5).all()
    assert (outcome.n_rounds == 1).all()


def test_independent_errors_are_fused_as_well_as_bayes_would() -> None:
    table = pool(INDEPENDENT, 6000)
    train, test = table.take(np.arange(2000)), table.take(np.arange(2000, 6000))
    outcome = replay(Stacking().fit(train, rng=seeded()), test)
    p, k = np.array(INDEPENDENT.accuracy[0]), INDEPENDENT.n_options
    weight = np.log(p * (k - 1) / (1 - p))
    logit = np.einsum("n,qnc->qc", weight, test.support)
    bayes = test.candidate_score[np.arange(4000), logit.argmax(axis=1)].mean()
    assert outcome.score.mean() > bayes - 0.01
    # The posterior itself is right too, so confidence is calibrated.
    exact = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    assert outcome.confidence.mean() == pytest.approx(exact.max(axis=1).mean(), abs=0.02)


def test_weights_come_near_the_log_odds() -> None:
    strategy = Stacking().fit(pool(INDEPENDENT, 4000), rng=seeded())
    p, k = np.array(INDEPENDENT.accuracy[0]), INDEPENDENT.n_options
    np.testing.assert_allclose(strategy.weight_[0, 0], np.log(p * (k - 1) / (1 - p)), atol=0.25)


def test_experts_are_trusted_on_their_tasks() -> None:
    model = PoolModel(accuracy=[[0.9, 0.35, 0.35], [0.35, 0.9, 0.35]], shared_distractor=0.8)
    table = pool(model, 1200)
    train, test = table.take(np.arange(800)), table.take(np.arange(800, 1200))
    assert replay(Stacking().fit(train, rng=seeded()), test).score.mean() > 0.85


def test_a_lone_open_answer_is_not_certain() -> None:
    table = as_open(pool(PoolModel(accuracy=[[0.5, 0.4, 0.3]], n_options=20), 1500))
    strategy = Stacking().fit(table, rng=seeded())
    outcome = replay(strategy, table)
    assert outcome.confidence.mean() == pytest.approx(outcome.score.mean(), abs=0.02)
    apart = outcome.confidence < 0.99
    assert apart.mean() > 0.3


@pytest.mark.parametrize("graded", [False, True])
def test_permuting_candidates_permutes_the_result(graded: bool) -> None:
    table = pool(PoolModel(accuracy=[[0.7, 0.5, 0.4]], n_options=4), 200)
    table = blurred(table) if graded else table
    order = np.argsort(seeded(7).random((200, 4)), axis=1)
    back = np.argsort(order, axis=1)
    shuffled = replace(
        table,
        candidate_score=np.take_along_axis(table.candidate_score, order, axis=1),
        support=np.take_along_axis(table.support, order[:, None, :], axis=2),
        answer=np.take_along_axis(back, table.answer.astype(np.int64), axis=1).astype(np.int16),
    )
    one = fused(Stacking().fit(table, rng=seeded()), table)
    two = fused(Stacking().fit(shuffled, rng=seeded()), shuffled)
    np.testing.assert_allclose(np.take_along_axis(one, order, axis=1), two, atol=5e-3)


def test_permuting_members_changes_nothing() -> None:
    table = pool(PoolModel(accuracy=[[0.7, 0.5, 0.4], [0.4, 0.6, 0.8]]), 300)
    order = np.array([2, 0, 1])
    shuffled = replace(
        table,
        members=tuple(table.members[i] for i in order),
        answer=table.answer[:, order],
        support=table.support[:, order],
        cost=table.cost[:, order],
    )
    one = fused(Stacking().fit(table, rng=seeded()), table)
    two = fused(Stacking().fit(shuffled, rng=seeded()), shuffled)
    np.testing.assert_allclose(one, two, atol=5e-3)


def test_fit_is_deterministic_whatever_the_generator() -> None:
    table = pool(INDEPENDENT, 300)
    first = Stacking().fit(table, rng=seeded(1))
    second = Stacking().fit(table, rng=seeded(2))
    np.testing.assert_array_equal(first.weight_, second.weight_)


def test_a_task_without_training_queries_gets_the_overall_weights() -> None:
    table = pool(PoolModel(accuracy=[[0.9, 0.5, 0.4], [0.9, 0.5, 0.4], [0.9, 0.5, 0.4]]), 900)
    train, test = table.take(table.task != 2), table.take(table.task == 2)
    strategy = Stacking().fit(train, rng=seeded())
    np.testing.assert_allclose(strategy.weight_[2], strategy.weight_[:2].mean(axis=0), atol=0.5)
    assert replay(strategy, test).score.mean() > 0.85


def test_failed_members_are_left_out_and_silence_is_no_answer() -> None:
    table = pool(INDEPENDENT, 400)
    strategy = Stacking().fit(table, rng=seeded())
    answer, support = table.answer.copy(), table.support.copy()
    answer[:, 1:], support[:, 1:] = -1, 0
    alone = replay(strategy, replace(table, answer=answer, support=support))
    np.testing.assert_array_equal(alone.chosen, table.answer[:, 0])
    nothing = replace(table, answer=np.full_like(answer, -1), support=np.zeros_like(support))
    silent = replay(strategy, nothing)
    assert (silent.chosen == -1).all()
    assert (silent.confidence == 0).all()


def test_evidence_is_zero_without_support_and_one_at_full_support() -> None:
    support = np.array([[[0.0, 1.0, 0.5]]], dtype=np.float32)
    signal = evidence(support, graded=True)
    np.testing.assert_allclose(signal[0, 0], [0, 1, 0.5])
    np.testing.assert_allclose(signal[0, 1], [0, 1, np.log(51) / np.log(101)], rtol=1e-5)


def test_score_only_data_are_refused_with_the_reason() -> None:
    table = pool(PoolModel(accuracy=[[0.5, 0.5]], n_options=2), 20)
    own = np.tile(np.arange(2, dtype=np.int16), (20, 1))
    table = replace(
        table,
        kind=np.full(20, CandidateKind.RESPONSES, dtype=np.int8),
        answer=own,
        support=(own[:, :, None] == np.arange(2)).astype(np.float32),
    )
    assert unmet(Stacking(), table) == Need.ANSWERS.value
    # Among other queries such rows do no harm: the better member is learned.
    fractional = replace(
        table, candidate_score=np.tile(np.array([0.2, 0.7], dtype=np.float32), (20, 1))
    )
    assert (replay(Stacking().fit(fractional, rng=seeded()), fractional).chosen == 1).all()


def test_few_training_queries_are_enough() -> None:
    table = pool(INDEPENDENT, 40)
    for n_queries in (1, 2, 31):
        strategy = Stacking().fit(table.take(np.arange(n_queries)), rng=seeded())
        assert (replay(strategy, table).chosen >= 0).all()


@pytest.mark.parametrize("penalties", [(), ((0.0, 1.0),), ((1.0, -1.0),), ((float("nan"), 1.0),)])
def test_settings_out_of_range_are_refused(penalties: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="penalties"):
        Stacking(penalties=penalties)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_weights_doubled_along_any_axis_are_refused(axis: int) -> None:
    table = pool(INDEPENDENT, 40)
    strategy = Stacking().fit(table, rng=seeded())
    state = strategy.state()
    state["weight"] = np.concatenate([state["weight"]] * 2, axis=axis)

    def read() -> None:
        axes = {"N": table.n_members, "T": len(table.tasks)}
        check_state(state, strategy.layout(state), axes)
        Stacking().restore(state)

    with pytest.raises(CheckpointError, match="'weight'"):
        read()
