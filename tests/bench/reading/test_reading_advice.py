"""What is advised for pools whose members read one another."""

from __future__ import annotations

import pytest
from readers import Skill, table_with_readers

from rlfocal.advice import advise
from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.records import build_table, demo_dataset

PROTOCOL = EvalProtocol(n_folds=3, n_resamples=200)


def test_the_lead_over_who_reads_nobody_is_said() -> None:
    result = run_bench(table_with_readers(300), ["plurality"], PROTOCOL)
    rows = {row.strategy: row for row in result.rows}
    found = advise(result)
    assert found is not None
    assert found.strategy == "plurality"
    assert found.over_alone is not None
    lead = rows["plurality"].accuracy - rows["best-alone"].accuracy
    assert found.over_alone.value == pytest.approx(lead)
    assert found.gain is not None
    assert found.gain.value == pytest.approx(rows["plurality"].gain_over_best_single)
    assert f"{100 * lead:.1f} points above the best that reads no other" in found.sentence()
    assert "the best of all members" in found.sentence()
    assert found.to_json()["over_alone"][0] == pytest.approx(lead)


def test_a_reader_is_named_with_whom_it_reads() -> None:
    skill = Skill(follows_right=1.0, own=0.9)
    result = run_bench(table_with_readers(300, skill=skill), ["best-single"], PROTOCOL)
    found = advise(result)
    assert found is not None
    assert found.strategy == "best-single"
    assert found.member in ("top", "second")
    assert f"Use your best single member, {found.member}, and whom it reads:" in found.sentence()


def test_where_nobody_reads_nothing_is_added() -> None:
    result = run_bench(build_table(demo_dataset(300)), ["plurality"], PROTOCOL)
    found = advise(result)
    assert found is not None
    assert found.over_alone is None
    assert "over_alone" not in found.to_json()
    assert "best-alone" not in [row.strategy for row in result.rows]
