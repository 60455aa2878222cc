"""Any table file as named columns of plain values, each row with its place.

CSV whatever its separator, JSON lines, JSON in the shapes that programs write, Parquet. Knows
nothing of what columns mean.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from rlfocal.errors import RecordError
from rlfocal.records.files.formats import read_json_lines
from rlfocal.records.synonyms import meant_by

__all__ = ["SUFFIXES", "Sheet", "read_sheet", "suffix_of"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
DEPTH = 3
"""Of objects in objects that are taken apart."""
Row = Mapping[str, Any]


@dataclass
class Sheet:
    """One file's table.

    Attributes:
        path: the file.
        columns: name → values, all equally many; None where a cell is empty. Texts of a CSV file,
            else what JSON or Parquet held, with objects taken apart into `outer.inner`.
        lines: line of each row, where the file has one line a row.
        rows: row of the file (from 0) of each row, where one became several; else it is its own.
        notes: what was found out in reading.
    """

    path: Path
    columns: dict[str, list[Any]]
    lines: Sequence[int] | None = None
    rows: Sequence[int] | None = None
    notes: list[str] = field(default_factory=list)
    separator: str = ""
    """Between the columns of CSV."""

    def __len__(self) -> int:
        """Count rows."""
        return len(next(iter(self.columns.values()), ()))

    def place(self, row: int) -> str:
        """Where a row (from 0) stands, for messages."""
        if self.lines is not None:
            return f"{self.path}:{self.lines[row]}"
        if self.rows is not None:
            row = self.rows[row]
        return f"{self.path}: row {row + 1}"


def suffix_of(path: Path) -> str:
    """The suffix that decides, without .gz."""
    name = path.name.lower().removesuffix(".gz")
    return name[name.rfind(".") :] if "." in name else ""


def read_sheet(path: Path, separator: str | None = None) -> Sheet:
    """Read one file by its suffix.

    Args:
        path: .csv, .tsv, .txt, .jsonl, .ndjson, .json or .parquet; text files also as .gz.
        separator: between the columns of CSV; None: the first line tells.

    Raises:
        RecordError: it cannot be read, or holds no table; the line or row is named.
    """
    suffix = suffix_of(path)
    try:
        if suffix in (".csv", ".tsv", ".txt"):
            sheet = _read_csv(path, separator or ("\t" if suffix == ".tsv" else None))
        elif suffix in _READERS:
            sheet = _READERS[suffix](path)
        else:
            raise RecordError(f"{path}: no table known here; {_KNOWN}{_export(suffix)}")
    except (OSError, EOFError, zlib.error) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc
    if not len(sheet):
        raise RecordError(f"{path}: no rows; at least one is needed")
    return _flat(sheet)


def _export(suffix: str) -> str:
    if suffix in (".pkl", ".pickle"):
        return (
            ": a pickle can run code when it is read, so it is never opened; in the program that "
            "trusts it: pandas.read_pickle(FILE).to_parquet('table.parquet')"
        )
    if suffix in (".xlsx", ".xls", ".ods"):
        return ": save the sheet as CSV"
    return ""


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def _text(path: Path) -> str:
    data = _bytes(path)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise RecordError(
            f"{path}:{line}: not UTF-8 text ({exc.reason}); save or convert the file as UTF-8"
        ) from exc


# CSV ----------------------------------------------------------------------------------------------


def _read_csv(path: Path, separator: str | None) -> Sheet:
    text = _text(path)
    if "\0" in text:
        raise RecordError(f"{path}: holds null characters: it is no text file")
    given = separator
    declared = re.match(r"sep=(.)\r?\n", text)  # Excel reads and writes this line
    if declared is not None:
        text, separator = text[declared.end() :], separator or declared[1]
    separator = separator or _separator(text)
    if len(separator) != 1:
        raise RecordError(f"--delimiter: one character is needed, found {separator!r}")
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
    _check_names(path, header)
    ragged: list[pa.csv.InvalidRow] = []

    def note(row: pa.csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    data = text.encode()
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data),
            # one block and one thread: values may be long, and rows then have numbers
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=min(len(data) + 1, 2**31 - 1),
                autogenerate_column_names=True,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=separator, newlines_in_values=True, invalid_row_handler=note
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types={f"f{i}": pa.string() for i in range(len(header))},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowException as exc:
        raise RecordError(f"{path}: not a readable CSV file: {exc}") from exc
    if ragged:
        first = ragged[0]
        raise RecordError(
            f"{path}: row {(first.number or 2) - 1}: {first.actual_columns} values where the first "
            f"line names {len(header)} columns ({len(ragged)} such rows); quote values that hold "
            f"{SEPARATORS.get(separator, repr(separator))}, or name another --delimiter"
        )
    columns = {
        name: table.column(i).slice(1).to_pylist() for i, name in enumerate(header) if name.strip()
    }
    notes = []
    if given is None and separator != ",":
        said = SEPARATORS.get(separator, repr(separator))
        notes.append(f"{path.name}: columns are separated by {said}")
    return Sheet(path, columns, notes=notes, separator=separator)


def _separator(text: str) -> str:
    """The separator that makes most columns of the first line."""
    counts = {
        s: len(next(csv.reader(io.StringIO(text, newline=""), delimiter=s), [])) for s in SEPARATORS
    }
    return max(counts, key=lambda s: counts[s])


def _check_names(path: Path, names: Sequence[str]) -> None:
    if not any(name.strip() for name in names):
        raise RecordError(f"{path}: the first line names no columns")
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    if twice:
        raise RecordError(f"{path}: column '{twice[0]}' is there more than once; rename one")


# JSON, Parquet ------------------------------------------------------------------------------------


def _read_jsonl(path: Path) -> Sheet:
    rows, lines = [], []
    for number, row in read_json_lines(path):
        rows.append(row)
        lines.append(number)
    return Sheet(path, _columns(rows), lines)


def _read_json(path: Path) -> Sheet:
    text = _text(path)
    try:
        value = json.loads(text)
    except RecursionError as exc:
        raise RecordError(f"{path}: not JSON: nested too deeply") from exc
    except json.JSONDecodeError as exc:
        if exc.msg == "Extra data" and text[: exc.pos].strip().startswith("{"):
            sheet = _read_jsonl(path)
            sheet.notes.append(f"{path.name}: one object a line, read as JSON lines")
            return sheet
        raise RecordError(f"{path}:{exc.lineno}: not JSON: {exc.msg}") from exc
    notes: list[str] = []
    return Sheet(path, _columns(_rows_of(path, value, notes)), notes=notes)


def _rows_of(path: Path, value: Any, notes: list[str]) -> Sequence[Row]:
    """Rows of a list of objects, of an object that holds one, or of what pandas writes."""
    if isinstance(value, list):
        for number, row in enumerate(value, start=1):
            if not isinstance(row, dict):
                raise RecordError(
                    f"{path}: row {number}: a {type(row).__name__} where an object is expected: "
                    '{"prompt": ...}'
                )
        return list(value)
    if not isinstance(value, dict):
        raise RecordError(f"{path}: a {type(value).__name__} where a list of objects is expected")
    lists: dict[str, list[Row]] = {k: v for k, v in value.items() if _is_list_of_objects(v)}
    if len(lists) == 1:
        name, rows = next(iter(lists.items()))
        if set(value) != {name}:
            notes.append(f"{path.name}: rows are those of '{name}'; the rest of it is ignored")
        return rows
    if lists:
        raise RecordError(
            f"{path}: holds several lists of objects ({', '.join(map(repr, lists))}); keep one in "
            "a file of its own"
        )
    table = _pandas_rows(value)
    if table is None:
        found = ", ".join(map(repr, list(value)[:5])) or "(nothing)"
        raise RecordError(
            f"{path}: no list of objects in it; keys found: {found}; give a list of objects, one a "
            "row"
        )
    return table


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(v, dict) for v in value)


def _pandas_rows(value: Mapping[str, Any]) -> list[Row] | None:
    """Rows of `DataFrame.to_json` in any orientation; None where it is something else."""
    names, data = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(data, list):
        return [
            dict(zip(map(str, names), row, strict=False)) for row in data if isinstance(row, list)
        ]
    cells = list(value.values())
    if cells and all(isinstance(c, dict) for c in cells):
        inner = list(cells[0])
        if inner and all(key.isdigit() for key in inner) and all(list(c) == inner for c in cells):
            return [{name: column[key] for name, column in value.items()} for key in inner]
        return [{"id": key} | row for key, row in value.items()]
    if cells and all(isinstance(c, list) and len(c) == len(cells[0]) for c in cells):
        return [dict(zip(value, row, strict=True)) for row in zip(*cells, strict=True)]
    return None


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {str(name): [row.get(name) for row in rows] for name in names}


def _read_parquet(path: Path) -> Sheet:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_names(path, names)
            table = file.read([n for n in names if n != "__index_level_0__"])
            return Sheet(path, {n: _values(table[n]) for n in table.column_names})
    except (pa.ArrowException, OSError) as exc:
        raise RecordError(
            f"{path}: not a readable Parquet file: {exc}; write or copy it again"
        ) from exc


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Values of a column, with bytes as the texts that they are; what is none stays bytes."""
    values: list[Any] = column.to_pylist()
    return list(map(_as_text, values)) if "binary" in str(column.type) else values


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, list):
        return list(map(_as_text, value))
    return {k: _as_text(v) for k, v in value.items()} if isinstance(value, dict) else value


def _flat(sheet: Sheet) -> Sheet:
    """Objects taken apart into columns `outer.inner`, lists of models' objects into rows."""
    _exploded(sheet)
    for _ in range(DEPTH):
        columns: dict[str, list[Any]] = {}
        for name, values in sheet.columns.items():
            if not any(isinstance(v, dict) for v in values) or _is_options(values):
                columns[name] = values
                continue
            inner = dict.fromkeys(key for v in values if isinstance(v, dict) for key in v)
            for key in inner:
                columns[f"{name}.{key}"] = [
                    v.get(key) if isinstance(v, dict) else None for v in values
                ]
        if len(columns) == len(sheet.columns) and list(columns) == list(sheet.columns):
            break
        sheet.columns = columns
    return sheet


def _exploded(sheet: Sheet) -> None:
    """A row for each object of a list that holds what several models answered."""
    for name, values in sheet.columns.items():
        cells = [v for v in values if v]
        if not cells or not all(_is_list_of_objects(v) for v in cells):
            continue
        keys = {key for v in cells for row in v for key in row}
        if not any(meant_by(str(key), ("member",), misspelt=False) for key in keys):
            continue
        rows = [(row, inner) for row, v in enumerate(values) for inner in v or ()]
        sheet.columns = {
            other: [column[row] for row, _ in rows]
            for other, column in sheet.columns.items()
            if other != name
        } | {f"{name}.{key}": [inner.get(key) for _, inner in rows] for key in sorted(keys)}
        if sheet.lines is not None:
            sheet.lines = [sheet.lines[row] for row, _ in rows]
        else:
            sheet.rows = [row for row, _ in rows]
        sheet.notes.append(f"{sheet.path.name}: each object in '{name}' is a response of its own")
        return


def _is_options(values: Iterable[Any]) -> bool:
    """Whether these are options by letter, or their texts beside their letters."""
    objects = [v for v in values if isinstance(v, dict)]
    return all(
        set(v) == {"text", "label"} or (v and all(len(k) == 1 and k.isalpha() for k in v))
        for v in objects
    )


_READERS: Mapping[str, Callable[[Path], Sheet]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
}
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".pq")
"""Of the files that are taken from a folder."""
_KNOWN = ".csv, .tsv, .jsonl, .json and .parquet are read"
