"""What equal cost buys: each learned strategy beside the best simple one, as HTML tables."""

from __future__ import annotations

from rlfocal.bench import BenchResult
from rlfocal.bench.budgets import EQUAL_COST, BudgetCell
from rlfocal.report.html import Html, paragraphs, table
from rlfocal.report.labels import escape, interval, number, points
from rlfocal.report.leaderboard import verdict_word

__all__ = ["equal_cost"]

# The comparison first: on a phone the last columns are reached by scrolling.
_HEAD = (
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
                _HEAD,
                [_row(cell, result.budget_label(cell)) for cell in cells],
                label=f"At equal cost, budgets as {title}",
                classes="leaderboard",
                row_classes=[_classes(cell) for cell in cells],
            )
        )
    return Html("\n".join(parts))


def _classes(cell: BudgetCell) -> str:
    """The verdict colours its word; a line under "all" parts one strategy from the next."""
    end = " reference" if cell.budget is None else ""
    return cell.verdict.replace(" ", "-") + end


def _row(cell: BudgetCell, budget: str) -> list[str]:
    return [
        cell.strategy,
        budget,
        number(100 * cell.accuracy, 1),
        number(100 * cell.rival_accuracy, 1),
        points(cell.difference),
        Html(f'<span class="ci">{interval(cell.difference_ci, signed=True)}</span>'),
        verdict_word(cell.verdict),
        cell.rival,
        Html(f'<span class="ci">{interval(cell.accuracy_ci)}</span>'),
    ]
