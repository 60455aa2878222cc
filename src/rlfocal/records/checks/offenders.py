"""Columns as arrays, and the rows where something is wrong, as messages name them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.errors import RecordError

__all__ = ["SHOWN", "Mask", "check_not_negative", "floats", "mask", "offenders"]

SHOWN = 3
"""How many offending rows a message names; the rest are counted."""

Mask = NDArray[np.bool_]


def mask(array: pa.ChunkedArray) -> Mask:
    """bool[R], null as False."""
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=bool)


def floats(array: pa.ChunkedArray) -> NDArray[np.float64]:
    """float64[R], null as NaN."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def offenders(table: pa.Table, wrong: Mask, value: str | None = None) -> str:
    """Name the first few rows where `wrong` holds, and how many there are."""
    columns = [c for c in ("query_id", "member", value) if c and c in table.column_names]
    rows = np.flatnonzero(wrong)
    first = table.select(columns).take(pa.array(rows[:SHOWN])).to_pylist()
    named = "; ".join(
        ", ".join(f"{k} {_short(v)}" for k, v in values.items()) + f" (row {row + 1})"
        for row, values in zip(rows.tolist(), first, strict=False)
    )
    return f"{named}; ... ({len(rows)} rows)" if len(rows) > SHOWN else named


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_not_negative(responses: pa.Table, name: str) -> None:
    """Check a column of numbers.

    Raises:
        RecordError: one is negative or not finite.
    """
    values = floats(responses[name])
    wrong = mask(responses[name].is_valid()) & ~((values >= 0) & np.isfinite(values))
    if wrong.any():
        raise RecordError(
            f"responses: {name} is negative or not finite: {offenders(responses, wrong, name)}; "
            "leave it null where unknown"
        )
