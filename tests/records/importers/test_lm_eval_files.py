"""Which logs of lm-evaluation-harness there are, whose they are, and what makes two members."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from lm_eval_rows import GOOD, LATER, TIME, WEAK, log, reply_row
from spoiling import spoiled, survives

from rlfocal.errors import RecordError
from rlfocal.records.importers.json_files import LeftOut
from rlfocal.records.importers.lm_eval import read_lm_eval
from rlfocal.records.importers.lm_eval.files import LogFile, find_logs
from rlfocal.records.importers.lm_eval.runs import members_of


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def found(root: Path) -> list[tuple[str, str, str]]:
    return [(log.model, log.task, log.time) for log in find_logs([root], LeftOut())]


def members(root: Path) -> dict[str, int]:
    """Member → number of its records."""
    counted: dict[str, int] = {}
    for record in read_lm_eval([root]).records:
        counted[record.member] = counted.get(record.member, 0) + 1
    return counted


@pytest.mark.parametrize(
    ("results", "member"),
    [
        ({"model_name": "lab/one"}, "lab/one"),
        ({"config": {"model_args": "pretrained=lab/two,dtype=float16"}}, "lab/two"),
        ({"config": {"model_args": "pretrained=lab/two,peft=lab/three"}}, "lab/three"),
        ({"config": {"model_args": {"pretrained": "lab/four"}}}, "lab/four"),
        ({"config": {}}, "folder/name"),
        ({"config": [], "model_name": 3}, "folder/name"),
        ([], "folder/name"),
        (None, "folder/name"),
    ],
)
def test_member_names(tmp_path: Path, results: Any, member: str) -> None:
    log(tmp_path, "folder__name", GOOD, task="mmlu_law", results=results)
    assert found(tmp_path) == [(member, "mmlu_law", TIME)]


def test_models_that_share_a_folder_are_told_apart_by_time(tmp_path: Path) -> None:
    """`--output_path DIR/NAME.json`: results are NAME_<time>.json, samples lie beside them."""
    for time, model in [(TIME, "one"), (LATER, "two")]:
        log(tmp_path, ".", GOOD, time=time)
        write(tmp_path / f"run-of-{model}_{time}.json", {"model_name": model})
    assert members(tmp_path) == {"one": 2, "two": 2}


def test_results_of_another_time_name_the_member_when_they_agree(tmp_path: Path) -> None:
    log(tmp_path, "m", GOOD)
    write(tmp_path / "m" / f"results_{LATER}.json", {"model_name": "one"})
    assert found(tmp_path)[0][0] == "one"
    write(tmp_path / "m" / "results_x.json", {"model_name": "two"})
    assert found(tmp_path)[0][0] == "m"


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    file = log(tmp_path, "m", GOOD)
    assert len(find_logs([file, tmp_path, file], LeftOut())) == 1


@pytest.mark.parametrize("form", ["samples_{}.jsonl.gz", "pretrained__lab__m_{}.jsonl.gz"])
def test_packed_logs_are_read(tmp_path: Path, form: str) -> None:
    text = "".join(json.dumps(row) + "\n" for row in GOOD)
    (tmp_path / "lab__m").mkdir()
    (tmp_path / "lab__m" / form.format("arc")).write_bytes(gzip.compress(text.encode()))
    assert members(tmp_path) == {"lab/m": 2}


@pytest.mark.parametrize("equals", ["__", "="])
@pytest.mark.parametrize("with_results", [True, False])
def test_the_layout_before_version_0_4_3(tmp_path: Path, equals: str, with_results: bool) -> None:
    """One folder of JSON lists; its results.json is that of the last model alone."""
    for model, rows in (("one", GOOD), ("two", WEAK)):
        stem = f"pretrained{equals}lab__{model},dtype{equals}float"
        (tmp_path / f"{stem}_arc_easy.jsonl").write_text(json.dumps(rows, indent=2))
    if with_results:
        arguments = "pretrained=lab/two,dtype=float"
        configs = {"arc_easy": {}, "easy": {}}
        write(tmp_path / "results.json", {"config": {"model_args": arguments}, "configs": configs})
    logged = read_lm_eval([tmp_path])
    records = list(logged.records)
    assert {r.member for r in records} == {"lab/one", "lab/two"}
    assert {r.task for r in records} == {"arc_easy"}
    assert len({r.document for r in records}) == 2
    assert records[0].place.endswith("_arc_easy.jsonl: [0]")
    assert len(logged.notes) == (0 if with_results else 2)


def test_foreign_files_are_left_out_with_a_note(tmp_path: Path) -> None:
    log(tmp_path, "m", GOOD)
    (tmp_path / "m" / "chat.jsonl").write_text('{"prompt": "Hi"}\n')
    (tmp_path / "m" / "samples_bad.jsonl").write_text("no JSON\n")
    (tmp_path / "m" / "pack.jsonl.gz").write_bytes(b"\x1f\x8bno")
    (tmp_path / "m" / "results_old.json").write_text("[1]")
    logged = read_lm_eval([tmp_path])
    assert len(list(logged.records)) == 2
    text = " ".join(logged.notes)
    for part in ("chat.jsonl: no sample log", "samples_bad.jsonl:1: not JSON", "pack.jsonl.gz"):
        assert part in text


def test_paths_without_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no sample logs .*; run lm_eval with --log_s"):
        find_logs([tmp_path], LeftOut())


PLAIN = {"model_name": "m", "n-shot": {"arc": 0}, "config": {}, "configs": {"arc": {}}}
SETTINGS = [
    ({"chat_template": "{{x}}"}, "m (chat)"),
    ({"n-shot": {"arc": 5}}, "m (5-shot)"),
    ({"system_instruction": "Be brief."}, "m (system prompt Be brief.)"),
    ({"config": {"gen_kwargs": {"temperature": 1.0}}}, "m (temperature=1.0)"),
    ({"config": {"gen_kwargs": "temperature=1.0"}}, "m (temperature=1.0)"),
    ({"config": {"model_args": "pretrained=m,dtype=float16"}}, "m (dtype=float16)"),
    ({"configs": {"arc": {"doc_to_text": "Solve {{q}}"}}}, "m (other prompt)"),
    ({"configs": {"arc": {"generation_kwargs": {"temperature": 0.7}}}}, "m (temperature=0.7)"),
]


@pytest.mark.parametrize(("change", "name"), SETTINGS)
def test_one_model_under_two_settings_is_two_members(
    tmp_path: Path, change: dict[str, Any], name: str
) -> None:
    log(tmp_path, "m", GOOD, results=PLAIN)
    log(tmp_path, "m", WEAK, time=LATER, results=PLAIN | change)
    plain = "m (0-shot)" if "n-shot" in change else "m"
    assert members(tmp_path) == {name: 2, plain: 2}
    log(tmp_path, "m", WEAK, time=LATER[:-1] + "9", results=PLAIN | change)  # once more
    assert members(tmp_path) == {name: 2, plain: 2}


@pytest.mark.parametrize(
    "change", [{"config": {"batch_size": "8"}}, {"config": {"model_args": "model=m,batch_size=2"}}]
)
def test_what_changes_no_answer_makes_no_member(tmp_path: Path, change: dict[str, Any]) -> None:
    log(tmp_path, "m", GOOD, results=PLAIN)
    log(tmp_path, "m", WEAK, time=LATER, results=PLAIN | change)
    assert members(tmp_path) == {"m": 2}


def test_tasks_run_once_each_stay_one_member_whatever_their_settings(tmp_path: Path) -> None:
    log(tmp_path, "m", GOOD, results=PLAIN)
    sums = [reply_row(i, "#### 1", "1", 0.0) for i in range(3)]
    log(tmp_path, "m", sums, task="sums", time=LATER, results=PLAIN | {"chat_template": "x"})
    assert members(tmp_path) == {"m": 5}
    assert any("run under different settings" in note for note in read_lm_eval([tmp_path]).notes)


def test_settings_that_look_alike_are_numbered() -> None:
    logs = [
        LogFile(Path(f"{k}.jsonl"), "m", "t", str(k), {"configs": {"t": {"doc_to_text": f"p{k}"}}})
        for k in range(3)
    ]
    names = list(members_of(logs, []))
    assert names == ["m (other prompt)", "m (other prompt) #2", "m (other prompt) #3"]


@pytest.mark.parametrize("row", [GOOD[0], WEAK[0], reply_row(0, ["4", "5"], "4", 0.0)])
@pytest.mark.slow
def test_spoiled_rows_are_named_or_read(tmp_path: Path, row: dict[str, Any]) -> None:
    file = tmp_path / "m" / f"samples_arc_{TIME}.jsonl"
    file.parent.mkdir()
    for what, changed in spoiled(row):
        file.write_text(json.dumps(changed) + "\n")
        survives(read_lm_eval, file, what)


@pytest.mark.slow
def test_spoiled_results_are_noted_or_read(tmp_path: Path) -> None:
    file = log(tmp_path, "m", GOOD)
    filters = [{"name": "none", "filter": [{"function": "take_first"}]}]
    content = PLAIN | {
        "config": {"model_args": {"pretrained": "m"}, "gen_kwargs": {"temperature": 1}},
        "configs": {"arc": {"filter_list": filters, "generation_kwargs": {"until": ["x"]}}},
    }
    for what, changed in spoiled(content):
        (tmp_path / "m" / f"results_{TIME}.json").write_text(json.dumps(changed))
        survives(read_lm_eval, file, what)
    shutil.rmtree(tmp_path / "m")
