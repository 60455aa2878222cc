"""Queries that a training does not see, so that what it learned can be measured honestly.

They depend on the data and the share alone, not on strategy or seed: checkpoints trained on the
same data are measured on the same queries, and an interrupted training goes on with its own.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from rlfocal.bench.folds import grouped_folds, source_split
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import unmet
from rlfocal.errors import ConfigError, NotApplicable
from rlfocal.records import BoolArray, ResponseTable

__all__ = ["HOLDOUT", "Parts", "check_holdout", "hold_out"]

HOLDOUT = 0.2
"""Share of the queries held out where the data have no split of their own."""
_MOST = 0.9


class Parts(NamedTuple):
    """The two sides of a table."""

    train: ResponseTable
    held_out: ResponseTable
    """Without any prompt of the other side; it may be empty."""
    notes: tuple[str, ...] = ()
    """How they came about, for people."""


def check_holdout(share: float | None, *, split: bool = False) -> None:
    """Refuse a share that cannot be held out.

    Raises:
        ConfigError: it does not lie in [0, 0.9], or a split is to be used as well.
    """
    if split and share is not None:
        raise ConfigError("either a split or a share is held out: give one of split and holdout")
    if share is not None and not 0 <= share <= _MOST:
        raise ConfigError(f"holdout must lie in [0, {_MOST}], got {share:g}")


def hold_out(
    table: ResponseTable, strategy: Base, share: float | None = None, *, split: bool = False
) -> Parts:
    """Set queries aside to measure on: whole groups of equal prompts, of every task its share.

    Args:
        table: labelled queries.
        strategy: unfitted; the rest must be enough for it.
        share: of the queries, in [0, 0.9]; None for the test queries of the data set's own split,
            or a fifth where it has none.
        split: train on the data set's own training queries, and on nothing else.

    Raises:
        ConfigError: a share out of range or beside `split`, no such split, or prompts that are all
            the same.
        NotApplicable: the strategy could be trained on all queries, but not on those that are left.
    """
    check_holdout(share, split=split)
    parts = _split_off(table, split=split) if share is None else None
    if parts is None:
        parts = _dealt(table, HOLDOUT if share is None else share)
    if (reason := unmet(strategy, parts.train)) and not unmet(strategy, table):
        raise NotApplicable(
            f"{table.name}: {parts.held_out.n_queries} of {table.n_queries} queries are held out "
            f"to measure on, and with the rest {strategy.name} cannot be trained: {reason}; a "
            "holdout of 0 trains on all of them"
        )
    return parts


def _split_off(table: ResponseTable, *, split: bool) -> Parts | None:
    """By the data set's own split; None where there is none to use."""
    train, test = table.split == "train", table.split == "test"
    if split and not train.any():
        raise ConfigError(
            f"{table.name}: --split, but no query belongs to a split named 'train'; fill the "
            "column `split` of the queries, or leave --split out"
        )
    if split and not test.any():
        rest = ~np.isin(table.group, table.group[train])
        return Parts(table.take(train), table.take(rest))
    fresh = ~np.isin(table.group[train], table.group[test])
    if not split and not (test.any() and fresh.any()):
        return None
    (fold,), notes = source_split(table)
    held_out = table.take(fold.test)
    return Parts(table.take(fold.train), held_out, ("the data set's own split is used", *notes))


def _dealt(table: ResponseTable, share: float) -> Parts:
    """So many folds of those that a benchmark would deal."""
    n_groups = len(np.unique(table.group))
    if share == 0:
        return _cut(table, np.zeros(table.n_queries, dtype=bool))
    if n_groups < 2:
        raise ConfigError(
            f"{table.name}: all {table.n_queries} queries have the same prompt, so none can be "
            "held out to measure on; a holdout of 0 trains on all of them"
        )
    most = min(100, n_groups)
    part = Fraction(share).limit_denominator(most)  # of a fifth: one of five folds
    n_folds = part.denominator if 0 < part < 1 else most
    n_held = min(max(round(part * n_folds), 1), n_folds - 1)
    rng = np.random.default_rng(0)
    fold = grouped_folds(table.task, table.group, n_folds, rng=rng)
    return _cut(table, fold >= n_folds - n_held)  # the first ones have the largest groups


def _cut(table: ResponseTable, away: BoolArray) -> Parts:
    return Parts(table.take(~away) if away.any() else table, table.take(away))
