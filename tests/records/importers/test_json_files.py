"""Other tools' JSON: whatever is wrong in it is named, and costs only itself."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlfocal.errors import RecordError
from rlfocal.records.importers.json_files import (
    Fields,
    LeftOut,
    json_lines,
    load_json,
    shown,
)
from rlfocal.records.importers.logged import Record
from rlfocal.records.schema import clean


def record(place: str = "x:1") -> Record:
    return Record(member="m", task="t", document="d", place=place)


def test_a_file_is_read_packed_or_not(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.json", tmp_path / "a.json.gz"
    plain.write_bytes(b"\xef\xbb\xbf[1]")
    packed.write_bytes(gzip.compress(b'{"a": 1}'))
    assert load_json(plain) == [1]
    assert load_json(packed) == {"a": 1}
    lines = tmp_path / "a.jsonl.gz"
    lines.write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}'))
    assert [Fields.of_line(line).place for line in json_lines(lines)] == [
        f"{lines}:1",
        f"{lines}:3",
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[1,\n2", r"a\.json:2: not JSON"),
        (b"", r"a\.json:1: not JSON"),
        (b'["a",\n"\xff"]', r"a\.json:2: not UTF-8"),
        (b"[" * 100_000, "not readable as JSON"),
        (b"[" + b"1" * 5000 + b"]", "not readable as JSON"),
        (gzip.compress(b"[1]", mtime=0)[:-4], "cannot be read"),
        (gzip.compress(b"[1]" * 99, mtime=0)[:15] + b"\xff\xff\xff", "cannot be read"),
    ],
)
def test_what_is_no_json_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(RecordError, match=message):
        load_json(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be read"):
        load_json(tmp_path)
    with pytest.raises(RecordError, match="cannot be read"):
        list(json_lines(tmp_path))


@pytest.mark.parametrize("line", [b"{", b'"\xff"', b"[" * 100_000, b"3", b"null"])
def test_a_line_that_is_no_object_is_named(line: bytes) -> None:
    with pytest.raises(RecordError, match="f:7: "):
        Fields.of_line(("f:7", line))


def test_fields_have_the_types_that_are_asked_for() -> None:
    fields = Fields(
        {"t": "a", "n": 2, "b": True, "l": [1], "o": {"x": 1}, "e": None, "s": "\ud83d!"}, "f:1"
    )
    assert (fields.text("t"), fields.optional_text("e"), fields.optional_text("s")) == (
        "a", None, "?!"
    )  # fmt: skip
    assert (fields.number("n"), fields.number("b"), fields.number("none")) == (2, 1, None)
    assert (fields.whole("n"), fields.items("l"), fields.items("e")) == (2, [1], [])
    assert (fields.name("n"), fields.name("o")) == ("2", "")
    assert fields.object("o").place == "f:1: o"
    assert fields.object("e").values == {}


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda f: f.text("tt"), r"f:1: field 'tt' is missing; did you mean 't'"),
        (lambda f: f.text("blank"), r"field 'blank' is ' '; a text is expected"),
        (lambda f: f.optional_text("n"), r"field 'n' is 2; a text is expected"),
        (lambda f: f.number("t"), r"field 't' is 'a'; a number is expected"),
        (lambda f: f.number("n", least=0, most=1), r"is 2; a number in \[0, 1\] is expected"),
        (lambda f: f.number("minus", least=0), r"is -1; a number of 0 or more is expected"),
        (lambda f: f.number("nan"), r"field 'nan' is nan"),
        (lambda f: f.number("huge"), r"field 'huge' is 1000"),
        (lambda f: f.whole("b"), r"field 'b' is True; a whole number"),
        (lambda f: f.items("t"), r"field 't' is 'a'; a list"),
        (lambda f: f.object("t"), r"field 't' is 'a'; an object"),
        (lambda f: f.objects("l"), r"f:1: l\[0\]: 1 is a int; an object is expected"),
    ],
)
def test_other_types_are_named_with_field_and_value(read: object, message: str) -> None:
    values = {
        "t": "a", "n": 2, "b": True, "l": [1], "blank": " ", "minus": -1, "nan": float("nan"),
        "huge": 10**400,
    }  # fmt: skip
    assert callable(read)
    with pytest.raises(RecordError, match=message):
        read(Fields(values, "f:1"))


def test_values_are_shown_on_one_short_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 500)) == 63
    assert clean("naïve") == "naïve"


def test_files_of_folders_are_those_that_belong(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").touch()
    (tmp_path / "b.txt").touch()
    found = LeftOut().files_under(
        [tmp_path, tmp_path / "in"], lambda f: f.suffix == ".json", "logs"
    )
    assert found == [tmp_path / "in" / "a.json"]
    assert LeftOut().files_under([tmp_path / "b.txt"], lambda f: False, "logs") == [
        tmp_path / "b.txt"
    ]
    with pytest.raises(RecordError, match="holds no logs"):
        LeftOut().files_under([tmp_path], lambda f: False, "logs")


def test_a_file_counts_as_a_whole_or_not_at_all() -> None:
    def read(file: str) -> Iterator[Record]:
        yield record()
        if file == "bad":
            raise RecordError("bad: broken in the middle")

    left = LeftOut()
    assert len(left.read_files(["good", "bad"], read)) == 1
    assert left.notes == ["left out: bad: broken in the middle"]
    with pytest.raises(RecordError, match="bad: broken in the middle"):
        LeftOut().read_files(["bad"], read)
    with pytest.raises(RecordError, match="empty: holds no replies"):
        LeftOut().read_files(["empty"], lambda file: [])


def test_rows_that_cannot_be_read_are_counted_in_one_note() -> None:
    def parse(row: int) -> Record | None:
        if row > 1:
            raise RecordError(f"f:{row}: no")
        return record() if row else None

    left = LeftOut()
    assert len(list(left.read_rows([0, 1, 2, 3], parse, "f"))) == 1
    assert left.notes == ["f: 2 of 4 rows cannot be read and are left out; the first: f:2: no"]
    with pytest.raises(RecordError, match="f:2: no"):
        list(left.read_rows([2, 3], parse, "f"))


def test_what_was_left_out_is_said_once_for_each_reason() -> None:
    left = LeftOut()
    left.add("m", "replies failed", "f:1")
    left.add("m", "replies failed", "f:2")
    left.add("n", "replies failed", "g:1")
    left.say()
    left.say()
    assert left.notes == [
        "m: 2 replies failed; the first: f:1", "n: 1 replies failed; the first: g:1"
    ]  # fmt: skip
