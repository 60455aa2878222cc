"""Whether the values of a column that is a time, a price or a count by its name are such numbers.

A table may have a column `time` of clock times or a `run` of names: they are no reason to refuse
what is beside them.
"""

from __future__ import annotations

import re
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.table.cells.values import number_of, shown
from rlfocal.records.importers.table.files import Sheet
from rlfocal.records.importers.table.told import COUNTS
from rlfocal.records.synonyms import UNITS

__all__ = ["unfit"]

_WHOLE = re.compile(r"\d{1,9}")
_PLAIN = re.compile(r"\d{1,9}(?:\.\d{1,18})?")
"""What most values are, and what needs no closer look."""
_NUMBERS = ("cost_usd", "latency_s", "repeat", *COUNTS)


def unfit(sheet: Sheet, role: str, name: str) -> str | None:
    """Why a column cannot be what its name says, as a note; None where it can.

    Args:
        sheet: the table.
        role: what it is by its name; other than numbers of a known kind, anything fits.
        name: the column.
    """
    if role not in _NUMBERS:
        return None
    plain = _WHOLE if role == "repeat" else _PLAIN
    for row, value in enumerate(sheet.columns[name]):
        is_plain = value is None or (isinstance(value, str) and plain.fullmatch(value))
        if not is_plain and not _fits(role, value):
            return (
                f"{sheet.path.name}: '{name}' is ignored: by its name it could be {role}, but "
                f"{shown(value)} in {sheet.place(row).rpartition('/')[2]} is no such number "
                f"(--column {role}={name} insists)"
            )
    return None


def _fits(role: str, value: Any) -> bool:
    for decimal_comma in (False, True):
        try:
            number = number_of(
                value, str, decimal_comma=decimal_comma,
                units=UNITS if role == "latency_s" else None,
            )  # fmt: skip
        except RecordError:
            continue
        return role != "repeat" or number is None or number.is_integer()
    return False
