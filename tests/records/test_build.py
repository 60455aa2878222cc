"""From two tables to dense arrays: candidate rules, supports, scores, prices, by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.errors import RecordError
from rlfocal.records import CandidateKind, Dataset, build_table

QUERIES = {
    "query_id": ["choice", "open", "scored"],
    "task": ["b", "a", "a"],
    "split": ["train", None, "test"],
    "prompt": ["Which?", "1 + 1", "Write code"],
    "choices": [["x", "y", "z"], None, None],
    "label": ["B", "2", None],
}
RESPONSES = [
    # query, member, answer, score
    ("choice", "m1", "B", 1.0),
    ("choice", "m2", "C", 0.0),
    ("choice", "m3", None, 0.0),
    ("open", "m1", "3", 0.0),
    ("open", "m2", "2", 1.0),
    ("open", "m3", "11", 0.0),
    ("scored", "m1", None, 0.25),
    ("scored", "m2", None, 1.0),
]


def _dataset(**columns):
    query_id, member, answer, score = (list(c) for c in zip(*RESPONSES, strict=True))
    base = {"query_id": query_id, "member": member, "answer": answer, "score": score}
    return Dataset("hand", pa.table(QUERIES), pa.table(base | columns))


def test_each_kind_of_query_gets_its_candidates():
    table = build_table(_dataset())
    assert table.members == ("m1", "m2", "m3")
    assert table.kind.tolist() == [0, 1, 2]
    assert table.candidates.tolist() == [("A", "B", "C"), ("11", "2", "3"), ("m1", "m2", "m3")]
    assert table.answer.tolist() == [[1, 2, -1], [2, 1, 0], [0, 1, -1]]
    assert table.candidate_score.tolist() == [[0, 1, 0], [0, 1, 0], [0.25, 1, 0]]
    assert table.member_score.tolist() == [[1, 0, 0], [0, 1, 0], [0.25, 1, 0]]
    assert table.is_open.tolist() == [False, True, True]
    assert table.exists.all()
    assert table.tasks == ("a", "b")
    assert table.task.tolist() == [1, 0, 0]
    assert table.split.tolist() == ["train", "", "test"]
    assert table.cost_unit == "call"
    assert table.cost.tolist() == [[1, 1, 1], [1, 1, 1], [1, 1, 0]]
    assert table.notes[-1] == "1 of 9 responses are missing (11.1 %); nothing is counted for them"


def test_a_missing_response_is_told_from_one_of_no_use():
    table = build_table(_dataset())
    assert table.recorded.tolist() == [[True] * 3, [True] * 3, [True, True, False]]
    assert table.judged.all()
    assert table.complete.tolist() == [True, True, False]
    assert table.failed[:, 2].tolist() == [True, True, False]  # m3 on "choice": recorded, no answer
    assert table.member_accuracy.tolist() == pytest.approx([1.25 / 3, 2 / 3, 0])
    assert table.coverage.tolist() == pytest.approx([1, 1, 2 / 3])


def test_a_query_without_label_and_scores_is_left_out_or_kept_unjudged():
    queries = pa.table(QUERIES | {"label": ["B", None, None]})
    score = [None] * 6 + [0.25, 1.0]
    dataset = Dataset("hand", queries, _dataset(score=score).responses)
    table = build_table(dataset)
    assert table.query_ids.tolist() == ["choice", "scored"]
    assert "1 of 3 queries have no label and no score; they are left out" in table.notes
    assert table.judged.all()
    kept = build_table(dataset, unlabelled="keep")
    assert kept.query_ids.tolist() == ["choice", "open", "scored"]
    assert kept.judged.tolist() == [True, False, True]
    assert kept.answer[1].tolist() == [2, 1, 0]  # what was answered is there to look at
    assert kept.recorded[1].all()
    assert not kept.scored[1].any()
    assert kept.member_accuracy.tolist() == table.member_accuracy.tolist()


def test_an_answer_that_nothing_judges_is_left_out_and_counted():
    queries = pa.table(QUERIES | {"label": ["B", None, None]})
    score = [None, None, None, None, 1.0, None, 0.25, None]
    table = build_table(Dataset("hand", queries, _dataset(score=score).responses))
    # On "open" only "2" has a score; on "scored" only m1's response.
    assert table.recorded[1:].tolist() == [[False, True, False], [True, False, False]]
    assert table.answer[1].tolist() == [-1, 1, -1]
    assert not table.support[1, 0].any()
    assert table.cost[1].tolist() == [0, 1, 0]
    said = "3 responses to scored queries have neither a label nor a score of their answer"
    assert any(said in note for note in table.notes)


def test_a_score_says_what_everybody_who_gave_that_answer_is_worth():
    queries = pa.table(QUERIES | {"label": ["B", None, None]})
    answer = [r[2] for r in RESPONSES]
    answer[3] = "2"  # m1 says what m2 says; m2's alone is scored
    score = [None, None, None, None, 1.0, 0.0, 0.25, 1.0]
    responses = _dataset(score=score, answer=answer).responses
    table = build_table(Dataset("hand", queries, responses))
    assert table.recorded[1].all()
    assert table.member_score[1].tolist() == [1, 1, 0]


def test_labelled_queries_on_which_nobody_had_a_usable_answer_are_failures():
    queries = pa.table({k: v[:2] for k, v in QUERIES.items()})
    responses = pa.table({
        "query_id": ["choice", "open", "choice", "open"], "member": ["a", "a", "b", "b"],
        "answer": ["B", None, "C", None],
    })  # fmt: skip
    table = build_table(Dataset("hand", queries, responses))
    assert table.recorded.all()
    assert table.member_accuracy.tolist() == [0.5, 0]


def test_a_member_without_any_judged_response_is_refused():
    queries = pa.table(QUERIES | {"label": ["B", None, None]})
    responses = pa.table({
        "query_id": ["choice", "choice", "open"], "member": ["m1", "m2", "m3"],
        "answer": ["B", "C", "2"],
    })  # fmt: skip
    with pytest.raises(RecordError, match=r"'m3' has no response to any query that has a label"):
        build_table(Dataset("hand", queries, responses))


def test_nothing_judged_among_the_chosen_members_is_refused():
    queries = pa.table(QUERIES | {"label": [None] * 3})
    score = [None, None, 0.0, None, None, 0.0, None, None]
    dataset = Dataset("hand", queries, _dataset(score=score).responses)
    with pytest.raises(RecordError, match="add labels to queries or scores to responses"):
        build_table(dataset, members=("m1", "m2"))


def test_means_of_members_stand_on_what_is_recorded():
    table = build_table(_dataset())
    lacking = table.take(np.array([2]))
    assert lacking.member_accuracy.tolist() == pytest.approx([0.25, 1, 0.625])  # nobody knows m3
    assert lacking.mean_cost.tolist() == [1, 1, 1]
    assert table.call_cost() == 1
    by_task = table.member_task_accuracy
    assert by_task[:, 0].tolist() == pytest.approx([0.125, 1, 0])
    assert lacking.priced_in("call").cost.tolist() == [[1, 1, 0]]
    nothing = table.take(np.zeros(0, dtype=int))
    assert nothing.member_accuracy.tolist() == [0.5] * 3


def test_candidate_order_depends_on_texts_alone():
    members = ("m3", "m1", "m2")
    table = build_table(_dataset(), members=members)
    assert table.members == members
    assert table.candidates[1] == ("11", "2", "3")
    assert table.answer[1].tolist() == [0, 2, 1]


def test_a_smaller_pool_has_only_its_own_open_answers():
    table = build_table(_dataset(), members=("m1", "m2"))
    assert table.candidates[1] == ("2", "3")
    assert table.exists[1].tolist() == [True, True, False]


def test_supports_are_one_hot_or_frequencies_of_usable_samples():
    samples = [None, None, None, ["3", "2", None, "3"], ["2", "5"], ["11"], None, None]
    table = build_table(_dataset(samples=pa.array(samples, pa.list_(pa.string()))))
    assert table.candidates[1] == ("11", "2", "3", "5")
    assert table.samples[1].tolist() == [[2, 1, -1, 2], [1, 3, -2, -2], [0, -2, -2, -2]]
    np.testing.assert_allclose(
        table.support[1], [[0, 1 / 3, 2 / 3, 0], [0, 0.5, 0, 0.5], [1, 0, 0, 0]], rtol=1e-6
    )
    assert table.support[0].tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert table.has_graded_support


def test_option_scores_stand_in_for_a_missing_answer():
    scores = [[0.1, 0.7, 0.2], [0.1, 0.2, 0.3], [0.9, 0.3, 0.1], None, None, None, None, None]
    table = build_table(_dataset(choice_scores=pa.array(scores, pa.list_(pa.float64()))))
    assert table.answer[0].tolist() == [1, 2, 0]
    np.testing.assert_allclose(table.option_scores[0, 2], [0.9, 0.3, 0.1], rtol=1e-6)
    assert np.isnan(table.option_scores[1:]).all()


def test_a_score_may_accept_an_answer_that_is_not_the_label():
    score = [r[3] for r in RESPONSES]
    score[3] = 0.5  # "3" is half right
    score[1] = 1.0  # but for multiple choice the label alone decides
    table = build_table(_dataset(score=score))
    assert table.candidate_score[1].tolist() == [0, 1, 0.5]
    assert table.candidate_score[0].tolist() == [0, 1, 0]


def test_a_label_nobody_gave_scores_nothing():
    queries = pa.table(QUERIES | {"label": ["B", "99", None]})
    responses = _dataset(score=[0.0] * 8).responses
    table = build_table(Dataset("hand", queries, responses))
    assert table.candidate_score[1].tolist() == [0, 0, 0]


def test_missing_prices_are_the_members_mean_and_noted():
    price = [2.0, 4.0, 1.0, None, 4.0, 3.0, 4.0, 4.0]
    table = build_table(_dataset(cost_usd=price))
    assert table.cost_unit == "usd"
    assert table.cost.tolist() == [[2, 4, 1], [3, 4, 3], [4, 4, 0]]  # nobody asked m3 the last one
    assert sum("no price" in note for note in table.notes) == 1
    assert "1 responses have no price; the member's mean is used" in table.notes


def test_a_member_without_any_price_makes_every_call_cost_one():
    price = [2.0, 4.0, None, 2.0, 4.0, None, 4.0, 4.0]
    table = build_table(_dataset(cost_usd=price))
    assert table.cost_unit == "call"
    assert (table.cost == table.recorded).all()
    assert any("every call counts as 1" in note for note in table.notes)


def test_latency_is_unknown_where_not_recorded():
    table = build_table(_dataset(latency_s=[1.0, 2.0, None, 1.0, 2.0, 3.0, 1.0, 2.0]))
    assert np.isnan(table.latency_s).tolist() == [
        [False, False, True], [False, False, False], [False, False, False],
    ]  # fmt: skip
    assert table.latency_s[2, 2] == 0  # nothing is recorded: nobody waited


def test_equal_prompts_share_a_group_whatever_their_choices():
    queries = {
        "query_id": ["a", "b", "c", "d"],
        "prompt": ["p", "p", "p", "q"],
        "choices": [["1", "2"], ["1", "2"], ["2", "1"], None],
        "label": ["A", "A", "A", "x"],
    }
    responses = {
        "query_id": ["a", "b", "c", "d"] * 2,
        "member": ["m"] * 4 + ["n"] * 4,
        "answer": ["A", "A", "B", "x"] * 2,
    }
    table = build_table(Dataset("groups", pa.table(queries), pa.table(responses)))
    assert table.group.tolist() == [0, 0, 0, 1]


def test_texts_become_features():
    table = build_table(
        _dataset(), encode=lambda texts: np.array([[len(t)] for t in texts], dtype=np.float32)
    )
    assert table.features.tolist() == [[6], [5], [10]]
    assert build_table(_dataset()).features.shape == (3, 0)


def test_a_member_without_response_is_refused():
    with pytest.raises(RecordError, match="'ghost' has no response"):
        build_table(_dataset(), members=("m1", "ghost"))


def test_one_member_is_no_pool():
    with pytest.raises(RecordError, match="at least 2 members"):
        build_table(_dataset(), members=("m1",))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "pool", "best", "oracle"),
    [
        ("gsm8k", "mid8", 0.828, 0.975),
        ("bbh", None, 0.4935, 0.8243),
        ("tasks10", None, 0.5663, 0.821),
    ],
)
def test_recorded_data_have_their_published_accuracies(shared_data, name, pool, best, oracle):
    from rlfocal.records.folders import read_dataset

    dataset = read_dataset(shared_data / name)
    table = build_table(dataset, members=dataset.select_members(pool))
    assert table.member_score.mean(axis=0).max() == pytest.approx(best, abs=1e-3)
    assert table.member_score.max(axis=1).mean() == pytest.approx(oracle, abs=1e-3)
    assert set(np.unique(table.kind)) == {
        CandidateKind.RESPONSES if name == "tasks10" else
        CandidateKind.ANSWERS if name == "gsm8k" else CandidateKind.OPTIONS
    }  # fmt: skip
