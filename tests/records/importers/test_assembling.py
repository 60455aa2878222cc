"""Records of any tool become one data set: joined, matched, extracted; what is left out is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset, build_table
from rlfocal.records.importers import Logged, Record, assemble, document_digest

OPTIONS = ("iron", "lead", "zinc")


def record(member: str, k: int, **more: Any) -> Record:
    fields: dict[str, Any] = {
        "member": member, "task": "t", "document": f"d{k}", "name": str(k), "prompt": f"{k}?",
        "place": f"{member}.json:{k}",
    }  # fmt: skip
    return Record(**fields | more)


def make(*records: Record, **more: Any) -> Dataset:
    return assemble(Logged(records=records, source="logs of a test"), name="x", **more)


def rows(data: Dataset) -> dict[tuple[str, str], dict[str, Any]]:
    return {(r["query_id"], r["member"]): r for r in data.responses.to_pylist()}


def notes(data: Dataset) -> list[str]:
    return list((data.info.model_extra or {})["notes"])


def test_right_and_wrong_replies_are_read_alike_so_that_no_label_votes() -> None:
    said = [r"so \boxed{12}"] * 2 + [r"thus \boxed{13}"] * 3
    data = make(
        *(
            record(m, 0, labels=("12",), text=text, score=float("12" in text))
            for m, text in zip("abcde", said, strict=True)
        )
    )
    assert data.responses["answer"].to_pylist() == ["12", "12", "13", "13", "13"]
    assert data.info.answers == "number"


def test_records_join_on_their_document_whatever_its_number() -> None:
    data = make(
        record("a", 0, name="0", labels=("1",), answer="1"),
        record("a", 1, name="1", labels=("2",), answer="2"),
        record("b", 1, name="0", labels=("2",), answer="2"),
        record("b", 0, name="1", labels=("1",), answer="3"),
    )
    assert data.queries["query_id"].to_pylist() == ["t/0", "t/1"]
    assert rows(data)["t/1", "b"]["answer"] == "2"


def test_a_document_that_stands_twice_is_two_queries() -> None:
    one = [record(m, 0, name=str(i), labels=("1",), answer=str(i)) for m in "ab" for i in (1, 2)]
    data = make(*one)
    assert data.queries["query_id"].to_pylist() == ["t/1", "t/2"]
    assert [r["answer"] for r in data.responses.to_pylist()] == ["1", "1", "2", "2"]


def test_two_documents_under_one_number_are_two_queries() -> None:
    data = make(
        record("a", 0, name="7", labels=("1",), answer="1"),
        record("b", 1, name="7", labels=("2",), answer="2"),
        record("a", 1, name="8", labels=("2",), answer="2"),
    )
    assert data.queries["query_id"].to_pylist() == ["t/7", "t/7~2"]


def test_repeats_become_samples_and_most_of_them_the_answer() -> None:
    data = make(
        *(
            record("a", 0, labels=("8",), text=f"It is {n}.", repeat=i)
            for i, n in enumerate((7, 8, 8))
        ),
        record("b", 0, labels=("8",), text="It is 8."),
    )
    row = rows(data)["t/0", "a"]
    assert (row["answer"], row["samples"], row["text"]) == ("8", ["7", "8", "8"], "It is 8.")
    held = make(
        record("a", 0, labels=("8",), samples=("It is 7.", "8", "It is 8")),
        record("b", 0, labels=("8",), text="8"),
    )
    assert rows(held)["t/0", "a"]["samples"] == ["7", "8", "8"]
    assert rows(held)["t/0", "a"]["answer"] == "8"


def test_shuffled_options_are_matched_by_text() -> None:
    mine = record("a", 0, choices=OPTIONS, labels=("B",), answer="B", choice_scores=(0.0, 2.0, 1.0))
    other = record(
        "b", 0, choices=("zinc", "iron", "lead"), labels=("C",), text="The answer is (A).",
        choice_scores=(3.0, 1.0, 2.0),
    )  # fmt: skip
    data = make(mine, other)
    row = rows(data)["t/0", "b"]
    assert (row["answer"], row["choice_scores"]) == ("C", [1.0, 2.0, 3.0])
    assert data.queries["label"].to_pylist() == ["B"]
    assert any("another order; matched by their texts" in note for note in notes(data))


def test_a_task_that_clashes_is_left_out_and_the_rest_read() -> None:
    good = [record(m, 1, task="ok", labels=("1",), answer="1") for m in "ab"]
    bad = [
        record("a", 0, choices=OPTIONS, labels=("A",), answer="A"),
        record("b", 0, choices=("iron", "lead", "tin"), labels=("A",), answer="A"),
    ]
    data = make(*good, *bad)
    assert data.queries["task"].to_pylist() == ["ok"]
    assert any(
        "task t is left out" in n and "a.json:0" in n and "b.json:0" in n for n in notes(data)
    )
    with pytest.raises(RecordError, match="no task is left; task t is left out"):
        make(*bad)


def test_more_options_than_letters_are_answered_by_their_texts() -> None:
    options = tuple(f"intent {i}" for i in range(40))
    data = make(
        record(
            "a",
            0,
            choices=options,
            labels=("intent 30",),
            answer="intent 30",
            choice_scores=(0.0,) * 40,
        ),
        record("b", 0, choices=options, labels=("intent 30",), answer="B"),
    )
    assert data.queries["choices"].to_pylist() == [None]
    assert build_table(data).member_score.tolist() == [[1.0, 0.0]]
    assert any("more than 26 options" in note for note in notes(data))


def test_graded_scores_stay_scores() -> None:
    data = make(
        record("a", 0, labels=("A",), by_score=True, score=0.3, text="x"),
        record("b", 0, labels=("A",), by_score=True, score=0.7, text="y"),
    )
    assert data.queries["label"].to_pylist() == [None]
    assert data.responses["answer"].to_pylist() == [None, None]
    assert build_table(data, members=["a", "b"]).member_score[0] == pytest.approx([0.3, 0.7])


def test_long_labels_are_texts_judged_by_their_scores() -> None:
    label = "A long explanation that nobody repeats word by word, whatever they know of it. " * 2
    data = make(
        *(
            record(m, 0, labels=(label,), text="because", score=s)
            for m, s in (("a", 1.0), ("b", 0.0))
        )
    )
    assert data.queries["label"].to_pylist() == [None]
    assert data.info.answers == "score only"
    assert any("labels are long texts" in note for note in notes(data))


def test_an_answer_the_tool_did_not_find_is_none_whatever_the_reply_holds() -> None:
    data = make(
        record("a", 0, labels=("8",), text="I thought of 8 but no.", unusable=True),
        record("b", 0, labels=("8",), text="I thought of 8."),
    )
    assert data.responses["answer"].to_pylist() == [None, "8"]


def test_several_accepted_answers_leave_judging_to_the_score() -> None:
    data = make(
        record("a", 0, labels=("Paris", "City of Paris"), answer="paris", score=1.0),
        record("b", 0, labels=("Paris", "City of Paris"), answer="Rome", score=0.0),
    )
    assert data.queries["label"].to_pylist() == [None]
    assert build_table(data).member_score.tolist() == [[1.0, 0.0]]


def test_tasks_are_chosen_and_skipped_by_name() -> None:
    both = [
        record(m, k, task=t, labels=("1",), answer="1")
        for t in ("x", "y")
        for k in (0, 1)
        for m in "ab"
    ]
    assert set(make(*both, tasks=["x"]).queries["task"].to_pylist()) == {"x"}
    logged = Logged(records=both, source="s", notes=["x: 3 scores are no numbers", "y: two runs"])
    left = assemble(logged, name="x", skip=["x"])
    assert "y: two runs" in notes(left)
    assert not any(note.startswith("x: ") for note in notes(left))
    assert set(make(*both, skip=["x"]).queries["task"].to_pylist()) == {"y"}
    with pytest.raises(ConfigError, match="--task: no task 'z'"):
        make(*both, tasks=["z"])
    with pytest.raises(ConfigError, match="leave no task"):
        make(*both, skip=["x", "y"])
    with pytest.raises(ConfigError, match="did you mean 'number'"):
        make(*both, answers="numbr")


def test_missing_responses_are_counted_in_a_note() -> None:
    data = make(
        *(record("a", k, labels=("1",), answer="1") for k in range(3)),
        record("b", 0, labels=("1",), answer="1"),
    )
    told = (
        "open answers are compared as number, found out from the labels (--answers says otherwise)"
    )
    assert notes(data) == [told, "b, t: 2 of 3 responses are missing"]
    tasks = [record("a", 0, task=f"t{i}", labels=("1",), answer="1") for i in range(5)]
    data = make(*tasks, record("b", 0, task="t0", labels=("1",), answer="1"))
    assert notes(data) == [told, "b has no response to t1, t2, t3, ... 4 tasks"]


def test_nothing_read_says_why() -> None:
    with pytest.raises(RecordError, match=r"no samples found; a\.json: not JSON"):
        assemble(Logged(records=[], source="s", notes=["a.json: not JSON"]), name="x")


def test_digests_depend_on_content_alone() -> None:
    assert document_digest("q", ["a", "b"], {"y": 1, "x": 2}) == document_digest(
        "q", ["a", "b"], {"x": 2, "y": 1}
    )
    assert document_digest("q", ["a"]) != document_digest("q", ["b"])
    first = record("a", 0, labels=("1",), answer="1", cost_usd=0.25, latency_s=2.0, repeat=0)
    data = make(first, replace(first, repeat=1), record("b", 0, labels=("1",), answer="1"))
    assert rows(data)["t/0", "a"]["cost_usd"] == 0.5
    assert rows(data)["t/0", "a"]["latency_s"] == 2.0


def test_replies_that_hold_no_answer_are_counted() -> None:
    said = [record("a", k, labels=(str(k),), text="I do not know.") for k in range(3)]
    data = make(*said, *(record("b", k, labels=(str(k),), text=f"It is {k}.") for k in range(3)))
    assert "t: 3 replies hold no number, so they are no answers" in notes(data)


def test_half_a_character_is_stored_as_a_question_mark() -> None:
    data = make(*(record(m, 0, labels=("1",), text="It is 1. \ud83d") for m in "ab"))
    assert data.responses["text"].to_pylist() == ["It is 1. ?"] * 2
    assert data.responses["answer"].to_pylist() == ["1", "1"]


def test_options_beside_graded_replies_are_answered_by_letters() -> None:
    chosen = [record(m, 0, choices=OPTIONS, labels=("A",), answer="A") for m in "ab"]
    graded = [record(m, 1, task="u", by_score=True, score=0.5, text="x") for m in "ab"]
    data = make(*chosen, *graded)
    assert data.info.answers == "choice"
    assert notes(data) == ["u: replies are judged by their scores"]
