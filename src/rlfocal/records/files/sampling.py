"""A data set that does not fit into memory is read in part: whole queries, drawn at random.

How much there is, is measured on the first rows; how much fits, the system says, or whoever sets
`RLFOCAL_MEMORY_GB`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rlfocal.errors import ConfigError
from rlfocal.records.files.parts import files_of

__all__ = ["Sample", "sample_of"]

VARIABLE = "RLFOCAL_MEMORY_GB"
_TIMES = 4.0
"""Bytes that are needed for a byte of a table: it is read, checked, and made an array of."""
_SHARE = 0.8
"""Of the memory that is free, for all of that."""
_LEAST = 100
"""Queries of a sample, however little memory there is."""
_LOOKED_AT = 10_000


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
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        found = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
        return _SHARE * found["MemAvailable"] * 1024
    except (OSError, KeyError, ValueError, IndexError):
        return None


def _decoded_bytes(path: Path, skip: Collection[str]) -> float | None:
    """Of a Parquet table once it is read, by its first rows; None for other formats."""
    files = files_of(path)
    if any(file.suffix != ".parquet" for file in files):
        return None
    try:
        n_rows: int = sum(pq.read_metadata(file).num_rows for file in files)
        with pq.ParquetFile(files[0]) as opened:
            names = [name for name in opened.schema_arrow.names if name not in skip]
            first = next(opened.iter_batches(_LOOKED_AT, columns=names), None)
    except (pa.ArrowException, OSError):
        return None  # whoever reads it says what is wrong
    if first is None or not first.num_rows:
        return None
    # A batch may be a slice of more: count what is its own.
    return float(pa.Table.from_batches([first]).nbytes / first.num_rows * n_rows)
