"""HELM's runs: folders that crfm-helm 0.5.16 wrote with scripted models, and its schema."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from spoiling import spoiled, survives

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.harnesses.helm import read_helm

COLOURS = ("red", "loud", "seven")


def instance(
    number: int, references: dict[str, bool], *, text: str = "", **other: Any
) -> dict[str, Any]:
    return {
        "input": {"text": text or f"Question {number}?"},
        "references": [
            {"output": {"text": option}, "tags": ["correct"] if right else []}
            for option, right in references.items()
        ],
        "split": "test", "id": f"id{number}",
    } | other  # fmt: skip


def state(
    found: dict[str, Any], said: str, *, options: tuple[str, ...] = (), **other: Any
) -> dict[str, Any]:
    whole = {
        "instance": found, "train_trial_index": 0,
        "request": {"model": "org/small", "prompt": "Question: a?\nAnswer: b\n\nQuestion: c?"},
        "result": {
            "success": True, "embedding": [], "cached": False, "request_time": 0.5,
            "completions": [{"text": f" {said}", "logprob": -1.0, "tokens": []}],
        },
        "num_train_instances": 1, "prompt_truncated": False,
    }  # fmt: skip
    if options:
        whole["output_mapping"] = dict(zip("ABC", options, strict=False))
    return whole | other


def stats(number: int, trial: int = 0, **means: float) -> dict[str, Any]:
    return {
        "instance_id": f"id{number}", "train_trial_index": trial,
        "stats": [
            {"name": {"name": "training_co2_cost", "split": "test"}, "count": 0, "sum": 0},
            *({"name": {"name": name, "split": "test"}, "count": 1, "mean": value}
              for name, value in means.items()),
        ],
    }  # fmt: skip


def write(
    folder: Path, states: list[Any], judged: list[Any] | None, *, model: str = "org/small",
    name: str = "colours:subject=all,method=multiple_choice_joint", suite: str = "v1",
    method: str = "multiple_choice_joint",
) -> Path:  # fmt: skip
    comma = "," if ":" in name else ":"
    run = folder / "runs" / suite / f"{name}{comma}model={model.replace('/', '_')}"
    run.mkdir(parents=True, exist_ok=True)
    spec = {"method": method, "model": model, "model_deployment": model, "num_outputs": 1}
    (run / "scenario_state.json").write_text(
        json.dumps({"adapter_spec": spec, "request_states": states})
    )
    if judged is not None:
        (run / "per_instance_stats.json").write_text(json.dumps(judged))
    return run / "scenario_state.json"


def colours(number: int = 1) -> dict[str, Any]:
    return instance(number, {option: option == "red" for option in COLOURS})


LOGS = Path(__file__).parent / "logs" / "helm"
"""HELM's own simple_mcqa and simple_classification, three questions each, by two models; the
folders are called <scenario>-<model> here, since HELM's names hold a colon."""


def test_a_real_run_of_two_models_becomes_a_data_set(tmp_path: Path) -> None:
    for folder in LOGS.iterdir():
        scenario, _, model = folder.name.partition("-")
        shutil.copytree(folder, tmp_path / f"simple_{scenario}:model=scripted_{model}")
    data = assemble(read_helm([tmp_path]), name="x")
    queries = {row["query_id"]: row for row in data.queries.to_pylist()}
    odd = queries["simple_mcqa/id41"]
    assert odd["prompt"] == "Is 51 even or odd?"
    assert (odd["choices"], odd["label"]) == (["Even", "Odd"], "B")
    assert queries["simple_classification/id38"]["label"] == "even"
    got = {(r["query_id"], r["member"]): r for r in data.responses.to_pylist()}
    assert len(got) == 12
    said = [got[f"simple_mcqa/{i}", "scripted/wrong"] for i in ("id60", "id38", "id41")]
    assert [r["answer"] for r in said] == ["B", "B", "A"]  # the first is " The answer is B."
    assert [r["score"] for r in said] == [0, 0, 0]
    said = [got[f"simple_classification/{i}", "scripted/wrong"] for i in ("id60", "id38", "id41")]
    assert [r["answer"] for r in said] == ["even", "odd", "even"]
    assert [r["score"] for r in said] == [1, 0, 0]
    assert data.info.member_accuracy == {"scripted/right": 1.0, "scripted/wrong": 0.1667}


def test_multiple_choice_in_one_prompt(tmp_path: Path) -> None:
    states = [
        state(colours(1), "A", options=COLOURS),
        state(colours(2), "It is B", options=COLOURS),
    ]
    path = write(tmp_path, states, [stats(1, exact_match=1), stats(2, exact_match=0)])
    logged = read_helm([tmp_path])
    one, two = logged.records
    assert (one.member, one.name) == ("org/small", "id1")
    assert one.task == "colours:subject=all method=multiple_choice_joint"
    assert (one.prompt, one.choices, one.labels) == ("Question 1?", COLOURS, ("A",))
    assert (one.answer, one.score, one.latency_s) == ("A", 1, 0.5)
    assert (two.answer, two.text, two.score) == (None, " It is B", 0)  # looked for in the text
    assert one.place == f"{path}: request_states[0]"
    assert logged.notes == []
    data = assemble(logged, name="x")
    assert data.responses["answer"].to_pylist() == ["A", "B"]


def test_options_in_another_order_are_the_same_document(tmp_path: Path) -> None:
    turned = instance(1, {"seven": False, "red": True, "loud": False})
    write(tmp_path, [state(colours(1), "A", options=COLOURS)], [stats(1, exact_match=1)])
    write(tmp_path, [state(turned, "B", options=("seven", "red", "loud"))],
          [stats(1, exact_match=1)], model="org/other")  # fmt: skip
    data = assemble(read_helm([tmp_path]), name="x")
    assert data.queries.num_rows == 1
    assert len(set(data.responses["answer"].to_pylist())) == 1


def test_options_asked_one_by_one_take_the_logged_prediction(tmp_path: Path) -> None:
    method = "multiple_choice_separate_calibrated"
    states = [
        state(colours(1), "x", reference_index=i, request_mode=mode)
        for i in range(3)
        for mode in ("original", "calibration")
    ]
    write(tmp_path, states, [stats(1, exact_match=0, predicted_index=2.0)], method=method)
    (only,) = read_helm([tmp_path]).records
    assert (only.choices, only.labels, only.answer, only.score) == (COLOURS, ("A",), "C", 0)
    assert only.text is None
    assert only.latency_s == 1.5


def test_a_worked_solution_is_labelled_by_its_last_number(tmp_path: Path) -> None:
    found = instance(1, {"She has 3 and 4. The answer is 1,007.": True})
    write(tmp_path, [state(found, "So 1007.")], [stats(1, final_number_exact_match=1)],
          name="gsm", method="generation")  # fmt: skip
    (only,) = read_helm([tmp_path]).records
    assert (only.task, only.labels, only.choices) == ("gsm", ("1007",), None)
    data = assemble(read_helm([tmp_path]), name="x")
    assert data.queries["label"].to_pylist() == ["1007"]
    assert data.responses["answer"].to_pylist() == ["1007"]


def test_perturbed_copies_are_left_out_and_originals_of_augmented_runs_kept(
    tmp_path: Path,
) -> None:
    original = colours(1) | {"perturbation": {"name": "identity"}}
    typo = colours(1) | {"perturbation": {"name": "typos"}}
    judged = [
        stats(1, exact_match=1) | {"perturbation": {"name": "identity"}},
        stats(1, exact_match=0) | {"perturbation": {"name": "typos"}},
    ]
    states = [state(original, "A", options=COLOURS), state(typo, "B", options=COLOURS)]
    write(tmp_path, states, judged)
    logged = read_helm([tmp_path])
    assert [(r.answer, r.score) for r in logged.records] == [("A", 1)]
    assert any("1 requests are of perturbed instances" in note for note in logged.notes)


def test_trials_are_repeats(tmp_path: Path) -> None:
    states = [state(colours(1), "A", options=COLOURS, train_trial_index=0),
              state(colours(1), "B", options=COLOURS, train_trial_index=1)]  # fmt: skip
    write(tmp_path, states, [stats(1, 0, exact_match=1), stats(1, 1, exact_match=0)])
    assert [(r.repeat, r.score) for r in read_helm([tmp_path]).records] == [(0, 1), (1, 0)]


def test_of_several_completions_the_likeliest_is_judged(tmp_path: Path) -> None:
    result = {"success": True, "completions": [
        {"text": " B", "logprob": -3.0}, {"text": " A", "logprob": -1.0}]}  # fmt: skip
    write(tmp_path, [state(colours(1), "", options=COLOURS, result=result)],
          [stats(1, exact_match=1)])  # fmt: skip
    logged = read_helm([tmp_path])
    assert [r.answer for r in logged.records] == ["A"]
    assert any("several completions" in note for note in logged.notes)


def test_graded_metrics_judge_texts(tmp_path: Path) -> None:
    found = instance(1, {"the school mascot": True, "a mascot": True})
    write(tmp_path, [state(found, "A mascot.")], [stats(1, f1_score=0.8, rouge_l=0.7)],
          name="qa", method="generation")  # fmt: skip
    (only,) = read_helm([tmp_path]).records
    assert (only.by_score, only.score, only.labels) == (True, 0.8, ())
    (only,) = read_helm([tmp_path], metric="rouge_l").records
    assert only.score == 0.7
    with pytest.raises(RecordError, match="no metric 'rouge_1'; did you mean 'rouge_l'"):
        read_helm([tmp_path], metric="rouge_1")


def test_replies_that_could_not_be_had_are_missing(tmp_path: Path) -> None:
    failed = state(colours(2), "", options=COLOURS, result={"success": False, "completions": []})
    write(tmp_path, [state(colours(1), "A", options=COLOURS), failed], [stats(1, exact_match=1)])
    logged = read_helm([tmp_path])
    assert [r.name for r in logged.records] == ["id1"]
    assert any("1 replies could not be had (missing, not wrong)" in n for n in logged.notes)


def test_without_statistics_there_are_answers_but_no_scores(tmp_path: Path) -> None:
    write(tmp_path, [state(colours(1), "A", options=COLOURS)], None)
    logged = read_helm([tmp_path])
    assert [(r.answer, r.score) for r in logged.records] == [("A", None)]
    assert any("per_instance_stats.json: is missing" in note for note in logged.notes)


def test_arguments_of_a_model_are_not_the_tasks(tmp_path: Path) -> None:
    path = write(tmp_path, [state(colours(1), "A", options=COLOURS)], [stats(1, exact_match=1)],
                 name="colours:subject=all,stop=hash,global_prefix=nlg")  # fmt: skip
    (only,) = read_helm([path]).records
    assert only.task == "colours:subject=all"


def test_of_two_suites_the_later_is_read(tmp_path: Path) -> None:
    write(tmp_path, [state(colours(1), "B", options=COLOURS)], [stats(1, exact_match=0)])
    write(tmp_path, [state(colours(1), "A", options=COLOURS)], [stats(1, exact_match=1)],
          suite="v2")  # fmt: skip
    logged = read_helm([tmp_path])
    assert [r.score for r in logged.records] == [1]
    assert any("two runs; took" in note for note in logged.notes)


def test_broken_runs_and_requests_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    write(tmp_path, [state(colours(1), "A", options=COLOURS), 3], [stats(1, exact_match=1)])
    broken = write(tmp_path, [], [], name="other")
    broken.write_text('{"adapter_spec": {')
    logged = read_helm([tmp_path])
    assert len(list(logged.records)) == 1
    assert any("rows cannot be read" in n and "request_states[1]" in n for n in logged.notes)
    assert any("not JSON" in note for note in logged.notes)
    with pytest.raises(RecordError, match=r"holds no runs \(scenario_state.json\)"):
        read_helm([LOGS.parent / "bfcl"])


@pytest.mark.slow
def test_any_field_may_be_missing_or_of_another_type(tmp_path: Path) -> None:
    joint = state(colours(1), "A", options=COLOURS[:2])
    joint["instance"]["references"].pop()
    path = write(tmp_path, [joint], [stats(1, exact_match=1)])
    whole = json.loads(path.read_text())
    judged = path.with_name("per_instance_stats.json")
    for what, changed in spoiled(whole):
        path.write_text(json.dumps(changed))
        survives(read_helm, path, what)
    path.write_text(json.dumps(whole))
    for what, changed in spoiled(json.loads(judged.read_text())):
        judged.write_text(json.dumps(changed))
        survives(read_helm, path, what)
