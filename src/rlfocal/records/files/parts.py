"""A table in a folder of Parquet files: written and read a few rows at a time.

Parts are read in the order of their names; together they are the table. A column that some of them
do not have is empty there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from rlfocal.errors import RecordError
from rlfocal.records.files.formats import read_table
from rlfocal.records.schema import Column, column_of

__all__ = ["PartsWriter", "files_of", "read_any", "read_some"]

ROWS_A_PART = 500_000
"""After which another file begins."""
_AT_ONCE = 50_000


def files_of(path: Path) -> list[Path]:
    """The files of a table: itself, or the parts in a folder.

    Raises:
        RecordError: a folder has none, or other files than parts.
    """
    if not path.is_dir():
        return [path]
    there = sorted(path.iterdir())
    if other := [file.name for file in there if file.suffix != ".parquet"]:
        raise RecordError(
            f"{path}: parts of a table are .parquet files, found {', '.join(other[:3])}; move "
            "these elsewhere"
        )
    if not there:
        raise RecordError(f"{path}: no parts in it; it should hold .parquet files")
    return there


def read_any(path: Path, columns: Mapping[str, Column], *, skip: Collection[str]) -> pa.Table:
    """Read a file or a folder of parts; as `read_table`."""
    tables = [read_table(file, columns, skip=skip) for file in files_of(path)]
    return tables[0] if len(tables) == 1 else _joined(tables, path)


def read_some(
    path: Path,
    columns: Mapping[str, Column],
    *,
    skip: Collection[str],
    choose: Callable[[pa.Table], pa.Table],
) -> pa.Table:
    """Read a part of a Parquet table, some rows at a time; as `read_any`.

    Args:
        path: as there.
        columns: as there.
        skip: as there.
        choose: rows → those of them that are kept.
    """
    tables = []
    for file in files_of(path):
        with pq.ParquetFile(file) as opened:
            known = [n for n in opened.schema_arrow.names if column_of(n, columns) is not None]
            names = [name for name in known if name not in skip]
            for batch in opened.iter_batches(_AT_ONCE, columns=names):
                kept = choose(pa.Table.from_batches([batch]))
                # A copy: a slice would keep all rows.
                tables.append(kept.combine_chunks())
    return _joined(tables, path)


def _joined(tables: list[pa.Table], path: Path) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="default")
    except pa.ArrowException as exc:
        raise RecordError(
            f"{path}: its parts have columns of one name and different types: {exc}"
        ) from exc


class PartsWriter:
    """Writes a folder of parts, one after another; a context.

    Args:
        folder: which is made.
        schema: of all parts, as far as it is known.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._writer: pq.ParquetWriter | None = None
        self._n_parts = self._n_rows = 0
        self._has_widened = False
        folder.mkdir()

    def write(self, table: pa.Table) -> None:
        """Add rows; columns that they lack are empty.

        Where they have more than the schema says, another part begins, with these columns, too;
        at the end all parts have them.

        Raises:
            OSError: they cannot be written.
        """
        more = [f for f in table.schema if self._schema.get_field_index(f.name) < 0]
        if more := [f for f in more if table[f.name].null_count < table.num_rows]:
            self._end()
            self._schema = pa.schema([*self._schema, *more])
            self._has_widened = self._n_parts > 0
        if self._writer is None or self._n_rows >= ROWS_A_PART:
            self._end()
            path = self._folder / f"part-{self._n_parts:05}.parquet"
            self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._n_parts, self._n_rows = self._n_parts + 1, 0
        self._writer.write_table(self._full(table))
        self._n_rows += table.num_rows

    def _full(self, table: pa.Table) -> pa.Table:
        there = set(table.column_names)
        full = [
            table[f.name] if f.name in there else pa.nulls(table.num_rows, f.type)
            for f in self._schema
        ]
        return pa.table(full, schema=self._schema)

    def _widen(self) -> None:
        """Give earlier parts the columns that came later: other tools go by the first part's."""
        for path in sorted(self._folder.iterdir()):
            if pq.read_schema(path).names == self._schema.names:
                continue
            wider = path.with_suffix(".wider")
            with (
                pq.ParquetFile(path) as part,
                pq.ParquetWriter(wider, self._schema, compression="zstd") as writer,
            ):
                for number in range(part.num_row_groups):
                    writer.write_table(self._full(part.read_row_group(number)))
            wider.replace(path)

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._n_parts == 0 and exc is None:
            self.write(self._schema.empty_table())
        self._end()
        if self._has_widened and exc is None:
            self._widen()
