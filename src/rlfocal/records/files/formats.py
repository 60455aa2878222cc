"""One table from or to one file: Parquet, CSV or JSON lines, with the file and line in every error.

Knows the columns of `schema` by type; whether they make sense together is checked in `dataset`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from rlfocal.errors import RecordError
from rlfocal.records.schema import Column, column_of, remedy_for

__all__ = ["FORMATS", "read_json_lines", "read_parts", "read_table", "write_table"]


def read_table(path: Path, columns: Mapping[str, Column], *, skip: Collection[str]) -> pa.Table:
    """Read one file by its suffix.

    Args:
        path: a .parquet, .csv or .jsonl file.
        columns: the columns that mean something; CSV and JSON lines are read as these types.
        skip: names of columns that are not wanted; they come out as nulls or not at all.

    Returns:
        The file's columns, unknown ones as null columns so that they can be reported.

    Raises:
        RecordError: the file cannot be read; it is named and, where it has lines, the line.
    """
    try:
        return _READERS[path.suffix](path, columns, skip)
    except OSError as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc


def read_parts(path: Path, columns: Mapping[str, Column], *, size: int) -> Iterator[pa.Table]:
    """Read one file as `read_table`, so many rows at a time; CSV comes at once.

    Columns that a part of a .jsonl file does not have are not in it.

    Raises:
        RecordError: as `read_table`.
    """
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(size):
                    yield pa.Table.from_batches([batch])
        elif path.suffix == ".jsonl":
            lines = read_json_lines(path)
            while part := list(islice(lines, size)):
                yield _table_of_lines(part, path, columns, ())
        else:
            yield read_table(path, columns, skip=())
    except pa.ArrowException as exc:
        raise _unreadable(path, exc) from exc
    except OSError as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc


def write_table(table: pa.Table, path: Path) -> None:
    """Write a normalised table to a .parquet, .csv or .jsonl file, which is overwritten.

    Raises:
        OSError: the file cannot be written.
    """
    _WRITERS[path.suffix](table, path)


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) for every line that is not blank; .gz is unpacked.

    Raises:
        RecordError: a line is not UTF-8, not JSON, or no object; the message starts "file:line:".
        OSError: the file cannot be read.
    """
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode())
            except UnicodeDecodeError as exc:
                raise RecordError(
                    f"{path}:{number}: not UTF-8 text ({exc.reason} at byte {exc.start + 1} of the "
                    "line); convert the file to UTF-8"
                ) from exc
            except (ValueError, RecursionError) as exc:
                shown = line[:60].decode(errors="replace").strip()
                raise RecordError(
                    f"{path}:{number}: not JSON ({exc}): {shown!r}; every line must be one object"
                ) from exc
            if not isinstance(row, dict):
                raise RecordError(
                    f"{path}:{number}: a {type(row).__name__} where an object is expected: "
                    '{"query_id": ...}'
                )
            yield number, row


def _read_parquet(path: Path, columns: Mapping[str, Column], skip: Collection[str]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            known = [n for n in names if column_of(n, columns) is not None]
            table = file.read([n for n in known if n not in skip])
    except (pa.ArrowException, OSError) as exc:
        raise _unreadable(path, exc) from exc
    for name in names:
        if name not in known:
            table = table.append_column(name, pa.nulls(table.num_rows))
    return table


def _unreadable(path: Path, exc: Exception) -> RecordError:
    return RecordError(f"{path}: not a readable Parquet file: {exc}; write or copy it again")


def _read_csv(path: Path, columns: Mapping[str, Column], skip: Collection[str]) -> pa.Table:
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise RecordError(
            f"{path}:{line}: not UTF-8 text ({exc.reason}); convert the file to UTF-8"
        ) from exc
    _check_separator(path, data)
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(data),
            # one block and one thread: values may be long, and errors then name their row
            read_options=pa.csv.ReadOptions(
                use_threads=False, block_size=min(len(data) + 1, 2**31 - 1)
            ),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(
                column_types={n: pa.string() for n in columns},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowException as exc:
        raise RecordError(f"{path}: not a readable CSV file: {exc}") from exc
    for index, name in enumerate(table.column_names):
        if name in columns and pa.types.is_list(columns[name].type):
            array = _lists_from_json(table.column(index), columns[name].type, f"{path}: {name}")
            table = table.set_column(index, name, array)
    return table.select([i for i, n in enumerate(table.column_names) if n not in skip])


def _check_separator(path: Path, data: bytes) -> None:
    """Refuse a file whose first line is divided by something else than commas."""
    first = data.partition(b"\n")[0].decode()
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if separator in first and "," not in first:
            raise RecordError(
                f"{path}: columns are separated by {name} where commas are needed; save it with "
                "commas, or `rlfocal import table` reads it as it is"
            )


def _lists_from_json(array: pa.ChunkedArray, target: pa.DataType, where: str) -> pa.Array:
    values: list[Any] = []
    for row, text in enumerate(array.to_pylist(), start=1):
        try:
            value = None if not text else json.loads(text)
            if not (value is None or isinstance(value, list)):
                raise ValueError("not a list")
            values.append(None if value is None else [_coerce(v, target.value_type) for v in value])
        except (ValueError, RecursionError, OverflowError) as exc:
            raise RecordError(
                f'{where}: row {row}: expected a JSON list such as ["a", "b"], found '
                f"{text[:60]!r} ({exc})"
            ) from exc
    return pa.array(values, target)


def _read_jsonl(path: Path, columns: Mapping[str, Column], skip: Collection[str]) -> pa.Table:
    return _table_of_lines(read_json_lines(path), path, columns, skip)


def _table_of_lines(
    rows: Iterable[tuple[int, dict[str, Any]]],
    path: Path,
    columns: Mapping[str, Column],
    skip: Collection[str],
) -> pa.Table:
    values: dict[str, list[Any]] = {}
    lines: list[int] = []
    for number, row in rows:
        for name, value in row.items():
            if name in skip:
                continue
            cells = values.setdefault(name, [])
            if len(cells) < len(lines):
                cells.extend([None] * (len(lines) - len(cells)))
            cells.append(value)
        lines.append(number)
    arrays = {}
    for name, cells in values.items():
        cells.extend([None] * (len(lines) - len(cells)))
        column = column_of(name, columns)
        if column is not None and column.holds_json:
            cells = [json.dumps(v) if isinstance(v, list | dict) else v for v in cells]
        if column is not None:
            arrays[name] = _array_from_json(cells, column.type, path, name, lines)
        else:
            arrays[name] = pa.nulls(len(lines))
    return pa.table(arrays)


def _array_from_json(
    cells: list[Any], target: pa.DataType, path: Path, name: str, lines: list[int]
) -> pa.Array:
    if set(map(type, cells)) <= {_json_type(target), type(None)}:
        try:
            return pa.array(cells, target)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass  # inside a list, say: convert one by one, which is slow but knows the line
    for index, value in enumerate(cells):
        try:
            cells[index] = _coerce(value, target)
        except (ValueError, OverflowError) as exc:
            remedy = remedy_for(value) if isinstance(value, str) else ""
            raise RecordError(f"{path}:{lines[index]}: column '{name}': {exc}{remedy}") from exc
    return pa.array(cells, target)


def _json_type(target: pa.DataType) -> type:
    if pa.types.is_list(target):
        return list
    if pa.types.is_string(target):
        return str
    return int if pa.types.is_integer(target) else float


def _coerce(value: Any, target: pa.DataType) -> Any:
    """Bring a JSON value to an Arrow type, without guessing.

    Raises:
        ValueError: the value is of another kind.
        OverflowError: the number does not fit.
    """
    if value is None:
        return None
    if pa.types.is_list(target):
        if not isinstance(value, list):
            raise ValueError(f"expected a list, found {str(value)[:60]!r}")
        return [_coerce(v, target.value_type) for v in value]
    if pa.types.is_string(target):
        if isinstance(value, (list, dict)):
            raise ValueError(f"expected a text, found {str(value)[:60]!r}")
        text = value if isinstance(value, str) else json.dumps(value)
        text.encode()  # UnicodeEncodeError, a ValueError, for half of a surrogate pair
        return text
    if isinstance(value, (str, list, dict)):
        raise ValueError(f"expected a number, found {str(value)[:60]!r}")
    if pa.types.is_integer(target):
        if value != int(value) or abs(value) >= 2**63:
            raise ValueError(f"expected a whole number of 64 bits, found {value}")
        return int(value)
    return float(value)


def _write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _write_csv(table: pa.Table, path: Path) -> None:
    for index, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [
                None if v is None else json.dumps(v, ensure_ascii=False)
                for v in table.column(index).to_pylist()
            ]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    pa.csv.write_csv(table, path)


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in table.to_batches(max_chunksize=10_000):
            file.writelines(json.dumps(r, ensure_ascii=False) + "\n" for r in batch.to_pylist())


_Reader = Callable[[Path, Mapping[str, Column], Collection[str]], pa.Table]
_READERS: Mapping[str, _Reader] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
}
_WRITERS: Mapping[str, Callable[[pa.Table, Path], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
}

FORMATS = tuple(suffix.removeprefix(".") for suffix in _READERS)
"""Names of the file formats; each is also its suffix."""
