"""Logs of older versions of inspect_ai: replies without `completion`, one `score` a sample.

Written by hand after logs that 0.3.4 and 0.3.100 wrote.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.inspect_ai import read_inspect
from rlfocal.records.importers.logged import Record

Judged = dict[str, Any]


def sample(number: int, target: str, content: Any, **judged: Any) -> dict[str, Any]:
    """One sample whose reply stands in its message alone; `scores` or `score` judge it."""
    message = {"content": content, "source": "generate", "role": "assistant"}
    return {
        "id": number, "epoch": 1, "input": f"What is {number} + {number}?", "target": target,
        "messages": [],
        "output": {"model": "m", "choices": [{"message": message, "stop_reason": "stop"}]},
        "metadata": {},
    } | judged  # fmt: skip


def log(samples: list[dict[str, Any]], model: str = "mockllm/a", **results: Any) -> dict[str, Any]:
    about = {"task": "sums", "model": model, "created": "2024-05-01T00:00:00"}
    return {
        "version": 1,
        "status": "success",
        "eval": about,
        "results": results,
        "samples": samples,
    }


def mine(value: str, **more: Any) -> Judged:
    """What a scorer of one's own gives, which logs no answer."""
    return {"mine": {"value": value} | more}


def write(folder: Path, value: Any, name: str = "log.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(value))
    return path


def read(path: Path, **options: Any) -> list[Record]:
    return list(read_inspect([path], **options).records)


def test_a_reply_is_that_of_the_first_choice_where_no_completion_is_stored(tmp_path: Path) -> None:
    write(tmp_path, log([sample(1, "2", "It is 2.", scores=mine("C")),
                         sample(2, "4", "It is 4.", scores=mine("C"))]), "a.json")  # fmt: skip
    write(tmp_path, log([sample(1, "2", "It is 2.", scores=mine("C")),
                         sample(2, "4", "It is 5.", scores=mine("I"))], "mockllm/b"),
          "b.json")  # fmt: skip
    data = assemble(read_inspect([tmp_path]), name="x")
    assert data.queries["label"].to_pylist() == ["2", "4"]
    said = {(r["member"], r["query_id"]): r["answer"] for r in data.responses.to_pylist()}
    assert said == {
        ("mockllm/a", "sums/1"): "2", ("mockllm/a", "sums/2"): "4",
        ("mockllm/b", "sums/1"): "2", ("mockllm/b", "sums/2"): "5",
    }  # fmt: skip
    assert data.responses["text"].to_pylist()[0] == "It is 2."


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("It is 2.", "It is 2."),
        ([{"type": "reasoning", "reasoning": "1 + 1"}, {"type": "text", "text": "It is"},
          {"type": "image", "image": "https://example.org/2.png"}, {"type": "text", "text": "2."}],
         "It is\n2."),
        ([{"text": "It is 2."}], "It is 2."),
        ([], ""),
        ("attachment://ab12", "It is 2, at length."),
    ],
)  # fmt: skip
def test_parts_of_a_reply_are_its_texts_without_reasoning(
    tmp_path: Path, content: Any, text: str
) -> None:
    row = sample(1, "2", content, scores=mine("C"), attachments={"ab12": "It is 2, at length."})
    (record,) = read(write(tmp_path, log([row])))
    assert record.text == text


def test_a_stored_completion_counts_before_the_choices(tmp_path: Path) -> None:
    row = sample(1, "2", "It is 3.", scores=mine("C"))
    row["output"]["completion"] = "It is 2."
    assert read(write(tmp_path, log([row])))[0].text == "It is 2."
    row["output"]["completion"] = ""  # inspect_ai's own reader fills it in too
    assert read(write(tmp_path, log([row])))[0].text == "It is 3."


def test_no_choice_is_no_text(tmp_path: Path) -> None:
    row = sample(1, "2", "", scores=mine("I"))
    row["output"]["choices"] = []
    assert read(write(tmp_path, log([row])))[0].text == ""
    del row["output"]
    assert read(write(tmp_path, log([row])))[0].text is None


def test_an_answer_that_is_the_whole_reply_is_none_in_older_logs_too(tmp_path: Path) -> None:
    judged = {"match": {"value": "C", "answer": "It is 2.", "explanation": "It is 2."}}
    (record,) = read(write(tmp_path, log([sample(1, "2", "It is 2.", scores=judged)])))
    assert (record.answer, record.text, record.by_score) == (None, "It is 2.", False)


@pytest.mark.parametrize(
    ("target", "reply", "by_score"),
    [
        ("2", "It is 2.", False),
        ("2", "So the answer is 2.0, of course.", False),
        ("Paris", "The answer is Paris", False),
        ("1", "Two of them, said politely.", True),  # the target is no answer
        ("polite", "Good morning to you all.", True),
    ],
)
def test_a_scorer_that_logs_no_answer_compares_if_right_replies_hold_the_target(
    tmp_path: Path, target: str, reply: str, by_score: bool
) -> None:
    (record,) = read(write(tmp_path, log([sample(1, target, reply, scores=mine("C"))])))
    assert record.by_score is by_score
    assert record.labels == (target,)


@pytest.mark.parametrize("stored", ["0.3.4", "later", "no results"])
def test_one_score_is_that_of_the_scorer(tmp_path: Path, stored: str) -> None:
    known: dict[str, dict[str, Any]] = {
        "0.3.4": {"scorer": {"name": "match", "params": {}}},
        "later": {"scores": [{"name": "match"}]},
        "no results": {},
    }
    results = known[stored]
    rows = [
        sample(1, "2", "It is 2.", score={"value": "C", "answer": "It is 2."}),
        sample(2, "4", "It is 5.", score={"value": "I", "answer": "It is 5."}),
    ]
    path = write(tmp_path, log(rows, **results))
    found = read(path)
    assert [(r.text, r.labels, r.score, r.by_score) for r in found] == [
        ("It is 2.", ("2",), 1, False), ("It is 5.", ("4",), 0, False),
    ]  # fmt: skip
    name = "score" if stored == "no results" else "match"
    assert [r.score for r in read(path, scorer=name)] == [1, 0]


def test_one_score_in_an_archive(tmp_path: Path) -> None:
    row = sample(1, "2", "It is 2.", score={"value": "C"})
    whole = log([row], scorer={"name": "match"})
    path = tmp_path / "older.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps({k: whole[k] for k in whole if k != "samples"}))
        archive.writestr("samples/1_epoch_1.json", json.dumps(row))
    (record,) = read(path, scorer="match")
    assert (record.score, record.text) == (1, "It is 2.")


def test_scores_stay_where_there_is_a_score_beside_them(tmp_path: Path) -> None:
    row = sample(1, "2", "It is 2.", scores=mine("C"), score={"value": "I"})
    assert [r.score for r in read(write(tmp_path, log([row])))] == [1]
    row = sample(1, "2", "It is 2.", score=None)
    assert [r.score for r in read(write(tmp_path, log([row])))] == [None]
