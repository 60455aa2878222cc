"""Which queries are trained on and which are tested: grouped, stratified folds, or a given split.

Queries with the same prompt form a group, and a group never stands on both sides: otherwise a
strategy could remember the answer. Knows nothing of strategies.

scikit-learn's StratifiedGroupKFold does the same, but warns on tasks with fewer queries than folds
and takes seconds for ten thousand groups; the greedy rule here keeps each task's counts within one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlfocal.bench.protocol import EvalProtocol
from rlfocal.errors import ConfigError
from rlfocal.records import IntArray, ResponseTable

__all__ = ["Fold", "Partition", "grouped_folds", "partition", "source_split"]


class Fold(NamedTuple):
    """Rows of the table to fit on and rows to test on, both rising."""

    train: IntArray
    test: IntArray


class Partition(NamedTuple):
    """The folds of a benchmark, with notes for readers on how they were made."""

    folds: tuple[Fold, ...]
    notes: tuple[str, ...] = ()


def partition(table: ResponseTable, protocol: EvalProtocol) -> Partition:
    """Make the protocol's folds.

    Raises:
        ConfigError: the data set is too small for the folds, or has no usable split.
    """
    if table.n_queries < 2:
        raise ConfigError(
            f"{table.name}: has {table.n_queries} query; a benchmark needs at least 2, one to fit "
            "on and one to test on"
        )
    if protocol.use_split:
        return source_split(table)
    _check_size(table, protocol.n_folds)
    rng = np.random.default_rng(protocol.fold_seed)
    fold = grouped_folds(table.task, table.group, protocol.n_folds, rng=rng)
    return Partition(
        tuple(
            Fold(np.flatnonzero(fold != k), np.flatnonzero(fold == k))
            for k in range(protocol.n_folds)
        )
    )


def grouped_folds(
    task: IntArray, group: IntArray, n_folds: int, *, rng: np.random.Generator
) -> IntArray:
    """Deal groups of queries into folds so that every fold has its share of every task.

    Groups are dealt in random order, large ones first, each to the fold that has fewest queries of
    the group's task so far, then fewest queries at all. Within a task whose groups hold one query
    each, folds differ by at most one query; else by at most the size of its largest group.

    Args:
        task: int64[Q]; a group of several tasks counts under the one of its first query.
        group: int64[Q]; queries with the same number stay together.
        n_folds: K, at most the number of groups, so that no fold is empty.
        rng: decides between equal choices.

    Returns:
        int64[Q]: fold of each query, 0 .. K - 1.

    >>> task, group = np.array([0, 0, 1, 1]), np.arange(4)
    >>> fold = grouped_folds(task, group, 2, rng=np.random.default_rng(0))
    >>> [sorted(fold[task == t].tolist()) for t in (0, 1)]
    [[0, 1], [0, 1]]
    """
    _, first, index, size = np.unique(
        group, return_index=True, return_inverse=True, return_counts=True
    )
    if n_folds > len(size):
        raise ValueError(f"n_folds must be at most the {len(size)} groups, got {n_folds}")
    _, task_of_group = np.unique(task[first], return_inverse=True)
    order = rng.permutation(len(size))
    order = order[np.argsort(-size[order], kind="stable")]
    in_task = [[0] * n_folds for _ in range(int(task_of_group.max()) + 1)]
    in_all = [0] * n_folds
    fold_of_group = np.empty(len(size), dtype=np.int64)
    folds = range(n_folds)
    for g, t, n in zip(
        order.tolist(), task_of_group[order].tolist(), size[order].tolist(), strict=True
    ):
        counts = in_task[t]
        k = min(folds, key=lambda k: (counts[k], in_all[k]))
        counts[k] += n
        in_all[k] += n
        fold_of_group[g] = k
    return np.asarray(fold_of_group[index])


def source_split(table: ResponseTable) -> Partition:
    """Use the data set's own split as the only fold.

    Test queries stay as they are; training queries whose prompt appears among them are left out,
    and so are queries of no split.

    Raises:
        ConfigError: there is no split, or a side of it is empty.
    """
    train, test = table.split == "train", table.split == "test"
    if not train.any() and not test.any():
        raise ConfigError(
            f"{table.name}: the queries with a label or a score name no split 'train' or 'test'; "
            "use folds instead"
        )
    for name, side in (("train", train), ("test", test)):
        if not side.any():
            raise ConfigError(
                f"{table.name}: no query with a label or a score has split '{name}'; use folds "
                "instead"
            )
    repeated = train & np.isin(table.group, table.group[test])
    if not (train & ~repeated).any():
        raise ConfigError(
            f"{table.name}: every training prompt appears among the test queries too; use folds "
            "instead"
        )
    other = int((~train & ~test).sum())
    notes = []
    if repeated.any():
        notes.append(
            f"{int(repeated.sum())} training queries were left out: their prompts are tested on"
        )
    if other:
        notes.append(f"{other} queries belong to neither train nor test and were left out")
    fold = Fold(np.flatnonzero(train & ~repeated), np.flatnonzero(test))
    return Partition((fold,), tuple(notes))


def _check_size(table: ResponseTable, n_folds: int) -> None:
    if n_folds > table.n_queries:
        raise ConfigError(
            f"{table.name}: {n_folds} folds, but only {table.n_queries} queries; use --folds "
            f"{table.n_queries} or fewer"
        )
    n_groups = len(np.unique(table.group))
    if n_groups < 2:
        raise ConfigError(
            f"{table.name}: all {table.n_queries} queries have the same prompt; nothing would be "
            "left to fit on"
        )
    if n_folds > n_groups:
        raise ConfigError(
            f"{table.name}: {n_folds} folds, but only {n_groups} distinct prompts among "
            f"{table.n_queries} queries; use --folds {n_groups} or fewer"
        )
