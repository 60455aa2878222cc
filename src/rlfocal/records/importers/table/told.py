"""What a table says of a reply beside its text: why it ended, its tokens, the user's signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rlfocal.records.importers.logged import Told
from rlfocal.records.importers.table.cells.values import Where, number_of
from rlfocal.records.importers.telling import count_of, finish_of
from rlfocal.records.schema import is_signal

__all__ = ["COUNTS", "is_told", "told_of"]

COUNTS = ("n_prompt_tokens", "n_completion_tokens")


def is_told(role: str) -> bool:
    """Whether a role is one of these."""
    return role == "finish" or role in COUNTS or is_signal(role)


def told_of(
    columns: Mapping[str, str],
    cell: Callable[[str], tuple[Any, Where]],
    commas: Mapping[str, bool],
) -> Told:
    """Read one row's.

    Args:
        columns: role → column.
        cell: gives a column's value and place.
        commas: column → whether its commas are decimal points.

    Raises:
        RecordError: no number where one should be.
    """
    read = {
        role: number_of(*cell(name), decimal_comma=commas[name], may_be_negative=is_signal(role))
        for role, name in columns.items()
        if role in COUNTS or is_signal(role)
    }
    return Told(
        finish=finish_of(cell(columns["finish"])[0]) if "finish" in columns else None,
        n_prompt_tokens=count_of(read.get("n_prompt_tokens")),
        n_completion_tokens=count_of(read.get("n_completion_tokens")),
        signals={r: value for r, value in read.items() if is_signal(r) and value is not None},
    )
