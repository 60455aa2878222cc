"""LLMRouterBench's result files, in the schema of its `ResultsStorage.save_result`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from spoiling import spoiled, survives

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.routers.llmrouterbench import read_llmrouterbench


def record(index: int, right: str, said: str, **other: Any) -> dict[str, Any]:
    return {
        "index": index, "origin_query": f"What is {index}+{index}?",
        "prompt": f"Question: What is {index}+{index}?\nAnswer:", "prompt_tokens": 15,
        "completion_tokens": 5, "cost": 0.0001 * index, "score": float(right == said),
        "prediction": said, "ground_truth": right, "raw_output": f"The sum is {said}.",
        "extra_fields": {},
    } | other  # fmt: skip


def write(
    folder: Path, model: str, records: list[Any], *, dataset: str = "sums", time: str = "120000",
    **other: Any,
) -> Path:  # fmt: skip
    path = folder / "bench" / dataset / "test" / model / (
        f"{dataset}-test-{model}-20260101_{time}.json"
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {
        "performance": 0.5, "time_taken": 1.5, "prompt_tokens": 30, "completion_tokens": 10,
        "cost": 0.01, "counts": len(records), "model_name": model, "dataset_name": dataset,
        "split": "test", "demo": False, "extra_metrics": {}, "data_fingerprint": "ab",
        "records": records,
    } | other  # fmt: skip
    path.write_text(json.dumps(whole, indent=2))
    return path


def test_records_come_one_to_one_with_cost(tmp_path: Path) -> None:
    write(tmp_path, "small", [record(1, "2", "2"), record(2, "4", "5")])
    write(tmp_path, "large", [record(1, "2", "2"), record(2, "4", "4")])
    logged = read_llmrouterbench([tmp_path])
    large, *_ = list(logged.records)
    assert (large.member, large.task, large.name) == ("large", "sums", "1")
    assert large.prompt == "Question: What is 1+1?\nAnswer:"
    assert (large.labels, large.answer, large.score) == (("2",), "2", 1)
    assert large.cost_usd == pytest.approx(0.0001)
    assert large.text == "The sum is 2."
    assert large.place.endswith("records[0]")
    data = assemble(logged, name="x")
    assert data.info.member_accuracy == {"large": 1.0, "small": 0.5}
    assert data.responses["cost_usd"].to_pylist() == pytest.approx([1e-4, 1e-4, 2e-4, 2e-4])


def test_a_reply_that_could_not_be_had_is_missing_not_wrong(tmp_path: Path) -> None:
    failed = record(
        2, "", "", score=None, cost=0.0, raw_output="Processing failed: 429", prompt_tokens=0
    )
    write(tmp_path, "small", [record(1, "2", "2"), failed])
    logged = read_llmrouterbench([tmp_path])
    assert len(list(logged.records)) == 1
    (note,) = logged.notes
    assert "small, sums: 1 replies could not be had (missing, not wrong)" in note
    assert "records[1]" in note


def test_a_prediction_that_was_not_found_is_no_answer(tmp_path: Path) -> None:
    write(tmp_path, "small", [record(1, "2", "", score=0.0)])
    (only,) = read_llmrouterbench([tmp_path]).records
    assert (only.answer, only.unusable) == (None, True)


@pytest.mark.parametrize(
    "other", [{"score": 0.25}, {"ground_truth": ["a", "b"]}, {"ground_truth": None}]
)
def test_what_cannot_be_compared_is_judged_by_its_score(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    write(tmp_path, "small", [record(1, "2", "2", **other)])
    (only,) = read_llmrouterbench([tmp_path]).records
    assert only.by_score
    assert only.answer is None
    assert only.labels == ()


@pytest.mark.parametrize("dataset", ["humaneval", "mbpp", "simpleqa", "hle", "arenahard"])
def test_tests_that_were_run_and_judges_are_not_compared_again(
    tmp_path: Path, dataset: str
) -> None:
    write(tmp_path, "small", [record(1, "2", "3", score=1.0)], dataset=dataset)
    (only,) = read_llmrouterbench([tmp_path]).records
    assert only.by_score
    assert only.score == 1


def test_the_newest_whole_run_is_read(tmp_path: Path) -> None:
    write(tmp_path, "small", [record(1, "2", "3")], time="110000")
    write(tmp_path, "small", [record(1, "2", "2")], time="120000")
    write(tmp_path, "small", [record(1, "2", "9")], time="130000", demo=True)
    logged = read_llmrouterbench([tmp_path])
    (only,) = logged.records
    assert only.answer == "2"
    assert any("demo" in note for note in logged.notes)
    assert any("two runs; took sums-test-small-20260101_120000" in note for note in logged.notes)


def test_older_files_without_names_take_them_from_their_folders(tmp_path: Path) -> None:
    path = write(tmp_path, "small", [record(1, "2", "2")])
    whole = json.loads(path.read_text())
    for key in ("model_name", "dataset_name", "split", "demo", "data_fingerprint"):
        del whole[key]
    path.with_name("result.json").write_text(json.dumps(whole))
    path.unlink()
    (only,) = read_llmrouterbench([tmp_path]).records
    assert (only.member, only.task) == ("small", "sums")


def test_foreign_and_broken_files_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    good = write(tmp_path, "small", [record(1, "2", "2")])
    (good.parent / "config.json").write_text('{"a": 1}')
    (good.parent / "half.json").write_text('{"records": [\n{"index"')
    logged = read_llmrouterbench([tmp_path])
    assert len(list(logged.records)) == 1
    assert any("config.json: field 'records' is missing" in note for note in logged.notes)
    assert any("half.json:2: not JSON" in note for note in logged.notes)


def test_a_broken_record_costs_no_other(tmp_path: Path) -> None:
    write(tmp_path, "small", [record(1, "2", "2"), record(2, "4", "4", score="good"), 7])
    logged = read_llmrouterbench([tmp_path])
    assert len(list(logged.records)) == 1
    (note,) = logged.notes
    assert "2 of 3 rows cannot be read" in note
    assert "records[1]: field 'score' is 'good'; a number in [0, 1] is expected" in note


def test_nothing_readable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no result files"):
        read_llmrouterbench([tmp_path])
    with pytest.raises(ConfigError, match="does not exist"):
        read_llmrouterbench([tmp_path / "none"])
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(RecordError, match=r"a\.json: \[1\] is a list; an object is expected"):
        read_llmrouterbench([tmp_path])


@pytest.mark.slow
def test_any_field_may_be_missing_or_of_another_type(tmp_path: Path) -> None:
    path = write(tmp_path, "small", [record(1, "2", "2")])
    for what, whole in spoiled(json.loads(path.read_text())):
        path.write_text(json.dumps(whole))
        survives(read_llmrouterbench, path, what)


CACHED = {
    "global_index": "ArcSums_3", "question": "Options:\nA. 1\nB. 2\nWhat is 1+1?",
    "llm_selected": "mini-1", "generated_answer": "\\boxed{B}",
    "token_usage": {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}, "success": True,
    "provider": "x", "error": None,
    "evaluation_result": {
        "extracted_answer": "\\boxed{B}", "ground_truth": "B", "score": 1.0,
        "metric": "mcq_accuracy", "inference_cost": 0.0002,
    },
}  # fmt: skip


def test_cached_results_of_routerarena_are_read(tmp_path: Path) -> None:
    index = CACHED | {
        "global_index": "Geo_4",
        "evaluation_result": CACHED["evaluation_result"] | {"ground_truth": "1.0"},  # type: ignore[operator]
    }
    failed = CACHED | {"global_index": "Geo_5", "success": False, "generated_answer": None}
    lines = [CACHED, index, failed]
    (tmp_path / "mini-1.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines))
    logged = read_llmrouterbench([tmp_path])
    letter, number = logged.records
    assert (letter.member, letter.task, letter.name) == ("mini-1", "ArcSums", "3")
    assert (letter.labels, letter.answer, letter.text) == (("B",), None, "\\boxed{B}")
    assert (letter.score, letter.cost_usd, letter.by_score) == (1, 0.0002, False)
    assert (number.labels, number.by_score, number.score) == ((), True, 1)
    assert any("Geo: 1 replies could not be had" in note for note in logged.notes)


def test_a_last_line_that_was_broken_off_costs_no_other(tmp_path: Path) -> None:
    text = json.dumps(CACHED) + "\n"
    (tmp_path / "mini-1.jsonl").write_text(text + text[:50])
    logged = read_llmrouterbench([tmp_path])
    assert len(list(logged.records)) == 1
    assert "mini-1.jsonl:2: not JSON" in logged.notes[0]


@pytest.mark.slow
def test_any_field_of_a_cached_result_may_be_of_another_type(tmp_path: Path) -> None:
    path = tmp_path / "mini-1.jsonl"
    for what, row in spoiled(CACHED):
        path.write_text(json.dumps(row))
        survives(read_llmrouterbench, path, what)
