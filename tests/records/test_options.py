"""The letter that a label or a recorded answer stands for, of options that are numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.records.options import OptionReader
from rlfocal.records.schema import QUERIES, table_of


def reader(*questions: tuple[Sequence[str], str]) -> OptionReader:
    """Of questions of one task: their options and labels."""
    rows = [
        {"query_id": str(k), "task": "t", "prompt": "?", "choices": list(options), "label": label}
        for k, (options, label) in enumerate(questions)
    ]
    queries = table_of(rows, QUERIES)
    return OptionReader(queries, queries["task"].combine_chunks().dictionary_encode())


@pytest.mark.parametrize(
    ("options", "label", "letter"),
    [
        (["0.5", "1.0", "2.0"], "1", "B"),
        (["0.5", "1", "2"], "1.0", "B"),
        (["0.5", "1", "2"], "1.00", "B"),
        (["1,000", "2,000", "x"], "2000", "B"),
        (["$5", "$10"], "10", "B"),
        (["1.0", "1", "2"], "1", "B"),  # the text itself comes first
        (["1.0", "1.00", "2"], "1", None),  # two are equal
        (["0.5", "1.0", "2.0"], "7", None),
        (["0.5", "1.0", "2.0"], "one half", None),
        (["dog", "cat"], "1.0", None),
    ],
)
def test_a_number_is_the_one_option_of_its_value(
    options: list[str], label: str, letter: str | None
) -> None:
    assert reader((options, label)).label(label, 0) == letter


def test_a_recorded_answer_is_read_by_its_value_too() -> None:
    found = reader((["0.5", "1.0", "2.0"], "1.0"))
    found.learn(pa.array(["2", "1", "It is 2."]), np.zeros(3, dtype=np.int64))
    assert [found.answer(text, 0) for text in ("2", "1", "0.50", "7")] == ["C", "B", "A", None]


def test_a_number_of_an_option_comes_before_its_value() -> None:
    """A 0 among the labels says that they count from 0."""
    options = ["10.0", "20.0", "1.0"]
    found = reader((options, "1"), (options, "0"))
    assert found.label("1", 0) == "B"


@pytest.mark.parametrize(
    ("options", "answers", "found"),
    [
        ("1234", "1230", ["A", "B", "C", None]),  # as texts of options
        ("1234", "ABC0", ["A", "B", "C", None]),  # read as letters already
        ("0123", "1234", ["B", "C", "D", None]),
        ("1234", "0000", ["A", "A", "A", "A"]),  # nothing tells that they are no numbers of options
        ("wxyz", "1230", ["B", "C", "D", "A"]),
        ("wxyz", "ABC0", ["A", "B", "C", "A"]),
    ],
)
def test_answers_that_are_texts_of_options_are_no_numbers_of_them(
    options: str, answers: str, found: list[str | None]
) -> None:
    known = reader(*((list(options), letter) for letter in "ABCD"))
    known.learn(pa.array(list(answers)), np.arange(4))
    assert [known.answer(text, row) for row, text in enumerate(answers)] == found


def test_a_few_options_that_are_numbers_leave_numbers_of_options() -> None:
    known = reader(*((list("wxyz"), "A") for _ in range(4)), (list("4321"), "A"))
    known.learn(pa.array(list("12301")), np.arange(5))
    assert known.answer("0", 3) == "A"


def test_labels_that_are_all_values_of_options_are_no_numbers_of_options() -> None:
    """A 4 of four options says that they count from 1, unless each of them is an option's value."""
    options = ["4.0", "3.0", "2.0", "1.0"]
    found = reader((options, "4"), (options, "3"))
    assert [found.label("4", 0), found.label("3", 1)] == ["A", "B"]
    found.learn(pa.array(["4", "1"]), np.array([0, 1]))
    assert [found.answer("4", 0), found.answer("1", 1)] == ["A", "D"]
