"""Tables on terminals of any width: names and figures never break, what is left out is said."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from rlfocal.cli.output import tables
from rlfocal.cli.output.tables import Column, interval, print_table


@dataclass(frozen=True)
class Row:
    name: str
    accuracy: float
    calls: int


ROWS = [Row("weighted-vote-per-task", 0.668, 6), Row("agreement", 0.633, 3)]
COLUMNS: tuple[Column[Row], ...] = (
    Column("strategy", lambda row: row.name),
    Column(
        "accuracy %",
        lambda row: interval(row.accuracy, (row.accuracy - 0.03, row.accuracy + 0.03)),
        short=lambda row: f"{100 * row.accuracy:.1f}",
    ),
    Column("calls", lambda row: str(row.calls)),
    Column("seconds to fit", lambda row: f"{row.calls * 10.5:.2f}", spare=2),
    Column("rounds", lambda row: f"{row.calls}.00", spare=1),
    Column("dollars", lambda row: None, optional=True),
)


def shown(width: int, monkeypatch: pytest.MonkeyPatch, rows: list[Row] = ROWS) -> str:
    console = Console(
        width=width, force_terminal=True, color_system=None, markup=False, record=True
    )  # fmt: skip
    monkeypatch.setattr(tables, "terminal", lambda: console)
    print_table(rows, *COLUMNS)
    return console.export_text()


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (200, ["[63.8, 69.8]", "calls", "63.00", "6.00"], []),
        (62, ["[63.8, 69.8]", "calls", "6.00"], ["seconds to fit"]),
        (50, ["[63.8, 69.8]", "calls"], ["rounds", "seconds to fit"]),
        (40, ["66.8", "calls"], ["rounds", "seconds to fit"]),
        (33, ["66.8"], ["calls", "rounds", "seconds to fit"]),
    ],
)
def test_the_least_important_go_first_then_cells_become_short_then_the_right(
    width: int, there: list[str], gone: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(width, monkeypatch)
    table, _, told = text.partition("Left out for want of room: ")
    assert "weighted-vote-per-task" in table
    assert [part for part in there if part not in table] == []
    assert {name for name in gone if name in " ".join(told.split())} == set(gone)
    assert bool(told) == bool(gone)


@given(width=st.integers(34, 140))
def test_no_line_is_wider_than_the_terminal_and_no_cell_breaks(width: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        text = shown(width, patch)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("weighted-vote-per-task") == 1
    rows = [line for line in text.splitlines() if line.startswith(("weighted", "agreement"))]
    assert len(rows) == len(ROWS)


def test_a_table_without_rows_has_its_head(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "strategy" in shown(80, monkeypatch, [])


def test_a_pipe_has_every_column_however_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=30, force_terminal=False, record=True)
    monkeypatch.setattr(tables, "terminal", lambda: console)
    print_table(ROWS, *COLUMNS)
    text = console.export_text()
    assert "seconds to fit" in text
    assert "weighted-vote-per-task  66.8 [63.8, 69.8]" in text


def test_only_where_two_columns_have_no_room_is_a_name_cut_in_its_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = shown(24, monkeypatch)
    assert "weighte…r-task      66.8" in text
    assert max(map(len, text.splitlines())) <= 24
    assert "66.8" in text


def test_letters_of_two_cells_count_as_two(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(30, monkeypatch, [Row("模型" * 8, 0.5, 1), Row("Größe", 0.4, 1)])
    assert max(map(cell_len, text.splitlines())) <= 30
    assert "…" in text
    assert "Größe" in text
