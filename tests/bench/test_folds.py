from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.bench.folds import grouped_folds, partition
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.errors import ConfigError
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate


def make_table(n_queries: int = 20, **changes: object) -> ResponseTable:
    model = PoolModel(accuracy=[[0.7, 0.5], [0.4, 0.8]])
    table = build_table(simulate(model, n_queries, rng=np.random.default_rng(1)))
    return dataclasses.replace(table, **changes)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=2, max_size=120),
    n_folds=st.integers(2, 6),
    seed=st.integers(0, 5),
)
def test_groups_stay_together_and_no_fold_is_empty(
    rows: list[tuple[int, int]], n_folds: int, seed: int
) -> None:
    task, group = (np.array(column) for column in zip(*rows, strict=True))
    if len(np.unique(group)) < n_folds:
        with pytest.raises(ValueError, match="n_folds"):
            grouped_folds(task, group, n_folds, rng=np.random.default_rng(seed))
        return
    fold = grouped_folds(task, group, n_folds, rng=np.random.default_rng(seed))
    assert set(fold.tolist()) == set(range(n_folds))
    for g in np.unique(group):
        assert len(np.unique(fold[group == g])) == 1


@settings(deadline=None, max_examples=60)
@given(
    task=st.lists(st.integers(0, 5), min_size=6, max_size=150),
    n_folds=st.integers(2, 6),
    seed=st.integers(0, 5),
)
def test_single_queries_are_balanced_within_one_in_every_task(
    task: list[int], n_folds: int, seed: int
) -> None:
    of_query = np.array(task)
    group = np.random.default_rng(seed).permutation(len(task))
    fold = grouped_folds(of_query, group, n_folds, rng=np.random.default_rng(seed))
    for t in np.unique(of_query):
        counts = np.bincount(fold[of_query == t], minlength=n_folds)
        assert counts.max() - counts.min() <= 1


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), min_size=4, max_size=60))
def test_grouped_queries_are_balanced_within_the_largest_group(
    sizes: list[tuple[int, int]],
) -> None:
    task = np.repeat([t for t, _ in sizes], [n for _, n in sizes])
    group = np.repeat(np.arange(len(sizes)), [n for _, n in sizes])
    fold = grouped_folds(task, group, 3, rng=np.random.default_rng(0))
    for t in np.unique(task):
        counts = np.bincount(fold[task == t], minlength=3)
        assert counts.max() - counts.min() <= max(n for u, n in sizes if u == t)


def test_every_query_is_tested_once_and_never_while_it_is_trained_on() -> None:
    table = make_table(23)
    folds = partition(table, EvalProtocol(n_folds=5)).folds
    assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(23))
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(23))


def test_folds_follow_the_fold_seed_alone() -> None:
    table = make_table(40)

    def tests(**settings: int) -> list[list[int]]:
        protocol = EvalProtocol(n_folds=4, **settings)
        return [fold.test.tolist() for fold in partition(table, protocol).folds]

    assert tests() == tests(n_seeds=3)
    assert tests() != tests(fold_seed=1)


def test_source_split_drops_training_prompts_that_are_tested_on() -> None:
    split = np.array(["train", "train", "test", "train", "", "dev", "test"])
    group = np.array([0, 1, 1, 2, 3, 4, 5])
    found = partition(make_table(7, split=split, group=group), EvalProtocol(use_split=True))
    ((train, test),) = found.folds
    assert train.tolist() == [0, 3]
    assert test.tolist() == [2, 6]
    assert found.notes == (
        "1 training queries were left out: their prompts are tested on",
        "2 queries belong to neither train nor test and were left out",
    )


@pytest.mark.parametrize(
    ("n_queries", "changes", "protocol", "message"),
    [
        (1, {}, {}, "has 1 query; a benchmark needs at least 2"),
        (4, {}, {}, "5 folds, but only 4 queries; use --folds 4 or fewer"),
        (6, {"group": [0, 0, 1, 1, 2, 2]}, {}, "only 3 distinct prompts among 6 queries"),
        (6, {"group": [0] * 6}, {}, "all 6 queries have the same prompt"),
        (4, {}, {"use_split": True}, "name no split"),
        (
            3,
            {"split": ["train"] * 3},
            {"use_split": True},
            "no query with a label or a score has split 'test'",
        ),
        (
            3,
            {"split": ["test"] * 3},
            {"use_split": True},
            "no query with a label or a score has split 'train'",
        ),
        (
            2,
            {"split": ["test", "train"], "group": [0, 0]},
            {"use_split": True},
            "every training prompt",
        ),
    ],
)
def test_data_too_small_for_the_protocol_is_refused(
    n_queries: int, changes: dict[str, list[object]], protocol: dict[str, bool], message: str
) -> None:
    arrays = {name: np.array(value) for name, value in changes.items()}
    table = make_table(n_queries, **arrays)
    with pytest.raises(ConfigError, match=message):
        partition(table, EvalProtocol(**protocol))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_folds": 1}, "folds must be at least 2, got 1"),
        ({"n_seeds": 0}, "seeds must be at least 1, got 0"),
        ({"fold_seed": -1}, "fold seed must be at least 0, got -1"),
        ({"n_resamples": 9}, "resamples must be at least 100, got 9"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EvalProtocol(**settings)
