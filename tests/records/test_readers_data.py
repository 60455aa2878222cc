"""Data sets with members that read one another: what is refused, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rlfocal.errors import ConfigError, RecordError
from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset, DatasetInfo, build_table
from rlfocal.records.database import export_dataset, import_dataset, open_database
from rlfocal.records.folders import read_dataset, write_dataset

QUERIES = {"query_id": ["q1", "q2"], "prompt": ["1 + 1 =", "2 + 2 ="], "label": ["2", "4"]}
MEMBERS = ["a", "b", "judge", "last"]
RESPONSES: dict[str, list[Any]] = {
    "query_id": ["q1"] * 4 + ["q2"] * 4,
    "member": MEMBERS * 2,
    "answer": ["2", "3", "2", "3", "5", "4", "4", None],
    "samples": [None, None, ["2", "2"], None, None, None, ["4", None, "4"], None],
    "shown": [
        None, None, [["a", "b"], ["b", "a"]], [["judge"]],
        None, None, [["b", "a"], ["a", "b"], ["b"]], [[]],
    ],
    "verdicts": [None, None, [0, 1], None, None, None, [0, None, 0], None],
}  # fmt: skip
READERS: dict[str, dict[str, Any]] = {
    "judge": {"reads": ["a", "b"], "reading": "judge"},
    "last": {"reads": ["judge"], "first": "b", "reading": "debate"},
}


def build(
    readers: dict[str, dict[str, Any]] | None = None,
    pools: dict[str, list[str]] | None = None,
    columns: Mapping[str, list[Any] | None] | None = None,
) -> Dataset:
    given = {**RESPONSES, **(columns or {})}
    rows = {name: values for name, values in given.items() if values is not None}
    info = DatasetInfo.model_validate(
        {"readers": READERS if readers is None else readers, "pools": pools or {}}
    )
    return Dataset("read", pa.table(QUERIES), pa.table(rows), info)


def changed(column: str, row: int, value: Any) -> dict[str, list[Any]]:
    values = list(RESPONSES[column])
    values[row] = value
    return {column: values}


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl"])
def test_every_format_keeps_what_was_read(tmp_path: Path, format: str) -> None:
    data = build()
    write_dataset(data, tmp_path / "data", format=format)
    back = read_dataset(tmp_path / "data")
    assert back.digest() == data.digest()
    for column in ("shown", "verdicts", "samples"):
        assert back.responses[column].to_pylist() == RESPONSES[column]
    assert back.info.readers == {k: ReaderInfo(**v) for k, v in READERS.items()}
    reads = build_table(back).reads
    assert reads is not None
    assert reads.stage.tolist() == [0, 0, 1, 2]


def test_a_database_gives_back_what_was_imported(tmp_path: Path, database_url: str) -> None:
    data = build()
    with open_database(database_url) as database:
        assert import_dataset(database, data) == 8
        back = export_dataset(database)
        assert back.digest() == data.digest()
        assert back.info.readers == data.info.readers
        assert back.responses["shown"].to_pylist() == RESPONSES["shown"]
        assert back.responses["verdicts"].to_pylist() == RESPONSES["verdicts"]
        # Beside another data set its readers are known, too.
        other = Dataset("other", pa.table(QUERIES), pa.table({"query_id": ["q1", "q2"],
                        "member": ["c", "c"], "answer": ["1", "4"]}))  # fmt: skip
        import_dataset(database, other)
        both = export_dataset(database)
        assert both.info.readers == data.info.readers
        assert set(both.members) == {*MEMBERS, "c"}
        with pytest.raises(ConfigError, match="member 'last' reads 'judge', which is not to be ex"):
            export_dataset(database, members=["a", "b", "last"])


@pytest.mark.parametrize(
    ("readers", "message"),
    [
        (
            READERS | {"jugde": {"reads": ["a"]}},
            r"dataset\.json: readers: no response of member 'jugde'; did you mean 'judge'",
        ),
        (
            READERS | {"last": {"reads": ["judg"]}},
            r"dataset\.json: readers\.last\.reads: no response of member 'judg'; did you mean "
            "'judge'.*; correct the name, or leave it out",
        ),
        (
            READERS | {"last": {"reads": ["judge"], "first": "c"}},
            r"dataset\.json: readers\.last\.first: no response of member 'c'",
        ),
        (READERS | {"last": {"reads": []}}, r"dataset\.json: readers\.last: reads nobody; name"),
        (
            READERS | {"last": {"reads": ["judge"], "first": "judge"}},
            r"dataset\.json: readers\.last: 'judge' stands there twice; leave one out",
        ),
        (
            READERS | {"a": {"reads": ["last"]}},
            r"dataset\.json: readers: 'a' reads 'last' reads 'judge' reads 'a': nobody could be ",
        ),
        ({"last": READERS["last"]}, r"'shown' is of members that .* nothing of these: .*'judge'"),
    ],
)
def test_who_reads_whom_is_checked(readers: dict[str, dict[str, Any]], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        build(readers)


def test_pools_and_choices_of_members_hold_those_who_are_read() -> None:
    with pytest.raises(
        RecordError,
        match=r"dataset\.json: pools\.two: 'judge' reads 'b', which is not in it; add 'b', or",
    ):
        build(pools={"two": ["a", "judge"]})
    data = build(pools={"three": ["b", "a", "judge"]})
    assert data.select_members("three") == ("b", "a", "judge")
    assert data.select_members(members=["a", "b"]) == ("a", "b")
    with pytest.raises(ConfigError, match="members: 'last' reads 'judge', which is not among them"):
        data.select_members(members=["a", "b", "last"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (changed("shown", 3, [["a"]]), r"'a' is not among those whom 'last' reads .*q1.*row 4"),
        (changed("shown", 0, [["b"]]), r"'shown' is of members .* 'a' \(row 1\)"),
        (changed("shown", 2, [["a", "b"]]), r"shown needs one item a sample.*has 1 for 2"),
        (changed("shown", 3, [["judge"], ["judge"]]), r"shown needs one item .*has 2 for 1"),
        (changed("shown", 2, [["a", "b"], None]), r"shown holds a null.*row 3"),
        (changed("shown", 2, None), r"verdicts without 'shown'.*row 3"),
        (changed("verdicts", 2, [0]), r"verdicts needs one item a sample.*has 1 for 2"),
        (
            changed("verdicts", 2, [0, 2]),
            r"verdicts outside what was shown: .*verdicts \[0, 2\] \(row 3\)",
        ),
        (changed("verdicts", 6, [0, -2, 0]), r"verdicts outside what was shown.*row 7"),
        (changed("verdicts", 6, [0, 0, 1]), r"verdicts outside what was shown.*row 7"),
        ({"shown": None}, r"verdicts without 'shown'"),
    ],
)
def test_what_readers_saw_is_checked(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        build(columns=columns)


def test_none_of_them_is_a_verdict() -> None:
    data = build(columns=changed("verdicts", 2, [-1, 1]))
    assert data.responses["verdicts"].to_pylist()[2] == [-1, 1]


def test_a_folder_names_file_and_field(tmp_path: Path) -> None:
    write_dataset(build(), tmp_path / "data", format="jsonl")
    path = tmp_path / "data" / "dataset.json"
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | {"readers": {"judge": {"reads": ["x"], "reading": "judge"}}}))
    with pytest.raises(RecordError, match=r"data: dataset\.json: readers\.judge\.reads: .*'x'"):
        read_dataset(tmp_path / "data")
    path.write_text(json.dumps(info | {"readers": {"judge": {"read": ["a"]}}}))
    with pytest.raises(RecordError, match=r"dataset\.json: readers\.judge\.reads: Field required"):
        read_dataset(tmp_path / "data")


def test_a_judges_support_is_the_share_of_its_samples() -> None:
    table = build_table(build())
    judge = table.members.index("judge")
    assert table.candidates.tolist() == [("2", "3"), ("4", "5")]
    assert table.support[:, judge].tolist() == [[1.0, 0.0], [1.0, 0.0]]
    split = build(columns=(changed("samples", 2, ["2", "3"]) | changed("verdicts", 2, [0, 0])))
    assert build_table(split).support[0, judge].tolist() == [0.5, 0.5]


def scores_only(verdicts: list[int | None], score: float) -> dict[str, Any]:
    """Essays of a and b, a judge that saw both in both orders, a critic; of each a score alone."""
    shown = [["a", "b"], ["b", "a"], ["a", "b"]]
    rows: dict[str, list[Any]] = {
        "query_id": ["q1"] * 4,
        "member": ["a", "b", "critic", "judge"],
        "answer": [None] * 4,
        "score": [0.3, 0.9, 0.0, score],
        "shown": [None, None, [["a", "b"]], shown[: len(verdicts)]],
        "verdicts": [None, None, None, verdicts],
    }
    if len(verdicts) > 1:
        rows["samples"] = [None, None, None, [None] * len(verdicts)]
    return rows


@pytest.mark.parametrize(
    ("verdicts", "answer", "support"),
    [
        ([1], 1, [0, 1]),
        ([0], 0, [1, 0]),
        ([None], -1, [0, 0]),
        ([-1], -1, [0, 0]),
        ([1, 0], 1, [0, 1]),
        ([0, 0], 0, [0.5, 0.5]),
        ([None, 0], 1, [0, 1]),
        ([1, 1, 0], 0, [2 / 3, 1 / 3]),
        ([1, 1, None], 1, [0.5, 0.5]),
        ([None, None], -1, [0, 0]),
    ],
)
def test_where_only_scores_are_known_a_judge_backs_the_reply_that_it_names(
    verdicts: list[int | None], answer: int, support: list[float]
) -> None:
    queries = pa.table({"query_id": ["q1"], "prompt": ["Write."]})
    readers = {
        "judge": {"reads": ["a", "b"], "reading": "judge"},
        "critic": {"reads": ["a", "b"], "reading": "criticise"},
    }
    info = DatasetInfo.model_validate({"readers": readers, "answers": "score only"})
    worth = [0.3, 0.9][answer] if answer >= 0 else 0.0
    table = build_table(Dataset("essays", queries, pa.table(scores_only(verdicts, worth)), info))
    assert table.members == ("a", "b", "critic", "judge")
    assert table.kind.tolist() == [2]
    assert table.answer[0].tolist() == [0, 1, -1, answer]
    assert table.support[0, 3, :2].tolist() == pytest.approx(support)
    assert table.support[0, :, 2:].sum() == 0
    assert table.support[0, 2].sum() == 0
    assert table.support[0, 0].tolist() == [1, 0, 0, 0]
    assert table.member_score[0].tolist() == pytest.approx([0.3, 0.9, 0.0, worth])
    assert table.recorded.all()


def test_who_need_not_answer_does_not_smell() -> None:
    """Critics, and those who call replies wrong; a judge that names nobody does."""
    names = [f"q{k}" for k in range(30)]
    queries = pa.table({"query_id": names, "prompt": names, "label": ["7"] * 30})
    answers = {"a": "7", "b": "7", "critic": None, "verifier": None, "judge": None}
    rows = pa.table({
        "query_id": names * 5,
        "member": [name for name in answers for _ in names],
        "answer": [answer for answer in answers.values() for _ in names],
    })  # fmt: skip
    forms = {"critic": "criticise", "verifier": "verify", "judge": "judge"}
    readers = {name: {"reads": ["a"], "reading": form} for name, form in forms.items()}
    info = DatasetInfo.model_validate({"answers": "number", "readers": readers})
    notes = build_table(Dataset("read", queries, rows, info)).notes
    assert [note for note in notes if "usable" in note] == [
        "judge: 30 of 30 replies hold no usable answer; look at the column `answer`, or give whole "
        "replies in `text`"
    ]
    assert not [note for note in notes if "% right" in note]
