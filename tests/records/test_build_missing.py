"""What is missing moves no figure of anybody else, and is told from what is wrong."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import RecordError
from rlfocal.records import Dataset, PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.tables.missing import Missing, complete_part, missing_of

MODEL = PoolModel(accuracy=[[0.8, 0.6, 0.4], [0.5, 0.7, 0.3]], cost_usd=(1.0, 2.0, 3.0))
DATA = simulate(MODEL, 40, rng=np.random.default_rng(0))
TABLE = build_table(DATA)


def removed(gone: np.ndarray) -> Dataset:
    """The data set without the responses of bool[Q, N]."""
    return Dataset(
        DATA.name, DATA.queries, DATA.responses.filter(pa.array(~gone.reshape(-1))), DATA.info
    )


masks = st.lists(st.booleans(), min_size=120, max_size=120).map(
    lambda flags: np.array(flags).reshape(40, 3)
)


@given(gone=masks, n=st.integers(0, 2))
@settings(max_examples=40, deadline=None)
def test_removing_responses_of_one_member_moves_no_figure_of_another(
    gone: np.ndarray, n: int
) -> None:
    only = gone & (np.arange(3) == n)
    only[0, n] = False  # a member without any response is refused
    table = build_table(removed(only))
    others = np.arange(3) != n
    assert (table.member_accuracy[others] == TABLE.member_accuracy[others]).all()
    assert (table.mean_cost[others] == TABLE.mean_cost[others]).all()
    assert (table.member_task_accuracy[others] == TABLE.member_task_accuracy[others]).all()
    assert (table.coverage[others] == 1).all()


@given(gone=masks)
@settings(max_examples=40, deadline=None)
def test_figures_are_those_of_a_loop_over_what_is_recorded(gone: np.ndarray) -> None:
    gone[0] = False
    table = build_table(removed(gone))
    assert (table.recorded == ~gone).all()
    assert ((table.cost > 0) == table.recorded).all()
    for n in range(3):
        own = [TABLE.member_score[q, n] for q in range(40) if not gone[q, n]]
        assert table.member_accuracy[n] == pytest.approx(np.mean(own))
        assert table.coverage[n] == pytest.approx(len(own) / 40)
        assert table.mean_cost[n] == pytest.approx(n + 1)
    assert table.complete.tolist() == (~gone).all(axis=1).tolist()
    # The same as taking them away from the table itself.
    taken = TABLE.without(gone)
    for name in ("answer", "support", "cost", "recorded", "member_score"):
        assert (getattr(table, name) == getattr(taken, name)).all(), name


def test_a_table_told_nothing_is_complete_and_an_answer_needs_a_record() -> None:
    from dataclasses import replace

    assert TABLE.is_complete
    assert TABLE.recorded.all()
    assert TABLE.judged.all()
    recorded = TABLE.recorded.copy()
    recorded[3, 1] = False
    with pytest.raises(RecordError, match="0 where nothing is recorded"):
        replace(TABLE, recorded=recorded)
    cost = np.where(recorded, TABLE.cost, 0).astype(np.float32)
    with pytest.raises(RecordError, match="an answer where nothing is recorded"):
        replace(TABLE, recorded=recorded, cost=cost)


def _without_share(share: float) -> ResponseTable:
    gone = np.zeros((40, 3), dtype=bool)
    gone.reshape(-1)[: round(120 * share)] = True
    return TABLE.without(np.random.default_rng(1).permutation(gone.reshape(-1)).reshape(40, 3))


@pytest.mark.parametrize(("share", "withheld"), [(1 / 120, False), (0.05, True), (0.4, True)])
def test_a_verdict_is_withheld_where_more_than_a_few_per_cent_are_missing(
    share: float, withheld: bool
) -> None:
    missing = missing_of(_without_share(share))
    assert missing is not None
    assert missing.share == pytest.approx(share)
    assert missing.withheld is withheld
    assert ("too much is missing for a verdict" in missing.explain()) is withheld
    assert missing_of(TABLE) is None


def test_one_member_that_lacks_much_is_enough_to_withhold() -> None:
    few = Missing(
        share=0.01, worst_member="m", worst_share=0.5, n_members=50, n_queries=9, n_complete=4
    )
    assert few.withheld


def test_the_complete_part_says_how_much_it_is() -> None:
    gone = np.zeros((40, 3), dtype=bool)
    gone[:10, 2] = True
    part = complete_part(TABLE.without(gone))
    assert part.is_complete
    assert part.n_queries == 30
    assert part.notes[-1] == "only the 30 of 40 queries that all 3 members answered are used"
    assert complete_part(TABLE) is TABLE


def test_no_complete_query_is_refused_with_members_that_have_some() -> None:
    gone = np.zeros((40, 3), dtype=bool)
    gone[:, 2] = True
    with pytest.raises(RecordError, match=r"40 in common: --members model-1,model-2"):
        complete_part(TABLE.without(gone))
    gone[:20, 0] = gone[20:, 1] = True
    with pytest.raises(RecordError, match="no members have 30 answered queries in common"):
        complete_part(TABLE.without(gone))


def test_what_is_missing_is_said_briefly_and_no_share_twice() -> None:
    worst = "organisation/some-model-with-a-long-name"
    missing = Missing(
        share=0.25, worst_member=worst, worst_share=0.25, n_members=4, n_queries=4000,
        n_complete=3000,
    )  # fmt: skip
    assert worst not in missing.explain()
    assert missing.explain().count("25.0 %") == 1
    uneven = Missing(
        share=0.25, worst_member=worst, worst_share=0.5, n_members=4, n_queries=4000,
        n_complete=3000,
    )  # fmt: skip
    assert f"50.0 % of {worst}'s" in uneven.explain()
    assert max(len(uneven.explain()), len(missing.explain())) < 300
