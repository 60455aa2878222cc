"""Data folders: round trips in three formats, damaged files, and writing that loses nothing."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset, DatasetInfo
from rlfocal.records import folders as folders_module
from rlfocal.records.files.formats import write_table
from rlfocal.records.folders import check_target, read_dataset, write_dataset

FORMATS = ["parquet", "csv", "jsonl"]
SHARED = ["bbh", "date_samples", "gsm8k", "mmlu_pro", "routerbench", "tasks10"]


def dataset(prompt: str = '1, 2\nor "3"?', label: str = "B") -> Dataset:
    queries = pa.table(
        {
            "query_id": ["q1", "q2"],
            "split": ["train", None],
            "prompt": [prompt, ""],
            "choices": [["x, y", 'say "no"'], None],
            "label": [label, "007"],
        }
    )
    responses = pa.table(
        {
            "query_id": ["q1", "q1", "q2"],
            "member": ["m1", "ü/2", "m1"],
            "answer": ["A", None, "007"],
            "score": [0.1, None, 1.0],
            "choice_scores": [[-1e-12, 3.0], None, None],
            "samples": [["A", "B"], [], ["007", None]],
            "text": ["so A", None, ""],
            "cost_usd": [0.1 + 0.2, None, 0.0],
            "response_chars": [4, None, 0],
        }
    )
    info = DatasetInfo.model_validate(
        {"answers": "choice", "pools": {"two": ["m1", "ü/2"]}, "k": 1}
    )
    return Dataset("set", queries, responses, info)


@pytest.mark.parametrize("format", FORMATS)
def test_round_trip(tmp_path: Path, format: str) -> None:
    data = dataset()
    write_dataset(data, tmp_path / "new" / "set", format=format)
    back = read_dataset(tmp_path / "new" / "set")
    assert back.queries.to_pylist() == data.queries.to_pylist()
    assert back.responses.to_pylist() == data.responses.to_pylist()
    assert back.responses.schema == data.responses.schema
    assert back.name == "set"
    assert back.pools["two"] == ("m1", "ü/2")
    assert back.info.model_extra == {"k": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["set"]


@pytest.mark.parametrize("format", FORMATS)
def test_whole_replies_are_left_out_on_request(
    tmp_path: Path, format: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = dataset()
    tokens = {"token_chars": [[1, 2], None, []], "token_logprobs": [[-0.5, None], None, []]}
    more = data.responses
    for name, value in {**tokens, "signal_sure": [0.5, None, -1.0]}.items():
        more = more.append_column(name, pa.array(value))
    data = dataclasses.replace(data, responses=more)
    write_dataset(data, tmp_path / "set", format=format)
    lean = read_dataset(tmp_path / "set", with_text=False)
    assert not {"text", *tokens} & set(lean.responses.column_names)
    assert lean.responses["signal_sure"].to_pylist() == [0.5, None, -1.0]
    whole = read_dataset(tmp_path / "set")
    assert whole.digest() == data.digest() != lean.digest()
    assert whole.responses.to_pylist() == data.responses.to_pylist()
    assert not caplog.records


@settings(deadline=None, max_examples=15)
@given(prompt=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@pytest.mark.parametrize("format", FORMATS)
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, format: str, prompt: str
) -> None:
    folder = tmp_path_factory.mktemp("any") / "set"
    write_dataset(dataset(prompt), folder, format=format)
    assert read_dataset(folder).queries["prompt"][0].as_py() == prompt


def test_a_folder_without_description_is_named_like_the_folder(tmp_path: Path) -> None:
    write_dataset(dataset(), tmp_path / "set")
    (tmp_path / "set" / "dataset.json").unlink()
    (tmp_path / "set").rename(tmp_path / "mine")
    assert read_dataset(tmp_path / "mine").name == "mine"


def folder_of(tmp_path: Path, queries: str, responses: str, suffix: str) -> Path:
    (tmp_path / f"queries.{suffix}").write_text(queries, encoding="utf-8")
    (tmp_path / f"responses.{suffix}").write_text(responses, encoding="utf-8")
    return tmp_path


CSV_QUERIES = "query_id,prompt,label\nq1,p,1\nq2,p,2\n"
CSV_RESPONSES = "query_id,member,answer,score\nq1,a,1,1\nq1,b,2,0\nq2,a,1,\n"


def test_hand_written_csv(tmp_path: Path) -> None:
    data = read_dataset(folder_of(tmp_path, "\ufeff" + CSV_QUERIES, CSV_RESPONSES, "csv"))
    assert data.queries["label"].to_pylist() == ["1", "2"]
    assert data.responses["score"].to_pylist() == [1.0, 0.0, None]


def test_hand_written_json_lines(tmp_path: Path) -> None:
    queries = '{"query_id": 1, "prompt": "p", "label": 18}\n\n{"query_id": "2", "prompt": "q"}\n'
    responses = (
        '{"query_id": 1, "member": "a", "answer": 18.5, "score": true}\n'
        '{"query_id": "2", "member": "a", "samples": ["4.0", 3], "latency_s": 2}\n'
    )
    data = read_dataset(folder_of(tmp_path, queries, responses, "jsonl"))
    assert data.queries["query_id"].to_pylist() == ["1", "2"]
    assert data.queries["label"].to_pylist() == ["18", None]
    assert data.responses["answer"].to_pylist() == ["18.5", None]
    assert data.responses["score"].to_pylist() == [1.0, None]
    assert data.responses["samples"].to_pylist() == [None, ["4", "3"]]
    assert data.responses["latency_s"].to_pylist() == [None, 2.0]


BAD_CSV = [
    ("query_id,prompt\nq1\n", r"queries.csv: not a readable CSV file.*Row #2"),
    ("", "queries.csv: not a readable CSV file"),
    ("query_id,Prompt\nq1,p\n", r"queries.csv: column 'prompt' is missing.*did you mean 'Prompt'"),
    ("query_id,prompt,prompt\nq1,p,p\n", "'prompt' is there more than once"),
    ("query_id,prompt,choices\nq1,p,\"['a']\"\n", "queries.csv: choices: row 1: expected a JSON"),
    ("query_id,prompt,choices\nq1,p,3\n", "queries.csv: choices: row 1: expected a JSON"),
]
BAD_JSONL = [
    ('{"query_id": "q1", "prompt": "p"}\n{"query_id": "q2"\n', r"queries.jsonl:2: not JSON"),
    ("\n\n[1]\n", "queries.jsonl:3: a list where an object is expected"),
    ("[" * 100_000, "queries.jsonl:1: not JSON"),
    ('{"query_id": ["q1"], "prompt": "p"}', "queries.jsonl:1: column 'query_id': expected a text"),
    ('{"query_id": "q", "prompt": "p", "choices": "A"}', "jsonl:1: column 'choices': expected a l"),
    ('{"query_id": "q", "prompt": "\\ud800"}', "queries.jsonl:1: column 'prompt': .*surrogates"),
    ("", "queries.jsonl: column 'query_id' is missing; columns found: .none"),
]


@pytest.mark.parametrize(("queries", "message"), BAD_CSV)
def test_broken_csv_is_named(tmp_path: Path, queries: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read_dataset(folder_of(tmp_path, queries, CSV_RESPONSES, "csv"))


@pytest.mark.parametrize(("queries", "message"), BAD_JSONL)
def test_broken_json_lines_are_named(tmp_path: Path, queries: str, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        read_dataset(folder_of(tmp_path, queries, '{"query_id": "q1"}', "jsonl"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"query_id": "q", "member": "m", "score": "high"}', "responses.jsonl:2: column 'score'"),
        ('{"query_id": "q", "member": "m", "score": 1e999}', "score is not a number in"),
        ('{"query_id": "q", "member": "m", "response_chars": 1e40}', "2: column 'response_chars'"),
        ('{"query_id": "q", "member": "m", "response_chars": 2.5}', "2: column 'response_chars'"),
        ('{"query_id": "q", "member": "m", "score": ' + "9" * 400 + "}", "2: column 'score'"),
    ],
)
def test_broken_numbers_in_json_lines(tmp_path: Path, row: str, message: str) -> None:
    queries = '{"query_id": "q", "prompt": "p"}'
    first = '{"query_id": "q", "member": "other", "score": 1}\n'
    with pytest.raises(RecordError, match=message):
        read_dataset(folder_of(tmp_path, queries, first + row, "jsonl"))


def test_a_number_that_is_none_in_csv_names_the_row(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"responses.csv: column 'score': .*'0,5' in row 4"):
        read_dataset(folder_of(tmp_path, CSV_QUERIES, CSV_RESPONSES + 'q2,b,1,"0,5"\n', "csv"))


@pytest.mark.parametrize(("suffix", "line"), [("csv", 3), ("jsonl", 2)])
def test_text_that_is_not_utf8_names_the_line(tmp_path: Path, suffix: str, line: int) -> None:
    folder_of(tmp_path, CSV_QUERIES, CSV_RESPONSES, suffix)
    rows = {
        "csv": b"query_id,prompt\nq1,p\nq2,caf\xe9\n",
        "jsonl": b'{"query_id": "q1", "prompt": "p"}\n{"query_id": "q2", "prompt": "caf\xe9"}\n',
    }
    (tmp_path / f"queries.{suffix}").write_bytes(rows[suffix])
    with pytest.raises(RecordError, match=rf"queries.{suffix}:{line}: not UTF-8"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_truncated_parquet_is_named(tmp_path: Path, keep: float) -> None:
    write_dataset(dataset(), tmp_path / "set")
    file = tmp_path / "set" / "responses.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole) if 0 < keep < 1 else keep)])
    with pytest.raises(RecordError, match=r"responses.parquet: not a readable Parquet file"):
        read_dataset(tmp_path / "set")


def test_damaged_parquet_pages_are_named(tmp_path: Path) -> None:
    write_dataset(dataset("long prompt " * 500), tmp_path / "set")
    file = tmp_path / "set" / "queries.parquet"
    damaged = bytearray(file.read_bytes())
    damaged[40:200] = b"\xff" * 160
    file.write_bytes(damaged)
    with pytest.raises(RecordError, match=r"queries.parquet"):
        read_dataset(tmp_path / "set")


def test_missing_things_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="does not exist"):
        read_dataset(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(RecordError, match="is a file"):
        read_dataset(tmp_path / "notes.txt")
    with pytest.raises(RecordError, match=r"no queries.parquet or .*; files found: notes.txt"):
        read_dataset(tmp_path)
    folder_of(tmp_path, CSV_QUERIES, CSV_RESPONSES, "csv")
    (tmp_path / "queries.jsonl").write_text("")
    with pytest.raises(RecordError, match=r"holds queries.csv and queries.jsonl; keep one"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "dataset.json: the file: "),
        ('{"pools": {"all": "a"}}', "dataset.json: pools.all: "),
        ('{"synthetic": "perhaps"}', "dataset.json: synthetic: "),
    ],
)
def test_broken_descriptions_are_named(tmp_path: Path, text: str, message: str) -> None:
    folder_of(tmp_path, CSV_QUERIES, CSV_RESPONSES, "csv")
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(RecordError, match=message):
        read_dataset(tmp_path)


def test_contradictions_name_the_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, CSV_QUERIES, CSV_RESPONSES + "q7,a,1,1\n", "csv")
    with pytest.raises(
        RecordError, match=rf"{folder}: responses: query_id is not in queries.*'q7'"
    ):
        read_dataset(folder)


@pytest.mark.parametrize("format", FORMATS)
def test_columns_without_a_meaning_are_reported(
    tmp_path: Path, format: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of(
        tmp_path,
        CSV_QUERIES.replace("label", "lable"),
        CSV_RESPONSES,
        "csv",
    )
    if format == "parquet":
        (tmp_path / "queries.csv").unlink()
        pq.write_table(
            pa.table({"query_id": ["q1", "q2"], "prompt": ["p", "p"], "lable": ["1", "2"]}),
            tmp_path / "queries.parquet",
        )
    elif format == "jsonl":
        (tmp_path / "queries.csv").unlink()
        rows = [{"query_id": q, "prompt": "p", "lable": 1} for q in ("q1", "q2")]
        (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with caplog.at_level(logging.WARNING):
        read_dataset(tmp_path)
    said = f"queries.{format}: columns without a meaning here are ignored: lable; rename 'lable'"
    assert f"{said} to 'label'?" in caplog.text


def test_a_column_that_is_nearly_another_is_not_renamed_where_that_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queries = "query_id,prompt,label,gold,difficulty\nq1,p,1,x,3\nq2,p,2,x,3\n"
    with caplog.at_level(logging.WARNING):
        read_dataset(folder_of(tmp_path, queries, CSV_RESPONSES, "csv"))
    assert caplog.text.rstrip().endswith("are ignored: gold, difficulty")


def test_a_column_in_another_unit_is_not_just_renamed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    responses = "query_id,member,answer,latency_ms,cost\nq1,a,1,900,1\nq1,b,2,900,2\n"
    with caplog.at_level(logging.WARNING):
        read_dataset(folder_of(tmp_path, CSV_QUERIES, responses, "csv"))
    assert "rename 'latency_ms' to 'latency_s', in seconds?" in caplog.text
    assert "rename 'cost' to 'cost_usd'?" in caplog.text


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_csv_with_another_separator_is_recognised(
    tmp_path: Path, separator: str, name: str
) -> None:
    folder_of(tmp_path, CSV_QUERIES, CSV_RESPONSES.replace(",", separator), "csv")
    with pytest.raises(
        RecordError, match=f"responses.csv: columns are separated by {name}.*`rlfocal import table`"
    ):
        read_dataset(tmp_path)


def test_other_tables_are_shown_the_way_in(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("question,gold,gpt\n")
    with pytest.raises(RecordError, match=r"`rlfocal import table .*mine.csv -o FOLDER` makes"):
        read_dataset(tmp_path)
    with pytest.raises(RecordError, match=r"is a file; .*`rlfocal import table` makes one"):
        read_dataset(tmp_path / "mine.csv")
    (tmp_path / "queries.json").write_text("[]")
    with pytest.raises(RecordError, match=r"write queries.json as queries.jsonl: one object a l"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("with_text", [False, True])
@pytest.mark.parametrize("answer", [None, [None, None]])
def test_where_there_are_replies_alone_they_are_the_answers(
    tmp_path: Path, format: str, with_text: bool, answer: list[None] | None
) -> None:
    queries = pa.table({"query_id": ["q1"], "prompt": ["1 + 1?"], "label": ["2"]})
    replies = {"query_id": ["q1", "q1"], "member": ["a", "b"], "text": ["It is 2.", "So, 3."]}
    responses = pa.table(replies)
    if answer is not None:
        responses = responses.append_column("answer", pa.array(answer, pa.string()))
    write_table(queries, tmp_path / f"queries.{format}")
    write_table(responses, tmp_path / f"responses.{format}")
    data = read_dataset(tmp_path, with_text=with_text)
    assert data.responses["answer"].null_count == 0
    assert ("text" in data.responses.column_names) == with_text
    (note,) = (data.info.model_extra or {})["notes"]
    assert "answers are looked for in the column 'text'" in note


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_existing_data_set_is_replaced_on_request_only(tmp_path: Path) -> None:
    write_dataset(dataset(), tmp_path / "set")
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match="already holds a data set"):
        write_dataset(dataset(label="A"), tmp_path / "set", format="csv")
    assert snapshot(tmp_path) == before
    write_dataset(dataset(label="A"), tmp_path / "set", format="csv", overwrite=True)
    assert read_dataset(tmp_path / "set").queries["label"][0].as_py() == "A"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write_dataset(dataset(), tmp_path / "set")
    assert read_dataset(tmp_path / "set").name == "set"


def test_other_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("work of years")
    before = snapshot(tmp_path)
    with pytest.raises(ConfigError, match=r"holds other files \(thesis.tex\)"):
        write_dataset(dataset(), tmp_path, overwrite=True)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("failing", ["write_table", "_replace", "rename"])
def test_a_failure_leaves_what_was_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write_dataset(dataset(), tmp_path / "set")
    before = snapshot(tmp_path)

    def fail(*_: Any) -> None:
        raise OSError("no space left on device")

    if failing == "rename":
        rename = Path.rename

        def rename_once(self: Path, target: Path) -> Path:
            if self.name == "new":
                fail()
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", rename_once)
    else:
        monkeypatch.setattr(folders_module, failing, fail)
    with pytest.raises(ConfigError, match="no space left on device"):
        write_dataset(dataset(label="A"), tmp_path / "set", overwrite=True)
    assert snapshot(tmp_path) == before


def test_places_that_cannot_be_written_are_refused_early(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        check_target(tmp_path / "file")
    with pytest.raises(ConfigError, match="cannot be written"):
        check_target(tmp_path / "file" / "below")
    with pytest.raises(ConfigError, match="unknown format 'parket'; did you mean 'parquet'"):
        write_dataset(dataset(), tmp_path / "set", format="parket")
    check_target(tmp_path / "set")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


@pytest.mark.shared
@pytest.mark.parametrize("name", SHARED)
def test_recorded_data_is_read(shared_data: Path, name: str) -> None:
    data = read_dataset(shared_data / name)
    described = json.loads((shared_data / name / "dataset.json").read_text())
    assert data.queries.num_rows == described["queries"]
    assert list(data.members) == described["pools"]["all"]
    assert data.select_members() == tuple(described["pools"]["all"])
