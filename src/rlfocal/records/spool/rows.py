"""Rows of a table as mappings, in order or by number, a few thousand of them in memory at once.

The table lies in an Arrow file that has no name any more: it is gone with the process, however that
ends. Small columns that were read anew stand beside it in memory.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa

__all__ = ["Rows", "Spooled"]

_AT_ONCE = 1024
"""Rows that become Python's objects together."""
_KEPT = 8
"""Portions of so many rows that are kept; calls under way are of the latest."""


class Spooled:
    """A table on disk.

    Args:
        tables: its parts, in order; they become portions of `_AT_ONCE` rows.
        schema: of all of them.

    Raises:
        OSError: there is no room for it where temporary files lie.
    """

    def __init__(self, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
        handle, path = tempfile.mkstemp(prefix="rlfocal-", suffix=".arrow")
        os.close(handle)
        try:
            with pa.ipc.new_file(path, schema) as writer:
                for table in tables:
                    writer.write_table(table, max_chunksize=_AT_ONCE)
            self._mapped: pa.MemoryMappedFile | None = pa.memory_map(path)
            self._reader = pa.ipc.open_file(pa.OSFile(path))
        finally:
            os.unlink(path)

    def mapped(self) -> pa.Table:
        """All of it, once; the system reads what is looked at, and may forget it again."""
        mapped, self._mapped = self._mapped, None
        return pa.ipc.open_file(mapped).read_all()

    def __len__(self) -> int:
        return int(self._reader.num_record_batches)

    def __getitem__(self, number: int) -> pa.RecordBatch:
        return self._reader.get_batch(number)


class Rows(Sequence[Mapping[str, Any]]):
    """Rows as mappings; several threads may read them.

    Args:
        portions: record batches by number.
        replaced: columns in the place of those of that name, as long as the whole table.
    """

    def __init__(
        self,
        portions: Spooled | Sequence[pa.RecordBatch],
        replaced: Mapping[str, pa.Array] | None = None,
    ) -> None:
        self._portions, self._replaced = portions, dict(replaced or {})
        lengths = [portions[k].num_rows for k in range(len(portions))]
        self._starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self._read: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()
        self._one_reader = threading.Lock()

    @classmethod
    def of(cls, table: pa.Table) -> Rows:
        """Those of a table in memory."""
        return cls(table.to_batches(max_chunksize=_AT_ONCE))

    def __len__(self) -> int:
        return int(self._starts[-1])

    @overload
    def __getitem__(self, row: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, row: int | slice) -> Any:
        if isinstance(row, slice):
            return [self[k] for k in range(*row.indices(len(self)))]
        if not 0 <= row < len(self):
            raise IndexError(row)
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._portion(number)[row - int(self._starts[number])]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return self.since(0)

    def since(self, row: int) -> Iterator[Mapping[str, Any]]:
        """Those from a row on, in order."""
        first = int(np.searchsorted(self._starts, row, side="right")) - 1
        for number in range(first, len(self._portions)):
            skip = max(0, row - int(self._starts[number]))
            yield from self._portion(number)[skip:] if skip else self._portion(number)

    def _portion(self, number: int) -> list[dict[str, Any]]:
        with self._one_reader:
            rows = self._read.get(number)
            if rows is None:
                batch, start = self._portions[number], int(self._starts[number])
                for name, values in self._replaced.items():
                    place = batch.schema.get_field_index(name)
                    own = values.slice(start, batch.num_rows)
                    batch = batch.set_column(place, batch.schema.field(place), own)
                rows = self._read[number] = batch.to_pylist()
                if len(self._read) > _KEPT:
                    self._read.popitem(last=False)
            else:
                self._read.move_to_end(number)
            return rows
