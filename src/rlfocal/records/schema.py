"""The two tables of a data set, column by column, and what `dataset.json` may say about them.

Knows names and types only: files are read in `folders`, contradictions are found in `dataset`.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from rlfocal.errors import RecordError, nearest

__all__ = [
    "OPTION_LETTERS",
    "QUERIES",
    "RESPONSES",
    "Column",
    "DatasetInfo",
    "normalise_queries",
    "normalise_responses",
]

OPTION_LETTERS = string.ascii_uppercase
"""Option k of a choice query is called by letter k; so a query has at most 26 options."""


class Column(NamedTuple):
    """One column: its Arrow type, whether it must be there, and whether it is added when absent."""

    type: pa.DataType
    required: bool = False
    filled: bool = False


QUERIES: Mapping[str, Column] = {
    "query_id": Column(pa.string(), required=True),
    "task": Column(pa.string(), filled=True),
    "split": Column(pa.string(), filled=True),
    "prompt": Column(pa.string(), required=True),
    "choices": Column(pa.list_(pa.string()), filled=True),
    "label": Column(pa.string(), filled=True),
}
"""Columns of `queries`, all of them present after normalising; an absent `task` becomes "all"."""

RESPONSES: Mapping[str, Column] = {
    "query_id": Column(pa.string(), required=True),
    "member": Column(pa.string(), required=True),
    "answer": Column(pa.string(), filled=True),
    "score": Column(pa.float64(), filled=True),
    "choice_scores": Column(pa.list_(pa.float64())),
    "samples": Column(pa.list_(pa.string())),
    "text": Column(pa.string()),
    "cost_usd": Column(pa.float64()),
    "latency_s": Column(pa.float64()),
    "response_chars": Column(pa.int64()),
}
"""Columns of `responses`; the last six stay absent where the source has none."""

EVIDENCE = ("answer", "score", "choice_scores")
"""`responses` needs at least one of these columns: without them nothing was recorded."""


class DatasetInfo(BaseModel):
    """What `dataset.json` says about a data set; further keys are kept as they are.

    Attributes:
        name: the data set's name; empty where the file gives none.
        answers: kind of answer ("choice", "number", "text", "date", "math", "score only", ...), of
            all tasks or task by task; None, and for tasks not named: the labels decide.
        source: where the responses come from, exactly enough to find them again.
        licence: licence of questions and responses.
        description: free text.
        pools: named member lists; the order is the order of the members.
        choice_scores_scale: what the numbers in `choice_scores` are; None when unknown.
        synthetic: True for generated data, which every report then says.
        member_accuracy: accuracy of each member in [0, 1], as the source states it; its key order
            is the members' order.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = ""
    answers: str | dict[str, str] | None = None
    source: str | None = None
    licence: str | None = None
    description: str | None = None
    pools: dict[str, list[str]] = {}
    choice_scores_scale: str | None = None
    synthetic: bool = False
    member_accuracy: dict[str, float] = {}


def normalise_queries(table: pa.Table, where: str = "queries") -> pa.Table:
    """Give a table of queries exactly the columns and types of `QUERIES`.

    Args:
        table: any columns; those that `QUERIES` does not name are left out.
        where: how messages call the table: its file, say.

    Raises:
        RecordError: a required column is missing, or a value does not fit its type.
    """
    result = _normalise(table, QUERIES, where)
    task = pc.fill_null(result["task"], "all")
    return result.set_column(result.column_names.index("task"), "task", task)


def normalise_responses(table: pa.Table, where: str = "responses") -> pa.Table:
    """Give a table of responses the columns and types of `RESPONSES`.

    Args:
        table: any columns; those that `RESPONSES` does not name are left out.
        where: how messages call the table: its file, say.

    Raises:
        RecordError: a required column is missing, or a value does not fit its type.
    """
    if not set(EVIDENCE) & set(table.column_names):
        raise RecordError(
            f"{where}: none of the columns {', '.join(EVIDENCE)} is there; at least one is "
            f"needed. Columns found: {', '.join(table.column_names) or '(none)'}"
        )
    return _normalise(table, RESPONSES, where)


def _normalise(table: pa.Table, columns: Mapping[str, Column], where: str) -> pa.Table:
    arrays: dict[str, Any] = {}
    for name, column in columns.items():
        if table.column_names.count(name) > 1:
            raise RecordError(f"{where}: column '{name}' is there more than once; keep one")
        if name in table.column_names:
            arrays[name] = _cast(table[name], column.type, f"{where}: column '{name}'")
        elif column.required:
            found = ", ".join(table.column_names) or "(none)"
            raise RecordError(
                f"{where}: column '{name}' is missing; columns found: {found}"
                + _renaming(name, table.column_names)
            )
        elif column.filled:
            arrays[name] = pa.nulls(table.num_rows, column.type)
    return pa.table(arrays)


def _renaming(name: str, found: list[str]) -> str:
    hint = nearest(name, found)
    return f" ({hint.partition(';')[0]})" if hint.startswith("did you mean") else ""


def _cast(array: pa.ChunkedArray, target: pa.DataType, where: str) -> pa.ChunkedArray:
    found = array.type
    try:
        if pa.types.is_dictionary(found):
            array = array.cast(found.value_type)
        if pa.types.is_boolean(found) and pa.types.is_floating(target):
            array = array.cast(pa.int8())  # a score given as true or false
        return array.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise RecordError(
            f"{where}: expected {target}, found {_first_misfit(array, target) or found}: {exc}"
        ) from exc


def _first_misfit(array: pa.ChunkedArray, target: pa.DataType) -> str | None:
    """Describe the first value that cannot be cast; None when single values can."""
    for row in range(len(array)):
        try:
            array.slice(row, 1).cast(target)
        except pa.ArrowNotImplementedError:
            return None  # no value of this type can be cast
        except pa.ArrowInvalid:
            return f"{str(array[row])[:80]!r} in row {row + 1}"
    return None
