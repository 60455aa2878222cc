"""lighteval's details (0.13.0, its own documents, metrics and writer; see make_lighteval.sh)."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spoiling import spoiled, survives

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.lighteval import read_lighteval
from rlfocal.records.importers.logged import Record

LOGS = Path(__file__).parent / "logs" / "lighteval"
TIME = "2026-01-02T12-00-00.123456"
LATER = "2026-01-03T12-00-00.123456"


def lay_out(folder: Path, task: str, *, model: str = "our/small", shots: int = 0) -> Path:
    """Put a committed file where lighteval writes it ("|" is not for every file system)."""
    path = folder / "details" / model / TIME / f"details_{task}|{shots}_{TIME}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(LOGS / f"{task}.parquet", path)
    results = folder / "results" / model / f"results_{TIME}.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(LOGS / "results.json", results)
    return path


def write(
    folder: Path, rows: list[Any], *, task: str = "mine", model: str = "our/small",
    time: str = TIME, shots: int = 0, temperature: float | None = None,
) -> Path:  # fmt: skip
    path = folder / "details" / model / time / f"details_{task}|{shots}_{time}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    if temperature is not None:
        results = folder / "results" / model / f"results_{time}.json"
        results.parent.mkdir(parents=True, exist_ok=True)
        config = {"model_name": model, "generation_parameters": {"temperature": temperature}}
        general = {"model_name": model, "model_config": config}
        results.write_text(json.dumps({"config_general": general}))
    return path


def row(**doc: Any) -> dict[str, Any]:
    return {
        "doc": {"query": "What is 6 * 7?", "choices": ["42"], "gold_index": 0, "id": "0",
                "sampling_methods": ["GENERATIVE"]} | doc,
        "model_response": {"text": ["It is 42."], "text_post_processed": None, "logprobs": [],
                           "output_tokens": [[1]], "unconditioned_logprobs": None},
        "metric": {"em": 1},
    }  # fmt: skip


def ranked(logprobs: list[float], metric: dict[str, Any], **doc: Any) -> dict[str, Any]:
    made = row(choices=[" the very old dog", " hen", " cat"], gold_index=1,
               sampling_methods=["LOGPROBS"]) | {"metric": metric}  # fmt: skip
    made["doc"] |= doc
    made["model_response"] |= {"text": [], "logprobs": logprobs}
    return made


def only(folder: Path, made: dict[str, Any], **options: Any) -> Record:
    (record,) = read_lighteval([write(folder, [made])], **options).records
    return record


def test_likelihoods_become_letters_and_choice_scores(tmp_path: Path) -> None:
    lay_out(tmp_path, "animals")
    logged = read_lighteval([tmp_path])
    legs, eggs = list(logged.records)
    assert (legs.member, legs.task, legs.name) == ("our/small", "animals", "0")
    assert legs.choices == ("six", "eight", "ten")
    assert (legs.labels, legs.answer, legs.score) == (("B",), "B", 1)
    assert legs.choice_scores == (-2, -1, -3)
    assert legs.prompt == "How many legs has a spider?\nAnswer:"
    assert eggs.answer == "B"  # the raw likelihoods: -8, -6, -6.5
    assert eggs.place.endswith("row 1")
    assert "animals: scored by acc; there are others (--metric): acc_norm" in logged.notes


def test_likelihoods_by_length_where_the_metric_takes_them_so(tmp_path: Path) -> None:
    lay_out(tmp_path, "animals")
    _, eggs = list(read_lighteval([tmp_path], metric="acc_norm").records)
    assert eggs.choice_scores is not None
    assert eggs.choice_scores[1:] == pytest.approx([-6 / 4, -6.5 / 4])
    assert (eggs.answer, eggs.score) == ("A", 0)


def test_whether_the_first_blank_counts_is_seen_from_the_scores(tmp_path: Path) -> None:
    # with it "ab" is most likely (-4/3, -5.6/4, -9/5), without it "abc" (-4/2, -5.6/3, -9/4)
    made = ranked([-4.0, -5.6, -9.0], {"acc_norm": 1}, choices=[" ab", " abc", " abcd"])
    record = only(tmp_path, made)
    assert record.choice_scores == pytest.approx((-2.0, -5.6 / 3, -2.25))
    assert (record.answer, record.score) == ("B", 1)


@pytest.mark.parametrize(
    ("metric", "extra", "scores"),
    [
        ("acc_norm_token", {"output_tokens": [[1, 2, 3, 4], [1], [1]]}, (-2, -6, -6.5)),
        ("acc_norm_pmi", {"unconditioned_logprobs": [-1.0, -5.0, -6.0]}, (-7, -1, -0.5)),
        ("acc_norm_pmi", {"logprobs": [-8.0, -6.0, -6.5, -1.0, -5.0, -6.0]}, (-7, -1, -0.5)),
        ("acc", {}, (-8, -6, -6.5)),
    ],
)
def test_normalisations(
    tmp_path: Path, metric: str, extra: dict[str, Any], scores: tuple[float, ...]
) -> None:
    made = ranked([-8.0, -6.0, -6.5], {metric: 0})
    made["model_response"] |= extra
    assert only(tmp_path, made).choice_scores == pytest.approx(scores)


def test_several_golds_are_several_labels(tmp_path: Path) -> None:
    record = only(tmp_path, ranked([-1.0, -2.0, -3.0], {"acc": 1}, gold_index=[0, 2]))
    assert (record.labels, record.answer) == (("A", "C"), "A")


def test_an_answer_that_contradicts_its_score_is_said(tmp_path: Path) -> None:
    logged = read_lighteval([write(tmp_path, [ranked([-1.0, -2.0, -3.0], {"acc": 1})])])
    assert any("metric 'acc' disagree on 1 of 1 rows" in note for note in logged.notes)


def test_texts_are_compared_with_the_golds(tmp_path: Path) -> None:
    lay_out(tmp_path, "sums")
    first, second = list(read_lighteval([tmp_path]).records)
    assert (first.labels, first.text, first.answer, first.score) == (("7",), "7", None, 1)
    assert first.choices is None  # choices are references here
    assert second.text == "41"  # its thinking is taken off, in the tool's own second text


def test_several_texts_are_repeats(tmp_path: Path) -> None:
    lay_out(tmp_path, "again")
    logged = read_lighteval([tmp_path])
    (record,) = logged.records
    assert record.samples == ("42", "41", "42")
    assert record.score == pytest.approx(2 / 3)
    data = assemble(logged, name="x")
    assert data.responses["samples"].to_pylist() == [["42", "41", "42"]]
    assert data.responses["answer"].to_pylist() == ["42"]


def test_that_any_of_several_is_right_is_no_score_of_one(tmp_path: Path) -> None:
    lay_out(tmp_path, "again")
    (record,) = read_lighteval([tmp_path], metric="pass@k").records
    assert record.score is None


def test_letters_among_the_references_are_options(tmp_path: Path) -> None:
    record = only(tmp_path, row(choices=["A", "B", "C", "D"], gold_index=2))
    assert (record.choices, record.labels) == (("A", "B", "C", "D"), ("C",))


def test_graded_metrics_judge_texts(tmp_path: Path) -> None:
    made = row() | {"metric": {"rougeL": 0.4, "summary": {"golds": [1]}, "length": 17}}
    record = only(tmp_path, made)
    assert (record.score, record.by_score) == (0.4, True)


def test_the_likelihood_of_one_continuation_is_no_choice(tmp_path: Path) -> None:
    made = ranked([-2.0], {"acc": 1}, choices=[" hen"], gold_index=0)
    record = only(tmp_path, made)
    assert (record.choices, record.by_score, record.score) == (None, True, 1)


def test_a_metric_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"details_mine.*no metric 'emm'; did you mean 'em'"):
        only(tmp_path, row(), metric="emm")
    made = row() | {"metric": {"pass@k:k=1&n=16": 1}}
    assert only(tmp_path, made, metric="pass@k").score == 1


def test_of_runs_alike_the_newest_counts(tmp_path: Path) -> None:
    write(tmp_path, [row() | {"metric": {"em": 0}}], temperature=0.0)
    write(tmp_path, [row()], time=LATER, temperature=0.0)
    logged = read_lighteval([tmp_path])
    assert [(r.member, r.score) for r in logged.records] == [("our/small", 1)]
    assert any(f"took details_mine|0_{LATER}.parquet" in note for note in logged.notes)


def test_other_settings_make_another_member(tmp_path: Path) -> None:
    write(tmp_path, [row()], temperature=0.0)
    write(tmp_path, [row()], time=LATER, temperature=1.0)
    write(tmp_path, [row()], time=LATER, temperature=1.0, shots=5)
    assert {r.member for r in read_lighteval([tmp_path]).records} == {
        "our/small (num_fewshots=0, temperature=0.0)",
        "our/small (num_fewshots=0, temperature=1.0)",
        "our/small (num_fewshots=5, temperature=1.0)",
    }


def test_a_repository_of_details_names_its_model(tmp_path: Path) -> None:
    made = write(tmp_path, [row()])
    folder = tmp_path / "details_our__large_private" / TIME
    folder.mkdir(parents=True)
    path = folder / made.name
    shutil.move(made, path)
    assert [r.member for r in read_lighteval([path]).records] == ["our/large"]


def test_a_folder_reports_what_cannot_be_read_and_reads_the_rest(tmp_path: Path) -> None:
    write(tmp_path, [row()])
    folder = tmp_path / "details" / "our/small" / LATER
    folder.mkdir()
    (folder / f"details_cut|0_{LATER}.parquet").write_bytes(b"PAR1 and no more")
    older = {"full_prompt": ["a"], "predictions": ["b"], "metrics": ["c"]}
    pq.write_table(pa.table(older), folder / f"details_older|0_{LATER}.parquet")
    logged = read_lighteval([tmp_path])
    assert len(list(logged.records)) == 1
    said = "\n".join(logged.notes)
    assert "details_cut|0" in said
    assert "cannot be read as Parquet" in said
    assert "column 'doc' is missing" in said
    with pytest.raises(RecordError, match="holds no details of lighteval"):
        read_lighteval([LOGS])


def test_rows_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    bad = copy.deepcopy(row())
    bad["doc"]["gold_index"] = 7
    logged = read_lighteval([write(tmp_path, [row(), bad])])
    assert len(list(logged.records)) == 1
    assert any("1 of 2 rows" in n and "'gold_index' is 7" in n for n in logged.notes)


@pytest.mark.parametrize("made", [row(), ranked([-1.0, -2.0, -3.0], {"acc": 0})])
@pytest.mark.slow
def test_spoiled_fields_are_named(tmp_path: Path, made: dict[str, Any]) -> None:
    tried = 0
    for what, value in spoiled(made):
        try:
            path = write(tmp_path, [value])
        except (pa.ArrowException, ValueError, OverflowError, UnicodeError, TypeError):
            continue  # Parquet cannot hold it
        survives(read_lighteval, path, what)
        tried += 1
    assert tried > 50
