"""Logs of lm-evaluation-harness, written by hand in the forms of its versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval_rows import GOOD, LATER, QUESTIONS, TEXTS, TIME, WEAK, Row, choice_row, log, reply_row

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records.dataset import Dataset
from rlfocal.records.folders import read_dataset, write_dataset
from rlfocal.records.importers import import_logs


def imported(root: Path, **options: Any) -> Dataset:
    return import_logs("lm-eval", [root], name="x", **options)


def notes(data: Dataset) -> list[str]:
    return list(data.info.notes)


def by_member(data: Dataset, column: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in sorted(data.responses.to_pylist(), key=lambda r: r["query_id"]):
        found.setdefault(row["member"], []).append(row.get(column))
    return found


def test_multiple_choice_of_both_versions(tmp_path: Path) -> None:
    log(tmp_path, "lab__good", GOOD)
    log(tmp_path, "weak", WEAK)
    data = import_logs("lm-eval", tmp_path, name="arc")
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
    assert by_member(data, "answer") == {"lab/good": ["B", "A"], "weak": ["A", "B"]}
    assert by_member(data, "score") == {"lab/good": [1, 1], "weak": [0, 0]}
    assert by_member(data, "choice_scores")["lab/good"][0] == [-9.0, -1.0, -5.0]
    assert data.info.answers == "choice"
    assert data.info.member_accuracy == {"lab/good": 1.0, "weak": 0.0}
    assert "log-likelihood" in str(data.info.choice_scores_scale)
    assert notes(data) == []


def test_options_are_scored_as_the_metric_compares_them(tmp_path: Path) -> None:
    # -4/4 = -1.0 against -4.5/5 = -0.9: the longer option wins per character only
    log(tmp_path, "m", [choice_row(0, [-4.0, -4.5, -40.0])])
    assert by_member(imported(tmp_path), "answer") == {"m": ["A"]}
    normed = imported(tmp_path, metric="acc_norm")
    assert by_member(normed, "answer") == {"m": ["B"]}
    assert by_member(normed, "choice_scores")["m"][0] == pytest.approx([-1.0, -0.9, -10.0])


def test_mutual_information_takes_what_each_option_gains(tmp_path: Path) -> None:
    row = choice_row(0, [-9.0, -3.0, -5.0], old=True, acc_mutual_info=1.0)
    row["arguments"] += [["Answer:", a[1]] for a in row["arguments"]]
    row["filtered_resps"] += [[-9.0, False], [-8.0, False], [-12.0, False]]
    log(tmp_path, "m", [row])
    assert by_member(imported(tmp_path), "choice_scores") == {"m": [[-9.0, -3.0, -5.0]]}
    gained = imported(tmp_path, metric="acc_mutual_info")
    assert by_member(gained, "choice_scores") == {"m": [[0.0, 5.0, 7.0]]}
    assert by_member(gained, "answer") == {"m": ["C"]}


TARGETS = [
    (["1", "1"], [0.0, 1.0], ["B", "B"]),  # index and text agree
    (["2", "0"], [1.0, 0.0], ["A", "C"]),  # only the texts explain the scores
]


@pytest.mark.parametrize(("targets", "scores", "labels"), TARGETS)
def test_targets_are_read_in_the_way_that_explains_the_scores_of_a_task(
    tmp_path: Path, targets: list[str], scores: list[float], labels: list[str]
) -> None:
    """Options "2", "1", "0": target 2 is the first by its text, the third by its number."""
    options = [["Q", f" {o}"] for o in (2, 1, 0)]
    best = [[-1, -2, -3], [-2, -1, -3]]
    rows = [
        choice_row(0, best[i], target=t, arguments=options, acc=s, doc={"n": f"doc {i}"}, doc_id=i)
        for i, (t, s) in enumerate(zip(targets, scores, strict=True))
    ]
    log(tmp_path, "m", rows)
    assert imported(tmp_path).queries["label"].to_pylist() == labels


def test_a_right_answer_is_no_label_where_the_target_cannot_be_read(tmp_path: Path) -> None:
    log(tmp_path, "m", [choice_row(0, [-9, -1, -5], target="gone", acc=1.0)])
    data = imported(tmp_path)
    assert data.queries["label"].to_pylist() == [None]
    assert by_member(data, "score") == {"m": [1.0]}


def test_bare_letters_take_their_texts_from_the_document(tmp_path: Path) -> None:
    letters = [["Q", f" {x}"] for x in "ABC"]
    log(tmp_path, "m", [choice_row(0, [-9, -1, -5], arguments=letters)])
    arc = {"question": "Q?", "choices": {"text": TEXTS[1], "label": list("ABC")}}
    log(tmp_path, "m", [choice_row(1, [-1, -9, -5], arguments=letters, doc=arc)], task="two")
    assert imported(tmp_path).queries["choices"].to_pylist() == TEXTS


def test_options_inside_the_question(tmp_path: Path) -> None:
    arguments = [
        ["He beat Sam because Sam", " was slow."],
        ["He beat Sam because Sal", " was slow."],
    ]
    row = choice_row(0, [-1.0, -2.0, 0.0], arguments=arguments, target="0", acc=1.0)
    row |= {"filtered_resps": row["filtered_resps"][:2]}
    log(tmp_path, "m", [row])
    data = imported(tmp_path)
    assert data.queries["choices"].to_pylist() == [["Sam was slow.", "Sal was slow."]]
    assert data.queries["label"].to_pylist() == ["A"]


def test_infinite_likelihoods_leave_the_answer_only(tmp_path: Path) -> None:
    log(tmp_path, "n", [choice_row(0, [float("-inf"), -1.0, -5.0])])
    data = imported(tmp_path)
    assert (by_member(data, "answer"), by_member(data, "choice_scores")) == (
        {"n": ["B"]}, {"n": [None]},
    )  # fmt: skip


def test_forty_options_are_answered_by_text(tmp_path: Path) -> None:
    """And the other task of the folder is read."""
    arguments = [["Which?", f" o{i}"] for i in range(40)]
    for member, best in (("a", 30), ("b", 3)):
        pairs = [[-1.0 if i == best else -5.0, False] for i in range(40)]
        row = choice_row(0, [-1, -2, -3], arguments=arguments, filtered_resps=pairs, target="30")
        log(tmp_path, member, [row | {"acc": float(best == 30)}], task="big")
        log(tmp_path, member, GOOD)
    data = imported(tmp_path)
    answers = {(r["member"], r["query_id"]): r["answer"] for r in data.responses.to_pylist()}
    assert (answers["a", "big/0"], answers["b", "big/0"]) == ("o30", "o3")
    labels = dict(zip(*(data.queries[c].to_pylist() for c in ("query_id", "label")), strict=True))
    assert labels == {"arc/0": "B", "arc/1": "A", "big/0": "o30"}


def test_ten_and_more_options_keep_their_order(tmp_path: Path) -> None:
    arguments = {f"gen_args_{i}": {"arg_0": "Q", "arg_1": f" o{i}"} for i in range(12)}
    scores = [[str(-20 + i), "False"] for i in range(12)]
    row = choice_row(0, [-1, -2, -3], arguments=arguments, filtered_resps=scores, target="11")
    log(tmp_path, "m", [row | {"arguments": dict(sorted(arguments.items())), "acc": 1.0}])
    data = imported(tmp_path)
    assert data.queries["choices"].to_pylist() == [[f"o{i}" for i in range(12)]]
    assert by_member(data, "answer") == {"m": ["L"]}


def test_a_share_of_the_options_is_no_label(tmp_path: Path) -> None:
    """truthfulqa_mc2: its metric acc is the probability of all right options."""
    log(tmp_path, "a", [choice_row(i, [-1, -2, -3], acc=0.61 + i / 10, target="0") for i in (0, 1)])
    log(tmp_path, "b", [choice_row(i, [-1, -2, -3], acc=1.0, target="0") for i in (0, 1)])
    data = imported(tmp_path)
    assert data.queries["label"].null_count == 2
    assert by_member(data, "score") == {"a": [0.61, 0.71], "b": [1.0, 1.0]}
    assert by_member(data, "answer") == {"a": [None] * 2, "b": [None] * 2}
    assert "arc: 2 scores lie between 0 and 1" in notes(data)[0]


def test_shuffled_options_are_matched_by_text(tmp_path: Path) -> None:
    """As GPQA does: each run has its own order, in the document, too."""
    log(tmp_path, "a", GOOD)
    turned = []
    for i, row in enumerate(GOOD):
        texts = TEXTS[i][::-1]
        doc = row["doc"] | {"choices": texts, "answer": 2 - row["doc"]["answer"]}
        likelihoods = [-1.0, -7.0, -7.5]  # the first of the turned: the last
        turned.append(
            choice_row(i, likelihoods, doc=doc, target=str(doc["answer"]), acc=0.0,
                       arguments=[[f"Question: {QUESTIONS[i]}\nAnswer:", f" {t}"] for t in texts])
        )  # fmt: skip
    log(tmp_path, "b", turned)
    data = imported(tmp_path)
    assert data.queries.num_rows == 2
    assert data.queries["label"].to_pylist() == ["B", "A"]
    assert by_member(data, "answer") == {"a": ["B", "A"], "b": ["C", "C"]}
    assert by_member(data, "choice_scores")["b"] == [[-7.5, -7.0, -1.0]] * 2


def test_documents_with_a_field_more_or_another_number_are_the_same(tmp_path: Path) -> None:
    log(tmp_path, "a", GOOD)
    log(tmp_path, "b", [row | {"doc": row["doc"] | {"source": "exam"}} for row in GOOD])
    log(tmp_path, "c", [row | {"doc": row["doc"] | {"idx": 7 + i}} for i, row in enumerate(GOOD)])
    data = imported(tmp_path)
    assert (data.queries.num_rows, data.responses.num_rows) == (2, 6)
    assert notes(data) == []


def test_documents_whose_other_fields_differ_are_joined_by_what_they_ask(tmp_path: Path) -> None:
    log(tmp_path, "a", [row | {"doc": row["doc"] | {"level": "3"}} for row in GOOD])
    log(tmp_path, "b", [row | {"doc": row["doc"] | {"level": "hard"}} for row in GOOD])
    data = imported(tmp_path)
    assert (data.queries.num_rows, data.responses.num_rows) == (2, 4)
    assert notes(data) == [
        "arc: fields of the documents differ between members; joined by question, "
        "options and target"
    ]


def test_documents_are_joined_whatever_their_numbers(tmp_path: Path) -> None:
    """An unsorted list of --samples logs documents under one another's doc_id."""
    log(tmp_path, "a", GOOD)
    log(tmp_path, "b", [GOOD[1] | {"doc_id": 0}, GOOD[0] | {"doc_id": 1}])
    data = imported(tmp_path)
    assert data.queries.num_rows == 2
    assert by_member(data, "answer") == {"a": ["B", "A"], "b": ["B", "A"]}


def test_other_options_for_one_question_are_not_joined_and_noted(tmp_path: Path) -> None:
    log(tmp_path, "a", GOOD)
    other = choice_row(0, [-1, -2, -3], arguments=[["Q", " x"], ["Q", " y"], ["Q", " z"]])
    other["doc"] = other["doc"] | {"choices": ["x", "y", "z"]}
    log(tmp_path, "b", [other, GOOD[1]])
    data = imported(tmp_path)
    assert data.queries.num_rows == 3
    assert any("arc: 1 questions have other options, targets or fields" in n for n in notes(data))


def test_the_k_th_pass_is_the_k_th_filter(tmp_path: Path) -> None:
    """Logs without `filter`, as written until the end of 2024."""
    rows = [
        reply_row(0, "It is 100.", "[invalid]", 0.0),
        reply_row(1, "#### 7", "7", 0.0),
        reply_row(0, "It is 100.", "100", 1.0),
        reply_row(1, "#### 7", "7", 0.0),
    ]
    for row in rows:
        del row["filter"], row["metrics"]
    names = [{"name": "strict-match"}, {"name": "flexible-extract"}]
    results = {"model_name": "lab/m", "configs": {"arc": {"filter_list": names}}}
    log(tmp_path / "with", "m", rows, results=results)
    data = imported(tmp_path / "with")
    assert by_member(data, "answer") == {"lab/m": ["100", "7"]}
    assert by_member(data, "score") == {"lab/m": [1.0, 0.0]}
    assert "filters strict-match, flexible-extract; took flexible-extract" in notes(data)[0]
    strict = imported(tmp_path / "with", filter="strict-match")
    assert by_member(strict, "answer") == {"lab/m": [None, "7"]}
    log(tmp_path / "without", "m", rows)
    data = imported(tmp_path / "without")
    assert "every document stands there 2 times and no filter is named" in notes(data)[0]
    assert by_member(data, "score") == {"m": [0.0, 0.0]}


def test_a_wanted_filter_or_metric_counts_where_a_task_has_it(tmp_path: Path) -> None:
    rows = [
        reply_row(i, f"#### {i + 100}", a, s, filter=f)
        for f, a, s in (("strict", "[invalid]", 0.0), ("loose", "100", 1.0))
        for i in range(2)
    ]
    log(tmp_path, "m", rows, task="sums")
    log(tmp_path, "m", GOOD)
    data = imported(tmp_path, filter="loose")
    assert [r["answer"] for r in data.responses.to_pylist()] == ["B", "A", "100", "100"]
    assert any("no filter 'loose' (none); took none" in n for n in notes(data))
    with pytest.raises(RecordError, match=r"no task has the filter 'losse'; did you mean 'loose'"):
        imported(tmp_path, filter="losse")
    data = imported(tmp_path, metric="acc_norm")
    assert any("no metric 'acc_norm'" in n for n in notes(data))
    with pytest.raises(RecordError, match="no task has the metric 'f1'"):
        imported(tmp_path, metric="f1")


def test_unfiltered_replies_are_read_by_kind_for_right_and_wrong_alike(tmp_path: Path) -> None:
    said = ["I count 100 of them.", "I count 99 of them."]
    for member, k in zip("ab", (0, 1), strict=True):
        log(tmp_path, member, [reply_row(0, said[k], said[k], 1.0 - k)], task="sums")
    data = imported(tmp_path)
    assert by_member(data, "answer") == {"a": ["100"], "b": ["99"]}
    assert data.queries["label"].to_pylist() == ["100"]


def test_a_filter_that_finds_nothing_leaves_no_answer(tmp_path: Path) -> None:
    log(tmp_path, "a", [
        reply_row(0, "I say 100.", "[invalid]", 0.0, filter="strict"),
        reply_row(1, "So #### 101", "101", 1.0, filter="strict"),
    ])  # fmt: skip
    data = imported(tmp_path)
    assert by_member(data, "answer") == {"a": [None, "101"]}
    assert by_member(data, "text") == {"a": ["I say 100.", "So #### 101"]}


FOUR = ["I say 7", "I say 100", "I say 100", "I say 3"]


def test_repeats_become_samples_and_the_vote_over_them_counts(tmp_path: Path) -> None:
    rows = [
        reply_row(0, FOUR, answer, score, filter=name)
        for name, answer, score in (
            ("score-first", "7", 0.0),
            ("maj@4", "100", 1.0),
            ("maj@2", "7", 0.0),
        )
    ]
    log(tmp_path, "m", rows, task="sums")
    data = imported(tmp_path)
    assert by_member(data, "samples") == {"m": [["7", "100", "100", "3"]]}
    assert (by_member(data, "answer"), by_member(data, "score")) == ({"m": ["100"]}, {"m": [1.0]})
    first = imported(tmp_path, filter="score-first")
    assert (by_member(first, "answer"), by_member(first, "score")) == ({"m": ["7"]}, {"m": [0.0]})
    assert by_member(first, "samples") == {"m": [["7", "100", "100", "3"]]}
    assert any("looks at the first reply alone" in n for n in notes(first))


def test_repeats_without_a_filter_are_samples_too(tmp_path: Path) -> None:
    log(tmp_path, "m", [reply_row(0, FOUR, FOUR[0], 0.0)], task="sums")
    data = imported(tmp_path)
    assert by_member(data, "samples") == {"m": [["7", "100", "100", "3"]]}
    assert (by_member(data, "answer"), by_member(data, "score")) == ({"m": ["7"]}, {"m": [0.0]})


def test_texts_judged_by_another_metric_have_no_answer(tmp_path: Path) -> None:
    row = reply_row(0, "def f(): ...", "def f(): ...", 0.0, metrics=["pass_at_1"], pass_at_1=1.0)
    del row["exact_match"]
    log(tmp_path, "m", [row], task="code")
    data = imported(tmp_path)
    assert (by_member(data, "answer"), by_member(data, "score")) == ({"m": [None]}, {"m": [1.0]})
    assert data.queries["label"].null_count == 1
    assert data.info.answers == "score only"


def test_one_target_for_all_documents_is_a_placeholder(tmp_path: Path) -> None:
    """As IFEval has: target 0 whatever is asked."""
    log(tmp_path, "m", [reply_row(i, "so", "so", float(i % 2), target="0") for i in range(10)])
    data = imported(tmp_path)
    assert data.queries["label"].null_count == 10
    assert "every document has the target '0', a placeholder" in notes(data)[0]


def test_math_verify_compares_answers(tmp_path: Path) -> None:
    row = reply_row(0, r"So \boxed{100}.", r"So \boxed{100}.", 0.0)
    log(tmp_path, "m", [row | {"metrics": ["exact_match", "math_verify"], "math_verify": 1.0}])
    data = imported(tmp_path, metric="math_verify")
    assert data.queries["label"].to_pylist() == ["100"]
    assert (by_member(data, "answer"), by_member(data, "score")) == ({"m": ["100"]}, {"m": [1.0]})


def test_one_continuation_is_right_or_wrong_only_and_not_told(tmp_path: Path) -> None:
    """lambada: the document's text ends on the word to find."""
    text = "She took the lamp, and by night she lit the lamp"
    rows = [
        {
            "doc_id": 0, "doc": {"text": text}, "target": " lamp",
            "arguments": [[text.rpartition(" ")[0], " lamp"]], "resps": [[[-1.5, True]]],
            "filtered_resps": [[-1.5, True]], "acc": 1, "perplexity": -1.5,
        }
    ]  # fmt: skip
    log(tmp_path, "m", rows)
    data = imported(tmp_path)
    assert data.queries.to_pylist()[0] | {"split": None} == {
        "query_id": "arc/0", "task": "arc", "split": None, "choices": None, "label": None,
        "prompt": text.rpartition(" ")[0],
    }  # fmt: skip
    assert by_member(data, "score") == {"m": [1.0]}


def test_prompts_that_hold_their_own_answer_are_warned_of(tmp_path: Path) -> None:
    question = reply_row(0, "", "", 0.0)["doc"]["question"]
    told = f"Q: {question}\nA: it is\n#### 100\n\nQ: {question}\nA:"
    rows = [
        reply_row(0, "100", "100", 1.0, arguments=[[told, {}]]),
        reply_row(1, "101", "101", 1.0, arguments=[[f"{told[:60]}\n\nQ: What is 1?\nA:", {}]]),
    ]
    log(tmp_path, "m", rows)
    assert "arc: 1 of 2 prompts hold their own question and answer" in notes(imported(tmp_path))[0]


def test_chats_are_logged_as_json_in_a_list(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name it."}]
    row = reply_row(0, "100", "100", 1.0, arguments=[[[json.dumps(turns)], {}]], doc={"n": "x"})
    log(tmp_path, "m", [row])
    assert imported(tmp_path).queries["prompt"].to_pylist() == ["Name it."]


def test_repeated_questions_are_told_apart_by_the_whole_prompt(tmp_path: Path) -> None:
    rows = [row | {"doc": {"question": "Who did it?", "n": i}} for i, row in enumerate(GOOD)]
    log(tmp_path, "m", rows)
    prompts = imported(tmp_path).queries["prompt"].to_pylist()
    assert prompts == [f"Question: {q}\nAnswer:" for q in QUESTIONS]


def test_rows_of_a_fork_that_hold_several_filters_and_repeats(tmp_path: Path) -> None:
    rows = []
    for k, said in enumerate(("100", "100", "5")):
        row = reply_row(0, f"I say {said}", None, 0.0, sample_repeat=k)
        del row["filtered_resps"], row["filter"], row["metrics"], row["exact_match"]
        right = float(said == "100")
        row["filter_variants"] = [
            {"filter": "strict", "filtered_resps": ["[invalid]"], "metrics": {"exact_match": 0.0}},
            {"filter": "loose", "filtered_resps": [said], "metrics": {"exact_match": right}},
        ]
        rows.append(row)
    log(tmp_path, "m", rows)
    data = imported(tmp_path, filter="loose")
    assert by_member(data, "samples") == {"m": [["100", "100", "5"]]}
    assert by_member(data, "answer") == {"m": ["100"]}


BROKEN: list[tuple[Row, str]] = [
    ({"filtered_resps": [["-1", "False"], ["-2", "False"]]}, ":1: 2 filtered_resps for 3 arg"),
    ({"filtered_resps": None}, ":1: field 'filtered_resps' is null"),
    ({"arguments": "x"}, ":1: field 'arguments' is missing"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_rows_that_cannot_be_read_are_left_out(tmp_path: Path, change: Row, message: str) -> None:
    file = log(tmp_path, "b", [GOOD[0] | change])
    with pytest.raises(RecordError, match=message):
        imported(file)
    log(tmp_path, "a", GOOD)
    log(tmp_path, "b", [GOOD[0] | change, GOOD[1]])
    data = imported(tmp_path)
    assert data.responses.num_rows == 3
    assert any(message[1:20] in note and "rows cannot be read" in note for note in notes(data))


def test_broken_logs_name_file_and_line(tmp_path: Path) -> None:
    file = log(tmp_path, "m", GOOD)
    whole = file.read_text()
    file.write_text(whole[:-20])
    assert f"{file.name}:2: not JSON" in notes(imported(file))[0]
    file.write_text(whole + whole)
    assert "2 doc_ids stand there again under one filter" in notes(imported(file))[0]
    file.write_text('{"question": 1}\n')
    with pytest.raises(RecordError, match=rf"{file.name}:1: field 'doc_id' is missing"):
        imported(file)
    file.write_text("")
    with pytest.raises(RecordError, match="holds no samples"):
        imported(file)
    file.write_text(whole)
    (tmp_path / "m" / f"results_{TIME}.json").write_text("{")
    assert "not JSON" in notes(imported(tmp_path))[0]
    with pytest.raises(ConfigError, match="does not exist"):
        imported(tmp_path / "no")


def test_the_newest_of_two_runs_is_taken(tmp_path: Path) -> None:
    log(tmp_path, "m", GOOD, time=LATER)
    log(tmp_path, "m", WEAK, time=TIME)
    data = imported(tmp_path)
    assert by_member(data, "score") == {"m": [1.0, 1.0]}
    assert notes(data) == [
        f"arc: m: two runs; took samples_arc_{LATER}.jsonl, left samples_arc_{TIME}.jsonl"
    ]


def test_an_import_can_be_stored_and_read_back(tmp_path: Path) -> None:
    log(tmp_path / "logs", "a", GOOD)
    log(tmp_path / "logs", "b", WEAK)
    data = imported(tmp_path / "logs")
    write_dataset(data, tmp_path / "arc")
    back = read_dataset(tmp_path / "arc")
    assert back.digest() == data.digest()
    assert back.select_members() == ("a", "b")


@pytest.mark.parametrize("value", ["yes", float("nan"), 7, "nan"])
@pytest.mark.parametrize("broken", [1, 11, 12])
def test_a_value_that_is_no_score_leaves_answers_and_labels(
    tmp_path: Path, value: Any, broken: int
) -> None:
    right = [reply_row(i, f"so {i + 100}", f"{i + 100}", 1.0) for i in range(12)]
    odd = [row | ({"exact_match": value} if i < broken else {}) for i, row in enumerate(right)]
    log(tmp_path, "good", right)
    log(tmp_path, "odd", odd)
    data = imported(tmp_path)
    assert data.info.answers == "number"
    assert sorted(data.queries["label"].to_pylist()) == [str(i) for i in range(100, 112)]
    assert None not in by_member(data, "answer")["odd"]
    assert sum(score is None for score in by_member(data, "score")["odd"]) == broken
    assert None not in by_member(data, "score")["good"]
    (said,) = [note for note in notes(data) if "exact_match" in note]
    assert said.startswith(f"arc: odd/samples_arc_{TIME}.jsonl:1: metric 'exact_match' is ")
    assert f"in {broken} of 12 rows" in said
    assert len(said) < 300


def test_a_graded_metric_does_not_replace_an_unreadable_one(tmp_path: Path) -> None:
    rows = [
        reply_row(i, f"so {i + 100}", f"{i + 100}", 1.0, exact_match="yes", f1=0.5)
        | {"metrics": ["exact_match", "f1"]}
        for i in range(12)
    ]
    log(tmp_path, "m", rows)
    data = imported(tmp_path)
    assert data.info.answers == "number"
    assert set(by_member(data, "score")["m"]) == {None}


@pytest.mark.parametrize("old", [False, True])
def test_documents_that_share_a_number_are_several_queries(tmp_path: Path, old: bool) -> None:
    rows = [reply_row(i, f"so {i + 100}", f"{i + 100}", 1.0) | {"doc_id": 0} for i in range(4)]
    if old:
        rows = [{k: v for k, v in row.items() if k != "filter"} for row in rows]
    log(tmp_path, "a", rows)
    log(tmp_path, "b", rows[::-1])
    data = imported(tmp_path)
    found = {(r["member"], r["query_id"], r["answer"]) for r in data.responses.to_pylist()}
    label = {q["query_id"]: q["label"] for q in data.queries.to_pylist()}
    assert sorted(label.values()) == ["100", "101", "102", "103"]
    assert found == {(member, query, label[query]) for member in "ab" for query in label}
    assert any("1 doc_ids stand beside several documents" in note for note in notes(data))
    assert not any("the last counts" in note for note in notes(data))


def test_what_is_said_of_a_file_begins_with_its_task(tmp_path: Path) -> None:
    strict = [reply_row(i, "so 1", "1", 0.0) | {"filter": "strict"} for i in range(3)]
    flexible = [reply_row(i, f"so {i + 100}", f"{i + 100}", 1.0) for i in range(3)]
    log(tmp_path, "a", [*strict, *flexible], task="sums")
    log(tmp_path, "a", [flexible[0] | {"filtered_resps": None}], task="other")
    log(tmp_path, "a", [flexible[0] | {"arguments": None}], task="third")
    said = notes(imported(tmp_path))
    assert any(note.startswith("sums: samples_sums_") and "filters" in note for note in said)
    assert any(note.startswith("other: left out: ") and "is null" in note for note in said)
    assert any(note.startswith("third: left out: ") and "'arguments' is null" in note
               for note in said)  # fmt: skip
