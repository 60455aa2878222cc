"""The leaderboard, and what equal cost buys, as HTML tables.

Intervals of accuracy are drawn beside the numbers.
"""

from __future__ import annotations

from rlfocal.bench import BenchResult, LeaderboardRow, Verdict
from rlfocal.bench.budgets import EQUAL_COST, BudgetCell
from rlfocal.bench.figures.live import BESIDE, HEAD, cells_of
from rlfocal.markup import Html, escape, table
from rlfocal.report.html import paragraphs
from rlfocal.report.labels import interval, money, number, percent, points, seconds

__all__ = ["equal_cost", "leaderboard"]

WIDTH_PX, HEIGHT_PX, PAD_PX = 90, 16, 5

_ALL_COLUMNS = (
    '<input type="checkbox" id="all-columns" class="more-columns">'
    '<label for="all-columns" class="more-columns">Show all columns</label>'
)
"""On a narrow screen; the style sheet hides it elsewhere, and the columns it stands for here."""

_WORDS: dict[Verdict, str] = {
    "better": "▲ better",
    "worse": "▼ worse",
    "no difference": "no difference",
    "withheld": "withheld",
    "reference": "reference",
    "bound": "bound",
}


def leaderboard(result: BenchResult) -> Html:
    """Make the table of all strategies that ran; dollars only where prices are known."""
    # The oracle is usually so far away that it would squeeze everything else together.
    drawn = [row for row in result.rows if row.verdict != "bound"]
    lows = [row.accuracy_ci[0] for row in drawn]
    highs = [row.accuracy_ci[1] for row in drawn]
    scale = (min(lows, default=0.0), max(highs, default=1.0))
    priced = any(row.mean_cost_usd is not None for row in result.rows)
    measured = result.missing is not None
    # What matters most first: a phone shows four columns until it is told otherwise.
    head = ["Strategy", "Accuracy, %", "Gain, points", "Calls"]
    head += ["USD / 1k queries"] if priced else []
    head += ["95 % interval of accuracy", "95 % interval of gain", "Against best single"]
    head += [*(["Measured"] if measured else []), "Rounds", "Oracle gap closed", "Fit"]
    rows = [_cells(row, scale, priced=priced, measured=measured) for row in result.rows]
    if result.hidden is not None:
        head += ["Task hidden, %", "Given - hidden, points", "Interval", "Calls hidden"]
        rows = [[*cells, *_task_hidden(row)] for cells, row in zip(rows, result.rows, strict=True)]
    marks = [row.verdict.replace(" ", "-") for row in result.rows]
    found = table(head, rows, label="Leaderboard", classes="leaderboard ranks", row_classes=marks)
    return Html(f"{_ALL_COLUMNS}\n{found}{_beside_calls(result) if result.live else ''}")


def _cells(
    row: LeaderboardRow, scale: tuple[float, float], *, priced: bool, measured: bool
) -> list[str]:
    gain, gain_ci = Html(""), ""
    if row.verdict not in ("reference", "bound") and row.gain_ci is not None:
        gain = Html(f'<span class="gain">{points(row.gain_over_best_single or 0.0)}</span>')
        gain_ci = interval(row.gain_ci, signed=True)
    bar = "" if row.verdict == "bound" else interval_bar(row.accuracy, row.accuracy_ci, scale)
    cells = [
        row.strategy,
        number(100 * row.accuracy, 1),
        gain,
        number(row.mean_calls, 2),
    ]
    if priced:
        cells.append(money(row.mean_cost_usd) if row.mean_cost_usd is not None else "")
    closed = row.oracle_gap_closed
    return [
        *cells,
        Html(f'{bar}<span class="ci">{interval(row.accuracy_ci)}</span>'),
        Html(f'<span class="ci">{gain_ci}</span>'),
        _verdict_word(row.verdict),
        *([f"{row.n_measured:,}"] if measured else []),
        number(row.mean_rounds, 2),
        percent(closed, 0) if closed is not None else "",
        seconds(row.fit_s),
    ]


def _task_hidden(row: LeaderboardRow) -> list[str]:
    """What was measured where strategies were not told the tasks of queries."""
    hidden = row.hidden
    if hidden is None:
        return [""] * 4
    lost, lost_ci = hidden.lost, hidden.lost_ci
    return [
        number(100 * hidden.accuracy, 1),
        "" if lost is None else points(lost),
        "" if lost_ci is None else interval(lost_ci, signed=True),
        number(hidden.mean_calls, 2),
    ]


def _verdict_word(verdict: Verdict) -> Html:
    """Show a verdict; the class of its row gives it its colour."""
    return Html(f'<span class="verdict">{_WORDS[verdict]}</span>')


def interval_bar(
    value: float,
    bounds: tuple[float, float],
    scale: tuple[float, float],
    *,
    width_px: int = WIDTH_PX,
) -> Html:
    """Draw an interval and its centre on a common scale, as inline SVG in the text's colour."""
    span = max(scale[1] - scale[0], 1e-9)

    def place(share: float) -> float:
        return round(PAD_PX + (width_px - 2 * PAD_PX) * (share - scale[0]) / span, 1)

    middle = HEIGHT_PX / 2
    return Html(
        f'<svg class="bar" width="{width_px}" height="{HEIGHT_PX}" '
        f'viewBox="0 0 {width_px} {HEIGHT_PX}" aria-hidden="true">'
        f'<line x1="{PAD_PX}" x2="{width_px - PAD_PX}" y1="{middle}" y2="{middle}" class="rail"/>'
        f'<line x1="{place(bounds[0])}" x2="{place(bounds[1])}" y1="{middle}" y2="{middle}"/>'
        f'<circle cx="{place(value)}" cy="{middle}" r="4"/></svg>'
    )


def _beside_calls(result: BenchResult) -> Html:
    """Make the table of what rows took beside calls, where there are conversations."""
    cells = [list(cells_of(row)) for row in result.live]
    found = table(HEAD, cells, label="Beside calls", classes="leaderboard")
    return Html(f"\n<h3>Beside calls</h3>\n{paragraphs([BESIDE])}\n{found}")


# At equal cost ---------------------------------------------------------------------------------

# The comparison first: on a phone the last columns are reached by scrolling.
_EQUAL_COST_HEAD = (
    "Learned strategy", "Budget", "Accuracy, %", "Best simple, %", "Difference, points",
    "95 % interval", "Verdict", "Best simple strategy", "Interval of accuracy",
)  # fmt: skip


def equal_cost(result: BenchResult) -> Html:
    """Make one table for each axis of cost that was compared: a row per strategy and budget."""
    parts = [paragraphs([EQUAL_COST])]
    for axis, cells in result.cells().items():
        title = result.axis_title(axis)
        parts.append(Html(f"<h3>Budgets as {escape(title)}</h3>"))
        parts.append(
            table(
                _EQUAL_COST_HEAD,
                [_compared(cell) for cell in cells],
                label=f"At equal cost, budgets as {title}",
                classes="leaderboard",
                row_classes=[_class_of(cell) for cell in cells],
            )
        )
    return Html("\n".join(parts))


def _class_of(cell: BudgetCell) -> str:
    """The verdict colours its word; a line under "all" parts one strategy from the next."""
    end = " reference" if cell.budget is None else ""
    return cell.verdict.replace(" ", "-") + end


def _compared(cell: BudgetCell) -> list[str]:
    return [
        cell.strategy,
        cell.label,
        number(100 * cell.accuracy, 1),
        number(100 * cell.rival_accuracy, 1),
        points(cell.difference),
        Html(f'<span class="ci">{interval(cell.difference_ci, signed=True)}</span>'),
        _verdict_word(cell.verdict),
        cell.rival,
        Html(f'<span class="ci">{interval(cell.accuracy_ci)}</span>'),
    ]
