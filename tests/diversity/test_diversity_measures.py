from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rlfocal.diversity import (
    MEASURES,
    PAIRWISE,
    entropy,
    fleiss_kappa,
    generalised_diversity,
    masks_from_codes,
    pair_counts,
)

# -- naive versions: one pair or one ensemble at a time, straight from the definitions ------------


def table(a, b):
    right = [(not x, not y) for x, y in zip(a, b, strict=True)]
    return [right.count(cell) for cell in [(1, 1), (1, 0), (0, 1), (0, 0)]]


def naive_q(a, b):
    n11, n10, n01, n00 = table(a, b)
    if n11 * n00 + n01 * n10 == 0:
        return -1.0 if a == b else 0.0
    return -(n11 * n00 - n01 * n10) / (n11 * n00 + n01 * n10)


def naive_correlation(a, b):
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    variances = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    if len(set(a)) == 1 or len(set(b)) == 1:
        return -1.0 if a == b else 0.0
    return -covariance / math.sqrt(variances)


def naive_kappa(a, b):
    q = len(a)
    observed = sum(x == y for x, y in zip(a, b, strict=True)) / q
    chance = sum(a) / q * sum(b) / q + (1 - sum(a) / q) * (1 - sum(b) / q)
    if len(set(a)) == 1 and a == b:
        return -1.0
    return -(observed - chance) / (1 - chance)


def naive_disagreement(a, b):
    return sum(x != y for x, y in zip(a, b, strict=True)) / len(a)


def naive_double_fault(a, b):
    return 1 - sum(x and y for x, y in zip(a, b, strict=True)) / len(a)


NAIVE_PAIRWISE = {
    "q-statistic": naive_q,
    "correlation": naive_correlation,
    "disagreement": naive_disagreement,
    "kappa": naive_kappa,
    "double-fault": naive_double_fault,
}


def naive_mean_pairwise(name):
    def score(columns):
        pairs = [NAIVE_PAIRWISE[name](a, b) for a, b in combinations(columns, 2)]
        return sum(pairs) / len(pairs)

    return score


def ks(columns):
    return [sum(answers) for answers in zip(*columns, strict=True)]


def naive_fleiss(columns):
    """Fleiss' own form: two categories, S raters, Q subjects."""
    s, q = len(columns), len(columns[0])
    share = sum(ks(columns)) / (s * q)
    if share in (0, 1):
        return -1.0
    agreement = sum((k * (k - 1) + (s - k) * (s - k - 1)) / (s * (s - 1)) for k in ks(columns)) / q
    chance = share**2 + (1 - share) ** 2
    return -(agreement - chance) / (1 - chance)


def naive_entropy(columns):
    s = len(columns)
    return sum(min(k, s - k) / (s - math.ceil(s / 2)) for k in ks(columns)) / len(columns[0])


def naive_generalised(columns):
    s, q = len(columns), len(columns[0])
    p = [ks(columns).count(k) / q for k in range(s + 1)]
    p1 = sum(k / s * p[k] for k in range(s + 1))
    p2 = sum(k * (k - 1) / (s * (s - 1)) * p[k] for k in range(s + 1))
    return 1 - p2 / p1 if p1 else 0.0


def naive_focal(columns):
    s = len(columns)
    rhos = []
    for focal in columns:
        k = [count for count, fails in zip(ks(columns), focal, strict=True) if fails]
        if k:
            rhos.append(1 - sum(c * (c - 1) for c in k) / ((s - 1) * sum(k)))
    return sum(rhos) / len(rhos) if rhos else 0.0


NAIVE_ENSEMBLE = {
    "focal-diversity": naive_focal,
    "generalised-diversity": naive_generalised,
    "entropy": naive_entropy,
    "fleiss-kappa": naive_fleiss,
    **{name: naive_mean_pairwise(name) for name in NAIVE_PAIRWISE},
}

failures = st.integers(1, 5).flatmap(
    lambda n: st.integers(1, 30).flatmap(lambda q: arrays(np.bool_, (q, n)))
)


def every_mask(n):
    return masks_from_codes(np.arange(1 << n), n)


# -- agreement ------------------------------------------------------------------------------------


def test_every_measure_has_a_naive_version():
    assert NAIVE_PAIRWISE.keys() == PAIRWISE.keys()
    assert NAIVE_ENSEMBLE.keys() == MEASURES.keys()


@pytest.mark.parametrize("name", PAIRWISE)
@settings(deadline=None, max_examples=12)
@given(failed=failures)
def test_pairwise_measures_agree_with_loops(name, failed):
    columns = failed.T.tolist()
    expected = [[NAIVE_PAIRWISE[name](a, b) for b in columns] for a in columns]
    np.testing.assert_allclose(PAIRWISE[name](pair_counts(failed)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@settings(deadline=None, max_examples=12)
@given(failed=failures)
def test_ensemble_measures_agree_with_loops(name, failed):
    masks = every_mask(failed.shape[1])
    expected = [
        NAIVE_ENSEMBLE[name](failed[:, mask].T.tolist())
        if mask.sum() >= 2
        else MEASURES[name].low  # the convention: nothing to differ from
        for mask in masks
    ]
    np.testing.assert_allclose(MEASURES[name](failed, masks), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_ensemble_measures_agree_on_a_realistic_pool(name, rng):
    failed = rng.normal(size=(300, 7)) + rng.normal(size=(300, 1)) < rng.normal(size=7) - 0.5
    masks = every_mask(7)[rng.permutation(128)[:40]]
    masks = masks[masks.sum(axis=1) >= 2]
    expected = [NAIVE_ENSEMBLE[name](failed[:, mask].T.tolist()) for mask in masks]
    np.testing.assert_allclose(MEASURES[name](failed, masks), expected, rtol=0, atol=1e-12)


def test_blocks_do_not_change_entropy_nor_chunks_the_counts(rng, monkeypatch):
    failed = rng.random((50, 5)) < 0.4
    before, counts = entropy(failed, every_mask(5)), pair_counts(failed)
    monkeypatch.setattr("rlfocal.diversity.ensemble.BLOCK_FLOATS", 150)
    monkeypatch.setattr("rlfocal.diversity.pairwise.CHUNK_QUERIES", 7)
    np.testing.assert_array_equal(entropy(failed, every_mask(5)), before)
    np.testing.assert_array_equal(pair_counts(failed), counts)


# -- hand values ----------------------------------------------------------------------------------


def test_pairwise_hand_values():
    # N11 = 4, N10 = 1, N01 = 2, N00 = 3 of 10 queries.
    failed = np.array([[0, 0]] * 4 + [[0, 1]] + [[1, 0]] * 2 + [[1, 1]] * 3, dtype=bool)
    counts = pair_counts(failed)
    assert [count[0, 1] for count in counts] == [4, 1, 2, 3]
    assert [count[1, 0] for count in counts] == [4, 2, 1, 3]
    found = {name: measure(counts)[0, 1] for name, measure in PAIRWISE.items()}
    assert found == pytest.approx(
        {
            "q-statistic": -(12 - 2) / (12 + 2),
            "correlation": -(12 - 2) / math.sqrt(5 * 5 * 6 * 4),
            "disagreement": 0.3,
            "kappa": -(0.7 - (0.5 * 0.4 + 0.5 * 0.6)) / (1 - 0.5),
            "double-fault": 0.7,
        }
    )


def test_ensemble_hand_values():
    # k = 0, 1, 2, 3 of three members on four queries.
    failed = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]], dtype=bool)
    whole = np.ones((1, 3), bool)
    assert entropy(failed, whole)[0] == pytest.approx((0 + 1 + 1 + 0) / 4)
    # p(1) = 6 / 12, p(2) = (0 + 0 + 2 + 6) / (4 * 6)
    assert generalised_diversity(failed, whole)[0] == pytest.approx(1 - (8 / 24) / (6 / 12))
    # 1 - kappa = E[k (S-k)] / (S (S-1) p (1-p)) = (4 / 4) / (6 / 4) = 2 / 3
    assert fleiss_kappa(failed, whole)[0] == pytest.approx(-1 / 3)


# -- laws -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRWISE)
@settings(deadline=None, max_examples=12)
@given(failed=failures)
def test_pairwise_laws(name, failed):
    matrix = PAIRWISE[name](pair_counts(failed))
    low = MEASURES[name].low
    assert matrix.min() >= low
    assert matrix.max() <= MEASURES[name].high
    np.testing.assert_array_equal(matrix, matrix.T)
    own = np.diag(matrix)
    assert (matrix >= own[:, None] - 1e-12).all()  # nobody differs less from a member than itself
    if name != "double-fault":  # which rewards accuracy too
        np.testing.assert_array_equal(own, low)
    else:
        np.testing.assert_allclose(own, 1 - failed.mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
@settings(deadline=None, max_examples=12)
@given(failed=failures, seed=st.integers(0, 99))
def test_ensemble_laws(name, failed, seed):
    measure, n = MEASURES[name], failed.shape[1]
    masks = every_mask(n)
    scores = measure(failed, masks)
    assert scores.min() >= measure.low
    assert scores.max() <= measure.high + 1e-12
    shuffle = np.random.default_rng(seed)
    queries, members = shuffle.permutation(len(failed)), shuffle.permutation(n)
    np.testing.assert_allclose(measure(failed[queries], masks), scores, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        measure(failed[:, members], masks[:, members]), scores, rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        measure(np.vstack([failed, failed]), masks), scores, rtol=0, atol=1e-12
    )
    # A member outside the ensemble changes nothing.
    wider = np.hstack([failed, shuffle.random((len(failed), 1)) < 0.5])
    outside = np.hstack([masks, np.zeros((len(masks), 1), bool)])
    np.testing.assert_allclose(measure(wider, outside), scores, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_identical_members_are_least_diverse(name, rng):
    one = rng.random((80, 1)) < 0.35
    copies = np.repeat(one, 4, axis=1)
    whole = np.ones((1, 4), bool)
    score = MEASURES[name](copies, whole)[0]
    if name == "double-fault":
        assert score == pytest.approx(1 - one.mean())
    else:
        assert score == MEASURES[name].low
    # Shifting the failures of one copy away from the others' can only raise it.
    copies[:, 0] = np.roll(copies[:, 0], 1)
    assert MEASURES[name](copies, whole)[0] > score


# -- 0/0 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["q-statistic", "correlation", "kappa"])
def test_constant_members_are_alike_if_identical_else_unrelated(name):
    never, always, sometimes = [0, 0, 0], [1, 1, 1], [0, 1, 0]
    failed = np.array([never, never, always, always, sometimes], dtype=bool).T
    matrix = PAIRWISE[name](pair_counts(failed))
    np.testing.assert_array_equal(
        matrix,
        [
            [-1, -1, 0, 0, 0],
            [-1, -1, 0, 0, 0],
            [0, 0, -1, -1, 0],
            [0, 0, -1, -1, 0],
            [0, 0, 0, 0, -1],
        ],
    )


@pytest.mark.parametrize(
    ("name", "nobody_fails", "all_fail"),
    [
        ("focal-diversity", 0, 0),
        ("generalised-diversity", 0, 0),
        ("entropy", 0, 0),
        ("fleiss-kappa", -1, -1),
        ("q-statistic", -1, -1),
        ("correlation", -1, -1),
        ("kappa", -1, -1),
        ("disagreement", 0, 0),
        ("double-fault", 1, 0),
    ],
)
def test_pools_without_any_contrast(name, nobody_fails, all_fail):
    whole = np.ones((1, 3), bool)
    assert MEASURES[name](np.zeros((4, 3), bool), whole).tolist() == [nobody_fails]
    assert MEASURES[name](np.ones((4, 3), bool), whole).tolist() == [all_fail]


@pytest.mark.parametrize("name", MEASURES)
def test_fewer_than_two_members_get_the_low_end(name, rng):
    failed = rng.random((20, 3)) < 0.5
    few = np.vstack([np.zeros((1, 3), bool), np.eye(3, dtype=bool)])
    assert MEASURES[name](failed, few).tolist() == [MEASURES[name].low] * 4


@pytest.mark.parametrize("name", MEASURES)
def test_wrong_arrays_are_refused(name):
    whole = np.ones((1, 3), bool)
    with pytest.raises(ValueError, match="at least 1 quer"):
        MEASURES[name](np.zeros((0, 3), bool), whole)
    with pytest.raises(ValueError, match="failed must be bool"):
        MEASURES[name](np.zeros((4, 3)), whole)
    with pytest.raises(ValueError, match=r"masks must be bool\[B, 3\]"):
        MEASURES[name](np.zeros((4, 3), bool), np.ones((1, 2), bool))
