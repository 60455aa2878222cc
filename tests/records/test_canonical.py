"""Recorded answers and labels become what collected replies become: one form, one equality."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import RecordError
from rlfocal.records import Dataset, DatasetInfo, build_table

NUMBERS = ["395", "1750", "-3.5", "0.25", "12", "1000000"]
OPTIONS = ["iron ore", "lead", "zinc", "tin plate"]


def open_set(
    labels: list[str | None],
    answers: dict[str, list[str | None]],
    *,
    info: DatasetInfo | None = None,
    samples: list[list[str]] | None = None,
) -> Dataset:
    """Member → an answer to each question."""
    ids = [f"q{i}" for i in range(len(labels))]
    queries = {"query_id": ids, "prompt": [f"{i}?" for i in ids], "label": labels}
    rows: dict[str, list[Any]] = {
        "query_id": ids * len(answers),
        "member": [m for m in answers for _ in ids],
        "answer": [a for given in answers.values() for a in given],
    }
    types = {}
    if samples is not None:
        rows["samples"] = samples
        types["samples"] = pa.list_(pa.string())
    table = pa.table({k: pa.array(v, types.get(k, pa.string())) for k, v in rows.items()})
    return Dataset("x", pa.table(queries), table, info or DatasetInfo())


def choice_set(labels: list[str], answers: dict[str, list[str | None]]) -> Dataset:
    ids = [f"q{i}" for i in range(len(labels))]
    queries = pa.table(
        {
            "query_id": ids,
            "prompt": [f"{i}?" for i in ids],
            "label": labels,
            "choices": [OPTIONS] * len(ids),
        }
    )
    responses = pa.table(
        {
            "query_id": ids * len(answers),
            "member": [m for m in answers for _ in ids],
            "answer": pa.array([a for own in answers.values() for a in own], pa.string()),
        }
    )
    return Dataset("x", queries, responses)


def accuracies(data: Dataset) -> list[float]:
    return build_table(data).member_score.mean(axis=0).tolist()


def test_the_smallest_case_of_four_spellings() -> None:
    data = open_set(
        ["12", "10", "1,000", "7"],
        {"a": [" 12", "10", "1000", "7.0"], "b": ["12", "10.00", "$1,000", r"\boxed{7}"]},
    )
    assert accuracies(data) == [1.0, 1.0]
    assert data.kinds[next(iter(data.kinds))].name == "number"
    assert any("found out from the labels" in note for note in data.notes)
    assert any("read in the form of their kind (number)" in note for note in data.notes)


def test_clean_data_are_left_as_they_are_and_nothing_is_said_of_them() -> None:
    data = open_set(
        NUMBERS, {"a": list(NUMBERS), "b": ["1"] * 6}, info=DatasetInfo(answers="number")
    )
    assert data.responses["answer"].to_pylist() == NUMBERS + ["1"] * 6
    assert data.notes == ()


def test_times_and_codes_are_compared_as_texts() -> None:
    data = open_set(["10:30", "B12"], {"a": ["09:30", "C12"], "b": ["10:30", "b12"]})
    assert accuracies(data) == [0.0, 1.0]


def test_text_keeps_sign_and_point_and_single_letters() -> None:
    data = open_set(
        ["-50", "C++", "A", "x"], {"a": ["50", "C", "B", "x"], "b": ["-50", "C++", "A", "X"]}
    )
    assert accuracies(data) == [0.25, 1.0]


def test_a_declared_kind_is_honoured() -> None:
    labels: list[str | None] = ["1", "x"]
    data = open_set(labels, {"a": ["1.0", "x"], "b": ["1", "y"]}, info=DatasetInfo(answers="text"))
    assert not any("found out" in note for note in data.notes)
    data = open_set(
        ["1", "2"],
        {"a": ["1.0", "3"], "b": ["1", "2"]},
        info=DatasetInfo(answers={"all": "number"}),
    )
    assert accuracies(data) == [0.5, 1.0]


def test_a_label_that_is_none_of_its_kind_stays_and_is_said() -> None:
    data = open_set(["1", "unknown"], {"a": ["1", "2"], "b": ["1", "2"]},
                    info=DatasetInfo(answers="number"))  # fmt: skip
    assert data.queries["label"].to_pylist() == ["1", "unknown"]
    assert any("1 labels are no number" in note and "'unknown'" in note for note in data.notes)


def test_answers_that_hold_none_of_their_kind_are_none_and_are_said() -> None:
    data = open_set(["1", "2"], {"a": ["n/a", "2"], "b": ["1", "no idea"]})
    assert data.responses["answer"].to_pylist() == [None, "2", "1", None]
    assert any("2 answers hold no number" in note for note in data.notes)


def test_full_replies_are_read_as_replies() -> None:
    data = open_set(
        ["18", "5"],
        {
            "a": ["<think>17?</think> So 3 * 6 = 18.\n#### 18", "It is 4."],
            "b": ["18", "The answer is 5."],
        },
    )
    assert accuracies(data) == [0.5, 1.0]


def test_samples_are_read_like_answers() -> None:
    data = open_set(
        ["18", "5"], {"a": ["18", "5"], "b": ["18.0", "5"]},
        samples=[["18", "18.0", "$18"], ["5"], ["17"], []],
    )  # fmt: skip
    assert data.responses["samples"].to_pylist() == [["18", "18", "18"], ["5"], ["17"], []]


def test_without_any_label_answers_stand_as_they_are_but_for_blanks() -> None:
    ids = ["q1", "q2"]
    data = Dataset(
        "x",
        pa.table({"query_id": ids, "prompt": ids}),
        pa.table({"query_id": ids * 2, "member": ["a", "a", "b", "b"],
                  "answer": [" Foo", "1.0", "foo", "1"], "score": [1.0, 1.0, 0.0, 0.0]}),
    )  # fmt: skip
    assert data.responses["answer"].to_pylist() == ["Foo", "1.0", "foo", "1"]


LETTER_FORMS: list[Callable[[str], str]] = [
    str.lower,
    lambda x: f"({x})",
    lambda x: f"{x}.",
    lambda x: f"**{x}**",
    lambda x: f" {x} ",
    lambda x: f"{x})",
    lambda x: f"[{x}]",
    lambda x: f"Answer: {x}",
    lambda x: f"The answer is ({x}).",
    lambda x: rf"\boxed{{{x}}}",
    lambda x: rf"$\boxed{{\text{{{x}}}}}$",
    lambda x: OPTIONS["ABCD".index(x)],
    lambda x: f"{x}. {OPTIONS['ABCD'.index(x)]}",
    lambda x: f"<think>A or B?</think>{x}",
]
NUMBER_FORMS: list[Callable[[str], str]] = [
    lambda x: f"{x}%",
    lambda x: f" {x}\n",
    lambda x: f"{x}.0" if "." not in x else f"{x}0",
    lambda x: rf"\boxed{{{x}}}",
    lambda x: f"**{x}**",
    lambda x: f"${x}" if x[0] != "-" else f"-${x[1:]}",
    lambda x: f"{float(x):,.2f}",
    lambda x: x.replace("-", "\N{MINUS SIGN}"),
    lambda x: f"#### {x}",
    lambda x: f"The answer is {x}.",
    lambda x: f"Answer: {x}",
    lambda x: rf"\({x}\)",
    lambda x: f"${x}$",
    lambda x: f"<answer>{x}</answer>",
    lambda x: f"{x}.",
    lambda x: f"'{x}'",
]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mixture_of_spellings_has_the_figures_of_the_clean_data(data: st.DataObject) -> None:
    right = data.draw(st.lists(st.booleans(), min_size=6, max_size=6))
    forms = [data.draw(st.sampled_from(NUMBER_FORMS)) for _ in NUMBERS]
    clean = [x if ok else "8" for x, ok in zip(NUMBERS, right, strict=True)]
    dirty = [form(x) for form, x in zip(forms, clean, strict=True)]
    label_forms = [data.draw(st.sampled_from(NUMBER_FORMS)) for _ in NUMBERS]
    labels = [form(x) for form, x in zip(label_forms, NUMBERS, strict=True)]
    other = ["8"] * 6
    info = DatasetInfo(answers="number")
    assert accuracies(open_set(list(labels), {"a": dirty, "b": other}, info=info)) == accuracies(
        open_set(list(NUMBERS), {"a": clean, "b": other}, info=info)
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_letters_in_any_spelling_are_the_letters(data: st.DataObject) -> None:
    labels = list("ABCDDCBA")
    right = data.draw(st.lists(st.booleans(), min_size=8, max_size=8))
    clean = [
        x if ok else "ABCD"[("ABCD".index(x) + 1) % 4] for x, ok in zip(labels, right, strict=True)
    ]
    dirty = [data.draw(st.sampled_from(LETTER_FORMS))(x) for x in clean]
    spelled = [data.draw(st.sampled_from(LETTER_FORMS[:7]))(x) for x in labels]
    assert accuracies(choice_set(spelled, {"a": dirty, "b": clean})) == accuracies(
        choice_set(labels, {"a": clean, "b": clean})
    )


def test_numbers_of_options_count_where_the_data_leave_no_doubt() -> None:
    zero = choice_set(["0", "3", "1", "2"], {"a": ["0", "3", "1", "1"], "b": ["A", "D", "B", "C"]})
    assert zero.queries["label"].to_pylist() == ["A", "D", "B", "C"]
    assert accuracies(zero) == [0.75, 1.0]
    one = choice_set(["A", "B", "C", "D"], {"a": ["1", "2", "3", "4"], "b": ["A", "B", "C", "D"]})
    assert accuracies(one) == [1.0, 1.0]
    doubt = choice_set(["A", "B", "C", "D"], {"a": ["1", "2", "3", "2"], "b": ["A", "B", "C", "D"]})
    assert accuracies(doubt) == [0.0, 1.0]
    assert any("4 answers hold no choice" in note for note in doubt.notes)


@pytest.mark.slow
def test_equal_expressions_are_one_answer() -> None:
    pytest.importorskip("math_verify")
    data = open_set(
        [r"$2\sqrt{2}$", r"\frac{1}{2}"],
        {"a": [r"\boxed{\sqrt{8}}", "0.5"], "b": [r"$\sqrt 8$", r"\frac{1}{3}"],
         "c": ["3", r"\dfrac{1}{3}"]},
    )  # fmt: skip
    assert accuracies(data) == [1.0, 0.5, 0.0]
    table = build_table(data)
    assert table.answer[0, 0] == table.answer[0, 1] != table.answer[0, 2]
    assert table.answer[1, 1] == table.answer[1, 2]


def test_what_is_read_once_is_read_the_same_again() -> None:
    data = open_set(["1,750", "2"], {"a": ["$1750.00", "n/a"], "b": ["1,750", "2.0"]})
    again = Dataset(data.name, data.queries, data.responses, data.info)
    assert again.queries.equals(data.queries)
    assert again.responses.equals(data.responses)


def test_a_blank_label_is_no_label() -> None:
    data = open_set(["1", "", " "], {"a": ["1", "2", "3"], "b": ["1", "2", "4"]})
    assert data.queries["label"].to_pylist() == ["1", None, None]
    assert accuracies(data) == [1.0, 1.0]


def test_options_that_differ_in_case_alone_are_told_apart() -> None:
    options = ["May", "may", "MAY", "might"]
    queries = pa.table({"query_id": ["q"], "prompt": ["?"], "choices": [options], "label": ["may"]})
    rows = {"query_id": ["q", "q"], "member": ["a", "b"], "answer": ["may", "MAY"]}
    data = Dataset("x", queries, pa.table(rows))
    assert data.responses["answer"].to_pylist() == ["B", "C"]


def test_codes_with_leading_zeros_are_texts() -> None:
    data = open_set(["00123", "04567"], {"a": ["123", "4567"], "b": ["00123", "04567"]})
    assert accuracies(data) == [0.0, 1.0]


def test_letters_are_declared_for_open_questions() -> None:
    labels: list[str | None] = ["(A)", "(B)", "yes"]
    info = DatasetInfo(answers="choice")
    data = open_set(labels, {"a": ["A", "b.", "no"], "b": ["B", "A", "A"]}, info=info)
    assert data.queries["label"].to_pylist() == ["A", "B", "yes"]
    assert accuracies(data) == pytest.approx([2 / 3, 0.0])


def test_a_kind_that_empties_the_data_is_named_in_the_refusal() -> None:
    with pytest.raises(RecordError, match=r"nothing was recorded \(.*answers hold no date"):
        open_set(["1", "2"], {"a": ["1", "2"], "b": ["1", "1"]}, info=DatasetInfo(answers="date"))
