from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats

from rlfocal.bench.figures.scores import Scores, scores
from rlfocal.bench.statistics import (
    accuracy_at,
    bootstrap_means,
    frontier,
    gap_closed,
)


def correlated(rng: np.random.Generator, n_queries: int, accuracy: list[float]) -> np.ndarray:
    """float64[Q, P] of rights and wrongs that share most of a latent difficulty."""
    latent = 0.9 * rng.standard_normal((n_queries, 1)) + 0.436 * rng.standard_normal(
        (n_queries, len(accuracy))
    )
    return (latent < scipy.stats.norm.ppf(accuracy)).astype(float)


def test_intervals_agree_with_scipy(rng: np.random.Generator) -> None:
    values = correlated(rng, 500, [0.7, 0.6])
    means = bootstrap_means(values, np.arange(500), n_resamples=4000)
    theirs = scipy.stats.bootstrap(
        (values[:, 0] - values[:, 1],), np.mean, n_resamples=4000, method="percentile", rng=rng
    ).confidence_interval
    ours = means.difference(0, 1)
    assert ours.value == pytest.approx((values[:, 0] - values[:, 1]).mean(), abs=1e-9)
    assert ours.ci == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_intervals_agree_with_the_normal_approximation(rng: np.random.Generator) -> None:
    values = rng.random((2000, 1))
    estimate = bootstrap_means(values, np.arange(2000)).mean(0)
    half = 1.96 * values.std() / np.sqrt(2000)
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_intervals_of_a_gain_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    n_runs, covered = 300, 0
    for _ in range(n_runs):
        values = correlated(rng, 200, [0.65, 0.6])
        gain = bootstrap_means(values, np.arange(200), n_resamples=400).difference(0, 1)
        covered += gain.low <= 0.05 <= gain.high
    # Binomial(300, 0.95) lies in 0.91 .. 0.98 with probability 0.995.
    assert 0.91 <= covered / n_runs <= 0.98


def test_pairing_narrows_the_interval_of_a_difference(rng: np.random.Generator) -> None:
    values = correlated(rng, 800, [0.7, 0.68])
    group = np.arange(800)
    paired = bootstrap_means(values, group).difference(0, 1)
    shuffled = np.stack([values[:, 0], rng.permutation(values[:, 1])], axis=1)
    unpaired = bootstrap_means(shuffled, group).difference(0, 1)
    assert paired.high - paired.low < 0.75 * (unpaired.high - unpaired.low)


def test_repeating_a_prompt_makes_nothing_more_certain(rng: np.random.Generator) -> None:
    values = rng.random((60, 3)).round(3)
    once = bootstrap_means(values, np.arange(60))
    often = bootstrap_means(np.repeat(values, 4, axis=0), np.repeat(np.arange(60), 4))
    np.testing.assert_allclose(often.value, once.value, atol=1e-9)
    np.testing.assert_allclose(often.resampled, once.resampled, atol=1e-9)


def test_groups_of_different_size_agree_with_a_naive_cluster_bootstrap(
    rng: np.random.Generator,
) -> None:
    group = rng.integers(40, size=150)
    values = rng.random((150, 1)) + 0.3 * (group % 2)[:, None]
    clusters = [values[group == g, 0] for g in np.unique(group)]
    naive = [
        np.concatenate(
            [clusters[i] for i in rng.integers(len(clusters), size=len(clusters))]
        ).mean()
        for _ in range(4000)
    ]
    estimate = bootstrap_means(values, group, n_resamples=4000).mean(0)
    assert estimate.value == pytest.approx(values.mean(), abs=1e-8)
    assert estimate.ci == pytest.approx(np.quantile(naive, [0.025, 0.975]), abs=0.005)


def test_equal_columns_differ_by_exactly_nothing(rng: np.random.Generator) -> None:
    column = rng.random((333, 1)) / 3
    values = np.concatenate([column, rng.random((333, 5)), column], axis=1)
    assert bootstrap_means(values, np.arange(333)).difference(0, 6) == (0.0, 0.0, 0.0)


def test_few_rows_at_a_time_change_no_resample(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = rng.random((50, 2))
    whole = bootstrap_means(values, np.arange(50), n_resamples=100)
    monkeypatch.setattr("rlfocal.bench.statistics._CHUNK_CELLS", 350)
    chunked = bootstrap_means(values, np.arange(50), n_resamples=100)
    np.testing.assert_allclose(chunked.resampled, whole.resampled, atol=1e-12)


def test_gap_closed_by_hand() -> None:
    oracle, best, other = [1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]
    values = np.array([oracle, best, other], dtype=float).T
    means = bootstrap_means(values, np.arange(4))
    found = gap_closed(means, 2, baseline=1, oracle=0)
    assert found is not None
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((0, 1))
    assert gap_closed(means, 2, baseline=0, oracle=0) is None


def scores_of(points: dict[tuple[str, float | None], tuple[list[float], float]]) -> Scores:
    score = np.array([s for s, _ in points.values()], dtype=float).T
    calls = np.broadcast_to([c for _, c in points.values()], score.shape)
    known = np.ones(score.shape, dtype=bool)
    return Scores(tuple(points), np.arange(len(score)), score, calls, calls, calls, known)


FRONTIER = scores_of(
    {
        ("vote", 0.1): ([0, 0, 1, 1], 1.0),
        ("vote", 0.5): ([0, 0, 0, 1], 2.0),
        ("vote", 0.9): ([1, 1, 1, 1], 4.0),
        ("vote", None): ([0, 1, 1, 1], 4.0),
        ("one", None): ([1, 0, 0, 0], 1.0),
    }
)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (0.99, None),
        (1, [0, 0, 1, 1]),
        (1.5, [0, 0, 0.5, 1]),
        (2, [0, 0, 0, 1]),  # dominated by the first, and kept
        (3, [0.25, 0.5, 0.5, 1]),
        (4, [0.5, 1, 1, 1]),  # two points of four calls, mixed evenly
        (99, [0.5, 1, 1, 1]),
    ],
)
def test_frontier_is_interpolated_in_order_of_calls(
    calls: float, expected: list[float] | None
) -> None:
    found = frontier(FRONTIER, "vote").at(calls)
    assert (None if found is None else found.tolist()) == expected


def test_a_frontier_in_dollars_is_ordered_by_dollars() -> None:
    cost = np.broadcast_to([3e-8, 1e-8, 2e-8, 2e-8, 1e-8], FRONTIER.score.shape)
    table = FRONTIER._replace(cost=cost)
    # By rising cost: 0.5, then 0.9 with the default, then 0.1; far below a millionth of a dollar.
    assert frontier(table, "vote", axis="usd").at(0.9e-8) is None
    found = frontier(table, "vote", axis="usd").at(1.5e-8)
    assert found is not None
    np.testing.assert_allclose(found, [0.25, 0.5, 0.5, 1])
    dearest = frontier(table, "vote", axis="usd").at(np.inf)
    assert dearest is not None
    assert dearest.tolist() == [0, 0, 1, 1]


def test_spends_that_differ_by_rounding_are_one_level() -> None:
    cost = np.broadcast_to([0.3, 0.1, 0.1 + 1e-9, 0.2, 0.1], FRONTIER.score.shape)
    found = frontier(FRONTIER._replace(cost=cost), "vote", axis="usd")
    assert found.spend == pytest.approx([0.1, 0.2, 0.3])
    at = found.at(0.1 - 1e-9)
    assert at is not None
    assert at.tolist() == [0.5, 0.5, 0.5, 1]


def test_points_that_cost_nothing_are_mixed_evenly() -> None:
    found = frontier(FRONTIER._replace(cost=np.zeros_like(FRONTIER.score)), "vote", axis="usd")
    assert found.spend.tolist() == [0]
    assert found.score[:, 0].tolist() == [0.25, 0.5, 0.75, 1]


def test_at_a_number_of_calls_no_point_counts_that_saves_money_by_more_calls() -> None:
    """The one of two calls costs less than that of one call: many cheap members are asked."""
    cost = np.broadcast_to([3e-8, 1e-8, 9e-8, 9e-8, 1e-8], FRONTIER.score.shape)
    table = FRONTIER._replace(cost=cost)
    found = frontier(table, "vote")
    assert found.spend.tolist() == [1, 4]
    at = found.at(2)
    assert at is not None
    np.testing.assert_allclose(at, [1 / 6, 1 / 3, 1, 1])
    assert frontier(table, "vote", axis="usd").spend.tolist() == [1e-8, 3e-8, 9e-8]


def test_of_points_of_as_many_calls_the_dearest_counts() -> None:
    cost = np.broadcast_to([1e-8, 2e-8, 8e-8, 9e-8, 1e-8], FRONTIER.score.shape)
    at = frontier(FRONTIER._replace(cost=cost), "vote").at(4)
    assert at is not None
    assert at.tolist() == [0, 1, 1, 1]


def test_mixing_unknown_strategies_is_refused() -> None:
    with pytest.raises(KeyError, match="veto"):
        frontier(FRONTIER, "veto").at(2)


def rows_of(table: Scores) -> pa.Table:
    n_queries, n_points = table.score.shape
    return pa.table(
        {
            "strategy": np.repeat([name for name, _ in table.points], n_queries),
            "dial": pa.array([d for _, d in table.points for _ in range(n_queries)], pa.float64()),
            "query_id": np.tile([f"q{i}" for i in range(n_queries)], n_points),
            "group": np.tile(table.group, n_points),
            "score": table.score.T.reshape(-1),
            "n_calls": table.n_calls.T.reshape(-1),
            "n_rounds": table.n_calls.T.reshape(-1),
            "cost": table.n_calls.T.reshape(-1),
        }
    )


def test_accuracy_at_compares_two_strategies_at_the_same_calls() -> None:
    found = accuracy_at(rows_of(FRONTIER), "vote", 3, versus="one")
    assert found is not None
    assert found.accuracy.value == pytest.approx(0.5625)
    assert found.gain.value == pytest.approx(0.5625 - 0.25)
    assert found.gain.low < 0.5625 - 0.25 < found.gain.high
    assert accuracy_at(rows_of(FRONTIER), "vote", 0.5, versus="one") is None


def test_rows_become_matrices_as_naive_loops_make_them(rng: np.random.Generator) -> None:
    points = [("b", None), ("b", 0.5), ("a", None), ("a", 2.0), ("b", 0.25)]
    rows = [
        {
            "strategy": name, "dial": dial, "query_id": f"q{q}", "group": q // 2,
            "score": None if rng.random() < 0.3 else float(rng.random()),
            **{column: float(rng.random()) for column in ("n_calls", "n_rounds", "cost")},
        }
        for name, dial in points
        for _ in range(2)  # seeds
        for q in rng.permutation(6).tolist()
    ]  # fmt: skip
    found = scores(pa.Table.from_pylist(rows))
    order = list(dict.fromkeys(row["query_id"] for row in rows))
    of_name = {name: sorted({d for n, d in points if n == name and d}) for name in ("b", "a")}
    assert found.points == tuple((n, d) for n, dials in of_name.items() for d in (None, *dials))
    for j, point in enumerate(found.points):
        for i, query in enumerate(order):
            cell = [
                row for row in rows
                if (row["strategy"], row["dial"]) == point and row["query_id"] == query
            ]  # fmt: skip
            known = [row for row in cell if row["score"] is not None]
            assert found.measured[i, j] == bool(known)
            assert found.group[i] == cell[0]["group"]
            for column in ("score", "n_calls", "n_rounds", "cost"):
                mean = sum(row[column] for row in known) / max(1, len(known))
                assert getattr(found, column)[i, j] == pytest.approx(mean)
