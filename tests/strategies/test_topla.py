"""LLM-TOPLA: the subset by focal score, and a fusion that learns more than a vote."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.replay import replay
from rlfocal.diversity.focal import FailureCounts
from rlfocal.records import CandidateKind, PoolModel, build_table, simulate
from rlfocal.strategies import topla
from rlfocal.strategies.candidate_mlp import CandidateMlp, _Net, _Pairs, candidate_features
from rlfocal.strategies.static import VoteAccuracy
from rlfocal.strategies.topla import Topla
from rlfocal.strategies.voting import rank_members


def _masks(n_members, least):
    masks = (np.arange(1 << n_members)[:, None] >> np.arange(n_members) & 1).astype(bool)
    return masks[masks.sum(axis=1) >= least]


@pytest.mark.parametrize("focal_weight", [0.0, 0.5, 1.0])
def test_the_subset_has_the_best_focal_score_of_all(make_table, rng, focal_weight):
    table = make_table(seed=1, n_members=6)
    masks = _masks(6, least=2)
    focal = FailureCounts.from_failed(table.failed).focal(masks)
    accuracy = VoteAccuracy(table, rank_members(table))(masks)
    score = focal_weight * focal + (1 - focal_weight) * accuracy
    mask = Topla(focal_weight=focal_weight).fit(table, rng=rng).mask_
    chosen = score[(masks == mask).all(axis=1)]
    assert chosen[0] == pytest.approx(score.max(), abs=1e-9)


def test_large_pools_are_searched(make_table, rng, monkeypatch):
    table = make_table(seed=1, n_members=6)
    exact = Topla().fit(table, rng=rng).mask_
    monkeypatch.setattr(topla, "is_enumerable", lambda n_members, n_answers: False)
    assert np.array_equal(Topla().fit(table, rng=rng).mask_, exact)


def test_same_seed_same_result(make_table):
    train, test = make_table(seed=1), make_table(seed=2)
    runs = [replay(Topla().fit(train, rng=np.random.default_rng(3)), test) for _ in range(2)]
    assert np.array_equal(runs[0].confidence, runs[1].confidence)


def test_fusion_is_no_worse_than_the_best_member_and_calibrated():
    rng = np.random.default_rng(0)
    model = PoolModel(accuracy=[[0.75, 0.7, 0.65]], n_options=4, correlation=0.3)
    train = build_table(simulate(model, 1500, rng=rng))
    test = build_table(simulate(model, 1500, rng=rng))
    outcome = replay(Topla(focal_weight=0).fit(train, rng=rng), test)
    assert outcome.score.mean() >= test.member_score.mean(axis=0).max() - 0.01
    # Early stopping on held-out likelihood keeps confidence honest.
    assert outcome.confidence.mean() == pytest.approx(outcome.score.mean(), abs=0.04)


def test_open_answers_without_any_right_one_are_left_out(make_table, rng):
    table = make_table(CandidateKind.ANSWERS, seed=1)
    hopeless = replace(table, candidate_score=np.zeros_like(table.candidate_score))
    outcome = replay(Topla().fit(hopeless, rng=rng), table)
    assert (outcome.chosen >= 0).any()


def test_features_are_own_support_strongest_rival_and_answered():
    support = np.array([[[0.7, 0.2, 0.1], [0, 0, 0]]], dtype=np.float32)
    answered = np.array([[True, False]])
    features = candidate_features(support, answered)
    expected = [[0.7, 0, 0.2, 0, 1, 0], [0.2, 0, 0.7, 0, 1, 0], [0.1, 0, 0.7, 0, 1, 0]]
    np.testing.assert_allclose(features[0], expected, rtol=1e-6)


def test_the_gradient_is_that_of_the_likelihood(rng):
    x = rng.normal(size=(6, 3, 4))
    allowed = rng.random((6, 3)) < 0.8
    right = np.zeros((6, 3), dtype=bool)
    right[:, 1] = allowed[:, 1] = True
    pairs = _Pairs.of(x, allowed, right)
    parts = [rng.normal(size=4), rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=5)]

    def loss(parts):
        total = 0.0
        net = _Net(*parts)
        for q in range(6):
            logit = net.logits(x[q])[allowed[q]]
            chance = np.exp(logit) / np.exp(logit).sum()
            total -= np.log(chance[right[q][allowed[q]]].sum())
        return total / 6

    for which, slope in enumerate(_Net(*parts).gradient(pairs)):
        for at in np.ndindex(slope.shape):
            moved = [[part.copy() for part in parts] for _ in range(2)]
            moved[0][which][at] += 1e-5
            moved[1][which][at] -= 1e-5
            expected = (loss(moved[0]) - loss(moved[1])) / 2e-5
            assert slope[at] == pytest.approx(expected, abs=1e-5)


def test_the_order_of_candidates_means_nothing(rng):
    support = rng.dirichlet(np.ones(4), size=(50, 3)).astype(np.float32)
    answered = np.ones((50, 3), dtype=bool)
    right = np.arange(4) == rng.integers(4, size=50)[:, None]
    scorer = CandidateMlp.fit(
        support, answered, right, allowed=np.ones((50, 4), dtype=bool),
        group=np.arange(50), start=np.ones(3), rng=rng,
    )  # fmt: skip
    order = np.array([2, 0, 3, 1])
    logits = scorer.logits(support, answered)
    shuffled = scorer.logits(np.ascontiguousarray(support[:, :, order]), answered)
    np.testing.assert_allclose(shuffled, logits[:, order], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", [{"focal_weight": 2}, {"focal_weight": -1}, {"n_hidden": 0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        Topla(**settings)
