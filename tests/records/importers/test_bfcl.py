"""BFCL's results: scores that bfcl-eval 2026.3.23's own checkers wrote, and rows of its schema."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from spoiling import spoiled, survives

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.harnesses.bfcl import read_bfcl

LOGS = Path(__file__).parent / "logs" / "bfcl"
"""Two models, simple_python (three questions) and irrelevance (two)."""
NAME = "BFCL_v4_multi_turn_base"


def write(folder: Path, results: list[Any], scores: list[Any] | None = None) -> Path:
    path = folder / "result" / "org_model-FC" / "multi_turn" / f"{NAME}_result.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in results))
    if scores is not None:
        score = folder / "score" / "org_model-FC" / "multi_turn" / f"{NAME}_score.json"
        score.parent.mkdir(parents=True, exist_ok=True)
        score.write_text("".join(json.dumps(row) + "\n" for row in scores))
    return path


def result(number: int, **other: Any) -> dict[str, Any]:
    return {
        "id": f"multi_turn_base_{number}",
        "result": [[[{"move": '{"to": "x"}'}], "Done."], ["Yes."]],
        "input_token_count": [[10, 20], [30]], "output_token_count": [[1, 2], [3]],
        "latency": [[0.5, 0.25], [1.0]],
    } | other  # fmt: skip


def head(correct: int, total: int) -> dict[str, Any]:
    return {"accuracy": correct / total, "correct_count": correct, "total_count": total}


def wrong(number: int) -> dict[str, Any]:
    turns = [[{"role": "user", "content": "Move it."}], [{"role": "user", "content": "Thanks?"}]]
    return {
        "id": f"multi_turn_base_{number}", "model_name": "org_model-FC", "valid": False,
        "prompt": {"id": f"multi_turn_base_{number}", "question": turns},
    }  # fmt: skip


def test_what_the_score_file_does_not_list_was_right() -> None:
    logged = read_bfcl([LOGS])
    scores = {(r.member, r.task, r.name): r.score for r in logged.records}
    assert scores == {
        ("maker_small-FC", "simple_python", "0"): 0, ("maker_small-FC", "simple_python", "1"): 1,
        ("maker_small-FC", "simple_python", "2"): 0, ("maker_small-FC", "irrelevance", "0"): 1,
        ("maker_small-FC", "irrelevance", "1"): 0, ("maker_large-FC", "simple_python", "0"): 1,
        ("maker_large-FC", "simple_python", "1"): 1, ("maker_large-FC", "simple_python", "2"): 1,
        ("maker_large-FC", "irrelevance", "0"): 1, ("maker_large-FC", "irrelevance", "1"): 1,
    }  # fmt: skip
    assert logged.notes == []
    data = assemble(logged, name="x")
    assert data.info.member_accuracy == {"maker_large-FC": 1.0, "maker_small-FC": 0.4}
    prompts = dict(
        zip(data.queries["query_id"].to_pylist(), data.queries["prompt"].to_pylist(), strict=True)
    )
    assert prompts["simple_python/1"] == "How warm is it in Rome?"
    texts = {(r["query_id"], r["member"]): r["text"] for r in data.responses.to_pylist()}
    assert json.loads(texts["simple_python/0", "maker_small-FC"]) == [{"add": '{"a": 2, "b": 4}'}]
    assert texts["irrelevance/0", "maker_large-FC"] == "I cannot tell."


def test_questions_come_from_the_data_folder_else_from_wrong_replies(tmp_path: Path) -> None:
    shutil.copytree(LOGS / "result", tmp_path / "result")
    shutil.copytree(LOGS / "score", tmp_path / "score")
    logged = read_bfcl([tmp_path])
    prompts = {(r.task, r.name): r.prompt for r in logged.records}
    assert prompts["simple_python", "0"] == "Add 2 and 3."
    assert prompts["simple_python", "1"] == ""  # everybody was right
    assert any("questions are not in these files; --questions" in note for note in logged.notes)
    logged = read_bfcl([tmp_path], questions=str(LOGS / "data"))
    assert all(r.prompt for r in logged.records)
    assert logged.notes == []
    with pytest.raises(ConfigError, match="--questions"):
        read_bfcl([tmp_path], questions=str(tmp_path / "none"))


def test_scores_are_found_beside_the_results_alone(tmp_path: Path) -> None:
    path = write(tmp_path, [result(0), result(1)], [head(1, 2), wrong(1)])
    for paths in ([path], [tmp_path / "result"], [tmp_path]):
        assert [r.score for r in read_bfcl(paths).records] == [1, 0]


def test_conversations_are_one_text_and_their_seconds_add_up(tmp_path: Path) -> None:
    write(tmp_path, [result(0)], [head(0, 1), wrong(0)])
    (only,) = read_bfcl([tmp_path]).records
    assert (only.member, only.task, only.name) == ("org_model-FC", "multi_turn_base", "0")
    assert only.latency_s == 1.75
    assert only.prompt == "Move it.\nThanks?"
    assert json.loads(only.text or "") == result(0)["result"]
    assert only.by_score


@pytest.mark.parametrize(
    "scores",
    [
        None,
        [head(1, 3), wrong(1)],  # of another number of replies
        [head(2, 2), wrong(1)],  # contradicts itself
        [head(1, 2), wrong(7)],  # of other replies
        [wrong(1)],
        [],
    ],
)
def test_scores_of_another_run_score_nothing(tmp_path: Path, scores: list[Any] | None) -> None:
    write(tmp_path, [result(0), result(1)], scores)
    logged = read_bfcl([tmp_path])
    assert [r.score for r in logged.records] == [None, None]
    assert any("not scored" in note for note in logged.notes)


def test_calls_that_failed_are_missing_not_wrong(tmp_path: Path) -> None:
    failed = result(1, result="Error during inference: 429", traceback="...")
    write(tmp_path, [result(0), failed], [head(1, 2), wrong(1)])
    logged = read_bfcl([tmp_path])
    assert [(r.name, r.score) for r in logged.records] == [("0", 1)]
    assert any("1 replies could not be had (missing, not wrong)" in n for n in logged.notes)


def test_conversations_that_fill_a_memory_are_no_questions(tmp_path: Path) -> None:
    before = result(0, id="multi_turn_base_prereq_3-0")
    write(tmp_path, [before, result(0)], [head(0, 1), wrong(0)])
    assert [r.name for r in read_bfcl([tmp_path]).records] == ["0"]


def test_older_files_lie_in_no_group(tmp_path: Path) -> None:
    folder = tmp_path / "result" / "gpt-x"
    folder.mkdir(parents=True)
    (folder / "BFCL_v3_simple_result.json").write_text(
        json.dumps({"id": "simple_0", "result": "[add(a=2, b=3)]", "latency": 1})
    )
    (only,) = read_bfcl([tmp_path]).records
    assert (only.member, only.task, only.text) == ("gpt-x", "simple", "[add(a=2, b=3)]")


def test_broken_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, [result(0), {"id": "multi_turn_base_1"}])
    path.write_text(path.read_text() + '{"id": "multi_turn')
    logged = read_bfcl([path])
    assert len(list(logged.records)) == 1
    assert any("2 of 3 rows cannot be read" in note for note in logged.notes)
    assert any("field 'result' is missing" in note for note in logged.notes)
    with pytest.raises(RecordError, match="holds no results"):
        read_bfcl([LOGS / "data"])


@pytest.mark.slow
def test_any_field_may_be_missing_or_of_another_type(tmp_path: Path) -> None:
    scores = [head(0, 1), wrong(0)]
    for what, changed in spoiled([result(0)]):
        survives(read_bfcl, write(tmp_path, changed, scores), what)
    for what, changed in spoiled(scores):
        survives(read_bfcl, write(tmp_path, [result(0)], changed), what)
