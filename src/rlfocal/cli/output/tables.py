"""Tables and the figures in them: a verb says which columns there are, and this draws them.

A cell that is None is a dash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from rlfocal.cli.output.console import terminal

__all__ = [
    "Column",
    "interval",
    "joined",
    "percent",
    "print_table",
    "show_synthetic",
    "usd_per_1k",
]

T = TypeVar("T")


class Column(NamedTuple, Generic[T]):
    """One column of a table whose rows are Ts."""

    title: str
    cell: Callable[[T], str | None]
    left: bool = False
    """Text, as the first column always is; others are numbers and stand to the right."""
    optional: bool = False
    """Left out where no row has anything in it."""


def print_table(
    rows: Iterable[T],
    *columns: Column[T],
    title: str | None = None,
    headed: bool = True,
    section_after: Callable[[T], bool] = lambda _: False,
) -> None:
    """Print a table on standard output.

    Args:
        rows: from top to bottom.
        columns: from left to right.
        title: above it.
        headed: whether the columns' titles are shown.
        section_after: says after which rows there is a line.
    """
    from rich import box
    from rich.table import Table

    rows = list(rows)
    cells = [[column.cell(row) for row in rows] for column in columns]
    shown = [
        (column, texts)
        for column, texts in zip(columns, cells, strict=True)
        if not column.optional or any(text is not None for text in texts)
    ]
    table = Table(
        title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, show_header=headed
    )
    for index, (column, _) in enumerate(shown):
        left = column.left or index == 0
        table.add_column(column.title, justify="left" if left else "right", overflow="fold")
    for n, row in enumerate(rows):
        texts = ["-" if text is None else text for text in (each[n] for _, each in shown)]
        table.add_row(*texts, end_section=section_after(row))
    terminal().print(table)


def show_synthetic(synthetic: bool) -> None:
    """Say first of all that figures are of simulated members."""
    if synthetic:
        terminal().print("SYNTHETIC DATA: simulated members, not recorded models.")


def percent(share: float | None, *, signed: bool = False) -> str:
    """Show a share in [0, 1] as a percentage; a dash where there is none.

    >>> percent(0.5), percent(None), percent(0.02, signed=True)
    ('50.0', '-', '+2.0')
    """
    if share is None:
        return "-"
    return f"{100 * share:+.1f}" if signed else f"{100 * share:.1f}"


def interval(value: float, ends: Sequence[float], *, signed: bool = False) -> str:
    """Show a share with the ends of its interval.

    >>> interval(0.5, (0.4, 0.6))
    '50.0 [40.0, 60.0]'
    """
    low, high = (percent(end, signed=signed) for end in ends)
    return f"{percent(value, signed=signed)} [{low}, {high}]"


def usd_per_1k(usd: float | None) -> str | None:
    """Show the dollars of a call or query as those of a thousand.

    >>> usd_per_1k(0.00025)
    '0.25'
    """
    return None if usd is None else f"{1000 * usd:.3g}"


def joined(names: Sequence[str], limit: int = 12) -> str:
    """List names, and count those beyond the limit."""
    more = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
