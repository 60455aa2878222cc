"""Which rows of tables belong to one query, member and repeat, whatever the files look like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlfocal.errors import RecordError
from rlfocal.records import Dataset
from rlfocal.records.importers.assembling import import_logs
from rlfocal.records.importers.logged import Logged
from rlfocal.records.importers.table import read_tables


def write(tmp_path: Path, files: Mapping[str, str]) -> list[Path]:
    paths = []
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def read(tmp_path: Path, text: str, **options: Any) -> Logged:
    return read_tables(write(tmp_path, {"mine.csv": text}), **options)


def imported(tmp_path: Path, text: str, **options: Any) -> Dataset:
    return import_logs("table", write(tmp_path, {"mine.csv": text}), name="mine", **options)


# Queries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("q?,4", "q?,4.0"), ("q?,Paris", "q?,paris"), ("q?,4", "q? ,4"), ("q?,$5", "q?,5"),
        ('q?,"1,450"', "q?,1450"), ("q?,\"['x', 'y']\"", "q?,\"['y', 'x']\""),
    ],
)  # fmt: skip
def test_a_question_written_in_two_ways_is_one(tmp_path: Path, one: str, other: str) -> None:
    data = imported(tmp_path, f"question,label,model,answer\n{one},a,4\n{other},b,5\n")
    assert data.queries.num_rows == 1
    assert data.members == ("a", "b")
    assert "more than one label" not in " ".join(read_notes(data))


def read_notes(data: Dataset) -> list[str]:
    return list((data.info.model_extra or {})["notes"])


def test_ids_written_in_two_ways_are_one(tmp_path: Path) -> None:
    a = "id,question,label,response\n1,q?,4,4\n2,r?,4,4\n"
    b = "id,question,label,response\n1.0,q?,4.0,5\n2.0,r?,4.0,4\n"
    data = import_logs("table", write(tmp_path, {"a.csv": a, "b.csv": b}), name="mine")
    assert data.queries["query_id"].to_pylist() == ["1", "2"]
    assert data.queries["label"].to_pylist() == ["4", "4"]


def test_numbers_of_sections_are_no_whole_ids(tmp_path: Path) -> None:
    text = "id,question,label,model,answer\n1.0,q?,4,a,4\n1.1,r?,4,a,4\n1,s?,4,a,4\n"
    assert [r.name for r in read(tmp_path, text).records] == ["1.0", "1.1", "1"]


def test_a_label_as_letter_and_as_text_is_one(tmp_path: Path) -> None:
    text = "question,A,B,label,model,response\nq?,iron,tin,B,a,B\nq?,iron,tin,tin,b,A\n"
    data = imported(tmp_path, text)
    assert data.queries["label"].to_pylist() == ["B"]
    assert data.responses["answer"].to_pylist() == ["B", "A"]


def test_numbers_of_options_written_in_two_ways_are_one(tmp_path: Path) -> None:
    text = "question,A,B,label,model,response\nq?,iron,tin,0,a,B\nq?,iron,tin,0.0,b,A\n"
    data = imported(tmp_path, text)
    assert data.queries["label"].to_pylist() == ["A"]


def test_shuffled_options_with_the_letter_that_they_have_there_are_one_question(
    tmp_path: Path,
) -> None:
    text = "question,A,B,label,model,response\nq?,iron,tin,B,a,B\nq?,tin,iron,A,b,A\n"
    data = imported(tmp_path, text)
    assert data.queries["label"].to_pylist() == ["B"]
    assert data.responses["answer"].to_pylist() == ["B", "B"]


def test_codes_that_are_no_numbers_stay_apart(tmp_path: Path) -> None:
    text = "question,label,model,answer\nq?,007,a,7\nq?,7,b,7\n"
    first, second = read(tmp_path, text).records
    assert first.document != second.document


def test_equal_questions_with_labels_that_mean_different_things_are_noted(tmp_path: Path) -> None:
    text = "question,label,model,answer\nq?,4,a,4\nq?,5,b,5\nr?,1,a,1\nr?,1.0,b,1\n"
    logged = read(tmp_path, text)
    assert len({r.document for r in logged.records}) == 3
    (note,) = [n for n in logged.notes if "more than one label" in n]
    assert note.startswith("1 questions stand beside more than one label, such as 'q?' beside '4'")
    assert note.endswith("mine.csv: row 2, '5': they are taken for different queries")


RESTARTED = "idx,question,label,model,answer\n0,q?,1,a,1\n1,r?,1,a,1\n0,r?,1,b,1\n1,q?,1,b,2\n"


def test_an_index_that_restarts_for_each_model_joins_nothing(tmp_path: Path) -> None:
    logged = read(tmp_path, RESTARTED)
    found = list(logged.records)
    assert [found[0].document, found[1].document] == [found[3].document, found[2].document]
    assert "'idx' stands beside different questions, such as '0' in mine.csv: row 3" in " ".join(
        logged.notes
    )


def test_an_index_that_is_named_decides(tmp_path: Path) -> None:
    found = list(read(tmp_path, RESTARTED, column=["query_id=idx"]).records)
    assert found[0].document == found[2].document


def test_an_index_that_restarts_in_each_file_joins_nothing(tmp_path: Path) -> None:
    a = "index,question,label,response\n0,q?,1,1\n1,r?,1,1\n"
    b = "index,question,label,response\n0,r?,1,1\n1,q?,1,2\n"
    found = list(read_tables(write(tmp_path, {"a.csv": a, "b.csv": b})).records)
    assert [found[0].document, found[1].document] == [found[3].document, found[2].document]


def test_an_index_that_always_stands_beside_one_question_is_its_id(tmp_path: Path) -> None:
    text = "index,question,label,model,answer\n0,q?,1,a,1\n1,r?,1,a,1\n0,q? ,1,b,1\n1,r?,1,b,2\n"
    assert [r.name for r in read(tmp_path, text).records] == ["0", "1", "0", "1"]


TEMPLATES = {"a": "[INST] {} [/INST]", "b": "<|user|>{}"}


@pytest.mark.parametrize("as_files", [True, False])
def test_an_index_joins_prompts_that_each_member_got_by_its_own_template(
    tmp_path: Path, as_files: bool
) -> None:
    files = {"a.jsonl": "", "b.jsonl": ""}
    for member, template in TEMPLATES.items():
        for k, (asked, label) in enumerate((("1+1", "2"), ("2+2", "4"))):
            row = {"idx": k, "prompt": template.format(asked), "label": label, "response": label}
            row |= {} if as_files else {"model": member}
            files[f"{member}.jsonl" if as_files else "a.jsonl"] += json.dumps(row) + "\n"
    paths = write(tmp_path, {name: text for name, text in files.items() if text})
    data = import_logs("table", paths, name="mine")
    assert (data.queries.num_rows, data.responses.num_rows) == (2, 4)
    assert any("the id decides that it is one query" in note for note in read_notes(data))


@pytest.mark.parametrize(
    ("rows", "n_queries"),
    [
        ("0,1 + 1,2,a,2\n0,1 +  1,2,b,2\n", 1),  # a double blank
        ("0,q,2,a,2\n0,r,3,b,2\n", 2),  # labels differ too
        ("0,q,2,a,2\n0,r,2,a,2\n", 2),  # twice with one member
        ("0,q,,a,2\n0,r,,b,2\n1,s,2,a,2\n1,s,2,b,2\n", 3),  # no label says that they are one
    ],
)
def test_what_shows_that_an_index_numbers_rows(tmp_path: Path, rows: str, n_queries: int) -> None:
    found = read(tmp_path, f"idx,question,label,model,answer\n{rows}").records
    assert len({r.document for r in found}) == n_queries


def test_ids_of_sections_in_one_file_are_so_in_all(tmp_path: Path) -> None:
    a = "id,question,label,response\n1.0,q?,4,4\n1.1,r?,4,4\n"
    b = "id,question,label,response\n1.0,q?,4,4\n2.0,s?,4,4\n"
    found = list(read_tables(write(tmp_path, {"a.csv": a, "b.csv": b})).records)
    assert [r.name for r in found] == ["1.0", "1.1", "1.0", "2.0"]
    assert found[0].document == found[2].document


# Columns by their names alone ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "role"),
    [
        ("time", "2024-05-01 12:00:00", "latency_s"), ("duration", "0:00:03", "latency_s"),
        ("run", "baseline", "repeat"), ("seed", "-1", "repeat"), ("epoch", "1.5", "repeat"),
        ("output_tokens", "many", "n_completion_tokens"), ("price", "cheap", "cost_usd"),
    ],
)  # fmt: skip
def test_a_column_whose_values_do_not_fit_its_name_is_ignored(
    tmp_path: Path, column: str, value: str, role: str
) -> None:
    text = f"question,label,model,answer,{column}\nq?,2,a,2,\nr?,2,b,3,{value}\n"
    logged = read(tmp_path, text)
    assert [(r.answer, r.latency_s, r.repeat) for r in logged.records] == [
        ("2", None, None), ("3", None, None),
    ]  # fmt: skip
    said = f"mine.csv: '{column}' is ignored: by its name it could be {role}, but '{value}' in "
    assert [n for n in logged.notes if n.startswith(f"{said}mine.csv: row 2 is no such number")]
    assert not any("columns ignored" in n for n in logged.notes)
    if role != "repeat" or value != "1.5":
        with pytest.raises(RecordError, match=f"row 2, column '{column}': '{value}' is no"):
            read(tmp_path, text, column=[f"{role}={column}"])


def test_times_of_models_that_do_not_fit_are_ignored(tmp_path: Path) -> None:
    text = "question,label,gpt,phi,gpt_time,phi_time,time\nq?,2,2,3,12:00,12:01,12:02\n"
    for members in (None, "gpt,phi"):
        logged = read(tmp_path, text, members=members)
        assert [(r.member, r.answer) for r in logged.records] == [("gpt", "2"), ("phi", "3")]
        assert sum("is ignored: by its name" in n for n in logged.notes) == 3


def test_a_model_may_be_called_like_a_time(tmp_path: Path) -> None:
    logged = read(tmp_path, "question,label,time-llm,phi\nq?,Oslo,Oslo,Rome\n")
    assert [r.member for r in logged.records] == ["time-llm", "phi"]


# Repeats ------------------------------------------------------------------------------------------


def test_a_constant_seed_makes_no_queries_of_repeats(tmp_path: Path) -> None:
    text = "question,label,model,answer,seed\n" + "".join(
        f"q?,2,{member},{answer},42\n" for member in "ab" for answer in (2, 3, 2)
    )
    data = imported(tmp_path, text)
    assert data.queries.num_rows == 1
    assert data.responses["samples"].to_pylist() == [["2", "3", "2"]] * 2
    assert "2 times the column of repeats, such as a seed or run, does not tell" in " ".join(
        read_notes(data)
    )


def test_seeds_that_tell_rows_apart_are_repeats(tmp_path: Path) -> None:
    text = "question,label,model,answer,seed\nq?,2,a,2,7\nq?,2,a,3,5\nq?,2,b,2,7\n"
    logged = read(tmp_path, text)
    assert [r.repeat for r in logged.records] == [7, 5, 7]
    assert not any("repeat" in n for n in logged.notes if "columns found" not in n)


def test_a_file_per_run_with_one_seed_is_samples(tmp_path: Path) -> None:
    text = "question,label,model,answer,seed\nq?,2,a,{},42\n"
    paths = write(tmp_path, {"one.csv": text.format(2), "two.csv": text.format(3)})
    data = import_logs("table", paths, name="mine")
    assert data.responses["samples"].to_pylist() == [["2", "3"]]


# Files and folders --------------------------------------------------------------------------------

REPLY = "question,label,response\n1+1?,2,{}\n"


@pytest.mark.parametrize(
    "places",
    [
        ["runs/gpt4/results.csv", "runs/llama/results.csv"],
        ["gpt4/out/results.csv", "llama/out/results.csv"],
        ["gpt4/mmlu.csv", "llama/mmlu.csv"],
    ],
)
@pytest.mark.parametrize("as_folder", [True, False])
def test_a_folder_per_model(tmp_path: Path, places: list[str], as_folder: bool) -> None:
    paths = write(tmp_path, {place: REPLY.format(k) for k, place in enumerate(places, start=2)})
    data = import_logs("table", [tmp_path] if as_folder else paths, name="mine")
    assert data.responses.select(["member", "answer"]).to_pylist() == [
        {"member": "gpt4", "answer": "2"}, {"member": "llama", "answer": "3"},
    ]  # fmt: skip
    assert "samples" not in data.responses.column_names


def test_the_files_of_a_models_folder_are_parts_of_its_work(tmp_path: Path) -> None:
    other = "question,label,response\n1+2?,3,3\n"
    write(
        tmp_path,
        {
            "gpt4/part-0.csv": REPLY.format(2), "gpt4/part-1.csv": other,
            "llama/part-0.csv": REPLY.format(3),
        },
    )  # fmt: skip
    logged = read_tables([tmp_path])
    assert [(r.member, r.prompt) for r in logged.records] == [
        ("gpt4", "1+1?"), ("gpt4", "1+2?"), ("llama", "1+1?"),
    ]  # fmt: skip


def test_files_called_alike_in_a_folder_and_one_within_it(tmp_path: Path) -> None:
    write(tmp_path, {"runs/results.csv": REPLY.format(2), "runs/gpt4/results.csv": REPLY.format(3)})
    assert {r.member for r in read_tables([tmp_path]).records} == {"results", "gpt4"}


def test_folders_that_name_a_value_are_columns(tmp_path: Path) -> None:
    for model, answer in (("gpt4", "2"), ("meta%2Fllama", "3")):
        folder = tmp_path / "split=test" / f"model={model}"
        folder.mkdir(parents=True)
        rows = [{"question": "1+1?", "label": "2", "response": answer}]
        pq.write_table(pa.Table.from_pylist(rows), folder / "part-0.parquet")
    logged = read_tables([tmp_path])
    assert [(r.member, r.split, r.text) for r in logged.records] == [
        ("gpt4", "test", "2"), ("meta/llama", "test", "3"),
    ]  # fmt: skip


def test_a_folder_of_an_unknown_value_is_no_model(tmp_path: Path) -> None:
    paths = write(tmp_path, {"exp=5/table.csv": "question,label,gpt,phi\nq?,Oslo,Oslo,Rome\n"})
    assert [r.member for r in read_tables(paths).records] == ["gpt", "phi"]


def test_a_folders_value_may_be_named(tmp_path: Path) -> None:
    paths = write(tmp_path, {"tuned=x/part-0.csv": "question,label,response\nq?,2,2\n"})
    (record,) = read_tables(paths, column=["member=tuned"]).records
    assert record.member == "x"


def test_a_models_name_may_hold_a_point(tmp_path: Path) -> None:
    write(tmp_path, {"gpt-4.csv": REPLY.format(2), "gpt-4.1.csv": REPLY.format(3)})
    assert {r.member for r in read_tables([tmp_path]).records} == {"gpt-4", "gpt-4.1"}


ART = "question,label,response\nWho?,Ernst,{}\n"


@pytest.mark.parametrize(
    "folders", [("math", "art"), ("train", "test"), ("runs/2024", "runs/2025"), (".", "old")]
)
def test_folders_of_tasks_splits_and_runs_are_no_members(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    one, other = folders
    write(tmp_path, {f"{one}/gpt.csv": REPLY.format(2), f"{one}/llama.csv": REPLY.format(3)})
    write(tmp_path, {f"{other}/gpt.csv": ART.format("Ernst")})
    if other != "old":
        write(tmp_path, {f"{other}/llama.csv": ART.format("Klee")})
    data = import_logs("table", [tmp_path], name="mine")
    assert data.members == ("gpt", "llama")
    assert "samples" not in data.responses.column_names


@pytest.mark.parametrize(
    "places", ["{0}/{1}.csv", "out/{0}/{1}.csv", "{1}/{0}/out.csv", "{0}/{1}/out.csv"]
)
def test_folders_of_models_with_a_file_per_task_are_members(tmp_path: Path, places: str) -> None:
    for member in ("gpt", "llama"):
        write(tmp_path, {places.format(member, "math"): REPLY.format(2)})
        write(tmp_path, {places.format(member, "art"): ART.format("Ernst")})
    data = import_logs("table", [tmp_path], name="mine")
    assert data.members == ("gpt", "llama")
    assert "samples" not in data.responses.column_names


def test_runs_that_ask_the_same_are_samples_of_the_models_in_them(tmp_path: Path) -> None:
    for run in ("2024", "2025"):
        write(tmp_path, {f"{run}/gpt.csv": REPLY.format(2), f"{run}/llama.csv": REPLY.format(3)})
    assert import_logs("table", [tmp_path], name="mine").members == ("gpt", "llama")


def test_runs_around_folders_of_models_are_no_part_of_their_names(tmp_path: Path) -> None:
    for run in ("run1", "run2"):
        write(tmp_path, {f"{run}/{m}/out.csv": REPLY.format(2) for m in ("gpt", "llama")})
    assert import_logs("table", [tmp_path], name="mine").members == ("gpt", "llama")


def test_runs_in_a_models_folder_are_its_samples(tmp_path: Path) -> None:
    for member in ("gpt", "llama"):
        for run in ("run-1", "run-2"):
            write(tmp_path, {f"{member}/{run}.csv": REPLY.format(2)})
    assert import_logs("table", [tmp_path], name="mine").members == ("gpt", "llama")


def test_folders_of_models_whose_prompts_differ_are_told_by_ids_and_labels(tmp_path: Path) -> None:
    text = "id,question,label,response\n1,{0} 1+1,2,2\n2,{0} 2+2,4,4\n"
    write(tmp_path, {f"{m}/results.csv": text.format(m) for m in ("gpt", "llama")})
    assert {r.member for r in read_tables([tmp_path]).records} == {"gpt", "llama"}


@pytest.mark.parametrize("name", ["gpt-4.1", "gpt-4.1.results", "gpt-4.1.Predictions"])
def test_a_word_for_what_a_file_holds_is_no_part_of_its_members_name(
    tmp_path: Path, name: str
) -> None:
    write(tmp_path, {f"{name}.csv": REPLY.format(2)})
    assert {r.member for r in read_tables([tmp_path]).records} == {"gpt-4.1"}


def test_a_column_is_believed_before_its_folder(tmp_path: Path) -> None:
    paths = write(tmp_path, {"model=x/part-0.csv": "question,label,model,response\nq?,2,a,2\n"})
    assert [r.member for r in read_tables(paths).records] == ["a"]
