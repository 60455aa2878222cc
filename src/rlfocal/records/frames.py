"""Tables of people's own making as Arrow tables: frames of pandas and polars, rows, columns.

By Arrow's interchange of columns, so that neither library is needed here. Texts become plain
strings: views and dictionaries of views cannot be joined or cast everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from rlfocal.errors import RecordError

__all__ = ["Frame", "arrow_table"]


@runtime_checkable
class Frame(Protocol):
    """Anything that hands its columns over as Arrow does: frames of pandas, polars, a `pa.Table`.

    Source: the Arrow PyCapsule interface.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def arrow_table(
    source: Frame | Mapping[str, Any] | Sequence[Mapping[str, Any]], what: str = "the frame"
) -> pa.Table:
    """Make an Arrow table, without the index of a pandas frame.

    Args:
        source: a frame, a mapping of columns, or a row a mapping.
        what: how messages call it.

    Raises:
        RecordError: it is none of these, or a column holds values of several types.

    >>> arrow_table([{"query_id": "q1", "label": "4"}, {"query_id": "q2"}])["label"].to_pylist()
    ['4', None]
    """
    if isinstance(source, Mapping):
        return _of_columns(source, what)
    if isinstance(source, list | tuple) and all(isinstance(row, Mapping) for row in source):
        names = dict.fromkeys(name for row in source for name in row)
        return _of_columns({name: [row.get(name) for row in source] for name in names}, what)
    if not isinstance(source, Frame):
        lazy = "; collect() it first" if hasattr(source, "collect") else ""
        raise RecordError(
            f"{what}: {type(source).__name__} is no frame{lazy}; give one of pandas (2.2 or newer) "
            "or polars, a pyarrow.Table, a list of dicts, or a dict of columns"
        )
    try:
        table = source if isinstance(source, pa.Table) else pa.table(source)
    except (pa.ArrowException, ValueError, TypeError) as exc:
        raise RecordError(f"{what}: {_told(exc)}") from exc
    index = [field.name for field in table.schema if field.name.startswith("__index_level_")]
    return _plain(table.drop_columns(index).replace_schema_metadata(None))


def _of_columns(columns: Mapping[str, Any], what: str) -> pa.Table:
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[str(name)] = pa.array(values, from_pandas=True)
        except (pa.ArrowException, ValueError, TypeError) as exc:
            raise RecordError(f"{what}: column '{name}': {_told(exc)}") from exc
    try:
        return _plain(pa.table(arrays))
    except pa.ArrowInvalid as exc:
        lengths = ", ".join(f"{name} {len(array):,}" for name, array in arrays.items())
        raise RecordError(f"{what}: columns of different lengths: {lengths}") from exc


def _told(exc: Exception) -> str:
    said = "; ".join(map(str, exc.args)) or repr(exc)
    if "non-struct" in said:
        return "one column is no frame"
    mixed = isinstance(exc, pa.ArrowTypeError) or "tried to convert" in said
    return f"{said}; make its values texts: .astype('string') in pandas" if mixed else said


def _plain(table: pa.Table) -> pa.Table:
    columns = [
        column.cast(kind) if (kind := _plain_type(column.type)) != column.type else column
        for column in map(_decoded, table.columns)
    ]
    return pa.table(columns, names=table.column_names)


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values in place of a dictionary; one whose texts are views cannot be cast."""
    if not pa.types.is_dictionary(column.type):
        return column
    kind = _plain_type(column.type.value_type)
    chunks = [
        pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(kind))
        for chunk in column.chunks
    ]
    return pa.chunked_array([chunk.dictionary_decode() for chunk in chunks], kind)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind
