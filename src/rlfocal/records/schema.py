"""The two tables of a data set, column by column, and what `dataset.json` may say about them.

Knows names and types only: files are read in `folders`, contradictions are found in `checks`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from rlfocal.errors import RecordError
from rlfocal.readers import CRITICISING, JUDGING, ReaderInfo
from rlfocal.records.synonyms import is_pairwise, meant_by

__all__ = [
    "CRITICISING",
    "EVIDENCE",
    "JUDGING",
    "LONG",
    "OPTION_LETTERS",
    "QUERIES",
    "RESPONSES",
    "SIGNAL",
    "Column",
    "DatasetInfo",
    "clean",
    "column_of",
    "is_signal",
    "misnamed",
    "normalise_queries",
    "normalise_responses",
    "remedy_for",
    "required",
    "table_of",
    "with_signals",
]

OPTION_LETTERS = string.ascii_uppercase
"""Option k of a choice query is called by letter k; so a query has at most 26 options."""


class Column(NamedTuple):
    """One column: its Arrow type, whether it must be there, and whether it is added when absent."""

    type: pa.DataType
    required: bool = False
    filled: bool = False
    holds_json: bool = False
    """Whether lists and objects of JSON may stand in it; they are kept as text."""


QUERIES: Mapping[str, Column] = {
    "query_id": Column(pa.string(), required=True),
    "task": Column(pa.string(), filled=True),
    "split": Column(pa.string(), filled=True),
    "prompt": Column(pa.string(), required=True),
    "choices": Column(pa.list_(pa.string()), filled=True),
    "label": Column(pa.string(), filled=True),
    "tools": Column(pa.string(), holds_json=True),
}
"""Columns of `queries`; an absent `task` becomes "all".

All are present after normalising but `tools`, which stays absent where the source has none: the
functions that a reply may call, as JSON, in any of the shapes that `rlfocal.toolcalls` reads.
"""

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
    "finish": Column(pa.string()),
    "n_prompt_tokens": Column(pa.int64()),
    "n_completion_tokens": Column(pa.int64()),
    "token_chars": Column(pa.list_(pa.int32())),
    "token_logprobs": Column(pa.list_(pa.float32())),
    "shown": Column(pa.list_(pa.list_(pa.string()))),
    "verdicts": Column(pa.list_(pa.int32())),
}
"""Columns of `responses`; those from `choice_scores` on stay absent where the source has none.

`shown` and `verdicts` are of members that read others, an item a sample: the names of those whose
replies were shown, in order; and which of them a judge named (0 is the first, -1 none of them, null
where it named none clearly).

Beside them stand the user's own signals, a number each: columns whose names begin with `signal_`.
"""

SIGNAL = "signal_"
"""How the columns of a user's own signals begin."""

LONG = ("text", "token_chars", "token_logprobs")
"""Columns of responses that are far larger than all the others, and that only replies need."""

EVIDENCE = ("answer", "score", "choice_scores")
"""`responses` needs at least one of these columns: without them nothing was recorded."""

SHOWN = 12
"""How many columns a message names."""


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
        readers: members that were shown replies of others, by name.
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
    readers: dict[str, ReaderInfo] = {}

    @property
    def sampled(self) -> tuple[str, ...]:
        """What was read of a data set that does not fit into memory; empty for all of it."""
        said = (self.model_extra or {}).get("sampled")
        return () if said is None else (str(said),)

    @property
    def noted(self) -> tuple[str, ...]:
        """What an importer left under `notes`."""
        notes = (self.model_extra or {}).get("notes", [])
        return tuple(map(str, notes)) if isinstance(notes, list) else (str(notes),)


def normalise_queries(table: pa.Table, where: str = "queries") -> pa.Table:
    """Give a table of queries the columns and types of `QUERIES`, and no others.

    Args:
        table: any columns; those that `QUERIES` does not name are left out.
        where: how messages call the table: its file, say.

    Raises:
        RecordError: a required column is missing, or a value does not fit its type.
    """
    result = _normalise(table, QUERIES, where)
    # A blank cell is no label: half of the tools that write CSV quote it.
    blank = pc.equal(pc.utf8_trim_whitespace(result["label"]), "")
    label = pc.if_else(pc.fill_null(blank, False), pa.scalar(None, pa.string()), result["label"])
    result = result.set_column(result.column_names.index("label"), "label", label)
    task = pc.fill_null(result["task"], "all")
    return result.set_column(result.column_names.index("task"), "task", task)


def normalise_responses(table: pa.Table, where: str = "responses") -> pa.Table:
    """Give a table of responses the columns and types of `RESPONSES`; as `normalise_queries`."""
    if not set(EVIDENCE) & set(table.column_names):
        raise RecordError(
            f"{where}: none of the columns {', '.join(EVIDENCE)} is there; at least one is "
            f"needed. Columns found: {_listed(table.column_names)}"
            + _hint(table.column_names, (*EVIDENCE, "text"), RESPONSES)
        )
    return _normalise(table, with_signals(table.column_names), where)


_OWN = Column(pa.float64())


def is_signal(column: str) -> bool:
    """Whether a column of responses is a signal of the user's own."""
    return column.startswith(SIGNAL) and len(column) > len(SIGNAL)


def with_signals(names: Iterable[str]) -> dict[str, Column]:
    """`RESPONSES`, and the user's own signals among these names of columns."""
    return {**RESPONSES, **{name: _OWN for name in names if is_signal(name)}}


def column_of(name: str, columns: Mapping[str, Column]) -> Column | None:
    """What a column is among `QUERIES` or `RESPONSES`, signals included; None where it is none."""
    if columns is RESPONSES and is_signal(name):
        return _OWN
    return columns.get(name)


def _normalise(table: pa.Table, columns: Mapping[str, Column], where: str) -> pa.Table:
    arrays: dict[str, Any] = {}
    for name, column in columns.items():
        if table.column_names.count(name) > 1:
            raise RecordError(f"{where}: column '{name}' is there more than once; keep one")
        if column.required or name in table.column_names:
            found = required(table, name, columns, where)
            arrays[name] = _cast(found, column.type, f"{where}: column '{name}'")
        elif column.filled:
            arrays[name] = pa.nulls(table.num_rows, column.type)
    return pa.table(arrays)


def required(
    table: pa.Table, name: str, columns: Mapping[str, Column], where: str
) -> pa.ChunkedArray:
    """A column that has to be there.

    Args:
        table: any columns.
        name: one of `columns`.
        columns: `QUERIES` or `RESPONSES`.
        where: how messages call the table: its file, say.

    Raises:
        RecordError: it is not there; what is there is named, with what was probably meant.
    """
    if name in table.column_names:
        return table[name]
    raise RecordError(
        f"{where}: column '{name}' is missing; columns found: "
        + _listed(table.column_names)
        + _hint(table.column_names, (name,), columns)
    )


def table_of(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Column]) -> pa.Table:
    """Make a normalised table of rows of `QUERIES` or `RESPONSES`.

    Columns that may be absent are, where no row has a value.
    """
    used = {
        name: column.type
        for name, column in columns.items()
        if column.required or column.filled or any(row.get(name) is not None for row in rows)
    }
    return pa.table({name: _array([row.get(name) for row in rows], t) for name, t in used.items()})


def _array(values: Sequence[Any], target: pa.DataType) -> pa.Array:
    """An Arrow array; half a character, as a reply cut at a token ends on, becomes "?"."""
    try:
        return pa.array(values, target)
    except UnicodeEncodeError:
        return pa.array(map(_whole, values), target)


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(v) for v in value]
    return clean(value) if isinstance(value, str) else value


def clean(text: str) -> str:
    r"""Text that can be stored as UTF-8: half a surrogate pair (`"\ud83d"` in JSON) becomes "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def misnamed(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Columns without a meaning here → the known one, not there, that was probably meant."""
    there = list(names)
    absent = [name for name in known if name not in there]
    near = {name: meant_by(name, absent) for name in there if name not in known}
    if "label" in absent and near.get("answer", "") is None and "label" not in near.values():
        near["answer"] = "label"  # beside questions, not beside replies
    return {name: meant for name, meant in near.items() if meant is not None}


def _listed(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "(none)") + more


def _hint(found: Sequence[str], wanted: Collection[str], known: Mapping[str, Column]) -> str:
    """What was probably meant, and what reads other tables than these."""
    near = misnamed(found, known)
    likely = [column for column, meant in near.items() if meant in wanted]
    if likely:
        first = likely[0]
        rest = [f"'{c}' to '{m}'" for c, m in near.items() if c not in likely][:3]
        more = f", and {', '.join(rest)}" if rest else ""
        return f" (did you mean '{first}'? rename it to '{near[first]}'{more})"
    if known is RESPONSES and is_pairwise(found):
        return (
            " (one row compares two models; give one row per query and model, with its answer or "
            "score)"
        )
    others = [name for name in found if name not in known]
    if known is RESPONSES and "member" not in found and len(others) > 1:
        return (
            " (one column per model? `rlfocal import table FILE` reads such tables, and other "
            "names of columns)"
        )
    return " (`rlfocal import table FILE` reads tables with other columns)" if others else ""


def _cast(array: pa.ChunkedArray, target: pa.DataType, where: str) -> pa.ChunkedArray:
    found = array.type
    try:
        if pa.types.is_dictionary(found):
            array = array.cast(found.value_type)
        if pa.types.is_floating(target) and pa.types.is_string(array.type):
            array = _truth(array)
        if pa.types.is_boolean(array.type) and pa.types.is_floating(target):
            array = array.cast(pa.int8())  # a score given as true or false
        return array.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        row = _first_misfit(array, target)
        if row is None:
            raise RecordError(f"{where}: expected {_called(target)}, found {found}: {exc}") from exc
        value = str(array[row])
        raise RecordError(
            f"{where}: expected {_called(target)}, found {value[:80]!r} in row {row + 1}"
            + remedy_for(value)
        ) from exc


def _called(target: pa.DataType) -> str:
    if pa.types.is_floating(target):
        return "a number"
    return "a whole number" if pa.types.is_integer(target) else str(target)


def _truth(array: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts true and false, as CSV has them, as such; other texts stay."""
    head = array.slice(0, 1000).drop_null().to_pylist()
    if not head or not {str(v).strip().lower() for v in head} <= {"true", "false"}:
        return array
    return pc.utf8_lower(pc.utf8_trim_whitespace(array)).cast(pa.bool_())


def remedy_for(value: str) -> str:
    """Say how a text that should be a number is written as one; empty where nothing is known.

    >>> remedy_for("$0.0003"), remedy_for("high")
    ('; write the number alone: 0.0003', '')
    """
    text = value.strip()
    if text.lower() in ("yes", "no", "y", "n", "correct", "incorrect", "right", "wrong"):
        return "; write 1 and 0, or true and false (`rlfocal import table` reads such words)"
    if re.fullmatch(r"-?\d+(\.\d+)?\s*%", text):
        return f"; write {text} as {float(text.rstrip(' %')) / 100:g}"
    if re.fullmatch(r"-?\d+,\d+", text):
        return f"; write a decimal point: {text.replace(',', '.')}"
    number = re.search(r"-?\d+(\.\d+)?(e-?\d+)?", text, re.I)
    if number is not None and len(re.findall(r"\d+(?:\.\d+)?", text)) == 1:
        return f"; write the number alone: {number[0]}"
    return ""


def _first_misfit(array: pa.ChunkedArray, target: pa.DataType) -> int | None:
    """Row of the first value that cannot be cast; None where no value of this type can be."""
    start, end = 0, len(array)  # the first misfit lies in here
    try:
        while end - start > 1:
            middle = (start + end) // 2
            if _fits(array.slice(start, middle - start), target):
                start = middle
            else:
                end = middle
    except pa.ArrowNotImplementedError:
        return None
    return start if end > start else None


def _fits(array: pa.ChunkedArray, target: pa.DataType) -> bool:
    try:
        array.cast(target)
    except pa.ArrowInvalid:
        return False
    return True
