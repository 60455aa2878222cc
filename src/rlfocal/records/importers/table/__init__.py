"""Any table of questions, right answers and what models said: the importer for everything else.

Long form (a row per query and member) and wide form (a column per model). What the columns mean is
decided in `columns`; here rows become records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.registry import importer
from rlfocal.records.importers.table.columns import Layout, find_layout
from rlfocal.records.importers.table.files import SUFFIXES, Sheet, read_sheet, suffix_of
from rlfocal.records.importers.table.options import list_of, options_reader
from rlfocal.records.importers.table.roles import parse_columns
from rlfocal.records.importers.table.together import with_own_names, with_scores
from rlfocal.records.importers.table.told import is_told, told_of
from rlfocal.records.importers.table.values import (
    Where,
    as_number,
    has_decimal_commas,
    number_of,
    score_of,
    text_of,
    with_point,
)
from rlfocal.records.synonyms import UNITS, latency_unit

__all__ = ["read_tables"]

SLOW_S = 300
"""Half of all latencies above it look like milliseconds."""


@importer("table", "CSV, TSV, JSON lines, JSON or Parquet files, or folders of them.")
def read_tables(
    paths: Sequence[Path],
    *,
    column: Annotated[
        Sequence[str],
        "NAME=COLUMN: which column is the prompt, label, member, answer, text, score, cost_usd, "
        "latency_s, latency_ms, choices, task, query_id, split, samples, repeat, finish, "
        "n_prompt_tokens, n_completion_tokens, signal_...; NAME= for none. Others are found by "
        "their names.",
    ] = (),
    members: Annotated[
        str | None, "A,B,C: the columns of models, in a table with one column per model."
    ] = None,
    delimiter: Annotated[str | None, "Between the columns of CSV; else the first line tells."] = (
        None
    ),
    choices_separator: Annotated[str | None, "Between the options in one cell, such as '|'."] = (
        None
    ),
    score_scale: Annotated[float, "The best score there is: 100 for percentages."] = 1.0,
) -> Logged:
    """Read tables that somebody wrote, in long or wide form.

    Raises:
        ConfigError: an option has another form.
        RecordError: a file cannot be read, or its columns or values are not understood; file, row,
            column, value and remedy are named.
    """
    given = parse_columns(column)
    if not score_scale > 0:
        raise ConfigError(f"--score-scale {score_scale:g}: a number above 0 is needed")
    separator = {"tab": "\t", "\\t": "\t"}.get(delimiter or "", delimiter)
    names = [m.strip() for m in members.split(",") if m.strip()] if members else None
    between = {"\\n": "\n", "\\t": "\t"}.get(choices_separator or "", choices_separator)
    notes: list[str] = []
    records: list[Record] = []
    times: Counter[tuple[str, ...]] = Counter()
    sheets: list[Path] = []
    for path, is_named in _files(paths):
        try:
            sheet = read_sheet(path, separator)
            rows = _Rows(sheet, find_layout(sheet, given, names, score_scale), between, score_scale)
            records += rows.records(times)
            notes += rows.notes
            sheets.append(path)
        except RecordError as exc:
            if is_named:
                raise
            notes.append(f"left out: {exc}")
    if not sheets:
        reasons = "; ".join(notes[:3]) or f"no {', '.join(SUFFIXES)} in it"
        raise RecordError(f"{', '.join(map(str, paths))}: no table could be read: {reasons}")
    listed = ", ".join(p.name for p in sheets[:3]) + (", ..." if len(sheets) > 3 else "")
    repeated = sum(times.values()) - len(times)
    if repeated:
        notes.append(
            f"{repeated:,} more rows of a member and query that stood before: they are read as "
            "repeated samples of it"
        )
    records = with_own_names(records, notes)
    return Logged(records=with_scores(records, notes), source=f"table {listed}", notes=notes)


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Files, and whether each was named rather than found in a folder."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and suffix_of(file) in SUFFIXES:
                yield file, False


class _Rows:
    """Records of one table."""

    def __init__(self, sheet: Sheet, layout: Layout, between: str | None, scale: float) -> None:
        self._sheet, self._layout, self._scale = sheet, layout, scale
        self._name = sheet.path.name
        self.notes = [*sheet.notes, *layout.notes]
        self._commas: dict[str, bool] = {}
        self._unit: dict[str, float] = {}
        self._units: dict[str, dict[str, float]] = {}
        self._documents: dict[tuple[Any, ...], str] = {}
        self._options: Callable[[int], list[Any] | None] | None = None
        choices = layout.roles.get("choices")
        if choices is not None:
            self._options, found = options_reader(
                sheet.columns[choices], between, lambda row: self._where(row, choices)
            )
            if found is not None:
                self.notes.append(f"{sheet.path.name}: options are separated by {found!r}")
        columns = {role: [c] for role, c in layout.roles.items()}
        for own in layout.members.values():
            for role, name in own.items():
                columns.setdefault(role, []).append(name)
        self._find_units(columns)
        self._find_commas(columns)
        self._has = set(columns)
        labels = sheet.columns.get(layout.roles.get("label", ""), ())
        known = [v for v in labels if v is not None]
        self._lists_labels = bool(known) and all(list_of(v) is not None for v in known)
        if not layout.members and "query_id" in layout.roles:
            self._check_ids()

    def records(self, times: Counter[tuple[str, ...]]) -> list[Record]:
        """One for each row and member that answered it.

        Args:
            times: how often each task, document and member came in long form; it is counted on.
        """
        found: list[Record] = []
        stem = self._name.partition(".")[0]
        alone = "member" not in self._layout.roles
        if not self._layout.members and alone:
            self.notes.append(
                f"{self._name}: no column of models: all rows are of one member, "
                f"'{stem}' (--column member=COLUMN, or --members A,B, says otherwise)"
            )
        for row in range(len(self._sheet)):
            query = self._query(row)
            if self._layout.members:
                for member, columns in self._layout.members.items():
                    reply = self._reply(row, columns)
                    if any(reply.get(role) is not None for role in ("answer", "text", "score")):
                        found.append(Record(member=member, **query, **reply))
                continue
            name = stem if alone else self._text(row, "member", as_it_is=True)
            if name is None or not name.strip():
                raise RecordError(
                    f"{self._where(row, self._layout.roles['member'])()}: empty; every row needs "
                    "its member"
                )
            reply = self._reply(row, self._layout.roles)
            repeat = self._repeat(row)
            if repeat is None:
                key = (query["task"], query["document"], name)
                repeat = times[key] or None  # the first is no repeat of any
                times[key] += 1
            found.append(Record(member=name, **query, **reply, repeat=repeat))
        if not found:
            raise RecordError(f"{self._sheet.path}: no model has answered anything in it")
        return found

    def _check_ids(self) -> None:
        """An id that no two members share joins nothing; one of two questions joins too much."""
        cells, roles, name = self._sheet.columns, self._layout.roles, self._name
        column, ids = roles["query_id"], [str(v) for v in cells[roles["query_id"]]]
        prompts = [str(v) for v in cells.get(roles.get("prompt", ""), ids)]
        is_row_number = "member" in roles and len(set(prompts)) < len(set(ids)) == len(ids)
        if is_row_number:
            del roles["query_id"]
            self.notes.append(
                f"{name}: '{column}' numbers rows, not questions, and is ignored; equal questions "
                "with equal labels are one query"
            )
            return
        keys = list(zip(ids, map(str, cells.get(roles.get("task", ""), ids)), strict=True))
        for role, so in (
            ("prompt", "the id decides that it is one query"),
            ("label", "they are taken for different queries"),
        ):
            first: dict[tuple[str, str], str] = {}
            clash: dict[tuple[str, str], int] = {}
            for row, text in enumerate(map(str, cells.get(roles.get(role, ""), ()))):
                if first.setdefault(keys[row], text) != text:
                    clash.setdefault(keys[row], row)
            for key, row in list(clash.items())[:1]:
                self.notes.append(
                    f"{name}: {len(clash):,} ids stand beside more than one {role}, such as "
                    f"'{key[0]}' in row {row + 1}: {so}"
                )

    # A query --------------------------------------------------------------------------------------

    def _query(self, row: int) -> dict[str, Any]:
        prompt = self._text(row, "prompt") or ""
        choices = self._choices(row)
        labels = self._labels(row)
        name = self._text(row, "query_id") or ""
        task = self._text(row, "task") or "all"
        if not prompt and not name:
            raise RecordError(
                f"{self._sheet.place(row)}: neither a question nor an id; give one of them"
            )
        content = name if name and not self._layout.members else prompt or name
        key = (content, choices, labels)
        if key not in self._documents:
            self._documents[key] = document_digest(content, sorted(choices or ()), labels)
        return {
            "task": task,
            "document": self._documents[key],
            "name": name,
            "place": self._sheet.place(row),
            "split": self._text(row, "split"),
            "prompt": prompt,
            "choices": choices,
            "labels": labels,
        }

    def _choices(self, row: int) -> tuple[str, ...] | None:
        if self._options is not None:
            given, column = self._options(row), self._layout.roles["choices"]
        elif self._layout.options:
            column = self._layout.options[0]
            given = [self._sheet.columns[c][row] for c in self._layout.options]
            while given and given[-1] is None:
                given.pop()  # fewer options than other queries have
        else:
            return None
        if not given:
            return None
        texts = [text_of(option, self._where(row, column)) for option in given]
        if None in texts:
            raise RecordError(f"{self._where(row, column)()}: an option is empty; give it a text")
        return tuple(t for t in texts if t is not None)

    def _labels(self, row: int) -> tuple[str, ...]:
        column = self._layout.roles.get("label")
        if column is None:
            return ()
        value, where = self._cell(row, column)
        if self._lists_labels and isinstance(value, str):
            value = list_of(value)
        if isinstance(value, list) and len(value) > 1:
            texts = [text_of(v, where) for v in value]
        else:
            texts = [self._with_point(text_of(value, where), column)]
        return tuple(dict.fromkeys(t.strip() for t in texts if t is not None and t.strip()))

    # A reply --------------------------------------------------------------------------------------

    def _reply(self, row: int, columns: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for role in ("answer", "text"):
            if role in columns:
                found[role] = self._answer(row, columns[role])
        for role in ("cost_usd", "latency_s", "latency_ms"):
            if role in columns:
                name = columns[role]
                value = number_of(
                    *self._cell(row, name),
                    decimal_comma=self._commas[name],
                    units=self._units.get(name),
                )
                if value is not None:
                    field = "latency_s" if role == "latency_ms" else role
                    found[field] = value * self._unit.get(name, 1.0)
        if "score" in columns:
            name = columns["score"]
            found["score"] = score_of(
                *self._cell(row, name), scale=self._scale, decimal_comma=self._commas[name]
            )
        if "samples" in columns:
            found["samples"] = self._samples(row, columns["samples"])
        found["told"] = told_of(columns, lambda name: self._cell(row, name), self._commas)
        if not self._has & {"answer", "text", "samples"}:
            found["by_score"] = True
        elif all(found.get(role) is None for role in ("answer", "text", "samples")):
            found["unusable"] = True
        return found

    def _samples(self, row: int, column: str) -> tuple[str | None, ...] | None:
        value, where = self._cell(row, column)
        if value is None:
            return None
        listed = list_of(value)
        if listed is None:
            raise RecordError(
                f'{where()}: {str(value)[:60]!r} is no list of replies; write JSON: ["a", "b"]'
            )
        return tuple(text_of(v, where) for v in listed)

    def _repeat(self, row: int) -> int | None:
        column = self._layout.roles.get("repeat")
        number = None if column is None else number_of(*self._cell(row, column))
        return None if number is None else int(number)

    # Cells ----------------------------------------------------------------------------------------

    def _text(self, row: int, role: str, *, as_it_is: bool = False) -> str | None:
        column = self._layout.roles.get(role)
        if column is None:
            return None
        text = text_of(*self._cell(row, column))
        return text if text is None or role == "prompt" or as_it_is else text.strip() or None

    def _answer(self, row: int, column: str) -> str | None:
        return self._with_point(text_of(*self._cell(row, column)), column)

    def _with_point(self, text: str | None, column: str) -> str | None:
        return with_point(text) if text is not None and self._commas.get(column) else text

    def _cell(self, row: int, column: str) -> tuple[Any, Where]:
        return self._sheet.columns[column][row], self._where(row, column)

    def _where(self, row: int, column: str) -> Where:
        return lambda: f"{self._sheet.place(row)}, column '{column}'"

    def _find_units(self, columns: dict[str, list[str]]) -> None:
        for role in ("latency_s", "latency_ms"):
            for name in columns.get(role, ()):
                unit = 1e-3 if role == "latency_ms" else latency_unit(self._affix(name))
                self._unit[name] = own = 1.0 if unit is None else unit
                self._units[name] = {u: seconds / own for u, seconds in UNITS.items()}
                if self._unit[name] != 1:
                    self.notes.append(
                        f"{self._name}: '{name}' is taken to be in units of "
                        f"{self._unit[name]:g} s and converted to seconds"
                    )
                elif unit is None and self._are_large(name):
                    self.notes.append(
                        f"{self._name}: half of the values of '{name}' exceed {SLOW_S}, "
                        f"read as seconds; if they are milliseconds: --column latency_ms={name}"
                    )

    def _affix(self, column: str) -> str:
        """A column's name without that of the model whose it is."""
        for member, own in self._layout.members.items():
            if column in own.values():
                return column.replace(member, "", 1)
        return column

    def _are_large(self, name: str) -> bool:
        numbers = [as_number(v) for v in self._sheet.columns[name][:1000]]
        known = [n for n in numbers if n is not None]
        return bool(known) and median(known) > SLOW_S

    def _find_commas(self, columns: dict[str, list[str]]) -> None:
        """Decimal commas: of numbers in each column, of labels and answers in all of them."""
        cells, separator = self._sheet.columns, self._sheet.separator
        numbers = ("score", "cost_usd", "latency_s", "latency_ms")
        for role in [r for r in columns if r in numbers or is_told(r)]:
            for name in columns[role]:
                self._commas[name] = has_decimal_commas(cells[name], separator)
        labels = [v for name in columns.get("label", ()) for v in cells[name]]
        if separator in (";", "\t") and has_decimal_commas(labels, separator):
            for role in ("label", "answer"):
                self._commas.update(dict.fromkeys(columns.get(role, ()), True))
        found = [name for name, is_so in self._commas.items() if is_so]
        if found:
            listed = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
            self.notes.append(f"{self._name}: commas in {listed} are read as decimal points")
