from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rlfocal.diversity import FailureCounts, masks_from_codes
from rlfocal.diversity.focal import count_triples


def naive_focal_diversity(failed: list[list[bool]], ensemble: list[int]) -> float:
    """The definition, query by query, in exact fractions."""
    size = len(ensemble)
    if size < 2:
        return 0.0
    rhos = []
    for focal in ensemble:
        ks = [sum(row[n] for n in ensemble) for row in failed if row[focal]]
        if ks:
            expected_pairs = Fraction(sum(k * (k - 1) for k in ks), len(ks))
            expected = Fraction(sum(ks), len(ks))
            rhos.append(1 - expected_pairs / ((size - 1) * expected))
    return float(sum(rhos) / len(rhos)) if rhos else 0.0


def naive_for_all_codes(failed: np.ndarray) -> np.ndarray:
    n = failed.shape[1]
    rows = failed.tolist()
    return np.array(
        [
            naive_focal_diversity(rows, [i for i in range(n) if code >> i & 1])
            for code in range(1 << n)
        ]
    )


failures = st.integers(1, 6).flatmap(
    lambda n: st.integers(0, 70).flatmap(lambda q: arrays(np.bool_, (q, n)))
)
"""bool[Q, N]; Q crosses a 64-bit word."""


@settings(deadline=None, max_examples=25)
@given(failed=failures)
def test_triple_counts_are_those_of_a_loop(failed):
    n = failed.shape[1]
    counted = count_triples(failed)
    for f, j, m in product(range(n), repeat=3):
        assert counted[f, j, m] == sum(row[f] and row[j] and row[m] for row in failed.tolist())


def test_counting_in_chunks_gives_the_same_counts(rng, monkeypatch):
    failed = rng.random((1000, 7)) < rng.uniform(0, 1, 7)
    whole = count_triples(failed)
    monkeypatch.setattr("rlfocal.diversity.focal.CHUNK_WORDS", 3 * 28)  # 28 pairs, 3 words a chunk
    np.testing.assert_array_equal(count_triples(failed), whole)
    np.testing.assert_array_equal(whole, np.einsum("qf,qj,ql->fjl", *[failed.astype(np.int64)] * 3))


@settings(deadline=None, max_examples=25)
@given(failed=failures)
def test_single_block_and_all_agree_with_the_definition(failed):
    n = failed.shape[1]
    counts = FailureCounts.from_failed(failed)
    expected = naive_for_all_codes(failed)
    masks = masks_from_codes(np.arange(1 << n), n)
    np.testing.assert_allclose(counts.focal(masks), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(counts.focal_of_all(), expected, rtol=0, atol=1e-12)
    one_by_one = [counts.focal_diversity(mask) for mask in masks]
    np.testing.assert_allclose(one_by_one, expected, rtol=0, atol=1e-12)


def test_a_realistic_pool_agrees_with_the_definition(rng):
    hard = rng.normal(size=(400, 1))
    failed = rng.normal(size=(400, 8)) + hard < rng.normal(size=8) - 0.5
    failed[:, 3] = False  # a member that never fails
    failed[:, 5] = failed[:, 4]
    counts = FailureCounts.from_failed(failed)
    np.testing.assert_allclose(
        counts.focal_of_all(), naive_for_all_codes(failed), rtol=0, atol=1e-12
    )


def test_scoring_in_small_blocks_changes_nothing(rng, monkeypatch):
    failed = rng.random((300, 9)) < 0.4
    counts = FailureCounts.from_failed(failed)
    masks = rng.random((50, 9)) < 0.5
    block, enumerated = counts.focal(masks), counts.focal_of_all()
    monkeypatch.setattr("rlfocal.diversity.focal.BLOCK_FLOATS", 36 * 7)
    np.testing.assert_allclose(counts.focal(masks), block, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(counts.focal_of_all(), enumerated)  # one focal member at a time


def test_hand_values():
    # Queries (rows) failed by: a and b; a; b; a and c; nobody.
    failed = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0]], dtype=bool)
    counts = FailureCounts.from_failed(failed)
    # {a, b}: a fails three queries with k = 2, 1, 1: rho = 1 - 2 / 4;
    # b fails with k = 2, 1: rho = 1 - 2 / 3.
    assert counts.focal_diversity(np.array([True, True, False])) == pytest.approx(
        (1 / 2 + 1 / 3) / 2
    )
    # {a, b, c}: a: k = 2, 1, 2: 1 - 4 / (2 * 5); b: k = 2, 1: 1 - 2 / (2 * 3); c: k = 2: 1 - 2 / 4.
    assert counts.focal_diversity(np.ones(3, bool)) == pytest.approx((3 / 5 + 2 / 3 + 1 / 2) / 3)
    assert counts.pairs.tolist() == [[3, 1, 1], [1, 2, 0], [1, 0, 1]]


def test_members_that_never_fail_together_score_one():
    failed = np.eye(4, dtype=bool)
    scores = FailureCounts.from_failed(failed).focal_of_all()
    sizes = masks_from_codes(np.arange(16), 4).sum(axis=1)
    np.testing.assert_array_equal(scores, (sizes >= 2).astype(float))


@pytest.mark.parametrize("copies", [2, 3, 7])
def test_copies_of_one_member_score_zero_exactly(copies, rng):
    failed = np.repeat(rng.random((101, 1)) < 0.3, copies, axis=1)
    counts = FailureCounts.from_failed(failed)
    assert counts.focal_diversity(np.ones(copies, bool)) == 0.0
    assert counts.focal_of_all().max() == 0.0


def test_a_member_that_never_fails_is_left_out_of_the_mean():
    # a fails twice, b never: only a is focal, with k = 1 both times, so rho_a = 1.
    failed = np.array([[1, 0], [1, 0], [0, 0]], dtype=bool)
    counts = FailureCounts.from_failed(failed)
    assert counts.focal_diversity(np.array([True, True])) == 1.0
    assert counts.focal_of_all().tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("failed", [np.zeros((5, 3), bool), np.zeros((0, 3), bool)])
def test_without_any_failure_nothing_was_seen_to_differ(failed):
    counts = FailureCounts.from_failed(failed)
    assert counts.focal(np.ones((2, 3), bool)).tolist() == [0.0, 0.0]
    assert counts.focal_of_all().tolist() == [0.0] * 8


def test_fewer_than_two_members_score_zero(rng):
    counts = FailureCounts.from_failed(rng.random((20, 3)) < 0.5)
    few = np.vstack([np.zeros((1, 3), bool), np.eye(3, dtype=bool)])
    assert counts.focal(few).tolist() == [0.0] * 4
    assert FailureCounts.from_failed(rng.random((20, 1)) < 0.5).focal_of_all().tolist() == [0, 0]


def test_an_empty_block_has_no_scores(rng):
    counts = FailureCounts.from_failed(rng.random((20, 3)) < 0.5)
    assert counts.focal(np.zeros((0, 3), bool)).shape == (0,)


@settings(deadline=None, max_examples=25)
@given(failed=failures, seed=st.integers(0, 99))
def test_laws(failed, seed):
    n = failed.shape[1]
    shuffle = np.random.default_rng(seed)
    scores = FailureCounts.from_failed(failed).focal_of_all()
    assert scores.min() >= 0
    assert scores.max() <= 1
    # The order of the queries carries no meaning, nor does that of the members.
    reordered = FailureCounts.from_failed(failed[shuffle.permutation(len(failed))])
    np.testing.assert_array_equal(reordered.focal_of_all(), scores)
    order = shuffle.permutation(n)
    masks = masks_from_codes(np.arange(1 << n), n)
    renamed = FailureCounts.from_failed(failed[:, order])
    np.testing.assert_allclose(renamed.focal(masks[:, order]), scores, rtol=0, atol=1e-12)
    # Queries that nobody fails, and asking every query twice, change nothing.
    padded = np.vstack([failed, failed, np.zeros((3, n), bool)])
    np.testing.assert_allclose(
        FailureCounts.from_failed(padded).focal_of_all(), scores, rtol=0, atol=1e-12
    )


def test_counts_beyond_float32_are_exact():
    # 2^24 + 2 queries that both fail: a float32 sum of ones would stop at 2^24.
    n_queries = 2**24 + 2
    failed = np.ones((n_queries, 2), bool)
    failed[-1, 1] = False
    counts = FailureCounts.from_failed(failed)
    assert counts.pairs.tolist() == [[n_queries, n_queries - 1], [n_queries - 1, n_queries - 1]]


def test_twenty_members_are_enumerated_and_no_more(rng):
    failed = rng.random((64, 20)) < 0.3
    counts = FailureCounts.from_failed(failed)
    scores = counts.focal_of_all()
    assert scores.shape == (2**20,)
    codes = rng.integers(0, 2**20, 500)
    np.testing.assert_allclose(
        scores[codes], counts.focal(masks_from_codes(codes, 20)), rtol=0, atol=1e-12
    )
    with pytest.raises(ValueError, match="20 members; search"):
        FailureCounts.from_failed(np.zeros((1, 21), bool)).focal_of_all()


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="threshold it first"):
        FailureCounts.from_failed(np.array([[0.2, 1.0]]))
    with pytest.raises(ValueError, match=r"bool\[Q, N\]"):
        FailureCounts.from_failed(np.zeros(3, bool))
    counts = FailureCounts.from_failed(np.zeros((4, 3), bool))
    for wrong in (np.ones((2, 2), bool), np.ones(3, bool), np.ones((2, 3))):
        with pytest.raises(ValueError, match=r"masks must be bool\[B, 3\]"):
            counts.focal(wrong)


def test_codes_are_checked():
    with pytest.raises(ValueError, match=r"0\.\.7"):
        masks_from_codes(np.array([8]), 3)
    with pytest.raises(ValueError, match=r"0\.\.7"):
        masks_from_codes(np.array([-1]), 3)
    with pytest.raises(ValueError, match="n_members"):
        masks_from_codes(np.array([0]), 63)
    assert masks_from_codes(np.zeros(0, np.int64), 3).shape == (0, 3)
