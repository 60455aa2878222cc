"""every_eval_ever's samples: lines that its own converter wrote, and lines of its schema."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from spoiling import spoiled, survives

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.every_eval_ever import read_every_eval_ever
from rlfocal.records.importers.logged import Record


def line(**other: Any) -> dict[str, Any]:
    """Return one line, all of schema 0.3.0's fields in it; `raw`, `score` and the like replace."""
    asked = {"raw": "What is 6 * 7?", "formatted": None, "reference": ["42"], "choices": None}
    asked |= {k: other.pop(k) for k in ("raw", "reference", "choices") if k in other}
    reply = other.pop("reply", "It is 42.")
    row = {
        "schema_version": "0.3.0", "evaluation_id": "sums/our_small/1761000045.0",
        "model_id": "our/small", "evaluation_name": "sums", "evaluation_result_id": "accuracy",
        "sample_id": "1", "sample_hash": "ab", "interaction_type": "single_turn", "input": asked,
        "output": {"raw": reply if isinstance(reply, list) else [reply], "reasoning_trace": None},
        "messages": None, "answer_attribution": [],
        "evaluation": {
            "score": other.pop("score", 1.0), "is_correct": other.pop("is_correct", True),
            "num_turns": 1, "tool_calls_count": 0,
        },
        "token_usage": None,
        "performance": {"latency_ms": 7, "generation_time_ms": 1500},
        "error": None, "metadata": {"stop_reason": "stop"},
    }  # fmt: skip
    return row | other


def attributed(value: str, **other: Any) -> list[dict[str, Any]]:
    return [{"turn_idx": 0, "source": "output.raw", "extracted_value": value,
             "extraction_method": "regex", "is_terminal": True} | other]  # fmt: skip


ANIMALS = {"raw": "Which of these lays eggs?", "choices": ["dog", "hen", "cat"]}


def write(folder: Path, rows: list[Any], name: str = "one", **about: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_samples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if about:
        (folder / f"{name}.json").write_text(json.dumps(about))
    return path


def only(folder: Path, row: Any, **options: Any) -> Record:
    (record,) = read_every_eval_ever([write(folder, [row])], **options).records
    return record


def test_a_line_becomes_a_record(tmp_path: Path) -> None:
    record = only(tmp_path, line(answer_attribution=attributed("42")))
    assert (record.member, record.task, record.name) == ("our/small", "sums", "1")
    assert (record.prompt, record.labels) == ("What is 6 * 7?", ("42",))
    assert (record.answer, record.text, record.score) == ("42", "It is 42.", 1)
    assert (
        record.latency_s == 1.5
    )  # not latency_ms, which inspect_ai's converter fills with waiting
    assert record.place.endswith("one_samples.jsonl:1")


def test_an_extracted_value_that_is_the_reply_is_no_answer_yet(tmp_path: Path) -> None:
    assert only(tmp_path, line(answer_attribution=attributed("It is 42."))).answer is None
    assert only(tmp_path, line()).answer is None
    steps = attributed("6", is_terminal=False)
    assert only(tmp_path, line(answer_attribution=steps)).answer is None


@pytest.mark.parametrize(
    ("reference", "reply", "extracted", "answer"),
    [
        ("B", "C", None, "C"),  # inspect_ai: letters
        ("hen", " B", "B", "B"),  # HELM: texts, and the letter that was generated
        ("1", "cat", "cat", "C"),  # lm-eval: a number from 0, and the text of the likeliest
        ("hen", "hen", "hen", "B"),
        ("b", "(a)", None, None),  # looked for by the rules for letters
    ],
)
def test_options_by_letter_text_or_number(
    tmp_path: Path, reference: str, reply: str, extracted: str | None, answer: str | None
) -> None:
    row = line(**ANIMALS, reference=[reference], reply=reply)
    row["answer_attribution"] = [] if extracted is None else attributed(extracted)
    record = only(tmp_path, row)
    assert (record.choices, record.labels) == (("dog", "hen", "cat"), ("B",))
    assert record.answer == answer


def test_options_that_are_numbers_are_meant_by_their_text(tmp_path: Path) -> None:
    row = line(raw="How many?", choices=["2", "1", "0"], reference=["1"], reply="0")
    record = only(tmp_path, row)
    assert (record.labels, record.answer) == (("B",), "C")


COUNTS = ["1", "2", "3", "4"]


def counted(reference: str, said: str, score: float, model: str = "our/a", **other: Any) -> Any:
    """Return a line whose options are numbers, as in mathqa; the reply is an option's text."""
    other = {"raw": "How many is one and one?", "choices": COUNTS} | other
    return line(reference=[reference], reply=said, score=score, model_id=model,
                answer_attribution=attributed(said), **other)  # fmt: skip


def answers_of(data: Any) -> dict[tuple[str, str], str]:
    return {(r["member"], r["query_id"]): r["answer"] for r in data.responses.to_pylist()}


def test_numbers_of_options_among_options_that_are_numbers_are_found_by_the_scores(
    tmp_path: Path,
) -> None:
    """lm-eval's converter gives the number of the right option and the text of the reply."""
    rows = [counted("1", "2", 1.0), counted("1", "1", 0.0, "our/b")]
    logged = read_every_eval_ever([write(tmp_path, rows)])
    data = assemble(logged, name="x")
    assert data.queries["label"].to_pylist() == ["B"]
    assert answers_of(data) == {("our/a", "sums/1"): "B", ("our/b", "sums/1"): "A"}
    assert any("sums: 2 references are numbers of options, from 0" in n for n in logged.notes)


def test_texts_of_options_that_are_numbers_are_found_by_the_scores(tmp_path: Path) -> None:
    rows = [counted("1", "1", 1.0), counted("1", "2", 0.0, "our/b")]
    logged = read_every_eval_ever([write(tmp_path, rows)])
    data = assemble(logged, name="x")
    assert data.queries["label"].to_pylist() == ["A"]
    assert answers_of(data) == {("our/a", "sums/1"): "A", ("our/b", "sums/1"): "B"}
    assert any("sums: 2 references are texts of options" in n for n in logged.notes)


def test_a_task_is_read_in_one_way_whatever_the_file_and_member(tmp_path: Path) -> None:
    """b's own lines would tell nothing, or the wrong thing; most lines of the task decide."""
    write(
        tmp_path,
        [counted("1", "2", 1.0), counted("0", "1", 1.0, sample_id="2", raw="How many is one?")],
        "a",
    )
    write(
        tmp_path,
        [
            counted("1", "3", 0.0, "our/b"),
            counted("0", "2", 0.0, "our/b", sample_id="2", raw="How many is one?"),
        ],
        "b",
    )
    data = assemble(read_every_eval_ever([tmp_path]), name="x")
    assert data.queries["label"].to_pylist() == ["B", "A"]
    assert answers_of(data) == {
        ("our/a", "sums/1"): "B", ("our/a", "sums/2"): "A",
        ("our/b", "sums/1"): "C", ("our/b", "sums/2"): "B",
    }  # fmt: skip


def test_tasks_are_read_each_in_its_own_way(tmp_path: Path) -> None:
    rows = [counted("1", "2", 1.0), counted("1", "1", 1.0, evaluation_name="more")]
    found = {r.task: r.labels for r in read_every_eval_ever([write(tmp_path, rows)]).records}
    assert found == {"sums": ("B",), "more": ("A",)}


def test_other_questions_of_a_task_tell_how_its_references_are_read(tmp_path: Path) -> None:
    """Scores 0 of third answers fit both; the number of a word among the options fits one."""
    doubtful = counted("1", "3", 0.0)
    words = line(**ANIMALS, reference=["1"], reply="hen", sample_id="2",
                 answer_attribution=attributed("hen"))  # fmt: skip
    texts = line(**ANIMALS, reference=["hen"], reply="hen", sample_id="2",
                 answer_attribution=attributed("hen"))  # fmt: skip
    for other, label in ((words, "B"), (texts, "A")):
        found = list(read_every_eval_ever([write(tmp_path, [doubtful, other])]).records)
        assert [r.labels for r in found] == [(label,), ("B",)]


def test_in_doubt_lines_of_lm_eval_have_numbers_and_others_texts(tmp_path: Path) -> None:
    logged = read_every_eval_ever([write(tmp_path, [counted("1", "3", 0.0)])])
    assert [r.labels for r in logged.records] == [("A",)]
    assert any("neither scores nor other references tell" in note for note in logged.notes)
    row = counted("1", "3", 0.0, metadata={"lm_eval_metrics": "{}", "stop_reason": "stop"})
    assert only(tmp_path, row).labels == ("B",)


def test_scores_of_the_metric_that_counts_decide(tmp_path: Path) -> None:
    rows = [
        counted("1", "2", 0.0, evaluation_result_id="f1"),
        counted("1", "2", 0.0, evaluation_result_id="f1", sample_id="2", raw="One more one?"),
        counted("1", "2", 1.0, evaluation_result_id="acc"),
    ]
    (record,) = read_every_eval_ever([write(tmp_path, rows)]).records
    assert record.labels == ("B",)


def test_several_references(tmp_path: Path) -> None:
    any_of_them = only(tmp_path, line(**ANIMALS, reference=["hen", "cat"], reply="B"))
    assert (any_of_them.labels, any_of_them.by_score) == (("B", "C"), False)
    all_of_them = only(tmp_path, line(**ANIMALS, reference=["A", "B"], reply="A, B"))
    assert (all_of_them.labels, all_of_them.by_score) == ((), True)
    texts = only(tmp_path, line(reference=["42", "forty-two"]))
    assert texts.labels == ("42", "forty-two")


def test_documents_are_joined_whatever_the_order_of_options(tmp_path: Path) -> None:
    rows = [
        line(**ANIMALS, reference=["B"], reply="B"),
        line(raw=ANIMALS["raw"], choices=["hen", "cat", "dog"], reference=["hen"], reply="A",
             model_id="our/large"),
    ]  # fmt: skip
    data = assemble(read_every_eval_ever([write(tmp_path, rows)]), name="x")
    assert data.queries.num_rows == 1
    assert data.queries["choices"].to_pylist() == [["hen", "cat", "dog"]]
    assert data.queries["label"].to_pylist() == ["A"]
    assert data.responses["answer"].to_pylist() == ["A", "A"]


def test_means_over_epochs_are_graded_again(tmp_path: Path) -> None:
    """With epochs, every line has the mean as its score, and is "correct" where it is above 0."""
    rows = [
        line(reply=reply, score=1 / 3, metadata={"epoch": str(k)})
        for k, reply in enumerate(["41", "42", "40"], start=1)
    ]
    logged = read_every_eval_ever([write(tmp_path, rows)])
    found = list(logged.records)
    assert [(r.repeat, r.score) for r in found] == [(1, None), (2, None), (3, None)]
    assert any("3 scores are means over epochs" in note for note in logged.notes)
    data = assemble(logged, name="x")
    assert data.queries["label"].to_pylist() == ["42"]
    assert data.responses["samples"].to_pylist() == [["41", "42", "40"]]


def test_means_over_epochs_stay_where_nothing_can_be_compared(tmp_path: Path) -> None:
    rows = [line(reference=[], score=1 / 3, metadata={"epoch": str(k)}) for k in (1, 2, 3)]
    found = list(read_every_eval_ever([write(tmp_path, rows)]).records)
    assert [(r.score, r.by_score) for r in found] == [(1 / 3, True)] * 3


def test_is_correct_counts_for_nothing_beside_a_score(tmp_path: Path) -> None:
    assert only(tmp_path, line(score=0.0, is_correct=True)).score == 0
    assert only(tmp_path, line(score=None, is_correct=True)).score == 1
    assert only(tmp_path, line(score=None, is_correct=None)).score is None


def test_graded_metrics_judge_texts(tmp_path: Path) -> None:
    rows = [line(evaluation_result_id="rouge_l", score=0.4), line(score=0.7, sample_id="2",
            raw="What is 5 * 7?", evaluation_result_id="rouge_l")]  # fmt: skip
    found = list(read_every_eval_ever([write(tmp_path, rows)]).records)
    assert [(r.score, r.by_score, r.answer) for r in found] == [
        (0.4, True, None),
        (0.7, True, None),
    ]


def test_one_metric_of_several_counts(tmp_path: Path) -> None:
    rows = [line(evaluation_result_id="f1_score:test", score=0.5),
            line(evaluation_result_id="exact_match:test", score=0.0)]  # fmt: skip
    path = write(tmp_path, rows)
    logged = read_every_eval_ever([path])
    assert [r.score for r in logged.records] == [0]
    assert logged.notes == [
        "sums: lines of metric exact_match:test; there are others (--metric): f1_score:test"
    ]
    assert [r.score for r in read_every_eval_ever([path], metric="f1_score:test").records] == [0.5]
    with pytest.raises(RecordError, match=r"sums: no metric 'f1'; .*f1_score:test"):
        read_every_eval_ever([path], metric="f1")


def test_scores_that_are_no_scores_here(tmp_path: Path) -> None:
    logged = read_every_eval_ever([write(tmp_path, [line(score=7.25)])])
    assert [r.score for r in logged.records] == [None]
    assert any("outside [0, 1]" in n and "7.25" in n for n in logged.notes)
    about = {"evaluation_results": [{"evaluation_result_id": "accuracy",
                                     "metric_config": {"lower_is_better": True}}]}  # fmt: skip
    logged = read_every_eval_ever([write(tmp_path, [line()], **about)])
    assert [r.score for r in logged.records] == [None]
    assert any("better when lower" in n for n in logged.notes)


@pytest.mark.parametrize(
    "reply",
    ["[invalid]", "Scoring pattern not matched in output: no idea", " ",
     "Choices were shuffled before generating a response, the following was sent to the model:\n\n"
     "A) hen\nB) dog\nShuffled answer:\nANSWER: "],
)  # fmt: skip
def test_explanations_in_place_of_answers_are_none(tmp_path: Path, reply: str) -> None:
    record = only(tmp_path, line(**ANIMALS, reference=["B"], reply=reply))
    assert (record.answer, record.unusable) == (None, True)


def test_the_answer_of_a_worked_solution(tmp_path: Path) -> None:
    assert only(tmp_path, line(reference=["6 * 7 = 42\n#### 42"])).labels == ("42",)


def test_several_replies_are_repeats(tmp_path: Path) -> None:
    record = only(tmp_path, line(reply=["42", "41", "42"]))
    assert record.samples == ("42", "41", "42")
    assert record.answer is None


def test_conversations_end_in_their_reply(tmp_path: Path) -> None:
    messages = [
        {"turn_idx": 0, "role": "user", "content": "What is 6 * 7?"},
        {"turn_idx": 1, "role": "assistant", "content": "Let me see."},
        {"turn_idx": 2, "role": "tool", "content": "42"},
        {"turn_idx": 3, "role": "assistant", "content": "It is 42."},
        {"turn_idx": 4, "role": "assistant", "content": None},
    ]
    row = line(interaction_type="agentic", messages=messages, output=None)
    assert only(tmp_path, row).text == "It is 42."


def test_samples_that_failed_are_missing_not_wrong(tmp_path: Path) -> None:
    rows = [line(), line(sample_id="2", raw="Else?", error="timeout", score=0.0)]
    logged = read_every_eval_ever([write(tmp_path, rows)])
    assert [r.name for r in logged.records] == ["1"]
    assert any("1 samples ended in an error" in n for n in logged.notes)


def test_replies_cut_off_are_said_to_be(tmp_path: Path) -> None:
    assert only(tmp_path, line(metadata={"stop_reason": "max_tokens"})).truncated


def test_runs_by_time_and_settings(tmp_path: Path) -> None:
    def about(time: str, temperature: float) -> dict[str, Any]:
        config = {"generation_args": {"temperature": temperature}}
        return {"evaluation_timestamp": time, "evaluation_results": [
            {"evaluation_result_id": "accuracy", "generation_config": config}]}  # fmt: skip

    write(tmp_path, [line(score=0.0)], "b_old", **about("1761000045.0", 0.0))
    write(tmp_path, [line()], "a_new", **about("1762000045.0", 0.0))
    logged = read_every_eval_ever([tmp_path])
    assert [(r.member, r.score) for r in logged.records] == [("our/small", 1)]
    assert any("took a_new_samples.jsonl, left b_old_samples.jsonl" in n for n in logged.notes)
    write(tmp_path, [line()], "warm", **about("1762000046.0", 1.0))
    assert {r.member for r in read_every_eval_ever([tmp_path]).records} == {
        "our/small (temperature=0.0)", "our/small (temperature=1.0)",
    }  # fmt: skip


def test_compressed_files_are_read(tmp_path: Path) -> None:
    data = json.dumps(line()).encode()
    (tmp_path / "a_samples.jsonl.gz").write_bytes(gzip.compress(data))
    other = json.dumps(line(model_id="our/large")).encode()
    # In two frames, as what is written bit by bit.
    packed = b"".join(pa.compress(half, "zstd", asbytes=True) for half in (other[:9], other[9:]))
    (tmp_path / "b_samples.jsonl.zst").write_bytes(packed)
    assert {r.member for r in read_every_eval_ever([tmp_path]).records} == {
        "our/small", "our/large",
    }  # fmt: skip
    (tmp_path / "b_samples.jsonl.zst").write_bytes(packed[:-4])
    logged = read_every_eval_ever([tmp_path])
    assert {r.member for r in logged.records} == {"our/small"}
    assert any("b_samples.jsonl.zst" in note for note in logged.notes)


def test_a_folder_reports_what_it_leaves_out(tmp_path: Path) -> None:
    path = write(tmp_path, [line(), {"name": "else"}])
    path.write_text(path.read_text() + '{"cut": ')
    (tmp_path / "aggregate.jsonl").write_text('{"model": "a"}\n')
    logged = read_every_eval_ever([tmp_path])
    assert len(list(logged.records)) == 1
    said = "\n".join(logged.notes)
    assert "one_samples.jsonl: 2 of 3 rows cannot be read" in said
    assert "aggregate.jsonl:1: field 'evaluation_name' is missing" in said


@pytest.mark.slow
def test_spoiled_fields_are_named(tmp_path: Path) -> None:
    unread = ("schema_version", "evaluation_id", "sample_hash", "interaction_type", "token_usage")
    row = line(**ANIMALS, reference=["B"], reply="B", answer_attribution=attributed("B"))
    for what, value in spoiled({k: v for k, v in row.items() if k not in unread}):
        survives(read_every_eval_ever, write(tmp_path, [value]), what)


def test_a_spoiled_description_does_no_harm(tmp_path: Path) -> None:
    about = {"evaluation_timestamp": "1761000045.0", "evaluation_results": [
        {"evaluation_result_id": "accuracy", "metric_config": {"lower_is_better": False},
         "generation_config": {"generation_args": {"temperature": 0.0}}}]}  # fmt: skip
    path = write(tmp_path, [line()])
    for what, value in spoiled(about):
        (tmp_path / "one.json").write_text(json.dumps(value))
        assert len(list(read_every_eval_ever([path]).records)) == 1, what


def test_lines_that_its_own_converter_wrote() -> None:
    """every_eval_ever 0.3.0 made them of two of our logs of inspect_ai (make_inspect_ai.sh)."""
    logs = Path(__file__).parent / "logs" / "every_eval_ever"
    logged = read_every_eval_ever([logs / "epochs_samples.jsonl"])
    found = list(logged.records)
    assert {(r.name, r.repeat, r.text, r.score) for r in found} == {
        ("1", 1, "7", None), ("1", 2, "8", None), ("1", 3, "7", None),
        ("2", 1, "41", None), ("2", 2, "42", None), ("2", 3, "42", None),
    }  # fmt: skip
    assert "6 scores are means over epochs" in logged.notes[0]
    animals = read_every_eval_ever([logs / "animals_shuffled_samples.jsonl"]).records
    assert {(r.name, r.answer, r.score) for r in animals} == {("legs", "B", 1), ("eggs", None, 0)}
