from __future__ import annotations

import numpy as np
import pytest

from rlfocal.bench.summaries.subsets import SubsetScores, draw_masks, score_subsets
from rlfocal.records import ResponseTable, build_table, demo_dataset


@pytest.mark.parametrize(("n_members", "n_masks"), [(2, 1), (5, 26), (10, 1013)])
def test_small_pools_are_enumerated(n_members: int, n_masks: int) -> None:
    masks, is_sample = draw_masks(n_members, rng=np.random.default_rng(0))
    assert not is_sample
    assert masks.shape == (n_masks, n_members)
    assert len(np.unique(masks, axis=0)) == n_masks


def test_large_pools_are_sampled_over_all_sizes_and_repeatably() -> None:
    masks, is_sample = draw_masks(28, rng=np.random.default_rng(3))
    again, _ = draw_masks(28, rng=np.random.default_rng(3))
    assert is_sample
    assert set(masks.sum(axis=1).tolist()) == set(range(2, 29))
    assert np.array_equal(masks, again)


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return build_table(demo_dataset(600))


def scores(focal: list[float], vote: list[float], member_mean: list[float]) -> SubsetScores:
    n = len(focal)
    return SubsetScores(
        size=np.full(n, 3), focal=np.array(focal), vote=np.array(vote),
        member_mean=np.array(member_mean), is_sample=False, n_queries=100,
    )  # fmt: skip


def test_partial_correlation_takes_member_accuracy_out() -> None:
    rng = np.random.default_rng(1)
    mean = rng.normal(size=4000)
    # Both follow member accuracy and nothing else: correlated, but not once that is given.
    found = scores(
        (mean + 0.3 * rng.normal(size=4000)).tolist(),
        (mean + 0.3 * rng.normal(size=4000)).tolist(),
        mean.tolist(),
    )
    assert found.correlations()[3] > 0.85
    assert abs(found.correlations(given_members=True)[3]) < 0.06


def test_sizes_without_spread_or_with_few_subsets_have_no_correlation() -> None:
    assert scores([0.1] * 6, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.5] * 6).correlations() == {}
    assert scores([0.1, 0.2], [0.3, 0.4], [0.5, 0.5]).correlations() == {}


def test_members_equally_accurate_leave_the_correlation_as_it_is() -> None:
    found = scores([0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.4, 0.6, 0.7, 0.9], [0.5] * 5)
    assert found.correlations() == pytest.approx(found.correlations(given_members=True))


def test_scored_subsets_cover_the_pool(table: ResponseTable) -> None:
    found = score_subsets(table, rng=np.random.default_rng(0))
    assert found is not None
    assert len(found.size) == 2**table.n_members - table.n_members - 1
    assert found.n_queries == table.n_queries
    everyone = found.size == table.n_members
    assert found.member_mean[everyone] == pytest.approx(table.member_score.mean(), abs=1e-6)
