"""Data sets whose queries offer functions: answers are calls, read against what is offered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rlfocal.errors import RecordError
from rlfocal.records import Dataset, build_table
from rlfocal.records.database import export_dataset, import_dataset, open_database, query_key_of
from rlfocal.records.folders import read_dataset, write_dataset

ADD = {
    "name": "math.add",
    "parameters": {
        "type": "dict",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 1}},
        "required": ["a"],
    },
}
SAID = {
    "python": "[math.add(a=2, b=1)]",
    "json": '[{"name": "math_add", "arguments": {"a": "2"}}]',
    "pairs": '[{"math.add": "{\\"b\\": 1, \\"a\\": 2.0}"}]',
    "other": "[math.add(a=3)]",
    "prose": "I cannot add.",
    "broken": "[math.add(a=2",
}


def tables(**more: Any) -> tuple[pa.Table, pa.Table]:
    queries = pa.table(
        {"query_id": ["q1", "q2"], "prompt": ["Add 2 and 1.", "1 + 1 ="], "label": [None, "2"],
         "tools": [json.dumps(ADD), None]}
    )  # fmt: skip
    n = len(SAID)
    responses = pa.table({
        "query_id": ["q1"] * n + ["q2"], "member": [*SAID, "python"],
        "text": [*SAID.values(), "It is 2."],
        "score": [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, None],
        **more,
    })  # fmt: skip
    return queries, responses


def answers(data: Dataset) -> dict[str, str | None]:
    rows = data.responses.to_pylist()
    return {row["member"]: row["answer"] for row in rows if row["query_id"] == "q1"}


def stored(folder: Path) -> Path:
    """As files, without answers: they are found in the replies."""
    queries, responses = tables()
    folder.mkdir()
    for name, table in (("queries", queries), ("responses", responses)):
        rows = [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize("with_text", [False, True])
def test_calls_in_all_forms_are_one_answer(tmp_path: Path, with_text: bool) -> None:
    data = read_dataset(stored(tmp_path / "data"), with_text=with_text)
    assert answers(data) == {
        **dict.fromkeys(("python", "json", "pairs"), '[{"arguments":{"a":2},"name":"math.add"}]'),
        "other": '[{"arguments":{"a":3},"name":"math.add"}]', "prose": "[]", "broken": None,
    }  # fmt: skip
    assert data.kinds["all"].name == "number"  # of the question that offers nothing


def test_functions_may_stand_as_objects_in_json_lines(tmp_path: Path) -> None:
    folder = stored(tmp_path / "data")
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    before = answers(read_dataset(folder))
    rows[0]["tools"] = [ADD]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "queries.jsonl").write_text(text, "utf-8")
    assert answers(read_dataset(folder)) == before


def test_candidates_are_calls_and_calling_nothing(tmp_path: Path) -> None:
    table = build_table(read_dataset(stored(tmp_path / "data")))
    assert table.exists.sum(axis=1).tolist() == [3, 1]
    assert table.comparable.all()


def test_what_is_written_is_read_again_as_it_was(tmp_path: Path) -> None:
    data = read_dataset(stored(tmp_path / "data"))
    for format in ("parquet", "jsonl", "csv"):
        write_dataset(data, tmp_path / format, format=format)
        again = read_dataset(tmp_path / format)
        assert answers(again) == answers(data)
        assert again.digest() == data.digest()


def test_it_goes_through_a_database(tmp_path: Path) -> None:
    data = read_dataset(stored(tmp_path / "data"))
    with open_database(f"sqlite:///{tmp_path}/answers.db") as database:
        import_dataset(database, data)
        again = export_dataset(database, name=data.name)
    assert answers(again) == answers(data)
    assert again.queries["tools"].to_pylist() == data.queries["tools"].to_pylist()


def test_the_same_words_with_other_functions_are_another_question() -> None:
    offered = json.dumps(ADD)
    assert query_key_of("Add 2 and 1.", None, offered) != query_key_of("Add 2 and 1.")
    assert query_key_of("Add 2 and 1.") == query_key_of("Add 2 and 1.", None, None)


@pytest.mark.parametrize("tools", ["{", "[3]", '{"parameters": {}}'])
def test_what_offers_no_functions_names_the_query(tools: str) -> None:
    queries, responses = tables(answer=["[f()]"] * (len(SAID) + 1))
    queries = queries.set_column(3, "tools", pa.array([tools, None]))
    with pytest.raises(RecordError, match=r"queries: tools of query 'q1': tools"):
        Dataset("bad", queries, responses)


def test_a_label_is_calls_too() -> None:
    queries, responses = tables(answer=[*SAID.values(), "2"])
    queries = queries.set_column(2, "label", pa.array(["math.add(2)", "2"]))
    data = Dataset("labelled", queries, responses)
    assert data.queries["label"][0].as_py() == '[{"arguments":{"a":2},"name":"math.add"}]'
