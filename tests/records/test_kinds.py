"""The kind of answers that a task has, found out from its labels or declared."""

from __future__ import annotations

import pytest

from rlfocal.records.importers import Logged, Record, assemble
from rlfocal.records.kinds import AS_THEY_ARE, Kind, kind_of, kinds_of_tasks
from rlfocal.records.tables.build import build_table


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
        ("number", ["204", "025", "113"]),  # as AIME 2024 stores its answers
        ("number", ["$1,200", "05"]),
        ("number", ["1200", "05", "7"]),
        ("number", ["0.5", "05", "7"]),
        ("math", ["1/2", "05", "3"]),
        ("math", ["025", r"\frac{1}{2}", "7"]),
        ("text", ["02134", "90210", "10001"]),  # postal codes
        ("text", ["007", "042"]),
        ("text", ["0123", "0456", "12"]),
        ("text", ["02139", "10001", "9021"]),
        ("text", ["010", "110", "101", "111"]),  # strings of bits
        ("text", ["01", "110", "1010", "111"]),
        ("number", ["10", "110", "1", "0"]),
        ("text", ["0123"]),
        ("text", ["C++", "Rust"]),
        ("text", ["yes", "no"]),
        ("date", ["2021-05-01", "2020-06-02"]),
        ("date", ["05/01/2021", "12/24/1999"]),
        ("date", ["31/12/2020", "01/02/2021"]),
        ("choice", ["A", "C", "B"]),
        ("choice", ["(A)", "(B)"]),
        ("choice", ["b", "a"]),
        ("choice", ["b", "C", "(d)", "a."]),
        ("text", ["b", "a", "both"]),
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


def test_labels_with_leading_zeros_are_told_of_with_the_remedy() -> None:
    contest: dict[str, list[str | None]] = {"aime": ["204", "025", "113"], "sums": ["7", "12"]}
    kinds, notes = kinds_of_tasks(contest, None)
    assert kinds == {"aime": Kind("number"), "sums": Kind("number")}
    (note,) = notes
    assert "task 'aime': 1 of 3 labels begin with 0, as '025'" in note
    assert "compared as numbers: '025' is '25'" in note
    assert "--answers text" in note
    kinds, notes = kinds_of_tasks({"towns": ["02134", "90210", None]}, None)
    assert kinds == {"towns": Kind("text")}
    (note,) = notes
    assert "task 'towns': 1 of 2 labels begin with 0, as '02134'" in note
    assert "compared as text: '02134' is not '2134'" in note
    assert "--answers number" in note
    assert kinds_of_tasks({"t": ["025", "7", "8"]}, "number")[1] == [], "declared"


def test_a_label_with_leading_zeros_and_a_reply_without_are_one_candidate() -> None:
    said = {"a": ("25", "The answer is 204."), "b": ("025", "It is 205.")}
    records = [
        Record(member=member, task="aime", document=str(k), name=str(k), prompt=f"Question {k}?",
               labels=(label,), text=replies[k])
        for member, replies in said.items()
        for k, label in enumerate(("025", "204"))
    ]  # fmt: skip
    table = build_table(assemble(Logged(records=records, source="test"), name="x"))
    rows = {(r["query_id"], r["member"]): r for r in table.to_arrow().to_pylist()}
    answers = {key: (r["answer"], r["score"]) for key, r in rows.items()}
    assert answers == {
        ("aime/0", "a"): ("25", 1), ("aime/0", "b"): ("25", 1),
        ("aime/1", "a"): ("204", 1), ("aime/1", "b"): ("205", 0),
    }  # fmt: skip


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
    _, (note,) = kinds_of_tasks({"sums": [*map(str, range(1, 39)), "025", "B"]}, None)
    assert "39 of 40 labels are numbers, but not 'B'" in note
