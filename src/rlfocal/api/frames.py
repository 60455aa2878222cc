"""Data frames of pandas, polars and others become data sets, by Arrow's interchange of columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.parquet as pq

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset

__all__ = ["Frame", "from_dataframe"]

_FILE = "frame.parquet"
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


@runtime_checkable
class Frame(Protocol):
    """Anything that hands its columns over as Arrow does: frames of pandas, polars, a `pa.Table`.

    Source: the Arrow PyCapsule interface.
    """

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def from_dataframe(
    frame: Frame,
    *,
    name: str = "frame",
    answers: str | None = None,
    column: Sequence[str] = (),
    members: Sequence[str] | None = None,
    choices_separator: str | None = None,
    score_scale: float = 1.0,
) -> Dataset:
    """Make a data set of a frame: a row a query with a column a model, or a row an answer.

    What the columns are is found by their names (`prompt`, `label`, `model`, `response`, ...) and
    said in the notes, as for `rlfocal import table`. The index of a pandas frame is left out.

    Args:
        frame: of pandas, polars, or anything that Arrow can read.
        name: of the data set.
        answers: kind of open answers: "number", "math", "date", "text"; None: the labels tell.
        column: "NAME=COLUMN" each: which column is the prompt, label, member, answer, ...
        members: the columns of models; None for all that nothing else claims.
        choices_separator: between the options in one cell.
        score_scale: the best score there is.

    Raises:
        ConfigError: an option has another form, or it is no frame.
        RecordError: the columns or values are not understood.

    >>> import pyarrow as pa
    >>> frame = pa.table({"prompt": ["2+2", "3+4"], "label": ["4", "7"],
    ...                   "gpt": ["4", "7"], "llama": ["4", "8"]})
    >>> from_dataframe(frame).members
    ('gpt', 'llama')
    """
    from rlfocal.records.importers import import_logs

    table = _plain(_as_arrow(frame))
    options: dict[str, Any] = {
        "column": tuple(column),
        "members": None if members is None else ",".join(members),
        "choices_separator": choices_separator,
        "score_scale": score_scale,
    }
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / _FILE
        pq.write_table(table, path)
        try:
            return import_logs("table", path, name=name, answers=answers, **options)
        except RecordError as exc:
            raise RecordError(_in_python(str(exc).replace(str(path), "the frame"))) from exc


def _in_python(message: str) -> str:
    """A message with options named as arguments.

    >>> _in_python("--score-scale 100 reads percentages")
    'score_scale 100 reads percentages'
    """
    return _OPTION.sub(lambda found: found[1].replace("-", "_"), message)


def _as_arrow(frame: Any) -> pa.Table:
    """The columns, without an index."""
    if isinstance(frame, pa.Table):
        return frame
    if not isinstance(frame, Frame):
        raise ConfigError(
            f"{type(frame).__name__} is no frame: give one of pandas (2.2 or newer) or polars, a "
            "pyarrow.Table, or a folder of recorded answers"
        )
    table = pa.table(frame)
    index = [field.name for field in table.schema if field.name.startswith("__index_level_")]
    return table.drop_columns(index).replace_schema_metadata(None)


def _plain(table: pa.Table) -> pa.Table:
    """Texts as plain strings: views and dictionaries cannot be joined or written everywhere."""
    schema = pa.schema([field.with_type(_plain_type(field.type)) for field in table.schema])
    return table.cast(schema)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind):
        return pa.list_(_plain_type(kind.value_type))
    return kind
