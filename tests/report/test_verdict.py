from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from rlfocal.advice import Advice
from rlfocal.bench import BenchResult, LeaderboardRow, TaskHidden
from rlfocal.bench.budgets import BudgetCell
from rlfocal.bench.statistics import Estimate
from rlfocal.markup import escape
from rlfocal.records.tables.missing import Missing
from rlfocal.report.leaderboard import interval_bar, leaderboard
from rlfocal.report.verdict import finding, remarks


def row(
    strategy: str, accuracy: float, gain: tuple[float, float, float], calls: float = 1.0
) -> LeaderboardRow:
    return LeaderboardRow(
        strategy=strategy, accuracy=accuracy, accuracy_ci=(accuracy - 0.01, accuracy + 0.01),
        mean_calls=calls, mean_cost_usd=None, mean_rounds=1.0, gain_over_best_single=gain[1],
        gain_ci=(gain[0], gain[2]), oracle_gap_closed=None, fit_s=0.1, replay_s=0.1,
        learned=strategy == "rl-focal",
    )  # fmt: skip


ORACLE = row("oracle", 0.97, (0.1, 0.13, 0.15))
BASE = row("best-single", 0.84, (0, 0, 0))


def advised(strategy: str = "agreement", **more: Any) -> Advice:
    """Advice of a strategy, made up."""
    return Advice(
        **{
            "strategy": strategy, "member": None, "accuracy": Estimate(0.901, 0.885, 0.917),
            "mean_calls": 2.9, "mean_cost_usd": None, "gain": Estimate(0.073, 0.05, 0.091),
            "n_labels": 400, "n_dearer": 4, "rivals": (), "by": "calls", "command": None,
        } | more
    )  # fmt: skip


def say(result: BenchResult, *rows: LeaderboardRow, strategy: str = "agreement") -> list[str]:
    return remarks(replace(result, rows=(ORACLE, *rows, BASE), budgets=()), advised(strategy))


def test_the_advice_comes_first_and_then_the_commands(result: BenchResult) -> None:
    html = finding(result, advised(command="rlfocal train <d> -o C && rlfocal serve C P"))
    assert html.startswith('<p class="lead"><strong>Use agreement:</strong> 90.1 % [88.5, 91.7] at')
    assert "<code>rlfocal train &lt;d&gt; -o C\nrlfocal serve C P</code>" in html
    assert "<code>" not in finding(result, advised())


def test_a_choice_among_many_is_told(result: BenchResult) -> None:
    rows = [
        row("stacking", 0.905, (0.05, 0.065, 0.08), calls=8),
        row("agreement", 0.902, (0.045, 0.062, 0.08), calls=2.9),
        row("plurality", 0.9, (0.045, 0.06, 0.08), calls=3.1),
    ]
    assert say(result, *rows) == [
        "It was picked of 3 strategies after the fact, so its figures are more likely over- than "
        "understated."
    ]
    assert say(result, *rows[:2]) == []


def test_the_learned_strategy_is_told_once_with_all_its_budgets(result: BenchResult) -> None:
    rows = (
        row("agreement", 0.902, (0.045, 0.062, 0.08), calls=2.9),
        row("rl-focal", 0.9, (0.045, 0.06, 0.08), calls=3.1),
    )
    cell = BudgetCell(
        strategy="rl-focal", axis="calls", budget=1.5, accuracy=0.87, accuracy_ci=(0.85, 0.89),
        rival="agreement", rival_accuracy=0.86, difference=0.01, difference_ci=(0.001, 0.02),
        verdict="better",
    )  # fmt: skip
    cells = (cell, replace(cell, budget=2, verdict="no difference"),
             replace(cell, budget=None, verdict="worse"))  # fmt: skip
    found = replace(result, rows=(ORACLE, *rows, BASE), budgets=cells)
    assert remarks(found, advised()) == [
        "rl-focal, which learns by reinforcement, reached 90.0\u202f% with 3.1 calls a query. At "
        "equal mean calls rl-focal is better at 1 of 3 budgets (1.5) and worse at 1 of 3 budgets "
        "(all) than the best simple strategy, which is chosen with hindsight at each budget."
    ]
    even = tuple(replace(c, verdict="no difference") for c in cells)
    assert (
        "neither better nor worse at any of 3 budgets than the best simple"
        in (remarks(replace(found, budgets=even), advised("rl-focal"))[0])
    )


def test_without_advice_the_page_says_why(result: BenchResult) -> None:
    assert "On these 600 queries there was nothing to choose from." in finding(result, None)
    missing = Missing(
        share=0.4, worst_member="ann", worst_share=0.9, n_members=3, n_queries=600, n_complete=9,
        hint="",
    )  # fmt: skip
    said = finding(replace(result, missing=missing), None)
    assert "nothing can be called better or worse" in said
    assert escape(missing.explain()) in said


def test_the_leaderboard_says_better_exactly_where_the_interval_excludes_zero(
    result: BenchResult,
) -> None:
    rows = (
        ORACLE, row("up", 0.9, (0.01, 0.06, 0.1)), row("flat", 0.85, (-0.01, 0.01, 0.02)),
        BASE, row("down", 0.7, (-0.2, -0.14, -0.1)),
    )  # fmt: skip
    html = leaderboard(replace(result, rows=rows))
    assert html.count("▲ better") == html.count("▼ worse") == html.count("no difference<") == 1
    assert "USD" not in html
    priced = leaderboard(
        replace(result, rows=tuple(replace(r, mean_cost_usd=0.0012) for r in rows))
    )
    assert "USD / 1k queries" in priced
    assert priced.count("<td>1.2</td>") == 5


def test_strategy_accuracy_gain_and_calls_stand_first(result: BenchResult) -> None:
    """A phone shows four columns."""
    html = leaderboard(replace(result, rows=(row("up", 0.9, (0.01, 0.06, 0.1), calls=3),)))
    assert re.findall(r'<th scope="col">([^<]*)</th>', html)[:4] == [
        "Strategy", "Accuracy, %", "Gain, points", "Calls",
    ]  # fmt: skip
    cells = re.findall(r"<t[hd][^>]*>(?:<span[^>]*>)?([^<]*)", html.split("<tbody>")[1])
    assert cells[:4] == ["up", "90.0", "+6.0", "3.00"]


def test_what_hidden_tasks_cost_stands_beside_the_figures(result: BenchResult) -> None:
    hidden = TaskHidden(
        accuracy=0.812, accuracy_ci=(0.79, 0.83), mean_calls=2.5, mean_cost_usd=None,
        mean_rounds=1.0, lost=0.088, lost_ci=(0.06, 0.1),
    )  # fmt: skip
    unknown = replace(hidden, lost=None, lost_ci=None)
    up, down = row("up", 0.9, (0.01, 0.06, 0.1)), row("down", 0.7, (-0.2, -0.14, -0.1))
    rows = (replace(up, hidden=hidden), BASE, replace(down, hidden=unknown))
    html = leaderboard(replace(result, rows=rows, hidden=result))
    titles = re.findall(r'<th scope="col">([^<]*)</th>', html)[-4:]
    assert titles == ["Task hidden, %", "Given - hidden, points", "Interval", "Calls hidden"]
    ends = [re.findall(r"<td>([^<]*)</td>", line)[-4:] for line in html.split("<tr")[2:]]
    assert [end[0] for end in ends] == ["81.2", "", "81.2"]
    assert [end[1] for end in ends] == ["+8.8", "", ""]
    assert [end[3] for end in ends] == ["2.50", "", "2.50"]
    assert "Task hidden" not in leaderboard(replace(result, rows=rows))


def test_interval_bars_share_a_scale() -> None:
    bar = interval_bar(0.5, (0.0, 1.0), (0.0, 1.0))
    assert 'x1="5.0" x2="85.0"' in bar
    assert 'cx="45.0"' in bar


def test_the_lead_names_a_member_whole_whatever_its_name(result: BenchResult) -> None:
    found = finding(result, replace(advised("best-single"), member="llama3:8b"))
    assert "<strong>Use your best single model, llama3:8b:</strong> " in found
