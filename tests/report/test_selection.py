from __future__ import annotations

import numpy as np
import pytest

from rlfocal.bench import BenchResult
from rlfocal.records import ResponseTable
from rlfocal.report.selection import selection_shares


def test_only_strategies_that_choose_are_listed(result: BenchResult, table: ResponseTable) -> None:
    shares = selection_shares(result, table)
    assert "agreement" in shares
    assert not {"plurality", "oracle", "random"} & set(shares)


def test_shares_agree_with_counting_rows(result: BenchResult, table: ResponseTable) -> None:
    share = selection_shares(result, table)["agreement"]
    counts = np.zeros(share.shape)
    total = np.zeros(share.shape[1])
    for row in result.per_query.to_pylist():
        if row["strategy"] == "agreement" and row["dial"] is None:
            for column in (table.tasks.index(row["task"]), len(table.tasks)):
                total[column] += 1
                counts[row["asked"], column] += 1
    np.testing.assert_allclose(share, counts / total)


def test_shares_add_up_to_the_mean_number_of_calls(
    result: BenchResult, table: ResponseTable
) -> None:
    calls = {row.strategy: row.mean_calls for row in result.rows}
    for name, share in selection_shares(result, table).items():
        assert share[:, -1].sum() == pytest.approx(calls[name])
