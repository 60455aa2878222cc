"""The built-in recorded pool: what it promises, and that its card says what it holds."""

from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest

from rlfocal.records import CandidateKind, ResponseTable, build_table
from rlfocal.records.built_in import BUILT_IN, localpool

FOLDER = resources.files("rlfocal.records") / "localpool"


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return build_table(localpool())


def test_it_is_real_whole_and_small(table: ResponseTable) -> None:
    assert not table.synthetic
    assert table.n_queries >= 1200
    assert table.n_members >= 6
    assert len(table.tasks) >= 6
    assert table.notes == ()  # nothing is missing, nothing filled in
    assert len(set(table.query_ids.tolist())) == table.n_queries
    size = sum(path.stat().st_size for path in FOLDER.iterdir())  # type: ignore[attr-defined]
    assert size < 4e6


def test_it_holds_every_kind_of_evidence(table: ResponseTable) -> None:
    assert set(table.kind.tolist()) == {CandidateKind.OPTIONS, CandidateKind.ANSWERS}
    assert table.option_scores is not None
    assert table.samples is not None
    assert table.samples.shape[2] == 3


def test_its_members_complement_each_other(table: ResponseTable) -> None:
    accuracy, oracle = table.member_score.mean(axis=0), table.member_score.max(axis=1).mean()
    assert 0.40 <= accuracy.max() <= 0.85
    assert oracle - accuracy.max() >= 0.12


def test_difficulty_is_graded(table: ResponseTable) -> None:
    level = np.array([int(name.rsplit("-", 2)[1]) for name in table.query_ids.tolist()])
    best = [float(table.member_score[level == k].max(axis=1).mean()) for k in (1, 2, 3)]
    assert best[0] > best[1] > best[2]


def test_its_card_says_what_it_holds(table: ResponseTable) -> None:
    card = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    for name, value in zip(table.members, table.member_score.mean(axis=0), strict=True):
        assert re.search(rf"\| {re.escape(name)} \|.*\| {100 * value:.1f} \|", card), name
    best = 100 * table.member_score.mean(axis=0).max()
    oracle = 100 * table.member_score.max(axis=1).mean()
    assert f"right on {best:.1f} % of the questions, at least one member on {oracle:.1f} %" in card


def test_built_in_names_are_those_of_the_command_line() -> None:
    assert sorted(BUILT_IN) == ["demo", "localpool"]
