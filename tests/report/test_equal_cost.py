from __future__ import annotations

from dataclasses import replace

from rlfocal.bench import BenchResult
from rlfocal.bench.budgets import BudgetCell
from rlfocal.bench.statistics import Axis, Judgement
from rlfocal.records import ResponseTable
from rlfocal.report import render
from rlfocal.report.leaderboard import equal_cost


def cell(budget: float | None, said: Judgement, *, axis: Axis = "calls") -> BudgetCell:
    return BudgetCell(
        strategy="rl-focal", axis=axis, budget=budget, accuracy=0.573, accuracy_ci=(0.55, 0.59),
        rival="kmeans-router", rival_accuracy=0.561, difference=0.012, difference_ci=(0.004, 0.02),
        verdict=said,
    )  # fmt: skip


CELLS = (cell(1.5, "better"), cell(2, "no difference"), cell(None, "worse"))


def test_a_row_says_who_is_ahead_of_whom_by_how_much(result: BenchResult) -> None:
    html = equal_cost(replace(result, budgets=CELLS))
    assert html.count("<table") == 1
    row = next(line for line in html.splitlines() if "▲ better" in line)
    cells = [part.split("<")[0] for part in row.split("<td>")[1:]]
    assert cells[:4] == ["1.5", "57.3", "56.1", "+1.2"]
    assert "[+0.4, +2.0]" in row
    assert "kmeans-router" in row
    assert 'class="worse reference"' in html  # the last of a strategy has a line under it
    assert html.index(">1.5<") < html.index(">2<") < html.index(">all<")


def test_dollars_have_a_table_of_their_own_in_multiples_of_best_single(
    result: BenchResult,
) -> None:
    priced = replace(
        result,
        budgets=(*CELLS, replace(cell(0.0005, "better", axis="usd"), unit=0.002)),
    )
    html = equal_cost(priced)
    assert html.count("<table") == 2
    assert "best single member costs (2 USD / 1k queries)" in html
    assert "<td>0.25</td>" in html


def test_the_section_follows_the_leaderboard_and_is_left_out_without_cells(
    result: BenchResult, table: ResponseTable
) -> None:
    assert 'id="equal-cost"' not in render(result, table)
    page = render(replace(result, budgets=CELLS), table)
    assert page.index('id="leaderboard"') < page.index('id="equal-cost"') < page.index('id="cost"')
