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
    assert (table.cost == 1).all()
    assert any("1 responses are missing" in note for note in table.notes)


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
    assert table.cost.tolist() == [[2, 4, 1], [3, 4, 3], [4, 4, 2]]
    assert any("no price" in note for note in table.notes)


def test_a_member_without_any_price_makes_every_call_cost_one():
    price = [2.0, 4.0, None, 2.0, 4.0, None, 4.0, 4.0]
    table = build_table(_dataset(cost_usd=price))
    assert table.cost_unit == "call"
    assert (table.cost == 1).all()
    assert any("every call counts as 1" in note for note in table.notes)


def test_latency_is_unknown_where_not_recorded():
    table = build_table(_dataset(latency_s=[1.0, 2.0, None, 1.0, 2.0, 3.0, 1.0, 2.0]))
    assert np.isnan(table.latency_s).tolist() == [
        [False, False, True], [False, False, False], [False, False, True],
    ]  # fmt: skip


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
