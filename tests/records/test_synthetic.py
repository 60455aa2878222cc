"""Simulated pools have the accuracies and correlations they were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.records import PoolModel, build_table, demo_dataset, simulate


def _table(model, n_queries=20_000, seed=0):
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(seed)))


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_accuracies_are_as_set_whatever_the_correlation(correlation):
    accuracy = [[0.9, 0.5, 0.3], [0.2, 0.6, 0.8]]
    table = _table(PoolModel(accuracy=accuracy, correlation=correlation))
    for t in range(2):
        measured = table.member_score[table.task == t].mean(axis=0)
        np.testing.assert_allclose(measured, accuracy[t], atol=0.02)


def test_errors_correlate_as_set():
    def together(correlation):
        failed = _table(PoolModel(accuracy=[[0.6, 0.6]], correlation=correlation)).failed
        return float((failed[:, 0] & failed[:, 1]).mean())

    assert together(0.0) == pytest.approx(0.16, abs=0.01)
    assert together(0.5) > 0.21


def test_wrong_answers_are_even_or_shared():
    def same_wrong(share):
        model = PoolModel(accuracy=[[0.5, 0.5]], n_options=5, shared_distractor=share)
        table = _table(model)
        wrong = table.failed.all(axis=1)
        return float((table.answer[wrong, 0] == table.answer[wrong, 1]).mean())

    assert same_wrong(0.0) == pytest.approx(1 / 4, abs=0.02)
    assert same_wrong(1.0) == 1.0


def test_prices_tasks_and_the_synthetic_mark():
    table = _table(PoolModel(accuracy=[[0.5, 0.6]] * 3, cost_usd=[0.5, 2.0]), n_queries=30)
    assert table.cost.tolist() == [[0.5, 2.0]] * 30
    assert table.cost_unit == "usd"
    assert np.bincount(table.task).tolist() == [10, 10, 10]
    assert table.synthetic


def test_the_demo_is_the_same_every_time_and_says_what_it_is():
    first, second = demo_dataset(200), demo_dataset(200)
    assert first.digest() == second.digest()
    assert first.digest() != demo_dataset(200, seed=1).digest()
    assert "synthetic" in first.name
    assert build_table(first).n_members == 8


@pytest.mark.parametrize(
    "settings",
    [
        {"accuracy": [[0.5]]},
        {"accuracy": [[0.5, 1.0]]},
        {"accuracy": [0.5, 0.6]},
        {"accuracy": [[0.5, 0.6]], "correlation": 1.0},
        {"accuracy": [[0.5, 0.6]], "n_options": 1},
        {"accuracy": [[0.5, 0.6]], "n_options": 27},
    ],
)
def test_impossible_pools_are_refused(settings):
    with pytest.raises(ValueError, match="must"):
        PoolModel(**settings)
