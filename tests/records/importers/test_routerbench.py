"""RouterBench's wide table, in the columns that its `convert_to_wide_format` makes."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spoiling import OTHER_TYPES, survives

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.routers.routerbench import read_routerbench

SMALL, LARGE = "mistralai/mistral-7b-chat", "gpt-4-1106-preview"


def row(number: int, small: float | None, large: float | None, **other: Any) -> dict[str, Any]:
    return {
        "sample_id": f"mbpp.dev.{number}",
        "prompt": repr([f"Write function {number}.\nIt's \"short\"."]), "eval_name": "mbpp",
        LARGE: large, SMALL: small,
        f"{LARGE}|model_response": repr([f"def f{number}(): ..."]),
        f"{SMALL}|model_response": repr(["\nI can't."]),
        f"{LARGE}|total_cost": 0.001 * number, f"{SMALL}|total_cost": 0.00001,
        "oracle_model_to_route_to": LARGE,
    } | other  # fmt: skip


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(("write", "name"), [(write_csv, "t.csv"), (write_parquet, "t.parquet")])
def test_every_model_column_is_a_member(tmp_path: Path, write: Any, name: str) -> None:
    path = write(tmp_path / name, [row(1, 0.0, 1.0), row(2, 0.75, 0.5)])
    logged = read_routerbench([path])
    large, small, *_ = records = list(logged.records)
    assert len(records) == 4
    assert (large.member, small.member) == (LARGE, SMALL)
    assert (large.task, large.name) == ("mbpp", "dev.1")
    assert large.prompt == 'Write function 1.\nIt\'s "short".'
    assert (large.text, small.text) == ("def f1(): ...", "\nI can't.")
    assert (large.score, large.cost_usd, large.by_score) == (1, 0.001, True)
    assert (large.answer, large.labels) == (None, ())
    data = assemble(logged, name="x")
    assert data.info.member_accuracy == {LARGE: 0.75, SMALL: 0.375}
    assert sorted(data.members) == sorted([LARGE, SMALL])


def test_a_pickle_is_never_opened_and_the_way_out_is_said(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return exec, (f"open({str(tmp_path / 'boom')!r}, 'w')",)

    path = tmp_path / "routerbench_0shot.pkl"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(RecordError, match="never opened here") as caught:
        read_routerbench([path])
    assert not (tmp_path / "boom").exists()
    assert "pandas.read_pickle('routerbench_0shot.pkl').to_csv('routerbench_0shot.csv'" in str(
        caught.value
    )
    write_csv(tmp_path / "routerbench.csv", [row(1, 0.0, 1.0)])
    logged = read_routerbench([tmp_path])
    assert len(list(logged.records)) == 2
    assert any("never opened" in note for note in logged.notes)


def test_prompts_of_several_parts_stand_under_one_another(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [row(1, 0, 1, prompt=repr(["Be brief.", "Hello?"]))])
    assert next(iter(read_routerbench([path]).records)).prompt == "Be brief.\nHello?"


@pytest.mark.parametrize("text", [r"[\d+] is a pattern", "[1, 2]", "[", "plain", "['a' + 'b']"])
def test_a_text_that_writes_out_no_list_of_texts_stays(tmp_path: Path, text: str) -> None:
    path = write_csv(tmp_path / "t.csv", [row(1, 0, 1, prompt=text)])
    assert next(iter(read_routerbench([path]).records)).prompt == text


def test_two_samples_of_one_prompt_stay_two(tmp_path: Path) -> None:
    same = repr(["Write a function to sort a list."])
    rows = [row(1, None, 1.0, prompt=same), row(2, 1.0, 0.0, prompt=same)]
    rows[0][f"{SMALL}|model_response"] = None
    data = assemble(read_routerbench([write_csv(tmp_path / "t.csv", rows)]), name="x")
    got = {(r["query_id"], r["member"]): r["score"] for r in data.responses.to_pylist()}
    assert got == {
        ("mbpp/dev.1", LARGE): 1, ("mbpp/dev.2", LARGE): 0, ("mbpp/dev.2", SMALL): 1
    }  # fmt: skip


def test_scores_outside_the_range_are_not_scores(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [row(1, 7.5, 1.0), row(2, None, 1.0)])
    logged = read_routerbench([path])
    small = [r for r in logged.records if r.member == SMALL]
    assert [r.score for r in small] == [None, None]
    assert any(f"t.csv, {SMALL}: 1 scores are no numbers in [0, 1]" in n for n in logged.notes)
    assert any("1 scores are empty" in note for note in logged.notes)


@pytest.mark.parametrize("value", ["True", True, "1.0", 1])
def test_right_and_wrong_as_truth_values(tmp_path: Path, value: Any) -> None:
    path = write_csv(tmp_path / "t.csv", [row(1, value, 0.0)])
    assert [r.score for r in read_routerbench([path]).records] == [0, 1]


def test_columns_that_are_no_models_are_named(tmp_path: Path) -> None:
    rows = [row(1, 0, 1) | {"length": 3, "claude|total_cost": 0.1}]
    logged = read_routerbench([write_csv(tmp_path / "t.csv", rows)])
    assert {r.member for r in logged.records} == {SMALL, LARGE}
    assert any("length" in note for note in logged.notes)
    assert any("left out: claude: replies or costs without" in note for note in logged.notes)


def test_another_table_is_refused_by_its_columns(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [{"prompts": "a", "eval_name": "b"}])
    with pytest.raises(RecordError, match="column 'prompt' is missing; did you mean 'prompts'"):
        read_routerbench([path])
    path = write_csv(tmp_path / "t.csv", [{"prompt": "a", "eval_name": "b", "m": 1}])
    with pytest.raises(RecordError, match="no column of scores has a column"):
        read_routerbench([path])


@pytest.mark.slow
def test_any_cell_may_be_missing_or_of_another_type(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    for name in row(1, 0, 1):
        for other in OTHER_TYPES:
            path.write_text(json.dumps([row(1, 0.0, 1.0) | {name: other}, row(2, 1.0, 0.0)]))
            survives(read_routerbench, path, f"{name} = {other!r}"[:100])
        rows = [row(1, 0.0, 1.0), row(2, 1.0, 0.0)]
        for each in rows:
            del each[name]
        path.write_text(json.dumps(rows))
        survives(read_routerbench, path, f"{name} dropped")
