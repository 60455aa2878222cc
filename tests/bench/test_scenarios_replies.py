"""Scenarios on tables with replies: what was edited has none, or the substitute's."""

from __future__ import annotations

import numpy as np
from telling import with_signal

from rlfocal.bench import EvalProtocol
from rlfocal.bench.scenarios import StreamSettings, run_scenarios
from rlfocal.bench.scenarios.edits import give, joined, stand_in
from rlfocal.records import FloatArray, ResponseTable, build_table
from rlfocal.records.synthetic import PoolModel, simulate


def table(n_queries: int = 60) -> ResponseTable:
    model = PoolModel(accuracy=[(0.8, 0.7, 0.6)], correlation=0.2, n_options=4)
    simulated = simulate(model, n_queries, rng=np.random.default_rng(3))
    return with_signal(build_table(simulated), 2.0)


def sure(one: ResponseTable) -> FloatArray:
    assert one.replies is not None
    return one.replies.signals(["sure"])[..., 0]


def test_another_answer_has_no_reply_and_the_same_one_keeps_it() -> None:
    before = table()
    rows = np.array([3, 5])
    old = before.answer[rows, 1]
    after = give(before, 1, rows, np.array([old[0], (old[1] + 1) % 4]))
    expected = sure(before).copy()
    expected[5, 1] = np.nan
    np.testing.assert_array_equal(sure(after), expected)


def test_a_stand_in_replies_in_its_own_words() -> None:
    before = table()
    expected = sure(before).copy()
    expected[20:, 2] = expected[20:, 0]
    np.testing.assert_array_equal(sure(stand_in(before, 2, 0, start=20)), expected)


def test_joined_tables_keep_their_replies() -> None:
    whole = table()
    first, second = whole.take(np.arange(40)), whole.take(np.arange(40, 60))
    np.testing.assert_array_equal(sure(joined(first, second)), sure(whole))
    second = give(second, 0, np.arange(20), np.full(20, -1))
    found = sure(joined(first, second))
    assert np.isnan(found[40:, 0]).all()
    np.testing.assert_array_equal(found[:, 1:], sure(whole)[:, 1:])


def test_strategies_that_read_replies_are_played() -> None:
    settings = StreamSettings(block=10, window=20, refit_every=60)
    protocol = EvalProtocol(n_folds=2, n_resamples=100)
    found = run_scenarios(
        table(120), ["steady", "degrading"], protocol,
        strategies=["score-cascade"], settings=settings,
    )  # fmt: skip
    assert [row.scenario for row in found.rows] == ["steady", "degrading"]
    assert not found.not_applicable
