"""The built-in recorded pool: what it promises, and that its card says what it holds."""

from __future__ import annotations

import re
from importlib import resources

import numpy as np
import pytest

from rlfocal.records import CandidateKind, Dataset, ResponseTable, build_table
from rlfocal.records.built_in import BUILT_IN, localpool

FOLDER = resources.files("rlfocal.records") / "localpool"
N_SAMPLES = 3


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return localpool()


@pytest.fixture(scope="module")
def table(dataset: Dataset) -> ResponseTable:
    return build_table(dataset)


def test_it_is_real_whole_and_small(table: ResponseTable) -> None:
    assert not table.synthetic
    assert table.n_queries >= 450
    assert table.n_members >= 6
    assert len(table.tasks) >= 6
    assert table.notes == ()  # nothing is missing, nothing filled in
    assert len(set(table.query_ids.tolist())) == table.n_queries
    size = sum(path.stat().st_size for path in FOLDER.iterdir())  # type: ignore[attr-defined]
    assert size < 4e6


def test_it_holds_every_kind_of_evidence(table: ResponseTable) -> None:
    assert set(table.kind.tolist()) == {CandidateKind.OPTIONS, CandidateKind.ANSWERS}
    assert table.option_scores is not None
    assert table.replies is not None
    assert table.samples is not None
    assert table.samples.shape[2] == N_SAMPLES


def test_of_every_reply_it_holds_text_end_and_log_probabilities(dataset: Dataset) -> None:
    for reply in dataset.responses.to_pylist():
        where = f"{reply['member']}, {reply['query_id']}"
        assert reply["text"], where
        assert reply["finish"] in ("stop", "length"), where
        assert reply["n_completion_tokens"] > 0, where
        assert len(reply["token_logprobs"]) == len(reply["token_chars"]), where
        assert max(reply["token_logprobs"]) <= 0, where
        assert sum(reply["token_chars"]) == len(reply["text"]), where


def test_samples_are_drawn_by_chance_each(dataset: Dataset) -> None:
    """One seed for all questions drew every first sample at one quantile, and so the others."""
    right = dict(
        zip(*(dataset.queries[name].to_pylist() for name in ("query_id", "label")), strict=True)
    )
    rows = [row for row in dataset.responses.to_pylist() if row["samples"]]
    drawn = np.array([row["samples"] for row in rows])
    assert drawn.shape == (dataset.queries.num_rows, N_SAMPLES)
    score = drawn == np.array([[right[row["query_id"]]] for row in rows])
    assert np.ptp(score.mean(axis=0)) < 0.06
    letters = drawn[np.isin(drawn, list("ABCDE")).all(axis=1)]
    for sample in letters.T:
        counts = [np.mean(sample == letter) for letter in "ABCD"]
        assert 0.08 < min(counts) <= max(counts) < 0.5
    n_different = np.array([len(set(row)) for row in drawn.tolist()])
    assert 0.1 < np.mean(n_different == 1) < 0.5
    assert np.mean(n_different == N_SAMPLES) > 0.1


def test_its_members_complement_each_other_within_every_task(table: ResponseTable) -> None:
    accuracy, somebody = table.member_score.mean(axis=0), table.member_score.max(axis=1)
    assert 0.40 <= accuracy.max() <= 0.85
    best_of_task = np.zeros(table.n_queries)
    for task in range(len(table.tasks)):
        own = table.task == task
        best_of_task[own] = table.member_score[own].mean(axis=0).max()
        assert somebody[own].mean() - best_of_task[own].mean() >= 0.15, table.tasks[task]
    assert somebody.mean() - best_of_task.mean() >= 0.2  # whom to ask is not told by the task


def test_difficulty_is_graded(table: ResponseTable) -> None:
    level = np.array([int(name.rsplit("-", 2)[1]) for name in table.query_ids.tolist()])
    best = [float(table.member_score[level == k].max(axis=1).mean()) for k in (1, 2, 3)]
    assert best[0] > best[1] > best[2]


def test_its_card_says_what_it_holds(table: ResponseTable) -> None:
    card = (FOLDER / "CARD.md").read_text(encoding="utf-8")
    assert f"{table.n_queries:,} reasoning questions of {len(table.tasks)} tasks" in card
    for name, value in zip(table.members, table.member_score.mean(axis=0), strict=True):
        assert re.search(rf"\| {re.escape(name)} \|.*\| {100 * value:.1f} \|", card), name
    best = 100 * table.member_score.mean(axis=0).max()
    oracle = 100 * table.member_score.max(axis=1).mean()
    assert f"right on {best:.1f} % of the questions, at least one member on {oracle:.1f} %" in card


def test_built_in_names_are_those_of_the_command_line() -> None:
    assert sorted(BUILT_IN) == ["demo", "localpool", "localpool-readers"]
