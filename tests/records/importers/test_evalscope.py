"""EvalScope's reviews: files that 1.14.1 wrote with its mock model, and rows of its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from spoiling import spoiled, survives

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.harnesses.evalscope import read_evalscope

LOGS = Path(__file__).parent / "logs" / "evalscope"
"""Two models, general_mcq (twice by one of them) and general_qa."""


def review(
    index: int, target: Any, said: str, value: dict[str, Any], *, prompt: str = "What is 1+1?",
    repeat: int = 0, **score: Any,
) -> dict[str, Any]:  # fmt: skip
    return {
        "index": index, "target": target,
        "messages": [
            {"id": "a", "content": prompt, "role": "user"},
            {"id": "b", "content": f"It is {said}.", "role": "assistant", "model": "m"},
        ],
        "agent_trace": None,
        "sample_score": {
            "score": {
                "value": value, "status": "success", "judge_summary": None,
                "extracted_prediction": said, "prediction": f"It is {said}.", "explanation": None,
                "metadata": {}, "main_score_name": next(iter(value), None),
            } | score,
            "sample_id": index, "group_id": index - repeat, "generation_index": repeat,
            "sample_metadata": {},
        },
    }  # fmt: skip


def write(folder: Path, rows: list[Any], *, model: str = "m", task: str = "gsm_main") -> Path:
    path = folder / "reviews" / model / f"{task}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_real_run_of_two_models_becomes_a_data_set() -> None:
    data = assemble(read_evalscope([LOGS]), name="x")
    queries = {row["query_id"]: row for row in data.queries.to_pylist()}
    fruit = queries["general_mcq_demo/0"]
    assert fruit["choices"] == ["stone", "apple", "river", "cloud"]
    assert fruit["label"] == "B"
    assert queries["general_qa_demo/0"]["prompt"] == "What do bees make?"
    got = {(row["query_id"], row["member"]): row for row in data.responses.to_pylist()}
    assert len(got) == 10
    assert got["general_mcq_demo/0", "mock-one"]["samples"] == ["B", "A"]
    # of "no idea" and "ANSWER: B" one is an answer
    assert got["general_mcq_demo/1", "mock-one"]["samples"] == ["B"]
    assert got["general_mcq_demo/2", "mock-two"]["answer"] == "C"
    assert got["general_qa_demo/0", "mock-one"]["score"] == 1
    assert got["general_qa_demo/0", "mock-one"]["answer"] is None  # Rouge judges
    assert [n for n in data.info.notes if "left out" in n] == []


def test_the_main_score_is_the_named_one_not_the_first() -> None:
    records = [r for r in read_evalscope([LOGS]).records if r.task == "general_qa_demo"]
    assert [r.score for r in records] == [1, 1, 0, 0]  # Rouge-L-R, which stands seventh
    logged = read_evalscope([LOGS / "reviews" / "mock-one"], metric="Rouge-2-F")
    assert [r.score for r in logged.records] == [0, 0]  # a reply of one word has no bigram
    assert any("general_mcq_demo.jsonl" in n and "no score 'Rouge-2-F'" in n for n in logged.notes)


def test_labels_and_answers_are_the_tools_own(tmp_path: Path) -> None:
    path = write(tmp_path, [review(0, ["4"], "3", {"accuracy": 0.0})])
    (only,) = read_evalscope([path]).records
    assert (only.member, only.task, only.labels, only.answer) == ("m", "gsm_main", ("4",), "3")
    assert (only.text, only.score, only.repeat) == ("It is 3.", 0, 0)
    assert only.prompt == "What is 1+1?"
    assert only.place == f"{path}:1"


def test_nothing_extracted_is_no_answer_and_the_whole_reply_is_not_extracted(
    tmp_path: Path,
) -> None:
    rows = [
        review(0, ["4"], "", {"acc": 0.0}),
        review(1, ["4"], "4", {"acc": 1.0}, extracted_prediction="It is 4."),
    ]
    none, whole = read_evalscope([write(tmp_path, rows)]).records
    assert (none.answer, none.unusable) == (None, True)
    assert (whole.answer, whole.unusable, whole.text) == (None, False, "It is 4.")


@pytest.mark.parametrize(
    ("status", "scored"),
    [("success", True), ("fallback", True), ("degraded", True), ("excluded", False),
     ("parse_error", False), ("transport_error", False)],
)  # fmt: skip
def test_a_reply_that_was_not_scored_is_not_wrong(
    tmp_path: Path, status: str, scored: bool
) -> None:
    value = {"acc": 1.0} if scored else {}
    rows = [review(0, ["4"], "4", value, status=status)]
    logged = read_evalscope([write(tmp_path, rows)])
    (only,) = logged.records
    assert only.score == (1 if scored else None)
    assert len(logged.notes) == (0 if scored else 1)
    if not scored:
        assert f"m, gsm_main: 1 replies were not scored (status {status})" in logged.notes[0]


@pytest.mark.parametrize(
    ("task", "value", "other"),
    [
        ("qa_main", {"Rouge-L-R": 0.4}, {}),
        ("humaneval_main", {"acc": 1.0}, {}),
        ("simple_qa_main", {"acc": 1.0}, {"judge_summary": {"status": "success"}}),
        ("gsm_main", {"accuracy": 0.5}, {}),
    ],
)
def test_what_cannot_be_compared_is_judged_by_its_score(
    tmp_path: Path, task: str, value: dict[str, float], other: dict[str, Any]
) -> None:
    (only,) = read_evalscope(
        [write(tmp_path, [review(0, ["4"], "4", value, **other)], task=task)]
    ).records
    assert only.by_score
    assert (only.labels, only.answer, only.choices) == ((), None, None)


def test_options_in_another_order_are_the_same_document(tmp_path: Path) -> None:
    one, two = ("Pick.\nA) red\nB) blue\n", "Pick.\nA) blue\nB) red\n")
    write(tmp_path, [review(0, ["A"], "A", {"acc": 1.0}, prompt=one)], model="m")
    write(tmp_path, [review(0, ["B"], "B", {"acc": 1.0}, prompt=two)], model="n")
    data = assemble(read_evalscope([tmp_path]), name="x")
    assert data.queries["label"].to_pylist() == ["A"]
    assert data.responses["answer"].to_pylist() == ["A", "A"]


@pytest.mark.parametrize(
    "prompt", ["A) only", "B) x\nC) y", "A) x\nB) x", "A) x\nno\nB) y", "A) 1\nB) 2\nC) 3\nA) 4"]
)
def test_other_lines_are_no_options(tmp_path: Path, prompt: str) -> None:
    (only,) = read_evalscope(
        [write(tmp_path, [review(0, ["B"], "B", {"acc": 1.0}, prompt=prompt)])]
    ).records
    assert only.choices is None
    assert only.labels == ("B",)


def test_a_sample_reviewed_again_counts_once(tmp_path: Path) -> None:
    rows = [review(0, ["4"], "3", {"acc": 0.0}), review(0, ["4"], "4", {"acc": 1.0})]
    logged = read_evalscope([write(tmp_path, rows)])
    assert [r.answer for r in logged.records] == ["4"]
    assert "1 samples stand there more than once" in logged.notes[0]


def test_of_two_runs_the_later_is_read(tmp_path: Path) -> None:
    write(tmp_path / "20260101_100000", [review(0, ["4"], "3", {"acc": 0.0})])
    write(tmp_path / "20260102_100000", [review(0, ["4"], "4", {"acc": 1.0})])
    logged = read_evalscope([tmp_path])
    assert [r.answer for r in logged.records] == ["4"]
    assert "m, gsm_main: two runs; took" in logged.notes[0]


def test_rows_of_older_versions_are_read(tmp_path: Path) -> None:
    row = review(0, "4", "4", {"acc": True})
    del row["messages"], row["sample_score"]["generation_index"]
    row["input"] = "What is 2+2?"
    (only,) = read_evalscope([write(tmp_path, [row])]).records
    assert (only.prompt, only.labels, only.score) == ("What is 2+2?", ("4",), 1)


def test_predictions_add_time_and_what_was_cut_off(tmp_path: Path) -> None:
    path = write(tmp_path, [review(0, ["4"], "4", {"acc": 1.0})])
    beside = tmp_path / "predictions" / "m" / path.name
    beside.parent.mkdir(parents=True)
    output = {"choices": [{"stop_reason": "max_tokens"}], "time": 2.5}
    beside.write_text(json.dumps({"index": 0, "model_output": output}) + "\nbroken\n")
    (only,) = read_evalscope([path]).records
    assert (only.latency_s, only.truncated) == (2.5, True)


def test_scores_of_another_range_are_not_scores(tmp_path: Path) -> None:
    logged = read_evalscope([write(tmp_path, [review(0, ["4"], "4", {"acc": 85.0})])])
    assert [r.score for r in logged.records] == [None]
    assert "1 scores 'acc' are outside [0, 1]" in logged.notes[0]


def test_broken_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, [review(0, ["4"], "4", {"acc": 1.0})])
    path.write_text(path.read_text() + '{"index": 1, "tar\n[]\n')
    logged = read_evalscope([tmp_path])
    assert len(list(logged.records)) == 1
    assert "gsm_main.jsonl: 2 of 3 rows cannot be read" in logged.notes[0]
    assert "gsm_main.jsonl:2: not JSON" in logged.notes[0]
    with pytest.raises(RecordError, match="holds no EvalScope reviews"):
        read_evalscope([Path(__file__).parent / "logs" / "evalscope" / "predictions"])


def test_paths_may_be_named_from_within_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, [review(0, ["4"], "4", {"acc": 1.0})])
    monkeypatch.chdir(path.parent)
    for named in (Path(path.name), Path()):
        (only,) = read_evalscope([named]).records
        assert (only.member, only.score) == ("m", 1)


@pytest.mark.slow
def test_any_field_may_be_missing_or_of_another_type(tmp_path: Path) -> None:
    row = review(0, ["B"], "B", {"acc": 1.0}, prompt="Pick.\nA) red\nB) blue")
    beside = tmp_path / "predictions" / "m" / "gsm_main.jsonl"
    beside.parent.mkdir(parents=True)
    beside.write_text(json.dumps({"index": 0, "model_output": {"choices": [], "time": 1}}))
    for what, changed in spoiled(row):
        survives(read_evalscope, write(tmp_path, [changed]), what)
    output = {"index": 0, "model_output": {"choices": [{"stop_reason": "stop"}], "time": 2.5}}
    path = write(tmp_path, [row])
    for what, changed in spoiled(output):
        beside.write_text(json.dumps(changed))
        survives(read_evalscope, path, what)
