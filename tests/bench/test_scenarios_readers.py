"""Scenarios over pools whose members read one another."""

from __future__ import annotations

import numpy as np
from readers import MEMBERS, table_with_readers

from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.scenarios import edits
from rlfocal.bench.scenarios.run import run_scenarios

A, D, JUDGE, SECOND, TOP = (MEMBERS.index(n) for n in ("a", "d", "judge", "second", "top"))


def test_who_read_a_member_that_failed_gives_no_answer() -> None:
    table = table_with_readers(40, seed=1)
    found = edits.fail(table, [A], start=10)
    assert (found.answer[10:, [A, JUDGE, SECOND, TOP]] == -1).all()
    assert (found.answer[:10] == table.answer[:10]).all()
    untouched = [n for n in range(7) if n not in (A, JUDGE, SECOND, TOP)]
    assert (found.answer[:, untouched] == table.answer[:, untouched]).all()
    assert (found.cost == table.cost).all()


def test_who_fails_after_reading_takes_nobody_with_it() -> None:
    table = table_with_readers(40, seed=1)
    found = edits.fail(table, [TOP])
    assert (np.delete(found.answer, TOP, axis=1) == np.delete(table.answer, TOP, axis=1)).all()


def test_only_queries_whose_reading_changed_are_lost() -> None:
    table = table_with_readers(200, seed=2)
    for found in (
        edits.improve(table, D, share=0.5, rng=np.random.default_rng(0)),
        edits.answer_at_random(table, D, rng=np.random.default_rng(0)),
        edits.stand_in(table, D, A),
    ):
        changed = found.answer[:, D] != table.answer[:, D]
        assert 0 < changed.sum() < 200
        assert (found.answer[changed, TOP] == -1).all()
        assert (found.answer[~changed, TOP] == table.answer[~changed, TOP]).all()
        assert (found.answer[:, SECOND] == table.answer[:, SECOND]).all()


def test_those_who_collude_answer_though_one_reads_the_other() -> None:
    table = table_with_readers(60, seed=3)
    found = edits.collude(table, [A, JUDGE], share=1.0, rng=np.random.default_rng(0))
    assert (found.answer[:, A] == found.answer[:, JUDGE]).all()
    assert (found.answer[:, A] >= 0).all()
    assert (found.member_score[:, A] == 0).all()


def test_a_note_says_so() -> None:
    table = table_with_readers(60, seed=4)
    found = run_scenarios(
        table, ["failed-1"], EvalProtocol(n_folds=2, n_seeds=1, n_resamples=100),
        strategies=["plurality"],
    )  # fmt: skip
    assert any("it gives no usable answer there" in note for note in found.notes)
