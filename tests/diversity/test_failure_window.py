from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.diversity import FailureCounts, SlidingFailureCounts


@settings(deadline=None, max_examples=25)
@given(
    window=st.integers(1, 12),
    batches=st.lists(st.integers(0, 20), min_size=1, max_size=8),
    seed=st.integers(0, 999),
)
def test_every_window_equals_one_counted_afresh(window, batches, seed):
    rng = np.random.default_rng(seed)
    sliding = SlidingFailureCounts(4, window=window)
    seen = np.zeros((0, 4), bool)
    masks = rng.random((6, 4)) < 0.6
    for size in batches:
        rows = rng.random((size, 4)) < 0.5
        sliding.push(rows)
        seen = np.concatenate([seen, rows])
        latest = seen[-window:]
        counts = sliding.counts()
        loop = np.zeros((4, 4, 4), int)
        for row in latest:
            for f in np.flatnonzero(row):
                loop[f] += np.outer(row, row)
        np.testing.assert_array_equal(counts.triples, loop)
        assert counts.n_queries == len(sliding) == len(latest)
        np.testing.assert_array_equal(
            counts.focal(masks), FailureCounts.from_failed(latest).focal(masks)
        )


def test_a_long_stream_leaves_no_residue(rng):
    sliding = SlidingFailureCounts(3, window=50)
    for _ in range(200):
        sliding.push(rng.random((7, 3)) < 0.5)
    sliding.push(np.zeros((50, 3), bool))
    assert not sliding.counts().triples.any()
    assert sliding.counts().focal_diversity(np.ones(3, bool)) == 0.0


def test_a_snapshot_stays_as_it_was(rng):
    sliding = SlidingFailureCounts(3, window=5)
    sliding.push(np.ones((2, 3), bool))
    before = sliding.counts()
    sliding.push(np.ones((2, 3), bool))
    assert before.triples.max() == 2
    assert before.n_queries == 2
    assert sliding.counts().triples.max() == 4


def test_pushed_rows_may_be_changed_afterwards():
    rows = np.ones((2, 2), bool)
    sliding = SlidingFailureCounts(2, window=2)
    sliding.push(rows)
    rows[:] = False
    sliding.push(np.zeros((2, 2), bool))
    assert not sliding.counts().triples.any()


def test_an_empty_window_scores_zero():
    counts = SlidingFailureCounts(3, window=4).counts()
    assert counts.n_queries == 0
    assert counts.focal(np.ones((1, 3), bool)).tolist() == [0.0]


def test_caller_mistakes_are_refused():
    with pytest.raises(ValueError, match=">= 1"):
        SlidingFailureCounts(3, window=0)
    with pytest.raises(ValueError, match=">= 1"):
        SlidingFailureCounts(0, window=3)
    with pytest.raises(ValueError, match="3 members, got 2"):
        SlidingFailureCounts(3, window=4).push(np.ones((1, 2), bool))
