"""The rows of one table as records: what was asked, what is right, and what each member replied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.logged import Record
from rlfocal.records.importers.table.cells.labels import LabelReader, with_letters
from rlfocal.records.importers.table.cells.replies import prompt_of, reply_of, samples_of
from rlfocal.records.importers.table.cells.values import (
    Where,
    as_number,
    number_of,
    score_of,
    text_of,
    with_point,
)
from rlfocal.records.importers.table.columns import Layout
from rlfocal.records.importers.table.commas import decimal_commas
from rlfocal.records.importers.table.files import Sheet
from rlfocal.records.importers.table.options import options_reader, without_gap
from rlfocal.records.importers.table.questions import Questions
from rlfocal.records.importers.table.told import told_of
from rlfocal.records.samples import agreed
from rlfocal.records.synonyms import UNITS, latency_unit

__all__ = ["Reading", "Rows"]

SLOW_S = 300
"""Half of all latencies above it look like milliseconds."""


@dataclass(frozen=True)
class Reading:
    """How cells are read, as the user said: see `read_tables`."""

    scale: float = 1.0
    choices_separator: str | None = None
    label_lists: str | None = None


class Rows:
    """Makes the records of one table.

    Args:
        sheet: the table.
        layout: what its columns mean.
        reading: what the user said of its cells.

    Attributes:
        sheet: as given.
        layout: as given; ids may be taken out of it before `records` is called.
        notes: what was guessed, and what is ignored.

    Raises:
        RecordError: options cannot be told apart.
    """

    def __init__(self, sheet: Sheet, layout: Layout, reading: Reading) -> None:
        self.sheet, self.layout, self._scale = sheet, layout, reading.scale
        self._name = sheet.path.name
        self.notes = [*sheet.notes, *layout.notes]
        layout.notes = self.notes  # what is found out of ids later stands here too
        self._unit: dict[str, float] = {}
        self._units: dict[str, dict[str, float]] = {}
        self._options: Callable[[int], list[Any] | None] | None = None
        choices = layout.roles.get("choices")
        if choices is not None:
            self._options, found = options_reader(
                sheet.columns[choices],
                reading.choices_separator,
                lambda row: self._where(row, choices),
            )
            if found is not None:
                self.notes.append(f"{self._name}: options are separated by {found!r}")
        columns = {role: [c] for role, c in layout.roles.items()}
        for own in layout.members.values():
            for role, name in own.items():
                columns.setdefault(role, []).append(name)
        self._find_units(columns)
        self._commas, said = decimal_commas(sheet, columns)
        self.notes += said
        self._has = set(columns)
        label = layout.roles.get("label", "")
        self._labels_of = LabelReader(label, reading.label_lists, sheet.columns.get(label, ()))
        self._letters: dict[Any, tuple[str, ...]] = {}
        self._listed: dict[str, bool] = {}

    def records(self, questions: Questions, alone: str) -> list[Record]:
        """One for each row and member that answered it.

        Args:
            questions: those of all tables.
            alone: the member of all rows, where no column says whose they are.
        """
        long = not self.layout.members
        is_alone = "member" not in self.layout.roles
        if long and is_alone:
            self.notes.append(
                f"{self._name}: no column of models: all rows are of one member, "
                f"'{alone}' (--column member=COLUMN, or --members A,B, says otherwise)"
            )
        found: list[Record] = []
        for row in range(len(self.sheet)):
            query = self._query(row, questions)
            if long:
                name = alone if is_alone else self._member(row)
                reply = self._reply(row, self.layout.roles)
                found.append(Record(member=name, **query, **reply, repeat=self._repeat(row)))
                continue
            for member, columns in self.layout.members.items():
                reply = self._reply(row, columns)
                if any(reply.get(r) is not None for r in ("answer", "text", "score", "samples")):
                    found.append(Record(member=member, **query, **reply))
        if not found:
            raise RecordError(f"{self.sheet.path}: no model has answered anything in it")
        self.notes += self._labels_of.notes(self._name)
        self.notes += [
            f"{self._name}: all of '{column}' are lists written as text, each read as one reply; "
            f"if they are several replies: --column samples={column}"
            for column, are_lists in self._listed.items()
            if are_lists and long
        ]
        return found

    # A query --------------------------------------------------------------------------------------

    def _query(self, row: int, questions: Questions) -> dict[str, Any]:
        prompt = self._prompt(row)
        name = self._text(row, "query_id") or ""
        task = self._text(row, "task") or "all"
        if not prompt and not name:
            raise RecordError(
                f"{self.sheet.place(row)}: neither a question nor an id; give one of them"
            )
        choices = self._choices(row)
        place = self.sheet.place(row)
        asked = questions.asked(
            name if name and not self.layout.members else prompt or name,
            choices, self._labels(row, choices), task=task, place=place,
        )  # fmt: skip
        return {
            "task": task,
            "document": asked.document,
            "name": name,
            "place": place,
            "split": self._text(row, "split"),
            "prompt": prompt,
            "choices": choices,
            "labels": asked.labels,
        }

    def _prompt(self, row: int) -> str:
        column = self.layout.roles.get("prompt")
        return "" if column is None else prompt_of(*self._cell(row, column)) or ""

    def _member(self, row: int) -> str:
        name = self._text(row, "member", as_it_is=True)
        if name is None or not name.strip():
            raise RecordError(
                f"{self._where(row, self.layout.roles['member'])()}: empty; every row needs "
                "its member"
            )
        return name

    def _choices(self, row: int) -> tuple[str, ...] | None:
        if self._options is not None:
            given, column = self._options(row), self.layout.roles["choices"]
        elif self.layout.options:
            column = self.layout.options[0]
            given = without_gap([self.sheet.columns[c][row] for c in self.layout.options])
        else:
            return None
        if not given:
            return None
        texts = [text_of(option, self._where(row, column)) for option in given]
        if None in texts:
            raise RecordError(f"{self._where(row, column)()}: an option is empty; give it a text")
        return tuple(t for t in texts if t is not None)

    def _labels(self, row: int, choices: tuple[str, ...] | None) -> tuple[str, ...]:
        column = self.layout.roles.get("label")
        if column is None:
            return ()
        read = self._labels_of.read(*self._cell(row, column), choices)
        if self._commas.get(column):
            read = [with_point(text) for text in read]
        key = (*read, choices)
        if key not in self._letters:
            self._letters[key] = with_letters(read, choices)
        return self._letters[key]

    # A reply --------------------------------------------------------------------------------------

    def _reply(self, row: int, columns: dict[str, str]) -> dict[str, Any]:
        found = self._said(row, columns)
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
        found["told"] = told_of(columns, lambda name: self._cell(row, name), self._commas)
        if not self._has & {"answer", "text", "samples"}:
            found["by_score"] = True
        elif all(found.get(role) is None for role in ("answer", "text", "samples")):
            found["unusable"] = True
        return found

    def _said(self, row: int, columns: dict[str, str]) -> dict[str, Any]:
        """Answer, text and samples; a list of replies is samples too, and one of them its text."""
        found: dict[str, Any] = {}
        for role in ("text", "answer"):
            if role not in columns:
                continue
            said = reply_of(*self._cell(row, columns[role]))
            if isinstance(said, tuple):
                said = tuple(self._with_point(text, columns[role]) for text in said)
                found["samples"] = said
                said = said[agreed(said) if role == "answer" else 0]
            elif said is not None:
                is_list = said.startswith(("['", '["')) and said.endswith(("']", '"]'))
                self._listed[columns[role]] = is_list and self._listed.get(columns[role], True)
            found[role] = self._with_point(said, columns[role])
        if "samples" in columns:
            samples = samples_of(*self._cell(row, columns["samples"]))
            found["samples"] = found.get("samples") if samples is None else samples
        return found

    def _repeat(self, row: int) -> int | None:
        column = self.layout.roles.get("repeat")
        number = None if column is None else number_of(*self._cell(row, column))
        return None if number is None else int(number)

    # Cells ----------------------------------------------------------------------------------------

    def _text(self, row: int, role: str, *, as_it_is: bool = False) -> str | None:
        column = self.layout.roles.get(role)
        if column is None:
            return None
        text = text_of(*self._cell(row, column))
        return text if text is None or as_it_is else text.strip() or None

    def _with_point(self, text: str | None, column: str) -> str | None:
        return with_point(text) if text is not None and self._commas.get(column) else text

    def _cell(self, row: int, column: str) -> tuple[Any, Where]:
        return self.sheet.columns[column][row], self._where(row, column)

    def _where(self, row: int, column: str) -> Where:
        return lambda: f"{self.sheet.place(row)}, column '{column}'"

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
        for member, own in self.layout.members.items():
            if column in own.values():
                return column.replace(member, "", 1)
        return column

    def _are_large(self, name: str) -> bool:
        numbers = [as_number(v) for v in self.sheet.columns[name][:1000]]
        known = [n for n in numbers if n is not None]
        return bool(known) and median(known) > SLOW_S
