"""The dense table: derived arrays, selections, and every contradiction it refuses."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from rlfocal.errors import RecordError
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate


@pytest.fixture
def table() -> ResponseTable:
    model = PoolModel(accuracy=[[0.7, 0.6, 0.5]] * 2, cost_usd=[1, 2, 3])
    return build_table(simulate(model, 20, rng=np.random.default_rng(0)))


def test_arrays_cannot_be_written(table):
    for item in fields(table):
        value = getattr(table, item.name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, item.name


def test_member_scores_by_a_loop(table):
    answer = table.answer.copy()
    answer[3, 1] = -1
    support = table.support.copy()
    support[3, 1] = 0
    table = replace(table, answer=answer, support=support)
    for q in range(20):
        for n in range(3):
            expected = 0 if answer[q, n] < 0 else table.candidate_score[q, answer[q, n]]
            assert table.member_score[q, n] == expected
            assert table.failed[q, n] == (expected < 0.5)
    assert not table.answered[3, 1]


@pytest.mark.parametrize("rows", [np.array([5, 2, 2]), np.arange(20) % 3 == 0])
def test_take_selects_in_order(table, rows):
    part = table.take(rows)
    index = np.flatnonzero(rows) if rows.dtype == bool else rows
    assert part.n_queries == len(index)
    assert part.query_ids.tolist() == table.query_ids[index].tolist()
    for name in ("answer", "support", "candidate_score", "cost", "task", "group", "exists"):
        assert np.array_equal(getattr(part, name), getattr(table, name)[index]), name
    assert part.members == table.members


def test_the_digest_follows_content_only(table):
    assert table.digest() == replace(table, notes=("x",)).digest()
    assert table.digest() != table.take(np.arange(19)).digest()
    assert table.digest() != replace(table, cost=table.cost * 2).digest()
    assert table.digest() != replace(table, members=("a", "b", "c")).digest()


def test_graded_support_is_noticed(table):
    assert not table.has_graded_support
    assert table.with_support(np.full_like(table.support, 0.25)).has_graded_support


def _changed(array, at, value):
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("name", "at", "value", "message"),
    [
        ("candidate_score", (2, 0), np.nan, "candidate_score must be finite"),
        ("candidate_score", (2, 0), 1.5, "candidate_score must be finite"),
        ("cost", (2, 0), 0, "cost must be finite and positive"),
        ("cost", (2, 0), np.inf, "cost must be finite and positive"),
        ("answer", (2, 0), 4, "an answer outside"),
        ("support", (2, 0), 0.9, "support must be >= 0 and sum to 1"),
        ("support", (2, 0), np.nan, "support must be >= 0 and sum to 1"),
        ("support", (2, 0), 0, "support must be >= 0 and sum to 1"),
    ],
)
def test_impossible_values_are_refused_with_the_query(table, name, at, value, message):
    with pytest.raises(RecordError, match=message) as caught:
        replace(table, **{name: _changed(getattr(table, name), at, value)})
    assert table.query_ids[2] in str(caught.value)


def test_an_answer_must_point_to_a_candidate(table):
    exists = _changed(table.exists, (2, int(table.answer[2, 0])), False)
    with pytest.raises(RecordError, match="points to no candidate"):
        replace(table, exists=exists)


def test_shapes_must_agree(table):
    with pytest.raises(RecordError, match=r"cost has shape \(20, 2\), expected \(20, 3\)"):
        replace(table, cost=table.cost[:, :2])


def test_features_must_be_finite(table):
    with pytest.raises(RecordError, match="features hold NaN"):
        replace(table, features=np.full((20, 2), np.nan, dtype=np.float32))


def test_members_must_differ(table):
    with pytest.raises(RecordError, match="'a' appears twice"):
        replace(table, members=("a", "b", "a"))


def priced_table(**changes: object) -> ResponseTable:
    model = PoolModel(accuracy=[[0.7, 0.5, 0.4]], cost_usd=[0.1, 0.2, 0.3])
    table = build_table(simulate(model, 10, rng=np.random.default_rng(0)))
    return replace(table, **changes)


def test_costs_can_be_calls_or_seconds_instead_of_dollars() -> None:
    latency = np.linspace(0.1, 3, 30, dtype=np.float32).reshape(10, 3)
    table = priced_table(latency_s=latency)
    assert table.cost_unit == "usd"
    assert table.priced_in("usd") is table
    assert (table.priced_in("call").cost == 1).all()
    assert table.priced_in("call").cost_unit == "call"
    np.testing.assert_array_equal(table.priced_in("second").cost, latency)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("second", "latency_s is 0 or not known of query"),
        ("euro", "unknown cost 'euro'; choose from usd, call, second"),
    ],
)
def test_costs_that_are_not_known_are_refused(unit: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        priced_table().priced_in(unit)


def test_dollars_do_not_come_back_from_calls() -> None:
    with pytest.raises(RecordError, match="costs in USD are not known"):
        priced_table().priced_in("call").priced_in("usd")
