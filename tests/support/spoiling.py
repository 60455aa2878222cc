"""One valid JSON value spoiled in every place: fields dropped, emptied or of another type.

What a reader of other programs' files owes for each: an error of rlfocal's own, or a note.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.assembling import assemble
from rlfocal.records.importers.registry import Importer

OTHER_TYPES: tuple[Any, ...] = (
    None, True, -1, 1e400, 10**400, "", "x", "\ud83d", [], [3], [[]], {"a": 1},
)  # fmt: skip


_assembled: set[str] = set()
"""Records that were joined already: most spoiled fields change nothing in them."""


def spoiled(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (what was done, the spoiled value) for every field at any depth."""
    for path in _paths(value):
        parent, key = path[:-1], path[-1]
        dropped = copy.deepcopy(value)
        del _at(dropped, parent)[key]
        yield f"{path} dropped", dropped
        for other in OTHER_TYPES:
            changed = copy.deepcopy(value)
            _at(changed, parent)[key] = other
            yield f"{path} = {other!r}"[:100], changed


def survives(read: Importer, path: Path, what: str) -> None:
    """Read a spoiled file: what is wrong is named with the file, or the rest becomes a data set."""
    message = ""
    try:
        logged = read([path])
        records = list(logged.records)
    except RecordError as exc:
        message = str(exc)
    if message:
        assert path.name in message, what
        return
    assert records, what
    for record in records:
        assert record.place, what
        assert record.document, what
        assert record.score is None or 0 <= record.score <= 1, what
    content = repr([replace(record, place="") for record in records])
    if content not in _assembled:
        _assembled.add(content)
        with contextlib.suppress(RecordError):  # no answer and no score is left in it
            assemble(logged, name="spoiled")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, child in inner:
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from _paths(child, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value
