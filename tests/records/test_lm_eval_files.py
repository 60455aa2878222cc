"""Which sample files there are, whose they are, and which of two runs counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlfocal.errors import RecordError
from rlfocal.records.importers.lm_eval_files import find_logs, newest_logs, read_rows

TIME = "2025-03-04T05-06-07.123456"
LATER = "2025-04-01T00-00-00.000001"


def write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("results", "member"),
    [
        ({"model_name": "lab/one"}, "lab/one"),
        ({"config": {"model_args": "pretrained=lab/two,dtype=float16"}}, "lab/two"),
        ({"config": {"model_args": "pretrained=lab/two,peft=lab/three"}}, "lab/three"),
        ({"config": {"model_args": {"pretrained": "lab/four"}}}, "lab/four"),
        ({"config": {}}, "folder/name"),
        ([], "folder/name"),
        (None, "folder/name"),
    ],
)
def test_member_names(tmp_path: Path, results: Any, member: str) -> None:
    folder = tmp_path / "folder__name"
    file = write(folder / f"samples_mmlu_law_{TIME}.jsonl", {})
    if results is not None:
        write(folder / f"results_{TIME}.json", results)
    assert find_logs([tmp_path]) == [(file, member, "mmlu_law", TIME)]


def test_models_that_share_a_folder_are_told_apart_by_time(tmp_path: Path) -> None:
    for time, model in [(TIME, "one"), (LATER, "two")]:
        write(tmp_path / f"samples_arc_{time}.jsonl", {})
        write(tmp_path / f"results_{time}.json", {"model_name": model})
    assert [log.member for log in find_logs([tmp_path])] == ["one", "two"]


def test_results_of_another_time_name_the_member_when_they_agree(tmp_path: Path) -> None:
    write(tmp_path / "m" / f"samples_arc_{TIME}.jsonl", {})
    write(tmp_path / "m" / f"results_{LATER}.json", {"model_name": "one"})
    assert find_logs([tmp_path])[0].member == "one"
    write(tmp_path / "m" / "results_x.json", {"model_name": "two"})
    assert find_logs([tmp_path])[0].member == "m"


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    file = write(tmp_path / "m" / f"samples_arc_{TIME}.jsonl", {})
    assert len(find_logs([file, tmp_path, file])) == 1


def test_the_newest_run_of_each_member_and_task_is_kept(tmp_path: Path) -> None:
    for member in ("a", "b"):
        write(tmp_path / member / f"samples_arc_{TIME}.jsonl", {})
    write(tmp_path / "a" / f"samples_arc_{LATER}.jsonl", {})
    write(tmp_path / "a" / f"samples_law_{TIME}.jsonl", {})
    kept, notes = newest_logs(find_logs([tmp_path]))
    assert [(log.member, log.task, log.time) for log in kept] == [
        ("a", "arc", LATER),
        ("a", "law", TIME),
        ("b", "arc", TIME),
    ]
    assert notes == [
        f"a, arc: two runs; took samples_arc_{LATER}.jsonl, left samples_arc_{TIME}.jsonl"
    ]


def test_the_oldest_form_is_one_json_list(tmp_path: Path) -> None:
    file = write(tmp_path / "old" / "pretrained=lab__old_arc.jsonl", [{"doc_id": 0}, {"doc_id": 1}])
    assert [row["doc_id"] for _, row in read_rows(file)] == [0, 1]
    assert find_logs([file]) == [(file, "old", "pretrained=lab__old_arc", "")]
    write(file, [1])
    with pytest.raises(RecordError, match=r"arc.jsonl:1: a int where a sample is expected"):
        list(read_rows(file))
    file.write_text("[1")
    with pytest.raises(RecordError, match=r"arc.jsonl: cannot be read"):
        list(read_rows(file))


def test_paths_without_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="does not exist"):
        find_logs([tmp_path / "no"])
    with pytest.raises(RecordError, match=r"holds no samples_\*.jsonl; run lm_eval with --log_s"):
        find_logs([tmp_path])
