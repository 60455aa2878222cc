"""A pool with near-copies is warned of where something that believes them was run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.bench.summaries.copies import copies_note
from rlfocal.bench.summaries.data import summarise
from rlfocal.records import Dataset, PoolModel, ResponseTable, build_table, simulate


@pytest.fixture
def dataset() -> Dataset:
    model = PoolModel(accuracy=[[0.6, 0.55, 0.6, 0.5]], correlation=0.1)
    return simulate(model, 200, rng=np.random.default_rng(0))


@pytest.fixture
def copied(dataset: Dataset) -> ResponseTable:
    """Member 3 gives the answers of member 1."""
    table = build_table(dataset)
    answer, support = table.answer.copy(), table.support.copy()
    answer[:, 3], support[:, 3] = answer[:, 1], support[:, 1]
    return replace(table, answer=answer, support=support)


def test_the_leaderboard_warns_of_what_copies_mislead(copied: ResponseTable) -> None:
    protocol = EvalProtocol(n_folds=2)
    result = run_bench(copied, ["one-coin", "m-msr", "plurality"], protocol)
    (note,) = [note for note in result.notes if "near-copies" in note]
    one, other = copied.members[1], copied.members[3]
    assert f"{one} and {other} (1.00); m-msr, one-coin: fitted without labels" in note
    assert note in result.to_markdown()
    plain = run_bench(copied, ["plurality"], protocol)
    assert not any("near-copies" in note for note in plain.notes)


def test_a_pool_without_copies_is_not_warned_of(dataset: Dataset) -> None:
    table = build_table(dataset)
    assert copies_note(table, ["one-coin"]) is None
    result = run_bench(table, ["one-coin"], EvalProtocol(n_folds=2))
    assert not any("near-copies" in note for note in result.notes)
    assert not any("near-copies" in note for note in summarise(dataset, table).notes)


def test_inspect_names_the_copies(dataset: Dataset, copied: ResponseTable) -> None:
    (note,) = [note for note in summarise(dataset, copied).notes if "near-copies" in note]
    assert "votes count their mistakes twice" in note


def test_many_pairs_are_counted(copied: ResponseTable) -> None:
    same = np.repeat(copied.answer[:, :1], 4, axis=1)
    support = np.repeat(copied.support[:, :1], 4, axis=1)
    note = copies_note(replace(copied, answer=same, support=support))
    assert note is not None
    assert "4 more pairs" in note


def test_where_no_query_is_complete_nothing_is_said(copied: ResponseTable) -> None:
    gone = np.zeros(copied.answer.shape, dtype=bool)
    gone[:100, 0], gone[100:, 1] = True, True
    assert copies_note(copied.without(gone)) is None
