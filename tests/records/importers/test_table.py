"""Tables that somebody wrote: long and wide, whatever their columns are called."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset
from rlfocal.records.importers.assembling import import_logs
from rlfocal.records.importers.logged import Logged
from rlfocal.records.importers.table import read_tables


def read(tmp_path: Path, text: str, name: str = "mine.csv", **options: Any) -> Logged:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_tables([path], **options)


def imported(tmp_path: Path, text: str, name: str = "mine.csv", **options: Any) -> Dataset:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return import_logs("table", [path], name="mine", **options)


def rows(data: Dataset, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row.get(c) for c in columns) for row in data.responses.to_pylist()]


def notes_of(data: Dataset) -> list[str]:
    return list((data.info.model_extra or {})["notes"])


LONG = (
    "question,gold,model,response\n"
    "1+1?,2,a,It is 2.\n"
    "1+1?,2,b,The answer is 3\n"
    '2+2?,4000,a,"So, 4000"\n'
    "2+2?,4000,b,5\n"
)


def test_long_form_is_joined_by_question_and_replies_are_extracted(tmp_path: Path) -> None:
    data = imported(tmp_path, LONG)
    assert data.queries["prompt"].to_pylist() == ["1+1?", "2+2?"]
    assert data.queries["label"].to_pylist() == ["2", "4000"]
    assert rows(data, "member", "answer") == [("a", "2"), ("b", "3"), ("a", "4000"), ("b", "5")]
    assert data.responses["text"][0].as_py() == "It is 2."


def test_what_was_guessed_is_said(tmp_path: Path) -> None:
    logged = read(tmp_path, LONG)
    assert logged.notes == [
        "mine.csv: columns found by their names: prompt=question, label=gold, member=model, "
        "text=response (--column changes)"
    ]


def test_columns_are_told_by_name(tmp_path: Path) -> None:
    text = "Frage,Soll,Wer,Ist\n1+1?,2,a,2\n1+1?,2,b,3\n"
    columns = ["prompt=Frage", "label=Soll", "member=Wer", "text=Ist"]
    logged = read(tmp_path, text, column=columns)
    assert [(r.member, r.text, r.labels) for r in logged.records] == [
        ("a", "2", ("2",)),
        ("b", "3", ("2",)),
    ]
    assert logged.notes == []


def test_wide_form_has_a_column_per_model(tmp_path: Path) -> None:
    data = imported(tmp_path, "question,answer,gpt-4,llama\n1+1?,2,2,3\n1+2?,3,3.0,\n")
    assert data.queries["label"].to_pylist() == ["2", "3"]
    assert rows(data, "member", "answer") == [("gpt-4", "2"), ("llama", "3"), ("gpt-4", "3")]
    said = (
        "one column per model, taken for models (--members changes): gpt-4, llama; read as answer"
    )
    assert said in " ".join(notes_of(data))


def test_equal_rows_of_wide_form_are_queries_of_their_own(tmp_path: Path) -> None:
    data = imported(tmp_path, "question,answer,a,b\nq?,2,2,3\nq?,2,2,2\n")
    assert data.queries.num_rows == 2
    assert data.responses.num_rows == 4


def test_models_may_be_named(tmp_path: Path) -> None:
    text = "question,answer,gpt,llama,human\nq?,2,2,3,9\n"
    logged = read(tmp_path, text, members="gpt,llama")
    assert [r.member for r in logged.records] == ["gpt", "llama"]
    assert logged.notes[-1] == "mine.csv: columns ignored: human"
    with pytest.raises(RecordError, match="--members: no column of 'lama'; did you mean 'llama'"):
        read(tmp_path, text, members="gpt,lama")


@pytest.mark.parametrize(
    "header",
    ["{m}_response,{m}_score,{m}_cost,{m}_latency_ms",
     "{m}|output,{m}|correct,{m}|total_cost,{m}|time_ms",
     "response_{m},score_{m},cost_{m},latency_ms_{m}", "{m}.text,{m}.acc,{m}.price,{m}.latency_ms"],
)  # fmt: skip
def test_a_models_columns_are_found_by_pattern(tmp_path: Path, header: str) -> None:
    names = ",".join(header.format(m=m) for m in ("gpt-4", "Llama_3"))
    text = f"question,target,{names}\n1+1?,2,It is 2,1,0.5,1500,It is 3,0,0.1,20\n"
    found = list(read(tmp_path, text).records)
    assert [(r.member, r.text, r.score, r.cost_usd, r.latency_s) for r in found] == [
        ("gpt-4", "It is 2", 1.0, 0.5, 1.5),
        ("Llama_3", "It is 3", 0.0, 0.1, 0.02),
    ]


def test_scores_in_a_column_per_model_beside_replies(tmp_path: Path) -> None:
    text = (
        "sample_id,prompt,eval_name,gpt,cl,gpt|model_response,cl|model_response,gpt|total_cost,"
        "cl|total_cost,oracle_model_to_route_to\nmmlu.1,hi,mmlu,1.0,0.25,the b,foo,0.1,0.2,gpt\n"
    )
    found = list(read(tmp_path, text).records)
    assert [(r.member, r.task, r.name, r.text, r.score) for r in found] == [
        ("gpt", "mmlu", "mmlu.1", "the b", 1.0),
        ("cl", "mmlu", "mmlu.1", "foo", 0.25),
    ]


def test_a_matrix_of_scores(tmp_path: Path) -> None:
    found = list(read(tmp_path, "prompt,a,b\nq?,True,False\nr?,False,True\n").records)
    assert [(r.member, r.score, r.by_score, r.answer) for r in found] == [
        ("a", 1.0, True, None),
        ("b", 0.0, True, None),
        ("a", 0.0, True, None),
        ("b", 1.0, True, None),
    ]


def test_numbers_zero_and_one_are_answers_where_labels_are(tmp_path: Path) -> None:
    found = list(read(tmp_path, "question,label,a,b\nq?,1,1,0\nr?,0,1,0\n").records)
    assert [r.answer for r in found] == ["1", "0", "1", "0"]


@pytest.mark.parametrize("gold", ["label", "answer"])
def test_yes_and_no_are_answers_where_labels_are(tmp_path: Path, gold: str) -> None:
    found = list(read(tmp_path, f"question,{gold},a,b\nq?,yes,yes,no\nr?,no,no,no\n").records)
    assert [(r.answer, r.score) for r in found] == [
        ("yes", None), ("no", None), ("no", None), ("no", None),
    ]  # fmt: skip


def test_a_label_more_than_members_use_makes_no_scores_of_answers(tmp_path: Path) -> None:
    found = list(read(tmp_path, "question,gold,a,b\nq?,Yes,yes,no\nr?,maybe,no,yes\n").records)
    assert [r.score for r in found] == [None] * 4
    found = list(read(tmp_path, "question,gold,a,b\nq?,Oslo,yes,no\nr?,Rome,no,yes\n").records)
    assert [r.score for r in found] == [1, 0, 0, 1]


def test_what_is_correct_may_be_the_right_answer(tmp_path: Path) -> None:
    text = "question,correct,model,response\nq?,yes,a,yes\nq?,yes,b,no\nr?,no,a,No\nr?,no,b,no\n"
    assert [(r.labels, r.score) for r in read(tmp_path, text).records][:3] == [
        (("yes",), None), (("yes",), None), (("no",), None),
    ]  # fmt: skip
    text = "question,correct,model,response\nq?,yes,a,Oslo\nq?,no,b,Rome\n"
    assert [(r.labels, r.score) for r in read(tmp_path, text).records] == [((), 1), ((), 0)]


def test_a_matrix_of_scores_beside_labels_of_another_kind(tmp_path: Path) -> None:
    found = list(read(tmp_path, "question,answer,a,b\nq?,17,1,0\nr?,1,0,1\n").records)
    assert [(r.answer, r.score) for r in found] == [(None, 1), (None, 0), (None, 0), (None, 1)]


@pytest.mark.parametrize(
    ("written", "score"),
    [("true", 1), ("No", 0), ("yes", 1), ("correct", 1), ("0.25", 0.25), ("1", 1), ("FALSE", 0)],
)
def test_scores_in_words(tmp_path: Path, written: str, score: float) -> None:
    found = list(read(tmp_path, f"question,model,is_correct\nq?,a,{written}\nq?,b,1\n").records)
    assert found[0].score == score
    assert found[0].by_score


@pytest.mark.parametrize("written", ["85", "85%", "85.0"])
def test_percentages_are_read_on_request_only(tmp_path: Path, written: str) -> None:
    text = f"question,model,score\nq?,a,{written}\nq?,b,20\n"
    with pytest.raises(
        RecordError, match=f"row 1, column 'score': '{written}' .* --score-scale 100"
    ):
        read(tmp_path, text)
    assert [r.score for r in read(tmp_path, text, score_scale=100.0).records] == [0.85, 0.2]
    with pytest.raises(RecordError, match="'101' is no score from 0 to 100"):
        read(tmp_path, text.replace("20", "101"), score_scale=100.0)


def test_semicolons_and_decimal_commas_are_found_and_said(tmp_path: Path) -> None:
    text = "question;gold;model;answer;score;cost\n1/2?;0,5;a;0,5;0,75;0,001\n3/2?;1,5;a;2;1;2\n"
    logged = read(tmp_path, text)
    found = list(logged.records)
    assert [(r.labels, r.answer, r.score, r.cost_usd) for r in found] == [
        (("0.5",), "0.5", 0.75, 0.001),
        (("1.5",), "2", 1.0, 2.0),
    ]
    assert "mine.csv: columns are separated by semicolons" in logged.notes
    said = "mine.csv: commas in score, cost, gold, answer are read as decimal points"
    assert logged.notes[-1] == said


def test_thousands_stay_thousands(tmp_path: Path) -> None:
    text = 'question,gold,model,answer,cost\nq?,"1,750",a,1750,"1,000"\n'
    found = list(read(tmp_path, text).records)
    assert found[0].labels == ("1,750",)
    assert found[0].cost_usd == 1000


OPTIONS = [
    ("choices", '"[""iron"", ""tin""]"', {}),
    ("options", "\"['iron', 'tin']\"", {}),
    ("options", "iron | tin", {}),
    ("options", "iron|tin", {}),
    ("options", "iron; tin", {}),
    ("options", "iron / tin", {"choices_separator": "/"}),
    ("options", '"A. iron\nB. tin"', {}),
    ("options", '"{""A"": ""iron"", ""B"": ""tin""}"', {}),
    ("A,B", "iron,tin", {}),
    ("option_1,option_2", "iron,tin", {}),
    ("Choice A,Choice B", "iron,tin", {}),
]


@pytest.mark.parametrize(("header", "cells", "options"), OPTIONS)
def test_options_in_many_forms(
    tmp_path: Path, header: str, cells: str, options: dict[str, Any]
) -> None:
    text = f"question,{header},answer,model,pred\nq?,{cells},B,m1,b\nq?,{cells},B,m2,(A)\n"
    data = imported(tmp_path, text, **options)
    assert data.queries["choices"].to_pylist() == [["iron", "tin"]]
    assert data.queries["label"].to_pylist() == ["B"]
    assert rows(data, "answer") == [("B",), ("A",)]


def test_the_separator_of_options_is_the_one_that_they_hold_least(tmp_path: Path) -> None:
    text = "question,options,label,model,answer\nq?,|1| |2| | |3| |4|,A,m,A\n"
    (record,) = read(tmp_path, text).records
    assert record.choices == ("|1| |2|", "|3| |4|")


def test_options_without_a_separator_ask_for_one(tmp_path: Path) -> None:
    text = "question,options,label,model,answer\nq?,iron and tin,A,m,A\n"
    with pytest.raises(RecordError, match=r"row 1, column 'options': 'iron and tin' .*--choices-s"):
        read(tmp_path, text)


ROWS = [
    {"question": "1+1?", "target": 2, "model": "a", "output": "2"},
    {"question": "1+1?", "target": 2, "model": "b", "output": "It is 3"},
]


def json_forms() -> list[tuple[str, str]]:
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    return [
        ("rows.jsonl", "\n\n".join(map(json.dumps, ROWS))),
        ("rows.json", json.dumps(ROWS)),
        ("rows.json", "\n".join(map(json.dumps, ROWS))),
        ("rows.json", json.dumps({"version": 1, "results": ROWS})),
        ("rows.json", json.dumps(columns)),
        ("rows.json", json.dumps({n: dict(enumerate(v)) for n, v in columns.items()})),
        ("rows.json", json.dumps(dict(zip("xy", ROWS, strict=True)))),
        (
            "rows.json",
            json.dumps({"columns": list(columns), "data": [list(r.values()) for r in ROWS]}),
        ),
        ("rows.tsv", "question\ttarget\tmodel\toutput\n1+1?\t2\ta\t2\n1+1?\t2\tb\tIt is 3\n"),
    ]


@pytest.mark.parametrize(("name", "text"), json_forms())
def test_every_shape_of_file_says_the_same(tmp_path: Path, name: str, text: str) -> None:
    found = list(read(tmp_path, text, name).records)
    assert [(r.member, r.prompt, r.labels, r.text) for r in found] == [
        ("a", "1+1?", ("2",), "2"),
        ("b", "1+1?", ("2",), "It is 3"),
    ]


def test_parquet_and_gz(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(LONG.encode()))
    assert [r.text for r in read_tables([path]).records] == ["2", "It is 3"]
    assert len(list(read_tables([tmp_path / "rows.csv.gz"]).records)) == 4


def test_objects_are_taken_apart(tmp_path: Path) -> None:
    row = {"question": "q?", "answer": "2", "responses": {"gpt-4.1": "2", "llama": "It is 3"}}
    found = list(read(tmp_path, json.dumps([row]), "rows.json").records)
    assert [(r.member, r.text) for r in found] == [("gpt-4.1", "2"), ("llama", "It is 3")]


def test_two_columns_for_one_thing_ask_which(tmp_path: Path) -> None:
    text = "question,input,gold,model,response\nq?,r?,2,a,2\n"
    with pytest.raises(
        RecordError, match=r"'question' and 'input' could each be the prompt.*--column prompt="
    ):
        read(tmp_path, text)
    assert next(iter(read(tmp_path, text, column=["prompt=input"]).records)).prompt == "r?"


def test_what_is_nowhere_is_asked_for(tmp_path: Path) -> None:
    for text, message in [
        ("gold,model,response\n2,a,2\n", "no column for the question.*--column prompt="),
        ("question,model,response\nq?,a,2\n", "no column for the right answer.*--column label="),
        ("question,gold,model\nq?,2,a\n", "no column for what members answered.*--column text="),
        ("model_a,model_b,winner\na,b,a\n", "one row compares two models"),
        ("question,gold,model,response\n", "no rows"),
        ("", "names no columns"),
    ]:
        with pytest.raises(RecordError, match=message):
            read(tmp_path, text)


def test_options_that_are_wrong(tmp_path: Path) -> None:
    for column, message in [
        ("prompt", "write NAME=COLUMN"),
        ("promt=question", "no such name; did you mean 'prompt'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            read(tmp_path, LONG, column=[column])
    with pytest.raises(RecordError, match="no such column; did you mean 'question'"):
        read(tmp_path, LONG, column=["prompt=qestion"])
    with pytest.raises(ConfigError, match="named twice"):
        read(tmp_path, LONG, column=["prompt=question", "question=gold"])
    with pytest.raises(ConfigError, match="--score-scale"):
        read(tmp_path, LONG, score_scale=0.0)


def test_a_column_may_be_left_out(tmp_path: Path) -> None:
    logged = read(tmp_path, "subject,question,gold,a\nx,q?,2,2\n", column=["task="])
    assert next(iter(logged.records)).task == "all"


def test_repeated_rows_are_samples(tmp_path: Path) -> None:
    text = "question,gold,model,answer\nq?,2,a,2\nq?,2,a,3\nq?,2,b,2\nq?,2,a,2\n"
    data = imported(tmp_path, text)
    assert data.queries.num_rows == 1
    assert rows(data, "member", "samples") == [("a", ["2", "3", "2"]), ("b", None)]
    assert "2 more rows of a member and query" in " ".join(notes_of(data))


def test_an_index_of_rows_is_no_query_id(tmp_path: Path) -> None:
    logged = read(tmp_path, "index,question,gold,model,answer\n0,q?,2,a,2\n1,q?,2,b,3\n")
    first, second = logged.records
    assert first.document == second.document
    assert "'index' numbers rows, not questions, and is ignored" in " ".join(logged.notes)


def test_an_id_joins_prompts_that_differ_by_member(tmp_path: Path) -> None:
    logged = read(tmp_path, "id,question,gold,model,answer\n7,[a] q?,2,a,2\n7,[b] q?,2,b,3\n")
    first, second = logged.records
    assert first.document == second.document
    assert "1 ids stand beside more than one prompt, such as '7' in row 2" in " ".join(logged.notes)


def test_a_file_per_model(tmp_path: Path) -> None:
    for name, answer in (("gpt", 2), ("llama", 3)):
        (tmp_path / f"{name}.csv").write_text(f"question,gold,response\n1+1?,2,{answer}\n")
    data = import_logs("table", [tmp_path], name="two")
    assert rows(data, "member", "answer") == [("gpt", "2"), ("llama", "3")]
    assert data.queries.num_rows == 1


def test_in_a_folder_what_cannot_be_read_is_said_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LONG)
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    (tmp_path / "c.jsonl").write_text("{\n")
    logged = read_tables([tmp_path])
    assert len(list(logged.records)) == 4
    left_out = [note for note in logged.notes if note.startswith("left out: ")]
    assert ["b.csv" in left_out[0], "c.jsonl:1" in left_out[1]] == [True, True]
    (tmp_path / "a.csv").unlink()
    with pytest.raises(RecordError, match=r"no table could be read: left out: .*b.csv"):
        read_tables([tmp_path])


def test_a_model_under_two_names_is_told_by_the_better(tmp_path: Path) -> None:
    text = "prompt_id,prompt,model_id,model_name,label\n1,q?,5,gpt,1\n1,q?,6,llama,0\n"
    found = list(read(tmp_path, text).records)
    assert [(r.name, r.member, r.score, r.labels) for r in found] == [
        ("1", "gpt", 1.0, ()),
        ("1", "llama", 0.0, ()),
    ]


def test_a_list_of_what_models_answered_becomes_rows(tmp_path: Path) -> None:
    answers = [{"model": "a", "response": "It is 2"}, {"model": "b", "response": "3"}]
    text = json.dumps([{"question": f"{q}?", "target": 2, "results": answers} for q in "xy"])
    logged = read(tmp_path, text, "rows.json")
    found = list(logged.records)
    assert [(r.prompt, r.member, r.text) for r in found] == [
        ("x?", "a", "It is 2"), ("x?", "b", "3"), ("y?", "a", "It is 2"), ("y?", "b", "3"),
    ]  # fmt: skip
    assert found[3].place.endswith("rows.json: row 2")
    assert "rows.json: each object in 'results' is a response of its own" in logged.notes


def test_objects_of_models_are_taken_apart(tmp_path: Path) -> None:
    both = {"a-1.5": {"text": "It is 2", "cost": 1}, "b": {"text": "3", "cost": 2}}
    text = json.dumps([{"question": "q?", "answer": "2", "responses": both}])
    found = list(read(tmp_path, text, "rows.json").records)
    assert [(r.member, r.text, r.cost_usd) for r in found] == [
        ("a-1.5", "It is 2", 1),
        ("b", "3", 2),
    ]


def test_what_stands_inside_objects_is_found(tmp_path: Path) -> None:
    row = {
        "question": "q?", "llm_selected": "a", "generated_answer": "It is 2",
        "evaluation_result": {"extracted_answer": "2", "ground_truth": "2", "score": 1.0},
    }  # fmt: skip
    (record,) = read(tmp_path, json.dumps(row), "rows.jsonl").records
    assert (record.text, record.answer, record.labels, record.score) == ("It is 2", "2", ("2",), 1)


def test_what_a_spreadsheet_writes(tmp_path: Path) -> None:
    text = (
        "sep=;\r\nQuestion;Correct Answer;GPT-4;GPT-4 Correct?;Claude;Claude Correct?\r\n"
        "q?;2;It is 2;\u2713;3;\u2717\r\n"
    )
    found = list(read(tmp_path, text).records)
    assert [(r.member, r.answer, r.score) for r in found] == [
        ("GPT-4", "It is 2", 1.0),
        ("Claude", "3", 0.0),
    ]


@pytest.mark.parametrize(
    ("header", "cell", "seconds"),
    [
        ("latency", "350 ms", 0.35),
        ("latency_ms", "350", 0.35),
        ("Latency (ms)", "350", 0.35),
        ("time", "2.5s", 2.5),
        ("duration_min", "2", 120.0),
        ("latency_ms", "2 s", 2.0),
        ("runtime", "2.5", 2.5),
    ],
)
def test_units_of_time(tmp_path: Path, header: str, cell: str, seconds: float) -> None:
    text = f"question,gold,model,answer,{header}\nq?,2,a,2,{cell}\n"
    (record,) = read(tmp_path, text).records
    assert record.latency_s == pytest.approx(seconds)


def test_long_latencies_are_doubted(tmp_path: Path) -> None:
    text = "question,gold,model,answer,latency\nq?,2,a,2,1500\n"
    assert "--column latency_ms=latency" in read(tmp_path, text).notes[-1]
    (record,) = read(tmp_path, text, column=["latency_ms=latency"]).records
    assert record.latency_s == 1.5


def test_several_accepted_answers_are_each_compared(tmp_path: Path) -> None:
    text = (
        "question,target,model,output\nq?,\"['2', '2.5']\",m1,It is 2.50\n"
        "q?,\"['2', '2.5']\",m2,It is 3\n"
    )
    data = imported(tmp_path, text)
    assert rows(data, "answer", "score") == [("2.5", 1.0), ("3", 0.0)]
    assert "2 replies to questions with several accepted answers" in " ".join(notes_of(data))


def test_splits_are_kept(tmp_path: Path) -> None:
    data = imported(tmp_path, "question,gold,split,a\nq?,2,train,2\nr?,3,test,2\n")
    assert data.queries["split"].to_pylist() == ["train", "test"]


def test_a_column_is_named_as_it_reads(tmp_path: Path) -> None:
    text = " Question ,gold,model,response\nq?,2,a,2\n"
    (record,) = read(tmp_path, text, column=["prompt=question"]).records
    assert record.prompt == "q?"


BAD_FILES: list[tuple[str, bytes, str]] = [
    ("m.csv", b"question,gold,model,answer\nq,2,a\n", "row 1: 3 values where the first line names"),
    ("m.csv", b"question,question,model\nq,2,a\n", "'question' is there more than once"),
    ("m.csv", b"question,gold,a\nq,caf\xe9,a\n", r"m.csv:2: not UTF-8"),
    ("m.csv", b"question,gold\x00\n", "null characters"),
    ("m.json", b"{", r"m.json:1: not JSON"),
    ("m.json", b'{"a": 1}\n{"a": \n', r"m.json:2: not JSON"),
    ("m.json", b"[1]", "row 1: a int where an object is expected"),
    ("m.json", b"3", "a int where a list of objects is expected"),
    ("m.json", b'{"a": 1}', "no list of objects in it; keys found: 'a'"),
    ("m.json", b'{"a": [{"x": 1}], "b": [{"x": 1}]}', "several lists of objects"),
    ("m.json", b"[" * 100_000, "not JSON"),
    ("m.parquet", b"PAR1", "not a readable Parquet file"),
    ("m.pkl", b"\x80", "never opened"),
    ("m.xlsx", b"PK", "save the sheet as CSV"),
    ("m.csv.gz", gzip.compress(LONG.encode(), mtime=0)[:30], "cannot be read"),
]


@pytest.mark.parametrize(("name", "data", "message"), BAD_FILES)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RecordError, match=message):
        read_tables([tmp_path / name])


FULL: dict[str, Any] = {
    "question": "q?", "id": "q1", "subject": "sums", "choices": ["x", "y"], "label": "A",
    "model": "m", "text": "so A", "answer": "A", "score": 1, "cost_usd": 0.1, "latency_s": 2.5,
    "samples": ["A", "B"],
}  # fmt: skip
_values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.lists(st.one_of(st.none(), st.integers(), st.text(max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(field=st.sampled_from(sorted(FULL)), value=_values, is_dropped=st.booleans())
def test_a_field_of_a_wrong_type_is_an_error_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any, is_dropped: bool
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "rows.jsonl"
    wrong = {k: v for k, v in FULL.items() if k != field} if is_dropped else FULL | {field: value}
    path.write_text("".join(json.dumps(row) + "\n" for row in (FULL | {"model": "n"}, wrong)))
    with contextlib.suppress(RecordError):
        import_logs("table", [path], name="fuzz")


SCALED = "prompt,gpt-4,llama\n" + "".join(f"Q {i}?,{i},{30 - i}\n" for i in range(31))


@pytest.mark.parametrize("members", [None, "gpt-4,llama"])
def test_a_scale_says_that_columns_of_models_are_scores(
    tmp_path: Path, members: str | None
) -> None:
    logged = read(tmp_path, SCALED, score_scale=100, members=members)
    found = [(r.member, r.score, r.answer) for r in logged.records]
    assert found[:4] == [
        ("gpt-4", 0.0, None), ("llama", 0.3, None), ("gpt-4", 0.01, None), ("llama", 0.29, None),
    ]  # fmt: skip
    assert "read as score" in " ".join(logged.notes)


def test_beside_scores_a_scale_makes_no_scores_of_answers(tmp_path: Path) -> None:
    text = "prompt,label,gpt,gpt_score,llama,llama_score\n" + "".join(
        f"Q {i}?,{i},{i},90,{i + 1},10\n" for i in range(30)
    )
    first, second, *_ = read(tmp_path, text, score_scale=100).records
    assert (first.answer, first.score) == ("0", 0.9)
    assert (second.answer, second.score) == ("1", 0.1)


DATA_COLUMNS = [
    "length", "tokens", "n_tokens", "chars", "id2", "index", "difficulty", "level", "source",
    "year", "date", "prompt_length", "Word Count", "num_choices", "row_id", "mean", "std", "Max",
]  # fmt: skip


@pytest.mark.parametrize("column", [c for c in DATA_COLUMNS if c != "id2"])
def test_numbers_named_like_data_are_no_models(tmp_path: Path, column: str) -> None:
    text = f"id,prompt,label,{column},gpt-4,llama\n" + "".join(
        f"q{i},Q {i}?,{i + 100},{1990 + i},{i + 100},7\n" for i in range(30)
    )
    logged = read(tmp_path, text)
    assert {r.member for r in logged.records} == {"gpt-4", "llama"}
    assert any("ignored" in note and column in note for note in logged.notes)
    named = read(tmp_path, text, members=f"{column},gpt-4")
    assert {r.member for r in named.records} == {column, "gpt-4"}


BLANKS = "prompt,label,model,answer\n"


def test_names_that_differ_in_blanks_are_read_as_one(tmp_path: Path) -> None:
    text = BLANKS + "".join(
        f"Q {i}?,{i},gpt-mini{' ' if i % 2 else ''},{i}\nQ {i}?,{i},big,{i}\n" for i in range(10)
    )
    logged = read(tmp_path, text)
    assert {r.member for r in logged.records} == {"gpt-mini", "big"}
    assert "members 'gpt-mini', 'gpt-mini ': names differ in blanks only; read as one" in (
        logged.notes
    )


def test_names_that_differ_in_blanks_and_answer_the_same_are_kept_apart(tmp_path: Path) -> None:
    text = BLANKS + "".join(
        f"Q {i}?,{i},gpt-mini,{i}\nQ {i}?,{i},gpt-mini ,{i + 1}\n" for i in range(10)
    )
    logged = read(tmp_path, text)
    assert {r.member for r in logged.records} == {"gpt-mini", "gpt-mini "}
    assert not any("repeated samples" in note for note in logged.notes)
    assert any("blanks only; kept apart, since 10 questions" in note for note in logged.notes)
    data = imported(tmp_path, text)
    assert set(data.members) == {"gpt-mini", "gpt-mini "}


def test_blanks_around_one_name_are_no_part_of_it(tmp_path: Path) -> None:
    logged = read(tmp_path, BLANKS + "Q?,1, a ,1\nQ?,1,b,2\n")
    assert [r.member for r in logged.records] == ["a", "b"]
    assert not any("blanks" in note for note in logged.notes)


def test_a_score_beyond_the_scale_is_refused_by_its_place(tmp_path: Path) -> None:
    text = SCALED.replace("Q 7?,7,", "Q 7?,700,")
    with pytest.raises(RecordError, match="row 8, column 'gpt-4': '700' is no score from 0 to 100"):
        read(tmp_path, text, score_scale=100)


def test_numbers_without_a_label_may_be_scores_on_a_scale(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="scores up to N need --score-scale N"):
        read(tmp_path, SCALED)


def test_a_model_may_be_called_max(tmp_path: Path) -> None:
    text = "prompt,label,qwen-max,gpt-4\n" + "".join(f"Q {i}?,{i},{i},7\n" for i in range(30))
    assert {r.member for r in read(tmp_path, text).records} == {"qwen-max", "gpt-4"}
