"""OpenCompass's predictions and results, in the schema of its output handlers and evaluators."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from spoiling import spoiled, survives

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.harnesses.opencompass import read_opencompass

RUN = "20260101_100000"


def reply(number: int, said: Any, gold: Any = None) -> dict[str, Any]:
    prompt = [
        {"role": "HUMAN", "prompt": "What is 0+0?"}, {"role": "BOT", "prompt": "0"},
        {"role": "HUMAN", "prompt": f"What is {number}+{number}?"},
    ]  # fmt: skip
    row = {"origin_prompt": prompt, "prediction": said}
    return row | ({"gold": gold} if gold else {})


def write(
    folder: Path, rows: list[Any], *, model: str = "small-chat", data: str = "sums",
    results: dict[str, Any] | None = None, run: str = RUN, start: int = 0,
) -> Path:  # fmt: skip
    path = folder / run / "predictions" / model / f"{data}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({str(start + i): row for i, row in enumerate(rows)}))
    if results is not None:
        result = folder / run / "results" / model / f"{data.rpartition('_')[0] or data}.json"
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(json.dumps(results))
    return path


def detail(said: str, right: str, correct: bool | None) -> dict[str, Any]:
    found = {"prompt": "x", "origin_prediction": said, "predictions": said, "references": right}
    return found if correct is None else found | {"correct": correct}


def test_details_by_number_give_answers_and_scores(tmp_path: Path) -> None:
    details = {"0": detail("2", "2", True), "1": detail("5", "4", False)}
    write(tmp_path, [reply(1, "It is 2.", "2"), reply(2, "It is 5", "4")],
          results={"accuracy": 50.0, "details": details, "type": "GEN"})  # fmt: skip
    logged = read_opencompass([tmp_path])
    one, two = logged.records
    assert (one.member, one.task, one.name) == ("small-chat", "sums", "0")
    assert one.prompt == "What is 1+1?"  # without the worked example
    assert (one.labels, one.answer, one.score, one.text) == (("2",), "2", 1, "It is 2.")
    assert (two.labels, two.answer, two.score) == (("4",), "5", 0)
    assert logged.notes == []


def test_details_of_an_evaluator_hold_one_value_a_repetition(tmp_path: Path) -> None:
    details = [
        {"example_abbr": "_0", "pred": ["2", "3"], "answer": ["2", "2"], "correct": [True, False]},
        {"example_abbr": "_1", "pred": ["4", "4"], "answer": ["4", "4"], "correct": [True, True]},
    ]
    rows = [reply(1, "2."), reply(2, "4."), reply(1, "3."), reply(2, "4!")]
    write(tmp_path, rows, results={"accuracy (2 runs average)": 75.0, "details": details})
    records = list(read_opencompass([tmp_path]).records)
    assert [(r.repeat, r.answer, r.score) for r in records] == [
        (0, "2", 1), (0, "4", 1), (1, "3", 0), (1, "4", 1)
    ]  # fmt: skip
    data = assemble(read_opencompass([tmp_path]), name="x")
    assert data.responses["samples"].to_pylist() == [["2", "3"], ["4", "4"]]


def test_without_details_replies_are_compared_with_their_gold(tmp_path: Path) -> None:
    write(tmp_path, [reply(1, "It is 2.", "#### 2"), reply(2, "5", "#### 4")],
          results={"accuracy": 50.0})  # fmt: skip
    logged = read_opencompass([tmp_path])
    assert [(r.labels, r.answer, r.score) for r in logged.records] == [
        (("2",), None, None), (("4",), None, None)
    ]  # fmt: skip
    (note,) = logged.notes
    assert "no details in sums.json (--dump-eval-details)" in note
    assert "its own accuracy is 50.0 %" in note
    assert assemble(logged, name="x").responses["answer"].to_pylist() == ["2", "5"]


def test_a_gold_that_was_dropped_is_no_label(tmp_path: Path) -> None:
    write(tmp_path, [reply(1, "2", "2"), reply(0, "0")])
    logged = read_opencompass([tmp_path])
    assert [r.labels for r in logged.records] == [("2",), ()]
    assert any("1 replies have neither a gold answer" in note for note in logged.notes)


def test_parts_of_a_split_data_set_are_one(tmp_path: Path) -> None:
    details = {str(i): detail(str(2 * i), str(2 * i), True) for i in range(3)}
    write(tmp_path, [reply(0, "0"), reply(1, "2")], data="sums_0")
    write(tmp_path, [reply(2, "4")], data="sums_1", results={"details": details})
    records = list(read_opencompass([tmp_path]).records)
    assert [(r.task, r.name, r.answer) for r in records] == [
        ("sums", "0", "0"), ("sums", "1", "2"), ("sums", "2", "4")
    ]  # fmt: skip


def test_a_number_at_a_names_end_is_no_part_by_itself(tmp_path: Path) -> None:
    write(tmp_path, [reply(1, "2", "2")], data="math_500")
    write(tmp_path, [reply(1, "2", "2")], data="whole")
    write(tmp_path, [reply(1, "2", "2")], data="whole_0")
    logged = read_opencompass([tmp_path])
    assert sorted(r.task for r in logged.records) == ["math_500", "whole"]
    assert any("whole_0.json: a part of whole.json" in note for note in logged.notes)


def ppl(gold: Any, prediction: Any, first: float, second: float) -> dict[str, Any]:
    def option(text: str, value: float) -> dict[str, Any]:
        return {"testing input": f"Grass is {text}", "prompt": f"...Grass is {text}", "PPL": value}

    return {
        "origin_prompt": "Grass is green", "label: 0": option("green", first),
        "label: 1": option("blue", second), "prediction": prediction, "gold": gold,
    }  # fmt: skip


def test_a_choice_by_perplexity_has_options_and_scores(tmp_path: Path) -> None:
    write(tmp_path, [ppl(0, 1, 3.5, 2.5)])
    (only,) = read_opencompass([tmp_path]).records
    assert only.prompt == "Grass is"  # not the first option's text
    assert only.choices == ("green", "blue")
    assert (only.labels, only.answer, only.choice_scores) == (("A",), "B", (-3.5, -2.5))
    data = assemble(read_opencompass([tmp_path]), name="x")
    assert data.responses["answer"].to_pylist() == ["B"]


def test_what_is_not_compared_is_judged_by_its_score(tmp_path: Path) -> None:
    details = {"0": detail("def f(): ...", "HumanEval/0", True),
               "1": detail("def g(): ...", "HumanEval/1", False)}  # fmt: skip
    write(tmp_path, [reply(1, "def f(): ..."), reply(2, "def g(): ...")],
          results={"details": details})  # fmt: skip
    records = list(read_opencompass([tmp_path]).records)
    assert all(r.by_score and r.labels == () and r.answer is None for r in records)
    assert [r.score for r in records] == [1, 0]


def test_several_replies_to_one_prompt_are_samples(tmp_path: Path) -> None:
    write(tmp_path, [reply(1, ["2", "3", "2"], "2")])
    (only,) = read_opencompass([tmp_path]).records
    assert (only.samples, only.text) == (("2", "3", "2"), "2")


def test_of_two_runs_the_later_is_read(tmp_path: Path) -> None:
    write(tmp_path, [reply(1, "3", "2")], run="20260101_100000")
    write(tmp_path, [reply(1, "2", "2")], run="20260102_100000")
    logged = read_opencompass([tmp_path])
    assert [r.text for r in logged.records] == ["2"]
    assert any("small-chat, sums: two runs" in note for note in logged.notes)


def test_foreign_and_unfinished_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, [reply(1, "2", "2"), {"origin_prompt": 3, "prediction": "x"}])
    write(tmp_path, [reply(1, "2", "2")], data="tmp_other")
    write(tmp_path, [], data="empty")
    logged = read_opencompass([tmp_path])
    assert len(list(logged.records)) == 1
    assert any("tmp_other.json: replies of a run that was broken off" in n for n in logged.notes)
    assert any("sums.json: 1 of 2 rows cannot be read" in n for n in logged.notes)
    assert any("field 'origin_prompt' is 3" in note for note in logged.notes)
    assert any("empty.json: holds no predictions by number" in note for note in logged.notes)
    with pytest.raises(RecordError, match="holds no predictions"):
        read_opencompass([Path(__file__).parent / "logs" / "bfcl"])


def test_paths_may_be_named_from_within_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, [reply(1, "2", "2")], results={"details": {"0": detail("2", "2", True)}})
    monkeypatch.chdir(path.parent)
    for named in (Path(path.name), Path()):
        (only,) = read_opencompass([named]).records
        assert (only.member, only.score) == ("small-chat", 1)


@pytest.mark.slow
def test_any_field_may_be_missing_or_of_another_type(tmp_path: Path) -> None:
    details = {"0": detail("2", "2", True)}
    results = {"accuracy": 100.0, "details": details, "type": "GEN"}
    for row in (reply(1, "It is 2.", "2"), ppl(0, 1, 3.5, 2.5)):
        for what, changed in spoiled({"0": row}):
            path = write(tmp_path, [], results=results)
            path.write_text(json.dumps(changed))
            survives(read_opencompass, path, what)
    several = {"details": [{"pred": ["2"], "answer": ["2"], "correct": [True]}]}
    for whole in (results, several):
        for what, changed in spoiled(whole):
            path = write(tmp_path, [reply(1, "It is 2.", "2")], results=changed)
            survives(read_opencompass, path, what)
