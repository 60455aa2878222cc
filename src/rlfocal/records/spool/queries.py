"""Queries of any number: read a portion at a time, checked as a whole, and kept on disk.

What has to be known of all of them at once, their ids, tasks and labels, is looked at column by
column; no prompt stays in memory.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlfocal.errors import RecordError
from rlfocal.records.canonical import canonical_queries
from rlfocal.records.checks import check_queries
from rlfocal.records.files.formats import read_parts
from rlfocal.records.files.parts import files_of
from rlfocal.records.folders import queries_in, read_queries, report_unknown, short_id
from rlfocal.records.kinds import Kind
from rlfocal.records.schema import QUERIES, normalise_queries
from rlfocal.records.spool.rows import Rows, Spooled

__all__ = ["OpenQuestions", "open_queries"]

_AT_ONCE = 20_000
"""Rows read from a file at once."""
_SCHEMA = pa.schema([(name, column.type) for name, column in QUERIES.items()])


class OpenQuestions(NamedTuple):
    """Queries that nobody has answered yet; as `rlfocal.records.canonical.Questions`."""

    rows: Rows
    kinds: Mapping[str, Kind]
    notes: tuple[str, ...]
    n_unlabelled: int


def open_queries(path: str | Path, *, answers: str | None = None) -> OpenQuestions:
    """Read queries that nobody has answered yet, however many; as `read_queries`.

    A CSV file is read at once. What is read lies where temporary files lie, until nobody uses it.
    """
    file, info = queries_in(path, answers=answers)
    ids = _Ids()
    try:
        spooled = Spooled(_normalised(file, ids), _SCHEMA)
        table = spooled.mapped()
        replaced = {}
        if ids.needed and (numbered := ids.numbered()) is not None:
            replaced["query_id"] = numbered
            table = table.set_column(0, "query_id", pa.chunked_array([numbered]))
        questions = canonical_queries(_without_empty(table), info)
        _check(questions.queries)
    except RecordError:
        # Of a part it would name the rows of that part.
        read_queries(path, answers=answers)
        raise
    except OSError as exc:
        raise RecordError(f"{file}: cannot be kept beside: {exc}; set TMPDIR to a folder") from exc
    labels = questions.queries["label"]
    # A copy: what is looked at of a file stays as long as one column does.
    replaced["label"] = pa.concat_arrays([labels.combine_chunks()])
    found = OpenQuestions(
        Rows(spooled, replaced), questions.kinds, questions.notes, labels.null_count
    )
    del questions, table, labels
    pa.default_memory_pool().release_unused()
    return found


def _check(queries: pa.Table) -> None:
    """As `check_queries`, a part at a time; whether ids are unique by 8 bytes of each.

    Raises:
        RecordError: there is something wrong, in words that hold for a part.
    """
    ids = np.empty(queries.num_rows, np.uint64)
    for start in range(0, max(queries.num_rows, 1), _AT_ONCE):
        part = queries.slice(start, _AT_ONCE)
        check_queries(part)
        names = (name.encode() for name in part["query_id"].to_pylist())
        hashes = b"".join(hashlib.blake2b(name, digest_size=8).digest() for name in names)
        ids[start : start + part.num_rows] = np.frombuffer(hashes, np.uint64)
    ids.sort()
    if (ids[1:] == ids[:-1]).any():
        check_queries(queries)


def _without_empty(table: pa.Table) -> pa.Table:
    if table["tools"].null_count == table.num_rows:
        return table.drop_columns("tools")
    return table


def _normalised(file: Path, ids: _Ids) -> Iterator[pa.Table]:
    names: dict[str, None] = {}
    parts = (read_parts(path, QUERIES, size=_AT_ONCE) for path in files_of(file))
    for part in chain.from_iterable(parts):
        names |= dict.fromkeys(part.column_names)
        if ids.needed is None:
            ids.needed = not {"query_id", "id"} & set(names) and "prompt" in names
        if ids.needed:
            there = {"query_id", "id", "prompt"}.intersection(part.column_names)
            if there != {"prompt"}:
                raise RecordError(
                    f"{file}: some queries have an id, or no prompt; give all an id or none"
                )
            part = part.append_column("query_id", ids.of(part["prompt"]))
        table = normalise_queries(part, str(file))
        if "tools" not in table.column_names:
            table = table.append_column("tools", pa.nulls(table.num_rows, pa.string()))
        yield table.select(_SCHEMA.names)
    report_unknown(file, pa.table({name: pa.nulls(0) for name in names}), QUERIES)


class _Ids:
    """Ids made of prompts; those of repeated ones are numbered, as `read_queries` does it."""

    def __init__(self) -> None:
        self.needed: bool | None = None
        """Whether the file has none; None as long as nobody has looked."""
        self._short: list[NDArray[np.uint64]] = []

    def of(self, prompts: pa.ChunkedArray) -> pa.Array:
        short = [short_id(str(prompt)) for prompt in prompts.to_pylist()]
        self._short.append(np.array([int(name, 16) for name in short], np.uint64))
        return pa.array(short, pa.string())

    def numbered(self) -> pa.Array | None:
        """All ids; None where no prompt is repeated."""
        short = np.concatenate(self._short)
        if len(np.unique(short)) == len(short):
            return None
        seen: Counter[int] = Counter()
        ids = []
        for value in short.tolist():
            seen[value] += 1
            ids.append(f"{value:012x}" + (f"-{seen[value]}" if seen[value] > 1 else ""))
        return pa.array(ids, pa.string())
