"""Tables and the figures in them: a verb says which columns there are, and this draws them.

A cell that is None is a dash. Where a terminal is too narrow for all columns, the least important
ones are left out, and said; names and figures never break, and only where two columns have no room
is a name cut in its middle. Piped output keeps all.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Self, TypeVar

from rlfocal.cli.output.console import terminal

if TYPE_CHECKING:
    from rich.table import Table

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
    spare: int = 0
    """Where the terminal is too narrow, columns with the highest number go first. Those with 0 go
    last, from the right, when even short cells do not fit; the first two stay."""
    short: Callable[[T], str | None] | None = None
    """What stands in its cells where there is little room; it may have several lines."""
    prose: bool = False
    """Running text, which wraps at blanks."""


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
    rows = list(rows)
    console = terminal()
    drawn = [_Drawn.of(column, rows) for column in columns]
    drawn = [each for each in drawn if not each.column.optional or each.has_content]
    if not console.is_terminal:
        console.width = max(console.width, _width(each.widest for each in drawn))
    fitting = _fitting(drawn, rows, console.width)
    table = _table(headed=headed)
    roomy = _width(each.widest for each in fitting) <= console.width
    for index, each in enumerate(fitting):
        left = each.column.left or index == 0
        head = each.column.title
        if not roomy:
            head = textwrap.fill(head, max(each.width, 1), break_long_words=False)
        justify: Literal["left", "right"] = "left" if left else "right"
        table.add_column(head, justify=justify, no_wrap=not each.column.prose, overflow="fold")
    for n, row in enumerate(rows):
        table.add_row(*(each.texts[n] for each in fitting), end_section=section_after(row))
    console.print(*([] if title is None else ["", title]), "", table, "", sep="\n")
    left_in = {each.column for each in fitting}
    gone = [each.column.title for each in drawn if each.column not in left_in]
    if gone:
        console.print(
            f"Left out for want of room: {', '.join(gone)}. A wider window or a pipe has all."
        )


def _table(*, headed: bool) -> Table:
    from rich import box
    from rich.table import Table

    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False,
        padding=(0, 1, 0, 0), show_header=headed,
    )  # fmt: skip


_GAP = 2
"""Blanks between two columns."""


def _width(columns: Iterable[int]) -> int:
    """Of a table with columns of these widths."""
    widths = list(columns)
    return sum(widths) + _GAP * (len(widths) - 1)


class _Drawn(NamedTuple):
    """A column with the texts of its cells."""

    column: Column[Any]
    texts: list[str]
    has_content: bool

    @classmethod
    def of(cls, column: Column[T], rows: Sequence[T], *, short: bool = False) -> _Drawn:
        cells = [(column.short if short and column.short else column.cell)(row) for row in rows]
        texts = ["-" if text is None else text for text in cells]
        return cls(column, texts, any(text is not None for text in cells))

    @property
    def width(self) -> int:
        """Of the longest line, or the longest word of the title: titles may wrap."""
        lines = self._lines()
        if self.column.prose:
            lines = [word for line in lines for word in line.split()]
        return _longest([*lines, *self.column.title.split()])

    @property
    def widest(self) -> int:
        """With everything in one line."""
        return _longest([*self._lines(), self.column.title])

    def _lines(self) -> list[str]:
        return [line for text in self.texts for line in text.split("\n")]

    def cut(self, width: int) -> Self:
        """With lines that are no longer than that."""
        texts = ["\n".join(_cut(line, width) for line in text.split("\n")) for text in self.texts]
        return self._replace(texts=texts)


def _longest(lines: Iterable[str]) -> int:
    """Cells of the longest line: some letters take two, or none."""
    from rich.cells import cell_len

    return max(map(cell_len, lines), default=0)


def _fitting(drawn: Sequence[_Drawn], rows: Sequence[Any], room: int) -> list[_Drawn]:
    """The columns for which there is room, some of them short."""
    kept = list(drawn)

    def too_wide() -> bool:
        return _width(each.width for each in kept) > room

    for each in sorted(drawn, key=lambda each: -each.column.spare):
        if too_wide() and each.column.spare:
            kept.remove(each)
    for place, each in enumerate(kept):
        if too_wide():
            kept[place] = _Drawn.of(each.column, rows, short=True)
    while too_wide() and len(kept) > 2:
        kept.pop()
    if too_wide() and not kept[0].column.prose:
        rest = _width([0, *(each.width for each in kept[1:])])
        kept[0] = kept[0].cut(max(room - rest, _LEAST))
    return kept


_LEAST = 8
"""Cells that a name keeps."""


def _cut(name: str, width: int) -> str:
    """A name of at most so many cells: its middle goes, since names often differ at their ends.

    >>> _cut("llama-3.1-8b-instruct", 12), _cut("gpt-mini", 12)
    ('llama-…truct', 'gpt-mini')
    """
    from rich.cells import cell_len, set_cell_size

    if cell_len(name) <= width:
        return name
    tail = (width - 1) // 2
    head = set_cell_size(name, width - 1 - tail).rstrip()
    end = next(name[i:] for i in range(len(name)) if cell_len(name[i:]) <= tail)
    return f"{head}…{end}"


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
