"""The arrays of a checkpoint: as bytes, by name, and held to what they must be.

Beside the strategy's own, under "strategy.", stand the calibration, the members' ranking and
accuracy, the training queries, and what others are held against where that is known. What the
strategy says nothing of may be of any shape, but not of any numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import deserialize
from safetensors.numpy import save

from rlfocal.checkpoint.description import REACH_AXIS
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.state import Row, check_state, without_prefix
from rlfocal.errors import CheckpointError

__all__ = ["STRATEGY", "check_arrays", "from_bytes", "to_bytes"]

Arrays = dict[str, NDArray[Any]]

STRATEGY = "strategy"
"""Before the names of what the strategy found."""

_OF_ALL = {
    "calibration.beta": Row("float32", "TN", low=0),
    "calibration.bias": Row("float32", "TNC"),
    "calibration.log_scale": Row("bool", "N"),
    "ranking": Row("int64", "N", low=0, high="N", distinct=True),
    "accuracy": Row("float32", "TN", low=0, high=1),
    "training_queries": Row("int64", "Q"),
}
_REACH = {
    "reach.queries": Row("float32", f"κ{REACH_AXIS}", low=-1.01, high=1.01),
    "reach.least": Row("float32", "1", low=0, high=1),
}
_TYPES: Mapping[str, type[np.generic]] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32,
    "I16": np.int16, "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16,
    "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
"""Numbers as safetensors calls them."""


def to_bytes(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """One safetensors file; the same arrays make the same bytes."""
    data: bytes = save({name: np.array(array, order="C") for name, array in arrays.items()})
    return data


def from_bytes(data: bytes) -> Arrays:
    """Undo `to_bytes`.

    Raises:
        SafetensorError: it is no such file.
        CheckpointError: an array of numbers that numpy lacks.
    """
    found: Arrays = {}
    for name, raw in deserialize(data):  # type: ignore[no-untyped-call]
        kind = _TYPES.get(raw["dtype"])
        if kind is None:
            raise CheckpointError(f"the array '{name}' holds {raw['dtype']} numbers, never written")
        found[name] = np.frombuffer(raw["data"], dtype=kind).reshape(raw["shape"]).copy()
    return found


def check_arrays(
    arrays: Mapping[str, NDArray[Any]], strategy: Base, axes: Mapping[str, int]
) -> None:
    """Refuse arrays that do not fit together.

    Args:
        arrays: by name.
        strategy: whose they are; it need not be fitted.
        axes: lengths known beforehand, by letter, see `rlfocal.deliberation.state`.

    Raises:
        CheckpointError: naming the array, what is wrong with it and what it should be.
    """
    own = strategy.layout(without_prefix(STRATEGY, arrays).keys())
    given = _REACH if any(name in arrays for name in _REACH) else {}
    rows = _OF_ALL | given | {f"{STRATEGY}.{name}": row for name, row in own.items()}
    for name, array in arrays.items():
        if name in rows:
            continue
        if not name.startswith(f"{STRATEGY}."):
            raise CheckpointError(f"the array '{name}' belongs to nothing in a checkpoint")
        if array.dtype.kind not in "biuf":
            raise CheckpointError(f"the array '{name}' holds {array.dtype.name}, no real numbers")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"the array '{name}' holds a number that is not finite")
    check_state(arrays, rows, {**axes, **strategy.axes()})
