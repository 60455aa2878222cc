"""Biases of judges: hand values, and judges with biases that were set."""

from __future__ import annotations

import pytest
from readers import Skill, dataset_with_readers

from rlfocal.bench.summaries.reading import readings_of
from rlfocal.bench.summaries.reading.judging import judge_biases, named_by, verdicts_of
from rlfocal.errors import ConfigError
from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset, DatasetInfo, build_table


def small() -> Dataset:
    """Judge j of x and y; label A. Texts of x are longer."""
    said = {  # x, y, what was shown, verdicts
        "q1": ("A", "B", [["x", "y"], ["y", "x"]], [0, 1]),  # x twice: consistent, right
        "q2": ("A", "B", [["x", "y"], ["y", "x"]], [0, 0]),  # first twice: stuck
        "q3": ("B", "B", [["y", "x"], ["x", "y"]], [0, None]),  # alike; one unclear
        "q4": ("A", "A", [["y", "x"], ["x", "y"]], [-1, 1]),  # alike; none, then y
        "q5": ("A", "B", [["x"]], [0]),  # one alone: no choice
    }
    queries = [{"query_id": q, "prompt": f"{q}?", "choices": [*"wxyz"], "label": "A"} for q in said]
    rows = []
    for q, (x, y, shown, verdicts) in said.items():
        rows += [
            {"query_id": q, "member": "x", "answer": x, "text": f"a long reply: {x}"},
            {"query_id": q, "member": "y", "answer": y, "text": y},
            {
                "query_id": q,
                "member": "j",
                "answer": x,
                "samples": [x] * len(shown),
                "shown": shown,
                "verdicts": verdicts,
            },
        ]
    readers = {"j": ReaderInfo(reads=["x", "y"], reading="judge")}
    return Dataset("small", queries, rows, DatasetInfo(answers="choice", readers=readers))


def test_by_hand() -> None:
    data = small()
    table = build_table(data)
    verdicts = {"j": verdicts_of(table, data, "j")}
    assert [len(one.shown) for one in verdicts["j"]] == [2, 2, 2, 2, 2, 2, 2, 2, 1]
    (found,) = judge_biases(table, data, verdicts, family={"j": ["y"]})
    assert found.n_verdicts == 8
    assert found.unclear[:2] == (2, 8)
    # Clear ones: x, x | x, y | y (first) | y (second).
    assert found.by_place[0] == (4, 6, 0.5)
    assert found.by_place[1] == (2, 6, 0.5)
    assert found.first_alike == (1, 2, 0.5)
    assert found.consistent[:2] == (1, 2)
    assert found.stuck[:2] == (1, 2)
    assert found.names_right[:2] == (3, 4)
    assert found.longest == (3, 6, 0.5)
    assert found.longest_alike == (0, 2, 0.5)
    assert found.family == (3, 6, 0.5)
    assert found.family_alike == (2, 2, 0.5)


def test_whom_they_name_by_hand() -> None:
    data = small()
    table = build_table(data)
    found = named_by(table, {"j": verdicts_of(table, data, "j")})
    j, x, y = (table.members.index(name) for name in "jxy")
    assert found[0, j, [x, y]].tolist() == [1, 0]
    assert found[1, j, [x, y]].tolist() == [0.5, 0.5]
    assert found[3, j, [x, y]].tolist() == [0, 1]
    assert found[:, [x, y]].sum() == 0


@pytest.mark.parametrize("takes_first", [0.0, 0.5])
def test_set_position_bias_is_found(takes_first: float) -> None:
    data = dataset_with_readers(800, seed=1, skill=Skill(takes_first=takes_first))
    found = readings_of(build_table(data), data)
    assert found is not None
    (judge,) = found.judges
    low, high = judge.by_place[0].interval
    wanted = takes_first + (1 - takes_first) / 3
    assert low - 0.02 <= wanted <= high + 0.02
    assert judge.by_place[0].differs == (takes_first > 0)
    assert sum(share.hits for share in judge.by_place) == judge.n_verdicts


def test_without_the_data_set_no_verdicts_are_known() -> None:
    data = dataset_with_readers(60)
    found = readings_of(build_table(data))
    assert found is not None
    assert found.judges == ()
    assert {one.reader for one in found.following} == {"judge", "second", "top"}


def test_the_family_is_the_users_word() -> None:
    data = dataset_with_readers(60)
    table = build_table(data)
    found = readings_of(table, data, family={"judge": ["a"]})
    assert found is not None
    assert found.judges[0].family is not None
    assert readings_of(table, data).judges[0].family is None
    with pytest.raises(ConfigError, match="'second' judges nothing; judges: judge"):
        readings_of(table, data, family={"second": ["a"]})
    with pytest.raises(ConfigError, match="family of 'judge': unknown member 'z'"):
        readings_of(table, data, family={"judge": ["z"]})


def test_a_judge_shown_its_own_earlier_reply_has_that_for_its_family() -> None:
    data = small()
    info = data.info.model_copy(
        update={
            "readers": {
                "j": ReaderInfo(reads=["x", "y"], reading="judge"),
                "x2": ReaderInfo(reads=["y"], first="j", reading="debate"),
            }
        }
    )
    rows = [*data.responses.to_pylist(), {"query_id": "q1", "member": "x2", "answer": "A"}]
    other = Dataset("small", data.queries, rows, info)
    found = readings_of(build_table(other), other)
    assert found is not None
    assert found.judges[0].family is not None
    assert found.judges[0].family.n == 0  # x2 is never shown to it
