"""Layouts of the arrays of a fitted strategy, and the check of arrays from a file.

A file with the right sha256 may still hold what no training writes: NaN, the shape of another pool,
another dtype. A strategy declares the dtype, axes and range of each array, and readers of
checkpoints check the file against it.

Axes: N members, T tasks and one for the unknown, C candidates, D features, Q training queries;
other letters stand for any length that is the same throughout.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.errors import CheckpointError

__all__ = ["Row", "check_state", "names_of", "nested", "prefixed", "without_prefix"]

_KINDS: Mapping[str, tuple[str, ...]] = {
    "float32": ("float32",),
    "float64": ("float64",),
    "float": ("float32", "float64"),
    "int64": ("int64",),
    "int16": ("int16",),
    "uint8": ("uint8",),
    "bool": ("bool",),
}


class Row(NamedTuple):
    """Layout of one array: dtype, axes and range.

    >>> Row("int64", "N", low=0, high="N").high  # an index of a member
    'N'
    """

    kind: str
    """A dtype, or "float" for either of two."""
    axes: str
    """A letter an axis; a digit is its length; "..." whatever `restore` itself finds fitting, as a
    net does of its weights."""
    low: float = -np.inf
    high: str | float = np.inf
    """Inclusive; a letter stands for an axis's last index, "=" and a letter for its length."""
    finite: bool = True
    """Whether every number must be one: what was never measured is none, or below all."""
    distinct: bool = False
    """Whether no value may come twice, as in an order of members."""


def check_state(
    arrays: Mapping[str, NDArray[Any]], rows: Mapping[str, Row], axes: Mapping[str, int]
) -> None:
    """Refuse arrays that break their layouts; one without a layout is accepted.

    Args:
        arrays: by name.
        rows: layouts of the arrays required, by name.
        axes: lengths that are known beforehand, by letter.

    Raises:
        CheckpointError: naming the array, what is wrong with it and what it should be.
    """
    for name in rows.keys() - arrays.keys():
        raise CheckpointError(f"the array '{name}' is missing")
    known = dict(axes)
    declared = [(name, array, rows[name]) for name, array in arrays.items() if name in rows]
    for name, array, row in declared:
        _check_shape(name, array, row, known)
    for name, array, row in declared:  # a range may be said by the shape of a later array
        _check_numbers(name, array, row, known)


def prefixed(name: str, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The state of a part under a prefix, as the state of its whole has it."""
    return {f"{name}.{key}": array for key, array in state.items()}


def without_prefix(name: str, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The state of one part; empty where there is nothing of it.

    >>> without_prefix("vote", {"vote.weight": np.ones(2), "order": np.ones(2)})
    {'weight': array([1., 1.])}
    """
    return {key: state[f"{name}.{key}"] for key in names_of(name, state)}


def names_of(name: str, present: Collection[str]) -> list[str]:
    """Those names of arrays that are of one part, without its prefix.

    >>> names_of("vote", ["vote.weight", "order"])
    ['weight']
    """
    start = f"{name}."
    return [key[len(start) :] for key in present if key.startswith(start)]


_SHARED = "NTCDQ"
"""Axes that are the same for a whole and its parts."""


def nested(
    name: str,
    rows: Mapping[str, Row],
    among: Mapping[str, Row],
    renamed: Mapping[str, str] | None = None,
) -> dict[str, Row]:
    """Rows of a part, as its whole has them; letters that only the part knows stay its own.

    Args:
        name: of the part, as in `prefixed`.
        rows: of the part.
        among: rows that the whole has already.
        renamed: letters that stand for something else in the whole.

    >>> whole = {"grid": Row("bool", "hN")}
    >>> nested("vote", {"weight": Row("bool", "hN")}, whole)["vote.weight"].axes
    'ĀN'
    """
    taken = set(_SHARED).union(*(row.axes for row in among.values()))
    own = set[str]().union(*(row.axes for row in rows.values()))
    fresh = (letter for letter in map(chr, count(ord("Ā"))) if letter not in taken | own)
    new = {c: next(fresh) for c in sorted(own & taken) if c.isalpha() and c not in _SHARED}
    table = str.maketrans(new | dict(renamed or {}))
    return {
        f"{name}.{key}": row._replace(
            axes=row.axes.translate(table),
            high=row.high.translate(table) if isinstance(row.high, str) else row.high,
        )
        for key, row in rows.items()
    }


def _check_shape(name: str, array: NDArray[Any], row: Row, known: dict[str, int]) -> None:
    if row.axes == "...":
        return
    fits = array.ndim == len(row.axes)
    for letter, length in zip(row.axes, array.shape, strict=False):
        wanted = int(letter) if letter.isdigit() else known.setdefault(letter, length)
        fits = fits and wanted == length
    if not fits:
        wanted_shape = ", ".join(
            letter if letter.isdigit() else str(known.get(letter, letter)) for letter in row.axes
        )
        raise CheckpointError(
            f"the array '{name}' has the shape {list(array.shape)}; it should be [{wanted_shape}]"
        )


def _check_numbers(name: str, array: NDArray[Any], row: Row, known: Mapping[str, int]) -> None:
    if array.dtype.name not in _KINDS[row.kind]:
        raise CheckpointError(
            f"the array '{name}' holds {array.dtype.name} numbers; it should be {row.kind}"
        )
    if not array.size or array.dtype == np.bool_:
        return
    if row.finite and not np.isfinite(array).all():
        raise CheckpointError(f"the array '{name}' holds a number that is not finite")
    high = row.high
    if isinstance(high, str):
        high = known[high[1:]] if high[0] == "=" else known[high] - 1
    outside = (array < row.low) | (array > high)
    if outside.any():
        raise CheckpointError(
            f"the array '{name}' holds {array[outside].flat[0]:.6g}; it should lie in "
            f"[{row.low:g}, {high:g}]"
        )
    if row.distinct and len(np.unique(array)) != array.size:
        raise CheckpointError(f"the array '{name}' should name each member once")
