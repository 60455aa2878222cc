"""Options of multiple-choice questions as tables hold them: in one cell, or one in each column."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.table.cells.lists import list_of, parsed
from rlfocal.records.importers.table.cells.values import Where, shown
from rlfocal.records.synonyms import spelled

__all__ = ["option_columns", "options_of", "options_reader", "without_gap"]

SEPARATORS = (" | ", "|", "\n", "; ", ";", "\t")
"""That may be found out, those first that options hold least. A comma or a stroke is as likely
a part of an option."""
_OPTION = re.compile(r"(?:(?:option|choice|opt)_?)?([a-z])|(?:option|choice|opt)_?(\d{1,2})")


def option_columns(names: Sequence[str]) -> list[str]:
    """Columns that hold one option each, in order; none where there are not two in a row.

    >>> option_columns(["q", "Option B", "Option A"]), option_columns(["A", "C"])
    (['Option A', 'Option B'], [])
    """
    groups: dict[str, dict[int, str]] = {"letter": {}, "named letter": {}, "number": {}}
    for name in names:
        own = spelled(name)
        match = _OPTION.fullmatch(own)
        if match is not None and match[1]:
            kind = "letter" if len(own) == 1 else "named letter"
            groups[kind].setdefault(ord(match[1]) - ord("a"), name)
        elif match is not None:
            groups["number"].setdefault(int(match[2]), name)
    for group in groups.values():
        start = 0 if 0 in group else 1
        run = list(takewhile(group.__contains__, range(start, start + len(group))))
        if len(run) > 1 and (start == 0 or group is groups["number"]):
            return [group[k] for k in run]
    return []


def options_of(value: Any, where: Where) -> list[Any] | None:
    """A cell as option texts: a list, options by letter, texts beside their letters.

    Raises:
        RecordError: it is a list in which it is not plain where items end.
    """
    if isinstance(value, str) and value.strip().startswith("{"):
        value = parsed(value, where)
    if isinstance(value, dict):
        if isinstance(value.get("text"), list):
            return list(value["text"])
        return without_gap([value[key] for key in sorted(value)]) or None
    found = list_of(value, where)
    if found and all(isinstance(v, dict) and "text" in v for v in found):
        return [v["text"] for v in found]
    return found


def without_gap(options: list[Any]) -> list[Any]:
    """Options without the empty ones at the end, which a table has where others have more of them.

    >>> without_gap(["iron", "tin", None, None])
    ['iron', 'tin']
    """
    while options and options[-1] is None:
        options.pop()
    return options


def options_reader(
    values: Sequence[Any], separator: str | None, where: Callable[[int], Where]
) -> tuple[Callable[[int], list[Any] | None], str | None]:
    """How a column of options is read.

    Args:
        values: the column.
        separator: between options in one cell; None: lists, else what all cells have between them.
        where: row → its place.

    Returns:
        Row → option texts, None where there are none; and the separator that was found out.

    Raises:
        RecordError: (at once) cells are texts with no separator in common.
    """
    texts = {
        row: v
        for row, v in enumerate(values)
        if isinstance(v, str) and v.strip() and options_of(v, where(row)) is None
    }
    found = None
    if texts and separator is None:
        found = next((s for s in SEPARATORS if all(s in v.strip() for v in texts.values())), None)
        if found is None:
            row, text = next(iter(texts.items()))
            raise RecordError(
                f"{where(row)()}: {shown(text)} is no list of options; write JSON such as "
                '["a", "b"], or say what stands between them: --choices-separator "|"'
            )
    between = separator or found

    def read(row: int) -> list[Any] | None:
        value = values[row]
        if row in texts and between is not None:
            return _without_letters([part.strip() for part in value.split(between)])
        return options_of(value, where(row)) or None

    return read, found


def _without_letters(parts: list[str]) -> list[str]:
    """Options without the letters before them, where each has its own."""
    stripped = [re.sub(rf"^\(?{chr(65 + i)}[).:]\s*", "", p) for i, p in enumerate(parts[:26])]
    own = all(a != b for a, b in zip(stripped, parts, strict=False))
    return stripped if own and len(parts) <= 26 else parts
