"""Labels and recorded answers in the one form of their kind, so that equal answers are equal texts.

What happens to a reply that is collected or served happens here to what others recorded: a label
`1,750` and an answer `$1750.00` are one number, `(b)` and `B.` one letter. Works on distinct texts,
of which there are far fewer than rows, and leaves alone what is canonical already.

Knows nothing of files nor of members; says in notes what it changed, and never drops a row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.records.answers import Extractor, extractor
from rlfocal.records.calls import TOOL_CALLS, CallReader
from rlfocal.records.kinds import AS_THEY_ARE, NOT_OPEN, Kind, kinds_of_tasks
from rlfocal.records.options import OptionReader
from rlfocal.records.rewriting import Tally, TextColumn
from rlfocal.records.schema import DatasetInfo

__all__ = [
    "Canonical",
    "Questions",
    "canonical",
    "canonical_queries",
    "expression_names",
    "found_out",
    "open_extractor",
]

SHOWN = 3
_OPTIONS, _CALLS, _OPEN = range(3)
"""How a query is read: by its options, by the functions that it offers, or by a kind; the kinds of
tasks follow from the last on."""


class Canonical(NamedTuple):
    """Tables in canonical form."""

    queries: pa.Table
    responses: pa.Table
    query_row: NDArray[np.int64]
    """int64[R]: row of each response's query; -1 where there is none, which a check refuses."""
    kinds: Mapping[str, Kind]
    """Task → kind of its open questions; tasks of multiple choice alone are not in it."""
    notes: tuple[str, ...]
    lost: tuple[str, ...]
    """Those of the notes that say what could not be read."""


def open_extractor(kind: Kind) -> Extractor | None:
    """Reads answers to open questions of a kind; None where answers are taken as they stand."""
    if kind.name == AS_THEY_ARE:
        return None
    if kind.name == "choice":
        return extractor("choice", n_options=26)
    if kind.name == "date":
        return extractor("date", day_first=kind.day_first)
    return extractor(kind.name)


def canonical(queries: pa.Table, responses: pa.Table, info: DatasetInfo) -> Canonical:
    """Bring labels, answers and samples into the form of their kind.

    Args:
        queries: normalised; ids may still be wrong, which is checked after.
        responses: normalised.
        info: may declare kinds.

    Returns:
        Tables of the same rows and columns. A label that is no answer of its kind stays as it is,
        with a note; an answer that is none becomes null: the reply holds no usable answer.
    """
    row = _rows(queries, responses)
    if not queries.num_rows:
        return Canonical(queries, responses, row, {}, (), ())  # a check says so
    queries, kinds, notes, reading = _read_queries(queries, info)
    for column in ("answer", "samples"):
        if column in responses.column_names:
            responses = _with(responses, column, reading.answers(responses[column], row, column))
    queries, responses = _group(queries, responses, row, kinds)
    notes += reading.tally.notes()
    return Canonical(
        queries, responses, row, kinds, tuple(notes), tuple(reading.tally.notes(lost_only=True))
    )


class Questions(NamedTuple):
    """Queries that nobody has answered yet, in canonical form."""

    queries: pa.Table
    kinds: Mapping[str, Kind]
    """Task → kind of its open questions."""
    notes: tuple[str, ...]


def canonical_queries(queries: pa.Table, info: DatasetInfo) -> Questions:
    """Bring labels into the form of their kind; as `canonical`."""
    queries, kinds, notes, reading = _read_queries(queries, info)
    return Questions(queries, kinds, (*notes, *reading.tally.notes()))


def _read_queries(
    queries: pa.Table, info: DatasetInfo
) -> tuple[pa.Table, dict[str, Kind], list[str], _Reading]:
    has_choices, has_tools = ~np.asarray(queries["choices"].is_null()), _has_tools(queries)
    is_open = ~(has_choices | has_tools)
    task = queries["task"].combine_chunks().dictionary_encode()
    kinds, notes = _kinds(queries, task, is_open, info)
    behind = "; `answers` in dataset.json declares it"
    if isinstance(info.answers, str) and info.answers in NOT_OPEN:
        behind = f", since '{info.answers}' says nothing of them"
    way = np.where(has_choices, _OPTIONS, np.where(has_tools, _CALLS, _OPEN))
    reading = _Reading(queries, task, way, kinds)
    labels = reading.labels(queries["label"].combine_chunks())
    return (
        _with(queries, "label", labels),
        kinds,
        [*notes, *(line + behind for line in found_out(kinds))],
        reading,
    )


def _has_tools(queries: pa.Table) -> NDArray[np.bool_]:
    """bool[Q]: whether functions are offered."""
    if "tools" not in queries.column_names:
        return np.zeros(queries.num_rows, dtype=bool)
    return ~np.asarray(queries["tools"].is_null())


def _with(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _rows(queries: pa.Table, responses: pa.Table) -> NDArray[np.int64]:
    """int64[R]: each response's query; -1 where there is none, which a check names later."""
    found = pc.index_in(responses["query_id"], value_set=queries["query_id"].combine_chunks())
    return np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)


def _kinds(
    queries: pa.Table, task: pa.DictionaryArray, is_open: NDArray[np.bool_], info: DatasetInfo
) -> tuple[dict[str, Kind], list[str]]:
    labels: dict[str, list[str | None]] = {}
    names, code = task.dictionary.to_pylist(), task.indices.to_numpy()
    label = queries["label"].combine_chunks()
    for number in np.unique(code[is_open]).tolist():
        own = pa.array(is_open & (code == number))
        labels[names[number]] = pc.unique(label.filter(own)).to_pylist()
    return kinds_of_tasks(labels, info.answers, has_options=not is_open.all())


def found_out(kinds: Mapping[str, Kind]) -> list[str]:
    """What was found out rather than declared: one line."""
    tasks_of = defaultdict(list)
    for task, kind in kinds.items():
        if kind.name != AS_THEY_ARE and not kind.declared:
            tasks_of[f"{kind.name}, day first" if kind.day_first else kind.name].append(task)
    if not tasks_of:
        return []
    if len(tasks_of) == 1:
        listed = next(iter(tasks_of))
    else:
        listed = "; ".join(f"{kind} ({_joined(tasks)})" for kind, tasks in tasks_of.items())
    return [f"open answers are compared as {listed}, found out from the labels"]


def _joined(names: Sequence[str]) -> str:
    more = f", ... {len(names)} tasks" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


class _Reading:
    """Reads texts by the kind of their query, and counts what it changed."""

    def __init__(
        self,
        queries: pa.Table,
        task: pa.DictionaryArray,
        way: NDArray[np.int64],
        kinds: Mapping[str, Kind],
    ) -> None:
        distinct = dict.fromkeys(kinds.values())
        self._kinds: list[Kind] = [Kind("choice"), Kind(TOOL_CALLS), *distinct]
        places = {kind: _OPEN + k for k, kind in enumerate(distinct)}
        names = task.dictionary.to_pylist()
        of_task = np.array([places[kinds[n]] if n in kinds else _OPEN for n in names], np.int64)
        # How each query is read: a place among the kinds.
        self._way = np.where(way == _OPEN, of_task[task.indices.to_numpy()], way)
        self._options = OptionReader(queries, task)
        self._row_by_row: Mapping[int, OptionReader | CallReader] = {
            _OPTIONS: self._options, _CALLS: CallReader(queries),
        }  # fmt: skip
        self.tally = Tally()

    def labels(self, labels: pa.Array) -> pa.Array:
        """string[Q]: a label that cannot be read stays, and a note says that nobody can win."""
        column = TextColumn(labels)
        rows = np.arange(len(labels))
        for number, kind in enumerate(self._kinds):
            own = column.doubtful((self._way == number) & (column.code >= 0), kind.name)
            by_row = self._row_by_row.get(number)
            read = cache(partial(_label, None if by_row else open_extractor(kind)))
            for r in own.tolist():
                text = column.texts[column.code[r]]
                found = by_row.label(text, rows[r]) if by_row else read(text)
                self.tally.add("labels", kind.name, text, found)
                if found not in (None, text):
                    column.put(r, found)
        return column.written()

    def answers(self, column: pa.ChunkedArray, row: NDArray[np.int64], name: str) -> pa.Array:
        """Answers (string[R]) or samples (list of string[R]) to the queries in `row`."""
        flat = column.combine_chunks()
        if not pa.types.is_list(flat.type):
            return self._answers(flat, row, name)
        own = row[pc.list_parent_indices(flat).to_numpy()]
        values = self._answers(pc.list_flatten(flat), own, name)
        lengths = pc.fill_null(pc.list_value_length(flat), 0).to_numpy()
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values, mask=flat.is_null())

    def _answers(self, texts: pa.Array, row: NDArray[np.int64], name: str) -> pa.Array:
        what = "answers" if name == "answer" else "samples"
        column, way = TextColumn(texts), np.where(row >= 0, self._way[row], -1)
        self._options.learn(texts, row)
        for number, kind in enumerate(self._kinds):
            own = column.doubtful((way == number) & (column.code >= 0), kind.name)
            if by_row := self._row_by_row.get(number):
                for r in own.tolist():
                    text = column.texts[column.code[r]]
                    found = by_row.answer(text, int(row[r]))
                    self.tally.add(what, kind.name, text, found)
                    if found != text:
                        column.put(r, found)
                continue
            reader = open_extractor(kind)
            code = column.code[own]
            order = np.argsort(code, kind="stable")
            for same in np.split(own[order], np.flatnonzero(np.diff(code[order])) + 1):
                if len(same):
                    text = column.texts[column.code[same[0]]]
                    found = (text.strip() or None) if reader is None else reader.extract(text)
                    self.tally.add(what, kind.name, text, found, len(same))
                    if found != text:
                        column.put(same, found)
        return column.written()


def _label(reader: Extractor | None, text: str) -> str | None:
    if reader is None:
        return text.strip() or None
    found = reader.read(text)
    return reader.extract(text) if found is None else found


def _group(
    queries: pa.Table, responses: pa.Table, row: NDArray[np.int64], kinds: Mapping[str, Kind]
) -> tuple[pa.Table, pa.Table]:
    """Answers of mathematics that mean the same, written alike within each query.

    Other kinds write equal answers alike at once; expressions can only be compared with each other.
    """
    maths = [task for task, kind in kinds.items() if kind.name == "math"]
    columns = [c for c in ("answer", "samples") if c in responses.column_names]
    if not maths or not columns:
        return queries, responses
    own = pc.and_(
        pc.is_in(queries["task"], value_set=pa.array(maths, pa.string())),
        queries["choices"].is_null(),
    )
    mask = np.asarray(own.to_numpy(zero_copy_only=False), dtype=bool) & ~_has_tools(queries)
    answers = {c: responses[c].to_pylist() for c in columns}
    label = queries["label"].to_pylist()
    given: dict[int, dict[str, None]] = defaultdict(dict)
    for r in np.flatnonzero((row >= 0) & mask[row]).tolist():
        for c in columns:
            for text in _listed(answers[c][r]):
                given[int(row[r])][text] = None
    alike = {q: expression_names(texts, label[q]) for q, texts in given.items()}
    for c in columns:
        new = [
            _renamed(value, alike.get(q)) for value, q in zip(answers[c], row.tolist(), strict=True)
        ]
        responses = _with(responses, c, pa.array(new, responses.schema.field(c).type))
    return queries, responses


def expression_names(texts: Iterable[str], label: str | None = None) -> dict[str, str]:
    """Name equal expressions alike: by the label, else by the first of them in alphabetical order.

    Args:
        texts: canonical answers to one query.
        label: canonical; what equals it bears its name.
    """
    from rlfocal.records.answers.maths import MathExtractor

    ordered = sorted(set(texts))
    named: dict[int, str] = {} if label is None else {0: label}
    numbers = MathExtractor().classes(ordered, label)
    return {text: named.setdefault(k, text) for text, k in zip(ordered, numbers, strict=True)}


def _listed(value: Any) -> Iterable[str]:
    values = value if isinstance(value, list) else [value]
    return (v for v in values if v is not None)


def _renamed(value: Any, names: Mapping[str, str] | None) -> Any:
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [None if v is None else names[v] for v in value]
    return names[value]
