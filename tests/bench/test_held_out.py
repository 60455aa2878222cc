"""What a training does not see: whole prompts, of every task its share, the same each time."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.bench.held_out import hold_out
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need, Spec
from rlfocal.deliberation.registry import create_strategy
from rlfocal.errors import ConfigError, NotApplicable
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

PLURALITY = create_strategy(Spec("plurality", {}))


class Many(Base):
    """Needs many queries."""

    name = "many"
    needs: ClassVar[frozenset[Need]] = frozenset([Need.QUERIES])


def table_of(n_queries: int = 40, **changes: object) -> ResponseTable:
    model = PoolModel(accuracy=[[0.7, 0.5], [0.4, 0.8]])
    table = build_table(simulate(model, n_queries, rng=np.random.default_rng(1)))
    return dataclasses.replace(table, **changes)  # type: ignore[arg-type]


def test_a_fifth_of_every_task_is_held_out() -> None:
    table = table_of(40)
    train, held_out, notes = hold_out(table, PLURALITY)
    assert (train.n_queries, held_out.n_queries, notes) == (32, 8, ())
    assert np.bincount(held_out.task).tolist() == (np.bincount(table.task) // 5).tolist()
    assert {*train.query_ids} | {*held_out.query_ids} == {*table.query_ids}


@settings(deadline=None, max_examples=60)
@given(
    group=st.lists(st.integers(0, 12), min_size=12, max_size=40),
    share=st.floats(0.01, 0.9),
)
def test_no_prompt_stands_on_both_sides_and_neither_is_empty(
    group: list[int], share: float
) -> None:
    table = table_of(len(group), group=np.array(group))
    if len({*group}) < 2:
        with pytest.raises(ConfigError, match="same prompt"):
            hold_out(table, PLURALITY, share)
        return
    train, held_out, _ = hold_out(table, PLURALITY, share)
    assert not {*train.group.tolist()} & {*held_out.group.tolist()}
    assert train.n_queries + held_out.n_queries == table.n_queries
    assert train.n_queries > 0 < held_out.n_queries
    assert train.digest() == hold_out(table, PLURALITY, share).train.digest()


@pytest.mark.parametrize(("share", "n"), [(0.25, 10), (0.1, 4), (0.9, 36), (0.5, 20), (0.001, 1)])
def test_the_share_is_kept_where_prompts_differ(share: float, n: int) -> None:
    assert hold_out(table_of(40), PLURALITY, share).held_out.n_queries == n


def test_nothing_is_held_out_of_a_share_of_nothing() -> None:
    table = table_of()
    train, held_out, _ = hold_out(table, PLURALITY, 0)
    assert train is table
    assert held_out.n_queries == 0


@pytest.mark.parametrize("share", [-0.1, 0.95, float("nan")])
def test_other_shares_are_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="holdout must lie in"):
        hold_out(table_of(), PLURALITY, share)


def test_a_split_of_its_own_is_used_unless_a_share_is_named() -> None:
    split = np.array(["train", "test", "train", "", "train", "train"])
    table = table_of(6, split=split, group=np.array([0, 1, 1, 2, 3, 4]))
    train, held_out, notes = hold_out(table, PLURALITY)
    assert train.query_ids.tolist() == table.query_ids[[0, 4, 5]].tolist()  # 2 repeats a test
    assert held_out.query_ids.tolist() == table.query_ids[[1]].tolist()
    assert notes[0] == "the data set's own split is used"
    assert "1 training queries were left out" in notes[1]
    assert hold_out(table, PLURALITY, split=True).train.n_queries == 3
    assert hold_out(table, PLURALITY, 0).train.n_queries == 6
    assert hold_out(table, PLURALITY, 0.2).train.n_queries == 5
    only_test = dataclasses.replace(table, split=np.array(["test"] * 6))
    assert hold_out(only_test, PLURALITY).held_out.n_queries == 1


def test_a_split_without_test_queries_trains_on_its_own_alone() -> None:
    split = np.array(["train", "", "train", ""])
    table = table_of(4, split=split, group=np.array([0, 0, 1, 2]))
    train, held_out, _ = hold_out(table, PLURALITY, split=True)
    assert train.query_ids.tolist() == table.query_ids[[0, 2]].tolist()
    assert held_out.query_ids.tolist() == table.query_ids[[3]].tolist()
    with pytest.raises(ConfigError, match="split named 'train'"):
        hold_out(dataclasses.replace(table, split=np.array([""] * 4)), PLURALITY, split=True)
    with pytest.raises(ConfigError, match="give one of split and holdout"):
        hold_out(table, PLURALITY, 0.2, split=True)


def test_too_few_for_the_rest_says_how_to_use_all() -> None:
    learned = Many()
    assert hold_out(table_of(40), learned).train.n_queries == 32
    message = "7 of 33 queries are held out.* with the rest many cannot be .* a holdout of 0"
    with pytest.raises(NotApplicable, match=message):
        hold_out(table_of(33), learned)
    assert hold_out(table_of(33), learned, 0).train.n_queries == 33


@pytest.mark.parametrize(("n_prompts", "n_held"), [(2, 1), (3, 2), (5, 4)])
def test_a_large_share_of_few_prompts_is_held_out(n_prompts: int, n_held: int) -> None:
    table = table_of(n_prompts, group=np.arange(n_prompts))
    assert hold_out(table, PLURALITY, 0.9).held_out.n_queries == n_held
