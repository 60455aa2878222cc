"""The examples of docs/data-format.md run as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rlfocal.records.folders import read_dataset
from rlfocal.records.schema import QUERIES, RESPONSES, DatasetInfo

DOC = (Path(__file__).resolve().parents[2] / "docs" / "data-format.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```", DOC, re.DOTALL))
PYTHON = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)


def store(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text(FILES[name], encoding="utf-8")
    return folder


@pytest.mark.parametrize("queries", ["queries.csv", "queries.jsonl"])
def test_example_folder_is_sound(tmp_path: Path, queries: str) -> None:
    data = read_dataset(store(tmp_path / "d", queries, "responses.csv", "dataset.json"))
    assert data.members == ("large-model", "small-model")
    assert data.queries["choices"].to_pylist() == [["iron", "water"], None]
    assert data.queries["label"].to_pylist() == ["B", "4"]


def test_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path / "two-questions", "queries.csv", "responses.csv", "dataset.json")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for example in PYTHON:
        exec(example, names)  # our own documentation
    assert (tmp_path / "copy" / "queries.parquet").is_file()
    assert names["data"].members == ("large-model", "small-model")


def test_every_column_and_key_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", DOC, re.MULTILINE))
    assert set(QUERIES) | set(RESPONSES) <= documented
    assert set(DatasetInfo.model_fields) == set(json.loads(FILES["dataset.json"]))


def test_the_readers_are_read() -> None:
    info = DatasetInfo.model_validate(json.loads(FILES["readers.json"]))
    assert info.readers["again"].inputs == ["large-model", "small-model"]
    assert info.readers["judge"].reading == "judge"
