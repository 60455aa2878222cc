"""Logs of lm-evaluation-harness, written by hand in the forms of its versions."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import RecordError
from rlfocal.records.folders import read_dataset, write_dataset
from rlfocal.records.importers import IMPORTERS, import_lm_eval

TIME = "2025-03-04T05-06-07.123456"
LATER = "2025-04-01T00-00-00.000001"
QUESTIONS = ["What boils at 100 degrees?", "What freezes at 0 degrees?"]
TEXTS = [["iron", "water", "gold"], ["water ice", "lead", "tin"]]
GOLD = [1, 0]


def choice_row(
    doc_id: int, likelihoods: Sequence[float], *, old: bool = False, **changes: Any
) -> dict[str, Any]:
    """A multiple choice sample: numbers as numbers in old logs, as texts in new ones."""
    options, gold = TEXTS[doc_id], GOLD[doc_id]
    context = f"Question: {QUESTIONS[doc_id]}\nAnswer:"
    best = max(range(3), key=lambda i: likelihoods[i])
    longest = max(range(3), key=lambda i: likelihoods[i] / len(options[i]))
    if old:
        form: dict[str, Any] = {
            "target": gold,
            "arguments": [[context, " " + o] for o in options],
            "resps": [[[x, False]] for x in likelihoods],
            "filtered_resps": [[x, False] for x in likelihoods],
        }
    else:
        form = {
            "target": str(gold),
            "arguments": {
                f"gen_args_{i}": {"arg_0": context, "arg_1": " " + o} for i, o in enumerate(options)
            },
            "resps": [[[str(x), "False"]] for x in likelihoods],
            "filtered_resps": [[str(x), "False"] for x in likelihoods],
            "filter": "none",
            "metrics": ["acc", "acc_norm"],
            "doc_hash": f"d{doc_id}",
            "prompt_hash": f"p{doc_id}",
            "target_hash": f"t{doc_id}",
        }
    doc = {"question": QUESTIONS[doc_id], "choices": options, "answer": gold}
    scores = {"acc": float(best == gold), "acc_norm": float(longest == gold)}
    return {"doc_id": doc_id, "doc": doc} | form | scores | changes


def number_row(
    doc_id: int, reply: str, filtered: Any, right: float, **changes: Any
) -> dict[str, Any]:
    """A generated GSM8K sample."""
    question = ["Two and two?", "Half of 2,000?"][doc_id]
    answer = ["2+2=4\n#### 4", "2000/2\n#### 1,000"][doc_id]
    return {
        "doc_id": doc_id,
        "doc": {"question": question, "answer": answer},
        "target": answer,
        "arguments": {"gen_args_0": {"arg_0": f"Q: {question}\nA:", "arg_1": {"until": ["Q:"]}}},
        "resps": [[reply]],
        "filtered_resps": [filtered],
        "filter": "strict-match",
        "metrics": ["exact_match"],
        "exact_match": right,
    } | changes


def log(
    root: Path,
    model: str,
    rows: Sequence[dict[str, Any]],
    *,
    task: str = "arc",
    time: str = TIME,
    results: dict[str, Any] | None = None,
) -> Path:
    folder = root / model
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"samples_{task}_{time}.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    if results is not None:
        (folder / f"results_{time}.json").write_text(json.dumps(results))
    return file


GOOD = [choice_row(0, [-9.0, -1.0, -5.0]), choice_row(1, [-2.0, -3.0, -4.0])]
WEAK = [choice_row(0, [-1.0, -2.0, -5.0], old=True), choice_row(1, [-2.0, -1.5, -4.0], old=True)]


def test_multiple_choice_of_both_versions(tmp_path: Path) -> None:
    log(tmp_path, "lab__good", GOOD)
    log(tmp_path, "weak", WEAK)
    data = import_lm_eval([tmp_path], name="arc")
    assert data.members == ("lab/good", "weak")
    assert data.queries.to_pylist() == [
        {
            "query_id": f"arc/{i}",
            "task": "arc",
            "split": None,
            "prompt": QUESTIONS[i],
            "choices": TEXTS[i],
            "label": "BA"[i],
        }
        for i in range(2)
    ]
    rows = {(r["query_id"], r["member"]): r for r in data.responses.to_pylist()}
    assert len(rows) == 4
    assert rows["arc/0", "lab/good"] == {
        "query_id": "arc/0",
        "member": "lab/good",
        "answer": "B",
        "score": 1.0,
        "choice_scores": [-9.0, -1.0, -5.0],
    }
    assert rows["arc/0", "weak"]["answer"] == "A"
    assert rows["arc/1", "weak"]["answer"] == "B"
    assert rows["arc/1", "weak"]["score"] == 0.0
    assert data.info.answers == "choice"
    assert data.info.member_accuracy == {"lab/good": 1.0, "weak": 0.0}
    assert "log-likelihood" in str(data.info.choice_scores_scale)


def test_acc_norm_compares_per_character(tmp_path: Path) -> None:
    # -4/4 = -1.0 against -4.5/5 = -0.9: the longer option wins per character only
    log(tmp_path, "m", [choice_row(0, [-4.0, -4.5, -40.0])])
    plain = import_lm_eval([tmp_path], name="x").responses.to_pylist()[0]
    normed = import_lm_eval([tmp_path], name="x", metric="acc_norm").responses.to_pylist()[0]
    assert (plain["answer"], plain["score"]) == ("A", 0.0)
    assert (normed["answer"], normed["score"]) == ("B", 1.0)
    assert normed["choice_scores"] == pytest.approx([-1.0, -0.9, -10.0])


@pytest.mark.parametrize(
    ("target", "options", "likelihoods", "acc", "label"),
    [
        ("1", ["2", "1", "0"], [-1, -2, -3], 0.0, "B"),  # index and text agree
        ("1", ["1", "2", "0"], [-1, -2, -3], 1.0, "A"),  # only the text explains the score
        ("1", ["1", "2", "0"], [-2, -1, -3], 1.0, "B"),  # only the index does
        ("(C)", ["(A)", "(B)", "(C)"], [-2, -1, -3], 0.0, "C"),
        ("gone", ["x", "y", "z"], [-2, -1, -3], 1.0, "B"),  # unreadable, but a right answer shows
        ("gone", ["x", "y", "z"], [-2, -1, -3], 0.0, None),
    ],
)
def test_targets_are_read_by_what_explains_the_score(
    tmp_path: Path,
    target: str,
    options: list[str],
    likelihoods: list[float],
    acc: float,
    label: str | None,
) -> None:
    arguments = [["Q", " " + o] for o in options]
    row = choice_row(0, likelihoods, target=target, arguments=arguments, acc=acc, doc={"id": 7})
    log(tmp_path, "m", [row])
    data = import_lm_eval([tmp_path], name="x")
    assert data.queries["label"].to_pylist() == [label]
    assert data.queries["prompt"].to_pylist() == ["Q"]
    assert "notes" not in data.info.model_extra or not data.info.model_extra["notes"]


def test_a_score_that_nothing_explains_is_noted(tmp_path: Path) -> None:
    log(tmp_path, "m", [choice_row(0, [-9.0, -1.0, -5.0], acc=0.0)])
    data = import_lm_eval([tmp_path], name="x")
    assert data.responses["score"].to_pylist() == [0.0]  # the log's word
    assert data.info.model_extra["notes"] == [
        "arc: 1 responses whose logged metric is not what their log-likelihoods and target give"
    ]


def test_bare_letters_take_their_texts_from_the_document(tmp_path: Path) -> None:
    letters = [["Q", f" {x}"] for x in "ABC"]
    log(tmp_path, "m", [choice_row(0, [-9, -1, -5], arguments=letters)])
    arc = {"question": "Q?", "choices": {"text": TEXTS[1], "label": list("ABC")}}
    log(tmp_path, "m", [choice_row(1, [-1, -9, -5], arguments=letters, doc=arc)], task="two")
    data = import_lm_eval([tmp_path], name="x")
    assert data.queries["choices"].to_pylist() == TEXTS


def test_options_inside_the_question(tmp_path: Path) -> None:
    arguments = [
        ["He beat Sam because Sam", " was slow."],
        ["He beat Sam because Sal", " was slow."],
    ]
    row = choice_row(0, [-1.0, -2.0, 0.0], arguments=arguments, target="was slow.", acc=1.0)
    row |= {"filtered_resps": row["filtered_resps"][:2]}
    log(tmp_path, "m", [row])
    data = import_lm_eval([tmp_path], name="x")
    assert data.queries["choices"].to_pylist() == [["Sam was slow.", "Sal was slow."]]
    assert data.queries["label"].to_pylist() == ["A"]


def test_unconditional_requests_of_mutual_information_are_no_options(tmp_path: Path) -> None:
    row = choice_row(0, [-9.0, -1.0, -5.0], old=True)
    row["arguments"] += [["Answer:", a[1]] for a in row["arguments"]]
    row["filtered_resps"] += [[0.0, False]] * 3
    log(tmp_path, "m", [row])
    data = import_lm_eval([tmp_path], name="x")
    assert data.queries["choices"].to_pylist() == [TEXTS[0]]
    assert data.responses["choice_scores"].to_pylist() == [[-9.0, -1.0, -5.0]]


def test_infinite_likelihoods_leave_the_answer_only(tmp_path: Path) -> None:
    log(tmp_path, "m", [choice_row(0, [-9.0, -1.0, -5.0]), choice_row(1, [-1.0, -9.0, -5.0])])
    log(tmp_path, "n", [choice_row(0, [float("-inf"), -1.0, -5.0])])
    rows = import_lm_eval([tmp_path], name="x").responses.to_pylist()
    infinite = next(r for r in rows if r["member"] == "n")
    assert infinite["answer"] == "B"
    assert infinite["choice_scores"] is None


def test_generated_answers_and_filters(tmp_path: Path) -> None:
    rows = [
        number_row(0, "It is 4.", "[invalid]", 0.0),
        number_row(1, "#### $1,000.00", "$1,000.00", 1.0),
        number_row(0, "It is 4.", "4", 1.0, filter="flexible-extract"),
        number_row(1, "1,001.", "1,001.", 0.0, filter="flexible-extract"),
    ]
    log(tmp_path, "m", rows, task="gsm8k")
    data = import_lm_eval([tmp_path], name="g")
    assert data.queries["label"].to_pylist() == ["4", "1000"]
    assert data.queries["choices"].null_count == 2
    assert data.responses["answer"].to_pylist() == ["4", "1001"]
    assert data.responses["score"].to_pylist() == [1.0, 0.0]
    assert data.responses["text"].to_pylist() == ["It is 4.", "1,001."]
    assert data.responses["response_chars"].to_pylist() == [8, 6]
    assert data.info.answers == "number"
    assert "took flexible-extract" in data.info.model_extra["notes"][0]
    strict = import_lm_eval([tmp_path], name="g", filter_name="strict-match")
    assert strict.responses["answer"].to_pylist() == [None, "1000"]
    with pytest.raises(RecordError, match="no samples of filter 'loose'; found: strict-match, fle"):
        import_lm_eval([tmp_path], name="g", filter_name="loose")


def test_repeats_become_samples(tmp_path: Path) -> None:
    row = number_row(0, "a", ["4", "5", "[invalid]", "4"], 1.0)
    log(tmp_path, "m", [row], task="gsm8k")
    data = import_lm_eval([tmp_path], name="g")
    assert data.responses["samples"].to_pylist() == [["4", "5", "4"]]


def test_texts_judged_by_another_metric_have_no_answer(tmp_path: Path) -> None:
    row = number_row(0, "def f(): ...", "def f(): ...", 0.0, metrics=["pass_at_1"], pass_at_1=1.0)
    del row["exact_match"]
    log(tmp_path, "m", [row], task="code")
    data = import_lm_eval([tmp_path], name="g")
    response = data.responses.to_pylist()[0]
    assert (response["answer"], response["score"]) == (None, 1.0)
    assert data.queries["label"].null_count == 1
    assert data.info.answers == "score only"


def test_one_continuation_is_right_or_wrong_only(tmp_path: Path) -> None:
    row = choice_row(0, [-1, -2, -3], arguments=[["He said", " yes"]], acc=1)
    row["filtered_resps"] = [["-1.5", "True"]]
    log(tmp_path, "m", [row])
    data = import_lm_eval([tmp_path], name="x")
    assert data.queries["choices"].null_count == 1
    assert data.responses["score"].to_pylist() == [1.0]


def test_the_newest_of_two_runs_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log(tmp_path, "m", GOOD, time=LATER)
    log(tmp_path, "m", WEAK, time=TIME)
    with caplog.at_level(logging.WARNING):
        data = import_lm_eval([tmp_path], name="x")
    assert data.responses["score"].to_pylist() == [1.0, 1.0]
    note = f"m, arc: two runs; took samples_arc_{LATER}.jsonl, left samples_arc_{TIME}.jsonl"
    assert data.info.model_extra["notes"] == [note]
    assert note in caplog.text


def test_missing_responses_and_other_prompts_are_noted(tmp_path: Path) -> None:
    log(tmp_path, "a", GOOD)
    log(tmp_path, "b", [GOOD[0] | {"prompt_hash": "chat"}])
    data = import_lm_eval([tmp_path], name="x")
    assert data.info.model_extra["notes"] == [
        "b, arc: 1 of 2 responses are missing",
        "arc: 1 queries whose prompts differ between members (template or examples)",
    ]


def test_repeated_questions_are_told_apart_by_the_whole_prompt(tmp_path: Path) -> None:
    rows = [row | {"doc": {"question": "Who did it?", "n": i}} for i, row in enumerate(GOOD)]
    log(tmp_path, "m", rows)
    prompts = import_lm_eval([tmp_path], name="x").queries["prompt"].to_pylist()
    assert prompts == [f"Question: {q}\nAnswer:" for q in QUESTIONS]


def test_the_oldest_form_is_one_json_list(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    file = folder / "pretrained=lab__old_arc.jsonl"
    file.write_text(json.dumps(WEAK, indent=2))
    data = import_lm_eval([file], name="x")
    assert data.queries.num_rows == 2
    assert data.members == ("old",)


BAD_ROWS = [
    ({"doc": {"question": "another"}}, "b/samples_arc_.*:1: doc_id 0 of arc: the documents differ"),
    (
        {"arguments": [["Q", " x"], ["Q", " y"], ["Q", " z"]]},
        ":1: doc_id 0 of arc: the options differ from those of .*/a/samples_arc",
    ),
    ({"filtered_resps": [["-1", "False"], ["-2", "False"]]}, ":1: 2 filtered_resps for 3 arg"),
    ({"filtered_resps": None}, ":1: field 'filtered_resps' is missing"),
    ({"arguments": "x"}, ":1: field 'arguments' is missing"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ROWS)
def test_contradicting_logs_are_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    log(tmp_path, "a", GOOD)
    log(tmp_path, "b", [GOOD[0] | change])
    with pytest.raises(RecordError, match=message):
        import_lm_eval([tmp_path], name="x")


def test_broken_logs_name_file_and_line(tmp_path: Path) -> None:
    file = log(tmp_path, "m", GOOD)
    whole = file.read_text()
    file.write_text(whole[:-20])
    with pytest.raises(RecordError, match=rf"{file.name}:2: not JSON"):
        import_lm_eval([file], name="x")
    file.write_text(whole + whole)
    with pytest.raises(RecordError, match=rf"{file.name}:3: doc_id 0 of arc again, first at .*:1"):
        import_lm_eval([file], name="x")
    file.write_text('{"question": 1}\n')
    with pytest.raises(RecordError, match=rf"{file.name}:1: field 'doc_id' is missing"):
        import_lm_eval([file], name="x")
    file.write_text("")
    with pytest.raises(RecordError, match="no samples found"):
        import_lm_eval([file], name="x")
    with pytest.raises(RecordError, match=r"no metric 'f1'; metrics found: acc, acc_norm"):
        import_lm_eval([log(tmp_path, "m", GOOD)], name="x", metric="f1")
    (tmp_path / "m" / f"results_{TIME}.json").write_text("{")
    with pytest.raises(RecordError, match=r"results_.*json: not readable as JSON"):
        import_lm_eval([tmp_path], name="x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(field=st.sampled_from(sorted(GOOD[0])), value=JSON, generated=st.booleans())
def test_any_damage_is_a_record_error_or_no_matter(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any, generated: bool
) -> None:
    row = number_row(0, "4", "4", 1.0) if generated else GOOD[0]
    file = log(tmp_path_factory.mktemp("fuzz"), "m", [row | {field: value}])
    with contextlib.suppress(RecordError):  # any other exception fails the test
        assert import_lm_eval([file], name="x").responses.num_rows == 1


def test_more_than_ten_options_keep_their_order(tmp_path: Path) -> None:
    arguments = {f"gen_args_{i}": {"arg_0": "Q", "arg_1": f" o{i}"} for i in range(12)}
    scores = [[str(-20 + i), "False"] for i in range(12)]
    row = choice_row(0, [-1, -2, -3], arguments=arguments, filtered_resps=scores, target="11")
    shuffled = dict(sorted(arguments.items()))  # gen_args_10 before gen_args_2
    log(tmp_path, "m", [row | {"arguments": shuffled, "acc": 1.0}])
    data = import_lm_eval([tmp_path], name="x")
    assert data.queries["choices"].to_pylist() == [[f"o{i}" for i in range(12)]]
    assert data.responses["answer"].to_pylist() == ["L"]


def test_an_import_can_be_stored_and_read_back(tmp_path: Path) -> None:
    log(tmp_path / "logs", "a", GOOD)
    log(tmp_path / "logs", "b", WEAK)
    data = IMPORTERS["lm-eval"]([tmp_path / "logs"], name="arc")
    write_dataset(data, tmp_path / "arc")
    back = read_dataset(tmp_path / "arc")
    assert back.digest() == data.digest()
    assert back.select_members() == ("a", "b")
