"""What the commas of a table's numbers mean: decimal points, or thousands.

`1,450` may be either; `0,5` cannot be thousands, and shows how whoever wrote the file writes
numbers. A separator between columns shows nothing, but where it is no comma, a price
does: no reply costs a thousand dollars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from rlfocal.records.importers.table.cells.values import DECIMAL_COMMA, THOUSANDS
from rlfocal.records.importers.table.files import Sheet
from rlfocal.records.importers.table.told import is_told

__all__ = ["decimal_commas"]

_NUMBERS = ("score", "cost_usd", "latency_s", "latency_ms")


def decimal_commas(
    sheet: Sheet, columns: Mapping[str, Sequence[str]]
) -> tuple[dict[str, bool], list[str]]:
    """Find columns whose commas are decimal points.

    Labels and answers are looked at where commas do not separate columns: there a number with a
    comma needs no quotes.

    Args:
        sheet: the table.
        columns: role → its columns.

    Returns:
        Column → whether its commas are decimal points; and notes.
    """
    numbers = [
        name for role, own in columns.items() if role in _NUMBERS or is_told(role) for name in own
    ]
    answers = [name for role in ("label", "answer") for name in columns.get(role, ())]
    cells = sheet.columns
    seen: list[Sequence[Any]] = [cells[name] for name in numbers]
    is_free = sheet.separator in (";", "\t")
    if is_free:
        seen += [cells[name] for name in chain(answers, columns.get("text", ()))]
    costs = {id(cells[name]) for name in columns.get("cost_usd", ()) if is_free}
    shows = any(
        _could_be_decimal(own) and (id(own) in costs or _are_no_thousands(own)) for own in seen
    )
    found = {
        name: _could_be_decimal(cells[name]) and (shows or _are_no_thousands(cells[name]))
        for name in numbers
    }
    labels = [v for name in columns.get("label", ()) for v in cells[name]]
    if is_free and _could_be_decimal(labels):
        found |= dict.fromkeys(answers, shows)
    return found, _notes(sheet, found, is_free)


def _texts(values: Sequence[Any]) -> list[str]:
    return [v for v in values if isinstance(v, str) and "," in v]


def _could_be_decimal(values: Sequence[Any]) -> bool:
    """Whether every text with a comma is a number that could have a point there, and none has."""
    texts = _texts(values)
    if not texts or not all(DECIMAL_COMMA.fullmatch(t) for t in texts):
        return False
    return not any("." in v for v in values if isinstance(v, str))


def _are_no_thousands(values: Sequence[Any]) -> bool:
    return not all(THOUSANDS.fullmatch(t) for t in _texts(values))


def _notes(sheet: Sheet, found: Mapping[str, bool], is_free: bool) -> list[str]:
    decimal = [name for name, is_so in found.items() if is_so]
    thousands = [
        name for name, is_so in found.items() if is_free and not is_so
        and _could_be_decimal(sheet.columns[name])
    ]  # fmt: skip
    said = (
        (decimal, "decimal points"),
        (thousands, "separating thousands, since none shows a decimal one"),
    )
    return [
        f"{sheet.path.name}: commas in {', '.join(names[:8])}{', ...' if len(names) > 8 else ''} "
        f"are read as {what}"
        for names, what in said
        if names
    ]
