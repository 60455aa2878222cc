"""Shares of readers that follow, keep, rescue and change, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from readers import MEMBERS, READERS, Skill, dataset_with_readers, table_with_readers

from rlfocal.bench.summaries.reading.following import followings
from rlfocal.bench.summaries.reading.shares import Share
from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset, DatasetInfo, build_table


def small() -> Dataset:
    """Label A throughout; r reads x and y, its own first answer is f's."""
    given = {  # f, x, y, r
        "q1": "AAAA",  # all right, kept
        "q2": "ABBB",  # own right one given up: led astray
        "q3": "BABA",  # mended
        "q4": "BBCD",  # nobody right, a new wrong answer
        "q5": "CCCC",  # nobody right, repeated; own confirmed
        "q6": "BCBA",  # rescued
    }
    queries = [
        {"query_id": q, "prompt": f"{q}?", "choices": [*"wxyz"], "label": "A"} for q in given
    ]
    rows = [
        {"query_id": q, "member": member, "answer": answer}
        for q, answers in given.items()
        for member, answer in zip("fxyr", answers, strict=True)
    ]
    readers = {"r": ReaderInfo(reads=["x", "y"], first="f", reading="debate")}
    return Dataset("small", queries, rows, DatasetInfo(answers="choice", readers=readers))


def test_by_hand() -> None:
    (found,) = followings(build_table(small()))
    assert found.reader == "r"
    assert found.n_queries == 6
    assert found.follows_right[:2] == (1, 2)  # q2, q3
    assert found.led_astray is not None
    assert found.led_astray[:2] == (1, 2)
    assert found.keeps[:2] == (1, 1)
    assert found.rescues[:2] == (1, 3)
    assert found.repeats_wrong is not None
    assert found.repeats_wrong[:2] == (1, 3)
    assert found.accuracy == pytest.approx(3 / 6)
    assert (found.best_read, found.best_read_accuracy) == ("f", pytest.approx(2 / 6))
    second = found.second_thoughts
    assert second is not None
    assert second.changed[:2] == (4, 6)  # all but q1 and q5
    assert second.mended[:2] == (2, 4)
    assert second.spoilt[:2] == (1, 2)
    assert second.right_confirmed[:2] == (1, 5)  # q1, q3, q4, q5, q6
    assert second.right_alone[:2] == (1, 1)  # q2


def test_against_a_loop() -> None:
    table = table_with_readers(300, seed=3, gone=0.15)
    for found in followings(table):
        about = READERS[found.reader]
        r = MEMBERS.index(found.reader)
        counts = dict.fromkeys(("mixed", "right", "astray", "kept", "all", "none", "rescued"), 0)
        for q in range(table.n_queries):
            read = [MEMBERS.index(name) for name in about.inputs]
            read = [m for m in read if table.answer[q, m] >= 0]
            if not table.recorded[q, r] or not read:
                continue
            right = [table.member_score[q, m] >= 0.5 for m in read]
            own = table.member_score[q, r] >= 0.5
            if all(right):
                counts["all"] += 1
                counts["kept"] += own
            elif any(right):
                counts["mixed"] += 1
                counts["right"] += own
                given = {int(table.answer[q, m]) for m in read}
                counts["astray"] += not own and int(table.answer[q, r]) in given
            else:
                counts["none"] += 1
                counts["rescued"] += own
        assert found.follows_right[:2] == (counts["right"], counts["mixed"])
        assert found.led_astray[:2] == (counts["astray"], counts["mixed"])
        assert found.keeps[:2] == (counts["kept"], counts["all"])
        assert found.rescues[:2] == (counts["rescued"], counts["none"])


def test_set_skills_are_found_within_the_interval() -> None:
    data = dataset_with_readers(1500, seed=5, skill=Skill(follows_right=0.7, own=0.3))
    for found in followings(build_table(data)):
        low, high = found.follows_right.interval
        assert low - 0.02 <= 0.7 <= high + 0.02


def test_where_nobody_reads_there_is_nothing(make_table) -> None:
    assert followings(make_table()) == ()


def test_no_case_is_no_share() -> None:
    nothing = Share(0, 0)
    assert np.isnan(nothing.value)
    assert nothing.interval == (0.0, 1.0)
    assert not nothing.differs
    assert nothing.as_json()["share"] is None


@pytest.fixture
def make_table():
    from rlfocal.records import demo_dataset

    return lambda: build_table(demo_dataset(40))
