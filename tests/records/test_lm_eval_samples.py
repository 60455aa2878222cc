"""Single logged samples: fields in every form that versions and tasks give them."""

from __future__ import annotations

from typing import Any

import pytest

from rlfocal.errors import RecordError
from rlfocal.records.importers.lm_eval_samples import Sample, parse_sample, pick_metric


def generated(**changes: Any) -> Sample:
    row = {
        "doc": {"question": "Who wrote it?"},
        "target": "Ann",
        "arguments": {"gen_args_0": {"arg_0": "Q: Who wrote it?", "arg_1": {"until": []}}},
        "resps": [["I think Ann"]],
        "filtered_resps": ["Ann"],
        "metrics": ["exact_match"],
        "exact_match": 0.0,
    } | changes
    return parse_sample(row, pick_metric(row, None, "log:1"), "log:1")


@pytest.mark.parametrize(
    ("target", "label"),
    [
        ("Ann", "Ann"),
        (" Ann\n", "Ann"),
        ("so\n#### 1,200", "1200"),
        ("3.50", "3.5"),
        (7, "7"),
        (["Ann", "Anna"], None),  # several accepted answers: the score alone tells
        ("['Ann', 'Anna']", None),
        ("", None),
        (None, None),
        ("long " * 300, None),
    ],
)
def test_labels_of_generated_answers(target: Any, label: str | None) -> None:
    assert generated(target=target).label == label


@pytest.mark.parametrize(
    ("filtered", "answer"),
    [
        (["Ann "], "Ann"),
        (["[invalid]"], None),
        ([""], None),
        ([None], None),
        ([], None),
        ([["Bob", "Ann"]], "Bob"),
        (["word " * 300], None),
    ],
)
def test_generated_answers(filtered: list[Any], answer: str | None) -> None:
    assert generated(filtered_resps=filtered).answer == answer


def test_a_right_answer_is_the_label_however_it_is_written() -> None:
    assert generated(filtered_resps=["ANN."], exact_match=1.0).answer == "Ann"
    assert generated(filtered_resps=["ANN."], exact_match=True).score == 1.0
    assert generated(filtered_resps=["ANN."], target=["x"], exact_match=1.0).answer == "ANN."


def test_numbers_are_canonical_where_the_label_is_one() -> None:
    assert generated(target="4", filtered_resps=["$1,000.00"]).answer == "1000"
    assert generated(target="4", filtered_resps=["four"]).answer == "four"


@pytest.mark.parametrize(
    ("doc", "question"),
    [
        ("a plain text", "a plain text"),
        ("", None),
        ({"query": "q", "text": "t"}, "q"),
        ({"question": " ", "text": "t"}, "t"),
        ({"question": ["q"]}, None),
        ({"id": 1}, None),
        (None, None),
        ([1], None),
    ],
)
def test_questions_of_documents(doc: Any, question: str | None) -> None:
    assert generated(doc=doc).question == question


@pytest.mark.parametrize(
    ("value", "score"),
    [("0.25", 0.25), ("high", None), (1, 1.0), (2.5, None), (-1, None), ([1], None)],
)
def test_scores_in_every_form(value: Any, score: float | None) -> None:
    assert generated(exact_match=value).score == score


def test_documents_are_told_apart_by_content_or_else_by_their_hash() -> None:
    assert generated(doc={"a": 1, "b": 2}).document == generated(doc={"b": 2, "a": 1}).document
    assert generated(doc={"a": 1}).document != generated(doc={"a": 2}).document
    assert generated(doc=None, doc_hash="h").document == "h"


def test_metrics_are_chosen_in_order() -> None:
    row = {"metrics": ["pass", "acc_norm", "acc"], "pass": 1.0, "acc": 0.0, "acc_norm": 1.0}
    assert pick_metric(row, None, "log:1") == "acc"
    assert pick_metric(row, "pass", "log:1") == "pass"
    assert pick_metric({"metrics": ["ppl", "pass"], "ppl": 9.5, "pass": 0}, None, "") == "pass"
    assert pick_metric({"metrics": "acc"}, None, "log:1") is None
    with pytest.raises(RecordError, match=r"log:1: no metric 'f1'; metrics found: \(none\)"):
        pick_metric({}, "f1", "log:1")


@pytest.mark.parametrize(
    "responses",
    [[["-1", "maybe"]], [["low", "False"]], [["-1", "False", "x"]], [[None, "True"]], []],
)
def test_what_is_no_pair_of_likelihood_and_greediness_is_a_reply(responses: list[Any]) -> None:
    sample = generated(filtered_resps=responses)
    assert sample.choices is None
    assert sample.choice_scores is None
    assert sample.text == "I think Ann"


def test_likelihoods_under_another_metric_are_scores_only() -> None:
    pairs = [["-1", "False"], ["-2", "True"]]
    arguments = [["Q", " a"], ["Q", " b"]]
    sample = generated(
        filtered_resps=pairs, arguments=arguments, metrics=["mc2"], exact_match=None, mc2=0.3
    )
    assert (sample.score, sample.choices, sample.answer, sample.text) == (0.3, None, None, None)


def test_not_a_number_among_likelihoods_leaves_no_answer() -> None:
    sample = generated(
        filtered_resps=[["nan", "False"], ["-2", "False"]], arguments=[["Q", " a"], ["Q", " b"]]
    )
    assert sample.choices == ("a", "b")
    assert (sample.answer, sample.choice_scores) == (None, None)


def test_bare_letters_without_texts_stay_letters() -> None:
    pairs = [["-1", "False"], ["-2", "False"]]
    arguments = [["Q", " (A)"], ["Q", " (B)"]]
    for doc in ({"choices": ["only one"]}, {"id": 1}, "text"):
        sample = generated(filtered_resps=pairs, arguments=arguments, doc=doc, target="(A)")
        assert sample.choices == ("(A)", "(B)")
