"""The kind of answers that a task has, found out from its labels or declared."""

from __future__ import annotations

import pytest

from rlfocal.records.kinds import AS_THEY_ARE, Kind, kind_of, kinds_of_tasks


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("number", ["12", "-3.5", "1,200", None]),
        ("number", ["$5", "$1,750.00"]),
        ("number", ["25%", "7%"]),
        ("number", ["He has 3 + 4 = 7 left.\n#### 7", "#### 1,000"]),
        ("text", ["12", "twelve", "a dozen"]),
        ("text", ["12 apples in a box", "none"]),
        ("text", ["10:30", "11:45"]),
        ("text", ["1.2.3", "2.0.1"]),
        ("text", ["B12", "C4"]),
        ("text", ["3-4", "5-9"]),
        ("text", ["C++", "Rust"]),
        ("text", ["yes", "no"]),
        ("date", ["2021-05-01", "2020-06-02"]),
        ("date", ["05/01/2021", "12/24/1999"]),
        ("date", ["31/12/2020", "01/02/2021"]),
        ("choice", ["A", "C", "B"]),
        ("choice", ["(A)", "(B)"]),
        ("math", ["1/2", "2/3"]),
        ("math", ["3", r"\frac{1}{2}", "7"]),
        ("math", ["$x^2$", "5"]),
        (AS_THEY_ARE, [None, None]),
        (AS_THEY_ARE, ["  "]),
    ],
)
def test_a_kind_is_found_where_every_label_is_one_of_it(kind: str, labels: list[str]) -> None:
    assert kind_of(labels) == kind


def test_a_declared_kind_counts_and_may_differ_between_tasks() -> None:
    labels = {"sums": ["1", "2"], "years": ["1999", "2001"]}
    kinds, notes = kinds_of_tasks(labels, {"years": "text"})
    assert kinds == {"sums": Kind("number"), "years": Kind("text", declared=True)}
    assert notes == []
    assert kinds_of_tasks(labels, "math")[0]["sums"] == Kind("math", declared=True)


def test_several_kinds_in_one_task_are_told_of() -> None:
    mixed: list[str | None] = ["12", "7", "C", "(D)", "B.", "Yes", None]
    kinds, notes = kinds_of_tasks({"t": mixed}, None)
    assert kinds == {"t": Kind("text")}
    assert len(notes) == 1
    assert notes[0].startswith("task 't': of 6 labels 2 are numbers and 3 are letters, so")
    assert "column `task`" in notes[0]
    assert kinds_of_tasks({"t": mixed}, "text")[1] == [], "declared"
    assert kinds_of_tasks({"t": ["7", *(f"word {i}" for i in range(10))]}, None)[1] == []
    assert kinds_of_tasks({"t": ["0123", "12", "12 a"]}, None)[1] == [], "codes"


def test_what_says_nothing_of_open_questions_leaves_them_to_their_labels() -> None:
    for declared in ("score only", "tool calls", None):
        kinds, notes = kinds_of_tasks({"t": ["1"]}, declared)
        assert (kinds["t"].name, notes) == ("number", [])


def test_letters_said_of_the_whole_set_are_said_of_its_multiple_choice() -> None:
    assert kinds_of_tasks({"t": ["1"]}, "choice")[0]["t"] == Kind("choice", declared=True)
    assert kinds_of_tasks({"t": ["1"]}, "choice", has_options=True)[0]["t"] == Kind("number")
    assert kinds_of_tasks({"t": ["1"]}, {"t": "choice"}, has_options=True)[0]["t"].name == "choice"


def test_an_unknown_declaration_is_said_and_the_labels_decide() -> None:
    kinds, notes = kinds_of_tasks({"t": ["1"]}, "numbr")
    assert kinds["t"] == Kind("number")
    assert len(notes) == 1
    assert "'numbr' is no kind known here" in notes[0]
    _, notes = kinds_of_tasks({"sums": ["1"]}, {"sum": "number"})
    assert "did you mean 'sums'" in notes[0]


def test_days_come_first_where_a_label_can_be_read_in_no_other_way() -> None:
    assert kinds_of_tasks({"t": ["31/12/2020", "01/02/2021"]}, None)[0]["t"].day_first
    assert not kinds_of_tasks({"t": ["12/31/2020", "01/02/2021"]}, None)[0]["t"].day_first
    assert not kinds_of_tasks({"t": ["01/02/2021"]}, None)[0]["t"].day_first


def test_a_few_odd_labels_among_numbers_are_named_with_the_remedy() -> None:
    kinds, notes = kinds_of_tasks({"sums": [*map(str, range(1, 40)), "unknown"]}, None)
    assert kinds["sums"].name == "text"
    (note,) = notes
    assert "39 of 40 labels are numbers, but not 'unknown'" in note
    assert "--answers" in note
