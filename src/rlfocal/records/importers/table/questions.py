"""Which rows of all tables ask one question: those of equal ids, else of equal texts and labels.

The same question may be written in two ways by two programs: `1` and `1.0`, `4` and `4.0`, `Paris`
and `paris`, with a blank behind. It stays one question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.table.cells.labels import label_key
from rlfocal.records.importers.table.cells.values import shown
from rlfocal.records.importers.table.columns import Layout
from rlfocal.records.importers.table.files import Sheet
from rlfocal.records.synonyms import spelled

__all__ = ["Asked", "Questions", "are_whole", "settle_ids", "without_point"]

WEAK = ("index", "idx")
"""Names of ids that as often number rows, from the start for each model or file."""
Table = tuple[Sheet, Layout]
_Place = tuple[Sheet, int]


class Asked(NamedTuple):
    """One question as a row asks it."""

    document: str
    """Equal for all rows of one question."""
    labels: tuple[str, ...]
    """As the first of these rows writes them; letters in the row's own order of options."""


class Questions:
    """Names the questions of all tables, in the order of rows."""

    def __init__(self) -> None:
        self._asked: dict[Any, tuple[Asked, tuple[str, ...] | None]] = {}
        self._keys: dict[Any, Any] = {}
        self._labels: dict[Any, dict[tuple[str, ...], tuple[str, str]]] = {}

    def asked(
        self,
        content: str,
        choices: tuple[str, ...] | None,
        labels: tuple[str, ...],
        *,
        task: str,
        place: str,
    ) -> Asked:
        """Find out which question a row asks.

        Args:
            content: its id or its text.
            choices: its options in any order.
            labels: letters, where they are options.
            task: of which it is one.
            place: for notes.
        """
        written = (content, choices, labels)
        key = self._keys.get(written)
        if key is None:
            question = (content.strip(), None if choices is None else tuple(sorted(choices)))
            key = self._keys[written] = (question, label_key(labels, choices))
            if labels:
                own = self._labels.setdefault((task, question), {})
                own.setdefault(key[1], (", ".join(labels), place))
        first = self._asked.get(key)
        if first is None:
            (text, options), label = key
            document = document_digest(text, options or (), label)
            first = self._asked[key] = Asked(document, labels), choices
        asked, order = first
        return asked if choices == order else Asked(asked.document, labels)

    def notes(self) -> list[str]:
        """Say where equal questions have labels that mean different things."""
        several = [(q, own) for (_, q), own in self._labels.items() if len(own) > 1]
        if not several:
            return []
        (content, _), own = several[0]
        (one, _), (other, place) = list(own.values())[:2]
        return [
            f"{len(several):,} questions stand beside more than one label, such as "
            f"{shown(content)} beside {shown(one)} and, at {place}, {shown(other)}: they are taken "
            "for different queries"
        ]


# Ids ----------------------------------------------------------------------------------------------


def are_whole(ids: Sequence[Any]) -> bool:
    """Whether ids are whole numbers, some written with a point as pandas does beside a gap.

    >>> are_whole(["1", "2.0", None]), are_whole(["1.0", "1.1"])
    (True, False)
    """
    return all(v is None or re.fullmatch(r"\s*-?\d+(\.0+)?\s*", str(v)) for v in ids)


def without_point(number: str) -> str:
    """A whole number without its point.

    >>> without_point("2.0"), without_point("20")
    ('2', '20')
    """
    return number.partition(".")[0]


def settle_ids(tables: Sequence[Table]) -> None:
    """Take ids away that join nothing or too much, and note those that stand beside two questions.

    An id that no two members share joins nothing. Under a name such as `index` it may number the
    rows of each member or file anew: then questions decide, unless the user named the column.

    Args:
        tables: all of one import; layouts are changed.
    """
    with_ids = [(s, p) for s, p in tables if not p.members and "query_id" in p.roles]
    weak = []
    for sheet, layout in with_ids:
        column = layout.roles["query_id"]
        is_weak = spelled(column.rpartition(".")[2]) in WEAK and _all_ask(sheet, layout)
        if _numbers_rows(sheet, layout):
            _drop(sheet, layout, f"'{column}' numbers rows, not questions, and is ignored")
        elif is_weak and "query_id" not in layout.named:
            weak.append((sheet, layout))
        else:
            _note_clashes(sheet, layout)
    clashes = _clashes(weak)
    if clashes:
        (id_, (sheet, row)), column = next(iter(clashes.items())), weak[0][1].roles["query_id"]
        said = (
            f"'{column}' stands beside different questions, such as {shown(id_)} in "
            f"{sheet.place(row).rpartition('/')[2]}, so it numbers rows and is ignored "
            f"(--column query_id={column} says otherwise)"
        )
        for k, (sheet, layout) in enumerate(weak):
            _drop(sheet, layout, said if k == 0 else "")


def _drop(sheet: Sheet, layout: Layout, why: str) -> None:
    del layout.roles["query_id"]
    if why:
        layout.notes.append(
            f"{sheet.path.name}: {why}; equal questions with equal labels are one query"
        )


def _ids(sheet: Sheet, layout: Layout) -> list[str]:
    values = sheet.columns[layout.roles["query_id"]]
    texts = [str(v).strip() for v in values]
    return [without_point(t) for t in texts] if are_whole(values) else texts


def _prompts(sheet: Sheet, layout: Layout) -> list[str]:
    values = sheet.columns.get(layout.roles.get("prompt", ""), ())
    return ["" if v is None else str(v).strip() for v in values]


def _all_ask(sheet: Sheet, layout: Layout) -> bool:
    return "prompt" in layout.roles and all(_prompts(sheet, layout))


def _numbers_rows(sheet: Sheet, layout: Layout) -> bool:
    ids = _ids(sheet, layout)
    prompts = _prompts(sheet, layout) or ids
    return "member" in layout.roles and len(set(prompts)) < len(set(ids)) == len(ids)


def _clashes(tables: Sequence[Table]) -> dict[str, _Place]:
    """Id → a row in which it stands beside another question than before."""
    first: dict[tuple[str, str], str] = {}
    found: dict[str, _Place] = {}
    for sheet, layout in tables:
        tasks = sheet.columns.get(layout.roles.get("task", "")) or [None] * len(sheet)
        rows = zip(_ids(sheet, layout), map(str, tasks), _prompts(sheet, layout), strict=False)
        for row, (id_, task, prompt) in enumerate(rows):
            if prompt and first.setdefault((id_, task), prompt) != prompt:
                found.setdefault(id_, (sheet, row))
    return found


def _note_clashes(sheet: Sheet, layout: Layout) -> None:
    clashes = _clashes([(sheet, layout)])
    if clashes:
        id_, (_, row) = next(iter(clashes.items()))
        layout.notes.append(
            f"{sheet.path.name}: {len(clashes):,} ids stand beside more than one prompt, such as "
            f"'{id_}' in row {row + 1}: the id decides that it is one query"
        )
