"""What is known of queries: out of fold in training, and without the task where it is not told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.agents.known import OutOfFold
from rlfocal.agents.statistics import Competence, PoolStatistics
from rlfocal.deliberation.recorded import reveal
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

Q, N = 400, 2


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    """The first member is right on the first task and wrong on the second; texts tell which."""
    model = PoolModel(accuracy=[[0.95, 0.5], [0.05, 0.5]])
    plain = build_table(simulate(model, Q, rng=np.random.default_rng(0)))
    return replace(plain, features=np.eye(2, dtype=np.float32)[plain.task])


def test_training_queries_are_known_by_whether_their_task_is_told(table: ResponseTable) -> None:
    competence = np.random.default_rng(0).random((2, Q, N)).astype(np.float32)
    fold = np.arange(Q) % 3
    held_out = OutOfFold(competence, 2, fold)
    rows = np.array([5, 9, 20])
    view = reveal(table, rows, np.zeros((3, N), dtype=bool))
    known = held_out.known(replace(view, task=np.array([0, 2, 1])))
    np.testing.assert_array_equal(known.competence, competence[[0, 1, 0], rows])
    np.testing.assert_array_equal(known.fold, fold[rows])
    part = held_out.take(rows).known(replace(view, task=np.array([0, 2, 1]), position=np.arange(3)))
    np.testing.assert_array_equal(part.competence, known.competence)


def test_texts_say_more_where_the_task_is_not_told(table: ResponseTable) -> None:
    statistics = PoolStatistics.of(table)
    found = Competence.fit(table, statistics)
    told = found.predict(table.features, np.zeros(Q, dtype=bool))
    untold = found.predict(table.features, np.ones(Q, dtype=bool))
    assert np.abs(told[:, 0]).max() < 0.1  # the accuracy on the task says it all
    accuracy = statistics.accuracy[0] + untold[:, 0]
    expected = [table.member_score[table.task == t, 0].mean() for t in (0, 1)]
    np.testing.assert_allclose(accuracy, np.array(expected)[table.task], atol=0.05)
    assert np.abs(untold[:, 1]).max() < 0.1


def test_each_query_is_predicted_as_its_own_kind(table: ResponseTable) -> None:
    found = Competence.fit(table, PoolStatistics.of(table))
    untold = np.arange(Q) % 2 == 0
    mixed = found.predict(table.features, untold)
    for flag in (False, True):
        alone = found.predict(table.features, np.full(Q, flag))
        np.testing.assert_allclose(mixed[untold == flag], alone[untold == flag], atol=1e-6)


def test_without_texts_nothing_is_predicted(table: ResponseTable) -> None:
    bare = replace(table, features=np.zeros((Q, 0), dtype=np.float32))
    found = Competence.fit(bare, PoolStatistics.of(bare))
    assert found.weight.shape == (2, 0, N)
    assert not found.predict(bare.features, np.arange(Q) % 2 == 0).any()


def test_one_task_alone_is_told_as_much_as_not() -> None:
    model = PoolModel(accuracy=[[0.8, 0.5]])
    plain = build_table(simulate(model, 60, rng=np.random.default_rng(0)))
    features = np.random.default_rng(1).standard_normal((60, 3)).astype(np.float32)
    alone = replace(plain, features=features)
    found = Competence.fit(alone, PoolStatistics.of(alone))
    np.testing.assert_array_equal(found.weight[0], found.weight[1])
