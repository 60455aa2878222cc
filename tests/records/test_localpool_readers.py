"""The built-in pool with readers: localpool's questions and replies, and members that read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np
import pytest

from rlfocal.bench.summaries.reading import readings_of
from rlfocal.records import Dataset, ResponseTable, build_table
from rlfocal.records.built_in import BUILT_IN, localpool, localpool_readers

FOLDER = resources.files("rlfocal.records") / "localpool_readers"


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return localpool_readers()


@pytest.fixture(scope="module")
def table(dataset: Dataset) -> ResponseTable:
    return build_table(dataset)


def replies(dataset: Dataset) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for row in dataset.responses.to_pylist():
        yield (row["query_id"], row["member"]), row


def test_it_is_real_whole_and_small(table: ResponseTable) -> None:
    assert not table.synthetic
    assert table.n_queries >= 400
    assert table.recorded.all()
    size = sum(path.stat().st_size for path in FOLDER.iterdir())  # type: ignore[attr-defined]
    assert size < 4e6


def test_its_questions_and_members_are_those_of_localpool(dataset: Dataset) -> None:
    plain = localpool()
    questions = {row["query_id"]: row for row in plain.queries.to_pylist()}
    assert all(row == questions[row["query_id"]] for row in dataset.queries.to_pylist())
    theirs, ours = dict(replies(plain)), dict(replies(dataset))
    both = [key for key in ours if key in theirs]
    assert len(both) == dataset.queries.num_rows * len(plain.members)
    for key in both:
        assert ours[key]["text"] == theirs[key]["text"], key
        assert ours[key]["answer"] == theirs[key]["answer"], key


def test_a_judge_a_mixture_second_turns_and_a_refiner_read_them(table: ResponseTable) -> None:
    reads = table.reads
    assert reads is not None
    forms = {name: form for name, form in zip(table.members, reads.forms, strict=True) if form}
    assert forms == {
        "judge": "judge", "mixture": "aggregate", "qwen-1.5b-steps-2": "debate",
        "qwen-0.5b-steps-2": "debate", "critic": "criticise", "qwen-0.5b-refined": "refine",
    }  # fmt: skip
    # A refiner waits for the critic, who waits for the draft.
    assert reads.stage[table.members.index("qwen-0.5b-refined")] == 2


def test_what_readers_were_shown_is_recorded(dataset: Dataset) -> None:
    for (query, member), row in replies(dataset):
        about = dataset.info.readers.get(member)
        if about is None:
            assert row["shown"] is None
            continue
        assert row["text"], (query, member)
        for names in row["shown"]:
            assert sorted(names) == sorted(about.reads)
        assert row["n_prompt_tokens"] > 0


def test_the_judge_saw_both_orders_and_names_what_it_was_shown(dataset: Dataset) -> None:
    judged = [row for (_, member), row in replies(dataset) if member == "judge"]
    for row in judged:
        first, second = row["shown"]
        assert first == second[::-1]
        assert all(number is None or -1 <= number < 3 for number in row["verdicts"])
    named = [n for row in judged for n in row["verdicts"] if n is not None and n >= 0]
    assert len(named) > 1.8 * len(judged)
    firsts = [row["shown"][0][0] for row in judged]
    assert all(firsts.count(name) > len(judged) / 5 for name in set(firsts))  # drawn, not fixed


def test_its_readers_are_reported(table: ResponseTable) -> None:
    found = readings_of(table)
    assert found is not None
    accuracy = {name: table.member_accuracy[n] for n, name in enumerate(table.members)}
    # Small models lose by reading: who reads gains nothing over the best of those it reads.
    best = max(accuracy[name] for name in ("qwen-1.5b-steps", "qwen-1.5b-other"))
    assert accuracy["mixture"] < best + 0.02
    assert accuracy["qwen-0.5b-refined"] < accuracy["qwen-0.5b-steps"]


def test_the_card_says_what_the_data_hold(table: ResponseTable) -> None:
    card = (FOLDER / "CARD.md").read_text("utf-8")
    assert f"{table.n_queries:,} of localpool's questions" in card
    for name, accuracy in zip(table.members, table.member_accuracy, strict=True):
        row = re.search(rf"^\| {re.escape(name)} \|.*$", card, re.MULTILINE)
        assert row is not None, name
        if table.answered[:, table.members.index(name)].any():
            assert f"{100 * accuracy:.1f} [" in row[0]


def test_it_has_a_name() -> None:
    assert BUILT_IN["localpool-readers"]().name == "localpool-readers"
    assert np.isin(localpool().members, localpool_readers().members).all()
