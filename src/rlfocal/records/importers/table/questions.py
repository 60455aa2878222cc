"""Which rows of all tables ask one question: those of equal ids, else of equal texts and labels.

The same question may be written in two ways by two programs: `1` and `1.0`, `4` and `4.0`, `Paris`
and `paris`, with a blank behind. It stays one question.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rlfocal.records.importers.assembling import document_digest
from rlfocal.records.importers.table.cells.labels import label_key
from rlfocal.records.importers.table.cells.values import shown
from rlfocal.records.importers.table.columns import Layout
from rlfocal.records.importers.table.files import Sheet
from rlfocal.records.synonyms import spelled

__all__ = ["Asked", "Questions", "asked_in", "settle_ids"]

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


def asked_in(sheet: Sheet, layout: Layout) -> frozenset[Any]:
    """What a table asks: its questions, and its ids beside their labels.

    The latter show that two files ask the same where each member got a prompt of its own; they
    count for no more than the questions, since other tasks number theirs from the start too.
    """
    ids = _ids(sheet, layout) if "query_id" in layout.roles else []
    labels = sheet.columns.get(layout.roles.get("label", ""))
    prompts = {p for p in _prompts(sheet, layout) if p}
    if not prompts:
        return frozenset(ids)
    pairs = zip(ids, labels or (), strict=False)
    return frozenset(prompts | {(i, str(label).strip()) for i, label in pairs if label is not None})


# Ids ----------------------------------------------------------------------------------------------


def settle_ids(tables: Sequence[Table]) -> None:
    """Take ids away that join nothing or too much, and note those that stand beside two questions.

    An id that no two members share joins nothing. Under a name such as `index` it may number the
    rows of each member or file anew: then questions decide, unless the user named the column.

    Args:
        tables: all of one import; layouts are changed, and whole ids lose their points.
    """
    _take_points(tables)
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
            _note_clashes([(sheet, layout)])
    clashes = _clashes(weak)
    if clashes and not _number_rows(weak):
        _note_clashes(weak)
    elif clashes:
        (id_, (sheet, row)), column = next(iter(clashes.items())), weak[0][1].roles["query_id"]
        said = (
            f"'{column}' stands beside different questions, such as {shown(id_)} in "
            f"{sheet.place(row).rpartition('/')[2]}, so it numbers rows and is ignored "
            f"(--column query_id={column} says otherwise)"
        )
        for k, (sheet, layout) in enumerate(weak):
            _drop(sheet, layout, said if k == 0 else "")


_WHOLE = re.compile(r"\s*-?\d+(?:\.0+)?\s*")
_SECTION = re.compile(r"\s*\d+\.(?:0*[1-9]\d*|\d+\..*)\s*")
"""Of a number of a section such as 1.1, the 1.0 is another."""


def _take_points(tables: Sequence[Table]) -> None:
    """Write whole ids without a point, which pandas adds beside a gap, in all files or in none."""
    with_ids = [(s, p.roles["query_id"]) for s, p in tables if "query_id" in p.roles]
    kinds = [{str(v) for v in s.columns[name] if v is not None} for s, name in with_ids]
    if any(_SECTION.fullmatch(v) for own in kinds for v in own):
        return
    for (sheet, name), own in zip(with_ids, kinds, strict=True):
        if any("." in v for v in own) and all(map(_WHOLE.fullmatch, own)):
            sheet.columns[name] = [
                None if v is None else str(v).partition(".")[0] for v in sheet.columns[name]
            ]


def _drop(sheet: Sheet, layout: Layout, why: str) -> None:
    del layout.roles["query_id"]
    if why:
        layout.notes.append(
            f"{sheet.path.name}: {why}; equal questions with equal labels are one query"
        )


def _ids(sheet: Sheet, layout: Layout) -> list[str]:
    return [str(v).strip() for v in sheet.columns[layout.roles["query_id"]]]


def _prompts(sheet: Sheet, layout: Layout) -> list[str]:
    values = sheet.columns.get(layout.roles.get("prompt", ""), ())
    return ["" if v is None else " ".join(str(v).split()) for v in values]


def _all_ask(sheet: Sheet, layout: Layout) -> bool:
    return "prompt" in layout.roles and all(_prompts(sheet, layout))


def _numbers_rows(sheet: Sheet, layout: Layout) -> bool:
    ids = _ids(sheet, layout)
    prompts = _prompts(sheet, layout) or ids
    return "member" in layout.roles and len(set(prompts)) < len(set(ids)) == len(ids)


def _rows_of(sheet: Sheet, layout: Layout) -> Iterator[tuple[tuple[str, str], str, int]]:
    """Each row's id and task, its question where it has one, and its number."""
    tasks = _column(sheet, layout, "task")
    rows = zip(_ids(sheet, layout), map(str, tasks), _prompts(sheet, layout), strict=False)
    for row, (id_, task, prompt) in enumerate(rows):
        if prompt:
            yield (id_, task), prompt, row


def _column(sheet: Sheet, layout: Layout, role: str) -> Sequence[Any]:
    return sheet.columns.get(layout.roles.get(role, "")) or [None] * len(sheet)


def _clashes(tables: Sequence[Table]) -> dict[str, _Place]:
    """Id → a row in which it stands beside another question than before."""
    first: dict[tuple[str, str], str] = {}
    found: dict[str, _Place] = {}
    for sheet, layout in tables:
        for key, prompt, row in _rows_of(sheet, layout):
            if first.setdefault(key, prompt) != prompt:
                found.setdefault(key[0], (sheet, row))
    return found


def _number_rows(tables: Sequence[Table]) -> bool:
    """Whether ids number the rows of each member or file, rather than questions.

    Members may each have got a prompt of their own, by a template or by examples in it. So an id
    numbers rows only where one member has it beside two questions, where two members have one
    question under different ids, or where its two questions have different labels or none.
    """
    first: dict[tuple[str, str], tuple[str, Any]] = {}
    own: dict[tuple[tuple[str, str], str], str] = {}
    under: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for sheet, layout in tables:
        labels = _column(sheet, layout, "label")
        members = _column(sheet, layout, "member")
        for key, prompt, row in _rows_of(sheet, layout):
            member = str(sheet.path if members[row] is None else members[row]).strip()
            known = None if labels[row] is None else label_key([str(labels[row])], None)
            before, right = first.setdefault(key, (prompt, known))
            if before != prompt and (known is None or known != right):
                return True
            if own.setdefault((key, member), prompt) != prompt:
                return True
            under[prompt, key[1]][member].add(key[0])
    return any(not ids & others for of in under.values() for ids, others in pairwise(of.values()))


def _note_clashes(tables: Sequence[Table]) -> None:
    clashes = _clashes(tables)
    if clashes:
        id_, (sheet, row) = next(iter(clashes.items()))
        layout = next(p for s, p in tables if s is sheet)
        layout.notes.append(
            f"{sheet.path.name}: {len(clashes):,} ids stand beside more than one prompt, such as "
            f"'{id_}' in row {row + 1}: the id decides that it is one query"
        )
