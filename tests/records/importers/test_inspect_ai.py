"""inspect_ai's own logs (0.3.285, mock model; make_inspect_ai.sh makes them again)."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from spoiling import spoiled, survives

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.inspect_ai import read_inspect
from rlfocal.records.importers.inspect_ai.files import open_log
from rlfocal.records.importers.logged import Record

LOGS = Path(__file__).parent / "logs" / "inspect_ai"


def records(*names: str, **options: Any) -> tuple[list[Record], list[str]]:
    logged = read_inspect([LOGS / name for name in names], **options)
    return list(logged.records), logged.notes


def plain() -> dict[str, Any]:
    return json.loads((LOGS / "animals_plain.json").read_text())


def write(folder: Path, log: Any, name: str = "log.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(log))
    return path


def test_an_archive_with_zstandard_members_is_read() -> None:
    with zipfile.ZipFile(LOGS / "sums_small.eval") as archive:
        assert {info.compress_type for info in archive.infolist()} == {93}
    found, notes = records("sums_small.eval")
    first = next(r for r in found if r.name == "1")
    assert (first.member, first.task, first.prompt) == ("mockllm/small", "sums", "What is 3 + 4?")
    assert (first.text, first.labels, first.score) == ("The sum is 7.", ("7",), 1)
    assert first.answer is None  # `match` logs the whole reply as its answer
    assert first.cost_usd == pytest.approx(0.001)
    assert first.latency_s is not None
    assert first.latency_s > 0
    assert first.place.endswith("sums_small.eval: samples/1_epoch_1.json")
    assert notes == ["sums: scored by match; there are others (--scorer): includes"]


def test_an_archive_with_deflated_members_is_read_alike(tmp_path: Path) -> None:
    log = open_log(LOGS / "sums_small.eval")
    path = tmp_path / "older.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(log.header.values))
        for sample in log.samples():
            archive.writestr(sample.place.rpartition(": ")[2], json.dumps(sample.values))
    older, _ = list(read_inspect([path]).records), None
    newer, _ = records("sums_small.eval")
    assert [(r.document, r.text, r.score) for r in older] == [
        (r.document, r.text, r.score) for r in newer
    ]


def test_messages_are_a_prompt_and_a_list_of_targets_is_any_of_them() -> None:
    found, _ = records("sums_small.eval")
    by_name = {r.name: r for r in found}
    assert by_name["big"].prompt == "system: Be brief.\n\nuser: What is 500 + 500?"
    assert by_name["2"].labels == ("42", "forty-two")


def test_the_chosen_scorer_counts() -> None:
    found, notes = records("sums_large.eval", scorer="includes")
    assert [r.score for r in found] == [1, 1, 1]
    assert notes == []
    with pytest.raises(RecordError, match=r"sums_large.eval: no scorer 'exact'; .*match, includes"):
        records("sums_large.eval", scorer="exact")


def test_epochs_are_repeats() -> None:
    found, _ = records("epochs.eval")
    assert {(r.name, r.repeat, r.score) for r in found} == {
        ("1", 1, 1), ("1", 2, 0), ("1", 3, 1), ("2", 1, 0), ("2", 2, 1), ("2", 3, 1),
    }  # fmt: skip
    data = assemble(read_inspect([LOGS / "epochs.eval"]), name="x")
    assert data.responses["samples"].to_pylist() == [["7", "8", "7"], ["41", "42", "42"]]
    assert data.responses["answer"].to_pylist() == ["7", "42"]
    assert data.responses["cost_usd"].to_pylist() == pytest.approx([0.003, 0.003])


def test_options_in_another_order_are_one_question() -> None:
    names = ("animals_plain.json", "animals_other_order.eval", "animals_shuffled.eval")
    logged = read_inspect([LOGS / name for name in names])
    found = list(logged.records)
    assert len({r.document for r in found}) == 2
    data = assemble(logged, name="x")
    for query in data.queries.to_pylist():
        assert query["choices"]["ABCD".index(query["label"])] in ("eight", "hen")
    said = {(row["member"], row["query_id"]): row["answer"] for row in data.responses.to_pylist()}
    assert said["mockllm/plain", "animals/legs"] == said["mockllm/shuffled", "animals/legs"] == "B"


def test_no_letter_is_read_from_a_reply_to_shuffled_options() -> None:
    found, _ = records("animals_shuffled.eval")
    eggs = next(r for r in found if r.name == "eggs")
    assert "(C)" in (eggs.text or "")  # a letter of the shuffled order, which the log gives up
    assert (eggs.answer, eggs.unusable, eggs.score) == (None, True, 0)


def test_a_reply_that_was_cut_off_is_said_to_be() -> None:
    found, _ = records("animals_other_order.eval")
    assert {r.name: r.truncated for r in found} == {"legs": False, "eggs": True}


def test_several_letters_are_all_of_them_and_judged_by_the_score() -> None:
    (only,), _ = records("fliers.eval")
    assert (only.labels, only.answer, only.by_score, only.score) == ((), None, True, 1)


def test_values_outside_the_unit_interval_are_no_score() -> None:
    found, notes = records("graded.json", scorer="points")
    assert [r.score for r in found] == [1, None]  # lengths of the replies, 1 and 15
    assert any("1 values of scorer 'points' are no number in [0, 1]" in n for n in notes)
    assert any("15" in n for n in notes)


def test_values_that_are_objects_have_keys_to_choose_from() -> None:
    found, notes = records("graded.json")
    assert [(r.score, r.by_score) for r in found] == [(0.5, True), (0.5, True)]
    assert "scored by several.tone" in notes[0]
    assert "several.length, points, f1" in notes[0]
    found, _ = records("graded.json", scorer="several.length")
    assert [r.score for r in found] == [1, None]
    found, _ = records("graded.json", scorer="f1")
    assert [(r.score, r.by_score) for r in found] == [(1, True), (0.67, True)]


def test_a_pattern_that_was_not_found_is_no_answer() -> None:
    found, _ = records("pattern.json")
    assert {r.name: (r.answer, r.unusable) for r in found} == {
        "1": ("7", False), "2": (None, True),
    }  # fmt: skip


def test_samples_that_failed_are_missing_not_wrong() -> None:
    found, notes = records("one_failed.json")
    assert [r.name for r in found] == ["1"]
    assert any("1 samples ended in an error (missing, not wrong)" in n for n in notes)


@pytest.mark.parametrize(
    ("value", "score"),
    [("C", 1), ("I", 0), ("P", 0.5), ("N", 0), (True, 1), (0.25, 0.25), ("0.75", 0.75), ("yes", 1),
     (7, None), (-0.5, None), ([1], None), ("unclear", None), (None, None)],
)  # fmt: skip
def test_values(tmp_path: Path, value: Any, score: float | None) -> None:
    log = plain()
    log["samples"] = log["samples"][:1]
    log["samples"][0]["scores"]["choice"]["value"] = value
    (record,) = read_inspect([write(tmp_path, log)]).records
    assert record.score == score


def test_not_a_number_is_not_scored(tmp_path: Path) -> None:
    log = plain()
    log["samples"][0]["scores"]["choice"]["value"] = float("nan")
    logged = read_inspect([write(tmp_path, log)])
    assert [r.score is None for r in logged.records] == [True, False]
    assert any("1 samples have no value of scorer 'choice'" in n for n in logged.notes)


@pytest.mark.parametrize("status", ["error", "cancelled", "started", None])
def test_runs_that_did_not_end_well_are_left_out(tmp_path: Path, status: str | None) -> None:
    write(tmp_path, plain())
    write(tmp_path, plain() | {"status": status}, "bad.json")
    logged = read_inspect([tmp_path])
    assert len(list(logged.records)) == 2
    assert any("bad.json" in n and repr(status) in n for n in logged.notes)
    with pytest.raises(RecordError, match="status"):
        read_inspect([tmp_path / "bad.json"])


def test_a_run_broken_off_has_no_header_but_its_start(tmp_path: Path) -> None:
    path = tmp_path / "broken_off.eval"
    with zipfile.ZipFile(path, "w") as archive:
        header = open_log(LOGS / "sums_small.eval").header.values
        start = {k: header[k] for k in ("version", "eval", "plan")} | {"status": "started"}
        archive.writestr("_journal/start.json", json.dumps(start))
    with pytest.raises(RecordError, match="'started'"):
        read_inspect([path])


def test_of_two_runs_alike_the_newer_counts(tmp_path: Path) -> None:
    old, new = plain(), plain()
    old["eval"]["created"] = "2025-01-01T00:00:00+00:00"
    old["samples"][0]["scores"]["choice"]["value"] = "P"
    write(tmp_path, old, "z_old.json")
    write(tmp_path, new, "a_new.json")
    logged = read_inspect([tmp_path])
    assert {r.score for r in logged.records} == {0, 1}
    assert any("took a_new.json, left z_old.json" in n for n in logged.notes)


def test_other_settings_make_another_member(tmp_path: Path) -> None:
    cool, warm = plain(), plain()
    cool["eval"]["model_generate_config"] = {"temperature": 0.0}
    warm["eval"]["model_generate_config"] = {"temperature": 1.0}
    write(tmp_path, cool, "cool.json")
    write(tmp_path, warm, "warm.json")
    assert {r.member for r in read_inspect([tmp_path]).records} == {
        "mockllm/plain (temperature=0.0)", "mockllm/plain (temperature=1.0)",
    }  # fmt: skip


def test_runs_of_other_questions_are_one_member(tmp_path: Path) -> None:
    one, two = plain(), plain()
    one["eval"]["task_args"] = {"subject": "legs"}
    one["samples"], two["samples"] = one["samples"][:1], two["samples"][1:]
    write(tmp_path, one, "one.json")
    write(tmp_path, two, "two.json")
    assert {r.member for r in read_inspect([tmp_path]).records} == {"mockllm/plain"}


def test_more_options_than_letters(tmp_path: Path) -> None:
    """The 27th option is called "1"."""
    log = plain()
    sample = log["samples"][0]
    sample["choices"] = [f"option {i}" for i in range(30)]
    sample["target"] = "2"
    sample["scores"]["choice"]["answer"] = "1"
    log["samples"] = [sample]
    (record,) = read_inspect([write(tmp_path, log)]).records
    assert (record.labels, record.answer) == (("option 27",), "option 26")


def test_a_judge_is_not_compared_and_its_cost_not_counted(tmp_path: Path) -> None:
    log = json.loads((LOGS / "pattern.json").read_text())
    for sample in log["samples"]:
        sample["scores"] = {"model_graded_qa": {"value": "C", "answer": "as said"}}
        sample["model_usage"]["judge/one"] = {"total_cost": 5.0}
    found = list(read_inspect([write(tmp_path, log)]).records)
    assert [(r.by_score, r.answer) for r in found] == [(True, None)] * 2
    assert [r.cost_usd for r in found] == [0.001, 0.001]


@pytest.mark.parametrize(("said", "by_score"), [("7", False), ("looks fine", True)])
def test_an_unknown_scorer_compares_if_right_answers_are_targets(
    tmp_path: Path, said: str, by_score: bool
) -> None:
    log = json.loads((LOGS / "pattern.json").read_text())
    log["samples"] = [s for s in log["samples"] if s["id"] == 1]
    log["samples"][0]["scores"] = {"our_own": {"value": "C", "answer": said}}
    (record,) = read_inspect([write(tmp_path, log)]).records
    assert record.by_score is by_score


def test_long_texts_kept_beside_a_sample_are_found(tmp_path: Path) -> None:
    log = plain()
    log["samples"][0]["input"] = "attachment://ab12"
    log["samples"][0]["attachments"] = {"ab12": "A long question?"}
    first, _ = read_inspect([write(tmp_path, log)]).records
    assert first.prompt == "A long question?"


def test_a_folder_reports_what_is_no_log_and_reads_the_rest(tmp_path: Path) -> None:
    shutil.copy(LOGS / "sums_small.eval", tmp_path / "good.eval")
    data = (LOGS / "sums_small.eval").read_bytes()
    (tmp_path / "cut.eval").write_bytes(data[: len(data) // 2])
    middle = data.index(b"samples/1_epoch_1.json") + 60
    (tmp_path / "damaged.eval").write_bytes(data[:middle] + bytes(40) + data[middle + 40 :])
    (tmp_path / "package.json").write_text('{"name": "other"}')
    (tmp_path / "logs.json").write_text("{}")
    logged = read_inspect([tmp_path])
    assert len(list(logged.records)) == 3
    said = "\n".join(logged.notes)
    assert "cut.eval: not a zip archive" in said
    assert "damaged.eval" in said
    assert "package.json: field 'eval' is missing" in said


def test_a_log_without_samples_says_so(tmp_path: Path) -> None:
    log = plain()
    del log["samples"]
    with pytest.raises(RecordError, match="written without samples"):
        read_inspect([write(tmp_path, log)])


@pytest.mark.slow
def test_spoiled_fields_are_named(tmp_path: Path) -> None:
    log = plain()
    keep = ("id", "epoch", "input", "choices", "target", "output", "scores", "model_usage",
            "working_time", "error")  # fmt: skip
    log["samples"] = [{k: s[k] for k in keep if k in s} for s in log["samples"][:1]]
    log = {"status": "success", "samples": log["samples"], "eval": {
        "task": "animals", "model": "mockllm/plain", "created": "2026", "task_args": {"a": 1},
    }}  # fmt: skip
    for what, value in spoiled(log):
        survives(read_inspect, write(tmp_path, value), what)
