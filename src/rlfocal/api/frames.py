"""Data frames of pandas, polars and others become data sets, by Arrow's interchange of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from rlfocal.api.words import in_python, python_words
from rlfocal.records import Dataset, DatasetInfo
from rlfocal.records.frames import Frame, arrow_table

__all__ = ["Frame", "from_dataframe"]

_FILE, _CALLED = "frame.parquet", "the frame"


def from_dataframe(
    frame: Frame | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    name: str = "frame",
    answers: str | None = None,
    column: Mapping[str, str] | Sequence[str] = (),
    members: Sequence[str] | None = None,
    choices_separator: str | None = None,
    score_scale: float = 1.0,
) -> Dataset:
    """Make a data set of a frame: a row a query with a column a model, or a row an answer.

    What the columns are is found by their names (`prompt`, `label`, `model`, `response`, ...) and
    said in the notes, as for `rlfocal import table`. The index of a pandas frame is left out.

    Args:
        frame: of pandas, polars, or anything that Arrow can read; a list of dicts or a dict of
            columns does as well.
        name: of the data set.
        answers: kind of open answers: "number", "math", "date", "text"; None: the labels tell.
        column: which column is the prompt, label, member, answer, ...: `{"prompt": "question"}`.
        members: the columns of models; None for all that nothing else claims.
        choices_separator: between the options in one cell.
        score_scale: the best score there is.

    Raises:
        ConfigError: an option has another form.
        RecordError: it is no frame, or its columns or values are not understood.

    >>> import pyarrow as pa
    >>> frame = pa.table({"prompt": ["2+2", "3+4"], "label": ["4", "7"],
    ...                   "gpt": ["4", "7"], "llama": ["4", "8"]})
    >>> from_dataframe(frame).members
    ('gpt', 'llama')
    """
    from rlfocal.records.importers import import_logs

    table = arrow_table(frame)
    if isinstance(column, Mapping):
        column = [f"{name}={source}" for name, source in column.items()]
    options: dict[str, Any] = {
        "column": tuple(column),
        "members": None if members is None else ",".join(members),
        "choices_separator": choices_separator,
        "score_scale": score_scale,
    }
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / _FILE
        pq.write_table(table, path)
        with python_words((str(path), _CALLED)):
            data = import_logs("table", path, name=name, answers=answers, **options)
    notes = [in_python(note.replace(_FILE, _CALLED)) for note in data.info.noted]
    return replace(data, info=DatasetInfo(**{**data.info.model_dump(), "notes": notes}))
