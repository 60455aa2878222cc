"""Importance passed back, and values of roles: hand values and laws."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import MEMBERS, dataset_with_readers, table_with_readers

from rlfocal.bench.summaries.reading import readings_of
from rlfocal.bench.summaries.reading.importance import (
    importance_of,
    propagated,
    rank_correlation,
    ratings,
)
from rlfocal.bench.summaries.reading.roles import role_values
from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records import Dataset, DatasetInfo, ResponseTable, build_table


def chain(answers: list[str], label: str = "A") -> ResponseTable:
    """Members a, b, c; j judges these; s and t read j and a. One query for each text "abcjst"."""
    queries = [
        {"query_id": f"q{q}", "prompt": f"{q}?", "choices": [*"wxyz"], "label": label}
        for q in range(len(answers))
    ]
    rows = [
        {"query_id": f"q{q}", "member": member, "answer": answer if answer != "-" else None}
        for q, line in enumerate(answers)
        for member, answer in zip("abcjst", line, strict=True)
    ]
    readers = {
        "j": ReaderInfo(reads=["a", "b", "c"], reading="judge"),
        "s": ReaderInfo(reads=["a", "j"], reading="aggregate"),
        "t": ReaderInfo(reads=["a", "j"], reading="refine"),
    }
    return build_table(
        Dataset("chain", queries, rows, DatasetInfo(answers="choice", readers=readers))
    )


def test_importance_by_hand() -> None:
    # s and t agree on A: half each, of which they give half to j and half to a; so both have 1/2. j
    # gave A, as a and b did: a quarter to each of them.
    found = importance_of(chain(["AABAAA"]))
    assert found is not None
    assert found.value == pytest.approx(
        {"a": 0.75, "b": 0.25, "c": 0.0, "j": 0.5, "s": 0.5, "t": 0.5}
    )
    assert found.agreement == {"a": 1, "b": 1, "c": 0, "j": 1, "s": 1, "t": 1}
    assert found.ranked == ("a", "b", "c")


def test_who_agrees_with_nobody_passes_nothing_on() -> None:
    found = importance_of(chain(["AABDDD"]))  # j, s and t say what nobody gave
    assert found is not None
    assert found.value == pytest.approx({"a": 0, "b": 0, "c": 0, "j": 1, "s": 0.5, "t": 0.5})


def test_final_answers_that_tie_share() -> None:
    found = importance_of(chain(["ABCAAB"]))  # s says A as a and j do, t says B as nobody it read
    assert found is not None
    assert found.value == pytest.approx(
        {"a": 0.25 + 0.25, "b": 0, "c": 0, "j": 0.25, "s": 0.5, "t": 0.5}
    )


def test_verdicts_are_the_ratings_of_judges() -> None:
    table = chain(["AABAAA"])
    named = np.zeros((1, 6, 6), dtype=np.float32)
    j, a, b, c = (table.members.index(name) for name in "jabc")
    named[0, j, b] = 1
    found = importance_of(table, named)
    assert found is not None
    assert found.value["b"] == pytest.approx(0.5)
    assert found.value["a"] == pytest.approx(0.5)
    assert ratings(table, named)[0, j, [a, b, c]].tolist() == [0, 1, 0]


def test_it_rewards_conformity_whatever_is_right() -> None:
    found = importance_of(chain(["BBABBB"] * 5, label="A"))  # all but c are wrong together
    assert found is not None
    assert found.with_accuracy is not None
    assert found.with_accuracy < 0
    assert found.with_agreement == pytest.approx(0.866, abs=1e-3)  # a and b tie in agreement alone


def test_without_a_final_answer_there_is_none() -> None:
    assert importance_of(chain(["AAAA--"])) is None


@settings(max_examples=40, deadline=None)
@given(data=st.data(), n=st.integers(2, 6))
def test_what_is_passed_on_is_what_was_had(data: st.DataObject, n: int) -> None:
    names = [f"m{k}" for k in range(n)]
    readers = {
        names[k]: ReaderInfo(reads=sorted(read))
        for k in range(1, n)
        if (read := data.draw(st.sets(st.sampled_from(names[:k]))))
    }
    reads = Reads.of(names, readers)
    if reads is None:
        return
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    weight = rng.random((3, n, n)) * reads.direct
    weight /= np.maximum(weight.sum(axis=2, keepdims=True), 1e-12)
    final = rng.random((3, n))
    found = propagated(reads, final, weight.astype(np.float32))
    # By definition, member by member: what it had, and its share of what its readers have.
    for q in range(3):
        for m in range(n):
            passed = sum(found[q, r] * weight[q, r, m] for r in range(n))
            assert found[q, m] == pytest.approx(final[q, m] + passed, rel=1e-5)


def test_ratings_sum_to_one_or_nothing() -> None:
    table = table_with_readers(80, seed=2, gone=0.2)
    total = ratings(table, None).sum(axis=2)
    assert (np.isclose(total, 1, atol=1e-5) | (total == 0)).all()
    assert (total[:, : MEMBERS.index("judge")] == 0).all()


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 1, 2], [1, 2, 3], 0.866),
        ([1, 1, 1], [1, 2, 3], None),
    ],
)
def test_rank_correlation_by_hand(one, other, wanted) -> None:
    found = rank_correlation(np.array(one, dtype=float), np.array(other, dtype=float))
    assert found is wanted if wanted is None else found == pytest.approx(wanted, abs=1e-3)


def test_values_of_roles_by_hand() -> None:
    table = chain(["AABAAB", "BABBBA"])
    found = {one.member: one for one in role_values(table)}
    # s is right on the first query, t on the second.
    assert {name: one.role for name, one in found.items()} == {
        "a": "generator", "b": "generator", "c": "generator", "j": "critic",
        "s": "refiner", "t": "refiner",
    }  # fmt: skip
    assert found["a"].leaves == ("s", "t")
    assert found["a"].value == pytest.approx(0.5)
    assert found["a"].beside is None
    assert (found["s"].value, found["s"].beside) == (pytest.approx(0.5), pytest.approx(0.5))
    # a is right on the first query, where s is; so is j. c is wrong on both.
    assert (found["a"].where_right, found["a"].where_wrong) == (0.5, 0.5)
    assert (found["c"].where_right, found["c"].where_wrong) == (None, 0.5)
    assert (found["s"].where_right, found["s"].where_wrong) == (None, None)
    low, high = found["j"].interval
    assert low < 0.5 < high
    assert found["j"].n_queries == 2


def test_a_role_is_judged_by_all_samples_of_what_read_it() -> None:
    table = chain(["AABAAB"])
    samples = np.full((1, 6, 4), -2, dtype=np.int16)
    samples[..., 0] = table.answer
    samples[0, table.members.index("s")] = [0, 1, 1, -1]
    from dataclasses import replace

    found = {one.member: one for one in role_values(replace(table, samples=samples))}
    assert found["s"].value == pytest.approx(0.25)
    assert found["a"].value == pytest.approx((0.25 + 0) / 2)


def test_everything_is_plain_json() -> None:
    data = dataset_with_readers(80, seed=4)
    found = readings_of(build_table(data), data, family={"judge": ["a"]})
    assert found is not None
    again = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [row["member"] for row in again["members"]] == [*MEMBERS]
    assert again["judges"][0]["by_place"][0]["n"] > 0


def test_prices_stand_alone_and_with_whom_they_wait_for() -> None:
    data = dataset_with_readers(80, seed=4)
    table = build_table(data)
    found = readings_of(table, data)
    assert found is not None
    prices = {one.member: (one.price, one.full_price) for one in found.members}
    assert prices["a"][0] == prices["a"][1]
    alone = {name: price for name, (price, _) in prices.items()}
    assert prices["judge"][1] == pytest.approx(sum(alone[n] for n in ("a", "b", "c", "judge")))
