"""What strategies see and remember: parts of views, views put together, recent labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.recorded import candidates_of, reveal, worth_of
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import (
    CandidateKind,
    Dataset,
    PoolModel,
    ResponseTable,
    build_table,
    simulate,
)
from rlfocal.records.signals import Replies


def pool() -> Dataset:
    model = PoolModel(accuracy=[[0.8, 0.6, 0.4]], n_options=4)
    return simulate(model, 20, rng=np.random.default_rng(0))


@pytest.fixture
def table() -> ResponseTable:
    return build_table(pool(), encode=None)


def test_memory_holds_the_latest_queries_and_what_is_unknown_counts_for_nothing(
    table: ResponseTable,
) -> None:
    memory = Memory.of(table, 5)
    assert np.array_equal(memory.answer, table.answer[-5:])
    assert memory.scored.all()
    np.testing.assert_allclose(memory.accuracy(), table.member_score[-5:].mean(axis=0))
    data = pool()
    fewer = replace(data, responses=data.responses.slice(0, data.responses.num_rows - 2))
    partly = Memory.of(build_table(fewer, encode=None), 20)
    assert partly.scored.sum() == 58
    unknown = replace(memory, member_score=np.full_like(memory.member_score, np.nan))
    assert unknown.accuracy().tolist() == [0.5] * 3


def test_views_are_cut_and_put_together(table: ResponseTable) -> None:
    asked = np.array([[True, False, True]] * 3)
    view = reveal(table, np.arange(3), asked)
    both = View.concat([view.take(np.array([2])), view.take(np.array([0, 1]))])
    assert len(both) == 3
    assert both.position.tolist() == [2, 0, 1]
    assert np.array_equal(both.support, view.support[[2, 0, 1]])
    narrow = replace(view, support=view.support[:, :, :2], available=view.available[:, :2])
    padded = View.concat([view, narrow])
    assert padded.support.shape[2] == table.n_candidates
    assert not padded.available[3:, 2:].any()


def test_views_with_replies_and_without_are_put_together(table: ResponseTable) -> None:
    asked = np.array([[True, False, True]] * 3)
    view = reveal(table, np.arange(3), asked)
    assert view.replies is None
    assert View.concat([view, view]).replies is None
    judged = np.where(asked, np.float32(0.5), np.float32(np.nan))
    told = replace(view, replies=Replies.of_judged(judged))
    both = View.concat([view, told]).replies
    assert both is not None
    np.testing.assert_array_equal(both.judged, np.concatenate([np.full((3, 3), np.nan), judged]))


@pytest.mark.parametrize("kind", [CandidateKind.OPTIONS, CandidateKind.ANSWERS])
def test_candidates_of_a_view_are_found_again_in_the_table(
    table: ResponseTable, kind: CandidateKind
) -> None:
    table = replace(table, kind=np.full(table.n_queries, kind, dtype=np.int8))
    rows, asked = np.arange(20), np.array([[False, True, True]] * 20)
    view = reveal(table, rows, asked)
    assert np.array_equal(
        candidates_of(table, rows, asked, view.answer[:, 1:]), table.answer[:, 1:]
    )
    worth = worth_of(table, rows, asked, view.answer[:, 1:])
    np.testing.assert_allclose(worth, table.member_score[:, 1:])
    none = np.full(20, -1)
    assert (candidates_of(table, rows, asked, none) == -1).all()
    assert (worth_of(table, rows, asked, none) == 0).all()
