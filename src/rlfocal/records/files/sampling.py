"""A data set that does not fit into memory is read in part: whole queries, drawn at random.

How much there is, is measured on rows from start to end; how much fits, the system says, or whoever
sets `RLFOCAL_MEMORY_GB`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlfocal.errors import ConfigError
from rlfocal.records.files.memory import free_bytes
from rlfocal.records.files.parts import files_of
from rlfocal.records.schema import RESPONSES, column_of

__all__ = ["Sample", "sample_of"]

VARIABLE = "RLFOCAL_MEMORY_GB"
_TIMES = 4.0
"""Bytes that are needed for a byte of a table: it is read, checked, and made an array of."""
_SHARE = 0.8
"""Of the memory that is free, for all of that."""
_LEAST = 100
"""Queries of a sample, however little memory there is."""
_LOOKED_AT = 10_000
"""Rows, about, by which the size of all is estimated."""
_PLACES = 20
"""Where these rows are, at most."""


class Sample(NamedTuple):
    """Which queries are read."""

    rows: np.ndarray[tuple[int], np.dtype[np.int64]]
    """Of the table of queries, in order."""
    note: str


def sample_of(responses: Path, n_queries: int, skip: Collection[str]) -> Sample | None:
    """Decide how many queries fit into memory, and draw them.

    Args:
        responses: a file or a folder of parts.
        n_queries: how many there are.
        skip: columns that are not read.

    Returns:
        None where all do, or where nobody knows.

    Raises:
        ConfigError: the variable is no number.
    """
    limit = _limit_bytes()
    size = _decoded_bytes(responses, skip)
    if limit is None or size is None or size * _TIMES <= limit or n_queries <= _LEAST:
        return None
    # A half, a quarter and so on, each of the one before: what is free changes all the time.
    share = 0.5 ** math.ceil(math.log2(size * _TIMES / limit)) if limit > 0 else 0.0
    n = max(_LEAST, int(n_queries * share))
    rows = np.sort(np.random.default_rng(0).permutation(n_queries)[:n]).astype(np.int64)
    return Sample(
        rows,
        f"a sample: {n:,} of {n_queries:,} queries are read, drawn at random (seed 0), since all "
        f"would take about {size * _TIMES / 2**30:.1f} GiB of memory and {limit / 2**30:.1f} are "
        f"there; {VARIABLE} says how much may be taken",
    )


def _limit_bytes() -> float | None:
    said = os.environ.get(VARIABLE)
    if said:
        try:
            return float(said) * 2**30
        except ValueError:
            raise ConfigError(f"{VARIABLE}: expected a number such as 16, found {said!r}") from None
    free = free_bytes()
    return None if free is None else _SHARE * free


def _decoded_bytes(path: Path, skip: Collection[str]) -> float | None:
    """Of a Parquet table once it is read, by some of its rows; None for other formats."""
    files = files_of(path)
    if any(file.suffix != ".parquet" for file in files):
        return None
    try:
        groups = [group for file in files for group in _groups_of(file, skip)]
        # From start to end: often what was written last is longer than what came first.
        places = np.linspace(0, len(groups) - 1, min(_PLACES, len(groups))).astype(int)
        looked_at = [groups[k] for k in places]
        n_each = _LOOKED_AT // max(len(looked_at), 1)
        a_row = [_bytes_a_row(group, skip, n_each) for group in looked_at]
    except (pa.ArrowException, OSError):
        return None  # whoever reads it says what is wrong
    if not groups:
        return None
    weights = [group.n_rows for group in looked_at]
    n_rows = sum(group.n_rows for group in groups)
    return max(
        float(np.average(a_row, weights=weights)) * n_rows,
        float(sum(group.n_bytes for group in groups)),
    )


class _Group(NamedTuple):
    """A part of a file that can be read by itself."""

    file: Path
    number: int
    n_rows: int
    n_bytes: int
    """As it is encoded; once it is read it is hardly ever less."""


def _groups_of(file: Path, skip: Collection[str]) -> Iterator[_Group]:
    """Those that have rows."""
    metadata = pq.read_metadata(file)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = (group.column(k) for k in range(group.num_columns))
        n_bytes = sum(
            column.total_uncompressed_size
            for column in columns
            if _is_read(column.path_in_schema.partition(".")[0], skip)
        )
        if group.num_rows:
            yield _Group(file, number, group.num_rows, n_bytes)


def _bytes_a_row(group: _Group, skip: Collection[str], n: int) -> float:
    """By its first rows."""
    with pq.ParquetFile(group.file) as opened:
        names = [name for name in opened.schema_arrow.names if _is_read(name, skip)]
        rows = next(opened.iter_batches(n, row_groups=[group.number], columns=names))
    # A batch may be a slice of more: count what is its own.
    return float(pa.Table.from_batches([rows]).nbytes / rows.num_rows)


def _is_read(name: str, skip: Collection[str]) -> bool:
    return name not in skip and column_of(name, RESPONSES) is not None
